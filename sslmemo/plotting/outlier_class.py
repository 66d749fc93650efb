"""What some training points of a class do for its held-out members."""

from __future__ import annotations

import numpy as np

from ..experiments.outlier_class import OutlierClassExperiment
from ._common import BLUE, INK, MUTED, VERMILLION, bare, check_kind, pyplot

__all__ = ["OutlierClassDisplay"]

LOOKS = {"all": (INK, "o"), "near": (VERMILLION, "^"), "far": (BLUE, "v")}


class OutlierClassDisplay:
    """Gains against the number of training points, and single points' memorization against gains.

    Parameters
    ----------
    result : OutlierClassExperiment
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (3,)
        Gain of alignment, gain of accuracy, and the gains of single points.
    figure_ : Figure
        The figure.

    See Also
    --------
    sslmemo.experiments.outlier_class_experiment : Makes the result.
    """

    def __init__(self, result):
        self.result = check_kind(result, OutlierClassExperiment)

    @classmethod
    def from_result(cls, result, *, level=0.95):
        """Draw a result.

        Parameters
        ----------
        result : OutlierClassExperiment
            What to draw.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        OutlierClassDisplay
        """
        return cls(result).plot(level=level)

    def plot(self, *, level=0.95):
        """Draw it in a new figure.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        OutlierClassDisplay
            Itself.
        """
        self.figure_, self.axes_ = pyplot().subplots(1, 3, figsize=(13, 4), layout="constrained")
        t = self.result.summary_table(level)
        for ax, metric in zip(self.axes_, ("alignment_gain", "accuracy_gain"), strict=False):
            for shift, (where, (colour, mark)) in zip((-0.08, 0, 0.08), LOOKS.items(), strict=True):
                some = t[(t["metric"] == metric) & (t["where"] == where)]
                place = np.arange(len(some)) + shift
                bars = np.nan_to_num([some["mean"] - some["low"], some["high"] - some["mean"]])
                ax.errorbar(place, some["mean"], bars, color=colour, marker=mark, lw=1.2, capsize=2,
                            label=f"{where} held-out members")  # fmt: skip
            ax.set_xticks(np.arange(len(some)), some["count"])
            ax.set_xlabel("training points of the class")
            ax.set_ylabel(metric.replace("_", " "))
            ax.axhline(0, color=MUTED, lw=1, zorder=0)
        self.axes_[0].legend(frameon=False, fontsize=9)
        n = t["n_classes"][0]
        self.axes_[0].set_title(
            f"bars: {level:.0%} over {n} classes", loc="left", fontsize=9, color=MUTED
        )
        points = self.result.points_table()
        ax = self.axes_[2]
        for where in ("near", "far"):
            colour, mark = LOOKS[where]
            ax.scatter(points["memorization"], points[f"alignment_gain_{where}"], s=18, color=colour,
                       marker=mark, label=f"{where} members")  # fmt: skip
        ax.axhline(0, color=MUTED, lw=1, zorder=0)
        ax.set_xlabel("memorization of the single point")
        ax.set_ylabel("alignment gain of its class")
        ax.legend(frameon=False, fontsize=9)
        for ax in self.axes_:
            bare(ax)
        return self
