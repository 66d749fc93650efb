"""DuplicatesDisplay: near-duplicate pairs, and what each twin hides of the other's memorization."""

from __future__ import annotations

import numbers

import numpy as np

from .._compat import check_in_range, shown
from ..audits.duplicates import NearDuplicates
from ..audits.twins import TwinMemorization
from ..data import as_data
from ._common import BLUE, HAIRLINE, INK, MUTED, VERMILLION, bare, pyplot

__all__ = ["DuplicatesDisplay"]

WIDTH, PITCH = 7.2, 0.62  # inches: of the figure, of a pair from the next
MARGIN, NAMES, TOP, BOTTOM = 0.15, 0.85, 0.35, 0.5  # inches
BESIDE, ACROSS = 1.08, 2.75  # left edge of the second image, and all with the distance, in pitches


class DuplicatesDisplay:
    """Near-duplicate pairs, nearest first, one line each.

    A line shows the two images (of a table, the numbers of the two rows) with their distance and,
    where the memorization given the twin is known, m(x) with a twin trained on and without, mean
    over both rows of the pair, with 95% intervals by block. Without it the line shows the distance
    beside the threshold. Make it with `from_duplicates`, which also draws it.

    Parameters
    ----------
    duplicates : NearDuplicates
        See `sslmemo.audits.find_near_duplicates`.
    shown : ndarray of int, shape (n_shown,)
        Pairs to show, by their positions.
    images : tuple of two ndarray, (n_shown, h, w) or (n_shown, h, w, c), default=None
        First and second image of every pair, in [0, 1]; None for a table.
    twins : TwinMemorization, default=None
        See `sslmemo.audits.twin_memorization`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the dots were drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    MemorizationRankingDisplay : Images from least to most memorized.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sslmemo.audits import find_near_duplicates
    >>> from sslmemo.plotting.duplicates import DuplicatesDisplay
    >>> X = load_digits().data[:300].reshape(-1, 1, 8, 8) / 16
    >>> X = np.concatenate([X, np.clip(X[:3] + 0.01, 0, 1)])
    >>> display = DuplicatesDisplay.from_duplicates(find_near_duplicates(X), X)
    >>> display.images[0].shape
    (3, 8, 8)
    """

    def __init__(self, duplicates, shown, images=None, twins=None):
        self.duplicates = duplicates
        self.shown = shown
        self.images = images
        self.twins = twins

    @classmethod
    def from_duplicates(cls, duplicates, X, X_other=None, *, twins=None, k=8, channels="first",
                        image_shape=None, ax=None, cmap="gray"):  # fmt: skip
        """Draw the pairs found.

        Parameters
        ----------
        duplicates : NearDuplicates
            What `sslmemo.audits.find_near_duplicates` found; at least one pair.
        X : array-like or dataset
            The rows searched, in that order.
        X_other : array-like or dataset, default=None
            The other set, if there was one.
        twins : TwinMemorization, default=None
            Of rows of these pairs.
        k : int, default=8
            Pairs shown, at most those that there are; of pairs with known memorization if `twins`.
        channels, image_shape
            As in `sslmemo.audits.find_near_duplicates`.
        ax : matplotlib Axes, default=None
            Where to draw the dots alone, with the rows' numbers; None makes a figure.
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        DuplicatesDisplay

        Raises
        ------
        TypeError, ValueError
            An argument is of another kind, X or X_other has another number of rows, or there is no
            pair to show.
        """
        if not isinstance(duplicates, NearDuplicates):
            raise TypeError(f"duplicates must be NearDuplicates, got {shown(duplicates)}.")
        if twins is not None and not isinstance(twins, TwinMemorization):
            raise TypeError(f"twins must be a TwinMemorization or None, got {shown(twins)}.")
        check_in_range("k", k, numbers.Integral, 1)
        if (X_other is not None) != bool(duplicates.n_other):
            raise ValueError("X_other must be given if, and only if, the pairs were sought in it.")
        rules = {"channels": channels, "image_shape": image_shape, "unit_range": False}
        data = as_data(X, reset=False, **rules)
        other = (
            data if X_other is None else as_data(X_other, reset=False, layout=data.layout, **rules)
        )
        sets = data, other
        sizes = duplicates.n_samples, duplicates.n_other or duplicates.n_samples
        for name, part, size in zip(("X", "X_other"), sets, sizes, strict=True):
            if len(part) != size:
                raise ValueError(f"{name} has {len(part)} rows, but {size} were searched.")
        pairs = duplicates.pairs
        known = np.ones(len(pairs), bool) if twins is None else np.isin(pairs, twins.row).any(1)
        chosen = np.flatnonzero(known)[:k]
        if not len(chosen):
            raise ValueError("there is no pair to show.")
        images = None
        if data.layout.is_image:
            images = _pictures(*(d.array(pairs[chosen, i]) for i, d in enumerate(sets)))
        return cls(duplicates, chosen, images, twins).plot(ax=ax, cmap=cmap)

    def plot(self, ax=None, *, cmap="gray"):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw the dots alone; None makes a figure.
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        DuplicatesDisplay
            With `ax_` and `figure_`.
        """
        n = len(self.shown)
        if ax is None:
            ax = self._new_axes(cmap)
        elif not hasattr(ax, "errorbar"):
            raise TypeError(f"ax must be matplotlib Axes, got {shown(ax)}.")
        if self.twins is None:
            self._draw_distances(ax)
        else:
            self._draw_scores(ax)
        ax.set_ylim(n - 0.5, -0.5)
        ax.set_yticks(range(n), self._names())
        bare(ax)
        ax.grid(axis="y", color=HAIRLINE, linewidth=0.5)
        ax.set_axisbelow(True)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _new_axes(self, cmap):
        """Axes for the dots in a new figure, with the images, if any, on the same lines."""
        n = len(self.shown)
        inner = PITCH * n
        height = BOTTOM + inner + TOP
        figure = pyplot().figure(figsize=(WIDTH, height))
        left = MARGIN
        if self.images is not None:
            box = [left / WIDTH, BOTTOM / height, ACROSS * PITCH / WIDTH, inner / height]
            self._draw_images(figure.add_axes(box), cmap)
            left += ACROSS * PITCH
        left += NAMES
        across = WIDTH - MARGIN - left
        return figure.add_axes([
            left / WIDTH, BOTTOM / height, across / WIDTH, inner / height
        ])  # fmt: skip

    def _names(self):
        pairs = self.duplicates.pairs[self.shown]
        if self.duplicates.n_other:
            return [f"{a} | other {b}" for a, b in pairs]
        return [f"{a} | {b}" for a, b in pairs]

    def _draw_images(self, ax, cmap):
        """Both images of every pair and the distance, a pair to a unit of height."""
        height, width = self.images[0].shape[1:3]
        tall = 0.94 * min(1.0, height / width)
        wide = tall * width / height
        said = same_decimals(self.duplicates.distance[self.shown])
        for line in range(len(self.shown)):
            for place, images in enumerate(self.images):
                left, top = place * BESIDE, line - tall / 2
                box = (left, left + wide, top + tall, top)
                ax.imshow(images[line], cmap=cmap, vmin=0, vmax=1, extent=box)
                right, low = left + wide, top + tall
                edge = [left, right, right, left, left], [top, top, low, low, top]
                ax.plot(*edge, color=HAIRLINE, linewidth=0.5)
            ax.text(
                BESIDE + wide + 0.12, line, said[line], va="center", fontsize=9, color=MUTED,
            )  # fmt: skip
        ax.set(xlim=(0, ACROSS), ylim=(len(self.shown) - 0.5, -0.5), aspect="equal")
        ax.set(xticks=[], yticks=[])
        ax.set_title("pair, distance, rows", fontsize=9, color=MUTED, loc="left", pad=4)
        ax.spines[:].set_visible(False)

    def _draw_scores(self, ax):
        lines = np.arange(len(self.shown))
        for name, text, colour, mark, shift in (
            ("twin_in", "twin trained on", BLUE, "o", -0.12),
            ("twin_out", "twin not trained on", VERMILLION, "D", 0.12),
        ):
            contrast = getattr(self.twins, name)
            means = [
                contrast.mean(np.flatnonzero(np.isin(self.twins.row, pair)))
                for pair in self.duplicates.pairs[self.shown]
            ]
            score = np.array([m.score[0] for m in means])
            low, high = np.array([[end[0] for end in m.interval()] for m in means]).T
            ax.errorbar(
                score, lines + shift, xerr=[score - low, high - score], fmt=mark, color=colour,
                markersize=5, linewidth=1, label=text,
            )  # fmt: skip
        ax.axvline(0, color=MUTED, linewidth=0.8)
        ax.set_xlabel("memorization m(x), mean of both rows, with 95% interval", fontsize=9)
        ax.legend(
            loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=2, frameon=False, fontsize=9,
            borderaxespad=0.2, handletextpad=0.3,
        )  # fmt: skip

    def _draw_distances(self, ax):
        found = self.duplicates
        ax.plot(
            found.distance[self.shown], np.arange(len(self.shown)), "o", color=BLUE, markersize=5,
            clip_on=False,
        )  # fmt: skip
        ax.axvline(found.threshold, color=MUTED, linewidth=0.8, linestyle="--")
        ax.set_xlim(left=0)
        ax.set_xlabel(f"distance in {found.space} space (dashed: the largest allowed)", fontsize=9)
        ax.set_title(
            f"{len(self.shown)} of {len(found)} near-duplicate pairs",
            fontsize=9,
            color=INK,
            loc="left",
        )


def same_decimals(values):
    """Numbers of at least 0 as text, with as many decimals as give the largest three digits."""
    largest = float(np.max(values))
    decimals = max(0, 2 - int(np.floor(np.log10(largest)))) if largest > 0 else 2
    return [f"{value:.{decimals}f}" for value in values]


def _pictures(*both):
    """Network inputs (n, c, h, w) as images, rescaled together where they leave [0, 1]."""
    low = min(0.0, *(float(part.min()) for part in both))
    high = max(1.0, *(float(part.max()) for part in both))
    scaled = [(np.moveaxis(part, 1, -1) - low) / (high - low) for part in both]
    return tuple(part[..., 0] if part.shape[-1] not in (3, 4) else part for part in scaled)
