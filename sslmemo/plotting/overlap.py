"""AugmentationOverlapDisplay: are rows whose augmentation sets are alone memorized more?"""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np

from .._compat import check_in_range, shown
from ..data import as_data
from ..experiments.augmentation_overlap import augmentation_overlap, drawn_views, scores_of
from ..randomness import entropy_of
from ..result import MemorizationResult
from ._common import BLUE, HAIRLINE, INK, MUTED, VERMILLION, bare, describe, pyplot, result_of

__all__ = ["AugmentationOverlapDisplay", "Example"]

INCH = 0.84  # width of an image
GAP = 0.4  # between the views of both rows, in widths of an image
SPACE = 0.05  # around an image


@dataclass(frozen=True)
class Example:
    """A row and its nearest neighbour, by the views of each that are nearest to the other.

    Attributes
    ----------
    row, neighbor : int
        Rows of X.
    own, other : ndarray of shape (m, h, w) or (m, h, w, c)
        Views of the row and of the neighbour, nearest first; the first two make up d_A.
    """

    row: int
    neighbor: int
    own: np.ndarray
    other: np.ndarray


class AugmentationOverlapDisplay:
    """Augmentation distance to the nearest neighbour against m(x), and the views behind it.

    Left a point a row; lone rows, whose views come as near to no neighbour's as to each other, are
    orange. Right, for images, two rows: a typical one of those that overlap most, and the
    loneliest. The views of each run outward from the nearest pair, which meets in the middle. Make
    it with `from_estimator` or `from_scores`, which also draw it.

    Parameters
    ----------
    overlap : AugmentationOverlap
        See `sslmemo.experiments.augmentation_overlap`.
    scores : ndarray of shape (n,)
        Scores m(x), higher = more memorized; NaN where unknown.
    examples : list of Example or None, default=None
        An overlapping and a lone row.
    subtitle : str, default=""
        How far the scores can be trusted.

    Attributes
    ----------
    correlation_ : OverlapCorrelation
        Of d_A with the scores.
    ax_ : matplotlib Axes
        Where the points were drawn.
    views_ax_ : matplotlib Axes or None
        Where the views were drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    MemorizationRankingDisplay : The most and the least memorized images.
    """

    def __init__(self, overlap, scores, examples=None, subtitle=""):
        self.overlap, self.scores = overlap, scores
        self.examples, self.subtitle = examples, subtitle

    @classmethod
    def from_estimator(cls, estimator, X, *, n_views=16, n_neighbors=5, n_candidates=50, n_shown=4,
                       random_state=0, ax=None, cmap="gray"):  # fmt: skip
        """Measure the overlap of a fitted estimator's training rows and draw it.

        Parameters
        ----------
        estimator : MemorizationEstimator
            Fitted; its `augmentation`, `channels` and `image_shape` are used.
        X : array-like or dataset
            The rows of fit, in that order.
        n_views, n_neighbors, n_candidates, random_state
            As in `sslmemo.experiments.augmentation_overlap`.
        n_shown : int, default=4
            Views shown of each image, from 1 to `n_views`.
        ax : matplotlib Axes, default=None
            Where to draw the points alone; None makes a figure of both panels.
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        AugmentationOverlapDisplay

        Raises
        ------
        TypeError, ValueError
            The estimator is none or not fitted; X are not the rows of fit in their order.
        """
        if not hasattr(estimator, "fit"):
            raise TypeError(
                f"estimator must be a fitted MemorizationEstimator, got {shown(estimator)}: call "
                "from_scores."
            )
        result, index = result_of(estimator), estimator._index
        data = estimator._read(X)
        if len(data) != len(result) or (index.find(data) != index.copy_of).any():
            raise ValueError("X has other rows than fit, or another order: pass the X of fit.")
        return cls.from_scores(
            result, X, augmentation=estimator.augmentation, n_views=n_views, n_neighbors=n_neighbors,
            n_candidates=n_candidates, n_shown=n_shown, channels=estimator.channels,
            image_shape=estimator.image_shape, random_state=random_state, ax=ax, cmap=cmap,
        )  # fmt: skip

    @classmethod
    def from_scores(cls, scores, X, *, augmentation="auto", n_views=16, n_neighbors=5,
                    n_candidates=50, n_shown=4, channels="first", image_shape=None,
                    random_state=0, ax=None, cmap="gray"):  # fmt: skip
        """Measure the overlap of rows and draw it against their scores.

        Parameters
        ----------
        scores : MemorizationResult or array-like of shape (n_samples,)
            Of the rows of X.
        X : array-like or dataset
            The rows.
        augmentation, n_views, n_neighbors, n_candidates, channels, image_shape, random_state
            As in `sslmemo.experiments.augmentation_overlap`.
        n_shown, ax, cmap
            As in `from_estimator`.

        Returns
        -------
        AugmentationOverlapDisplay

        Raises
        ------
        TypeError, ValueError
            As `sslmemo.experiments.augmentation_overlap` says; scores and X differ in length.
        """
        check_in_range("n_views", n_views, numbers.Integral, 2, 1024)
        check_in_range("n_shown", n_shown, numbers.Integral, 1, n_views)
        entropy = entropy_of(random_state)
        read = {"channels": channels, "image_shape": image_shape}
        data = as_data(X, unit_range=isinstance(augmentation, str), **read)
        score = scores_of(scores, len(data), data.fingerprint())
        overlap = augmentation_overlap(
            X, augmentation=augmentation, n_views=n_views, n_neighbors=n_neighbors,
            n_candidates=n_candidates, random_state=entropy, **read,
        )  # fmt: skip
        examples = None
        if data.layout.is_image and data.shape[0] in (1, 3):
            views = drawn_views(data, augmentation, n_views, entropy)
            rows = _chosen(overlap, np.isfinite(score))
            examples = [_example(r, overlap.neighbors[r, 0], views, n_shown) for r in rows]
        trust = describe(scores)[1] if isinstance(scores, MemorizationResult) else ""
        return cls(overlap, score, examples, trust).plot(ax=ax, cmap=cmap)

    def plot(self, *, ax=None, cmap="gray"):
        """Draw the points and, in a figure of its own, the views.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw the points alone; None makes a figure of both panels.
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        AugmentationOverlapDisplay
            With `ax_`, `views_ax_`, `figure_` and `correlation_`.
        """
        plt, right = pyplot(), None
        if ax is None and self.examples:
            wide = 2 * len(self.examples[0].own) + GAP
            figure, (ax, right) = plt.subplots(
                1, 2, figsize=(4.6 + INCH * wide, 3.7), width_ratios=(4.2, INCH * wide),
                layout="constrained",
            )  # fmt: skip
            figure.get_layout_engine().set(wspace=0.06)
        elif ax is None:
            _, ax = plt.subplots(figsize=(5.2, 3.9), layout="constrained")
        self.correlation_ = self.overlap.against(self.scores)
        self._points(ax)
        if right is not None:
            self._views(right, cmap)
        self.ax_, self.views_ax_, self.figure_ = ax, right, ax.figure
        return self

    def _points(self, ax):
        found, said = self.overlap, self.correlation_
        known, nearest = np.isfinite(self.scores), found.d_augmented[:, 0]
        for mask, colour, name in (
            (~found.lone, BLUE, "overlapping"),
            (found.lone, VERMILLION, "lone"),
        ):
            mask = mask & known
            if not mask.any():
                continue
            ax.scatter(
                nearest[mask], self.scores[mask], s=12, color=colour, alpha=0.55, linewidth=0,
                label=f"{name} ({mask.sum()})",
            )  # fmt: skip
        for letter, example in zip("AB", self.examples or []):
            at = nearest[example.row], self.scores[example.row]
            ax.scatter(*at, s=55, facecolor="none", edgecolor=INK, linewidth=1.1)
            ax.annotate(
                letter,
                at,
                (5, 5),
                textcoords="offset points",
                fontsize=11,
                weight="bold",
                color=INK,
            )
        ax.set_xlabel("augmentation distance $d_A$ to the nearest row", color=INK)
        ax.set_ylabel("memorization score m(x)", color=INK)
        title = (
            f"Spearman {said.spearman:.2f} [{said.low:.2f}, {said.high:.2f}], {said.n_samples} rows"
        )
        ax.set_title(title, fontsize=10, color=INK, loc="left", pad=20 if self.subtitle else 6)
        ax.annotate(
            self.subtitle, (0, 1), (0, 6), "axes fraction", "offset points", va="bottom",
            fontsize=8, color=MUTED,
        )  # fmt: skip
        ax.legend(fontsize=8, edgecolor="none", framealpha=0.8)
        bare(ax)

    def _views(self, ax, cmap):
        m = len(self.examples[0].own)
        h, w = self.examples[0].own.shape[1:3]
        tall, width = h / w, 2 * m + GAP
        pitch = tall + 0.7
        for band, (letter, example) in enumerate(zip("AB", self.examples)):
            top = band * pitch
            low = min(0.0, example.own.min(), example.other.min())
            high = max(1.0, example.own.max(), example.other.max())
            for j in range(m):
                for x, image in ((m - 1 - j, example.own[j]), (m + GAP + j, example.other[j])):
                    left, right = x + SPACE, x + 1 - SPACE
                    upper, lower = top + SPACE, top + tall - SPACE
                    ax.imshow(
                        (image - low) / (high - low), cmap=cmap, vmin=0, vmax=1,
                        extent=(left, right, lower, upper),
                    )  # fmt: skip
                    edge, thick = (INK, 1.4) if j == 0 else (HAIRLINE, 0.5)
                    frame = [left, right, right, left, left], [upper, upper, lower, lower, upper]
                    ax.plot(*frame, color=edge, linewidth=thick, clip_on=False)
            i = example.row
            d, own = self.overlap.d_augmented[i, 0], self.overlap.own_spread[i]
            score = f"{self.scores[i]:.2g}".replace("-", "\N{MINUS SIGN}")
            kind = "lone" if self.overlap.lone[i] else "overlapping"
            style = {"va": "bottom", "color": INK, "fontsize": 9}
            ax.text(0, top - 0.05, letter, weight="bold", **{**style, "fontsize": 11})
            ax.text(0.25, top - 0.05, f"row {i}, {kind}", **style)
            ax.text(m + GAP, top - 0.05, f"nearest: row {example.neighbor}", **style)
            ax.text(
                m + GAP / 2, top + tall + 0.03,
                f"$d_A$ = {d:.2f}, own spread {own:.2f}; m(x) = {score}",
                ha="center", va="top", fontsize=8.5, color=MUTED,
            )  # fmt: skip
        ax.set_title(
            "Views, the nearest pair framed in the middle", fontsize=10, color=INK, loc="left"
        )
        ax.set(xlim=(0, width), ylim=(2 * pitch - 0.4, -0.45), aspect="equal", anchor="NW")
        ax.set_axis_off()


def _chosen(overlap, known):
    """A typical row of those that overlap most, and the loneliest: scored rows both."""
    rows = np.flatnonzero(known)
    if not len(rows):
        raise ValueError("no row has a score: there is nothing to draw overlap against.")
    most = rows[overlap.overlap[rows] == overlap.overlap[rows].max()]
    order = most[np.argsort(overlap.relative[most], kind="stable")]
    return order[len(order) // 2], rows[overlap.relative[rows].argmax()]


def _example(row, neighbor, views, n_shown):
    """The views of both rows that are nearest to one of the other's."""
    own, other = views[row], views[neighbor]  # (V, c, h, w)
    flat = [v.reshape(len(v), -1).astype(float) for v in (own, other)]
    apart = np.linalg.norm(flat[0][:, None] - flat[1][None], axis=2)
    first, second = (np.argsort(apart.min(axis), kind="stable")[:n_shown] for axis in (1, 0))
    return Example(int(row), int(neighbor), _picture(own[first]), _picture(other[second]))


def _picture(views):
    return views[:, 0] if views.shape[1] == 1 else np.moveaxis(views, 1, -1)
