"""MemorizationRankingDisplay: images from least to most memorized."""

from __future__ import annotations

import math
import numbers

import numpy as np

from .._compat import check_in_range
from .._compat import shown as in_words
from ..data import as_data
from ..sources import Items, as_source, check_labels
from ._common import (
    HAIRLINE,
    INK,
    MAX_GROUPS,
    MUTED,
    check_result,
    describe,
    pyplot,
    result_of,
)

__all__ = ["MemorizationRankingDisplay"]

# in widths of a thumbnail
GAP = 1.1  # between both ends
SPACE = 0.06  # around an image
BETWEEN = 0.14  # between a caption and the next band
# in points
TITLE, SMALL = 11.0, 8.5  # font sizes
HEAD = 66  # title, two lines and the ends' names, above the axes
MARGIN = 7


class MemorizationRankingDisplay:
    """Images from least (left) to most memorized (right), one band for every class.

    A band shows both ends of its class: the `k` lowest scores and, after a gap that says how many
    rows lie between, the `k` highest. A class of at most 2k rows is shown whole. Make it with
    `from_estimator` or `from_result`, which also draw it.

    Parameters
    ----------
    images : ndarray of shape (n_shown, h, w) or (n_shown, h, w, c)
        In [0, 1].
    rows : ndarray of int, shape (n_shown,)
        Row of X that each image is; band after band, ascending by score inside each.
    scores : ndarray of shape (n_shown,)
        Scores m(x), higher = more memorized.
    standard_errors : ndarray of shape (n_shown,)
        NaN where unknown.
    bands : ndarray of int, shape (n_shown,)
        Band each image is in, from 0.
    most : ndarray of bool, shape (n_shown,)
        Whether the image is of its band's most memorized end.
    between : ndarray of int, shape (n_bands,)
        Scored rows left out between the two ends.
    classes : ndarray of shape (n_bands,), default=None
        Class of each band; None for one band of all rows.
    k : int, default=8
        Places at each end, at most as many as are filled.
    title, subtitle : str, default=""
        What the scores are of, and how far they can be trusted.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.

    See Also
    --------
    ScoreDistributionDisplay : All scores with their errors.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sslmemo import MemorizationRankingDisplay, MemorizationResult
    >>> from sslmemo.designs import Subsample
    >>> from sslmemo.pool import Run
    >>> X, y = load_digits(return_X_y=True)
    >>> plan = Subsample().draw(len(X), 8, entropy=0)
    >>> alignment = np.random.default_rng(0).normal(1.0, 0.1, plan.member.shape)
    >>> result = MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(4)))
    >>> display = MemorizationRankingDisplay.from_result(
    ...     result, X / 16, y, classes=[3, 6], k=4, image_shape=(8, 8)
    ... )
    >>> display.images.shape
    (16, 8, 8)
    """

    def __init__(self, *, images, rows, scores, standard_errors, bands, most, between,
                 classes=None, k=8, title="", subtitle=""):  # fmt: skip
        self.images = images
        self.rows = rows
        self.scores = scores
        self.standard_errors = standard_errors
        self.bands = bands
        self.most = most
        self.between = between
        self.classes = classes
        self.k = k
        self.title = title
        self.subtitle = subtitle

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, classes=None, k=8, ax=None, cmap="gray"):
        """Draw the ranking of a fitted estimator's training rows.

        Parameters
        ----------
        estimator : MemorizationEstimator
            Fitted on images; its `channels` and `image_shape` say how X is read.
        X : array-like or dataset
            The rows of fit, in that order. Only the rows shown are read.
        y : array-like of shape (n_samples,), default=None
            Classes. None is one band of all rows.
        classes : array-like, default=None
            Classes to show, from top to bottom; None is all that have a score.
        k : int, default=8
            Images at each end.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or Colormap, default="gray"
            For grey images; ``"gray_r"`` is black on white for digits.

        Returns
        -------
        MemorizationRankingDisplay

        Raises
        ------
        ValueError
            X are no images, or not the rows of fit in their order; y or `classes` don't fit.
        """
        result, layout = result_of(estimator), estimator.layout_
        if not layout.is_image:
            raise ValueError(_no_image(layout.shape))

        def read(source, rows):
            data = _data(source, rows, estimator.channels, estimator.image_shape, layout)
            _check_same_rows(estimator, data, rows)
            return data

        display = cls._of(result, X, y, classes, k, read)
        return display.plot(ax=ax, cmap=cmap)

    @classmethod
    def from_result(cls, result, X, y=None, *, classes=None, k=8, channels="first",
                    image_shape=None, ax=None, cmap="gray"):  # fmt: skip
        """Draw the ranking of a result.

        Parameters
        ----------
        result : MemorizationResult
            Scores of the rows of X.
        X : array-like, torch tensor or dataset of n_samples images
            (n, c, h, w); (n, h, w, c) with ``channels="last"``; or a flat matrix with
            `image_shape`; uint8 or float. Only the rows shown are read, and rescaled together
            where their values leave [0, 1].
        y : array-like of shape (n_samples,), default=None
            Classes. None is one band of all rows.
        classes : array-like, default=None
            Classes to show, from top to bottom; None is all that have a score.
        k : int, default=8
            Images at each end.
        channels : {"first", "last"}, default="first"
            Where an image has its channels.
        image_shape : tuple of int, default=None
            (h, w), or three sizes in the order of `channels`, if X is a flat matrix.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        MemorizationRankingDisplay

        Raises
        ------
        ValueError
            X are no images or not as many as scores; y or `classes` don't fit.
        """

        def read(source, rows):
            return _data(source, rows, channels, image_shape)

        display = cls._of(result, X, y, classes, k, read)
        return display.plot(ax=ax, cmap=cmap)

    @classmethod
    def _of(cls, result, X, y, classes, k, read):
        check_in_range("k", k, numbers.Integral, 1)
        source = as_source(X)
        if len(source) != len(check_result(result)):
            raise ValueError(f"X has {len(source)} rows, but the result scores {len(result)} rows.")
        classes, members = _bands(result.score, y, classes)
        ends = [_ends(rows, result.score, k) for rows in members]
        rows = np.concatenate([np.concatenate(e) for e in ends])
        estimand, trust = describe(result)
        known = bool(np.isfinite(result.standard_error[rows]).any())
        return cls(
            images=_pictures(read(source, rows)),
            rows=rows,
            scores=result.score[rows],
            standard_errors=result.standard_error[rows],
            bands=np.repeat(np.arange(len(ends)), [len(a) + len(b) for a, b in ends]),
            most=np.concatenate([np.arange(len(a) + len(b)) >= len(a) for a, b in ends]),
            between=np.array(
                [len(m) - len(a) - len(b) for m, (a, b) in zip(members, ends, strict=True)]
            ),
            classes=classes,
            k=max(max(len(a), len(b)) for a, b in ends),
            title="Memorization score m(x)" + " ± standard error" * known,
            subtitle=f"{estimand}\n{trust}",
        )

    def plot(self, ax=None, *, cmap="gray"):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or Colormap, default="gray"
            For grey images.

        Returns
        -------
        self
        """
        pyplot()
        n_bands, places = len(self.between), self.k
        ratio = self.images.shape[1] / self.images.shape[2]
        width = 2 * places + GAP
        names = [""] * n_bands if self.classes is None else [str(c) for c in self.classes]
        texts, unit = _numbers(self.scores, self.standard_errors)
        heading = self.title + unit
        two_lines = any(error for _, error in texts)
        if ax is None:
            size = float(np.clip(8.6 / width, 0.5, 0.8)) * 72  # of a thumbnail, in points
        elif not hasattr(ax, "get_window_extent") or not hasattr(ax, "imshow"):
            raise TypeError(f"ax must be matplotlib Axes, got {in_words(ax)}.")
        else:
            box = ax.get_window_extent().size / ax.figure.dpi * 72
            size = min(box[0] / width, box[1] / (n_bands * (ratio + 0.7)))
        font = min(9.0, 0.21 * size)
        line = 1.25 * font / size
        pitch = ratio + (2 if two_lines else 1) * line + BETWEEN
        height = n_bands * pitch - BETWEEN
        if ax is None:
            ax = _new_axes(
                width * size, height * size, names, [heading, *self.subtitle.split("\n")]
            )

        for band in range(n_bands):
            top = band * pitch
            for end in (False, True):
                shown = np.flatnonzero((self.bands == band) & (self.most == end))
                left = width - len(shown) if end else 0.0
                for place, i in enumerate(shown):
                    x, y = left + place, top + ratio
                    self._thumbnail(ax, i, x, top, ratio, cmap)
                    style = {"ha": "center", "va": "top", "in_layout": False}
                    ax.text(x + 0.5, y, texts[i][0], fontsize=font, color=INK, **style)
                    ax.text(
                        x + 0.5, y + line, texts[i][1], fontsize=0.9 * font, color=MUTED, **style
                    )
            if self.between[band]:
                word = "row" if self.between[band] == 1 else "rows"
                ax.text(
                    places + GAP / 2, top + ratio / 2, f"{self.between[band]}\n{word}\nbetween",
                    ha="center", va="center", fontsize=0.9 * font, color=MUTED,
                )  # fmt: skip
        long = " memorized" if width * size > 230 else ""
        ends = {"va": "bottom", "fontsize": 9, "color": INK}
        ax.text(SPACE, -0.08, f"← least{long}", **ends)
        ax.text(width - SPACE, -0.08, f"most{long} →", ha="right", **ends)
        ax.set_yticks(np.arange(n_bands) * pitch + ratio / 2, names, fontsize=TITLE, color=INK)
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal", anchor="NW")
        ax.set_title(heading, loc="left", fontsize=TITLE, color=INK, pad=HEAD - TITLE - 6)
        ax.annotate(
            self.subtitle, (0, 1), (0, 21), "axes fraction", "offset points", va="bottom",
            fontsize=SMALL, color=MUTED,
        )  # fmt: skip
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _thumbnail(self, ax, i, x, y, ratio, cmap):
        left, right, top, bottom = x + SPACE, x + 1 - SPACE, y + SPACE, y + ratio - SPACE
        ax.imshow(self.images[i], cmap=cmap, vmin=0, vmax=1, extent=(left, right, bottom, top))
        frame = ([left, right, right, left, left], [top, top, bottom, bottom, top])
        ax.plot(*frame, color=HAIRLINE, linewidth=0.5, clip_on=False)


def _new_axes(width, height, names, lines):
    """Axes of a size in points, in a figure that holds them, their labels and the heading."""
    from matplotlib.textpath import TextPath

    def length(text, size):
        return TextPath((0, 0), text, size=size).get_extents().width * 1.05 if text else 0

    left = max(length(name, TITLE) for name in names) + 2 * MARGIN
    heads = [length(text, TITLE if i == 0 else SMALL) for i, text in enumerate(lines)]
    whole = np.array([left + max(width, *heads) + MARGIN, HEAD + height + MARGIN])
    figure = pyplot().figure(figsize=whole / 72)
    box = [left / whole[0], MARGIN / whole[1], width / whole[0], height / whole[1]]
    return figure.add_axes(box)


def _bands(score, y, classes):
    """Classes to show (None: one band) and, for each, its rows that have a score."""
    scored = np.isfinite(score)
    if not scored.any():
        raise ValueError("no row has a score: nothing can be ranked.")
    if y is None:
        if classes is not None:
            raise ValueError("classes need y, the class of every row.")
        return None, [np.flatnonzero(scored)]
    y = check_labels(y, len(score))
    known = np.unique(y[scored])
    classes = known if classes is None else np.atleast_1d(np.asarray(classes))
    lost = [c for c in classes if not (scored & (y == c)).any()]
    if lost:
        some = ", ".join(map(str, known[:MAX_GROUPS])) + ", ..." * (len(known) > MAX_GROUPS)
        raise ValueError(f"no row of class {lost[0]!s} has a score; the classes are {some}.")
    if len(classes) > MAX_GROUPS:
        raise ValueError(
            f"{len(classes)} classes are more than one figure holds: choose at most {MAX_GROUPS} "
            "with classes=."
        )
    return classes, [np.flatnonzero(scored & (y == c)) for c in classes]


def _ends(rows, score, k):
    """The k lowest and the k highest of the rows, ascending; of at most 2k rows both halves."""
    order = rows[np.argsort(score[rows], kind="stable")]
    if len(order) <= 2 * k:
        middle = (len(order) + 1) // 2
        return order[:middle], order[middle:]
    return order[:k], order[-k:]


def _data(source, rows, channels, image_shape, layout=None):
    """The rows `rows` of X, and no others, as checked images."""
    data = as_data(
        _take(source, rows), reset=False, layout=layout, channels=channels, image_shape=image_shape,
        unit_range=False,
    )  # fmt: skip
    if not data.layout.is_image:
        raise ValueError(_no_image(data.shape))
    if data.shape[0] not in (1, 3, 4):
        raise ValueError(
            f"images of {data.shape[0]} channels can't be shown: pass 1 (grey), 3 or 4 of them, or "
            f"check channels={channels!r}."
        )
    return data


def _take(source, rows):
    if isinstance(source, (np.ndarray, Items)):
        return source[rows]
    return (source.iloc[rows] if hasattr(source, "iloc") else source[rows.tolist()]).to_numpy()


def _no_image(shape):
    return (
        f"a row of X has shape {tuple(shape)} and is no image: use ScoreDistributionDisplay, or "
        "result.top(k) for the most memorized rows. For images in a flat matrix give image_shape=."
    )


def _check_same_rows(estimator, data, rows):
    """Refuse X in another order than in fit: its images would stand over foreign scores."""
    index = estimator._index
    wrong = np.flatnonzero(index.find(data) != index.copy_of[rows])
    if len(wrong):
        raise ValueError(
            f"row {rows[wrong[0]]} of X is not that row of fit: pass the X of fit, in its order."
        )


def _pictures(data):
    """Images for display: (b, h, w) or (b, h, w, c), in [0, 1]."""
    images = np.moveaxis(data.array(np.arange(len(data))), 1, -1)
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        images = (images - low) / (high - low or 1.0)
    return images[..., 0] if images.shape[-1] == 1 else images


def _numbers(scores, errors):
    """Texts (score, error) of every image, and what the title must add about their unit."""
    largest = float(np.abs(scores).max())
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    power = power if power < -2 or power > 3 else 0
    scores, errors = scores / 10.0**power, errors / 10.0**power
    known = errors[np.isfinite(errors) & (errors > 0)]
    typical = float(np.median(known)) if len(known) else float(np.std(scores)) / 3
    places = min(3, max(0, math.ceil(math.log10(3 / typical)))) if typical > 0 else 2
    texts = [
        (
            f"{s:z.{places}f}".replace("-", "\N{MINUS SIGN}"),
            f"±{e:.{places}f}" if np.isfinite(e) else "",
        )
        for s, e in zip(scores, errors, strict=True)
    ]
    return texts, f", in units of $10^{{{power}}}$" if power else ""
