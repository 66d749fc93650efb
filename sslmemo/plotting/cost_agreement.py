"""CostAgreementDisplay: how far estimators agree with a large pool, against what they cost."""

from __future__ import annotations

import numpy as np

from .._compat import check_choice
from ..experiments.ceiling import METRICS
from ..experiments.comparison import EstimatorComparison
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
    bare,
    check_kind,
    pyplot,
)  # fmt: skip

__all__ = ["CostAgreementDisplay"]

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, INK, MUTED)
DASHES = ("-", "--", ":", "-.")
SAID = {
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
    "top_recall": "recall of the top",
}


class CostAgreementDisplay:
    """Agreement with a large independent pool, in parts of the noise ceiling, against row-epochs.

    One line an estimator and design; colours tell estimators apart, dashes the designs. A proxy is
    a single mark, or a dotted line across where it trains nothing.

    Parameters
    ----------
    comparison : EstimatorComparison
        What to draw.

    Attributes
    ----------
    ax_ : Axes
        Where it was drawn.
    figure_ : Figure
        The figure of `ax_`.

    See Also
    --------
    sslmemo.experiments.compare_estimators : Makes a comparison.
    """

    def __init__(self, comparison):
        self.comparison = check_kind(comparison, EstimatorComparison, name="comparison")

    @classmethod
    def from_result(cls, comparison, *, metric="spearman", level=0.95, ax=None):
        """Draw a comparison.

        Parameters
        ----------
        comparison : EstimatorComparison
            What to draw.
        metric : {"spearman", "pearson", "top_recall"}, default="spearman"
            Which agreement.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CostAgreementDisplay
        """
        return cls(comparison).plot(metric=metric, level=level, ax=ax)

    def plot(self, *, metric="spearman", level=0.95, ax=None):
        """Draw it.

        Parameters
        ----------
        metric : {"spearman", "pearson", "top_recall"}, default="spearman"
            As in `from_result`.
        level : float, default=0.95
            As in `from_result`.
        ax : Axes, default=None
            As in `from_result`.

        Returns
        -------
        CostAgreementDisplay
            Itself.

        Raises
        ------
        ValueError
            The metric is unknown, or `level` lies outside (0, 1).
        """
        from matplotlib.lines import Line2D

        found = self.comparison
        check_choice("metric", metric, METRICS)
        table = found.summary_table(metric, level)
        if ax is None:
            _, ax = pyplot().subplots(figsize=(7, 4.8), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        pairs = list(dict.fromkeys(zip(table["estimator"].tolist(), table["design"].tolist())))
        names = list(dict.fromkeys(name for name, _ in pairs))
        designs = list(dict.fromkeys(d for _, d in pairs if d != "proxy"))
        for i, (name, design) in enumerate(pairs):
            rows = (table["estimator"] == name) & (table["design"] == design)
            shift = 1.02 ** (i - (len(pairs) - 1) / 2)  # bars side by side
            style = {
                "color": COLOURS[names.index(name) % len(COLOURS)],
                "label": name if len(designs) < 2 or design == "proxy" else f"{name}, {design}",
            }
            self._line(
                table[rows].sort("row_epochs", ascending=True), design, designs, shift, style
            )
        self._ceiling(table["of_ceiling"])
        self._labels(metric, level)
        shown = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
        lines = dict(sorted(shown.items(), key=lambda item: isinstance(item[1], Line2D)))
        self.figure_.legend(
            lines.values(), lines, loc="outside lower center", ncols=3, frameon=False, fontsize=9
        )
        return self

    def _line(self, rows, design, designs, shift, style):
        """One estimator under one design."""
        value, low, high = (rows[f"of_ceiling{end}"] for end in ("", "_low", "_high"))
        if rows["row_epochs"][0] == 0:
            self.ax_.axhline(value[0], ls=":", lw=1.3, **style)
            return
        bars = np.nan_to_num([value - low, high - value])
        mark = "D" if design == "proxy" else MARKS[designs.index(design) % len(MARKS)]
        dash = "" if design == "proxy" else DASHES[designs.index(design) % len(DASHES)]
        self.ax_.errorbar(
            rows["row_epochs"] * shift, value, bars, marker=mark, markersize=5, ls=dash, lw=1.3,
            capsize=2, **style,
        )  # fmt: skip

    def _ceiling(self, values):
        """A line at the noise ceiling, with its words above where nothing is drawn."""
        self.ax_.axhline(1, color=HAIRLINE, lw=1, zorder=0)
        top = max(1.0, np.nanmax(values))
        low, _ = self.ax_.get_ylim()
        self.ax_.set_ylim(low, top + 0.12 * (top - low))
        self.ax_.annotate(
            "ceiling: the true scores",
            (0.01, 1 if top < 1.01 else top),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=8,
            color=MUTED,
        )

    def _labels(self, metric, level):
        from matplotlib.ticker import LogLocator, NullFormatter

        found, ax, truth = self.comparison, self.ax_, self.comparison.truth
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        subs = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
        ax.xaxis.set_major_locator(LogLocator(subs=subs, numticks=20))
        ax.xaxis.set_major_formatter(lambda x, _: _short(x))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("row-epochs: rows an encoder trains on x epochs, summed", fontsize=9)
        said = SAID[metric] + (f" {found.top_k}" if metric == "top_recall" else "")
        ax.set_ylabel(f"{said}, in parts of the noise ceiling", fontsize=9)
        ax.set_title(
            f"against {truth.run.plan.n_encoders} other encoders, reliability {truth.reliability:.2f}; "
            f"bars: {level:.0%} intervals over pools",
            loc="left", fontsize=9, color=MUTED,
        )  # fmt: skip
        bare(ax)


def _short(x):
    """A count in few letters: 500, 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if x >= size * (1 - 1e-9):
            return f"{x / size:.4g}{letter}"
    return f"{x:.4g}"
