"""What a comparison of estimators holds: agreement of every replicate, means, gains and costs."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np

from .._compat import check_choice, check_in_range
from ..estimates.blocks import check_level
from ..table import ScoreTable
from .ceiling import METRICS, combined_interval
from .contrasts import Frames

__all__ = ["Cell", "EstimatorComparison", "Proxy"]


@dataclass(frozen=True)
class Proxy:
    """Scores that come from no pool, and what they cost.

    Attributes
    ----------
    scores : ndarray of shape (n_replicates, n_samples)
        One row an independent repetition, higher = more memorized.
    encoders : int
        Trainings behind one row of `scores`; 0 for scores of the data alone, which repeat exactly.
    row_epochs : float
        Rows an encoder trains on times epochs, summed over those trainings.
    seconds : float, default=nan
        Time one row of `scores` takes.
    fraction : float, default=1.0
        Share of the rows that each training uses.
    """

    scores: np.ndarray
    encoders: int
    row_epochs: float
    seconds: float = float("nan")
    fraction: float = 1.0


@dataclass(frozen=True)
class Cell:
    """Replicates of one estimator at one cost.

    Attributes
    ----------
    estimator, design : str
        Names; the design of a proxy is ``"proxy"``.
    encoders : int
        Trainings of one replicate.
    fraction : float
        Mean share of the rows that an encoder trains on.
    encoder_epochs, row_epochs, seconds : float
        Of one replicate, on average: trainings times epochs; rows an encoder trains on times epochs,
        summed; time of training and measuring.
    values : dict of str to ndarray of shape (n_replicates, 1 + n_halves)
        By metric: agreement with the truth, then with halves of it, each followed by its complement.
    """

    estimator: str
    design: str
    encoders: int
    fraction: float
    encoder_epochs: float
    row_epochs: float
    seconds: float
    values: dict

    @property
    def n_replicates(self):
        """Number of disjoint groups of blocks, or of a proxy's repetitions."""
        return len(self.values["spearman"])


@dataclass(frozen=True, repr=False)
class EstimatorComparison(Frames):
    """Cost and agreement with the truth of several estimators.

    Attributes
    ----------
    cells : list of Cell
        One an estimator, design and number of encoders.
    ceilings : dict of str to ndarray of shape (1 + n_halves,)
        By metric: the agreement that the true scores themselves would reach with the truth, then with
        its halves; the recall has one ceiling for all.
    truth : MemorizationResult
        What was compared with, under the unbiased difference.
    sources : dict of str to Run
        Pools that replicates were cut from, by the name of their design.
    n_samples, top_k : int
        Rows that are compared, and size of the top sets behind ``"top_recall"``.
    """

    cells: list
    ceilings: dict
    truth: object
    sources: dict
    n_samples: int
    top_k: int

    @property
    def table(self):
        """One row an estimator, design, number of encoders and replicate, with its agreements."""
        rows = []
        for c in self.cells:
            found = np.stack([c.values[m][:, 0] for m in METRICS], axis=1)
            rows += [
                (c.estimator, c.design, c.encoders, c.fraction, c.row_epochs, i, *v)
                for i, v in enumerate(found.tolist())
            ]
        names = ("estimator", "design", "encoders", "fraction", "row_epochs", "replicate", *METRICS)
        return ScoreTable.from_rows(names, rows)

    def summary_table(self, metric=None, level=0.95):
        """Cost and mean agreement of every estimator, design and number of encoders.

        Parameters
        ----------
        metric : {"spearman", "pearson", "top_recall"}, default=None
            None is all three.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            With the columns estimator; design; encoders; fraction, mean share of the rows that an
            encoder trains on; encoder_epochs; row_epochs; seconds; n_replicates; metric; value, low,
            high, the mean over replicates; ceiling, what the true scores would reach against this
            noisy truth; of_ceiling, of_ceiling_low, of_ceiling_high, value over ceiling, not clipped
            at 1.

        Raises
        ------
        ValueError
            The metric is unknown, or `level` lies outside (0, 1).

        Notes
        -----
        Intervals hold for these rows and this recipe: other pools of the same sizes, for estimator
        and truth alike. They add the variance over replicates, which are disjoint, to that of the
        truth, from the differences of its halves (McCarthy, Pseudo-replication: half samples, Review
        of the International Statistical Institute 1969), with Satterthwaite's degrees of freedom.
        The ceiling of the recall counts as known. Other data sets are other comparisons.
        """
        check_level(level)
        rows = []
        for c in self.cells:
            for m in self._metrics(metric):
                fixed, ceiling = c.encoders == 0, self.ceilings[m]
                rows.append(
                    (c.estimator, c.design, c.encoders, c.fraction, c.encoder_epochs, c.row_epochs)
                    + (c.seconds, c.n_replicates, m, *self._interval(c.values[m], level, fixed))
                    + (ceiling[0], *self._interval(c.values[m] / ceiling, level, fixed))
                )
        names = ("estimator", "design", "encoders", "fraction", "encoder_epochs", "row_epochs",
                 "seconds", "n_replicates", "metric", "value", "low", "high", "ceiling",
                 "of_ceiling", "of_ceiling_low", "of_ceiling_high")  # fmt: skip
        return ScoreTable.from_rows(names, rows)

    def gains(self, over="difference", metric="spearman", level=0.95):
        """Mean gain of every estimator over another one on the same replicates.

        Parameters
        ----------
        over : str, default="difference"
            Name of the estimator to gain over.
        metric : {"spearman", "pearson", "top_recall"}, default="spearman"
            None is all three.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row an estimator, design and number of encoders, with the columns estimator; over;
            design; encoders; n_replicates; metric; gain, low, high, in parts of the ceiling, with
            intervals as in `summary_table`; wins, the share of replicates that gain.

        Raises
        ------
        ValueError
            There is no estimator of that name on a pool, the metric is unknown, or `level` lies
            outside (0, 1).
        """
        check_level(level)
        base = {(c.design, c.encoders): c for c in self._of_pools() if c.estimator == over}
        if not base:
            known = ", ".join(map(repr, dict.fromkeys(c.estimator for c in self._of_pools())))
            raise ValueError(f"over={over!r} was not compared on a pool. There are: {known}.")
        rows = []
        for c in self._of_pools():
            other = base.get((c.design, c.encoders))
            if c.estimator == over or other is None:
                continue
            for m in self._metrics(metric):
                gain = (c.values[m] - other.values[m]) / self.ceilings[m]
                rows.append(
                    (c.estimator, over, c.design, c.encoders, c.n_replicates, m)
                    + (*self._interval(gain, level), float((gain[:, 0] > 0).mean()))
                )
        names = ("estimator", "over", "design", "encoders", "n_replicates", "metric", "gain",
                 "low", "high", "wins")  # fmt: skip
        return ScoreTable.from_rows(names, rows)

    def cost_to_reach(self, target=0.95, metric="spearman", level=0.95):
        """Row-epochs at which every estimator reaches a share of the ceiling.

        Parameters
        ----------
        target : float, default=0.95
            Share of the ceiling, in (0, 1].
        metric : {"spearman", "pearson", "top_recall"}, default="spearman"
            Which agreement.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row an estimator and design on a pool, with the columns estimator; design; row_epochs,
            between measured sizes by a straight line over their logarithm, inf where no size
            reaches the target and never less than the smallest size's; low, high, where the upper
            and the lower ends of the pointwise intervals do.

        Raises
        ------
        ValueError
            `target` or `level` lies out of range, or the metric is unknown.
        """
        check_in_range("target", target, numbers.Real, 0, 1, open_low=True)
        check_choice("metric", metric, METRICS)
        table = self.summary_table(metric, level)
        pairs = dict.fromkeys((c.estimator, c.design) for c in self._of_pools())
        rows = []
        for estimator, design in pairs:
            t = table[(table["estimator"] == estimator) & (table["design"] == design)]
            t = t.sort("row_epochs", ascending=True)
            rows.append(
                (estimator, design)
                + tuple(
                    _crossing(t["row_epochs"], t[name], target)
                    for name in ("of_ceiling", "of_ceiling_high", "of_ceiling_low")
                )
            )
        return ScoreTable.from_rows(("estimator", "design", "row_epochs", "low", "high"), rows)

    def _interval(self, values, level, fixed=False):
        """Mean over replicates of values (r, 1 + n_halves), with its ends."""
        mean, n = float(values[:, 0].mean()), len(values)
        if values.shape[1] < 3 or (n < 2 and not fixed):
            return mean, np.nan, np.nan
        differs = (values[:, 1::2] - values[:, 2::2]) / 2  # (r, n_halves / 2)
        noise = np.mean(differs.mean(0) ** 2)
        own = 0.0
        if not fixed:
            # noise that estimate and truth have together is in both parts, and counts once
            noise = max(0.0, noise - differs.var(0, ddof=1).mean() / n)
            own = values[:, 0].var(ddof=1) / n
        parts = [
            (own, max(n - 1, 1)),
            (noise, min(differs.shape[1], len(self.truth.run.plan.seed) - 1)),
        ]
        return (mean, *combined_interval(mean, parts, level))

    def _of_pools(self):
        return [c for c in self.cells if c.design != "proxy"]

    def _metrics(self, metric):
        return METRICS if metric is None else [check_choice("metric", metric, METRICS)]

    def __repr__(self):
        lines = [
            f"agreement with a pool of {self.truth.run.plan.n_encoders} encoders (reliability "
            f"{self.truth.reliability:.2f}) over {self.n_samples} rows, in parts of the noise ceiling"
        ]
        t = self.summary_table("spearman")
        recall = self.summary_table("top_recall")["of_ceiling"]
        for i, c in enumerate(self.cells):
            value, *ends = (t[n][i] for n in ("of_ceiling", "of_ceiling_low", "of_ceiling_high"))
            lines.append(
                f"{c.estimator} ({c.design}), encoders: {c.encoders}, row-epochs: {c.row_epochs:.3g}, "
                f"replicates: {c.n_replicates}; Spearman {value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]; "
                f"recall of the top {self.top_k} {recall[i]:.2f}"
            )
        lines.append("undivided values, Pearson and seconds: summary_frame()")
        return "\n".join(lines)


def _crossing(cost, value, target):
    """Cost at which a line over log cost first reaches the target; inf where it does not."""
    reached = np.flatnonzero(value >= target)
    if not len(reached):
        return np.inf
    i = reached[0]
    if i == 0 or not np.isfinite(value[i - 1]):
        return float(cost[i])
    share = (target - value[i - 1]) / (value[i] - value[i - 1])
    return float(np.exp(np.log(cost[i - 1]) + share * np.log(cost[i] / cost[i - 1])))
