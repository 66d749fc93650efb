"""Any X to checked batches, digests and row recognition.

Whatever the user brings (array, memmap, tensor, DataFrame, torch Dataset) becomes a `Data`: float32
rows of one shape, channels first, read in batches and never copied whole. `RowIndex` finds a row
again by its content.
"""

from __future__ import annotations

import hashlib
import math
import numbers
import warnings
from dataclasses import dataclass

import numpy as np

from ._compat import check_choice, shown
from .sources import Items, as_numbers, as_source

__all__ = ["Data", "Layout", "RowIndex", "as_data", "read_rows"]

CHUNK = 1024  # rows read at a time where all are needed
LARGEST = 1e15  # of a network input: sums of its squares stay finite in float32


@dataclass(frozen=True)
class Layout:
    """How stored rows become network inputs; fitted once, so that later data are read alike.

    Attributes
    ----------
    shape : tuple of int
        Shape of a network input: (d,) or (c, h, w).
    stored : tuple of int
        Shape of a row as stored, before channels are moved to the front.
    center, scale : ndarray of shape (d,), or None
        Means and standard deviations of a table's columns (1 for a constant column).
    channels_last : bool
        Whether channels are the last axis as stored.
    """

    shape: tuple
    stored: tuple
    center: np.ndarray | None = None
    scale: np.ndarray | None = None
    channels_last: bool = False

    @property
    def is_image(self):
        """Whether a row is an image."""
        return len(self.shape) == 3

    def apply(self, rows):
        """Rows as stored (b, ...) to network inputs (b, *shape), float32 and contiguous."""
        rows = rows.reshape(len(rows), *self.stored)
        if self.channels_last:
            rows = np.moveaxis(rows, -1, 1)
        with np.errstate(all="ignore"):  # `as_data` refuses what is not finite then
            if self.is_image and rows.dtype == np.uint8:
                rows = rows.astype(np.float32) / np.float32(255)
            elif self.center is not None:
                rows = (rows.astype(np.float64) - self.center) / self.scale
            return np.ascontiguousarray(rows, dtype=np.float32)


class Data:
    """Checked rows.

    Parameters
    ----------
    source : ndarray of shape (n, ...) or Items
        Where rows are read from: ``source[index]`` is an array of them.
    layout : Layout
        How they become network inputs.
    """

    def __init__(self, source, layout):
        self.source, self.layout = source, layout
        self.shape = layout.shape

    def __len__(self):
        return len(self.source)

    def __getstate__(self):
        # digests are for the process that has found them: they would travel with every job
        return {k: v for k, v in self.__dict__.items() if k != "_digests"}

    @property
    def n_bytes(self):
        """Bytes of the stored rows; 0 for a dataset that is read item by item."""
        return getattr(self.source, "nbytes", 0)

    def array(self, index):
        """Network inputs of the rows `index`: float32 ndarray (b, *shape)."""
        return self.layout.apply(self.source[index])

    def rows(self, index, device="cpu"):
        """Network inputs of the rows `index`: float32 tensor (b, *shape) on `device`."""
        import torch

        rows = torch.from_numpy(self.array(index))
        return rows if str(device) == "cpu" else rows.to(device, non_blocking=True)

    def take(self, index):
        """Some rows, read into memory: Data of the rows `index`, an array of positions."""
        return Data(self.source[index], self.layout)

    def chunks(self, size=CHUNK):
        """Positions of consecutive rows, `size` at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))

    def digests(self):
        """A 16-byte digest of every network input: list of bytes.

        Rows that a network can't tell apart have one digest; the sign of zero doesn't count.
        """
        if not hasattr(self, "_digests"):
            self._digests = [
                hashlib.blake2b(row.tobytes(), digest_size=16).digest()
                for index in self.chunks()
                for row in self.array(index) + np.float32(0)
            ]
        return self._digests

    def fingerprint(self):
        """Hex digest of the data set, rows in order."""
        whole = hashlib.blake2b(repr(self.shape).encode(), digest_size=16)
        for digest in self.digests():
            whole.update(digest)
        return whole.hexdigest()


def read_rows(estimator, X, reset, unit_range):
    """X as checked rows for an estimator; the layout found in fit is kept for later calls.

    Parameters
    ----------
    estimator : BaseEstimator
        Has `channels` and `image_shape`; gets `layout_` and `n_features_in_`.
    X : array-like or dataset
        See `as_data`.
    reset : bool
        Whether this is fit.
    unit_range : bool
        See `as_data`.

    Returns
    -------
    Data
    """
    data = as_data(
        X,
        estimator=estimator,
        reset=reset,
        layout=None if reset else estimator.layout_,
        channels=estimator.channels,
        image_shape=estimator.image_shape,
        unit_range=unit_range,
    )
    if reset:
        estimator.layout_ = data.layout
        estimator.n_features_in_ = int(np.prod(data.shape))
    return data


def as_data(X, *, estimator=None, reset=True, layout=None, channels="first", image_shape=None,
            unit_range=True):  # fmt: skip
    """Check X and wrap it.

    Parameters
    ----------
    X : array-like, torch tensor, DataFrame, or object with __len__ and __getitem__
        (n, d); (n, c, h, w) or, with ``channels="last"``, (n, h, w, c); a flat matrix with
        `image_shape`; or a dataset whose items are such rows, or tuples that begin with one.
    estimator : BaseEstimator, default=None
        Whose feature names and `n_features_in_` are set (`reset`) or checked.
    reset : bool, default=True
        X are training rows: at least 2, not constant, the same at every reading.
    layout : Layout, default=None
        Of the training data: X must have the same row shape.
    channels : {"first", "last"}, default="first"
        Where an image has its channels.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of X are flat images.
    unit_range : bool, default=True
        Refuse float images outside [0, 1].

    Raises
    ------
    TypeError, ValueError
        For what is no container of numbers; for text, dates, complex, sparse, ragged, empty,
        non-finite or constant data, one row, series, a wrong `image_shape`, images outside [0, 1],
        a dataset that draws, and rows unlike the training rows.
    """
    check_choice("channels", channels, ("first", "last"))
    image_shape = _image_sizes(image_shape, channels)
    source = as_source(X)
    least = 2 if reset else 1
    if not isinstance(source, Items):
        source = _validated(source, estimator, reset, least, image_shape)
    elif len(source) < least:
        raise ValueError(f"X has {len(source)} rows: at least {least} are needed.")
    elif reset:
        source.check_repeatable()
    stored = _row_shape(source[[0]].shape[1:], image_shape)
    shape = _network_shape(stored, channels)
    if layout is not None and shape != layout.shape:
        raise ValueError(
            f"X has rows of shape {shape}, but the rows seen in fit have shape {layout.shape}."
        )
    if len(shape) == 3:
        scale = None, None
    else:
        scale = _column_scale(source) if layout is None else (layout.center, layout.scale)
    last = channels == "last" and len(shape) == 3
    data = Data(source, Layout(shape, stored, *scale, channels_last=last))
    _check_values(data, unit_range, constant=reset)
    return data


def _validated(X, estimator, reset, least, image_shape):
    """scikit-learn's checks on the flat matrix; the shape of N-D input is given back."""
    from sklearn.utils.validation import check_array, validate_data

    shape = None
    if isinstance(X, np.ndarray) and X.ndim > 2:
        if X.ndim == 3 and image_shape is None:
            raise ValueError(
                f"X has shape {X.shape}. Series (n, c, t) are not supported yet. Grey images need "
                "a channel axis: X[:, None]; or pass image_shape=."
            )
        shape, X = X.shape, X.reshape(len(X), math.prod(X.shape[1:]))
    # what is not finite is named by row and column, where values are read anyway
    rules = {"dtype": "numeric", "ensure_min_samples": least, "ensure_all_finite": False}
    if estimator is None:
        X = check_array(X, input_name="X", **rules)
    else:
        X = validate_data(estimator, X, reset=reset, **rules)
    X = as_numbers(X)
    return X if shape is None else X.reshape(shape)


def _image_sizes(image_shape, channels):
    """The three sizes of an image as stored, or None."""
    if image_shape is None:
        return None
    sizes = image_shape.tolist() if isinstance(image_shape, np.ndarray) else image_shape
    sizes = sizes if isinstance(sizes, (tuple, list)) else ()
    whole = all(
        isinstance(s, numbers.Integral) and not isinstance(s, bool) and s > 0 for s in sizes
    )
    if not whole or len(sizes) not in (2, 3):
        raise ValueError(
            "image_shape must be (h, w) or three sizes in the order of channels=, ints of at least "
            f"1, got {shown(image_shape)}."
        )
    sizes = tuple(int(s) for s in sizes)
    if len(sizes) == 2:
        sizes = (1, *sizes) if channels == "first" else (*sizes, 1)
    return sizes


def _row_shape(shape, image_shape):
    """Shape of a row as stored, channels where the user has them."""
    if image_shape is None:
        return tuple(shape)
    if math.prod(image_shape) != math.prod(shape):
        raise ValueError(
            f"image_shape={image_shape} holds {math.prod(image_shape)} values, but a row of X holds "
            f"{math.prod(shape)}."
        )
    return image_shape


def _network_shape(stored, channels):
    if len(stored) not in (1, 3) or 0 in stored:
        raise ValueError(
            f"a row of X has shape {stored}: it must be (d,) for a table or, for an image, "
            "(c, h, w) with channels='first' or (h, w, c) with channels='last', and not empty."
        )
    if len(stored) == 1:
        return stored
    shape = stored if channels == "first" else (stored[2], *stored[:2])
    if shape[0] > 4 and shape[0] > min(shape[1:]):
        warnings.warn(
            f"images have {shape[0]} channels of {shape[1]} x {shape[2]} pixels: is "
            f"channels={channels!r} right?",
            stacklevel=3,
        )
    return tuple(shape)


def _column_scale(source):
    """Mean and standard deviation of a table's columns, in float64, a chunk at a time."""
    n, total, square = len(source), 0.0, 0.0
    parts = [np.arange(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK)]
    first = source[[0]].astype(np.float64)[0]  # shift: no cancellation far from zero
    with np.errstate(all="ignore"):
        for index in parts:
            rows = source[index].astype(np.float64)
            _check_finite(rows, index, np.finfo(np.float64).max)
            total = total + (rows - first).sum(0)
            square = square + np.square(rows - first).sum(0)
        mean = total / n
        deviation = np.sqrt(np.maximum(square / n - mean**2, 0))
        tiny = deviation <= 1e-12 * np.maximum(np.abs(first + mean), 1e-300)
    if not np.isfinite(deviation).all():
        column = np.flatnonzero(~np.isfinite(deviation))[0]
        raise ValueError(f"column {column} of X holds too large values: divide it by a constant.")
    return first + mean, np.where(tiny, 1.0, deviation)


def _check_finite(rows, index, largest):
    if not (rows.min() >= -largest and rows.max() <= largest):  # NaN is neither
        row, *place = np.argwhere(~(np.abs(rows) <= largest))[0]
        where = f", column {place[0]}" if len(place) == 1 else ""
        raise ValueError(
            f"X holds NaN, infinite or too large values, first in row {index[row]}{where}: drop or "
            "impute such rows first."
        )


def _check_values(data, unit_range, constant):
    """Finite, in range, not constant: one pass over all rows."""
    first, varies = None, False
    for index in data.chunks():
        rows = data.array(index)
        _check_finite(rows, index, LARGEST)
        if data.layout.is_image and unit_range and (rows.min() < -1e-4 or rows.max() > 1 + 1e-4):
            raise ValueError(
                f"images must be uint8 or floats in [0, 1], got values from {rows.min():.4g} to "
                f"{rows.max():.4g}: divide by 255, or pass augmentation= a module of your own "
                "that takes this range."
            )
        first = rows[:1] if first is None else first
        varies = varies or bool((rows != first).any())
    if constant and not varies:
        raise ValueError(
            "X is constant: all rows are equal, at least in float32, so nothing can be told apart."
        )


class RowIndex:
    """Finds rows again by content: exactly, else the nearest within a tolerance.

    Keeps a digest and a random projection of every row, not the rows. A projection shortens no
    difference of this size to within the tolerance by chance, so it stands for the row itself.

    Parameters
    ----------
    data : Data
        The training rows.
    tolerance : float, default=1e-4
        Root mean squared difference that still counts as the same row, as a share of the data's
        own standard deviation.
    """

    N_DIRECTIONS = 16

    def __init__(self, data, tolerance=1e-4):
        digests = data.digests()
        _, self.copy_of = np.unique(
            np.frombuffer(b"".join(digests), dtype="V16"), return_inverse=True
        )  # rows of equal content share a number
        self._known = dict(zip(digests, self.copy_of.tolist()))
        size = math.prod(data.shape)
        rng = np.random.default_rng(0)
        self._directions = rng.standard_normal((size, self.N_DIRECTIONS), dtype=np.float32)
        self._directions /= np.float32(math.sqrt(size * self.N_DIRECTIONS))
        self._projected = self._project(data)
        spread = self._projected.std(0, dtype=np.float64)
        self._radius = tolerance * math.sqrt(np.square(spread).sum())

    def _project(self, data):
        parts = [data.array(i).reshape(len(i), -1) @ self._directions for i in data.chunks()]
        return np.concatenate(parts)

    def duplicates(self):
        """Number of rows that are copies of an earlier row."""
        return len(self.copy_of) - len(self._known)

    def find(self, data):
        """Content numbers (see `copy_of`) of rows, -1 for a row not known: int (n,)."""
        found = np.array([self._known.get(d, -1) for d in data.digests()], dtype=int)
        lost = np.flatnonzero(found < 0)
        if len(lost):
            from sklearn.neighbors import NearestNeighbors

            nearest = NearestNeighbors(n_neighbors=1).fit(self._projected)
            distance, row = nearest.kneighbors(self._project(data)[lost])
            close = distance[:, 0] <= self._radius
            found[lost[close]] = self.copy_of[row[close, 0]]
        return found

    def find_all(self, data):
        """The same for rows that must be known: int (n,).

        Raises
        ------
        ValueError
            Some are not.
        """
        found = self.find(data)
        if (found < 0).any():
            raise ValueError(
                f"{int((found < 0).sum())} of {len(found)} rows were not seen in fit. Memorization is a "
                "property of training rows. If they are training rows, an earlier step's fit_transform "
                "may differ from its transform, as that of PCA does with its randomized solver."
            )
        return found

    def mean_of_copies(self, scores, skip_nan=False):
        """Mean over the rows of every content number, or those with a score: (n,) to (n_contents,)."""
        if not skip_nan:
            return np.bincount(self.copy_of, weights=scores) / np.bincount(self.copy_of)
        known = np.isfinite(scores)
        total = np.bincount(self.copy_of, weights=np.where(known, scores, 0.0))
        count = np.bincount(self.copy_of, weights=known)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
