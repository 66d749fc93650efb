"""What the deja vu test is given: public rows, and what is shown of every row."""

from __future__ import annotations

import numbers
import warnings

import numpy as np

from .._compat import shown
from ..measurements.dejavu import CORNERS, backgrounds, beside_box, corner_box
from ..randomness import generator
from ..sources import as_array

__all__ = ["check_public_labels", "cut", "draw_public", "shown_parts"]


def draw_public(given, index, groups, entropy):
    """Rows that are public.

    Parameters
    ----------
    given : float or array-like of int
        A share in (0, 1) to draw, whole groups of rows at a time; or the numbers of some.
    index : RowIndex
        Of the rows; by default those of equal content are a group.
    groups : array-like of shape (n,) or None
        Of rows.
    entropy : int
        Of what is drawn.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    TypeError, ValueError
        They are no distinct row numbers, or groups have another length.
    """
    n = len(index.copy_of)
    if not isinstance(given, numbers.Real):
        rows = as_array("public", given)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
            raise TypeError(
                "public must be a share in (0, 1), a list of row numbers or a tuple (X, y), got "
                f"{shown(given)}."
            )
        if rows.min() < 0 or rows.max() >= n or len(np.unique(rows)) < len(rows):
            raise ValueError(
                f"public must hold distinct row numbers from 0 to {n - 1}, got {shown(given)}."
            )
        return np.isin(np.arange(n), rows)
    tied = index.copy_of if groups is None else as_array("groups", groups)
    if tied.shape != (n,):
        raise ValueError(f"groups must have one entry for each of the {n} rows.")
    tied = np.unique(tied, return_inverse=True)[1]
    order = generator(entropy, "public").permutation(tied.max() + 1)
    before = np.cumsum(np.bincount(tied)[order]) - np.bincount(tied)[order]
    return np.isin(tied, order[before < max(1, round(float(given) * n))])


def shown_parts(background, data, corner, fraction, min_side, entropy):
    """What is shown of every row.

    Parameters
    ----------
    background : array-like or None
        See `DejaVuEstimator`, as all that follow.
    data : Data
        The n images.
    corner : str
        Of `CORNERS`, or ``"random"``.
    fraction, min_side : float
        Of the corner's sides, and the least of the shorter side beside a box.
    entropy : int
        Of random corners.

    Returns
    -------
    boxes : ndarray of int, shape (n, 4), or None
        What is cut out.
    masks : ndarray of bool, shape (n, h, w), or None
        Or what is painted over.
    usable : ndarray of bool, shape (n,)
        Rows of which enough is shown.

    Raises
    ------
    ValueError
        Boxes or masks have another shape or dtype, lie outside the images, or hide nothing.

    Warns
    -----
    UserWarning
        Some rows show too little.
    """
    n, (h, w) = len(data), data.shape[1:]
    if background is None:
        corners = [corner] * n
        if corner == "random":
            corners = np.array(CORNERS)[generator(entropy, "corners").integers(4, size=n)]
        box = {c: corner_box(data.shape, fraction, c) for c in set(corners)}
        return np.stack([box[c] for c in corners]), None, np.ones(n, bool)
    given = as_array("background", background)
    if given.shape == (n, h, w) and given.dtype == bool:
        hidden = given.reshape(n, -1)
        if not hidden.any(1).all():
            row = np.flatnonzero(~hidden.any(1))[0]
            raise ValueError(
                f"background hides no pixel of row {row}, which would show its object: mark the "
                "object True, or leave such rows out."
            )
        usable, boxes, masks = ~hidden.all(1), None, given
    elif given.shape == (n, 4) and given.dtype.kind in "iu":
        low, high = given[:, :2], given[:, 2:]
        bad = (low < 0).any(1) | (high > [w, h]).any(1) | (low >= high).any(1)
        if bad.any():
            row = np.flatnonzero(bad)[0]
            raise ValueError(
                f"background has the box {given[row].tolist()} for row {row}, and boxes are left < "
                f"right, top < bottom in pixels inside {w} x {h}."
            )
        boxes, shorter = beside_box(data.shape, given.astype(np.int64))
        usable, masks = shorter >= max(1.0, min_side * min(h, w)), None
    else:
        raise ValueError(
            f"background must be None, ints ({n}, 4) or booleans ({n}, {h}, {w}), got {given.dtype} "
            f"of shape {given.shape}."
        )
    if not usable.all():
        warnings.warn(
            f"{int((~usable).sum())} of {n} rows show too little background and get NaN.",
            stacklevel=3,
        )
    return boxes, masks, usable


def check_public_labels(target, votes, classes):
    """Warn of rows whose label no public row has: votes are wrong on them, whatever is memorized.

    Parameters
    ----------
    target, votes : ndarray of int
        Labels of rows and of public rows, as positions in `classes`.
    classes : ndarray of shape (n_classes,)
        Labels.
    """
    lost = np.setdiff1d(target, votes)
    if len(lost):
        warnings.warn(
            f"{int(np.isin(target, lost).sum())} rows have labels that no public row has "
            f"({shown(classes[lost].tolist())}): no vote can be right on them.",
            stacklevel=3,
        )


def cut(data, rows, boxes, masks):
    """Backgrounds of some rows.

    Parameters
    ----------
    data : Data
        All rows.
    rows : ndarray of int
        Of which backgrounds are wanted.
    boxes, masks : ndarray or None
        Of all rows, as `shown_parts` gives them.

    Returns
    -------
    Data
    """
    if masks is None:
        return backgrounds(data, rows, boxes=boxes[rows])
    return backgrounds(data, rows, masks=masks[rows])
