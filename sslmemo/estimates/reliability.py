"""How well the scores agree with an independent rerun's, and how many blocks that takes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..randomness import generator
from .blocks import check_level, mean_or_nan

__all__ = ["Interval", "block_covariance", "blocks_for", "reliability", "spearman_reliability"]

MOST_SPLITS = 200
HELD = 2**21  # scores of halves that are ranked at once


@dataclass(frozen=True)
class Interval:
    """A number with its confidence interval; `float` gives the number.

    Attributes
    ----------
    value, low, high : float
    level : float
        Confidence of low to high.
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    def __float__(self):
        return self.value


def reliability(blocks, level=0.95):
    """Pearson correlation of the scores with those of an independent rerun of the whole design.

    1 - mean(s^2) / K / var(score) over K blocks, each centred over the rows, with n - 1 in both.
    It equals the covariance of two blocks averaged over all pairs, over the variance of the score:
    the average split-half stepped up by Spearman and Brown. The interval is a delete-one-block
    jackknife of log(1 - reliability); a bootstrap over blocks would put copies of a block into both
    halves and read too high.

    Parameters
    ----------
    blocks : ndarray of float, shape (n_blocks, n_samples)
        Block values, `Scores.blocks`. For independent subsets, whose values are linearised, the
        answer is approximate.
    level : float, default=0.95
        Confidence, in (0, 1).

    Returns
    -------
    Interval
        At most 1, possibly below 0; NaN for fewer than two blocks or rows. The ends are NaN for
        fewer than three blocks.
    """
    check_level(level)
    covariance = _usable_covariance(blocks)
    n_blocks = len(covariance)
    if n_blocks < 2:
        return Interval(np.nan, np.nan, np.nan, level)

    def log_unreliability(part):
        signal, noise = _signal_and_noise(part)
        # of n_blocks blocks, also when estimated from one fewer
        return _log_ratio(noise, n_blocks * signal + noise)

    whole = log_unreliability(covariance)
    half = np.nan
    if n_blocks > 2:
        keep = ~np.eye(n_blocks, dtype=bool)
        deleted = np.array([log_unreliability(covariance[np.ix_(k, k)]) for k in keep])
        spread = np.sqrt((n_blocks - 1) / n_blocks * np.sum((deleted - deleted.mean()) ** 2))
        half = spread * stats.t.ppf((1 + level) / 2, n_blocks - 1)
    value, low, high = (
        float(1 - np.exp(min(x, 700.0))) for x in (whole, whole + half, whole - half)
    )
    return Interval(value, max(low, -1.0), high, level)  # a correlation's end is at least -1


def blocks_for(target, blocks, level=0.95):
    """How many blocks give the wanted reliability, from a pilot's.

    Parameters
    ----------
    target : float
        Wanted reliability, in (0, 1).
    blocks : ndarray of float, shape (n_blocks, n_samples)
        The pilot's block values, of at least two blocks; three for the interval.
    level : float, default=0.95
        Confidence, in (0, 1).

    Returns
    -------
    Interval
        Numbers of blocks, not rounded. inf where the pilot shows no signal, or its interval holds
        the possibility that there is none. The ends are those of the pilot's `reliability`.

    Raises
    ------
    ValueError
        If `target` or `level` lies outside (0, 1).
    """
    if not 0 < target < 1:
        raise ValueError(f"target must lie strictly between 0 and 1, got {target!r}.")
    pilot = reliability(blocks, level)
    n_blocks = len(_usable_covariance(blocks))

    def needed(r):
        # the odds r / (1 - r) of a reliability grow in proportion to the blocks (Spearman-Brown)
        if np.isnan(r):
            return np.nan
        return float(n_blocks * target / (1 - target) * (1 - r) / r) if r > 0 else np.inf

    return Interval(needed(pilot.value), needed(pilot.high), needed(pilot.low), level)


def spearman_reliability(blocks, seed=0):
    """Spearman correlation of two halves of the blocks, averaged over splits and stepped up.

    The step 2 r / (1 + r) is exact for Pearson correlations only; this number is for those who
    act on ranks, and is named apart from `reliability`.

    Parameters
    ----------
    blocks : ndarray of float, shape (n_blocks, n_samples)
        Block values, `Scores.blocks`.
    seed : int, default=0
        Of 200 random splits, where there are more than that.

    Returns
    -------
    float
        NaN for fewer than two blocks, or without any spread between rows.
    """
    blocks = _usable(blocks)
    n_blocks = len(blocks)
    if n_blocks < 2 or blocks.shape[1] < 2:
        return np.nan
    halves = _halves(n_blocks, generator(seed, "halves"))
    if np.isfinite(blocks).all():
        r = float(_rank_correlations(blocks, np.array(halves)).mean())
    else:
        r = float(np.mean([
            _spearman(mean_or_nan(blocks[half]), mean_or_nan(blocks[~half])) for half in halves
        ]))  # fmt: skip
    return -np.inf if r <= -1 else 2 * r / (1 + r)


def _halves(n_blocks, rng):
    """Every split into halves as masks, or random ones where there are too many."""
    size = n_blocks // 2
    if math.comb(n_blocks, size) <= MOST_SPLITS:
        chosen = itertools.combinations(range(n_blocks), size)
    else:
        chosen = (rng.permutation(n_blocks)[:size] for _ in range(MOST_SPLITS))
    return [np.isin(np.arange(n_blocks), list(half)) for half in chosen]


def _rank_correlations(blocks, halves):
    """Spearman correlation of the two means of every split, many splits at once: (n_splits,)."""
    found = []
    for part in np.array_split(halves.astype(float), -(-halves.shape[0] * blocks.shape[1] // HELD)):
        means = (m @ blocks / m.sum(1, keepdims=True) for m in (part, 1 - part))
        a, b = (stats.rankdata(m, axis=1) for m in means)
        a, b = (r - r.mean(1, keepdims=True) for r in (a, b))
        scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
        found.append(np.divide((a * b).sum(1), scale, np.full(len(part), np.nan), where=scale > 0))
    return np.concatenate(found)


def _spearman(a, b):
    both = np.isfinite(a) & np.isfinite(b)
    a, b = stats.rankdata(a[both]), stats.rankdata(b[both])
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt(np.sum(a**2) * np.sum(b**2))
    return np.sum(a * b) / scale if scale > 0 else np.nan


def _usable(blocks):
    """Without the blocks that failed and the rows that have no score."""
    blocks = np.asarray(blocks, dtype=float)
    known = np.isfinite(blocks)
    return blocks[known.any(1)][:, known.any(0)]


def block_covariance(a, b=None):
    """Covariance over rows of every block of one fit with every block of another, or of its own.

    Parameters
    ----------
    a, b : ndarray of float, shape (n_blocks, n_samples)
        NaN where a block has no value for a row.

    Returns
    -------
    ndarray of float, shape (n_blocks, n_blocks)
        Each over the rows that both blocks know, centred by each block's own mean, n - 1 below.
    """
    (left, known_left), (right, known_right) = _centred(a), _centred(a if b is None else b)
    count = known_left.astype(float) @ known_right.T.astype(float)
    return left @ right.T / np.maximum(count - 1, 1)


def _centred(blocks):
    blocks = np.asarray(blocks, dtype=float)
    known = np.isfinite(blocks)
    return np.where(known, blocks - mean_or_nan(blocks.T)[:, None], 0.0), known


def _usable_covariance(blocks):
    blocks = _usable(blocks)
    return block_covariance(blocks) if min(blocks.shape) >= 2 else np.zeros((0, 0))


def _signal_and_noise(covariance):
    """Variance of the true scores, and mean variance of a block's noise."""
    n_blocks = len(covariance)
    total = np.trace(covariance) / n_blocks
    signal = (covariance.sum() - np.trace(covariance)) / (n_blocks * (n_blocks - 1))
    return signal, total - signal


def _log_ratio(above, below):
    tiny = np.finfo(float).tiny  # identical blocks have no noise, and noise alone no variance
    return np.log(max(above, tiny)) - np.log(max(below, tiny))
