"""Gradients of a row's own alignment in the weights: how large, and how much of them others share."""

from __future__ import annotations

import numbers

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from .._compat import check_at, check_in_range
from ..augmentations.views import Views
from ..identity import describe
from ..training.model import evaluating
from ._repr import ShortRepr

__all__ = [
    "GradientShare", "OfViews", "SelfInfluence", "network_of", "self_influence", "squared_alignment",
]  # fmt: skip

HELD = 2**25  # gradient values held at once; fixed, so that numbers never depend on memory
MOST_ROWS = 32  # whose gradients are held at once


class OfViews(ShortRepr):
    """Base of the measurements that differentiate the `squared_alignment` of a row's views."""

    def __init__(self, augmentation, n_views=8, layer="encoder", at=(1.0,), device="cpu"):
        check_in_range("n_views", n_views, numbers.Integral, 2)
        self.views, self.n_views, self.layer = Views(augmentation), int(n_views), layer
        self.at, self.device = check_at(at), device

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "augmentation": describe(self.views.augmentation),
            "n_views": self.n_views,
            "layer": self.layer,
            "at": list(self.at),
        }

    def observer(self, k, n):
        """Nothing is watched during training."""


class SelfInfluence(OfViews):
    """Squared norm of the gradient of every row's alignment in the weights.

    The alignment is `squared_alignment`, read in eval mode; the gradient is taken in all weights between
    input and `layer`. It is TracIn's self-influence (Pruthi et al., NeurIPS 2020, arXiv:2002.08484) at
    one checkpoint, adapted to the alignment of one row.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape).
    n_views : int, default=8
        Views a row; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.
    at : ascending tuple of float, default=(1.0,)
        Fractions of the training at which it is read, in (0, 1].
    device : str, default="cpu"
        Where views are drawn.

    Notes
    -----
    The array is ``"self_influence"``, (k, n), or (k, n_at, n) for several fractions.
    """

    name = "self_influence"

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        return {self.name: np.stack([self._read(m, data, seed) for m in models])}

    def _read(self, model, data, seed):
        return self_influence(model, self._views(data, seed), len(data), self.layer)

    def _views(self, data, seed):
        return self.views.of_rows(data, self.n_views, seed, self.device)


class GradientShare(SelfInfluence):
    """What a step on a row does for the others, over what it does for itself.

    With g_i the gradient of row i's alignment, as in `SelfInfluence`: the inner product of g_i with the mean
    of all other g_j, over |g_i|^2. Nothing is projected: the sum of all gradients and one g_i at a time do.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape).
    n_views : int, default=8
        Views a row; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.
    at : ascending tuple of float, default=(1.0,)
        Fractions of the training at which it is read, in (0, 1].
    device : str, default="cpu"
        Where views are drawn.

    Notes
    -----
    The array is ``"gradient_share"``, (k, n), or (k, n_at, n) for several fractions; 0 for a row without
    a gradient.
    """

    name = "gradient_share"

    def _read(self, model, data, seed):
        network, total, found = network_of(model, self.layer), None, np.empty(len(data))
        for _, views in self._views(data, seed):
            part = _sum_of_gradients(network, views)
            total = part if total is None else {k: total[k] + part[k] for k in total}
        for index, views in self._views(data, seed):
            square, product = _row_gradients(network, views, total)
            others = (product - square) / (len(data) - 1)
            found[index] = np.divide(others, square, np.zeros_like(square), where=square > 0)
        return found


def self_influence(model, views, n, layer="encoder"):
    """Squared norm of the gradient of every row's `squared_alignment` in the weights.

    Parameters
    ----------
    model : TorchModel
        Trained.
    views : iterable of (ndarray of int, tensor of shape (V, b, *shape))
        Positions and views of some rows at a time, see `Views.of_rows`.
    n : int
        Rows in all.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    network, found = network_of(model, layer), np.empty(n)
    for index, drawn in views:
        found[index] = _row_gradients(network, drawn)[0]
    return found


def squared_alignment(z):
    """Mean squared distance of the unit embeddings of a row's views, over all pairs of them.

    Smooth where views coincide, as the distance itself is not; in [0, 4].

    Parameters
    ----------
    z : tensor of shape (V, ..., d)
        Embeddings of at least two views.

    Returns
    -------
    tensor of shape (...)
    """
    unit = nn.functional.normalize(z, dim=-1)
    return 2 / (len(z) - 1) * (unit - unit.mean(0)).square().sum((0, -1))


def network_of(model, layer):
    """Give the torch module from network input to `layer`; it shares the model's weights."""
    module = model.module
    if layer == "encoder":
        return module.encoder
    return nn.Sequential(module.encoder, module.projector)


def _sum_of_gradients(network, views):
    """Sum over rows of the gradients of their alignments: dict of tensors, views (V, b, *shape)."""
    weights = dict(network.named_parameters())
    with evaluating(network), torch.enable_grad():
        z = network(views.flatten(0, 1)).float().unflatten(0, views.shape[:2])
        # momentum networks and the like have no gradient
        known = {k: w for k, w in weights.items() if w.requires_grad}
        found = torch.autograd.grad(
            squared_alignment(z).sum(), list(known.values()), allow_unused=True
        )
    return {k: g for k, g in zip(known, found, strict=True) if g is not None}


def _row_gradients(network, views, direction=None):
    """Of every row's gradient g_i the squared norm, and the inner product with `direction`: (b,), (b,)."""
    weights = {k: w.detach() for k, w in network.named_parameters() if w.requires_grad}
    fixed = {k: w.detach() for k, w in network.named_parameters() if not w.requires_grad}
    fixed |= {k: b.detach() for k, b in network.named_buffers()}

    def loss(parameters, views):  # (V, *shape)
        return squared_alignment(functional_call(network, ({**parameters, **fixed},), views))

    def read(views):
        g = grad(loss)(weights, views)
        square = sum(one.square().sum() for one in g.values())
        product = sum((g[k] * one).sum() for k, one in (direction or {}).items())
        return square, product if direction else torch.zeros_like(square)

    values = sum(w.numel() for w in weights.values())
    rows = int(np.clip(HELD // max(values, 1), 1, MOST_ROWS))
    with evaluating(network):
        parts = [
            torch.stack(vmap(read)(x)) for x in views.transpose(0, 1).split(rows)
        ]  # (b, V, *shape)
    return torch.cat(parts, dim=1).double().cpu().numpy()
