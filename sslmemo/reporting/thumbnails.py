"""Rows as small pictures: sprite sheets of images, outlines of series, deviating table cells.

One sheet of a thousand thumbnails costs a browser less than a thousand images, and the sizes here
are bounded by bytes, whatever the rows hold.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Pictures", "Sheets", "deviating", "outlines", "sheets"]

LARGEST = 96  # px of a thumbnail's longer side
SMALLEST = 8
PIXELS = 12_000_000  # of all thumbnails together
LOSSLESS = 3_000_000  # bytes of pixels up to which PNG is used
SHEET = 2048  # px of a sheet's side: phones decode no larger ones gladly
QUALITIES = (85, 70, 50)  # of JPEG, tried in turn until the budget is kept
POINTS = 48  # of a series' outline
CHANNELS = 3  # of a series that are drawn


@dataclass(frozen=True)
class Sheets:
    """Pictures of one size, tiled row by row over one or several sheets.

    Attributes
    ----------
    uris : list of str
        The sheets as data URIs.
    columns, lines : int
        Tiles of a sheet; the last sheet may have fewer lines.
    width, height : int
        Of a tile, in px.
    n : int
        Number of pictures.
    """

    uris: list
    columns: int
    lines: int
    width: int
    height: int
    n: int

    def places(self):
        """What a script needs to find a tile: plain JSON values."""
        each = self.columns * self.lines
        used = [
            math.ceil(min(each, self.n - i * each) / self.columns) for i in range(len(self.uris))
        ]
        return {"columns": self.columns, "lines": used, "each": each,
                "width": self.width, "height": self.height}  # fmt: skip


class Pictures:
    """Collects images of any size in [low, high] as thumbnails, a batch at a time.

    Parameters
    ----------
    n : int
        How many there will be: the more, the smaller each is.
    low, high : float, default=0, 1
        Values that are shown black and white; others are clipped.
    pixels : int, default=12,000,000
        Bound on the pixels of all thumbnails together.
    """

    def __init__(self, n, low=0.0, high=1.0, pixels=PIXELS):
        self.side = int(np.clip(math.sqrt(pixels / max(n, 1)), SMALLEST, LARGEST))
        self.low, self.scale = low, 255 / ((high - low) or 1.0)
        self._parts = []

    def add(self, images):
        """Take network inputs, float (b, c, h, w)."""
        grey = images.shape[1] not in (1, 3, 4)  # other channels have no colours: their mean
        images = images.mean(1, keepdims=True) if grey else images
        values = np.clip((images - self.low) * self.scale, 0, 255)
        if values.shape[1] == 4:  # on white, since a JPEG has no transparency
            values = 255 - (255 - values[:, :3]) * (values[:, 3:] / 255)
        whole = np.moveaxis(values.round().astype(np.uint8), 1, -1)  # (b, h, w, c)
        self._parts.append(_shrunk(whole, self.side))

    def images(self):
        """All thumbnails: uint8 ndarray (n, h, w, 1 or 3)."""
        return np.concatenate(self._parts)


def sheets(images, budget=6_000_000):
    """Tile thumbnails over sheets of at most so many bytes.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, h, w, 1) or (n, h, w, 3)
        Thumbnails.
    budget : int, default=6,000,000
        Bytes of all files together, before base64 adds a third. PNG where the pixels are few, else
        JPEG of falling quality, then of half the size.

    Returns
    -------
    Sheets
    """
    if images.nbytes <= min(LOSSLESS, budget):
        return _tiled(images, "PNG")
    while True:
        for quality in QUALITIES:
            made = _tiled(images, "JPEG", quality=quality, subsampling=0)
            if sum(map(len, made.uris)) * 3 / 4 <= budget:
                return made
        if max(images.shape[1:3]) <= SMALLEST:
            return made
        images = _shrunk(images, max(images.shape[1:3]) // 2)


def _tiled(images, kind, **how):
    n, h, w, c = images.shape
    columns, lines = min(n, max(1, SHEET // w)), max(1, SHEET // h)
    uris = []
    for start in range(0, n, columns * lines):
        part = images[start : start + columns * lines]
        used = math.ceil(len(part) / columns)
        whole = np.zeros((used * columns, h, w, c), np.uint8)
        whole[: len(part)] = part
        whole = whole.reshape(used, columns, h, w, c).swapaxes(1, 2).reshape(used * h, -1, c)
        uris.append(_uri(whole[..., 0] if c == 1 else whole, kind, how))
    return Sheets(uris, columns, lines, w, h, n)


def _uri(pixels, kind, how):
    from PIL import Image  # matplotlib brings it

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **how)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _shrunk(images, side):
    """Images (b, h, w, c) whose longer side is at most `side`."""
    h, w, c = images.shape[1:]
    share = side / max(h, w)
    if share >= 1:
        return images
    from PIL import Image

    size = max(1, round(w * share)), max(1, round(h * share))
    small = [
        np.asarray(Image.fromarray(i[..., 0] if c == 1 else i).resize(size, Image.Resampling.BOX))
        for i in images
    ]
    return np.stack(small).reshape(len(images), size[1], size[0], c)


def outlines(series):
    """Series as points of a line to draw.

    Parameters
    ----------
    series : ndarray of shape (n, c, t)
        The first three channels are drawn.

    Returns
    -------
    ndarray of uint8, shape (n, channels, points)
        At most 48 points, by linear interpolation; 0 to 255 from the least to the largest value that
        the channel has in any row.
    """
    series = np.asarray(series[:, :CHANNELS], dtype=np.float64)
    t = series.shape[2]
    at = np.linspace(0, t - 1, min(t, POINTS))
    left = np.minimum(at.astype(int), max(t - 2, 0))
    share = at - left
    right = np.minimum(left + 1, t - 1)
    points = series[..., left] * (1 - share) + series[..., right] * share
    low, high = (f(series, axis=(0, 2), keepdims=True) for f in (np.min, np.max))
    return np.round((points - low) / np.where(high > low, high - low, 1) * 255).astype(np.uint8)


def deviating(standardised, k=8):
    """Columns in which each row lies farthest from the mean.

    Parameters
    ----------
    standardised : ndarray of shape (n, d)
        In standard deviations from the mean.
    k : int, default=8
        Columns a row.

    Returns
    -------
    ndarray of int, shape (n, min(k, d))
        The farthest first.
    """
    return np.argsort(-np.abs(standardised), axis=1, kind="stable")[:, :k]
