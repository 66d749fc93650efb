"""The combination of kinds, and the ridge regression that learns its weights."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

from sslmemo import MemorizationProxy
from sslmemo.proxies import PROXIES, Combined, Isolation, fit_combination
from sslmemo.proxies.base import standardised_ranks

TINY = {"epochs": 2, "n_views": 2, "random_state": 0}


def test_combined_is_the_weighted_sum_of_ranks_of_single_kinds(digits):
    X = digits[0][:60]
    weights = {
        "isolation": 2.0,
        "self_influence": -0.5,
        "gradient_coherence": 1.0,
        "forgetting": 0.1,
    }
    whole = MemorizationProxy(Combined(weights), **TINY).fit(X)
    expected = 0.0
    for name, weight in weights.items():
        alone = MemorizationProxy(name, **TINY).fit(X).proxy_scores_
        expected = expected + weight * standardised_ranks(alone)
    np.testing.assert_allclose(whole.proxy_scores_, expected)
    features = whole.kind_.features(whole.run_.values)
    assert set(features) == set(weights)


def test_all_kinds_combine(digits):
    est = MemorizationProxy(Combined(dict.fromkeys(PROXIES, 1.0)), **TINY).fit(digits[0][:40])
    assert len(est.kind_.features(est.run_.values)) == len(PROXIES)


def test_combined_refuses(digits):
    far = {"a": Isolation(), "b": Isolation(at=(1.0,))}
    for match, kind in (
        ("no table of learnt weights", Combined({})),
        ("weights='isolatoin' is unknown", Combined({"isolatoin": 1.0})),
        (r"weights\['isolation'\] must be", Combined({"isolation": np.inf})),
        ("two of the combined kinds read 'isolation'", Combined({"a": 1.0, "b": 1.0}, far)),
    ):
        with pytest.raises(ValueError, match=match):
            MemorizationProxy(kind, **TINY).fit(digits[0][:40])


def problems(rng, sizes=(40, 300)):
    """Features of which the truth holds two parts of the first, one of the second, none of the last."""
    for n in sizes:
        features = dict(zip("abc", rng.standard_normal((3, n)), strict=True))
        truth = 2 * features["a"] + features["b"] + 0.5 * rng.standard_normal(n)
        yield {k: np.exp(v) for k, v in features.items()}, truth * 1e-3


@pytest.mark.parametrize("alpha", [0.0, 0.1, 2.0])
def test_fit_combination_is_ridge_on_ranks(alpha):
    given = list(problems(np.random.default_rng(0)))
    x = np.concatenate([np.stack([standardised_ranks(c) for c in f.values()], 1) for f, _ in given])
    y = np.concatenate([standardised_ranks(t) for _, t in given])
    share = np.concatenate([np.full(len(t), 1 / (len(t) * len(given))) for _, t in given])
    expected = Ridge(alpha=alpha, fit_intercept=False).fit(x, y, sample_weight=share).coef_
    found = fit_combination(given, alpha)
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-8)


def test_fit_combination_ranks_new_problems():
    rng = np.random.default_rng(0)
    weights = fit_combination(problems(rng))
    ((features, truth),) = problems(rng, (500,))
    combined = sum(weights[k] * standardised_ranks(v) for k, v in features.items())
    assert spearmanr(combined, truth)[0] > spearmanr(features["a"], truth)[0] + 0.03


def test_fit_combination_refuses():
    x = np.arange(5.0)
    for match, given in (
        ("problems is empty", []),
        ("all must have the same", [({"a": x}, x), ({"b": x}, x)]),
        ("one shape", [({"a": x[:4]}, x)]),
        ("not finite", [({"a": x}, x * np.nan)]),
    ):
        with pytest.raises(ValueError, match=match):
            fit_combination(given)
    with pytest.raises(ValueError, match="alpha must be"):
        fit_combination([({"a": x}, x)], alpha=-1)


def test_standardised_ranks():
    found = standardised_ranks(np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 5.0]]))
    np.testing.assert_allclose(found, [[np.sqrt(1.5), -np.sqrt(1.5), 0], [0, 0, 0]])
