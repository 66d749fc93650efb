"""MemorizationResult: a run and the scores estimated from it."""

from __future__ import annotations

import functools
import numbers
from dataclasses import replace

import numpy as np

from ._compat import check_in_range
from .estimates import ESTIMATES, get_estimate, held_out_correlation
from .estimates.nulls import noise_band, null_scores
from .estimates.posterior import posterior
from .estimates.reliability import reliability, spearman_reliability
from .estimates.significance import one_sided_p, q_values
from .merge import merge_runs
from .notebook import ResultInNotebook
from .persistence import read, write
from .table import ScoreTable
from .wording import methods_text, summary

__all__ = ["MemorizationResult"]


class MemorizationResult(ResultInNotebook):
    """Scores of every row with their errors, and the matrices they come from.

    Parameters
    ----------
    run : Run
        Plan, measured matrices and what determined them: public, so that another estimate can be
        tried without training.
    estimate : str or estimate, default="difference"
        Name in, or object of, `sslmemo.estimates`.

    Attributes
    ----------
    run : Run
        As given.
    estimate : estimate
        As given, or the object of the name.
    scores : Scores
        What the estimate says of every row.
    knn_accuracy : float or None
        Share of rows, in [0, 1], whose label the nearest representations of `encoder_` give, by
        5-fold cross-validation of a `KNNProbe`; set by `MemorizationEstimator.fit` with class labels.

    Raises
    ------
    TypeError, ValueError
        The estimate is unknown, or the run lacks a matrix that it needs.

    See Also
    --------
    MemorizationEstimator : Trains a pool and makes such a result.
    memorization_scores : Makes one of encoders that are trained already.

    Notes
    -----
    Results of the same rows and recipe add: ``a + b`` pools their blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from sslmemo.designs import Subsample
    >>> from sslmemo.pool import Run
    >>> plan = Subsample().draw(50, 8, entropy=0)
    >>> rng = np.random.default_rng(0)
    >>> alignment = rng.normal(1.0, 0.1, plan.member.shape) - 0.5 * plan.member
    >>> result = MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(4)))
    >>> round(result.mean_score, 1)
    0.5
    """

    def __init__(self, run, estimate="difference"):
        self.run = run
        self.estimate = get_estimate(estimate)
        self.scores = self.estimate(run.values, run.plan)
        self.knn_accuracy = None

    def __len__(self):
        return self.run.plan.n_samples

    def __repr__(self):
        return (
            f"MemorizationResult({len(self)} rows, {self.run.plan.n_encoders} encoders in "
            f"{len(self.run.plan.seed)} blocks, reliability {self.reliability:.2f})"
        )

    def __str__(self):
        return self.summary()

    @property
    def score(self):
        """m(x) of every row, higher = more memorized, NaN if unknown: ndarray (n_samples,)."""
        return self.scores.score

    @property
    def standard_error(self):
        """Standard error of every score, moderated, NaN with one block: ndarray (n_samples,)."""
        return self.scores.standard_error

    @functools.cached_property
    def unbiased(self):
        """The same run under the unbiased difference: MemorizationResult, itself if it is one."""
        if self.scores.unbiased is None:
            return self
        return MemorizationResult(self.run, self.estimate.unbiased())

    @functools.cached_property
    def held_out_correlation(self):
        """Correlation with the true scores, seen by blocks left out: Interval, not clipped at 1.

        See `sslmemo.estimates.held_out_correlation`; NaN with fewer than three blocks.
        """
        return held_out_correlation(self.estimate, self.run.values, self.run.plan)

    @property
    def mean_score(self):
        """Mean score of the rows that have one: float, in the unit of the scores."""
        return float(np.nanmean(self.score))

    @property
    def true_spread(self):
        """Standard deviation of the true scores, without their noise: float, 0 where none is seen."""
        score = self.scores.difference.score
        return float(np.sqrt(max(self.reliability, 0.0) * np.nanvar(score, ddof=1)))

    @property
    def train_size(self):
        """Mean number of rows an encoder was trained on, for which the scores hold: float."""
        if self.run.plan.design == "prefit":
            return float("nan")
        return float(self.run.plan.train_sizes.mean())

    @functools.cached_property
    def reliability_interval(self):
        """Reliability with its 95% interval: Interval, see `sslmemo.estimates.reliability`."""
        return reliability(self.scores.blocks)

    @property
    def reliability(self):
        """Pearson correlation of the unbiased scores with an independent rerun's: float, at most 1.

        NaN with one block.
        """
        return float(self.reliability_interval)

    @functools.cached_property
    def spearman_reliability(self):
        """The same for ranks (Spearman), from split halves: float, at most 1."""
        return float(spearman_reliability(self.scores.blocks))

    @functools.cached_property
    def posterior(self):
        """Posterior of the true scores (intervals, top-k probabilities, ranks): Posterior."""
        return posterior(self.scores)

    def interval(self, level=0.95):
        """Confidence interval of every score, from the row's own blocks alone.

        For rows named in advance. Rows picked because they score high are read by `posterior`.

        Parameters
        ----------
        level : float, default=0.95
            Confidence, in (0, 1).

        Returns
        -------
        low, high : ndarray of shape (n_samples,)
            In the unit of the scores; NaN with one block.

        Raises
        ------
        ValueError
            The level lies outside (0, 1).
        """
        return self.scores.interval(level)

    def p_values(self, min_score=None):
        """One-sided p-values of "the row's true score is at most `min_score`".

        Parameters
        ----------
        min_score : float, default=None
            In the unit of the scores; None is the pool's median score.

        Returns
        -------
        ndarray of shape (n_samples,)
            By the moderated t test, in [0, 1]; NaN with one block.
        """
        return one_sided_p(self.scores, min_score)

    def null_scores(self, seed=0):
        """Draw scores as noise alone would make them: block residuals with flipped signs.

        Parameters
        ----------
        seed : int, default=0
            Of the signs, one a block.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of mean 0, in the unit of the scores; NaN with one block.
        """
        return null_scores(self.scores.blocks, seed)

    def noise_band(self, level=0.95):
        """Band in which scores of rows without memorization would lie.

        Parameters
        ----------
        level : float, default=0.95
            Share of the null scores inside, over all rows, in (0, 1).

        Returns
        -------
        low, high : float
            Symmetric around 0, in the unit of the scores; NaN with one block.

        Raises
        ------
        ValueError
            The level lies outside (0, 1).
        """
        return noise_band(self.scores.blocks, level)

    def table(self, min_score=None, top_k=None):
        """Everything known of every row, in columns.

        Parameters
        ----------
        min_score : float, default=None
            Score to exceed in the test behind p_value and q_value, in the unit of the scores; None
            is the pool's median score.
        top_k : int, default=None
            Size of the top set, from 1 to n_samples; None is 5% of the rows.

        Returns
        -------
        ScoreTable
            Rows in the order of X, with the columns row; score; standard_error and its df;
            interval_low, interval_high (95%, from the row's own blocks); posterior_mean,
            posterior_low, posterior_high (95%); p_value; q_value (Benjamini-Hochberg);
            top_k_probability; rank_low, rank_high (95%, 1 = most memorized); in_alignment,
            out_alignment; n_in, n_out (encoders that count as f, as g); and for a split role. For a
            shrunken score unbiased_score and unbiased_standard_error follow it: the difference, from
            which interval, p_value and q_value come.

        Raises
        ------
        TypeError, ValueError
            `top_k` is no int, or lies outside 1 to n_samples.
        """
        if top_k is not None:
            check_in_range("top_k", top_k, numbers.Integral, 1, len(self))
        s, p = self.scores, self.p_values(min_score)
        low, high = self.interval()
        posterior_low, posterior_high = self.posterior.interval()
        rank_low, rank_high = self.posterior.rank_interval()
        columns = {
            "row": np.arange(len(self)),
            "score": s.score,
            "standard_error": s.standard_error,
            "df": s.df,
            **_beside(s),
            "interval_low": low,
            "interval_high": high,
            "posterior_mean": self.posterior.mean,
            "posterior_low": posterior_low,
            "posterior_high": posterior_high,
            "p_value": p,
            "q_value": q_values(p),
            "top_k_probability": self.posterior.top_k_probability(
                self.default_top_k if top_k is None else top_k
            ),
            "rank_low": rank_low,
            "rank_high": rank_high,
            "in_alignment": s.in_mean,
            "out_alignment": s.out_mean,
            "n_in": s.n_in,
            "n_out": s.n_out,
        }
        if self.run.plan.roles is not None:
            columns["role"] = self.run.plan.roles
        return ScoreTable(columns)

    @property
    def default_top_k(self):
        """5% of the rows, at least one: int."""
        return max(1, round(0.05 * np.isfinite(self.score).sum()))

    def to_frame(self, min_score=None, top_k=None):
        """Give `table` as a pandas DataFrame (extra ``[frame]``).

        Parameters
        ----------
        min_score : float, default=None
            As in `table`.
        top_k : int, default=None
            As in `table`.

        Returns
        -------
        pandas.DataFrame
            The columns of `table`, indexed from 0.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        return self.table(min_score, top_k).to_frame()

    def to_csv(self, path, min_score=None, top_k=None):
        """Write `table` as CSV.

        Parameters
        ----------
        path : str or path
            File to write; one that exists is replaced.
        min_score : float, default=None
            As in `table`.
        top_k : int, default=None
            As in `table`.
        """
        self.table(min_score, top_k).to_csv(path)

    def __getitem__(self, rows):
        """Rows of `table` by slice, mask or positions, as a ScoreTable; a column by its name."""
        return self.table()[rows]

    def top(self, k=10):
        """Give the k most memorized rows of `table`, highest score first.

        Parameters
        ----------
        k : int, default=10
            Number of rows; all where there are fewer.

        Returns
        -------
        ScoreTable
            Rows without a score come last.
        """
        return self.table().sort("score")[:k]

    def summary(self):
        """Say in words what a reader should conclude.

        Returns
        -------
        str
            Estimand, mean score, errors, reliability and what follows from them, in lines.
        """
        return summary(self)

    def methods_text(self):
        """Write a paragraph for a paper: estimand, training, blocks, reliability, versions.

        Returns
        -------
        str
            One line.
        """
        return methods_text(self)

    def __add__(self, other):
        """Pool the blocks of both runs, and estimate again by the estimate of the first.

        Parameters
        ----------
        other : MemorizationResult
            Of the same rows, recipe and measurements, without a common block.

        Returns
        -------
        MemorizationResult
            Of all blocks; encoders are kept where both keep them.

        Raises
        ------
        ValueError
            The rows, the recipe, the measurements, roles or groups differ, or a block is in both.
        """
        if not isinstance(other, MemorizationResult):
            return NotImplemented
        return MemorizationResult(merge_runs(self.run, other.run), self.estimate)

    def __radd__(self, other):
        """Let `sum` begin with its 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def save(self, path):
        """Write run and estimate to one checksummed file, without pickle; encoders are left out.

        Parameters
        ----------
        path : str or path
            File to write, in a folder that exists; a file that is there is replaced.

        Raises
        ------
        ValueError
            The estimate is not one of `sslmemo.estimates`, or `path` is a folder.
        FileNotFoundError
            The folder of `path` does not exist.
        """
        if type(self.estimate) not in ESTIMATES.values():
            raise ValueError(
                f"a result of the foreign estimate {type(self.estimate).__name__} can't be saved: "
                "save MemorizationResult(result.run) and estimate again after loading."
            )
        content = {
            "run": replace(self.run, models=None),
            "estimate": self.estimate,
            "knn_accuracy": self.knn_accuracy,
        }
        write(path, "MemorizationResult", content)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path
            File to read.

        Returns
        -------
        MemorizationResult
            With the same scores, without encoders.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is no result, or was torn or altered.
        """
        content = read(path, "MemorizationResult")
        result = cls(content["run"], content["estimate"])
        result.knn_accuracy = content["knn_accuracy"]
        return result


def _beside(scores):
    """Columns of the unbiased difference, where the score is another."""
    if scores.unbiased is None:
        return {}
    return {
        "unbiased_score": scores.unbiased.score,
        "unbiased_standard_error": scores.unbiased.standard_error,
    }
