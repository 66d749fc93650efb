"""epsilon_lower_bound: below the true epsilon of known mechanisms as often as it says, and near it."""

import numpy as np
import pytest
from scipy import optimize, stats

from sslmemo.audits import epsilon_lower_bound


def true_epsilon(mu, delta):
    """Of the Gaussian mechanism N(0, 1) against N(mu, 1): Balle and Wang 2018, theorem 5."""

    def excess(epsilon):
        return (
            stats.norm.cdf(mu / 2 - epsilon / mu)
            - np.exp(epsilon) * stats.norm.cdf(-mu / 2 - epsilon / mu)
            - delta
        )

    return optimize.brentq(excess, 0, 50)


def bounds(tpr, fpr, n, repeats, rng, **options):
    hits, alarms = rng.binomial(n, tpr, repeats), rng.binomial(n, fpr, repeats)
    return np.array(
        [epsilon_lower_bound(int(h), n, int(a), n, **options) for h, a in zip(hits, alarms)]
    )


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_randomised_response(epsilon, level):
    """The truth is told with probability e^eps / (1 + e^eps): both inequalities are tight."""
    p = np.exp(epsilon) / (1 + np.exp(epsilon))
    found = bounds(p, 1 - p, 500, 2000, np.random.default_rng(0), level=level)
    too_high = (found > epsilon).mean()
    assert too_high <= 1 - level + 3 * np.sqrt(level * (1 - level) / 2000)
    assert too_high > 0  # and not by being far below
    assert found.mean() > 0.6 * epsilon


@pytest.mark.parametrize("threshold", [0.5, 2.0, 3.0])
def test_gaussian_mechanism(threshold):
    """No threshold demands more than the mechanism's epsilon at its delta."""
    mu, delta = 2.0, 1e-2
    epsilon = true_epsilon(mu, delta)
    tpr, fpr = stats.norm.sf(threshold - mu), stats.norm.sf(threshold)
    found = bounds(tpr, fpr, 400, 1000, np.random.default_rng(1), delta=delta)
    assert (found > epsilon).mean() <= 0.05
    assert (found > 0).all()


def test_large_samples_reach_the_best_thresholds_epsilon():
    mu, delta = 1.0, 1e-3
    threshold = np.linspace(-3, 5, 801)
    tpr, fpr = stats.norm.sf(threshold - mu), stats.norm.sf(threshold)
    demanded = np.log(np.maximum(tpr - delta, 1e-300)) - np.log(fpr)
    best = demanded.argmax()
    assert demanded[best] <= true_epsilon(mu, delta)
    n = 10**9
    found = epsilon_lower_bound(int(n * tpr[best]), n, int(n * fpr[best]), n, delta=delta)
    assert found == pytest.approx(demanded[best], rel=0.02)
    mirrored = epsilon_lower_bound(
        n - int(n * fpr[best]), n, n - int(n * tpr[best]), n, delta=delta
    )
    assert mirrored == pytest.approx(found)  # the inequality of the complements


def test_a_literal_case():
    tpr = stats.beta.ppf(0.025, 90, 11)
    fpr = stats.beta.ppf(0.975, 4, 97)
    expected = max(np.log((tpr - 0.01) / fpr), np.log((1 - fpr - 0.01) / (1 - tpr)))
    assert epsilon_lower_bound(90, 100, 3, 100, delta=0.01) == pytest.approx(expected)


def test_useless_attacks_give_nothing():
    assert epsilon_lower_bound(50, 100, 50, 100) == 0
    assert epsilon_lower_bound(0, 10, 0, 10) == 0
    assert epsilon_lower_bound(10, 10, 10, 10) == 0
    assert epsilon_lower_bound(100, 100, 0, 100, delta=1.0) == 0
    assert 3 < epsilon_lower_bound(100, 100, 0, 100) < 4  # what 100 trials can say at most


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ((11, 10, 0, 10), {}, "true_positives"),
        ((1, 10, 11, 10), {}, "false_positives"),
        ((0, 0, 0, 10), {}, "n_members"),
        ((1, 10, 1, 10), {"delta": 2.0}, "delta"),
        ((1, 10, 1, 10), {"level": 1.0}, "level"),
    ],
)
def test_bad_counts_are_named(counts, options, message):
    with pytest.raises(ValueError, match=message):
        epsilon_lower_bound(*counts, **options)


def test_counts_are_ints():
    with pytest.raises(TypeError, match="true_positives must be an int"):
        epsilon_lower_bound(0.9, 10, 0, 10)
