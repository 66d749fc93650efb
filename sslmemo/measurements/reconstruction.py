"""Reconstruction: how well a masked autoencoder paints the hidden patches of a sample."""

from __future__ import annotations

import numbers

import numpy as np
import torch

from .._compat import check_in_range
from ..augmentations.views import Views
from ..identity import describe
from ..methods.mae import MAE
from ..protocols import TrainingError
from ..randomness import derive_seed
from ..training.model import evaluating
from ._repr import ShortRepr

__all__ = ["Reconstruction"]


class Reconstruction(ShortRepr):
    """E over masks of the reconstruction loss of every row, for pools of ``method="mae"``.

    Memorization in MAE's own terms: pass it as ``measurements=[Reconstruction()]`` and read the
    scores by ``MemorizationResult(est.result_.run, Difference(of="reconstruction"))``.

    Parameters
    ----------
    n_views : int, default=8
        Masks a row; at least 1. They are the same for all encoders of a block.
    augmentation : callable or None, default=None
        (b, *shape) -> (b, *shape); None leaves the rows as they are, so that masks alone vary.

    Notes
    -----
    How much is hidden, and whether patches are normalised, is as in the pool's own method.
    The arrays are ``"reconstruction"`` (k, n), in [0, inf), and ``"reconstruction_by_view"``
    (k, n, n_views), of which it is the mean: see `sslmemo.methods.mae.painting_loss`.
    """

    name = "reconstruction"
    at = (1.0,)

    def __init__(self, n_views=8, augmentation=None):
        check_in_range("n_views", n_views, numbers.Integral, 1)
        self.n_views = int(n_views)
        self.augmentation = augmentation

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "n_views": self.n_views,
            "augmentation": describe(self.augmentation),
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models of one block on the same masks, see `sslmemo.protocols.Measurement`."""
        by_view = np.empty((len(models), len(data), self.n_views), np.float32)
        views = Views(torch.nn.Identity() if self.augmentation is None else self.augmentation)
        for chunk, (index, drawn) in enumerate(views.of_rows(data, self.n_views, seed)):
            rng = torch.Generator().manual_seed(derive_seed(seed, "masks", chunk) % 2**63)
            draws = [MAE().draws(rng, len(index), data.shape) for _ in drawn]
            for j, model in enumerate(models):
                by_view[j, index] = self._losses(model, drawn, draws)
        if not np.isfinite(by_view).all():
            raise TrainingError(f"an encoder of seed {seed} paints values that are not finite.")
        mean = by_view.mean(2, dtype=np.float64)
        return {"reconstruction": mean, "reconstruction_by_view": by_view}

    def _losses(self, model, views, draws):
        """Losses of views (V, b, ...): ndarray (b, V)."""
        if not hasattr(model.module, "decode"):
            raise TypeError(
                "Reconstruction needs models that paint: use it with method='mae', or leave it out."
            )
        found = []
        with evaluating(model.module):
            for view, own in zip(views, draws, strict=True):
                own = {name: t.to(model.device) for name, t in own.items()}
                _, per_row, _ = model.module(view[None].to(model.device), own, 1.0)
                found.append(per_row.cpu().numpy())
        return np.stack(found, 1)
