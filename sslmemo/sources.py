"""Foreign containers of rows as one of three things: an array, a DataFrame of numbers, or `Items`."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Set

import numpy as np

from ._compat import shown
from .randomness import draws_undone

__all__ = ["Items", "as_array", "as_numbers", "as_source", "check_labels"]


def as_source(X):
    """Make a foreign container one of three: an array or DataFrame of numbers, or `Items`.

    Raises
    ------
    TypeError, ValueError
        It is none of these; it is sparse, masked, ragged, text, dates or complex.
    """
    if isinstance(X, (type, str, bytes, bytearray, Mapping, Set)):
        _refuse_container(X)
    if isinstance(X, np.ma.MaskedArray) and np.ma.getmaskarray(X).any():
        raise ValueError("X has masked values: drop or impute such rows first.")
    if _is_tensor(X):
        return as_numbers(_tensor_array(X, "X"))
    if isinstance(X, (list, tuple)):
        return as_numbers(_list_array(X))
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise TypeError(
            f"X is sparse ({type(X).__name__}), and dense data are required: pass X.toarray()."
        )
    if hasattr(X, "__len__") and hasattr(X, "columns") and hasattr(X, "dtypes"):
        _check_columns(X)
        return X
    if hasattr(X, "__array__") or isinstance(X, memoryview) or hasattr(X, "typecode"):
        return as_numbers(X if isinstance(X, np.ndarray) else as_array("X", X))
    if hasattr(X, "__getitem__") and hasattr(X, "__len__"):
        return Items(X)
    return _refuse_container(X)


def _refuse_container(X):
    said = "X must be an array, a tensor, a DataFrame or a dataset with __len__ and __getitem__"
    hint = ""
    if isinstance(X, type):
        hint = " Pass an object, not its class."
    elif hasattr(X, "dataset") and hasattr(X, "batch_size"):
        hint = " Pass what it loads: X.dataset, without random transforms."
    elif isinstance(X, Mapping):
        hint = " Pass the array that it holds."
    elif hasattr(X, "collect"):
        hint = " Pass X.collect()."
    elif hasattr(X, "__iter__") and not isinstance(X, (str, bytes, bytearray)):
        hint = " Pass list(X)."
    raise TypeError(f"{said}, got {shown(X)}.{hint}")


def as_numbers(X):
    """An array of bool, int or float; objects become float64, and what is no number is refused."""
    kind = X.dtype.kind
    if kind == "O":
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                return X.astype(np.float64)
            except TypeError as error:
                raise TypeError(_no_numbers(error)) from error
            except Exception as error:  # of foreign __float__ too
                raise ValueError(_no_numbers(error)) from error
    if kind in "UST":
        raise ValueError(
            f"X holds text (dtype {X.dtype}), so it could not be converted to float: encode it as "
            "numbers first."
        )
    if kind == "c":
        raise ValueError(
            f"Complex data not supported: X has dtype {X.dtype}. Pass magnitudes, or real and "
            "imaginary parts side by side."
        )
    if kind not in "biuf":
        what = "dates or durations" if kind in "Mm" else "no numbers"
        raise ValueError(f"X holds {what} (dtype {X.dtype}): turn them into numbers first.")
    return X


def _no_numbers(error):
    return f"X holds values that are no numbers ({error}): encode, impute or drop them first."


def _is_tensor(thing):
    return hasattr(thing, "detach") and hasattr(thing, "cpu")


def _tensor_array(tensor, name):
    """A torch tensor as an array, whatever its device, dtype or gradients."""
    import torch

    if tensor.layout is not torch.strided:
        raise TypeError(f"{name} is a sparse tensor, and dense data are required: to_dense().")
    try:
        if tensor.is_floating_point() and tensor.element_size() < 4:  # NumPy has no bfloat16
            tensor = tensor.float()
        return tensor.numpy(force=True)
    except (RuntimeError, TypeError, NotImplementedError) as error:  # nested, quantized, meta
        raise ValueError(f"{name} is a tensor that can't become an array: {error}") from error


def _list_array(X):
    rows = [_tensor_array(r, f"X[{i}]") if _is_tensor(r) else r for i, r in enumerate(X)]
    try:
        return np.asarray(rows)
    except ValueError as error:
        pairs = all(isinstance(r, tuple) for r in rows)
        hint = " Are its items (row, label)? Pass the rows alone." if pairs else ""
        raise ValueError(f"X is ragged: every row must have the same shape.{hint}") from error
    except Exception as error:  # of a foreign __array__ or __len__
        raise ValueError(f"X can't be read as an array: {error}") from error


def as_array(name, values):
    """The values of a parameter or of rows as an array; what is ragged or broken is a ValueError."""
    if _is_tensor(values):
        return _tensor_array(values, name)
    try:
        return np.asarray(values)
    except Exception as error:  # of a foreign __array__ too
        raise ValueError(f"{name} can't be read as an array ({error}): {shown(values)}.") from error


def _check_columns(frame):
    """Refuse columns of a DataFrame that hold no plain numbers, by name."""
    bad = []
    for i, (name, dtype) in enumerate(zip(frame.columns, frame.dtypes)):
        if hasattr(dtype, "is_numeric"):  # polars
            good = dtype.is_numeric() or str(dtype) == "Boolean"
        elif getattr(dtype, "kind", "V") == "O":
            good = _converts(frame.iloc[:, i])
        else:
            good = dtype.kind in "biuf" and not str(dtype).startswith("Sparse")
        if not good:
            bad.append(f"{name!r} ({dtype})")
    if bad:
        some = ", ".join(bad[:5]) + ", ..." * (len(bad) > 5)
        raise ValueError(
            f"X has columns that are no plain numbers: {some}. Encode them, for instance by "
            "sklearn.compose.ColumnTransformer, or drop them."
        )


def _converts(column):
    try:
        np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


class Items:
    """A dataset read by position: ``items[index]`` stacks its rows, checked to be alike.

    Parameters
    ----------
    dataset : object with __len__ and __getitem__
        Its items are rows, or tuples that begin with one.
    """

    def __init__(self, dataset):
        self.dataset, self._like = dataset, None
        try:
            self._length = operator.index(len(dataset))
        except Exception as error:  # whatever a foreign __len__ raises
            raise TypeError(f"X is a dataset without a length; len(X) raised: {error}") from error

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        rows = [self._row(int(i)) for i in index]
        for i, row in zip(index, rows, strict=True):
            kind = row.shape, row.dtype == np.uint8  # bytes are scaled, other numbers not
            self._like = (*kind, i) if self._like is None else self._like
            if kind != self._like[:2]:
                raise ValueError(
                    f"X[{i}] has shape {row.shape} and dtype {row.dtype}, unlike X[{self._like[2]}] "
                    f"with shape {self._like[0]}: all rows must be alike."
                )
        return np.stack(rows)

    def _row(self, i):
        try:
            item = self.dataset[i]
        except OSError:  # names its file
            raise
        except Exception as error:  # whatever a foreign __getitem__ raises
            raise ValueError(
                f"X[{i}] raised {type(error).__name__}: {error}. A dataset must give a row for every "
                "position from 0 to len(X) - 1."
            ) from error
        # a list that begins with an array is a pair too, as torch's collate function makes them
        if isinstance(item, tuple) or (isinstance(item, list) and _begins_with_array(item)):
            item = item[0] if item else None
        row = as_array(f"X[{i}]", item)
        if row.dtype.kind not in "biuf":
            raise TypeError(
                f"X[{i}] is no row of numbers but {shown(item)}: the items of a dataset are rows, "
                "or tuples that begin with one."
            )
        return row

    def check_repeatable(self):
        """Refuse a dataset that gives other rows when it is read again."""
        some = np.linspace(0, len(self) - 1, min(16, len(self))).astype(int)
        with draws_undone():
            first, again = self[some], self[some]
        if not np.allclose(first, again, rtol=1e-4, atol=1e-4, equal_nan=True):
            raise ValueError(
                "X is a dataset that gives other rows when it is read again: take random transforms "
                "out of it, and pass them as augmentation=."
            )


def _begins_with_array(item):
    return bool(item) and len(getattr(item[0], "shape", ())) > 0


def check_labels(y, n, name="y"):
    """Labels as an array (n,), which can be sorted; at most a column is flattened."""
    labels = as_array(name, y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (n,):
        raise ValueError(
            f"{name} must have one label for each of the {n} rows, got shape {labels.shape}."
        )
    try:
        np.unique(labels)
    except TypeError as error:
        raise TypeError(
            f"{name} mixes labels that can't be sorted ({error}): make them all strings."
        ) from error
    lost = ~np.isfinite(labels) if labels.dtype.kind in "fc" else np.zeros(n, bool)
    if lost.any():
        what = "NaN" if np.isnan(labels[lost]).any() else "infinite labels"
        raise ValueError(
            f"{name} holds {what} for {int(lost.sum())} of {n} rows, first row "
            f"{int(np.flatnonzero(lost)[0])}: give each row a label, such as one for unknown."
        )
    return labels
