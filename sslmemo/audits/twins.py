"""Memorization of a row given its twin: what near-copies of a row do to its score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.utils.validation import check_is_fitted

from .._compat import shown
from ..estimates.blocks import (
    block_differences,
    block_means,
    check_level,
    divide_by_encoder_mean,
    mean_or_nan,
)
from ..estimates.difference import standard_errors
from ..plans import Plan
from ..result import MemorizationResult
from ..table import LevelFrame, ScoreTable
from .duplicates import NearDuplicates

__all__ = ["Contrast", "TwinMemorization", "twin_memorization"]

SCORES = ("twin_in", "twin_out", "joint", "hidden")


@dataclass(frozen=True)
class Contrast:
    """One difference of mean alignments for every row, with its error.

    Attributes
    ----------
    score : ndarray of shape (n_rows,)
        In the unit of the alignment; NaN where the plan has no such encoders.
    standard_error, df : ndarray of shape (n_rows,)
        From the spread over blocks; NaN with fewer than two blocks on a side.
    n_blocks : ndarray of int, shape (n_rows,)
        Blocks that entered.
    share : ndarray of shape (n_blocks, n_rows)
        Share of every block in the error: the squares of a column sum to standard_error**2.
    """

    score: np.ndarray
    standard_error: np.ndarray
    df: np.ndarray
    n_blocks: np.ndarray
    share: np.ndarray

    def interval(self, level=0.95):
        """Two-sided t interval of the true value of a row named beforehand.

        Parameters
        ----------
        level : float, default=0.95
            Confidence, in (0, 1).

        Returns
        -------
        low, high : ndarray of shape (n_rows,)
            NaN where the error is unknown.
        """
        check_level(level)
        half = stats.t.ppf((1 + level) / 2, self.df) * self.standard_error
        return self.score - half, self.score + half

    def mean(self, rows=None):
        """Mean over rows, whose errors come from the same blocks and are added up block by block.

        Parameters
        ----------
        rows : array-like of int, default=None
            Positions; None is all. Those without an error are left out.

        Returns
        -------
        Contrast
            Of one row; NaN where none has an error. Its df is the median one of the rows.
        """
        rows = np.arange(len(self.score)) if rows is None else np.asarray(rows, dtype=int)
        known = rows[np.isfinite(self.standard_error[rows])]
        if not len(known):
            nan = np.full(1, np.nan)
            return Contrast(nan, nan, nan, np.zeros(1, int), np.zeros((len(self.share), 1)))
        share = self.share[:, known].mean(1, keepdims=True)
        return Contrast(
            score=self.score[known].mean(keepdims=True),
            standard_error=np.sqrt((share**2).sum(0)),
            df=np.median(self.df[known], keepdims=True),
            n_blocks=(share != 0).sum(0),
            share=share,
        )


@dataclass(frozen=True, repr=False)
class TwinMemorization(LevelFrame):
    """Memorization of rows given whether a twin of theirs was trained on.

    Attributes
    ----------
    row : ndarray of int, shape (n_rows,)
        Row of X.
    twin : ndarray of int, shape (n_rows,)
        Its twin; of several the first.
    n_twins : ndarray of int, shape (n_rows,)
        How many it has.
    twin_in : Contrast
        m(x) among encoders that were trained on a twin.
    twin_out : Contrast
        m(x) among encoders that were trained on no twin.
    joint : Contrast
        Alignment under encoders that saw neither x nor a twin, minus that under those that saw x
        and all its twins: the score that ``fit(X, groups=...)`` gives.
    hidden : Contrast
        twin_out - twin_in: memorization that the twin hides.
    tied : ndarray of bool, shape (n_rows,)
        Whether every encoder has the row and a twin in or out together, as exact copies and groups
        are: only `joint` is known of it.
    """

    row: np.ndarray
    twin: np.ndarray
    n_twins: np.ndarray
    twin_in: Contrast
    twin_out: Contrast
    joint: Contrast
    hidden: Contrast
    tied: np.ndarray

    def __len__(self):
        return len(self.row)

    def __repr__(self):
        return self.summary()

    def table(self, level=0.95):
        """Give one row of X a line.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            With the columns row, twin, n_twins and, for each of twin_in, twin_out, joint and
            hidden: its value, and with the endings _error, _low, _high and _blocks its standard
            error, interval and number of blocks.
        """
        columns = {"row": self.row, "twin": self.twin, "n_twins": self.n_twins}
        for name in SCORES:
            contrast = getattr(self, name)
            low, high = contrast.interval(level)
            columns |= {
                name: contrast.score, f"{name}_error": contrast.standard_error,
                f"{name}_low": low, f"{name}_high": high, f"{name}_blocks": contrast.n_blocks,
            }  # fmt: skip
        return ScoreTable(columns)

    def summary(self):
        """Say the means over the rows, with 95% intervals by block.

        Returns
        -------
        str
            Five lines, each mean with the number of rows that it is over, or with why it is unknown; and
            one more where rows are tied to their twins.
        """
        words = {
            "twin_in": "a twin was trained on", "twin_out": "no twin was trained on",
            "joint": "x and its twins are in or out together",
            "hidden": "the difference of the first two: hidden by the twin",
        }  # fmt: skip
        lines = [f"Mean m(x) of {len(self)} rows that have a twin:"]
        for name, text in words.items():
            lines.append(f"  {_said(getattr(self, name))}  {text}")
        if self.tied.any():
            lines.append(
                f"{self.tied.sum()} of the rows are tied to a twin, in or out together, so that only the "
                "third line knows them: fit with groups=np.arange(len(X)) to tell them apart."
            )
        return "\n".join(lines)


def twin_memorization(result, twins):
    """Memorization of rows given their twins, from the encoders of a pool that is trained already.

    An encoder that has seen a near-copy of x has as good as seen x, so that m(x), averaged over
    encoders with and without the copy, says too little of what happens to x when both are there,
    or neither. Here the encoders are told apart.

    Parameters
    ----------
    result : MemorizationResult or fitted MemorizationEstimator
        Of a design in which twins are in and out apart, at least two blocks: half-splits (the default
        design), fitted with ``groups=np.arange(len(X))`` where twins are exact copies, which fit ties
        else. Of tied rows only `joint` is known.
    twins : NearDuplicates, or array-like of int of shape (n_pairs, 2) or (n_samples,)
        What `find_near_duplicates` found within the rows of the fit; or pairs (row, twin), each of
        which is one line of the answer; or the group of every row. By groups (and those of
        NearDuplicates) all others of a row's group are its twins.

    Returns
    -------
    TwinMemorization
        With `table` and `summary`.

    Raises
    ------
    TypeError, ValueError
        `twins` are none or don't fit the rows, or the plan ties all of them, so that nothing can be
        told apart; or the result's ``normalize="range"``.

    Notes
    -----
    With A the alignment of x, over encoders with x in or out and a twin in or out,

        twin_in  = E[A | x out, twin in]  - E[A | x in, twin in]
        twin_out = E[A | x out, twin out] - E[A | x in, twin out]
        joint    = E[A | x out, twin out] - E[A | x in, twin in].

    In random half-splits a twin is in with probability near 1/2, whatever x is, and the training
    size is the same in all four cells: each is an unbiased mean, and m(x) is about the mean
    of the first two. A pair of complementary encoders holds x and its twin together (and gives
    joint) or apart, so the first two compare encoders of different blocks: their errors are
    Welch's, with blocks as units, and larger than those of joint and of m(x), whose views and seeds
    cancel. Of 32 blocks about 16 go to either side. With quarters few blocks hold the two together:
    take half-splits for this. In simulations with known means the 95% intervals covered 93 to 96% for
    a row and 94 to 99% for the mean of rows, for 16 to 96 encoders.

    With several twins, "in" is any of them in and "out" is none; joint has all of them in.

    References
    ----------
    Feldman and Zhang, What neural networks memorize and why, NeurIPS 2020 (arXiv:2008.03703), for
    the difference of means over random subsets.
    """
    if hasattr(result, "fit"):
        check_is_fitted(result)
    result = getattr(result, "result_", result)
    if not isinstance(result, MemorizationResult):
        raise TypeError(f"result must be a MemorizationResult, got {shown(result)}.")
    plan, estimate = result.run.plan, result.unbiased.estimate
    row, others = _twins_of(twins, plan.n_samples)
    any_in = np.stack([plan.member[:, o].any(1) for o in others], 1)  # (n_encoders, n_rows)
    all_in = np.stack([plan.member[:, o].all(1) for o in others], 1)
    x_in = plan.member[:, row]
    if not (x_in != any_in).any():
        raise ValueError(
            "in this plan every twin is in or out together with its row, as groups and exact copies "
            "are: fit with groups=np.arange(len(X)), which ties no rows."
        )
    matrix, normalize = _matrix(result.run.values, estimate)
    alignment = matrix[:, row]  # (n_encoders, n_rows)
    failed = ~np.isfinite(alignment).all(1)
    alignment[np.isin(plan.block, plan.block[failed])] = np.nan  # for every contrast alike

    def contrast(inside, outside):
        return _contrast(alignment, plan, inside, outside, normalize)

    twin_in = contrast(x_in & any_in, ~x_in & any_in)
    twin_out = contrast(x_in & ~any_in, ~x_in & ~any_in)
    share = twin_out.share - twin_in.share  # a block that enters both counts with both
    error = np.sqrt((share**2).sum(0)) + 0 * (twin_out.standard_error + twin_in.standard_error)
    hidden = Contrast(
        score=twin_out.score - twin_in.score,
        standard_error=error,
        df=np.minimum(twin_in.df, twin_out.df),
        n_blocks=(share != 0).sum(0),
        share=share,
    )
    return TwinMemorization(
        row=row,
        twin=np.array([o[0] for o in others]),
        n_twins=np.array([len(o) for o in others]),
        twin_in=twin_in,
        twin_out=twin_out,
        joint=contrast(x_in & all_in, ~x_in & ~any_in),
        hidden=hidden,
        tied=(x_in == any_in).all(0),
    )


def _said(contrast):
    """Mean over the rows that have an error, and over how many; or why there is none."""
    n = int(np.isfinite(contrast.standard_error).sum())
    if n:
        mean = contrast.mean()
        low, high = mean.interval()
        return f"{mean.score[0]: .4f} [{low[0]: .4f}, {high[0]: .4f}] (n = {n})"
    if np.isfinite(contrast.score).any():
        return "unknown (fewer than two blocks on a side: raise n_encoders)"
    return "unknown (no two encoders differ like that: raise n_encoders, or take half-splits)"


def _matrix(values, estimate):
    """The losses that the scores are of, and how their difference is normalised."""
    normalize = getattr(estimate, "normalize", None)
    if normalize == "range":
        raise ValueError(
            "normalize='range' divides by the range of all scores, which rows with twins don't "
            "have: pass MemorizationResult(result.run)."
        )
    matrix = np.asarray(values[getattr(estimate, "of", "alignment")], dtype=float)
    if normalize == "encoder":
        return divide_by_encoder_mean(matrix)[0], None
    return matrix, normalize


def _contrast(alignment, plan, inside, outside, normalize):
    """Mean outside minus mean inside, columns being rows of the answer, with errors by block."""
    sides = Plan(
        member=np.ones(inside.shape, bool),  # of no account: the contrast says who counts
        block=plan.block,
        seed=plan.seed,
        contrast=outside.astype(np.int8) - inside.astype(np.int8),
    )
    means = block_means(alignment, sides)
    blocks = block_differences(means, normalize)
    score, (error, df) = mean_or_nan(blocks), standard_errors(means, blocks)
    used = np.isfinite(blocks)
    n = used.sum(0)
    # the spread of the blocks' values is what standard_errors sums
    scale = np.sqrt(np.maximum(n * (n - 1), 1))
    share = np.where(used & np.isfinite(error), (blocks - score) / scale, 0.0)
    return Contrast(score, error, df, n, share)


def _twins_of(twins, n):
    """Rows that have twins, and the twins of each: int (n_rows,), list of int arrays."""
    if isinstance(twins, NearDuplicates):
        if twins.n_other:
            raise ValueError(
                "twins are pairs of X and X_other: search among the rows of the fit alone, "
                "find_near_duplicates(X)."
            )
        twins = twins.groups
    array = np.asarray(twins)
    if array.ndim == 1 and len(array) == n:
        number = np.unique(array, return_inverse=True)[1]
        row = np.flatnonzero(np.bincount(number)[number] > 1)
        others = [np.flatnonzero(number == number[r]) for r in row]
        others = [o[o != r] for o, r in zip(others, row, strict=True)]
    elif array.ndim == 2 and array.shape[1] == 2 and np.issubdtype(array.dtype, np.integer):
        outside = array[(array < 0) | (array >= n)]
        if len(outside):
            raise ValueError(f"twins must be rows from 0 to {n - 1}, got {outside[0]}.")
        same = np.flatnonzero(array[:, 0] == array[:, 1])
        if len(same):
            raise ValueError(f"twins names row {array[same[0], 0]} as its own twin.")
        row, others = array[:, 0], list(array[:, 1:])
    else:
        raise ValueError(
            f"twins must be NearDuplicates of the {n} rows of the fit, int pairs of shape "
            f"(n_pairs, 2), or a group for each of the {n} rows, got {shown(twins)}."
        )
    if not len(row):
        raise ValueError("twins holds no pair: no row has a twin to be told apart by.")
    return row, others
