"""Removal: orders against naive transcriptions, cells against a training by hand, paired and adjusted."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge

from sslmemo import LinearProbe, MemorizationEstimator, RemovalDisplay, SSLEncoder
from sslmemo.data import as_data
from sslmemo.experiments import removal, removal_curve, removal_experiment
from sslmemo.experiments.contrasts import holm, student
from sslmemo.experiments.orders import ORDERS, Seen, first_of, order_of
from sslmemo.measurements.downstream import represent
from sslmemo.randomness import derive_seed

mpl.use("Agg")

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
ORDER = np.random.default_rng(0).permutation(len(X))
S, T = ORDER[:80], ORDER[200:400]
TEST = {"X_test": X[T], "y_test": Y[T]}
QUICK = SSLEncoder(epochs=2, batch_size=20, random_state=0)


@pytest.fixture(scope="module")
def seen():
    encoder = SSLEncoder(epochs=3, random_state=0).fit(X[S])
    data = as_data(X[S])
    augmentation = encoder._trainer(data, (80.0, 80)).views.augmentation
    return Seen(data, Y[S], np.arange(80.0), encoder.model_, augmentation, seed=3)


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def views_of(seen):
    (index, views), *rest = seen.views()
    assert not rest
    assert len(index) == 80
    return views  # (V, 80, 1, 8, 8)


def test_isolation_orders(seen):
    flat, z = X[S].reshape(80, -1), unit(represent(seen.model, seen.data))
    for name, distance in (
        ("pixel_isolation", np.linalg.norm(flat[:, None] - flat[None], axis=2)),
        ("isolation", 1 - z @ z.T),
    ):
        np.fill_diagonal(distance, np.inf)
        np.testing.assert_allclose(
            order_of(name, seen), np.sort(distance, 1)[:, :5].mean(1), atol=1e-5
        )


def test_sas_order_is_the_mean_similarity_of_views_within_the_class(seen):
    views = views_of(seen)
    z = torch.nn.functional.normalize(seen.model.embed(views.flatten(0, 1)), dim=1)
    z = z.reshape(len(views), 80, -1).double().numpy()
    expected = np.empty(80)
    for i in range(80):
        others = [j for j in range(80) if Y[S][j] == Y[S][i] and j != i]
        expected[i] = -np.mean(
            [z[a, i] @ z[b, j] for j in others for a in range(8) for b in range(8)]
        )
    np.testing.assert_allclose(order_of("sas", seen), expected, atol=1e-5)


def test_difficult_order_counts_pairs_between_two_percentiles(seen):
    found = order_of("difficult", seen)
    z = unit(represent(seen.model, seen.data).astype(float))
    similarity = z @ z.T
    low, high = np.percentile(similarity[~np.eye(80, dtype=bool)], (90, 99))
    expected = ((similarity > low) & (similarity < high)).sum(1)
    assert found.mean() / 79 == pytest.approx(0.09, abs=0.01)
    assert np.abs(found - expected).max() <= 2  # percentiles of a sample of pairs


def test_self_influence_is_a_squared_gradient(seen):
    found, views = order_of("self_influence", seen), views_of(seen)
    encoder = seen.model.module.encoder.eval()
    for i in (0, 33, 79):
        encoder.zero_grad()
        z = torch.nn.functional.normalize(encoder(views[:, i]), dim=1)
        torch.pdist(z).square().mean().backward()
        expected = sum(p.grad.square().sum() for p in encoder.parameters())
        assert found[i] == pytest.approx(float(expected), rel=1e-3)
    encoder.zero_grad(set_to_none=True)


def test_first_of_takes_the_highest_of_all_or_of_every_class():
    order = np.array([5.0, 1.0, 4.0, 4.0, 0.0, 3.0])
    assert np.flatnonzero(first_of(order, 0.5)).tolist() == [0, 2, 3]
    classes = np.array(list("aabbbb"))
    assert np.flatnonzero(first_of(order, 0.5, classes)).tolist() == [0, 2, 3]
    assert np.flatnonzero(first_of(-order, 0.5, classes)).tolist() == [1, 4, 5]


def test_a_cell_is_what_training_by_hand_gives():
    curve = removal_curve(
        np.arange(80.0), X[S], Y[S], **TEST, fractions=(0.5,), strategies=("memorized", "random"),
        n_repeats=2, encoder=QUICK, random_state=7, verbose=0,
    )  # fmt: skip
    kept = np.arange(40)  # the highest scores are gone
    assert curve.removed["memorized", 0.5].nonzero()[0].tolist() == list(range(40, 80))
    # 80 rows make 2 * 80 / 20 = 8 steps; the 40 left get as many
    by_hand = SSLEncoder(epochs=4, batch_size=20)._fit(as_data(X[S][kept]), 0)
    trainer = by_hand._trainer(as_data(X[S][kept]), (40.0, 40))
    seed = derive_seed(7, "repeat", 1)
    (_, [model]), = trainer.fit_many(as_data(X[S][kept]), np.ones((1, 40), bool), [seed])  # fmt: skip
    probe = LinearProbe().fit(represent(model, as_data(X[S])), Y[S])
    expected = probe.score(represent(model, as_data(X[T])), Y[T])
    assert curve.values("memorized", 0.5)[1] == pytest.approx(expected, abs=1e-9)
    per_class = [curve.values("memorized", 0.5, f"accuracy[class={c}]")[1] for c in range(10)]
    assert np.average(per_class, weights=np.bincount(Y[T])) == pytest.approx(expected)


def test_repeats_are_paired_and_random_has_its_own_draws():
    curve = removal_curve(
        None, X[S], Y[S], **TEST, fractions=(0.25,), n_repeats=3, encoder=QUICK, random_state=0,
        strategies={"random": None, "again": np.arange(80), "same": 2.0 * np.arange(80)}, verbose=0,
    )  # fmt: skip
    np.testing.assert_array_equal(curve.values("again", 0.25), curve.values("same", 0.25))
    masks = curve.removed["random", 0.25]
    assert masks.sum(1).tolist() == [20, 20, 20]
    assert (masks[0] != masks[1]).any()
    t = curve.summary_table()
    row = t[(t["strategy"] == "again") & (t["metric"] == "accuracy")]
    paired = stats.ttest_rel(curve.values("again", 0.25), curve.values("random", 0.25))
    assert row["p_value"][0] == pytest.approx(paired.pvalue)
    assert row["difference_low"][0] == pytest.approx(paired.confidence_interval().low)
    assert len(curve.to_frame()) == len(curve.table)
    assert "against random" in str(curve)


def test_further_strategies_train_only_what_is_new(tmp_path):
    call = {"fractions": (0.5,), "n_repeats": 2, "encoder": QUICK, "random_state": 0,
            "memory": tmp_path, "verbose": 0}  # fmt: skip
    first = removal_curve(np.arange(80), X[S], Y[S], **TEST, strategies=("random",), **call)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.block")}
    both = ("memorized", "random")
    more = removal_curve(np.arange(80), X[S], Y[S], **TEST, strategies=both, **call)
    after = set(tmp_path.glob("*.block"))
    assert len(after) - len(before) == 2
    assert all(p.stat().st_mtime_ns == when for p, when in before.items())
    np.testing.assert_array_equal(first.values("random", 0.5), more.values("random", 0.5))


@pytest.mark.parametrize("equal", ["steps", "epochs"])
def test_equal_steps_or_equal_epochs(equal, monkeypatch):
    steps = {}

    def seen_run(plan, trainer, *args, **kwargs):
        steps.update(dict.fromkeys(plan.train_sizes.tolist(), trainer.steps))
        return removal.__dict__["original"](plan, trainer, *args, **kwargs)

    monkeypatch.setitem(removal.__dict__, "original", removal.run)
    monkeypatch.setattr(removal, "run", seen_run)
    removal_curve(
        None, X[S], Y[S], **TEST, fractions=(0.5,), strategies=("random",), n_repeats=1, equal=equal,
        encoder=QUICK, random_state=0, verbose=0,
    )  # fmt: skip
    assert steps == {80: 8, 40: 8 if equal == "steps" else 4}


def test_evaluators_probe_rows_and_subpopulations():
    call = {"fractions": (0.5,), "strategies": ("memorized", "random"), "n_repeats": 1,
            "encoder": QUICK, "random_state": 0, "verbose": 0}  # fmt: skip
    groups = np.where(np.arange(200) < 50, "few", "many")
    probes = {"knn": "knn", "weak": LogisticRegression(C=1e-3)}
    curve = removal_curve(
        np.arange(80),
        X[S],
        Y[S],
        **TEST,
        downstream=probes,
        subpopulations=groups,
        stratify=True,
        **call,
    )
    assert curve.metrics == ["knn", "weak"]
    assert "weak 0." in str(curve)
    assert curve.values("random", 0.5) == curve.values("random", 0.5, "knn")
    with pytest.raises(ValueError, match="strategy='randm' was not measured.*'random'"):
        curve.values("randm", 0.5)
    few, many, whole = (
        curve.values("random", 0.5, m)[0]
        for m in ("knn[subpopulation=few]", "knn[subpopulation=many]", "knn")
    )
    assert (50 * few + 150 * many) / 200 == pytest.approx(whole)
    assert len(curve.values("random", 0.5, "weak")) == 1
    shares = [curve.removed["memorized", 0.5][Y[S] == c].mean() for c in range(10)]
    assert np.abs(np.array(shares) - 0.5).max() < 0.1
    kept = removal_curve(np.arange(80), X[S], Y[S], **TEST, probe_rows="kept", **call)
    down = {"X_down": X[ORDER[500:560]], "y_down": Y[ORDER[500:560]]}
    apart = removal_curve(np.arange(80), X[S], Y[S], **TEST, **down, **call)
    whole = removal_curve(np.arange(80), X[S], Y[S], **TEST, **call)
    of_all = {c.values("memorized", 0.5)[0] for c in (kept, apart, whole)}
    assert len(of_all) == 3
    assert kept.values("none", 0.0) == whole.values("none", 0.0)


def test_a_regressor_has_its_own_metric():
    curve = removal_curve(
        None, X[S], Y[S].astype(float), X_test=X[T], y_test=Y[T].astype(float), fractions=(0.5,),
        strategies=("random",), n_repeats=1, downstream=Ridge(), encoder=QUICK, random_state=0, verbose=0,
    )  # fmt: skip
    assert curve.metrics == ["neg_mean_squared_error"]
    assert curve.values("random", 0.5)[0] < 0


def test_a_fitted_estimator_brings_recipe_and_scores():
    est = MemorizationEstimator(n_encoders=4, epochs=2, batch_size=20, random_state=0, verbose=0)
    est.fit(X[S])
    call = {"fractions": (0.5,), "strategies": ("least_memorized",), "n_repeats": 1,
            "random_state": 0, "verbose": 0}  # fmt: skip
    curve = removal_curve(est, X[S], Y[S], **TEST, **call)
    by_scores = removal_curve(est.result_, X[S], Y[S], **TEST, encoder=QUICK, **call)
    with pytest.raises(ValueError, match="the same in another order"):
        removal_curve(est.result_, X[S][::-1], Y[S][::-1], **TEST, encoder=QUICK, **call)
    assert curve.values("least_memorized", 0.5) == by_scores.values("least_memorized", 0.5)
    lowest = np.argsort(est.memorization_scores_)[:40]
    assert set(curve.removed["least_memorized", 0.5].nonzero()[0]) == set(lowest)


@pytest.fixture(scope="module")
def experiment():
    est = MemorizationEstimator(n_encoders=4, epochs=1, batch_size=20, verbose=0)
    return removal_experiment(
        X[ORDER[400:700]], Y[ORDER[400:700]], **TEST, estimator=est, n_samples=60, n_replicates=3,
        fractions=(0.3, 0.6), n_repeats=2, random_state=0, verbose=0,
    )  # fmt: skip


def test_replicates_have_their_own_rows_and_the_interval_is_theirs(experiment):
    rows = np.concatenate(experiment.rows)
    assert len(np.unique(rows)) == 180
    t = experiment.summary_table()
    row = t[(t["strategy"] == "memorized") & (t["fraction"] == 0.6)]
    means = [
        (c.values("memorized", 0.6) - c.values("random", 0.6)).mean() for c in experiment.curves
    ]
    expected = stats.ttest_1samp(means, 0)
    assert row["difference"][0] == pytest.approx(np.mean(means))
    assert row["p_value"][0] == pytest.approx(expected.pvalue)
    assert t["primary"].sum() == 1
    assert experiment.primary == ("memorized", 0.6)
    others = ~t["primary"] & np.isfinite(t["p_value"])
    np.testing.assert_allclose(t["p_holm"][others], holm(t["p_value"][others]))
    assert set(experiment.table["replicate"]) == {0, 1, 2}
    assert "primary" in str(experiment)


def test_holm_by_hand():
    np.testing.assert_allclose(
        holm([0.04, np.nan, 0.01, 0.03, 0.5]), [0.09, np.nan, 0.04, 0.09, 0.5]
    )


def test_student_needs_two():
    assert np.isnan(student([0.3], 0.95)[1:]).all()
    assert student([0.0, 0.0], 0.95)[3] == 1.0


def test_display_draws_what_the_summary_says(experiment):
    display = RemovalDisplay.from_result(experiment)
    t = experiment.summary_table()
    drawn = {c.get_label(): c.lines[0].get_ydata() for c in display.axes_[1].containers}
    np.testing.assert_allclose(drawn["memorized"], t["difference"][t["strategy"] == "memorized"])
    assert "random" not in drawn
    with pytest.raises(TypeError, match="must be a RemovalCurve or RemovalExperiment"):
        RemovalDisplay.from_result(experiment.to_frame())
    one = RemovalDisplay.from_result(experiment.curves[0], metric="effective_rank")
    assert one.axes_[0].get_ylabel() == "effective_rank"
    with pytest.raises(ValueError, match="metric='loss' was not measured"):
        RemovalDisplay.from_result(experiment, metric="loss")
    mpl.pyplot.close("all")


BAD = {
    "fraction": ({"fractions": (1.0,)}, "above 0 and below 1, got 1.0"),
    "one fraction": ({"fractions": 0.5}, r"write \[0.5\]"),
    "small fraction": ({"fractions": (0.001,)}, "removes 0 of 80 rows"),
    "large fraction": ({"fractions": (0.99,)}, "removes 79 of 80 rows"),
    "one strategy": ({"strategies": "memorized"}, r"write \['memorized'\]"),
    "no strategy": ({"strategies": []}, "strategies is empty"),
    "no task": ({"downstream": {}}, "at least one entry"),
    "class": ({"downstream": LinearProbe}, r"pass an object, LinearProbe\(\)"),
    "test shape": (
        {"X_test": X[T][:, :, :4]},
        r"X_test can't be used \(rows of X have shape \(1, 8, 8\)",
    ),
    "test labels": ({"y_test": Y[T][:-1]}, "y_test must have one label for each of the 200"),
    "strange labels": ({"y_test": Y[T] + 5}, r"never fitted on: \[10, 11"),
    "groups": ({"subpopulations": [1, 2]}, "subpopulations must have one label"),
    "strategy": ({"strategies": ("memorised",)}, "Did you mean 'memorized'"),
    "repeats": ({"n_repeats": 0}, "n_repeats must be"),
    "probe": ({"downstream": "linnear"}, "Did you mean 'linear'"),
    "evaluator": ({"downstream": 3}, "fit and predict"),
    "equal": ({"equal": "time"}, "equal must be"),
    "half of down": ({"X_down": X[:5]}, "go together"),
    "kept and down": ({"X_down": X[:50], "y_down": Y[:50], "probe_rows": "kept"}, "probe_rows"),
    "order": ({"strategies": {"own": np.ones(3)}}, r"strategies\['own'\]"),
    "encoder": ({"encoder": "mlp"}, "must be an SSLEncoder"),
    "scores": ({"est_or_scores": np.ones(79)}, "scores of shape"),
    "no scores": ({"est_or_scores": None}, "need scores"),
    "NaN": ({"est_or_scores": np.where(np.arange(80), 1.0, np.nan)}, "1 of 80 rows have no score"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_calls_are_refused_before_any_training(case, monkeypatch):
    change, message = BAD[case]
    monkeypatch.setattr(removal, "run", lambda *a, **k: pytest.fail("trained"))
    call = {"est_or_scores": np.arange(80.0), "X": X[S], "y": Y[S], **TEST, "verbose": 0} | change
    with pytest.raises((TypeError, ValueError), match=message):
        removal_curve(**call)


def test_rows_that_are_trained_on_are_named():
    with pytest.warns(UserWarning, match="80 rows of X_test are rows of X"):
        removal_curve(
            np.arange(80), X[S], Y[S], X_test=X[S], y_test=Y[S], fractions=(0.5,), n_repeats=1,
            strategies=("memorized",), encoder=QUICK, verbose=0,
        )  # fmt: skip


def test_an_interrupt_says_how_to_go_on(monkeypatch, tmp_path):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(removal, "run", stop)
    call = {"est_or_scores": np.arange(80), "X": X[S], "y": Y[S], **TEST, "verbose": 0}
    with pytest.raises(KeyboardInterrupt, match="are in memory=.*trains the rest only"):
        removal_curve(**call, memory=tmp_path)
    with pytest.raises(KeyboardInterrupt, match="are lost"):
        removal_curve(**call)


def test_bad_experiments_are_refused():
    call = {"X": X[:50], "y": Y[:50], **TEST}
    for change, message in (
        ({"n_samples": 51}, "X has 50 rows"),
        ({"n_samples": 20, "n_replicates": 1}, "n_replicates"),
        ({"n_samples": 20, "strategies": ("memorized",)}, "must hold 'random'"),
        ({"n_samples": 20, "primary": ("sas", 0.5)}, "not among the contrasts"),
        ({"n_samples": 20, "n_repeat": 1}, "Did you mean 'n_repeats'"),
        ({"n_samples": 20, "n_repeats": 0}, "n_repeats must be"),
        ({"n_samples": 20, "downstream": "linaer"}, "Did you mean 'linear'"),
    ):
        with pytest.raises(ValueError, match=message):
            removal_experiment(**call, **change)


def test_every_order_has_a_name_and_a_docstring():
    assert all(f is None or f.__doc__ for f in ORDERS.values())
