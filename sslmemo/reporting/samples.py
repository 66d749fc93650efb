"""What of the rows themselves goes into a report: pictures or values of all, views of some."""

from __future__ import annotations

import base64

import numpy as np

from ..randomness import derive_seed
from .thumbnails import Pictures, deviating, outlines, sheets

__all__ = ["rows_with_views", "samples"]

N_VIEWS = 6  # of a row
ENDS = 50  # rows at each end of the ranking whose views are shown
ALL = 200  # rows up to which views of all are shown
BATCH = 64  # rows whose views are drawn together
CHUNK = 256  # images read together
VIEW_BYTES = 2_000_000  # of all views' pictures together
VIEW_PIXELS = 3_000_000


def samples(estimator, data):
    """Pictures, outlines or values of all rows, and views of the most and least memorized.

    Parameters
    ----------
    estimator : MemorizationEstimator
        Fitted on the rows.
    data : Data
        The rows of fit, in their order.

    Returns
    -------
    kind : {"image", "series", "table"}
    page : dict
        Plain JSON for the page's script.
    sheets : dict of str to list of str
        Data URIs of the sprite sheets, of "thumb" and "view"; empty where there are no images.
    """
    kind = {1: "table", 2: "series", 3: "image"}[len(data.shape)]
    rows = rows_with_views(estimator.result_.score)
    made = {"table": _table, "series": _series, "image": _images}[kind]
    page, uris = made(estimator, data, rows)
    page["view_rows"], page["n_views"] = rows.tolist(), N_VIEWS
    return kind, page, uris


def rows_with_views(score):
    """Rows whose views are shown: all of up to 200, else the 50 at each end of the ranking.

    Parameters
    ----------
    score : ndarray of shape (n_samples,)
        NaN where unknown.

    Returns
    -------
    ndarray of int
        Ascending.
    """
    if len(score) <= ALL:
        return np.arange(len(score))
    order = np.argsort(score, kind="stable")[: np.isfinite(score).sum()]
    return np.unique(np.concatenate([order[:ENDS], order[-ENDS:]]))


def _views(estimator, data, rows):
    """Views of rows, a batch at a time: float ndarrays (b, n_views, *shape)."""
    trainer = estimator._fitted_trainer
    for start in range(0, len(rows), BATCH):
        x = data.rows(rows[start : start + BATCH], getattr(trainer, "device", "cpu"))
        views = trainer.views.draw(x, N_VIEWS, derive_seed(0, "report", start))
        yield views.swapaxes(0, 1).float().cpu().numpy()


def _images(estimator, data, rows):
    low, high = _range(data)
    thumbs = Pictures(len(data), low, high)
    for index in data.chunks(CHUNK):
        thumbs.add(data.array(index))
    shown = Pictures(len(rows) * N_VIEWS, low, high, VIEW_PIXELS)
    for views in _views(estimator, data, rows):
        shown.add(views.reshape(-1, *data.shape))
    made = {"thumb": sheets(thumbs.images())}
    if len(rows):
        made["view"] = sheets(shown.images(), VIEW_BYTES)
    page = {name: sheet.places() for name, sheet in made.items()}
    return page, {name: sheet.uris for name, sheet in made.items()}


def _range(data):
    """Values shown as black and white: 0 and 1, or the rows' ends where they leave that."""
    least, most = 0.0, 1.0
    for index in data.chunks(CHUNK):
        part = data.array(index)
        least, most = min(least, float(part.min())), max(most, float(part.max()))
    return (0.0, 1.0) if least > -1e-3 and most < 1 + 1e-3 else (least, most)


def _series(estimator, data, rows):
    whole = np.concatenate([data.array(index) for index in data.chunks()])
    views = [v.reshape(-1, *data.shape) for v in _views(estimator, data, rows)]
    both = outlines(np.concatenate([whole, *views]))  # one scale for rows and views
    page = {
        "channels": both.shape[1],
        "points": both.shape[2],
        "lines": base64.b64encode(both[: len(whole)].tobytes()).decode(),
        "view_lines": base64.b64encode(both[len(whole) :].tobytes()).decode(),
    }
    return page, {}


def _table(estimator, data, rows):
    names = getattr(estimator, "feature_names_in_", None)
    names = [f"column {i}" for i in range(data.shape[0])] if names is None else names
    picked, values, deviations = [], [], []
    for index in data.chunks():
        z = data.array(index)
        columns = deviating(z)
        picked += columns.tolist()
        values += _short(_as_given(data, z), columns)
        deviations += [[round(float(v), 2) for v in r] for r in np.take_along_axis(z, columns, 1)]
    seen = []
    for start, views in zip(range(0, len(rows), BATCH), _views(estimator, data, rows), strict=True):
        for row, one in zip(rows[start : start + BATCH], views, strict=True):
            columns = np.tile(picked[row], (N_VIEWS, 1))
            seen.append(_short(_as_given(data, one), columns))
    page = {
        "features": [str(name) for name in names],
        "picked": picked,
        "values": values,
        "deviations": deviations,
        "view_values": seen,
    }
    return page, {}


def _as_given(data, z):
    """Standardised rows (b, d) in the units of X."""
    layout = data.layout
    return z if layout.center is None else z * layout.scale + layout.center


def _short(values, columns):
    """Chosen entries of each row, to four digits: lists of float."""
    return [[float(f"{v:.4g}") for v in row] for row in np.take_along_axis(values, columns, axis=1)]
