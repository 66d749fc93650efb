"""Agreement of fits whose true scores, noise and common noise are planted."""

import numpy as np
import pytest

from sslmemo.designs import Subsample
from sslmemo.estimates.attenuation import true_correlation
from sslmemo.experiments import agreement, consensus, overlap, prevalence
from sslmemo.experiments.prevalence import share_above, true_distribution
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

N = 300


def planted(truth, noise, entropy=0):
    """A result whose block differences are the truth plus the noise (n_blocks, n)."""
    n_blocks, n = noise.shape
    plan = Subsample().draw(n, 2 * n_blocks, entropy)
    gap = np.repeat(truth + noise, 2, axis=0)
    alignment = 2.0 + np.where(plan.member, -gap / 2, gap / 2)
    return MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(n_blocks)))


def truths(rng, correlation, n=N):
    first = rng.standard_normal(n)
    second = correlation * first + np.sqrt(1 - correlation**2) * rng.standard_normal(n)
    return first, second


def pair(seed, correlation, n_blocks=12, common=1.5, own=1.0, entropies=(0, 0)):
    """Two results with planted correlation of the truths and a common noise of the blocks."""
    rng = np.random.default_rng(seed)
    a, b = truths(rng, correlation)
    shared = common * rng.standard_normal((n_blocks, N))
    return [
        planted(t, shared + own * rng.standard_normal((n_blocks, N)), e)
        for t, e in zip((a, b), entropies, strict=True)
    ]


def test_correction_equals_its_definition():
    a, b = pair(0, 0.5, n_blocks=5)
    x, y = a.scores.blocks, b.scores.blocks

    def mean_covariance(u, v):
        pairs = [np.cov(u[j], v[k])[0, 1] for j in range(5) for k in range(5) if j != k]
        return np.mean(pairs)

    expected = mean_covariance(x, y) / np.sqrt(mean_covariance(x, x) * mean_covariance(y, y))
    seeds = a.run.plan.seed
    assert true_correlation(x, y, seeds, seeds).value == pytest.approx(expected, rel=1e-10)
    elsewhere = true_correlation(x, y, seeds, seeds + 1)  # no seed in common: all pairs count
    every = np.mean([np.cov(x[j], y[k])[0, 1] for j in range(5) for k in range(5)])
    expected = every / np.sqrt(mean_covariance(x, x) * mean_covariance(y, y))
    assert elsewhere.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 1.0])
def test_common_noise_is_no_agreement(correlation):
    found, naive, covered = [], [], 0
    for seed in range(120):
        a, b = pair(seed, correlation)
        true = true_correlation(a.scores.blocks, b.scores.blocks, a.run.plan.seed, b.run.plan.seed)
        found.append(true.value)
        naive.append(np.corrcoef(a.score, b.score)[0, 1])
        rows = np.random.default_rng(seed)
        realised = np.corrcoef(*truths(rows, correlation))[0, 1]
        covered += true.low <= realised <= true.high
    assert np.mean(found) == pytest.approx(correlation, abs=0.015)
    if correlation == 0:
        assert np.mean(naive) > 0.1  # what two fits with one random_state would seem to share
    assert 0.88 <= covered / 120 <= 1.0
    if correlation == 1:
        assert max(found) > 1  # not clipped


def test_the_matrix_is_symmetric_and_says_what_is_not_resolved():
    a, b = pair(1, 0.7)
    rng = np.random.default_rng(5)
    noise = planted(0.1 * rng.standard_normal(N), rng.standard_normal((12, N)))
    found = agreement({"a": a, "b": b, "noise": noise})
    assert found.shares_blocks
    np.testing.assert_array_equal(found.corrected, found.corrected.T)
    np.testing.assert_array_equal(np.diag(found.corrected), 1)
    assert found.resolved[0, 1]
    assert not found.resolved[:, 2].any()
    assert "a and b: true scores correlate" in found.summary()
    assert "a and noise: not resolved" in found.summary()
    table = found.pairs()
    assert table["first"].tolist() == ["a", "a", "b"]
    assert table["resolved"].tolist() == [True, False, False]
    other = pair(2, 0.7, entropies=(0, 1))
    assert not agreement(other).shares_blocks


def test_fits_of_other_sizes_and_failed_blocks():
    rng = np.random.default_rng(0)
    a, b = truths(rng, 0.8)
    few = planted(a, rng.standard_normal((8, N)), 0)
    many = planted(b, rng.standard_normal((20, N)), 0)
    found = agreement([few, many])
    realised = np.corrcoef(a, b)[0, 1]
    assert found.low[0, 1] < realised < found.high[0, 1]
    broken = many.run.values["alignment"].copy()
    broken[4] = np.nan
    lost = MemorizationResult(Run(many.run.plan, {"alignment": broken}, {}, np.ones(20)))
    without = agreement([few, lost])
    assert without.corrected[0, 1] == pytest.approx(found.corrected[0, 1], abs=0.1)
    assert np.isfinite(without.low[0, 1])


def test_overlap_lies_between_chance_and_its_ceiling():
    rng = np.random.default_rng(0)
    truth = rng.gamma(1.0, 1.0, N)
    sure = [planted(truth, 1e-4 * rng.standard_normal((8, N)), e) for e in (0, 1)]
    found = overlap(sure, k=15)
    assert found.chance == pytest.approx(0.05)
    assert found.observed[0, 1] == 1
    assert found.ceiling[0, 1] > 0.99
    unlike = [planted(rng.gamma(1.0, 1.0, N), 0.1 * rng.standard_normal((8, N)), e) for e in (2, 3)]
    assert "of their top 15; chance 5%" in repr(found)
    with pytest.warns(UserWarning, match="share blocks, and so noise"):
        overlap([sure[0], sure[0]])
    assert overlap(unlike, k=60).observed[0, 1] == pytest.approx(0.2, abs=0.12)
    observed, ceiling = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = rng.gamma(1.0, 1.0, N)
        noisy = [planted(truth, 2.5 * rng.standard_normal((8, N)), e) for e in (0, 1)]
        both = overlap(noisy, k=30)
        observed.append(both.observed[0, 1])
        ceiling.append(both.ceiling[0, 1])
    assert np.mean(ceiling) == pytest.approx(np.mean(observed), abs=0.06)
    assert 0.3 < np.mean(ceiling) < 0.9


def test_consensus_finds_the_planted_rows():
    rng = np.random.default_rng(0)
    fits = {}
    for e, name in enumerate("abc"):
        truth = 0.3 * rng.standard_normal(N)
        truth[:5] += 4.0
        fits[name] = planted(truth, rng.standard_normal((8, N)), e)
    table = consensus(fits, k=5).sort("probability")
    assert set(table["row"][:5]) == set(range(5))
    assert table["n_top"][:5].tolist() == [3] * 5
    assert table["probability"][0] > 0.9
    np.testing.assert_array_equal(consensus(fits)["b"], fits["b"].score)


def test_prevalence_is_held_out_minus_training_alignment():
    rng = np.random.default_rng(0)
    result = planted(0.5 + 0.2 * rng.standard_normal(N), rng.standard_normal((16, N)))
    member, alignment = result.run.plan.member, result.run.values["alignment"]
    table = prevalence({"a": result}, thresholds=[1.0])
    gap = alignment[~member].mean() - alignment[member].mean()
    assert table["mean"][0] == pytest.approx(gap, rel=1e-9)
    assert table["mean_low"][0] < 0.5 < table["mean_high"][0]
    assert table["mean_high"][0] - table["mean_low"][0] < 0.1


def test_raw_tails_are_overstated_and_deconvolved_ones_are_not():
    shares, raw, covered = [], [], 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0.5, 0.5, N)
        result = planted(truth, 3.0 * rng.standard_normal((16, N)))  # noise 0.75 on the score
        share, low, high = share_above(result, 1.5)
        shares.append(share)
        raw.append((result.score > 1.5).mean())
        covered += low <= (truth > 1.5).mean() <= high
    exact = 0.0228  # P(normal > 2)
    assert np.mean(raw) > 4 * exact
    assert abs(np.mean(shares) - exact) < 0.4 * (np.mean(raw) - exact)
    assert covered >= 16
    theta, weight = true_distribution(result)
    assert weight.sum() == pytest.approx(1)
    assert np.sqrt(weight @ (theta - weight @ theta) ** 2) == pytest.approx(0.5, abs=0.2)


def test_bad_calls_are_named():
    a, b = pair(0, 0.5)
    short = planted(np.zeros(20), np.random.default_rng(0).standard_normal((4, 20)))
    with pytest.raises(ValueError, match="at least 2 are needed"):
        agreement([a])
    with pytest.raises(TypeError, match="several results"):
        agreement(a)
    with pytest.raises(TypeError, match=r"results\['x'\] is a str"):
        agreement({"x": "no", "y": a})
    with pytest.raises(ValueError, match="different rows"):
        agreement([a, short])
    with pytest.raises(ValueError, match="k must lie between 1"):
        consensus([a, b], k=N + 1)
