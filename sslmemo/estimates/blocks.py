"""From encoders to blocks: in and out means, and one value a block for every row.

The encoders of a block share seed and views, so they are not independent of each other; blocks
are. Everything that follows (standard errors, tests, reliability) sees one number a block and row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._compat import named

__all__ = ["BlockMeans", "block_differences", "block_means", "divide_by_encoder_mean"]

NORMALIZATIONS = dict.fromkeys(("encoder", "relative", "range"))  # beside None, the definition


@dataclass(frozen=True)
class BlockMeans:
    """Mean alignment of every row inside and outside, for every block of a plan.

    Attributes
    ----------
    inside, outside : ndarray of float, shape (n_blocks, n_samples)
        Mean over the block's encoders that count as f, as g, for the row; in the unit of the
        alignment. NaN where the block has none, and for the whole block where an encoder failed.
    n_inside, n_outside : ndarray of int, shape (n_blocks, n_samples)
        Number of encoders in each mean.
    """

    inside: np.ndarray
    outside: np.ndarray
    n_inside: np.ndarray
    n_outside: np.ndarray

    @property
    def paired(self):
        """Whether every block used for the row has both sides: ndarray of bool, (n_samples,)."""
        return ((self.n_inside > 0) == (self.n_outside > 0)).all(0)


def block_means(alignment, plan):
    """Average the alignments inside and outside, block by block.

    Parameters
    ----------
    alignment : array-like of float, shape (n_encoders, n_samples)
        NaN or infinite where an encoder failed. One such entry among those that the plan uses
        drops the encoder's whole block, for every row.
    plan : Plan
        Who counts as f and as g, and the blocks.

    Returns
    -------
    BlockMeans

    Raises
    ------
    ValueError
        If the shape of `alignment` is not the plan's.
    """
    alignment = np.asarray(alignment, dtype=float)
    if alignment.shape != (plan.n_encoders, plan.n_samples):
        raise ValueError(
            f"alignment has shape {alignment.shape}, but the plan has {plan.n_encoders} encoders "
            f"and {plan.n_samples} rows: give one row of the matrix to each encoder."
        )
    as_f, as_g = plan.as_f, plan.as_g
    starts = np.flatnonzero(np.diff(plan.block, prepend=plan.block[0] - 1))  # ascending by contract
    failed = ((as_f | as_g) & ~np.isfinite(alignment)).any(1)
    kept = ~np.logical_or.reduceat(failed, starts)[:, None]

    # Sums are taken from the block's first encoder on: equal alignments have exactly that mean, and
    # identical pools score exactly 0, whatever the counts on the two sides.
    finite = np.where(np.isfinite(alignment), alignment, 0.0)
    origin = finite[starts]
    shifted = finite - np.repeat(origin, np.diff(starts, append=len(finite)), axis=0)

    def mean(use):
        count = np.add.reduceat(use.astype(int), starts) * kept
        total = np.add.reduceat(np.where(use, shifted, 0.0), starts)
        return np.where(count > 0, origin + total / np.maximum(count, 1), np.nan), count

    inside, n_inside = mean(as_f)
    outside, n_outside = mean(as_g)
    return BlockMeans(inside, outside, n_inside, n_outside)


def divide_by_encoder_mean(alignment):
    """Divide every encoder's alignments by their mean over the rows.

    Parameters
    ----------
    alignment : array-like of float, shape (n_encoders, n_samples)

    Returns
    -------
    divided : ndarray of float, shape (n_encoders, n_samples)
        Without unit; the mean of every encoder is 1, a failed encoder stays NaN.
    mean : ndarray of float, shape (n_encoders, 1)
        What was divided by.

    Raises
    ------
    ValueError
        If an encoder's mean is zero: it is collapsed, and no scale of its own can be divided out.
    """
    alignment = np.asarray(alignment, dtype=float)
    mean = alignment.mean(1, keepdims=True)
    mean[~np.isfinite(mean)] = np.nan  # failed, whatever its other rows say
    if (mean == 0).any():
        raise ValueError(
            f"normalize='encoder' divides by each encoder's mean alignment, which is 0 for encoder "
            f"{np.flatnonzero(mean == 0)[0]} (collapsed): use normalize=None."
        )
    return alignment / mean, mean


def side_weights(means, normalize=None):
    """How much the score moves with the out mean and with the in mean of a row.

    Parameters
    ----------
    means : BlockMeans
    normalize : {None, "encoder", "relative", "range"}, default=None

    Returns
    -------
    score : ndarray of float, shape (n_samples,)
        NaN for a row never in or never out.
    out_weight, in_weight : ndarray of float, shape (n_samples,)
        Derivative of the score by the out mean, and minus that by the in mean.

    Raises
    ------
    ValueError
        If `normalize` is unknown.
    """
    if normalize is not None:
        named(normalize, NORMALIZATIONS, "normalize")
    out, inn = mean_or_nan(means.outside), mean_or_nan(means.inside)
    if normalize == "relative":
        total = out + inn
        with np.errstate(divide="ignore", invalid="ignore"):
            # a row that no encoder moves at all has 0 / 0; it is not memorized
            score = np.where(total == 0, 0.0 * total, (out - inn) / total)
            return score, _zero(2 * inn / total**2, total), _zero(2 * out / total**2, total)
    score = out - inn
    scale = 1.0
    if normalize == "range" and np.isfinite(score).any():
        scale = np.nanmax(score) - np.nanmin(score) or 1.0
    weight = np.full(len(score), 1.0 / scale)
    return score / scale, weight, weight


def block_differences(means, normalize=None):
    """One value a block and row, whose mean over the blocks is the score.

    Where every block of the row has both sides the value is out minus in. Elsewhere it is the
    score plus the block's share in its error, scaled so that the spread of the values over the
    square root of their number is Welch's standard error.

    Parameters
    ----------
    means : BlockMeans
        Of every block and row.
    normalize : {None, "encoder", "relative", "range"}, default=None
        "encoder" is None here: it acts on the alignments, see `divide_by_encoder_mean`.
        "relative" is (out - in) / (out + in), linearised in the blocks (delta method), between
        -1 and 1 for non-negative alignments. "range" divides by the scores' maximum minus minimum,
        as the paper's scripts do: such scores can't be compared across runs, and the scale counts
        as known.

    Returns
    -------
    ndarray of float, shape (n_blocks, n_samples)
        NaN where the block is not used for the row, and for a row never in or never out.

    Raises
    ------
    ValueError
        If `normalize` is unknown.

    References
    ----------
    Welch, The generalization of 'Student's' problem when several different population variances
    are involved, Biometrika 1947.
    """
    score, out_weight, in_weight = side_weights(means, normalize)
    used = (means.n_inside > 0) | (means.n_outside > 0)
    n_used = used.sum(0)

    def residual(values):
        n = np.isfinite(values).sum(0)
        # Welch divides by n - 1 on each side; the values' own spread by n_used - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.sqrt(n * (n_used - 1) / (np.maximum(n - 1, 1) * np.maximum(n_used, 1)))
            share = n_used / n * np.where(n > 1, factor, 1.0)
        return np.where(np.isfinite(values), (values - mean_or_nan(values)) * share, 0.0)

    values = score + out_weight * residual(means.outside) - in_weight * residual(means.inside)
    if normalize != "relative":  # the difference itself, free of rounding
        values = np.where(means.paired, out_weight * (means.outside - means.inside), values)
    return np.where(used & np.isfinite(score), values, np.nan)


def mean_or_nan(values):
    """Mean over the first axis of what is finite, NaN (without a warning) where nothing is.

    Equal values have exactly that mean.
    """
    finite = np.isfinite(values)
    count = finite.sum(0)
    origin = np.take_along_axis(values, finite.argmax(0)[None], 0)[0]
    total = np.where(finite, values - origin, 0.0).sum(0)
    return np.where(count > 0, origin + total / np.maximum(count, 1), np.nan)


def _zero(values, total):
    return np.where(total == 0, 0.0, values)


def check_level(level):
    """Raise a ValueError unless the level of an interval lies in (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie strictly between 0 and 1, got {level!r}.")
