"""Sweeps of simulated pools whose scores shrink with the training size in a known way."""

import numpy as np
import pytest
from scipy import stats

from sslmemo import MemorizationEstimator
from sslmemo.designs import LeaveOneOut, Subsample
from sslmemo.experiments import FractionSweep, fraction_sweep
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

N = 120


def fit(design, truth, n_blocks, noise, entropy):
    """A result whose block values are the truth plus normal noise."""
    n = len(truth)
    plan = design.draw(n, n_blocks * design.block_size(n), entropy)
    size = plan.n_encoders // n_blocks
    rng = np.random.default_rng([entropy, 3])
    gap = np.repeat(truth + noise * rng.standard_normal((n_blocks, n)), size, axis=0)
    values = {"alignment": 5.0 + np.where(plan.member, -gap / 2, gap / 2)}
    return MemorizationResult(Run(plan, values, {}, np.ones(n_blocks)))


def sweep(seed, power=-0.5, other=0.0, exact_power=None, rows=None):
    """True scores fall like size ** power; those of a fraction of 0.9 have a share of their own."""
    rng = np.random.default_rng(seed)
    base = 1.0 + 0.4 * rng.standard_normal(N)
    own = 0.4 * rng.standard_normal(N)
    results, truths = {}, {}
    for i, f in enumerate((0.25, 0.5, 0.9)):
        shared = base if f < 0.9 else 1 + np.sqrt(1 - other) * (base - 1) + np.sqrt(other) * own
        truth = shared * (f * N) ** power
        truths[f"{f:g}"] = truth
        results[f"{f:g}"] = fit(Subsample(f), truth, 24, 0.05, 10 * seed + i)
    reference = "0.5"
    if exact_power is not None:
        truths["leave-one-out"] = truth = base * float(N) ** exact_power
        results["leave-one-out"] = fit(LeaveOneOut(rows), truth, 12, 0.05, 10 * seed + 9)
        reference = "leave-one-out"
    scored = np.logical_and.reduce([np.isfinite(r.score) for r in results.values()])
    return FractionSweep(results, reference, np.flatnonzero(scored), "epochs"), truths


def test_slope_and_agreement_are_those_of_the_true_scores():
    off = []
    for seed in range(6):
        made, truths = sweep(seed, other=0.36)
        a, b, t = truths["0.9"], truths["0.5"], made.table()
        exact = (np.cov(a, b)[0, 1] / np.var(b, ddof=1), np.corrcoef(a, b)[0, 1],
                 stats.spearmanr(a, b)[0])  # fmt: skip
        off.append([t[n][2] - e for n, e in zip(("slope", "pearson", "spearman"), exact)])
        assert t["slope"][1] == t["pearson"][1] == t["spearman"][1] == 1
        assert t["train_size"].tolist() == [30, 60, 108]
        raw = np.corrcoef(made.results["0.9"].score, made.results["0.5"].score)[0, 1]
        assert raw < t["pearson"][2]
    # a single one is off by its interval's half width over 2, about 0.03
    assert np.abs(np.mean(off, axis=0)).max() < 0.03
    np.testing.assert_allclose(exact[:2], [0.8 * 1.8**-0.5, 0.8], atol=0.15)  # what was planted


def test_equal_rankings_are_found_behind_the_noise():
    inside = {"slope": 0, "pearson": 0, "spearman": 0}
    for seed in range(10):
        made, _ = sweep(seed)
        t = made.table()
        exact = {"slope": (0.9 / 0.5) ** -0.5, "pearson": 1.0, "spearman": 1.0}
        for name, value in exact.items():
            inside[name] += t[f"{name}_low"][2] <= value <= t[f"{name}_high"][2]
    assert min(inside.values()) >= 8
    assert t["resolved"].all()


def test_means_and_rows_are_those_of_leave_one_out():
    rows = [3, 50, 7, 11, 100, 64]
    made, truths = sweep(1, exact_power=-0.5, rows=rows)
    assert made.rows.tolist() == sorted(rows)
    t = made.table()
    assert t["fit"][-1] == "leave-one-out"
    for i in range(4):
        literal = np.mean(made.results[t["fit"][i]].score[sorted(rows)])
        assert t["mean"][i] == pytest.approx(literal)
        assert t["mean"][i] == pytest.approx(truths[t["fit"][i]][rows].mean(), abs=0.02)
        assert t["mean_low"][i] < t["mean"][i] < t["mean_high"][i]


def test_extrapolation_is_offered_only_where_it_was_validated():
    made, _ = sweep(2)
    with pytest.raises(ValueError, match="no extrapolation was validated"):
        made.extrapolated_mean()
    right = [sweep(s, exact_power=-0.5)[0].extrapolated_mean() for s in range(20)]
    assert np.mean([r["agrees"][0] for r in right]) >= 0.8
    exact = [r["exact"][0] for r in right]
    assert np.mean([r["predicted"][0] for r in right]) == pytest.approx(np.mean(exact), rel=0.02)
    wrong = sweep(0, exact_power=-0.8)[0].extrapolated_mean()  # the mean falls faster at the end
    assert not wrong["agrees"][0]
    assert wrong["predicted_low"][0] > wrong["exact_high"][0]
    two = {k: v for k, v in made.results.items() if k != "0.9"}
    two["leave-one-out"] = two.pop("0.5")
    flat = FractionSweep(two, "leave-one-out", np.arange(N), "epochs")
    with pytest.raises(ValueError, match="at least two"):
        flat.extrapolated_mean()


def test_the_line_is_fitted_by_weighted_least_squares():
    made, _ = sweep(3, exact_power=-0.5)
    names = ["0.25", "0.5", "0.9"]
    blocks = [made.results[n].scores.blocks.mean(1) for n in names]
    y = np.log([b.mean() for b in blocks])
    w = [b.mean() / (b.std(ddof=1) / np.sqrt(len(b))) for b in blocks]
    line = np.polyfit(np.log([30, 60, 108]), y, 1, w=w)
    assert made.extrapolated_mean()["predicted"][0] == pytest.approx(
        np.exp(np.polyval(line, np.log(120)))
    )


@pytest.mark.parametrize("equal", ["epochs", "steps"])
def test_it_trains_every_fraction(digits, equal):
    recipe = MemorizationEstimator(encoder="mlp", epochs=8, n_views=2, n_encoders=4, verbose=0)
    made = fraction_sweep(
        recipe, digits[0][:40], (0.5, 0.25), leave_one_out=[2, 5, 30], n_blocks=2, equal=equal,
        random_state=0,
    )  # fmt: skip
    assert list(made.results) == ["0.25", "0.5", "leave-one-out"]
    assert made.rows.tolist() == [2, 5, 30]
    trainers = [r.run.config["trainer"] for r in made.results.values()]
    assert {t["batch_size"] for t in trainers} == {10}  # of the smallest training set
    steps = [t["steps"] for t in trainers]
    assert steps == ([16, 16, 16] if equal == "steps" else [8, 16, 31])
    seeds = np.concatenate([r.run.plan.seed for r in made.results.values()])
    assert len(np.unique(seeds)) == len(seeds)
    assert made.table()["n_encoders"].tolist() == [8, 4, 8]
    assert f"equal {equal}, 3 rows, against leave-one-out" in repr(made)


def test_bad_calls_are_named():
    X, recipe = np.zeros((20, 3)), MemorizationEstimator()
    cases = [
        ((None,), {}, TypeError, "must be a MemorizationEstimator"),
        ((recipe,), {"equal": "rows"}, ValueError, "equal must be 'epochs' or 'steps'"),
        ((recipe,), {"n_blocks": 1}, ValueError, "n_blocks must be"),
        ((recipe,), {"reference": 0.3}, ValueError, "none of the fractions"),
        ((recipe,), {"fractions": (0.5, 1.5)}, ValueError, "strictly between 0 and 1"),
        ((recipe,), {"fractions": ("a", 0.5)}, TypeError, "fractions must be numbers.*got 'a'"),
        ((recipe,), {"fractions": (0.5, 0.5)}, ValueError, "fractions must be distinct"),
        ((MemorizationEstimator(stop_when=0.8),), {}, ValueError, "stop_when=0.8.*stop_when=None"),
        ((recipe,), {"leave_one_out": [20]}, ValueError, "between 0 and 19"),
    ]
    for args, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            fraction_sweep(*args, X, **options)
