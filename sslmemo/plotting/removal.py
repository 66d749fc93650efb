"""Removal curves: what a downstream task loses when rows go, and how that compares with chance."""

from __future__ import annotations

import numpy as np

from ..experiments.curve import NOTHING, RemovalCurve
from ..experiments.replicates import RemovalExperiment
from ._common import (
    BLUE,
    GREEN,
    HAIRLINE,
    INK,
    MARKS,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    bare,
    check_kind,
    pyplot,
)  # fmt: skip

__all__ = ["RemovalDisplay"]

COLOURS = {"memorized": VERMILLION, "random": MUTED, "least_memorized": BLUE}
OTHERS = (GREEN, ORANGE, SKY, PURPLE, YELLOW, INK)


class RemovalDisplay:
    """Downstream metric against the share of removed rows; beside it the difference from random.

    Parameters
    ----------
    result : RemovalCurve or RemovalExperiment
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (2,)
        Left the metric, right its difference from random removal.
    figure_ : Figure
        The figure.

    See Also
    --------
    sslmemo.experiments.removal_curve : Makes a curve.
    sslmemo.experiments.removal_experiment : Makes replicates of it.
    """

    def __init__(self, result):
        self.result = check_kind(result, RemovalCurve, RemovalExperiment)

    @classmethod
    def from_result(cls, result, *, metric=None, level=0.95, ax=None):
        """Draw a result.

        Parameters
        ----------
        result : RemovalCurve or RemovalExperiment
            What to draw.
        metric : str, default=None
            As in `RemovalCurve.table`; None is the first of the result's `metrics`.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).
        ax : sequence of two Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        RemovalDisplay
        """
        return cls(result).plot(metric=metric, level=level, ax=ax)

    def plot(self, *, metric=None, level=0.95, ax=None):
        """Draw it.

        Parameters
        ----------
        metric : str, default=None
            As in `from_result`.
        level : float, default=0.95
            As in `from_result`.
        ax : sequence of two Axes, default=None
            As in `from_result`.

        Returns
        -------
        RemovalDisplay
            Itself.
        """
        if ax is None:
            _, ax = pyplot().subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        self.axes_, self.figure_ = np.asarray(ax), ax[0].figure
        metric = self.result.metrics[0] if metric is None else metric
        columns = self._cells(metric, level)
        strategies = [s for s in dict.fromkeys(columns["strategy"].tolist()) if s != NOTHING]
        whole = columns["strategy"] == NOTHING
        others = iter(OTHERS * len(strategies))
        for i, strategy in enumerate(strategies):
            rows = columns["strategy"] == strategy
            style = {
                "color": COLOURS.get(strategy) or next(others),
                "marker": MARKS[i % len(MARKS)],
                "markersize": 5,
                "label": strategy.replace("_", " "),
            }
            shift = 0.006 * (i - (len(strategies) - 1) / 2)  # bars side by side
            for axis, names in zip(
                ax,
                (("mean", "low", "high"), ("difference", "difference_low", "difference_high")),
                strict=True,
            ):
                mid, low, high = (columns[n][rows] for n in names)
                if not np.isfinite(mid).any():
                    continue
                bars = np.nan_to_num([mid - low, high - mid])
                axis.errorbar(
                    columns["fraction"][rows] + shift, mid, bars, capsize=2, lw=1.3, **style
                )
        ax[0].axhline(columns["mean"][whole][0], color=HAIRLINE, lw=1, zorder=0)
        ax[0].annotate(
            "all rows",
            (0.01, columns["mean"][whole][0]),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
        )
        ax[0].margins(x=0.12)
        ax[1].axhline(0, color=MUTED, lw=1, zorder=0)
        for axis, label in zip(ax, (metric, f"{metric}, against random"), strict=True):
            axis.set_xlabel("share of rows removed")
            axis.set_ylabel(label)
            axis.set_xticks(sorted(set(columns["fraction"][~whole].tolist())))
            axis.xaxis.set_major_formatter("{x:.0%}")
            bare(axis)
        self.figure_.legend(*ax[0].get_legend_handles_labels(), loc="outside lower center", ncols=4,
                            frameon=False, fontsize=9)  # fmt: skip
        over = "replicates" if hasattr(self.result, "curves") else "repeats, for these rows"
        ax[1].set_title(
            f"bars: {level:.0%} intervals over {over}", loc="left", fontsize=9, color=MUTED
        )
        return self

    def _cells(self, metric, level):
        """Columns of the summary, of one metric."""
        if hasattr(self.result, "curves"):
            return self.result.summary_table(metric, level).columns
        table = self.result.summary_table(level)
        some = table[table["metric"] == metric]
        if not len(some):
            known = ", ".join(dict.fromkeys(table["metric"].tolist()))
            raise ValueError(f"metric={metric!r} was not measured. There are: {known}.")
        return some.columns
