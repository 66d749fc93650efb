"""Which rows are memorized more than a threshold, with the share of false ones under control."""

from __future__ import annotations

import numbers

import numpy as np
from scipy import stats

from .._compat import check_in_range
from .blocks import mean_or_nan
from .nulls import flipped_scores

__all__ = ["one_sided_p", "q_values", "sign_flip_q"]


def one_sided_p(scores, min_score=None):
    """P values of "the row's true score is at most min_score", by the moderated t test.

    Parameters
    ----------
    scores : Scores
        Of an estimate.
    min_score : float, default=None
        In the unit of the score. None means the pool's median score: against 0 nearly every row of
        an ordinary pool is significant, which tells nothing.

    Returns
    -------
    ndarray of float, shape (n_samples,)
        From the unbiased difference; NaN where its standard error is. A row without any noise has 0
        above min_score, else 1.
    """
    scores = scores.difference
    excess = scores.score - _threshold(scores.score, min_score)
    noise_free = scores.standard_error == 0
    t = excess / np.where(noise_free, 1.0, scores.standard_error)
    return np.where(noise_free, np.where(excess > 0, 0.0, 1.0), stats.t.sf(t, scores.df))


def q_values(p):
    """Benjamini-Hochberg q values: the smallest false discovery rate at which the row is reported.

    Parameters
    ----------
    p : array-like of float, shape (n_samples,)
        P values in [0, 1]; NaN is left out of the count and stays NaN.

    Returns
    -------
    ndarray of float, shape (n_samples,)

    References
    ----------
    Benjamini and Hochberg, Controlling the false discovery rate, JRSS B 1995.
    """
    p = np.asarray(p, dtype=float)
    q = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        q[known] = stats.false_discovery_control(p[known])
    return q


def sign_flip_q(blocks, min_score=None, n_flips=200, seed=0):
    """Check of the q values that assumes no distribution, only symmetric blocks.

    The null distribution of the t statistics, with all correlation between rows, comes from block
    residuals with flipped signs; q of a row is the mean number of null statistics at or above
    its own over the number of observed ones. Like Benjamini-Hochberg it counts all rows as null.

    Parameters
    ----------
    blocks : ndarray of float, shape (n_blocks, n_samples)
        Block values, `Scores.blocks`. With few blocks flips are coarse: 8 or more are wanted.
    min_score : float, default=None
        None means the median score.
    n_flips : int, default=200
        Draws of the signs.
    seed : int, default=0
        Of the draws.

    Returns
    -------
    ndarray of float, shape (n_samples,)
        NaN for a row without spread over blocks.

    References
    ----------
    Tusher, Tibshirani and Chu, Significance analysis of microarrays, PNAS 2001.
    """
    n = np.isfinite(blocks).sum(0)
    score = mean_or_nan(blocks)
    deviation = np.where(np.isfinite(blocks), blocks - score, 0.0)
    error = np.sqrt((deviation**2).sum(0) / np.maximum(n * (n - 1), 1))
    known = error > 0
    q = np.full(blocks.shape[1], np.nan)
    if not known.any():
        return q
    t = (score - _threshold(score, min_score))[known] / error[known]
    order = np.argsort(-t, kind="stable")
    ascending = t[order][::-1]
    above = np.zeros(len(t))  # null statistics at or above each observed one, descending
    for _, null in flipped_scores(blocks[:, known], n_flips, seed):
        at = np.searchsorted(ascending, null, side="right")  # observed ones at or below
        above += np.cumsum(np.bincount(len(t) - at, minlength=len(t) + 1))[: len(t)]
    observed = len(t) - np.searchsorted(ascending, t[order], side="left")
    rate = np.minimum(above / n_flips / observed, 1.0)
    values = np.empty(len(t))
    values[order] = np.minimum.accumulate(rate[::-1])[::-1]
    q[known] = values
    return q


def _threshold(score, min_score):
    if min_score is not None:
        check_in_range("min_score", min_score, numbers.Real, finite=True)
        return float(min_score)
    return np.median(score[np.isfinite(score)]) if np.isfinite(score).any() else np.nan
