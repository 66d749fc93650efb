"""Any X to checked batches, digests and row recognition.

Whatever the user brings (array, memmap, tensor, DataFrame, torch Dataset) becomes a `Data`: float32
rows of one shape, channels first, read in batches and never copied whole. `RowIndex` finds a row
again by its content.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass

import numpy as np

__all__ = ["Data", "Layout", "RowIndex", "as_data"]

CHUNK = 1024  # rows read at a time where all are needed


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
    """

    shape: tuple
    stored: tuple
    center: np.ndarray | None = None
    scale: np.ndarray | None = None

    @property
    def is_image(self):
        """Whether a row is an image."""
        return len(self.shape) == 3

    def apply(self, rows):
        """Rows as stored (b, ...) to network inputs (b, *shape), float32 and contiguous."""
        rows = rows.reshape(len(rows), *self.stored)
        if self.is_image:
            if self.stored != self.shape:
                rows = np.moveaxis(rows, -1, 1)
            if rows.dtype == np.uint8:
                rows = rows.astype(np.float32) / np.float32(255)
        elif self.center is not None:
            rows = (rows.astype(np.float64) - self.center) / self.scale
        return np.ascontiguousarray(rows, dtype=np.float32)


class Data:
    """Checked rows.

    Parameters
    ----------
    source : ndarray of shape (n, ...), or an object with __len__ and __getitem__
        Where rows are read from.
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
        return self.layout.apply(_read(self.source, index))

    def rows(self, index, device="cpu"):
        """Network inputs of the rows `index`: float32 tensor (b, *shape) on `device`."""
        import torch

        rows = torch.from_numpy(self.array(index))
        return rows if str(device) == "cpu" else rows.to(device, non_blocking=True)

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


def _read(source, index):
    """Rows of an array by position, or items of a dataset stacked; a pair counts by its first."""
    if isinstance(source, np.ndarray):
        return source[index]
    items = [source[int(i)] for i in index]
    items = [i[0] if isinstance(i, (tuple, list)) else i for i in items]
    return np.stack([np.asarray(i) for i in items])


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
    layout : Layout, default=None
        Of the training data: X must have the same row shape.
    unit_range : bool, default=True
        Refuse float images outside [0, 1].

    Raises
    ------
    TypeError, ValueError
        For text, ragged, empty, non-finite or constant data, one row, series, a wrong
        `image_shape`, images outside [0, 1], and rows unlike the training rows.
    """
    if channels not in ("first", "last"):
        raise ValueError(f"channels must be 'first' or 'last', got {channels!r}.")
    source = _as_source(X)
    if isinstance(source, np.ndarray) or not _is_dataset(source):
        source = _validated(source, estimator, reset)
    elif len(source) < 2 and reset:
        raise ValueError(f"X has {len(source)} rows: at least 2 are needed.")
    stored = _row_shape(source, channels, image_shape)
    shape = _network_shape(stored, channels)
    if layout is None:
        layout = Layout(shape, stored)
        if not layout.is_image:
            layout = Layout(shape, stored, *_column_scale(source))
    elif shape != layout.shape:
        raise ValueError(
            f"X has rows of shape {shape}, but the rows seen in fit have shape {layout.shape}."
        )
    else:
        layout = Layout(shape, stored, layout.center, layout.scale)
    data = Data(source, layout)
    _check_values(data, unit_range, constant=reset)
    return data


def _is_dataset(X):
    array_like = isinstance(X, (np.ndarray, list, tuple)) or hasattr(X, "shape")
    return not array_like and hasattr(X, "__getitem__") and hasattr(X, "__len__")


def _as_source(X):
    """Tensors and lists to arrays; text and ragged data are refused here, in our words."""
    if isinstance(X, np.ma.MaskedArray) and np.ma.getmaskarray(X).any():
        raise ValueError("X has masked values: drop or impute such rows first.")
    if hasattr(X, "detach") and hasattr(X, "cpu"):
        X = X.detach().cpu().numpy()
    if isinstance(X, (list, tuple)):
        try:
            X = np.asarray(X)
        except ValueError as error:
            raise ValueError("X is ragged: every row must have the same shape.") from error
    if isinstance(X, np.ndarray) and X.dtype.kind in "US":
        raise ValueError(
            f"X holds text (dtype {X.dtype}), so it could not be converted to float: encode it as "
            "numbers first."
        )
    return X


def _validated(X, estimator, reset):
    """scikit-learn's checks on the flat matrix; the shape of N-D input is given back."""
    from sklearn.utils.validation import check_array, validate_data

    shape = None
    if isinstance(X, np.ndarray) and X.ndim > 2:
        if X.ndim == 3:
            raise ValueError(
                f"X has shape {X.shape}. Series (n, c, t) are not supported yet. Grey images need "
                "a channel axis: X[:, None]; or pass a flat matrix with image_shape=."
            )
        shape, X = X.shape, X.reshape(len(X), -1)
    rules = {"dtype": "numeric", "ensure_min_samples": 2 if reset else 1, "input_name": "X"}
    if estimator is None:
        X = check_array(X, **rules)
    else:
        del rules["input_name"]
        X = validate_data(estimator, X, reset=reset, **rules)
    return X if shape is None else X.reshape(shape)


def _row_shape(source, channels, image_shape):
    """Shape of a row as stored, channels where the user has them."""
    shape = source.shape[1:] if isinstance(source, np.ndarray) else _read(source, [0]).shape[1:]
    if image_shape is None:
        return tuple(shape)
    wanted = tuple(int(s) for s in image_shape)
    if len(wanted) == 2:
        wanted = (1, *wanted) if channels == "first" else (*wanted, 1)
    if len(wanted) != 3 or min(wanted) < 1:
        raise ValueError(f"image_shape must be (h, w) or three sizes, got {image_shape!r}.")
    if math.prod(wanted) != math.prod(shape):
        raise ValueError(
            f"image_shape={tuple(image_shape)} holds {math.prod(wanted)} values, but a row of X "
            f"holds {math.prod(shape)}."
        )
    return wanted


def _network_shape(stored, channels):
    if len(stored) not in (1, 3):
        raise ValueError(
            f"a row of X has shape {stored}: it must be (d,) for a table or, for an image, "
            "(c, h, w) with channels='first' or (h, w, c) with channels='last'."
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
    first = _read(source, [0]).astype(np.float64)[0]  # shift: no cancellation far from zero
    for index in parts:
        rows = _read(source, index).astype(np.float64) - first
        total = total + rows.sum(0)
        square = square + np.square(rows).sum(0)
    mean = total / n
    deviation = np.sqrt(np.maximum(square / n - mean**2, 0))
    tiny = deviation <= 1e-12 * np.maximum(np.abs(first + mean), 1e-300)
    return first + mean, np.where(tiny, 1.0, deviation)


def _check_values(data, unit_range, constant):
    """Finite, in range, not constant: one pass over all rows."""
    first, varies = None, False
    for index in data.chunks():
        rows = data.array(index)
        if not np.isfinite(rows).all():
            bad = index[~np.isfinite(rows.reshape(len(rows), -1)).all(1)][0]
            raise ValueError(
                f"X holds NaN, infinite or too large values, first in row {bad}: drop or impute "
                "such rows first."
            )
        if data.layout.is_image and unit_range and (rows.min() < -1e-4 or rows.max() > 1 + 1e-4):
            raise ValueError(
                f"images must be uint8 or floats in [0, 1], got values from {rows.min():.4g} to "
                f"{rows.max():.4g}: divide by 255, or pass augmentation= a module of your own "
                "that takes this range."
            )
        first = rows[:1] if first is None else first
        varies = varies or bool((rows != first).any())
    if constant and not varies:
        raise ValueError("X is constant: all rows are equal, so nothing can be told apart.")


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
