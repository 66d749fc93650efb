"""Unlearning: how far a row's views part when the encoder is pushed to part those of a group with it."""

from __future__ import annotations

import copy
import numbers

import numpy as np
import torch

from .._compat import check_in_range
from ..augmentations.views import Views
from ..identity import describe
from ..randomness import derive_seed, generator
from ..training.model import TorchModel, evaluating
from ._repr import ShortRepr
from .gradients import network_of, squared_alignment

__all__ = ["Unlearning"]


class Copies(ShortRepr):
    """Base of the measurements that change copies of a model and read all rows' alignments under each."""

    at = (1.0,)

    def __init__(self, augmentation, n_views, layer, device):
        check_in_range("n_views", n_views, numbers.Integral, 2)
        self.views, self.n_views = Views(augmentation), int(n_views)
        self.layer, self.device = layer, device

    def observer(self, k, n):
        """Nothing is watched during training."""

    def _alignment(self, model, data, seed):
        """Squared alignment of every row, on the same views for the model and its copies: (n,)."""
        found = np.empty(len(data))
        for index, views in self.views.of_rows(data, self.n_views, seed, self.device):
            z = model.embed(views.flatten(0, 1), self.layer).unflatten(0, views.shape[:2])
            found[index] = squared_alignment(z).cpu().numpy()
        return found


class Dealings(Copies):
    """Base of those that deal the rows into groups, and change a copy of the model by each group.

    A row's score is its rise under the copy of its own group minus its mean rise under the others,
    averaged over dealings. What a group does to a copy is `_pushed`.
    """

    def __init__(self, augmentation, n_groups, n_repeats, n_views, layer, device):
        super().__init__(augmentation, n_views, layer, device)
        check_in_range("n_groups", n_groups, numbers.Integral, 2)
        check_in_range("n_repeats", n_repeats, numbers.Integral, 1)
        self.n_groups, self.n_repeats = int(n_groups), int(n_repeats)

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        found = np.zeros((len(models), len(data)))
        for repeat in range(self.n_repeats):
            group = groups_of(len(data), self.n_groups, generator(seed, "groups", repeat))
            for j, model in enumerate(models):
                found[j] += own_minus_others(self._rises(model, data, group, seed, repeat), group)
        return {self.name: found / self.n_repeats}

    def _rises(self, model, data, group, seed, repeat=0):
        """Rise of every row's alignment under the copy of every group: (n_groups, n)."""
        before = self._alignment(model, data, seed)
        rises = np.empty((group.max() + 1, len(data)))
        for g in range(len(rises)):
            pushed = self._pushed(model, data, np.flatnonzero(group == g), seed, repeat)
            rises[g] = self._alignment(pushed, data, seed) - before
        return rises

    def _pushed(self, model, data, rows, seed, repeat=0):
        """A copy of the model, changed by the rows of one group in one dealing."""
        raise NotImplementedError


class Unlearning(Dealings):
    """Rise of a row's alignment under ascent on its own group, beyond that under ascent on other groups.

    Rows are dealt at random into `n_groups` groups. For each group a copy of the encoder takes a few steps of
    gradient ascent on the mean `squared_alignment` of the group's rows, in eval mode, and the alignment of
    *all* rows is read again. A row's score is its rise after the ascent of its own group, minus its mean
    rise after those of the others: a small f and g, made by unlearning.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape).
    n_groups : int, default=10
        At least 2; at most one group a row.
    n_steps : int, default=1
        Of ascent, each on the whole group; at least 1.
    length : float, default=5e-4
        Of a step, as a share of the norm of the encoder's weights; above 0. Steps have one length whatever
        the gradient's, so that groups and encoders compare.
    n_repeats : int, default=2
        Random dealings that are averaged; at least 1.
    n_views : int, default=8
        Views a row that alignment is read on; ascent has as many others. At least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.
    device : str, default="cpu"
        Where views are drawn.

    Notes
    -----
    The array is ``"unlearning"`` (k, n), in squared distances. The other direction, training on without
    some rows, is `HoldoutRetraining`.
    """

    name = "unlearning"

    def __init__(self, augmentation, n_groups=10, n_steps=1, length=5e-4, n_repeats=2, n_views=8,
                 layer="encoder", device="cpu"):  # fmt: skip
        super().__init__(augmentation, n_groups, n_repeats, n_views, layer, device)
        check_in_range("n_steps", n_steps, numbers.Integral, 1)
        check_in_range("length", length, numbers.Real, 0, open_low=True, finite=True)
        self.n_steps, self.length = int(n_steps), float(length)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "augmentation": describe(self.views.augmentation),
            "n_groups": self.n_groups,
            "n_steps": self.n_steps,
            "length": self.length,
            "n_repeats": self.n_repeats,
            "n_views": self.n_views,
            "layer": self.layer,
        }

    def _pushed(self, model, data, rows, seed, repeat=0):
        """A copy of the model after ascent on the alignment of some rows, on the same views every time."""
        module = copy.deepcopy(model.module)
        pushed = TorchModel(module, model.device)
        network = network_of(pushed, self.layer)
        weights = [w for w in network.parameters() if w.requires_grad]
        step = self.length * torch.stack([w.detach().norm() for w in weights]).norm()
        own = derive_seed(seed, "ascent")
        for _ in range(self.n_steps):
            total = [torch.zeros_like(w) for w in weights]
            with evaluating(network), torch.enable_grad():
                for _, views in self.views.of_rows(data.take(rows), self.n_views, own, self.device):
                    z = network(views.flatten(0, 1)).float().unflatten(0, views.shape[:2])
                    part = torch.autograd.grad(
                        squared_alignment(z).sum(), weights, allow_unused=True
                    )
                    total = [t if p is None else t + p for t, p in zip(total, part, strict=True)]
            size = torch.stack([t.norm() for t in total]).norm()
            with torch.no_grad():
                for w, t in zip(weights, total, strict=True):
                    w += step * t / size.clamp(min=1e-30)
        return pushed


def groups_of(n, n_groups, rng):
    """Deal n rows into groups whose sizes differ by one at most: ndarray of int, shape (n,)."""
    return rng.permutation(np.arange(n) % min(n_groups, n))


def own_minus_others(rises, group):
    """Rise in the row's own group minus the mean of its rises in the others.

    Parameters
    ----------
    rises : ndarray of shape (n_groups, n)
        After the ascent of each group.
    group : ndarray of int, shape (n,)
        Of every row.

    Returns
    -------
    ndarray of shape (n,)
    """
    own = rises[group, np.arange(len(group))]
    return own - (rises.sum(0) - own) / (len(rises) - 1)
