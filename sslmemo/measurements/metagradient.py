"""Metagradient: what a row's weight in the loss does to its own alignment, through a short training."""

from __future__ import annotations

import copy
import itertools
import math
import numbers

import numpy as np
import torch
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from .._compat import check_in_range
from ..randomness import derive_seed, generator
from ..training.model import TorchModel
from ._repr import ShortRepr
from .gradients import network_of, squared_alignment
from .unlearning import groups_of

__all__ = ["Metagradient", "continued", "own_derivatives"]


class Metagradient(ShortRepr):
    """Fall of a row's alignment per unit of its weight in the loss, exact through a few further steps.

    A copy of the encoder trains on for a few steps, in which every row has a weight of 1, see `continued`;
    the `squared_alignment` of all rows is read under the weights that come out, and differentiated in the
    rows' weights through all steps. A row's score is minus its own derivative, see `own_derivatives`.

    Parameters
    ----------
    trainer : SSLTrainer
        Of the training that goes on: its loss, views and device.
    n_steps : int, default=10
        Of the continuation; at least 1.
    length : float, default=0.02
        Of the first step, as a share of the norm of the weights; above 0. It sets the rate of all.
    n_passes : int, default=16
        Backward passes a batch; at least 1. With as many as the batch has rows, nothing is estimated.
    batch_size : int, default=256
        Most rows that train on together, in batches of even size, each with a continuation of its own; at
        least 2. Memory grows with batch_size * n_steps. Small batches rank worse.
    n_views : int, default=8
        Views a row that alignment is read on; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.
    at : float, default=0.1
        Fraction of the training after which the copy goes its own way, in (0, 1]. Early, most of what a
        row can do is still to come.

    Notes
    -----
    The array is ``"metagradient"`` (k, n), in squared distances.

    A row of weight 0 still repels the others where the loss has negatives, and counts in what
    a loss takes over the batch: it is the row's own pull that the weight weighs.

    BatchNorm takes the statistics of the batch, in the steps and in the reading, one view of every row at
    a time: running ones would hide how they depend on the weights. Where a network has kinks, as ReLU,
    the derivative holds almost everywhere, but misses what a longer way meets.

    The idea is that of MAGIC (Ilyas and Engstrom, arXiv:2504.16430) and of metagradient descent (Engstrom
    et al., arXiv:2503.13751), which differentiate one output through a whole training with recomputed
    states. Ours: the self-terms of all rows, estimated with random signs, and that only a short
    continuation is differentiated, which is held in memory.
    """

    name = "metagradient"

    def __init__(self, trainer, n_steps=10, length=0.02, n_passes=16, batch_size=256, n_views=8,
                 layer="encoder", at=0.1):  # fmt: skip
        check_in_range("n_steps", n_steps, numbers.Integral, 1)
        check_in_range("length", length, numbers.Real, 0, open_low=True, finite=True)
        check_in_range("n_passes", n_passes, numbers.Integral, 1)
        check_in_range("batch_size", batch_size, numbers.Integral, 2)
        check_in_range("n_views", n_views, numbers.Integral, 2)
        check_in_range("at", at, numbers.Real, 0, 1, open_low=True)
        self.trainer = trainer
        self.n_steps, self.length, self.n_passes = int(n_steps), float(length), int(n_passes)
        self.batch_size, self.n_views, self.layer = int(batch_size), int(n_views), layer
        self.at = (float(at),)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "trainer": self.trainer.config(),
            "n_steps": self.n_steps,
            "length": self.length,
            "n_passes": self.n_passes,
            "batch_size": self.batch_size,
            "n_views": self.n_views,
            "layer": self.layer,
            "at": list(self.at),
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        if len(data) < 2:
            raise ValueError(
                f"a metagradient needs 2 rows that train on together, got {len(data)}."
            )
        found = np.empty((len(models), len(data)))
        n_batches = math.ceil(len(data) / self.batch_size)
        batch = groups_of(len(data), n_batches, generator(seed, "batches"))
        for b in range(n_batches):
            rows = np.flatnonzero(batch == b)
            for j, model in enumerate(models):
                found[j, rows] = self._read(model, data, rows, derive_seed(seed, "batch", b))
        return {self.name: found}

    def _read(self, model, data, rows, seed):
        """Score of every row of one batch: (b,)."""
        x = data.rows(rows, model.device)
        weight = torch.ones(len(rows), device=model.device, requires_grad=True)
        # fused attention has no second derivative
        with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
            module, values = continued(
                model, x, weight, seed, self.trainer, self.n_steps, self.length, *self.at
            )
            views = self.trainer.views.draw(x, self.n_views, derive_seed(seed, "views"))
            alignment = squared_alignment(_embedded(module, values, views, self.layer))
            own = own_derivatives(alignment, weight, self.n_passes, generator(seed, "signs"))
        return -own


def continued(model, x, weight, seed, trainer, n_steps, length, at=1.0):
    """A short training on one batch, as a differentiable function of the rows' weights in the loss.

    Steps are those of gradient descent with momentum 0.9 on the method's loss plus the mean of
    (weight - 1) times the row's own loss, in training mode on fresh views; gradients longer than the first
    are clipped to its length. AdamW's steps change sign with the gradient and have no useful
    derivative. What a method does after a step is left out: its momentum network stays.

    Parameters
    ----------
    model : TorchModel
        Stays as it is.
    x : tensor of shape (b, *shape)
        All rows of the batch, of every step.
    weight : tensor of shape (b,)
        Of the rows; requires a gradient.
    seed : int
        Of views and the method's draws.
    trainer : SSLTrainer
        Of the training that goes on.
    n_steps : int
        At least 1.
    length : float
        Of the first step, as a share of the norm of the model's weights. The rate that makes it so is that
        of all steps, and a constant to the derivative.
    at : float, default=1.0
        Fraction of its training that the model has behind it, of which the method hears.

    Returns
    -------
    module : torch.nn.Module
        A copy of the model's, in training mode, with its weights as they were.
    values : dict of str to tensor
        Parameters and buffers of the module after the last step; trained ones depend on `weight`.
    """
    module = copy.deepcopy(model.module).train()
    trained = {k: p for k, p in module.named_parameters() if p.requires_grad}
    fixed = {k: p for k, p in module.named_parameters() if not p.requires_grad}
    buffers = dict(module.named_buffers())
    pace, size = (
        {k: torch.zeros_like(p) for k, p in trained.items()},
        _norm(trained.values()).detach(),
    )
    progress, first = min(at, 1 - 1 / trainer.steps), None
    for step in range(n_steps):
        views = trainer.views.draw(x, trainer.method.n_views, derive_seed(seed, "steps", step))
        # a step writes into buffers, which the graph of the one before still needs
        buffers = {k: b.detach().clone() for k, b in buffers.items()}
        call = _Placed(module, {**trained, **fixed, **buffers})
        loss, per_row, _ = trainer.forward(call, views, seed, step, progress)
        loss = loss + ((weight - 1) * per_row).mean()
        gradients = torch.autograd.grad(
            loss, list(trained.values()), create_graph=True, materialize_grads=True
        )
        norm = _norm(gradients).clamp(min=1e-30)
        first = norm.detach() if first is None else first
        share = length * size / norm.clamp(min=first) if step else length * size / first
        for (k, p), g in zip(list(trained.items()), gradients, strict=True):
            pace[k] = 0.9 * pace[k] + share * g
            trained[k] = p - pace[k]
    return module, {**trained, **fixed, **buffers}


def own_derivatives(outputs, weight, n_passes, rng):
    """Derivative of every output in its own weight, by random signs: an unbiased estimate.

    Outputs are dealt into parts. With v = +1 or -1 at random, one backward pass of the sum of v_i times
    output i over a part gives G, and v_j G_j is the derivative of output j in its own weight, plus
    those of the part's other outputs in weight j under signs of mean 0. Parts of one output are exact.

    Parameters
    ----------
    outputs : tensor of shape (b,)
        That depend on `weight`.
    weight : tensor of shape (b,)
        Requires a gradient.
    n_passes : int
        Parts; at most b are made. The variance is about (b - n_passes) / n_passes times the mean square
        of the derivatives in others' weights.
    rng : numpy.random.Generator
        Of parts and signs.

    Returns
    -------
    ndarray of float, shape (b,)
    """
    part = groups_of(len(outputs), n_passes, rng)
    signs = torch.from_numpy(2.0 * rng.integers(0, 2, len(part)) - 1).to(outputs)
    own = np.empty(len(part))
    for p in range(part.max() + 1):
        index = torch.from_numpy(np.flatnonzero(part == p)).to(outputs.device)
        total = (signs * outputs)[index].sum()
        (g,) = torch.autograd.grad(total, weight, retain_graph=True, materialize_grads=True)
        own[part == p] = (signs * g)[index].double().cpu().numpy()
    return own


class _Placed:
    """A module called with other parameters and buffers."""

    def __init__(self, module, values):
        self.module, self.values = module, values

    def __call__(self, *inputs):
        return functional_call(self.module, self.values, inputs)


def _embedded(module, values, views, layer):
    """Views (V, b, *shape) to representations (V, b, d), each view of all rows a batch of its own."""
    network = network_of(TorchModel(module), layer)
    module.eval()  # no dropout
    for m in module.modules():
        if isinstance(m, _BatchNorm):
            m.train()
    name = {id(t): k for k, t in _tensors(module)}
    mine = {k: values[name[id(t)]] for k, t in _tensors(network)}
    # each view writes its statistics into buffers that nobody reads
    call = _Placed(network, {k: t if t.requires_grad else t.clone() for k, t in mine.items()})
    return torch.stack([call(v) for v in views])


def _tensors(module):
    return itertools.chain(module.named_parameters(), module.named_buffers())


def _norm(tensors):
    return torch.stack([t.norm() for t in tensors]).norm()
