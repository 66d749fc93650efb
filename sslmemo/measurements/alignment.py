"""Alignment: how far apart an encoder puts the views of one sample."""

from __future__ import annotations

import numbers

import numpy as np
import torch

from .._compat import check_choice, check_in_range
from ..augmentations.views import Views
from ..distances import check_distance, get_distance
from ..identity import describe
from ..protocols import TrainingError
from ._repr import ShortRepr

__all__ = ["Alignment"]

MOST_VIEWS = 1024  # half a million pairs a row


class Alignment(ShortRepr):
    """E over pairs of views of d(h(x'), h(x'')), for every encoder and row.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape).
    distance : str or callable, default="euclidean"
        See `sslmemo.distances`.
    n_views : int, default=8
        Views a row; with ``anchor="view"`` all n_views (n_views - 1) / 2 pairs are used.
    anchor : {"view", "clean"}, default="view"
        ``"clean"`` measures each view against the sample itself, as the paper's scripts do.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is measured.
    device : str, default="cpu"
        Where views are drawn.
    name : str, default="alignment"
        Of the array.
    by_view : bool, default=True
        Whether to keep what a jackknife over views needs.

    Notes
    -----
    The arrays are ``"alignment"`` (k, n) and ``"alignment_by_view"`` (k, n, n_views): the mean
    distance of a view to the others (or to the clean sample), from which a jackknife over views
    follows; its mean over views is the alignment.
    """

    at = (1.0,)

    def __init__(self, augmentation, distance="euclidean", n_views=8, anchor="view",
                 layer="encoder", device="cpu", name="alignment", by_view=True):  # fmt: skip
        check_choice("anchor", anchor, ("view", "clean"))
        check_in_range("n_views", n_views, numbers.Integral, 1, MOST_VIEWS)
        if n_views < (2 if anchor == "view" else 1):
            raise ValueError(f"n_views must be at least 2 with anchor='view', got {n_views}.")
        self.views, self.distance = Views(augmentation), distance
        self.n_views, self.anchor, self.layer, self.device = int(n_views), anchor, layer, device
        self.name, self.by_view = name, by_view
        self._distance = get_distance(distance)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "augmentation": describe(self.views.augmentation),
            "distance": describe(self.distance),
            "n_views": self.n_views,
            "anchor": self.anchor,
            "layer": self.layer,
        }

    def check(self):
        """Try the distance on random embeddings before any training."""
        z = _embeddings(0)
        check_distance(self._distance, z[0], z[1])

    def probe(self, data):
        """What the distance says of fixed embeddings."""
        z = _embeddings(1)
        return {"distance": self._distance(z[0], z[1]).numpy()}

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models of one block on the same views, see `sslmemo.protocols.Measurement`."""
        by_view = np.empty((len(models), len(data), self.n_views), np.float32)
        for index, views in self.views.of_rows(data, self.n_views, seed, self.device):
            clean = data.rows(index, self.device) if self.anchor == "clean" else None
            for j, model in enumerate(models):
                by_view[j, index] = self._by_view(model, views, clean)
        if not np.isfinite(by_view).all():
            encoder, row, _ = np.argwhere(~np.isfinite(by_view))[0]
            raise TrainingError(
                f"encoder {encoder} of the block of seed {seed} has no finite alignment of row {row}: its "
                "last steps diverged (lower learning_rate), or encoder or distance give NaN there."
            )
        return self._named(by_view)

    def of_one(self, models, data, row, seed):
        """The same for one row outside the pool, on views seeded by its content: arrays (k, 1)."""
        views = self.views.of_one(data, row, self.n_views, seed, self.device)
        clean = data.rows([row], self.device) if self.anchor == "clean" else None
        return self._named(np.stack([self._by_view(m, views, clean) for m in models]))

    def _named(self, by_view):
        found = {self.name: by_view.mean(2, dtype=np.float64)}
        return {**found, f"{self.name}_by_view": by_view} if self.by_view else found

    def _by_view(self, model, views, clean):
        """Views (V, b, ...) to mean distances (b, V)."""
        v, b = views.shape[:2]
        z = model.embed(views.flatten(0, 1), self.layer).reshape(v, b, -1)
        if clean is not None:
            anchor = model.embed(clean, self.layer).expand(v, b, z.shape[2])
            return (
                self._distance(z.flatten(0, 1), anchor.flatten(0, 1)).reshape(v, b).T.cpu().numpy()
            )
        first, second = torch.triu_indices(v, v, 1, device=z.device)
        d = self._distance(z[first].flatten(0, 1), z[second].flatten(0, 1)).reshape(-1, b)
        total = torch.zeros(v, b, dtype=d.dtype, device=z.device)
        total.index_add_(0, first, d).index_add_(0, second, d)
        return (total / (v - 1)).T.cpu().numpy()


def _embeddings(seed):
    """Two batches of five random embeddings, to try a distance on."""
    own = torch.Generator().manual_seed(seed)
    return torch.randn(2, 5, 8, generator=own, dtype=torch.float32, device="cpu")
