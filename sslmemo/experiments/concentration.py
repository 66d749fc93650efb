"""Which rows of a class can be near each other through their views, and how far f sets views apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

__all__ = ["Balls", "Seen", "apart", "look"]

MOST_CENTERS = 512  # rows of a class that balls are laid around


@dataclass
class Balls:
    """Distance of the rows of a class to the nearest of their views, from each ball's centre."""

    distance: np.ndarray  # (n_centers, n_k)
    view: np.ndarray  # (n_centers, n_k), which view of the row is that near

    def parts(self, sizes):
        """For each size the rows of the smallest ball that holds as many: (delta, rows, views)."""
        order = np.argsort(self.distance, axis=1, kind="stable")
        radius = np.take_along_axis(self.distance, order, 1)
        for m in sizes:
            c = radius[:, m - 1].argmin()
            rows = order[c, :m]
            yield 2 * radius[c, m - 1], rows, self.view[c, rows]

    def within(self, delta):
        """The ball of diameter `delta` that holds most rows."""
        c = (self.distance <= delta / 2).sum(1).argmax()
        rows = np.flatnonzero(self.distance[c] <= delta / 2)
        return delta, rows, self.view[c, rows]


@dataclass
class Seen:
    """Rows and their views under the encoder."""

    z: np.ndarray  # (n, 1 + n_views, d), the row itself first, float32
    mean: np.ndarray  # (n, d), of the drawn views
    spread: np.ndarray  # (n,), largest distance between two of A(x)
    near: list = field(default_factory=list)  # a Balls for each class


def look(encoder, views, data, n_views, seed, label=None):
    """Embed all views once; with labels, also lay the balls in the input space."""
    n, z = len(data), None
    mean, spread, near, members = None, np.empty(n), [], []
    if label is not None:
        members = [np.flatnonzero(label == k) for k in range(label.max() + 1)]
        chosen = [
            m[np.linspace(0, len(m) - 1, min(len(m), MOST_CENTERS)).astype(int)] for m in members
        ]
        anchors = [torch.from_numpy(data.array(c)).flatten(1).double() for c in chosen]
        shapes = [(len(c), len(m)) for c, m in zip(chosen, members, strict=True)]
        near = [Balls(np.empty(shape), np.empty(shape, np.int16)) for shape in shapes]
    for index, drawn in views.of_rows(data, n_views, seed):
        every = torch.cat([data.rows(index)[None], drawn])  # (1 + V, b, *shape)
        v, b = every.shape[:2]
        own = encoder.model_.embed(every.flatten(0, 1), encoder.layer)
        own = _unit(own).reshape(v, b, -1).transpose(0, 1)  # (b, 1 + V, d)
        if z is None:
            z = np.empty((n, v, own.shape[2]), np.float32)
            mean = np.empty((n, own.shape[2]))
        z[index], mean[index] = own.numpy(), own[:, 1:].mean(1).numpy()
        spread[index] = apart((own @ own.transpose(1, 2)).amin((1, 2)))
        for k, rows in enumerate(members):
            here = np.flatnonzero(label[index] == k)
            if len(here):
                flat = every[:, here].transpose(0, 1).flatten(2).double()  # (h, 1 + V, D)
                d = torch.cdist(anchors[k], flat.flatten(0, 1)).reshape(-1, len(here), v)
                least = d.min(2)
                place = np.searchsorted(rows, index[here])
                near[k].distance[:, place] = least.values.numpy()
                near[k].view[:, place] = least.indices.numpy()
    return Seen(z, mean, spread, near)


def apart(cosine):
    """Distance of unit vectors of this inner product, with what rounding may have hidden."""
    return (2 - 2 * cosine).clamp(min=0).sqrt().numpy()


def _unit(z):
    z = z.double()
    length = z.norm(dim=1, keepdim=True)
    if not (torch.isfinite(length).all() and (length > 0).all()):
        raise ValueError(
            "the encoder maps a view to zero or to no finite vector: it has no direction, and the "
            "bound is of normalised representations."
        )
    return z / length
