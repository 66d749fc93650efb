"""The paper's protocol against a literal transcription, SciPy's tests, and rows without any effect."""

import numpy as np
import pytest
import torch
from scipy import stats

from sslmemo import MemorizationEstimator
from sslmemo.designs import Split
from sslmemo.experiments import paper_protocol
from sslmemo.experiments.paper_protocol import read_pairs
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

SPLIT = Split(shared=0.4, candidate=0.25, independent=0.25)  # a tenth is external


class Darker(torch.nn.Module):
    """One fixed view, so that a transcription needs no draws."""

    def forward(self, x):
        return 0.5 * x + 0.1 * x**2


def linear():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))


def planted(gap, roles, noise, seed=0, views=2.0):
    """A run of a split whose pair p has the differences gap + noise[p] (n_pairs, n)."""
    n_pairs, n = noise.shape
    plan = Split(roles).draw(n, 2 * n_pairs, seed)
    alignment = np.empty((2 * n_pairs, n))
    alignment[::2] = views  # f
    alignment[1::2] = views + gap + noise  # g
    return MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(n_pairs)))


def roles_of(n, rng, shares=(0.4, 0.25, 0.25, 0.1)):
    names = ("shared", "candidate", "independent", "external")
    return rng.permutation(np.repeat(names, (np.array(shares) * n).round().astype(int)))


def test_scores_equal_the_papers_equation_written_out(digits):
    X = digits[0]
    estimator = MemorizationEstimator(
        encoder=linear, augmentation=Darker(), epochs=2, keep_encoders=True, precision="fp32"
    )
    found = paper_protocol(
        X, estimator=estimator, split=SPLIT, n_pairs=2, random_state=0, verbose=0
    )
    run = found.result.run
    for p in range(2):
        distance = []
        for state in run.models[2 * p : 2 * p + 2]:
            weight, bias = _linear_weights(state)

            def embed(x, weight=weight, bias=bias):
                z = x.reshape(len(x), -1) @ weight.T + bias
                return z / np.linalg.norm(z, axis=1, keepdims=True)

            clean, view = embed(X), embed(0.5 * X + 0.1 * X**2)
            row = []
            for i in range(len(X)):
                draws = [np.sqrt(((view[i] - clean[i]) ** 2).sum()) for _ in range(5)]
                row.append(sum(draws) / 5)
            distance.append(row)
        f, g = np.array(distance)
        expected = (g - f) / ((g - f).max() - (g - f).min())
        np.testing.assert_allclose(found.pairs[p], expected, atol=2e-4)
        # f saw shared and candidate rows, g shared and independent ones
        for encoder, other in ((2 * p, "candidate"), (2 * p + 1, "independent")):
            np.testing.assert_array_equal(
                run.plan.member[encoder], np.isin(found.roles, ["shared", other])
            )
    np.testing.assert_array_equal(found.score, found.pairs[0])


def _linear_weights(state):
    matrices = {name: v for name, v in state.items() if v.shape == (8, 64)}
    (name,) = matrices
    return matrices[name].astype(float), state[name.replace("weight", "bias")].astype(float)


def test_group_tests_are_scipys():
    rng = np.random.default_rng(0)
    roles = roles_of(100, rng)
    gap = np.where(roles == "candidate", 0.5, 0.0) - np.where(roles == "independent", 0.5, 0.0)
    found = read_pairs(planted(gap, roles, 0.5 * rng.standard_normal((4, 100))))
    tests = found.tests()
    assert tests["greater"].tolist() == ["candidate"] * 3 + ["shared", "external"]
    for i, (a, b) in enumerate(zip(tests["greater"], tests["less"], strict=True)):
        expected = stats.ttest_ind(
            found.score[roles == a], found.score[roles == b], equal_var=False, alternative="greater"
        )
        assert tests["t"][i] == pytest.approx(expected.statistic, rel=1e-12)
        assert tests["df"][i] == pytest.approx(expected.df, rel=1e-12)
        assert tests["p_value"][i] == pytest.approx(expected.pvalue, rel=1e-12)
        means = found.pairs[:, roles == a].mean(1) - found.pairs[:, roles == b].mean(1)
        over = stats.ttest_1samp(means, 0)
        assert tests["pairs_p_value"][i] == pytest.approx(over.pvalue, rel=1e-9)
        ends = over.confidence_interval(0.95)
        assert (tests["low"][i], tests["high"][i]) == pytest.approx((ends.low, ends.high))
    assert (tests["p_value"] < 0.05).all()
    groups = found.groups()
    assert dict(zip(groups["role"], groups["n_rows"], strict=True)) == {
        "candidate": 25, "shared": 40, "independent": 25, "external": 10,
    }  # fmt: skip
    assert groups["mean"][0] == pytest.approx(found.score[roles == "candidate"].mean())
    assert np.ptp(found.score) == pytest.approx(1)


def test_without_an_effect_of_membership_the_groups_do_not_differ():
    p_rows, p_pairs = [], []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        roles = roles_of(80, rng)
        found = read_pairs(planted(0.3, roles, rng.standard_normal((3, 80)), seed))
        tests = found.tests()
        p_rows.append(tests["p_value"][0])
        p_pairs.append(tests["pairs_p_value"][0])
    assert stats.kstest(p_rows, "uniform").pvalue > 0.01
    assert stats.kstest(p_pairs, "uniform").pvalue > 0.01


def test_rows_of_one_pair_are_no_sample_of_trainings():
    """An encoder's effect on a group passes for one of membership in a row test, not over pairs."""
    by_rows, by_pairs = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        roles = roles_of(80, rng)
        luck = 0.6 * rng.standard_normal((4, 1)) * (roles == "candidate")
        found = read_pairs(planted(0.0, roles, luck + rng.standard_normal((4, 80)), seed))
        tests = found.tests()
        by_rows.append(tests["p_value"][0] < 0.05)
        by_pairs.append(tests["pairs_p_value"][0] < 0.05)
    assert np.mean(by_rows) > 0.15
    assert np.mean(by_pairs) < 0.12


def test_a_single_pair_is_told_its_noise_and_agrees_with_the_pool_without_it():
    rng = np.random.default_rng(0)
    n = 400
    roles = roles_of(n, rng)
    gap = np.where(roles == "candidate", rng.standard_normal(n), 0.0)
    pairs = planted(gap, roles, 1.5 * rng.standard_normal((6, n)))
    pool = planted(gap, roles, 1.5 * rng.standard_normal((24, n)), seed=1)
    found = read_pairs(pairs, pool)
    mine = roles == "candidate"
    each = found.pairs[:, mine]
    repeat = np.mean(
        [stats.spearmanr(each[i], each[j]).statistic for i in range(6) for j in range(i)]
    )
    assert float(found.repeatability) == pytest.approx(repeat)
    assert 0.1 < repeat < 0.5
    assert found.repeatability.low < repeat < found.repeatability.high
    a = found.agreement
    assert a.spearman[0, 1] == pytest.approx(
        np.mean([stats.spearmanr(s, pool.score[mine]).statistic for s in each])
    )
    assert a.spearman[0, 1] < 0.75
    assert a.low[0, 1] < 1 < a.high[0, 1]
    assert "Two pairs rank the 100 candidates alike by" in found.summary()
    said = (
        f"A pool of 48 encoders has a reliability of {a.reliability[1]:.2f} on them; "
        f"a single pair correlates {a.spearman[0, 1]:.2f} with it, and would by {a.corrected[0, 1]:.2f} "
        f"[{a.low[0, 1]:.2f}, {a.high[0, 1]:.2f}] without the noise of both"
    )
    assert said in repr(found)
    noise = read_pairs(
        pairs, planted(0 * gap, roles, rng.standard_normal((4, n)), seed=2)
    ).summary()
    assert noise.endswith("both are too noisy together to say more (not resolved)")
    same = planted(0 * gap, roles, np.zeros((4, n)), seed=3)
    assert (
        read_pairs(pairs, same).summary().endswith("there is no correlation, a score is constant")
    )
    table = found.table()
    np.testing.assert_array_equal(table["pool_score"], pool.score)
    np.testing.assert_array_equal(table["score"], found.score)
    with pytest.raises(ValueError, match="have blocks in common"):
        read_pairs(pairs, pairs)
    short = MemorizationResult(
        Run(Split(roles[:-1]).draw(n - 1, 2, 5), {"alignment": np.ones((2, n - 1))}, {}, np.ones(1))
    )
    with pytest.raises(ValueError, match="fitted on different rows"):
        read_pairs(pairs, short)


def test_failed_pairs_are_left_out():
    rng = np.random.default_rng(0)
    roles = roles_of(80, rng)
    result = planted(0.0, roles, rng.standard_normal((3, 80)))
    values = result.run.values["alignment"].copy()
    values[:2] = np.nan
    run = Run(result.run.plan, {"alignment": values}, {}, np.ones(3), {0: "diverged"})
    found = read_pairs(MemorizationResult(run))
    np.testing.assert_array_equal(found.pairs, read_pairs(result).pairs[1:])


def test_pools_of_every_kind(digits, tiny):
    X = digits[0]
    common = {"estimator": tiny(epochs=1), "split": SPLIT, "random_state": 0, "verbose": 0}
    with pytest.warns(UserWarning, match="n_pairs=1 is the paper's protocol") as caught:
        found = paper_protocol(X, n_pairs=1, pool=4, **common)
    assert len(caught) == 1
    last = found.summary().splitlines()[-1]
    assert last.startswith("A pool of 4 encoders has a reliability of ")
    assert last.endswith("its own noise included, which takes more pairs to know")
    assert "nan" not in found.summary()
    assert found.pool.run.plan.design == "subsample"
    assert found.pool.run.plan.n_encoders == 4
    assert found.pairs.shape == (1, len(X))
    assert np.isnan(float(found.repeatability))
    assert "unknown: n_pairs=1" in found.summary()
    assert not np.isin(found.pool.run.plan.seed, found.result.run.plan.seed).any()
    again = paper_protocol(X, n_pairs=3, pool=found.pool, **common)
    np.testing.assert_array_equal(again.pairs[0], found.pairs[0])  # prefix-stable
    assert again.pool is found.pool
    with pytest.raises(ValueError, match="n_pairs must be an int of at least 1"):
        paper_protocol(X, n_pairs=0)
    with pytest.raises(TypeError, match="pool must be a number of encoders"):
        paper_protocol(X, pool="64")
    with pytest.raises(TypeError, match="split must be a Split"):
        paper_protocol(X, split="split")
    with pytest.raises(TypeError, match="estimator must be a MemorizationEstimator"):
        paper_protocol(X, estimator=3)
