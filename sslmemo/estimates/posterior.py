"""What a curator acts on: posterior of the true scores, of the ranks and of the top k.

The t interval of the difference is right for a row named in advance. The rows at the top of a
ranking are there partly by luck (winner's curse), and their true scores are lower; the posterior
takes that back.
"""

from __future__ import annotations

import numbers

import numpy as np

from .._compat import check_in_range
from ..randomness import generator
from .blocks import check_level
from .prior import fit_prior, row_weights

__all__ = ["Posterior", "posterior"]

DRAWS = 1000
MOST_RANKS = 10_000_000  # of rows times draws: 40 MB of int32
MIN_DRAWS = 200


def posterior(scores, seed=0):
    """Empirical-Bayes posterior of the true scores, given all rows of the pool.

    Parameters
    ----------
    scores : Scores
        With at least two blocks for a row to have a posterior.
    seed : int, default=0
        Of the joint draws behind ranks and top-k probabilities.

    Returns
    -------
    Posterior
        Of a shrunken score, the one that it is the mean of.
    """
    if scores.shrunken is not None:
        return scores.shrunken
    variance = scores.raw_standard_error**2
    usable = np.isfinite(scores.score) & (np.nan_to_num(variance) > 0)
    return Posterior(scores.score, variance, scores.raw_df, usable, seed)


class Posterior:
    """Posterior of the true scores; made by `posterior`.

    Every answer has one entry a row of the pool, NaN for a row whose standard error is unknown or
    exactly zero. The rows are taken as independent given the pool, and the prior as known.

    Parameters
    ----------
    score, variance, df : ndarray of float, shape (n_samples,)
        Scores, squared standard errors and degrees of freedom from the rows' own blocks.
    usable : ndarray of bool, shape (n_samples,)
        Which rows have all three.
    seed : int
        Of the joint draws.
    offset, scale : ndarray of float, shape (n_samples,), or None
        Where given, the true score is offset + scale * theta, and the scores given are theta's.
    fit : callable, default=fit_prior
        (score, variance, df) of the usable rows -> ScorePrior.
    left : ndarray of float, shape (n_samples,), or None
        Variance of theta that the scores say nothing of; the posterior is widened around its mean.

    Attributes
    ----------
    prior : ScorePrior or None
        What the pool says of theta; None where no row is usable.
    mean, standard_deviation : ndarray of float, shape (n_samples,)
        Of the true score.
    """

    def __init__(self, score, variance, df, usable, seed, offset=None, scale=None,
                 fit=fit_prior, left=None):  # fmt: skip
        self.n_samples, self.usable, self.seed = len(score), usable, seed
        self.prior, self._ranks = None, None
        self._offset = 0.0 if offset is None else offset[usable]
        self._scale = 1.0 if scale is None else scale[usable]
        self.mean = np.full(self.n_samples, np.nan)
        self.standard_deviation = self.mean.copy()
        if not usable.any():
            return
        data = score[usable], variance[usable], df[usable]
        self.prior = fit(*data)
        weights = row_weights(self.prior, *data)
        theta = self.prior.theta
        mean = weights @ theta
        self.mean[usable] = self._offset + self._scale * mean
        spread = np.maximum(weights @ theta**2 - mean**2, 0)
        if left is not None:
            spread = np.maximum(spread, np.finfo(float).tiny)
            wider = np.sqrt(1 + left[usable] / spread)
            self._offset, self._scale = (
                self._offset + self._scale * mean * (1 - wider),
                self._scale * wider,
            )
        self.standard_deviation[usable] = self._scale * np.sqrt(spread)
        np.cumsum(weights, axis=1, out=weights)
        self._cumulative = weights  # (n_usable, n_grid); at the cells' upper borders

    def interval(self, level=0.95):
        """Equal-tailed interval of the true score.

        Parameters
        ----------
        level : float, default=0.95
            Probability inside, in (0, 1).

        Returns
        -------
        low, high : ndarray of float, shape (n_samples,)
        """
        check_level(level)
        ends = np.full((2, self.n_samples), np.nan)
        if self.prior is not None:
            tails = np.array([(1 - level) / 2, (1 + level) / 2])
            ends[:, self.usable] = self._quantiles(np.tile(tails, (self.usable.sum(), 1))).T
        return ends[0], ends[1]

    def top_k_probability(self, k):
        """Probability that the row is among the k rows with the highest true scores.

        Parameters
        ----------
        k : int
            Between 1 and the number of rows.

        Returns
        -------
        ndarray of float, shape (n_samples,)
            Sums to k; known to the 1000 joint draws (fewer above 10,000 rows).
        """
        check_in_range("k", k, numbers.Integral, 1, self.n_samples)
        out = np.full(self.n_samples, np.nan)
        if self.prior is not None:
            out[self.usable] = (self._drawn_ranks() <= k).mean(1)
        return out

    def rank_interval(self, level=0.95):
        """Equal-tailed interval of the rank of the true score; 1 is the most memorized row.

        Parameters
        ----------
        level : float, default=0.95
            Probability inside (at least, ranks being integers), in (0, 1).

        Returns
        -------
        low, high : ndarray of float, shape (n_samples,)
            Whole numbers; float for the sake of NaN.
        """
        check_level(level)
        ends = np.full((2, self.n_samples), np.nan)
        if self.prior is not None:
            ranks = self._drawn_ranks()
            ends[0, self.usable] = np.quantile(ranks, (1 - level) / 2, axis=1, method="lower")
            ends[1, self.usable] = np.quantile(ranks, (1 + level) / 2, axis=1, method="higher")
        return ends[0], ends[1]

    def _quantiles(self, probability):
        """Quantiles of every usable row, linear inside a cell: (n_usable, any), as given."""
        edges, out = self.prior.edges, np.empty_like(probability)
        for i, cumulative in enumerate(self._cumulative):
            cell = np.minimum(np.searchsorted(cumulative, probability[i]), len(cumulative) - 1)
            below = np.where(cell > 0, cumulative[cell - 1], 0.0)
            mass = np.maximum(cumulative[cell] - below, np.finfo(float).tiny)
            part = np.clip((probability[i] - below) / mass, 0, 1)
            out[i] = edges[cell] + part * (edges[cell + 1] - edges[cell])
        offset, scale = np.broadcast_arrays(self._offset, self._scale)
        return out if not offset.ndim else offset[:, None] + scale[:, None] * out

    def _drawn_ranks(self):
        """Ranks in joint draws, drawn once: (n_usable, n_draws) int32."""
        if self._ranks is None:
            n = len(self._cumulative)
            n_draws = int(np.clip(MOST_RANKS // n, MIN_DRAWS, DRAWS))
            rng = generator(self.seed, "posterior")
            # stratified: every row's own draws are spread evenly over its posterior
            strata = rng.permuted(np.tile(np.arange(n_draws), (n, 1)), axis=1)
            draws = self._quantiles((strata + rng.random((n, n_draws))) / n_draws)
            self._ranks = np.empty((n, n_draws), np.int32)
            for s in range(n_draws):
                self._ranks[np.argsort(-draws[:, s], kind="stable"), s] = np.arange(1, n + 1)
        return self._ranks
