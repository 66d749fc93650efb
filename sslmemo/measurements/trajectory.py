"""Trajectory: the alignment of rows, and the size of the weights, while an encoder is trained."""

from __future__ import annotations

import numpy as np
import torch

from .._compat import check_at
from ._repr import ShortRepr
from .alignment import Alignment

__all__ = ["AlignmentTrajectory", "WeightNorm"]


class AlignmentTrajectory(Alignment):
    """Alignment of every row at several moments of the training, on the same views.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape).
    at : ascending tuple of float
        Fractions of the training at which it is read, in (0, 1].
    distance : str or callable, default="euclidean"
        See `sslmemo.distances`.
    n_views : int, default=8
        Views a row; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is measured.
    device : str, default="cpu"
        Where views are drawn.

    Notes
    -----
    The array is ``"alignment_trajectory"``, (k, n_at, n), or (k, n) for one fraction.
    """

    def __init__(self, augmentation, at, distance="euclidean", n_views=8, layer="encoder",
                 device="cpu"):  # fmt: skip
        super().__init__(
            augmentation, distance, n_views, layer=layer, device=device,
            name="alignment_trajectory", by_view=False,
        )  # fmt: skip
        self.at = check_at(at)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {**super().config(), "at": list(self.at)}


class WeightNorm(ShortRepr):
    """Euclidean norm of all trained weights of an encoder and its projector.

    Parameters
    ----------
    at : ascending tuple of float, default=(1.0,)
        Fractions of the training at which it is read, in (0, 1].

    Notes
    -----
    The array is ``"weight_norm"``, (k,), or (k, n_at) for several fractions.
    """

    name = "weight_norm"

    def __init__(self, at=(1.0,)):
        self.at = check_at(at)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {"measurement": self.name, "at": list(self.at)}

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        return {"weight_norm": np.array([_norm(m.module) for m in models])}


def _norm(module):
    with torch.no_grad():
        squares = [w.double().square().sum() for w in module.parameters() if w.requires_grad]
        return float(torch.stack(squares).sum().sqrt())
