"""LongTailDisplay: memorization and error by how often a subpopulation was seen, and what it weighs."""

from __future__ import annotations

import numpy as np

from .._compat import shown
from ..experiments.long_tail import long_tail_experiment
from ..table import ScoreTable
from ._common import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILLION, bare, pyplot

__all__ = ["LongTailDisplay"]

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE)  # all of the palette but black, yellow
MARKS = "osD^vP"
NEEDED = (
    "variant", "count", "n_subpopulations", "memorization", "memorization_low",
    "memorization_high", "accuracy", "accuracy_error", "tau", "excess_error",
)  # fmt: skip
ASIDE = 0.035  # between the variants' marks, in natural logarithms of the count


class LongTailDisplay:
    """Three panels over the count l: mean memorization, error, and the weight tau of one subpopulation.

    The bars of memorization are intervals over blocks, those of the error standard errors over
    subpopulations; where a count has one subpopulation the error has none. The legend tells each
    variant's excess error: error times tau, summed over the subpopulations of the sample. Marks of
    several variants stand slightly side by side. Make it with `from_experiment` or from the table of
    an experiment.

    Parameters
    ----------
    table : ScoreTable
        What `sslmemo.experiments.long_tail.long_tail_experiment` returned.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (3,)
        Where it was drawn, from above.
    figure_ : matplotlib Figure
        Their figure.
    """

    def __init__(self, table):
        self.table = table

    @classmethod
    def from_experiment(cls, simulator, estimators, *, axes=None, **options):
        """Do the experiment and draw it.

        Parameters
        ----------
        simulator : LongTailSimulator
            The population.
        estimators : dict of str to MemorizationEstimator
            Variants of the training by name.
        axes : sequence of three matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **options : dict
            Further arguments of `long_tail_experiment`.

        Returns
        -------
        LongTailDisplay

        Raises
        ------
        TypeError, ValueError
            As `long_tail_experiment` says.
        """
        return cls(long_tail_experiment(simulator, estimators, **options)).plot(axes=axes)

    def plot(self, axes=None):
        """Draw the panels.

        Parameters
        ----------
        axes : sequence of three matplotlib Axes, default=None
            Where to draw, from above; None makes a figure.

        Returns
        -------
        LongTailDisplay
            With `axes_` and `figure_`.

        Raises
        ------
        TypeError, ValueError
            `table` is none of a long-tail experiment, of more than six variants, or `axes` are not
            three.
        """
        names = self._check()
        plt = pyplot()
        if axes is None:
            _, axes = plt.subplots(
                3, 1, sharex=True, figsize=(6.2, 7), layout="constrained",
                height_ratios=(1.25, 1.25, 1),
            )  # fmt: skip
        axes = np.asarray(axes, dtype=object).ravel()
        if len(axes) != 3:
            raise ValueError(f"axes must be three Axes, got {len(axes)}.")
        above, middle, below = axes
        for i, name in enumerate(names):
            part = self.table[self.table["variant"] == name].sort("count", ascending=True)
            x = part["count"] * np.exp(ASIDE * (i - (len(names) - 1) / 2))
            style = {
                "color": COLOURS[i], "marker": MARKS[i], "markersize": 4, "linewidth": 0.8,
                "elinewidth": 0.9, "linestyle": "-",
            }  # fmt: skip
            m = part["memorization"]
            bar = np.nan_to_num([m - part["memorization_low"], part["memorization_high"] - m])
            total = part["excess_error"].sum()
            above.errorbar(x, m, bar, label=f"{name}: {total:.3f}", **style)
            error = 1 - part["accuracy"]
            middle.errorbar(x, error, np.nan_to_num(part["accuracy_error"]), **style)
        self._weight(below)
        above.axhline(0, color=MUTED, linewidth=0.7, zorder=0)
        above.set_ylabel("mean m(x)")
        above.set_title("Memorization", loc="left", fontsize=10, color=INK)
        middle.set_ylabel("error")
        middle.set_ylim(bottom=min(0.0, middle.get_ylim()[0]))
        middle.set_title("Error on fresh points", loc="left", fontsize=10, color=INK)
        for ax in axes:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_locator(plt.NullLocator())
            bare(ax)
        above.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.1), ncols=min(len(names), 2), frameon=False,
            fontsize=8.5, title="training: excess error", title_fontsize=8.5, alignment="left",
        )  # fmt: skip
        self.axes_, self.figure_ = axes, above.figure
        return self

    def _weight(self, ax):
        """Tau against the count, which all variants share, with the numbers of subpopulations."""
        count, first = np.unique(self.table["count"], return_index=True)
        tau, number = self.table["tau"][first], self.table["n_subpopulations"][first]
        ax.plot(count, tau, color=INK, marker="o", markersize=3.5, linewidth=0.9)
        for x, y, n in zip(count, tau, number, strict=True):
            if n > 1:
                ax.annotate(str(n), (x, y), (0, 5), textcoords="offset points", ha="center",
                            fontsize=8, color=MUTED)  # fmt: skip
        ax.set_yscale("log")
        ax.margins(y=0.15)
        ax.set_ylabel(r"$\tau(l)$")
        ax.set_xlabel("count l of the subpopulation in the sample")
        title = "Expected frequency of a subpopulation (grey: how many, if several)"
        ax.set_title(title, loc="left", fontsize=10, color=INK)

    def _check(self):
        """Names of the variants, in their order; refuse what is no table of the experiment."""
        if not isinstance(self.table, ScoreTable):
            raise TypeError(
                f"table must be the ScoreTable of long_tail_experiment, got {shown(self.table)}."
            )
        missing = [name for name in NEEDED if name not in self.table.columns]
        if missing:
            raise ValueError(
                f"table has no column {missing[0]!r}: pass what long_tail_experiment returned."
            )
        names = list(dict.fromkeys(self.table["variant"].tolist()))
        if len(names) > len(COLOURS):
            raise ValueError(
                f"table has {len(names)} variants: at most {len(COLOURS)} are told apart; draw a part "
                "of its rows."
            )
        return names
