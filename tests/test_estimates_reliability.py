import itertools
import sys

import numpy as np
import pytest
from coverage_tables import planted_truth
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sslmemo.designs import Plan, Subsample
from sslmemo.estimates import Difference, blocks_for, reliability, spearman_reliability
from sslmemo.estimates.reliability import _halves
from sslmemo.randomness import generator

pytestmark = pytest.mark.filterwarnings("error")


def pool(rng, truth, n_blocks, floor=0.02, slope=0.8):
    shared = 0.02 * rng.normal(size=(n_blocks, 1))  # what a block adds to all rows
    noise = (floor + slope * truth) * rng.normal(size=(n_blocks, len(truth)))
    return truth + shared + noise


@pytest.mark.parametrize("n_blocks", [2, 4, 6, 8])
def test_equals_the_average_split_half_stepped_up(n_blocks):
    rng = np.random.default_rng(n_blocks)
    blocks = pool(rng, planted_truth(rng, 60), n_blocks)
    covariances, variances = [], []
    for half in itertools.combinations(range(n_blocks), n_blocks // 2):
        a = blocks[list(half)].mean(0)
        b = np.delete(blocks, half, axis=0).mean(0)
        c = np.cov(a, b)
        covariances.append(c[0, 1])
        variances += [c[0, 0], c[1, 1]]
    r = np.mean(covariances) / np.mean(variances)
    found = reliability(blocks)
    assert_allclose(found.value, 2 * r / (1 + r), rtol=1e-12)

    centred = blocks - blocks.mean(1, keepdims=True)
    s2 = centred.var(0, ddof=1).sum() / (60 - 1)
    assert_allclose(found.value, 1 - s2 / n_blocks / blocks.mean(0).var(ddof=1), rtol=1e-12)
    pairs = itertools.permutations(range(n_blocks), 2)
    c = np.mean([np.cov(blocks[j], blocks[k])[0, 1] for j, k in pairs])
    assert_allclose(found.value, c / blocks.mean(0).var(ddof=1), rtol=1e-12)


def test_interval_is_the_jackknife_over_blocks():
    rng = np.random.default_rng(0)
    blocks = pool(rng, planted_truth(rng, 100), 6)

    def log_unreliability(part):
        r = reliability(part).value
        odds = r / (1 - r) * 6 / len(part)  # Spearman-Brown back to six blocks
        return -np.log1p(odds)

    whole = log_unreliability(blocks)
    deleted = np.array([log_unreliability(np.delete(blocks, b, 0)) for b in range(6)])
    half = stats.t.ppf(0.95, 5) * np.sqrt(5 / 6 * np.sum((deleted - deleted.mean()) ** 2))
    found = reliability(blocks, 0.9)
    assert_allclose([found.low, found.high], 1 - np.exp([whole + half, whole - half]))
    assert found.low < float(found) < found.high < 1
    assert found.level == 0.9


@pytest.mark.parametrize("n_blocks", [4, 8, 16])
def test_predicts_the_correlation_of_an_independent_rerun(n_blocks):
    rng = np.random.default_rng(n_blocks)
    told, seen, told_spearman, seen_spearman = [], [], [], []
    for _ in range(60):
        truth = planted_truth(rng, 500)
        first, second = pool(rng, truth, n_blocks), pool(rng, truth, n_blocks)
        told.append(float(reliability(first)))
        seen.append(np.corrcoef(first.mean(0), second.mean(0))[0, 1])
        if len(told) <= 20:
            told_spearman.append(spearman_reliability(first))
            seen_spearman.append(stats.spearmanr(first.mean(0), second.mean(0))[0])
    assert np.mean(told) == pytest.approx(np.mean(seen), abs=0.02)
    # stepping up is no identity for ranks: it reads a little low at 4 blocks
    assert np.mean(told_spearman) == pytest.approx(np.mean(seen_spearman), abs=0.05)


def test_predicts_it_for_independent_subsets_too():
    rng = np.random.default_rng(0)
    told, seen = [], []
    for r in range(20):
        truth = planted_truth(rng, 400)
        scores = []
        for half in range(2):
            plan = Subsample(0.7, balanced=False).draw(400, 32, 2 * r + half)
            alignment = 0.3 - plan.member * truth + 0.03 * rng.normal(size=(32, 1))
            alignment = alignment + 0.7 * (0.02 + 0.8 * truth) * rng.normal(size=(32, 400))
            scores.append(Difference()({"alignment": alignment}, plan))
        told.append(float(reliability(scores[0].blocks)))
        seen.append(np.corrcoef(scores[0].score, scores[1].score)[0, 1])
        by_error = 1 - np.nanmean(scores[0].raw_standard_error ** 2) / scores[0].score.var()
        assert told[-1] == pytest.approx(by_error, abs=0.02)
    assert np.mean(told) == pytest.approx(np.mean(seen), abs=0.02)


def test_spearman_against_all_splits():
    rng = np.random.default_rng(0)
    blocks = pool(rng, planted_truth(rng, 50), 6)
    r = np.mean(
        [
            stats.spearmanr(blocks[list(h)].mean(0), np.delete(blocks, h, 0).mean(0))[0]
            for h in itertools.combinations(range(6), 3)
        ]
    )
    assert_allclose(spearman_reliability(blocks), 2 * r / (1 + r))
    many = pool(rng, planted_truth(rng, 50), 16)
    assert spearman_reliability(many, seed=1) == spearman_reliability(many, seed=1)
    assert spearman_reliability(many, seed=1) == pytest.approx(spearman_reliability(many), abs=0.02)


@pytest.mark.parametrize("n_blocks", [2, 5, 12])
def test_many_splits_at_once_are_one_after_another(n_blocks, monkeypatch):
    rng = np.random.default_rng(n_blocks)
    blocks = pool(rng, planted_truth(rng, 400), n_blocks)

    def literal():
        halves = _halves(n_blocks, generator(0, "halves"))
        r = np.mean([
            stats.spearmanr(
                np.nanmean(blocks[h], 0), np.nanmean(blocks[~h], 0), nan_policy="omit"
            )[0]
            for h in halves
        ])  # fmt: skip
        return 2 * r / (1 + r)

    assert spearman_reliability(blocks) == pytest.approx(literal(), rel=1e-12)
    monkeypatch.setattr(
        sys.modules["sslmemo.estimates.reliability"], "HELD", 1000
    )  # two splits at a time
    assert spearman_reliability(blocks) == pytest.approx(literal(), rel=1e-12)
    if n_blocks > 2:  # every half still says something of every row
        blocks[1, ::3] = np.nan
        assert spearman_reliability(blocks) == pytest.approx(literal(), rel=1e-12)


@pytest.mark.parametrize("n_blocks", [4, 8, 16])
def test_intervals_cover(n_blocks):
    """95% intervals of the reliability and of the blocks needed: at least .93, none hides."""
    rng = np.random.default_rng(n_blocks)
    hits, infinite = [], []
    for _ in range(300):
        truth = planted_truth(rng, 400)
        signal, noise = truth.var(ddof=1), np.mean((0.02 + 0.8 * truth) ** 2)
        blocks = pool(rng, truth, n_blocks)
        true, needed = signal / (signal + noise / n_blocks), 4 * noise / signal
        r, k = reliability(blocks), blocks_for(0.8, blocks)
        hits.append([r.low <= true <= r.high, k.low <= needed <= k.high])
        infinite.append(np.isinf(k.high))
    assert (np.mean(hits, 0) > 0.93).all()
    assert np.mean(infinite) < 0.15


def test_blocks_for_inverts_the_reliability():
    rng = np.random.default_rng(0)
    blocks = pool(rng, planted_truth(rng, 300), 10)
    now = float(reliability(blocks))
    assert blocks_for(now, blocks).value == pytest.approx(10)
    r = blocks_for(0.9, blocks)
    assert r.low < r.value < r.high
    noise = rng.normal(size=(6, 100))
    assert blocks_for(0.8, noise).high == np.inf
    for bad in (0, 1, 1.5):
        with pytest.raises(ValueError, match="target must lie strictly between 0 and 1"):
            blocks_for(bad, blocks)


def test_edges():
    rng = np.random.default_rng(0)
    blocks = pool(rng, planted_truth(rng, 30), 4)
    for few in (blocks[:1], blocks[:, :1], np.full((3, 5), np.nan)):
        assert np.isnan(reliability(few).value)
        assert np.isnan(spearman_reliability(few))
        assert np.isnan(blocks_for(0.8, few).value)
    two = reliability(blocks[:2])
    assert np.isfinite(two.value)
    assert np.isnan(two.low)
    same = np.tile(blocks[0], (4, 1))
    assert reliability(same).value == 1
    assert reliability(same).high == 1
    with_gaps = np.vstack([blocks, np.full((1, 30), np.nan)])
    with_gaps = np.hstack([with_gaps, np.full((5, 2), np.nan)])
    assert reliability(with_gaps) == reliability(blocks)
    assert np.isnan(spearman_reliability(np.ones((4, 10))))
    with pytest.raises(ValueError, match="level must lie"):
        reliability(blocks, 95)


def test_does_not_read_copies_as_agreement():
    """Why no bootstrap: blocks drawn with replacement read too high."""
    rng = np.random.default_rng(0)
    blocks = pool(rng, planted_truth(rng, 400), 16)
    drawn = [float(reliability(blocks[rng.integers(0, 16, 16)])) for _ in range(50)]
    assert np.mean(drawn) > float(reliability(blocks)) + 0.01


def test_failed_blocks_change_nothing_else():
    rng = np.random.default_rng(0)
    plan = Subsample(0.5).draw(40, 12, 0)
    alignment = rng.gamma(3, size=(12, 40))
    alignment[4] = np.nan
    scores = Difference()({"alignment": alignment}, plan)
    kept = np.arange(12) // 2 != 2
    part = Plan(plan.member[kept], plan.block[kept], plan.seed[[0, 1, 3, 4, 5]])
    fewer = Difference()({"alignment": alignment[kept]}, part)
    assert_array_equal(
        [reliability(scores.blocks).value, reliability(scores.blocks).low],
        [reliability(fewer.blocks).value, reliability(fewer.blocks).low],
    )
