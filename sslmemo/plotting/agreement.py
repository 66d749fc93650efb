"""AgreementDisplay: how far the true scores of several fits agree, pair by pair."""

from __future__ import annotations

import numpy as np

from .._compat import shown
from ..experiments.agreement import RESOLVED, Agreement, agreement
from ._common import INK, MUTED, pyplot

__all__ = ["AgreementDisplay"]

UNKNOWN = "#F1F1F1"  # a pair that is not resolved
NONE = "\N{EN DASH}"  # a constant score's correlation


class AgreementDisplay:
    """Matrix of the corrected correlations of several fits, with their intervals.

    A cell below the diagonal shows the correlation of the true scores of two fits and its interval,
    coloured by the correlation; a grey one is not resolved. The diagonal shows each fit's
    reliability. Above it stand the correlations of the scores as they are. A dash is where a score is
    constant. Make it with `from_results`, which also draws it.

    Parameters
    ----------
    agreement : Agreement
        See `sslmemo.experiments.agreement`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    ConsensusDisplay : The rows that all fits agree on.
    """

    def __init__(self, agreement):
        self.agreement = agreement

    @classmethod
    def from_results(cls, results, *, level=0.95, ax=None):
        """Draw the agreement of several fits, computed before or here.

        Parameters
        ----------
        results : dict of str to MemorizationResult, sequence of them, Agreement or DefinitionComparison
            At least two fits of the same rows; or what was computed of them.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1), if they are computed here.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        AgreementDisplay

        Raises
        ------
        TypeError, ValueError
            `results` is none of these, or as `sslmemo.experiments.agreement` says.
        """
        found = getattr(results, "agreement", results)
        if isinstance(found, Agreement):
            return cls(found).plot(ax=ax)
        if not isinstance(results, (dict, list, tuple)):
            raise TypeError(
                "results must be a dict or a list of MemorizationResult, an Agreement or a "
                f"DefinitionComparison, got {shown(results)}."
            )
        return cls(agreement(results, level)).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        AgreementDisplay
            With `ax_` and `figure_`.
        """
        if not isinstance(self.agreement, Agreement):
            raise TypeError(f"agreement must be an Agreement, got {type(self.agreement).__name__}.")
        plt, found, m = pyplot(), self.agreement, len(self.agreement.names)
        if ax is None:
            side = 1.6 + 0.86 * m
            _, ax = plt.subplots(figsize=(side + 0.9, side), layout="constrained")
        shade = np.full((m, m), np.nan)
        below = np.tril_indices(m, -1)
        shade[below] = np.where(found.resolved, found.corrected, np.nan)[below]
        colours = plt.get_cmap("RdBu").with_extremes(bad=UNKNOWN)
        image = ax.imshow(np.ma.masked_invalid(shade), cmap=colours, vmin=-1, vmax=1)
        for i in range(m):
            for j in range(m):
                self._cell(ax, i, j)
        ax.set_xticks(range(m), found.names, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(m), found.names)
        ax.set_xticks(np.arange(m + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(m + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=2)
        ax.tick_params(which="both", length=0, labelsize=9, colors=INK)
        ax.spines[:].set_visible(False)
        ax.set_title(
            "Below: correlation of the true scores. Diagonal: reliability.\n"
            "Above: correlation of the scores as they are"
            + (" (common noise in it)" if found.shares_blocks else "")
            + ("\nThose of the true scores may exceed 1 by noise" if found.notes() else ""),
            fontsize=9, color=MUTED, loc="left",
        )  # fmt: skip
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.6, label="correlation of the true scores")
        bar.outline.set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _cell(self, ax, i, j):
        found = self.agreement
        if i == j:
            text, colour = _number(found.reliability[i]), INK
        elif i < j:
            text, colour = _number(found.observed[i, j]), MUTED
        elif np.isnan(found.observed[i, j]):
            text, colour = NONE, MUTED
        elif not found.resolved[i, j]:
            text, colour = "not\nresolved", MUTED
        else:
            value, low, high = found.corrected[i, j], found.low[i, j], found.high[i, j]
            text = f"{value:.2f}\n[{low:.2f}, {high:.2f}]"
            colour = "white" if abs(value) > 0.65 else INK
        weight = "bold" if i == j and found.reliability[i] >= RESOLVED else "normal"
        size = 7.5 if "\n" in text else 9
        ax.text(j, i, text, ha="center", va="center", fontsize=size, color=colour, weight=weight)


def _number(value):
    return f"{value:.2f}" if np.isfinite(value) else NONE
