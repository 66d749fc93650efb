"""MemorizationProxy: every kind's formula, and its life as a scikit-learn estimator."""

import functools
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sslmemo import LinearProbe, MemorizationProxy, measurements
from sslmemo.encoders.vit import vit_tiny
from sslmemo.measurements.isolation import nearest_distances
from sslmemo.methods import METHODS
from sslmemo.protocols import TrainingError
from sslmemo.proxies import (
    PROXIES,
    Accumulated,
    Alignment,
    Combined,
    DepthIsolation,
    Forgetting,
    GradientCoherence,
    InputCurvature,
    InputIsolation,
    Isolation,
    Kind,
    LossSensitivity,
    SelfInfluence,
    Trajectory,
    Unlearning,
    get_kind,
)
from sslmemo.proxies.weights import WEIGHTS

TINY = {"epochs": 2, "n_views": 2, "random_state": 0}
SMALL = {  # kinds that train on, at a size for tests
    "metagradient": {"n_steps": 2, "n_passes": 2},
    "holdout_retraining": {"n_repeats": 1},
    "perturbation": {"n_copies": 2},
}
KINDS = {name: kind(**SMALL.get(name, {})) for name, kind in PROXIES.items()}
ALL = [*KINDS.values()] + [
    Trajectory("cumulative"),
    Trajectory("late"),
    Forgetting("nearest"),
    Accumulated("input_gradient"),
]


@parametrize_with_checks(
    [MemorizationProxy(epochs=1), MemorizationProxy("self_influence", epochs=1, n_views=2)]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", ALL, ids=repr)
def test_every_kind_scores_every_row(digits, kind):
    X = digits[0][:60]
    est = MemorizationProxy(kind, **TINY).fit(X)
    assert est.proxy_scores_.shape == (60,)
    assert est.proxy_scores_.dtype == float
    assert np.isfinite(est.proxy_scores_).all()
    order = np.random.default_rng(0).permutation(60)[:20]
    np.testing.assert_array_equal(est.score_samples(X[order]), est.proxy_scores_[order])
    again = clone(est)
    assert repr(again) == repr(est)
    assert again.get_params()["kind"].get_params() == kind.get_params()
    np.testing.assert_array_equal(again.fit(X).proxy_scores_, est.proxy_scores_)


@pytest.mark.parametrize("kind", ALL, ids=repr)
def test_every_kind_reads_the_projector(digits, kind):
    encoder, projector = (
        MemorizationProxy(kind, layer=layer, **TINY).fit(digits[0][:40])
        for layer in ("encoder", "projector")
    )
    same = (
        isinstance(kind, (Forgetting, InputIsolation)) or kind.get_params().get("part") == "shown"
    )
    assert np.array_equal(encoder.proxy_scores_, projector.proxy_scores_) == same
    assert np.isfinite(projector.proxy_scores_).all()


def test_kinds_make_their_scores_by_the_formula():
    """Each against loops, for two encoders, three checkpoints and five rows."""
    rng, at = np.random.default_rng(0), (0.3, 0.6, 1.0)
    course = rng.random((2, 3, 5))
    flat = rng.random((2, 5))
    norm = np.array([[1.0, 3.0, 2.0], [1.0, 2.0, 3.0]])  # of weights: peaks at the second and last

    def mean_of(array, moments):
        return [[np.mean([array[t, s, i] for s in moments]) for i in range(5)] for t in range(2)]

    for kind, name in (
        (Isolation(at=at), "isolation"),
        (LossSensitivity(at), "input_gradient"),
        (InputCurvature(at=at), "input_curvature"),
        (SelfInfluence(at), "self_influence"),
        (Trajectory("cumulative", at), "alignment_trajectory"),
    ):
        np.testing.assert_allclose(kind.scores({name: course}), mean_of(course, [0, 1, 2]))
    late = Trajectory("late", at).scores({"alignment_trajectory": course})
    np.testing.assert_allclose(late, mean_of(course, [1, 2]))
    early = Trajectory("late", (0.2, 0.3, 0.4)).scores({"alignment_trajectory": course})
    np.testing.assert_allclose(early, mean_of(course, [2]))
    shown = Trajectory().scores({"presented_alignment": flat})
    np.testing.assert_array_equal(shown, flat)
    for kind, name in (
        (Alignment(), "alignment"),
        (InputIsolation(), "input_isolation"),
        (Unlearning(), "unlearning"),
    ):
        np.testing.assert_array_equal(kind.scores({name: flat}), flat)
    share = GradientCoherence(at).scores({"gradient_share": course})
    np.testing.assert_allclose(share, 1 - np.array(mean_of(course, [0, 1, 2])))
    np.testing.assert_array_equal(GradientCoherence().scores({"gradient_share": flat}), 1 - flat)
    for kind, name, values in (
        (Accumulated(at=at), "alignment_trajectory", course),
        (Accumulated("input_gradient", at), "input_gradient", course**2),
    ):
        found = kind.scores({name: course, "weight_norm": norm})
        expected = [mean_of(values, [0, 1])[0], mean_of(values, [0, 1, 2])[1]]
        np.testing.assert_allclose(found, expected)
    ranks = np.argsort(np.argsort(np.concatenate([flat[:, None], course], 1), 2), 2)  # of no ties
    depths = DepthIsolation().scores({"depth_isolation": course, "input_isolation": flat})
    np.testing.assert_allclose(depths, ((ranks - 2) / np.sqrt(2)).mean(1))
    counts = {"known": np.array([[0.0, 3.0]]), "presented": np.array([[5.0, 5.0]]),
              "forgotten": np.array([[0.0, 2.0]]), "risen": np.array([[0.1, 0.4]])}  # fmt: skip
    np.testing.assert_array_equal(Forgetting("nearest").scores(counts), [[5, 2]])
    np.testing.assert_array_equal(Forgetting().scores(counts), [[0.1, 0.4]])


def test_isolation_by_hand(digits):
    X = digits[0]
    est = MemorizationProxy(Isolation(n_neighbors=3, at=(1.0,)), **TINY).fit(X)
    z = est.transform(X)
    np.testing.assert_allclose(
        est.proxy_scores_, nearest_distances(z, 3, "cosine").mean(1), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(z, est.encoder_.transform(X))


def test_a_planted_outlier_is_isolated_but_well_aligned(digits):
    """An encoder that memorized a row aligns its views well: in-alignment alone can't see it."""
    X = digits[0].copy()
    X[7] = np.random.default_rng(0).random((1, 8, 8)) > 0.5
    both = Combined({"isolation": 1.0, "alignment": 0.0})
    est = MemorizationProxy(both, epochs=60, random_state=0).fit(X)
    isolation, alignment = (v[0] for v in est.kind_.features(est.run_.values).values())
    assert (isolation >= isolation[7]).sum() <= 3
    assert (alignment >= alignment[7]).mean() > 0.3


def test_several_trainings_have_standard_errors_and_begin_with_the_fewer(digits):
    X = digits[0][:60]
    one, two, three = (MemorizationProxy(n_encoders=k, **TINY).fit(X) for k in (1, 2, 3))
    assert np.isnan(one.standard_errors_).all()
    np.testing.assert_array_equal(one.encoder_scores_, three.encoder_scores_[:1])
    np.testing.assert_array_equal(two.encoder_scores_, three.encoder_scores_[:2])
    a, b = two.encoder_scores_
    np.testing.assert_allclose(two.proxy_scores_, (a + b) / 2)
    np.testing.assert_allclose(two.standard_errors_, np.abs(a - b) / 2)


def test_the_same_for_any_n_jobs_and_found_again_in_memory(digits, tmp_path, monkeypatch):
    options = {"n_encoders": 2, "kind": "forgetting", **TINY}
    single = MemorizationProxy(**options, memory=tmp_path).fit(digits[0])
    other = MemorizationProxy(**options, n_jobs=2).fit(digits[0])
    np.testing.assert_array_equal(single.encoder_scores_, other.encoder_scores_)
    monkeypatch.setattr("sslmemo.training.ssl.SSLTrainer.fit_many", None)
    again = MemorizationProxy(**options, memory=tmp_path).fit(digits[0])
    np.testing.assert_array_equal(single.encoder_scores_, again.encoder_scores_)
    np.testing.assert_array_equal(single.transform(digits[0]), again.transform(digits[0]))


def test_pickling_and_refitting(digits, table):
    est = MemorizationProxy(**TINY).fit(digits[0])
    again = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(again.score_samples(digits[0]), est.proxy_scores_)
    assert again.fit(table).proxy_scores_.shape == (len(table),)
    assert again.n_features_in_ == table.shape[1]


def test_in_pipelines_before_and_after(digits):
    X, y = digits
    flat = X.reshape(120, -1).astype(np.float64)
    pipe = make_pipeline(PCA(10, random_state=0), MemorizationProxy(**TINY)).fit(flat)
    np.testing.assert_array_equal(
        pipe.score_samples(flat[[4, 90]]), pipe[-1].proxy_scores_[[4, 90]]
    )
    probe = make_pipeline(MemorizationProxy(**{**TINY, "epochs": 20}), LinearProbe()).fit(X, y)
    assert probe.score(X, y) > 0.5


def test_copies_get_the_mean_of_their_scores(digits):
    X = np.concatenate([digits[0][:40], digits[0][:1]])
    est = MemorizationProxy("alignment", **TINY).fit(X)
    mean = est.proxy_scores_[[0, 40]].mean()
    np.testing.assert_allclose(est.score_samples(X[:1]), [mean])


def test_the_users_generator_is_untouched(digits):
    before = torch.get_rng_state()
    for kind in ("input_curvature", "unlearning"):
        MemorizationProxy(kind, epochs=1, n_views=2).fit(digits[0][:40])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"mae"}))
def test_every_kind_reads_every_method(digits, method):
    every = Combined(dict.fromkeys(PROXIES, 1.0), KINDS)
    est = MemorizationProxy(every, method, "convnet", **TINY).fit(digits[0][:30])
    for name, feature in est.kind_.features(est.run_.values).items():
        assert feature.std() > 0, name


def test_a_method_of_one_view_has_kinds_but_those_of_its_steps(digits):
    vit = functools.partial(vit_tiny, (1, 8, 8), width=16, depth=2, heads=2)
    every = Combined(dict.fromkeys(set(PROXIES) - {"trajectory", "forgetting"}, 1.0), KINDS)
    est = MemorizationProxy(every, "mae", vit, **TINY).fit(digits[0][:30])
    assert np.isfinite(est.proxy_scores_).all()
    for kind in ("trajectory", "forgetting"):
        with pytest.raises(ValueError, match="the method makes 1 view of a row"):
            est.set_params(kind=kind).fit(digits[0][:30])


class Broken(Kind):
    def measurements(self, reading):
        return [measurements.Isolation()]

    def scores(self, values):
        return values["isolation"] * np.nan


def test_bad_input_is_refused_by_name(digits):
    X = digits[0][:40]
    for error, match, changes in (
        (
            ValueError,
            "kind='isolatoin' is unknown. Did you mean 'isolation'",
            {"kind": "isolatoin"},
        ),
        (TypeError, "an object from sslmemo.proxies", {"kind": measurements.Isolation()}),
        (TypeError, "an object from sslmemo.proxies", {"kind": Isolation}),
        (ValueError, "n_encoders must be", {"n_encoders": 0}),
        (ValueError, "n_views must be an int of at least 2", {"n_views": 1}),
        (ValueError, "part must be 'shown'", {"kind": Trajectory("early")}),
        (ValueError, "of must be", {"kind": Accumulated("loss")}),
        (ValueError, "event must be", {"kind": Forgetting("never")}),
        (ValueError, "ascending fractions", {"kind": Isolation(at=(1.0, 0.5))}),
        (ValueError, "n_neighbors must be", {"kind": Isolation(0)}),
        (ValueError, "distance='euclid' is unknown", {"kind": "alignment", "distance": "euclid"}),
        (
            ValueError,
            "similarity",
            {"kind": Trajectory("late"), "distance": torch.cosine_similarity},
        ),
        (ValueError, "layer must be", {"layer": "head"}),
        (TrainingError, "gives row 0 under encoder 0 no finite score", {"kind": Broken()}),
    ):
        with pytest.raises(error, match=match):
            MemorizationProxy(**{**TINY, **changes}).fit(X)
    est = MemorizationProxy(**TINY)
    with pytest.raises(NotFittedError):
        est.score_samples(X)
    with pytest.raises(NotFittedError):
        est.transform(X)
    with pytest.raises(ValueError, match=r"20 of 60 rows were not seen in fit"):
        est.fit(X).score_samples(digits[0][:60])


def test_kinds_by_name():
    for name, kind in PROXIES.items():
        assert type(get_kind(name)) is kind
    assert ("combined" in PROXIES) == bool(WEIGHTS)  # only where weights were learnt
