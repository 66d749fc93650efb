"""Correlation of the true scores of two fits, free of the noise that each has and of what they share.

The correlation of two noisy scores is smaller than that of the truths (attenuation), unless both fits
drew the same memberships and views: then their errors are alike and the correlation is larger. So
the covariance comes from different blocks of the two fits only, and each variance from different
blocks of one fit (Spearman, The proof and measurement of association between two things, American
Journal of Psychology 1904, with covariances from distinct replicates).
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from .blocks import check_level
from .reliability import Interval, block_covariance

__all__ = ["true_correlation"]


def true_correlation(a, b, seeds_a, seeds_b, level=0.95):
    """Correlation of the true scores of two fits over the same rows.

    Parameters
    ----------
    a, b : ndarray of float, shape (n_blocks, n_samples)
        Block values of the fits, `Scores.blocks`; the numbers of blocks may differ.
    seeds_a, seeds_b : array-like, shape (n_blocks,)
        Seeds of the blocks. Two blocks of one seed share memberships and views, and are no pair.
    level : float, default=0.95

    Returns
    -------
    Interval
        Mean covariance of pairs of blocks with different seeds, over the roots of the two variances
        of true scores; not clipped, so it can lie beyond 1. The interval is a jackknife that leaves
        out a block of both fits at once where they share seeds, and of each in turn where not. NaN
        where a fit shows no variance of true scores, for its ends with fewer than three blocks.

    Raises
    ------
    ValueError
        The fits have other numbers of rows, or `level` lies outside (0, 1).
    """
    check_level(level)
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"the fits have {a.shape[1]} and {b.shape[1]} rows: fit the same rows.")
    seeds_a, seeds_b = np.asarray(seeds_a), np.asarray(seeds_b)
    within_a, within_b, across = block_covariance(a), block_covariance(b), block_covariance(a, b)
    distinct = seeds_a[:, None] != seeds_b
    worked_a, worked_b = np.isfinite(a).any(1), np.isfinite(b).any(1)  # a failed block says nothing

    def correlation(keep_a, keep_b):
        keep_a, keep_b = keep_a & worked_a, keep_b & worked_b
        signal_a = _mean(within_a, keep_a, keep_a, ~np.eye(len(a), dtype=bool))
        signal_b = _mean(within_b, keep_b, keep_b, ~np.eye(len(b), dtype=bool))
        if not (signal_a > 0 and signal_b > 0):
            return np.nan
        return _mean(across, keep_a, keep_b, distinct) / np.sqrt(signal_a * signal_b)

    every_a, every_b = np.ones(len(a), bool), np.ones(len(b), bool)
    whole = correlation(every_a, every_b)
    if np.isin(seeds_a, seeds_b).any():
        units = np.union1d(seeds_a[worked_a], seeds_b[worked_b])
        parts = [[correlation(seeds_a != u, seeds_b != u) for u in units]]
    else:
        parts = [
            [correlation(np.arange(len(a)) != j, every_b) for j in np.flatnonzero(worked_a)],
            [correlation(every_a, np.arange(len(b)) != j) for j in np.flatnonzero(worked_b)],
        ]
    fewest = min(worked_a.sum(), worked_b.sum())
    if fewest < 3:
        return Interval(whole, np.nan, np.nan, level)
    variance = sum((len(p) - 1) / len(p) * np.sum((np.array(p) - np.mean(p)) ** 2) for p in parts)
    half = np.sqrt(variance) * stats.t.ppf((1 + level) / 2, fewest - 1)
    return Interval(float(whole), float(whole - half), float(whole + half), level)


def _mean(covariance, rows, columns, allowed):
    """Mean over the allowed pairs of blocks, NaN where there is none."""
    use = rows[:, None] & columns & allowed
    return float(covariance[use].mean()) if use.any() else np.nan
