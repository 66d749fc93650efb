"""Scores as they would be without any memorization: block residuals with flipped signs.

Within a block, swapping who is f and who is g flips the sign of every row's difference. So do the
flipped residuals around each row's score, and they keep what noise the rows share.
"""

from __future__ import annotations

import numpy as np

from ..randomness import generator
from .blocks import check_level, mean_or_nan

__all__ = ["flipped_scores", "noise_band", "null_scores"]


def null_scores(blocks, seed=0):
    """One draw of null scores.

    Parameters
    ----------
    blocks : ndarray of float, shape (n_blocks, n_samples)
        Block values, `Scores.blocks`.
    seed : int, default=0
        Of the signs, one a block.

    Returns
    -------
    ndarray of float, shape (n_samples,)
        With mean 0 and the scores' own squared standard errors as variances; NaN with one block.
    """
    return next(flipped_scores(blocks, 1, seed))[0]


def noise_band(blocks, level=0.95, n_flips=200, seed=0):
    """Two-sided band that null scores of the pool stay in.

    Parameters
    ----------
    blocks : ndarray of float, shape (n_blocks, n_samples)
        Block values, `Scores.blocks`.
    level : float, default=0.95
        Share of the null scores inside, over all rows, in (0, 1).
    n_flips : int, default=200
        Draws of the signs.
    seed : int, default=0
        Of the draws.

    Returns
    -------
    low, high : float
        Symmetric around 0; NaN with one block.
    """
    check_level(level)
    drawn = np.abs([score for score, _ in flipped_scores(blocks, n_flips, seed)])
    drawn = drawn[np.isfinite(drawn)]
    high = float(np.quantile(drawn, level)) if len(drawn) else np.nan
    return -high, high


def flipped_scores(blocks, n_flips, seed):
    """Yield null scores and their t statistics, for one draw of the blocks' signs after the other.

    Yields
    ------
    score, t : ndarray of float, shape (n_samples,)
    """
    n = np.isfinite(blocks).sum(0)
    residual = np.where(np.isfinite(blocks), blocks - mean_or_nan(blocks), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = residual * np.where(n > 1, np.sqrt(n / (n - 1)), np.nan)
    square = (residual**2).sum(0)
    rng = generator(seed, "flips")
    for _ in range(n_flips):
        sign = rng.choice([-1.0, 1.0], size=len(blocks))
        with np.errstate(divide="ignore", invalid="ignore"):
            score = sign @ residual / n
            error = np.sqrt(np.maximum(square - n * score**2, 0) / (n * (n - 1)))
            yield score, score / error
