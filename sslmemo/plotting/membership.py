"""MembershipDisplay: how well membership attacks work, and on which rows."""

from __future__ import annotations

import numpy as np

from ..audits import MembershipAudit
from ._common import (
    BLUE,
    GREEN,
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

__all__ = ["MembershipDisplay"]

PLAIN = "threshold"
MOST_TICKS = 12  # bins that are numbered
CHANCE = {"color": INK, "lw": 1, "ls": "--", "zorder": 5}  # above the curves
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, INK)


class MembershipDisplay:
    """ROC of membership attacks on logarithmic axes; beside it their success by m(x).

    Parameters
    ----------
    audit : MembershipAudit
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (2,)
        Left the ROC, averaged over encoders; right the share of members found, or the AUC where encoders
        have fewer than 100 non-members. The right one is empty, with the reason, where there are too few
        blocks.
    figure_ : Figure
        The figure.

    See Also
    --------
    sslmemo.audits.membership_inference : Makes an audit.
    """

    def __init__(self, audit):
        self.audit = check_kind(audit, MembershipAudit, name="audit")

    @classmethod
    def from_result(cls, audit, *, attacks=None, level=0.95, ax=None):
        """Draw an audit.

        Parameters
        ----------
        audit : MembershipAudit
            What to draw.
        attacks : sequence of str, default=None
            Which attacks, in this order; None is all.
        level : float, default=0.95
            Confidence of bands and bars, in (0, 1).
        ax : sequence of two Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        MembershipDisplay
        """
        return cls(audit).plot(attacks=attacks, level=level, ax=ax)

    def plot(self, *, attacks=None, level=0.95, ax=None):
        """Draw it.

        Parameters
        ----------
        attacks : sequence of str, default=None
            As in `from_result`.
        level : float, default=0.95
            As in `from_result`.
        ax : sequence of two Axes, default=None
            As in `from_result`.

        Returns
        -------
        MembershipDisplay
            Itself.

        Raises
        ------
        ValueError
            An attack was not made, or `level` lies outside (0, 1).
        """
        attacks = list(self.audit.curves) if attacks is None else list(attacks)
        curves = {name: self.audit.roc(name, level) for name in attacks}
        if ax is None:
            _, ax = pyplot().subplots(1, 2, figsize=(11, 4.6), layout="constrained")
        self.axes_, self.figure_ = np.asarray(ax), ax[0].figure
        others = (COLOURS[i % len(COLOURS)] for i in range(len(attacks)))
        styles = {}
        for i, name in enumerate(attacks):
            colour = MUTED if name == PLAIN else next(others)
            styles[name] = {"color": colour, "marker": MARKS[i % len(MARKS)],
                            "label": name.replace("_", " ")}  # fmt: skip
        self._roc(ax[0], curves, styles)
        self._by_score(ax[1], attacks, styles, level)
        for axis in ax:
            bare(axis)
        self.figure_.legend(*ax[0].get_legend_handles_labels(), loc="outside lower center", ncols=6,
                            frameon=False, fontsize=9)  # fmt: skip
        return self

    def _roc(self, ax, curves, styles):
        for i, (name, curve) in enumerate(curves.items()):
            ax.fill_between(curve["fpr"], curve["low"], curve["high"], color=styles[name]["color"],
                            alpha=0.15, lw=0)  # fmt: skip
            ax.plot(curve["fpr"], curve["tpr"], lw=1.4, markersize=4, markevery=(i % 5, 5),
                    **styles[name])  # fmt: skip
        lowest = min(c["fpr"][0] for c in curves.values())
        ax.plot([lowest, 1], [lowest, 1], **CHANCE)
        # in the corner below the line, where no attack worth its name has a curve
        ax.annotate("chance (dashed)", (0.98, 0.03), xycoords="axes fraction", ha="right", fontsize=8,
                    color=MUTED)  # fmt: skip
        ax.set(
            xscale="log", yscale="log", xlabel="false-positive rate", ylabel="true-positive rate"
        )
        plan = self.audit.plan
        ax.set_title(
            f"mean over {plan.n_encoders} encoders; bands: intervals at each rate",
            loc="left", fontsize=9, color=MUTED,
        )  # fmt: skip

    def _by_score(self, ax, attacks, styles, level):
        if self.audit.bins is None:
            ax.text(0.5, 0.5, "too few blocks for m(x) beside the attack", ha="center", va="center",
                    color=MUTED, fontsize=9, transform=ax.transAxes)  # fmt: skip
            return
        tables = {name: self.audit.by_score(name, level) for name in attacks}
        resolved = any(np.isfinite(t["found"]).any() for t in tables.values())
        value = "found" if resolved else "auc"
        for i, (name, table) in enumerate(tables.items()):
            shift = 0.09 * (i - (len(tables) - 1) / 2)  # bars side by side
            bars = np.nan_to_num(
                [table[value] - table[f"{value}_low"], table[f"{value}_high"] - table[value]]
            )
            ax.errorbar(table["bin"] + shift, table[value], bars, lw=1.1, capsize=0, markersize=4,
                        **styles[name])  # fmt: skip
        n = len(next(iter(tables.values())))
        ax.axhline(0.01 if resolved else 0.5, **CHANCE)
        step = -(-n // MOST_TICKS)
        ax.set_xticks(range(1, n + 1, step))
        ax.set_xlabel(f"m(x), in {n} bins of equally many rows, most memorized last")
        ax.set_ylabel("members found at 1% FPR" if resolved else "AUC within the bin")
        ax.set_title(
            f"bars: {level:.0%} intervals; m(x) by other blocks than the attack",
            loc="left", fontsize=9, color=MUTED,
        )  # fmt: skip
