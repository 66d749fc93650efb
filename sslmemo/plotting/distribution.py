"""ScoreDistributionDisplay: all scores with their errors, against noise, and by group."""

from __future__ import annotations

import numpy as np

from .._compat import named, shown
from ..designs import ROLES
from ..sources import check_labels
from ._common import (
    BAND,
    BLUE,
    GREEN,
    INK,
    MAX_GROUPS,
    MUTED,
    ORANGE,
    SKY,
    VERMILLION,
    bare,
    check_result,
    describe,
    pyplot,
    result_of,
)

__all__ = ["ScoreDistributionDisplay"]

KINDS = ("sorted", "hist", "both")
SCORE = "memorization score m(x)"
ROLE_NAMES = dict(
    zip(ROLES, ("shared $S_S$", "candidate $S_C$", "independent $S_I$", "external $S_E$"))
)
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE)
LEGEND = {"fontsize": 8, "edgecolor": "none", "framealpha": 0.8}


class ScoreDistributionDisplay:
    """All scores: sorted with 95% intervals, and as histograms by class or role.

    Both panels show the noise band, in which 95% of the scores would fall without memorization.
    Rows without a score are left out. Make it with `from_estimator` or `from_result`, which also
    draw it.

    Parameters
    ----------
    rows : ndarray of int, shape (n_scored,)
        Row of X, ascending by score.
    scores : ndarray of shape (n_scored,)
        Scores m(x), higher = more memorized, ascending.
    low, high : ndarray of shape (n_scored,)
        95% interval of every score; NaN where unknown.
    noise_band : tuple of float
        (low, high); NaN where unknown.
    groups : ndarray of int, shape (n_scored,), default=None
        Group of every row, as a position in `group_names`.
    group_names : list of str, default=None
        Names of the groups, from top to bottom.
    group_kind : {"class", "role"}, default="class"
        What the groups are.
    title, subtitle : str, default=""
        What the scores are of, and how far they can be trusted.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (1,) or (2,)
        Where it was drawn.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    MemorizationRankingDisplay : The images at both ends.

    Examples
    --------
    >>> import numpy as np
    >>> from sslmemo import MemorizationResult, ScoreDistributionDisplay
    >>> from sslmemo.designs import Subsample
    >>> from sslmemo.pool import Run
    >>> plan = Subsample().draw(50, 8, entropy=0)
    >>> rng = np.random.default_rng(0)
    >>> alignment = rng.normal(1.0, 0.1, plan.member.shape) - 0.5 * plan.member
    >>> result = MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(4)))
    >>> display = ScoreDistributionDisplay.from_result(result, y=np.arange(50) % 2)
    >>> display.group_names
    ['0', '1']
    """

    def __init__(self, *, rows, scores, low, high, noise_band, groups=None, group_names=None,
                 group_kind="class", title="", subtitle=""):  # fmt: skip
        self.rows = rows
        self.scores = scores
        self.low = low
        self.high = high
        self.noise_band = noise_band
        self.groups = groups
        self.group_names = group_names
        self.group_kind = group_kind
        self.title = title
        self.subtitle = subtitle

    @classmethod
    def from_estimator(cls, estimator, y=None, *, kind="both", ax=None):
        """Draw the scores of a fitted estimator's training rows.

        Parameters
        ----------
        estimator : MemorizationEstimator
            Fitted.
        y : array-like of shape (n_samples,), default=None
            Classes. None groups by role after ``design="split"``, and else not at all.
        kind : {"both", "sorted", "hist"}, default="both"
            Panels to draw.
        ax : matplotlib Axes or a sequence of them, default=None
            One for each panel; None makes a figure.

        Returns
        -------
        ScoreDistributionDisplay
        """
        return cls.from_result(result_of(estimator), y, kind=kind, ax=ax)

    @classmethod
    def from_result(cls, result, y=None, *, kind="both", ax=None):
        """Draw the scores of a result.

        Parameters
        ----------
        result : MemorizationResult
            Its scores and, for a split, roles. Of a shrunken one the unbiased differences are drawn,
            whose noise the band shows.
        y : array-like of shape (n_samples,), default=None
            Classes. None groups by role where the result has roles, and else not at all.
        kind : {"both", "sorted", "hist"}, default="both"
            Panels to draw.
        ax : matplotlib Axes or a sequence of them, default=None
            One for each panel; None makes a figure.

        Returns
        -------
        ScoreDistributionDisplay

        Raises
        ------
        ValueError
            y does not fit or has too many values, `kind` is unknown, no row has a score, or `ax`
            are not as many as panels.
        """
        _check_kind(kind)
        result = check_result(result).unbiased  # the noise band is that of differences
        rows = np.flatnonzero(np.isfinite(result.score))
        if not len(rows):
            raise ValueError("no row has a score: nothing can be drawn.")
        rows = rows[np.argsort(result.score[rows], kind="stable")]
        low, high = result.interval()
        groups, names, group_kind = _groups(y, result.run.plan.roles, rows, len(result))
        estimand, trust = describe(result)
        display = cls(
            rows=rows,
            scores=result.score[rows],
            low=low[rows],
            high=high[rows],
            noise_band=tuple(float(b) for b in result.noise_band()),
            groups=groups,
            group_names=names,
            group_kind=group_kind,
            title=f"Memorization of {len(rows)} rows",
            subtitle=f"{estimand}\n{trust}",
        )
        return display.plot(ax=ax, kind=kind)

    def plot(self, ax=None, *, kind="both"):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or a sequence of them, default=None
            One for each panel: two for ``kind="both"``; None makes a figure.
        kind : {"both", "sorted", "hist"}, default="both"
            Panels to draw.

        Returns
        -------
        self
        """
        _check_kind(kind)
        plt = pyplot()
        panels = {"both": (self._sorted, self._histogram), "sorted": (self._sorted,),
                  "hist": (self._histogram,)}[kind]  # fmt: skip
        if ax is None:
            size = (9.0, 3.9) if kind == "both" else (6.0, 3.9)
            figure, axes = plt.subplots(1, len(panels), figsize=size, layout="constrained",
                                        squeeze=False)  # fmt: skip
            axes = axes[0]
            figure.suptitle(self._heading(len(panels)), fontsize=10, color=INK)
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
            for panel in axes:
                if not hasattr(panel, "axhspan"):
                    raise TypeError(f"ax must be matplotlib Axes, got {shown(panel)}.")
            if len(axes) != len(panels):
                raise ValueError(
                    f"kind={kind!r} draws {len(panels)} panel(s), but ax holds {len(axes)}: pass "
                    "one Axes for each, or kind='sorted' or 'hist' for a single one."
                )
            axes[0].set_title(self._heading(1), fontsize=9, color=INK, pad=14)
        for draw, panel in zip(panels, axes, strict=True):
            bare(panel)
            draw(panel)
        if kind == "sorted" and self._coloured:  # beside the histogram its labels are the key
            self._key(axes[0])
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _heading(self, n_panels):
        """Two lines; a single panel is too narrow for the estimand."""
        estimand, _, trust = self.subtitle.partition("\n")
        if n_panels == 1:
            return f"{self.title}\n{trust}"
        return f"{self.title}; {trust}\n{estimand}"

    def _sorted(self, ax):
        """Scores ascending, with intervals and the noise band."""
        n = len(self.scores)
        place = np.arange(1, n + 1)
        points = ax.get_window_extent().width / ax.figure.dpi * 72
        line = float(np.clip(0.7 * points / n, 0.35, 1.5))
        size = float(np.clip(1.6 * points / n, 1.5, 4.0))
        self._band(ax.axhspan)
        ax.axhline(0, color=MUTED, linewidth=0.6, zorder=1)
        coloured = self._coloured
        if np.isfinite(self.low).any():
            ax.vlines(place, self.low, self.high, color=MUTED if coloured else SKY, linewidth=line,
                      alpha=0.35 if coloured else 0.7, zorder=2, label="95% interval")  # fmt: skip
        style = {"linestyle": "none", "marker": "o", "markersize": size, "markeredgewidth": 0}
        if coloured:
            for g in range(len(self.group_names)):
                mine = self.groups == g
                ax.plot(place[mine], self.scores[mine], color=COLOURS[g], zorder=3, **style)
        else:
            ax.plot(place, self.scores, color=BLUE, label="score", zorder=3, **style)
        ax.set(xlabel="rows, sorted by score", ylabel=SCORE, xlim=(0, n + 1))
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="upper left", markerscale=5 / max(size, 2.5), **LEGEND)

    @property
    def _coloured(self):
        """Whether every group has a colour of its own."""
        return self.groups is not None and len(self.group_names) <= len(COLOURS)

    def _key(self, ax):
        """A second legend, of the groups, in the corner that an ascending curve leaves free."""
        first = ax.get_legend()
        style = {"linestyle": "none", "marker": "o", "markersize": 5}
        handles = [ax.plot([], [], color=c, **style)[0] for c in COLOURS[: len(self.group_names)]]
        prefix = "class " if self.group_kind == "class" else ""
        ax.legend(handles, [prefix + m for m in self.group_names], loc="lower right", **LEGEND)
        if first is not None:
            ax.add_artist(first)

    def _histogram(self, ax):
        """One histogram, or one below the other for the groups, to one scale."""
        bins = np.histogram_bin_edges(self.scores, bins=min(40, max(15, len(self.scores) // 10)))
        self._band(ax.axvspan)
        if np.isfinite(self.noise_band).all():
            where = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            ax.text(0, 1.005, "noise", fontsize=8, color=MUTED, **where)
        ax.locator_params(axis="x", nbins=6)
        ax.axvline(0, color=MUTED, linewidth=0.6, zorder=1)
        ax.set_xlabel(SCORE)
        if self.groups is None:
            ax.hist(self.scores, bins=bins, color=BLUE, zorder=2)
            ax.locator_params(axis="y", integer=True)
            ax.set_ylabel("rows")
            return
        n = len(self.group_names)
        parts = [self.scores[self.groups == g] for g in range(n)]
        shares = [np.histogram(p, bins)[0] / len(p) for p in parts]
        scale = 0.9 / max(s.max() for s in shares)
        for g, (part, share) in enumerate(zip(parts, shares, strict=True)):
            base = n - 1 - g
            colour = COLOURS[g] if self._coloured else BLUE
            ax.stairs(base + scale * share, bins, baseline=base, fill=True, color=colour, zorder=2)
            ax.plot([bins[0], bins[-1]], [base, base], color=MUTED, linewidth=0.5, zorder=3)
            mean = part.mean()
            ax.plot([mean, mean], [base, base + 0.9], color=INK, linewidth=1.2, zorder=4)
        names = [f"{m} ({len(p)})" for m, p in zip(self.group_names, parts, strict=True)]
        ax.set_yticks(n - 1 - np.arange(n), names, va="bottom")
        if self._coloured:
            for label, colour in zip(ax.get_yticklabels(), COLOURS):
                label.set_color(colour)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_ylim(-0.05, n)
        where = {"transform": ax.transAxes, "ha": "right", "va": "bottom"}
        ax.text(-0.01, 1.005, f"{self.group_kind} (rows)", fontsize=8, color=MUTED, **where)
        ax.set_xlabel(f"{SCORE}; line = mean")

    def _band(self, span):
        if np.isfinite(self.noise_band).all():
            label = "noise: 95% of scores\nwithout memorization"
            span(*self.noise_band, color=BAND, linewidth=0, zorder=0, label=label)


def _check_kind(kind):
    named(kind, dict.fromkeys(KINDS), "kind")


def _groups(y, roles, rows, n):
    """Group of every scored row, the groups' names, and what they are."""
    if y is None and roles is None:
        return None, None, "class"
    if y is None:
        present = [r for r in ROLES if (roles[rows] == r).any()]
        groups = np.array([present.index(r) for r in roles[rows]])
        return groups, [ROLE_NAMES[r] for r in present], "role"
    names, groups = np.unique(check_labels(y, n)[rows], return_inverse=True)
    if len(names) > MAX_GROUPS:
        raise ValueError(
            f"y has {len(names)} distinct values, more than the {MAX_GROUPS} that a figure holds: "
            "merge classes, or leave y out."
        )
    return groups, [str(m) for m in names], "class"
