"""Shrinkage: it gains where features tell something, loses nothing where not, and hides no lone row."""

import dataclasses

import numpy as np
import pytest

from sslmemo.designs import LeaveOneOut, Split, Subsample
from sslmemo.estimates import Difference, Shrinkage, held_out_correlation, posterior
from sslmemo.estimates.unimodal import departure_variance
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

N = 250
NOISE = 0.06  # of one alignment


def pool(n_blocks, seed=0, informed=0.9, n=N, planted=None):
    """Simulated pool: plan, values, true scores. `informed` is the feature's correlation with them."""
    rng = np.random.default_rng(seed)
    known, rest = rng.standard_normal((2, n))
    true = 0.05 * np.exp(0.5 * (informed * known + np.sqrt(1 - informed**2) * rest))
    if planted is not None:
        true[planted] = 0.4
    plan = Subsample().draw(n, 2 * n_blocks, entropy=seed)
    level = 1.0 + 0.1 * rng.standard_normal(n)
    alignment = level + np.where(plan.member, -true / 2, true / 2)
    alignment += NOISE * np.sqrt(true / true.mean()) * rng.standard_normal(plan.member.shape)
    isolation = known + 0.5 * rng.standard_normal(plan.member.shape)
    values = {"alignment": alignment, "isolation": isolation}
    return plan, values, true


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


@pytest.mark.parametrize("n_blocks", [2, 4, 8])
def test_informative_features_bring_scores_nearer_to_the_truth(n_blocks):
    gains = []
    for seed in range(10):
        plan, values, true = pool(n_blocks, seed)
        shrunken, plain = Shrinkage()(values, plan).score, Difference()(values, plan).score
        gains.append(correlation(shrunken, true) - correlation(plain, true))
        assert np.mean((shrunken - true) ** 2) < np.mean((plain - true) ** 2)
    gains = np.array(gains)
    assert gains.mean() - 2 * gains.std(ddof=1) / np.sqrt(len(gains)) > 0.05


def test_what_features_say_together_is_learnt_from_few_blocks():
    """By names of known sign, against the same matrices under names that say nothing."""
    gains = []
    for seed in range(12):
        plan, values, true = pool(2, seed)
        known, rng = values["isolation"].mean(0), np.random.default_rng(100 + seed)
        for name, sign in (("density", -1), ("input_isolation", 1)):
            values[name] = sign * known + 0.5 * rng.standard_normal(plan.member.shape)
        names = ("isolation", "density", "input_isolation", *(f"noise_{i}" for i in range(8)))
        values |= {name: np.tile(rng.standard_normal(N), (4, 1)) for name in names[3:]}
        values["alignment"] += 3 * NOISE * rng.standard_normal(plan.member.shape)
        unknown = {"alignment": values["alignment"], **{f"x_{k}": values[k] for k in names}}
        found = Shrinkage(features=names)(values, plan).score
        plain = Shrinkage(features=tuple(unknown)[1:])(unknown, plan).score
        gains.append(correlation(found, true) - correlation(plain, true))
    gains = np.array(gains)
    assert gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(len(gains))


def test_rows_that_lie_together_may_be_the_memorized_ones():
    """The common slope has no sign of its own."""
    plan, values, true = pool(8)
    values["isolation"] = -values["isolation"]
    found = Shrinkage(features=("isolation",))(values, plan).score
    assert correlation(found, true) > correlation(Difference()(values, plan).score, true)


def test_features_that_tell_nothing_cost_little():
    losses = []
    for seed in range(10):
        plan, values, true = pool(8, seed, informed=0.0)
        shrunken, plain = Shrinkage()(values, plan).score, Difference()(values, plan).score
        losses.append(correlation(plain, true) - correlation(shrunken, true))
    assert np.mean(losses) < 0.03


def test_the_unbiased_difference_stands_beside_the_shrunken_score():
    plan, values, _ = pool(4)
    run = Run(plan, values, {}, np.ones(4))
    shrunken, plain = MemorizationResult(run, "shrinkage"), MemorizationResult(run)
    np.testing.assert_array_equal(shrunken.scores.unbiased.score, plain.score)
    np.testing.assert_array_equal(shrunken.unbiased.score, plain.score)
    np.testing.assert_array_equal(shrunken.interval(), plain.interval())
    np.testing.assert_array_equal(shrunken.p_values(), plain.p_values())
    assert shrunken.reliability == plain.reliability
    assert shrunken.true_spread == plain.true_spread
    table = shrunken.table()
    np.testing.assert_array_equal(table["unbiased_score"], plain.score)
    np.testing.assert_allclose(table["posterior_mean"], shrunken.score)
    assert "unbiased_score" not in plain.table().columns
    assert "blocks left out say" in shrunken.summary()
    assert "shrinkage" not in plain.summary()
    assert "shrunk towards" in shrunken.methods_text()
    assert "shrunk towards" not in plain.methods_text()


def test_a_memorized_row_among_crowded_ones_is_found():
    for seed in range(5):
        crowded = int(
            np.argmin(np.abs(np.random.default_rng(seed).standard_normal((2, N))[0] + 0.5))
        )
        plan, values, _ = pool(8, seed, planted=crowded)
        score = Shrinkage()(values, plan).score
        assert (score > score[crowded]).sum() < 3


def test_intervals_cover_on_average():
    inside = []
    for seed in range(8):
        plan, values, true = pool(4, seed)
        low, high = posterior(Shrinkage()(values, plan)).interval()
        inside.append(np.mean((low <= true) & (true <= high)))
    assert 0.92 < np.mean(inside) < 0.985


def test_blocks_left_out_tell_the_correlation_with_the_truth():
    seen, real, seen_plain, real_plain = [], [], [], []
    for seed in range(12):
        plan, values, true = pool(6, seed)
        seen.append(held_out_correlation(Shrinkage(), values, plan).value)
        part = plan.take(plan.blocks[:5])  # it tells of one block less
        keep = plan.block < 5
        some = {k: v[keep] for k, v in values.items()}
        real.append(correlation(Shrinkage()(some, part).score, true))
        seen_plain.append(held_out_correlation(Difference(), values, plan).value)
        real_plain.append(correlation(Difference()(some, part).score, true))
    for told, held in ((seen, real), (seen_plain, real_plain)):
        error = np.std(told, ddof=1) / np.sqrt(len(told))
        assert np.mean(told) == pytest.approx(np.mean(held), abs=4 * error)


def test_rows_in_another_order_have_the_same_scores():
    plan, values, _ = pool(4)
    order = np.random.default_rng(1).permutation(N)
    moved = dataclasses.replace(plan, member=plan.member[:, order], groups=None)
    score = Shrinkage()(values, plan).score
    again = Shrinkage()({k: v[:, order] for k, v in values.items()}, moved).score
    np.testing.assert_allclose(again, score[order], rtol=1e-8)


@pytest.mark.parametrize("case", ["one block", "few rows", "roles", "reliable", "unbalanced"])
def test_it_falls_back_to_the_difference(case):
    plan, values, _ = pool(8)
    if case == "one block":
        plan = plan.take(0)
        values = {k: v[:2] for k, v in values.items()}
    elif case == "few rows":
        plan, values, _ = pool(8, n=15)
    elif case == "roles":
        plan = Split().draw(N, 16, entropy=0)
    elif case == "unbalanced":
        plan = Subsample(0.7, balanced=False).draw(N, 16, entropy=0)
    elif case == "reliable":
        values["alignment"] = np.where(plan.member, 0.0, np.linspace(0, 1, N)) + 1.0
    found, plain = Shrinkage()(values, plan), Difference()(values, plan)
    np.testing.assert_array_equal(found.score, plain.score)
    np.testing.assert_array_equal(found.standard_error, plain.standard_error)
    assert found.prior_mean is None
    blocks = len(plan.seed)
    said = MemorizationResult(Run(plan, values, {}, np.ones(blocks)), "shrinkage").summary()
    assert "shrinkage     none" in said or blocks < 2


def test_a_failed_block_is_left_out():
    plan, values, _ = pool(6)
    values["alignment"][2] = np.nan
    keep = plan.block != 1
    rest = Shrinkage()({k: v[keep] for k, v in values.items()}, plan.take([0, 2, 3, 4, 5]))
    np.testing.assert_allclose(Shrinkage()(values, plan).score, rest.score)


def test_leave_one_out_is_shrunk_too():
    rng = np.random.default_rng(0)
    plan = LeaveOneOut().draw(30, 31 * 3, entropy=0)
    alignment = 1 + 0.1 * plan.as_g + 0.05 * rng.standard_normal(plan.member.shape)
    score = Shrinkage(features=())({"alignment": alignment}, plan).score
    assert np.isfinite(score).all()


def test_features_of_another_shape_are_refused():
    plan, values, _ = pool(4)
    values["isolation"] = values["isolation"][:, None, :]
    with pytest.raises(ValueError, match="features names 'isolation'.*that of the plan"):
        Shrinkage()(values, plan)


def test_unknown_features_are_refused():
    plan, values, _ = pool(4)
    with pytest.raises(ValueError, match="isolaton.*Did you mean 'isolation'"):
        Shrinkage(features=("isolaton",))(values, plan)
    with pytest.raises(TypeError, match="sequence of names, got the text 'isolation'"):
        Shrinkage(features="isolation")(values, plan)


def test_the_variance_of_departures_is_that_of_moments_and_never_zero():
    rng = np.random.default_rng(0)
    noise = 1.0
    departed = 2.0 * rng.standard_normal(5000) + rng.standard_normal(5000)
    assert departure_variance(departed, np.full(5000, noise)) == pytest.approx(4.0, rel=0.1)
    none = np.array([departure_variance(rng.standard_normal(200), np.ones(200)) for _ in range(50)])
    assert (none > 0).all()
    assert none.mean() < 0.2


def test_an_estimator_measures_what_shrinkage_learns_from(tiny, table):
    est = tiny(estimate="shrinkage", n_encoders=8).fit(table)
    plain = tiny(n_encoders=8).fit(table)
    assert set(Shrinkage().features) <= set(est.result_.run.values)
    assert not set(Shrinkage().features) & set(plain.result_.run.values)
    np.testing.assert_array_equal(est.result_.unbiased.score, plain.result_.score)
    assert est.result_.scores.prior_mean is not None


def test_shrunken_results_are_saved(tiny, table, tmp_path):
    result = tiny(estimate="shrinkage", n_encoders=8).fit(table).result_
    result.save(tmp_path / "result")
    np.testing.assert_array_equal(MemorizationResult.load(tmp_path / "result").score, result.score)
