import numpy as np
import pytest
from coverage_tables import planted_pool, planted_truth
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sslmemo.designs import Subsample
from sslmemo.estimates import (
    Difference,
    noise_band,
    null_scores,
    one_sided_p,
    q_values,
    sign_flip_q,
)
from sslmemo.estimates.nulls import flipped_scores

pytestmark = pytest.mark.filterwarnings("error")


def scored(seed, n_blocks=16, n=500, **noise):
    rng = np.random.default_rng([seed, n_blocks])
    truth = planted_truth(rng, n)
    alignment, plan = planted_pool(rng, truth, n_blocks, **noise)
    return truth, Difference()({"alignment": alignment}, plan)


def test_p_is_the_t_test_against_the_median():
    _, scores = scored(0, n=15)  # so few rows that nothing is moderated
    expected = [
        stats.ttest_1samp(d, np.median(scores.score), alternative="greater").pvalue
        for d in scores.blocks.T
    ]
    assert_allclose(one_sided_p(scores), expected)
    assert (one_sided_p(scores, 0.0) < one_sided_p(scores)).all()


def test_p_of_rows_without_noise_or_error():
    plan = Subsample(0.5).draw(30, 8, 0)
    alignment = np.where(plan.member, 0.0, np.arange(30.0))
    p = one_sided_p(Difference()({"alignment": alignment}, plan), 10)
    assert_array_equal(p, np.arange(30) <= 10)
    one = Difference()({"alignment": alignment[:2]}, plan.take([0]))
    assert np.isnan(one_sided_p(one)).all()
    assert np.isnan(q_values(one_sided_p(one))).all()


def test_q_is_benjamini_and_hochberg():
    p = np.array([0.001, 0.8, 0.02, 0.02, np.nan, 0.04])
    known = p[np.isfinite(p)]
    expected = [
        min(len(known) * t / np.sum(known <= t) for t in known if t >= x)
        if np.isfinite(x)
        else np.nan
        for x in p
    ]
    assert_allclose(q_values(p), expected)
    assert np.isnan(q_values([np.nan])).all()


def test_p_values_of_unmemorized_rows_are_uniform_or_larger():
    for n_blocks in (4, 16):
        at_threshold = []
        for seed in range(40):
            truth, scores = scored(seed, n_blocks)
            near = np.argsort(np.abs(truth - np.median(truth)))[:25]
            at_threshold.append(one_sided_p(scores, np.median(truth))[near])
        at_threshold = np.concatenate(at_threshold)
        for level in (0.05, 0.2):
            assert np.mean(at_threshold < level) < level + 0.03


def test_false_discoveries_stay_below_the_promise_and_flips_agree():
    found, flipped, false, false_flipped = [], [], [], []
    for seed in range(20):
        truth, scores = scored(seed)
        threshold = np.median(truth)
        q = q_values(one_sided_p(scores, threshold))
        q_flip = sign_flip_q(scores.blocks, threshold)
        for q_one, counts, shares in ((q, found, false), (q_flip, flipped, false_flipped)):
            reported = q_one < 0.1
            counts.append(reported.sum())
            shares.append(np.mean(truth[reported] <= threshold))
    assert np.mean(false) < 0.05
    assert np.mean(false_flipped) < 0.05
    assert np.mean(flipped) == pytest.approx(np.mean(found), rel=0.1)
    assert np.mean(found) > 40


def test_flips_find_nothing_in_noise_even_when_rows_share_it():
    rng = np.random.default_rng(0)
    alarms = []
    for seed in range(60):
        shared = rng.normal(size=(12, 1)) * rng.normal(size=200)
        alarms.append(
            (sign_flip_q(shared + rng.normal(size=(12, 200)), 0.0, seed=seed) < 0.1).any()
        )
    assert np.mean(alarms) < 0.17


def test_sign_flip_q_against_loops():
    rng = np.random.default_rng(0)
    blocks = rng.normal(size=(8, 30)) + rng.gamma(1, size=30)
    threshold = np.median(blocks.mean(0))
    t = (blocks.mean(0) - threshold) / (blocks.std(0, ddof=1) / np.sqrt(8))
    nulls = [null for _, null in flipped_scores(blocks, 50, 3)]
    rate = [min(1, np.mean([np.sum(null >= x) for null in nulls]) / np.sum(t >= x)) for x in t]
    expected = [min(r for r, y in zip(rate, t, strict=True) if y <= x) for x in t]
    assert_allclose(sign_flip_q(blocks, n_flips=50, seed=3), expected)
    assert np.isnan(sign_flip_q(blocks[:1])).all()


def test_null_scores_are_signed_residuals_of_the_right_size():
    _, scores = scored(0)
    rng_scores = np.array([score for score, _ in flipped_scores(scores.blocks, 400, 0)])
    assert_array_equal(null_scores(scores.blocks), rng_scores[0])
    ratio = np.mean(rng_scores**2, 0) / scores.raw_standard_error**2
    assert np.mean(ratio) == pytest.approx(1, abs=0.02)
    signs = np.sign(rng_scores)
    assert abs(signs.mean()) < 0.02
    residual = (scores.blocks - scores.score) * np.sqrt(16 / 15)
    solved = np.linalg.lstsq(residual.T, 16 * rng_scores[0], rcond=None)[0]
    fitted = residual.T @ solved  # residuals sum to zero: signs up to a constant
    assert_allclose(fitted, 16 * rng_scores[0], atol=1e-9)


@pytest.mark.parametrize("n_blocks", [4, 16])
def test_noise_band_holds_fresh_null_scores(n_blocks):
    inside = []
    for seed in range(15):
        truth, scores = scored(seed, n_blocks)
        low, high = noise_band(scores.blocks, 0.9)
        rng = np.random.default_rng([1, seed])
        fresh = ((0.02 + 0.8 * truth) * rng.normal(size=(n_blocks, 500))).mean(0)
        inside.append(np.mean((fresh > low) & (fresh < high)))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)
    assert np.isnan(noise_band(scores.blocks[:1])).all()
    with pytest.raises(ValueError, match="level"):
        noise_band(scores.blocks, 1.0)
