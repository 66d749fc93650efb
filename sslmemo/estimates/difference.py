"""The estimate of the definition: mean out-alignment minus mean in-alignment, with its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator

from .._compat import named
from .blocks import block_differences, block_means, check_level, divide_by_encoder_mean, mean_or_nan
from .variance import moderate_variance
from .views import SHARED_BY, view_variance

__all__ = ["Difference", "Scores"]


@dataclass(frozen=True)
class Scores:
    """Scores with their standard errors, one entry a row.

    Attributes
    ----------
    score : ndarray of float, shape (n_samples,)
        m(x), higher = more memorized, in the unit of the alignment (without unit if normalised).
        NaN for a row never in or never out.
    standard_error : ndarray of float, shape (n_samples,)
        Of the score, from the spread over blocks, moderated by the pool's other rows. NaN with
        one block.
    df : ndarray of float, shape (n_samples,)
        Degrees of freedom of `standard_error`: score +- t(df) * standard_error is its interval.
    raw_standard_error, raw_df : ndarray of float, shape (n_samples,)
        The same from the row's own blocks alone.
    in_mean, out_mean : ndarray of float, shape (n_samples,)
        Mean alignment inside and outside, over blocks.
    n_in, n_out : ndarray of int, shape (n_samples,)
        Number of encoders that count as f and as g, failed blocks left out.
    blocks : ndarray of float, shape (n_blocks, n_samples)
        One value a block, whose mean is the unbiased score. NaN where a block is not used.
    view_variance : ndarray of float, shape (n_samples,), or None
        The part of raw_standard_error**2 that comes from the views. None where the measurement
        kept too little to tell.
    unbiased : Scores or None
        Of the difference, where `score` is a shrunken one: `standard_error` is then that of a
        posterior.
    prior_mean : ndarray of float, shape (n_samples,), or None
        What a shrunken score was shrunk towards.
    shrunken : Posterior or None
        Whose mean a shrunken score is.
    """

    score: np.ndarray
    standard_error: np.ndarray
    df: np.ndarray
    raw_standard_error: np.ndarray
    raw_df: np.ndarray
    in_mean: np.ndarray
    out_mean: np.ndarray
    n_in: np.ndarray
    n_out: np.ndarray
    blocks: np.ndarray
    view_variance: np.ndarray | None = None
    unbiased: Scores | None = None
    prior_mean: np.ndarray | None = None
    shrunken: object = None

    @property
    def difference(self):
        """Scores of the unbiased difference: these, unless they are shrunken."""
        return self if self.unbiased is None else self.unbiased

    def interval(self, level=0.95):
        """Two-sided t interval of the true score, from the row's own blocks alone.

        It holds for a row named in advance, whatever its true score. Among rows picked because
        they score high it covers too seldom (the winner's curse): read those by `posterior`.

        Parameters
        ----------
        level : float, default=0.95
            Confidence, in (0, 1).

        Returns
        -------
        low, high : ndarray of float, shape (n_samples,)
        """
        check_level(level)
        half = stats.t.ppf((1 + level) / 2, self.raw_df) * self.raw_standard_error
        score = self.difference.score
        return score - half, score + half


class Difference(BaseEstimator):
    """Mean alignment of the encoders that have not seen the row minus that of those that have.

    Unbiased for m(x) at the training size of the plan. Rows whose blocks all have both sides are
    paired (t with n_blocks - 1 degrees of freedom); others get Welch's standard error.

    Parameters
    ----------
    normalize : {None, "encoder", "relative", "range"}, default=None
        None is the definition. See `block_differences`.
    anchor : {"view", "clean"}, default="view"
        What the distances of "alignment_by_view" are to: the other views of the row, or its
        unaugmented copy. Of another matrix than the alignment, values by view share no views.
    of : str, default="alignment"
        Name of the matrix: another loss of every row, such as "reconstruction", can take the place of
        the alignment.

    Attributes
    ----------
    needs : tuple of str
        Names of the matrices it reads. "alignment_by_view" is read too where it is there.
    """

    def __init__(self, normalize=None, anchor="view", of="alignment"):
        self.normalize = normalize
        self.anchor = anchor
        self.of = of

    @property
    def needs(self):
        """Names of the matrices it reads: tuple of str."""
        return (self.of,)

    def __call__(self, values, plan):
        """Estimate the scores.

        Parameters
        ----------
        values : mapping of str to ndarray
            "alignment", shape (n_encoders, n_samples), NaN where an encoder failed; and, if the
            views' part of the error is wanted, "alignment_by_view", (n_encoders, n_samples,
            n_views), whose mean over the views is the alignment.
        plan : Plan

        Returns
        -------
        Scores

        Raises
        ------
        ValueError
            If a matrix is missing or has another shape than the plan, or a parameter is unknown.
        """
        if self.of not in values:
            raise ValueError(
                f"values holds {', '.join(map(repr, values)) or 'nothing'}, but the difference "
                f"needs {self.of!r}: run the pool with the {self.of} measurement."
            )
        named(self.anchor, SHARED_BY, "anchor")
        anchor = self.anchor if self.of == "alignment" else "clean"
        alignment, by_view = values[self.of], values.get(f"{self.of}_by_view")
        if self.normalize == "encoder":
            alignment, mean = divide_by_encoder_mean(alignment)
            by_view = None if by_view is None else by_view / mean[:, :, None]
        means = block_means(alignment, plan)
        blocks = block_differences(means, self.normalize)
        score = mean_or_nan(blocks)
        raw_se, raw_df = standard_errors(means, blocks)
        in_mean, out_mean = mean_or_nan(means.inside), mean_or_nan(means.outside)
        variance, df = moderate_variance(raw_se**2, raw_df, score, (in_mean + out_mean) / 2)
        return Scores(
            score=score,
            standard_error=np.sqrt(variance),
            df=df,
            raw_standard_error=raw_se,
            raw_df=raw_df,
            in_mean=in_mean,
            out_mean=out_mean,
            n_in=means.n_inside.sum(0),
            n_out=means.n_outside.sum(0),
            blocks=blocks,
            view_variance=(
                None
                if by_view is None
                else view_variance(by_view, plan, means, self.normalize, anchor)
            ),
        )


def standard_errors(means, blocks):
    """Standard errors of the scores from each row's own blocks, and their degrees of freedom.

    Parameters
    ----------
    means : BlockMeans
    blocks : ndarray of float, shape (n_blocks, n_samples)
        From `block_differences`.

    Returns
    -------
    standard_error, df : ndarray of float, shape (n_samples,)
        NaN where a side has fewer than two blocks. df is n_blocks - 1 for a paired row and
        Welch-Satterthwaite's for another.

    References
    ----------
    Satterthwaite, An approximate distribution of estimates of variance components, Biometrics
    Bulletin 1946.
    """
    n = np.isfinite(blocks).sum(0)
    centred = np.where(np.isfinite(blocks), blocks - mean_or_nan(blocks), 0.0)
    sides = [(means.inside, means.n_inside > 0), (means.outside, means.n_outside > 0)]
    enough = (n > 1) & (sides[0][1].sum(0) > 1) & (sides[1][1].sum(0) > 1)
    variance = np.where(enough, (centred**2).sum(0) / np.maximum(n * (n - 1), 1), np.nan)

    parts, part_df = [], []
    for values, used in sides:
        k = used.sum(0)
        spread = np.where(used, values - mean_or_nan(values), 0.0)
        parts.append((spread**2).sum(0) / np.maximum(k * (k - 1), 1))
        part_df.append(np.maximum(k - 1, 1))
    total = parts[0] + parts[1]
    below = parts[0] ** 2 / part_df[0] + parts[1] ** 2 / part_df[1]
    # rows without any spread have 0 / 0: the smaller side's count is Satterthwaite's lower bound
    welch = np.where(below > 0, total**2 / np.where(below > 0, below, 1), np.minimum(*part_df))
    df = np.where(means.paired, n - 1, welch)
    return np.sqrt(variance), np.where(enough, df, np.nan)
