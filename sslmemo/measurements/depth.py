"""Isolation by depth: how far a row lies from its nearest neighbours, layer by layer."""

from __future__ import annotations

import contextlib
import numbers

import numpy as np
from torch import nn

from .._compat import check_at, check_in_range
from ..protocols import TrainingError
from ._repr import ShortRepr
from .gradients import network_of
from .isolation import N_NEIGHBORS, nearest_distances

__all__ = ["DepthIsolation"]

SIDE = 4  # of feature maps as they are compared: where things are counts, and memory too


class DepthIsolation(ShortRepr):
    """Mean cosine distance of a row to its nearest other rows, in hidden layers and in the output.

    Hidden representations are what the layers with weights (linear ones and convolutions) are given, in
    the order in which they are called, but for the first one, whose input is the row. Feature maps are
    averaged down to 4 x 4, tokens over all of them. Rows are read without augmentation.

    Parameters
    ----------
    n_depths : int, default=3
        Most hidden representations that are read, evenly spaced from the first to the last one; at least 1.
    n_neighbors : int, default=5
        At least 1; all other rows where there are fewer.
    layer : {"encoder", "projector"}, default="encoder"
        The network up to whose output hidden layers are looked for.
    at : ascending tuple of float, default=(1.0,)
        Fractions of the training at which they are read, in (0, 1].

    Notes
    -----
    The array is ``"depth_isolation"``, (k, D, n), or (k, n_at, D, n) for several fractions, in [0, 2], from
    the first hidden layer to the output; D is at most `n_depths` + 1, and 1 for a network of one layer.
    """

    name = "depth_isolation"

    def __init__(self, n_depths=3, n_neighbors=N_NEIGHBORS, layer="encoder", at=(1.0,)):
        check_in_range("n_depths", n_depths, numbers.Integral, 1)
        check_in_range("n_neighbors", n_neighbors, numbers.Integral, 1)
        self.n_depths, self.n_neighbors = int(n_depths), int(n_neighbors)
        self.layer, self.at = layer, check_at(at)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "n_depths": self.n_depths,
            "n_neighbors": self.n_neighbors,
            "layer": self.layer,
            "at": list(self.at),
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        found = []
        for model in models:
            layers = by_depth(model, data, self.n_depths, self.layer)
            if not all(np.isfinite(z).all() for z in layers):
                raise TrainingError(
                    f"an encoder of seed {seed} has layers that are not finite: its last steps diverged "
                    "(lower learning_rate), or it gives NaN for some row."
                )
            found.append([nearest_distances(z, self.n_neighbors).mean(1) for z in layers])
        return {self.name: np.array(found, np.float32)}


def by_depth(model, data, n_depths, layer="encoder"):
    """Evenly spaced hidden representations of all rows, and the output.

    Parameters
    ----------
    model : TorchModel
        Trained.
    data : Data
        The n rows.
    n_depths : int
        Most hidden representations.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is the last one.

    Returns
    -------
    list of ndarray of float32, each of shape (n, width)
        From input to output.
    """
    network, parts = network_of(model, layer), []
    for index in data.chunks(32):  # within one batch of `embed`
        with _given(network) as calls:
            z = model.embed(data.rows(index), layer)
        hidden = calls[1:]  # the first is given the row itself
        if len(hidden) > n_depths:
            hidden = [
                hidden[i] for i in np.linspace(0, len(hidden) - 1, n_depths).round().astype(int)
            ]
        parts.append([h.cpu().numpy() for h in (*hidden, z)])
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@contextlib.contextmanager
def _given(network):
    """What layers with weights are given while the block runs: list of tensors (b, width), by call."""
    calls = []

    def linear(module, given):  # (b, ..., width)
        calls.append(
            given[0].detach().float().reshape(len(given[0]), -1, given[0].shape[-1]).mean(1)
        )

    def convolution(module, given):  # (b, c, ...)
        maps = given[0].detach().float()
        small = tuple(min(size, SIDE) for size in maps.shape[2:])
        pool = getattr(nn.functional, f"adaptive_avg_pool{len(small)}d")
        calls.append(pool(maps, small).flatten(1))

    hooks = [
        module.register_forward_pre_hook(linear if isinstance(module, nn.Linear) else convolution)
        for module in network.modules()
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
