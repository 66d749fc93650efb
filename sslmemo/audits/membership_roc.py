"""ROC of a membership attack on every encoder, and errors that cluster by block and row.

A row is attacked under every encoder and an encoder on every row, so that cells are independent neither
along rows nor along encoders; an encoder's block-mates share its seed. Errors are two-way clustered
(Cameron, Gelbach and Miller 2011): variance over rows plus variance over blocks minus what both count, that
of the single cells. The parts over rows and cells come from a Bayesian bootstrap of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..estimates.blocks import check_level
from ..randomness import generator
from .membership_epsilon import lower_bound

__all__ = ["Clustered", "clustered", "found_share", "roc", "row_weights", "thresholds_at"]


def row_weights(clusters, n_bootstraps, seed):
    """Weights of rows in a Bayesian bootstrap (Rubin 1981): exponential, one a cluster.

    Parameters
    ----------
    clusters : ndarray of int, shape (n_samples,)
        Rows of one cluster share their weight.
    n_bootstraps : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    ndarray of float, shape (n_bootstraps + 1, n_samples)
        The first are all 1: the data themselves.
    """
    index = np.unique(clusters, return_inverse=True)[1]
    rng = generator(seed, "rows")
    drawn = rng.standard_exponential((n_bootstraps, index.max() + 1))[:, index]
    return np.concatenate([np.ones((1, len(index))), drawn])


def roc(score, member, weights, rates):
    """ROC of one encoder under every weighting of its rows.

    Parameters
    ----------
    score : ndarray of float, shape (n,)
        Higher = rather a member; rows of one score are called together.
    member : ndarray of bool, shape (n,)
        Of either kind at least one.
    weights : ndarray of float, shape (r, n)
        Above 0.
    rates : ndarray of float, shape (g,)
        False-positive rates.

    Returns
    -------
    auc : ndarray of float, shape (r,)
        Area under the curve, ties counted half.
    tpr : ndarray of float, shape (r, g)
        Share of the members above a threshold of that false-positive rate, see Notes.

    Notes
    -----
    A fresh non-member exceeds the j-th highest of n others with probability j / (n + 1), whatever their
    distribution. The members above that one are therefore the true-positive rate at j / (n + 1), and between
    these rates it is interpolated. Read off the empirical curve, as is usual, at 0.1% and 1,000 non-members a
    useless attack would show 0.2%.
    """
    order = np.argsort(-score, kind="stable")
    new = np.append(True, np.diff(score[order]) != 0)
    group, ends = np.cumsum(new) - 1, np.flatnonzero(np.append(new[1:], True))
    weights, member = weights[:, order], member[order]

    def share(of):
        total = np.cumsum(weights * of, axis=1)
        return np.insert(total[:, ends] / total[:, -1:], 0, 0.0, axis=1)

    hits, alarms = share(member), share(~member)
    auc = (np.diff(alarms, axis=1) * (hits[:, 1:] + hits[:, :-1])).sum(1) / 2
    others = np.cumsum(weights[:, ~member], axis=1)
    n = others.shape[1]
    at = _with_ends(others / (others[:, -1:] * (1 + 1 / n)))
    above = _with_ends(hits[:, group[~member]])
    return auc, np.stack([np.interp(rates, x, y) for x, y in zip(at, above, strict=True)])


def _with_ends(values):
    return np.pad(values, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))


def thresholds_at(score, member, rate):
    """Two neighbouring thresholds of one encoder, and how much the lower one counts for a rate.

    Parameters
    ----------
    score : ndarray of float, shape (n,)
        Higher = rather a member.
    member : ndarray of bool, shape (n,)
        Of either kind at least one.
    rate : float
        False-positive rate in (0, 1), as in the Notes of `roc`.

    Returns
    -------
    high, low, share : float
        Rows above `high` are called members, and those above `low` by `share`.
    """
    others = np.concatenate([[np.inf], np.sort(score[~member])[::-1], [-np.inf]])
    j, share = divmod(rate * (len(others) - 1), 1)
    return float(others[int(j)]), float(others[int(j) + 1]), float(share)


def found_share(score, member, weights, thresholds):
    """Weighted share of the members above the thresholds.

    Parameters
    ----------
    score, member, weights
        As in `roc`.
    thresholds : (float, float, float)
        From `thresholds_at`.

    Returns
    -------
    ndarray of float, shape (r,)
    """
    high, low, share = thresholds
    score, weights = score[member], weights[:, member]
    return weights @ ((1 - share) * (score > high) + share * (score > low)) / weights.sum(1)


@dataclass(frozen=True)
class Clustered:
    """A mean over encoders with its two-way clustered error.

    Attributes
    ----------
    value : ndarray of float
        The mean.
    standard_error : ndarray of float
        Of `value`, NaN with one block.
    df : int
        Blocks minus one.
    n_rows : int
        Rows behind it.
    """

    value: np.ndarray
    standard_error: np.ndarray
    df: int
    n_rows: int

    def interval(self, level=0.95):
        """Student's interval.

        Parameters
        ----------
        level : float, default=0.95
            Confidence, in (0, 1).

        Returns
        -------
        low, high : ndarray of float
        """
        check_level(level)
        half = stats.t.ppf((1 + level) / 2, max(self.df, 1)) * self.standard_error
        return self.value - half, self.value + half

    def rate_interval(self, level=0.95):
        """Student's interval of a rate or an area, on its logit.

        Where the value is 0 or 1 there is no spread to see: the other end is then the Clopper-Pearson
        bound of as many trials as there are rows, as if further encoders brought nothing new.

        Parameters
        ----------
        level : float, default=0.95
            Confidence, in (0, 1).

        Returns
        -------
        low, high : ndarray of float
            In [0, 1].
        """
        check_level(level)
        value, half = self.value, stats.t.ppf((1 + level) / 2, max(self.df, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            half = half * self.standard_error / (value * (1 - value))
            middle = np.log(value) - np.log1p(-value)
            low, high = (1 / (1 + np.exp(-(middle + s * half))) for s in (-1, 1))
        least = lower_bound(self.n_rows, self.n_rows, (1 + level) / 2)
        low = np.where(value == 0, 0.0, np.where(value == 1, least, low))
        return low, np.where(value == 1, 1.0, np.where(value == 0, 1 - least, high))


def clustered(values, block, n_rows):
    """Average over encoders, and the error of the mean.

    Parameters
    ----------
    values : ndarray of float, shape (r, n_encoders, ...)
        Of every encoder under every weighting of the rows, the first of which is the data. An encoder that
        has NaN is left out.
    block : ndarray of int, shape (n_encoders,)
        Ascending.
    n_rows : int
        Rows behind every value.

    Returns
    -------
    Clustered
        Of shape (...), NaN where no encoder has a value.
    """
    known = np.isfinite(values).reshape(len(values), len(block), -1).all((0, 2))
    values, block = values[:, known], block[known]
    if not len(block):
        nothing = np.full(values.shape[2:], np.nan)
        return Clustered(nothing, nothing, 0, n_rows)
    starts = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
    counts = np.diff(starts, append=len(block)).reshape(-1, *[1] * (values.ndim - 2))
    by_block = np.add.reduceat(values, starts, axis=1) / counts  # (r, n_blocks, ...)
    n = by_block.shape[1]
    if n < 2:
        return Clustered(by_block[0, 0], np.full(values.shape[2:], np.nan), 0, n_rows)
    over_blocks = by_block[0].var(0, ddof=1) / n
    over_rows = by_block[1:].mean(1).var(0, ddof=1)
    over_cells = by_block[1:].var(0, ddof=1).sum(0) / n**2
    # each alone is too low, if anything: their combination, which can come out lower, is not believed there
    variance = np.maximum(over_rows + over_blocks - over_cells, np.maximum(over_rows, over_blocks))
    return Clustered(by_block[0].mean(0), np.sqrt(variance), n - 1, n_rows)
