"""Sensitivity: slope and curvature of a row's own alignment in the row's views."""

from __future__ import annotations

import numbers

import numpy as np
import torch

from .._compat import check_in_range
from ..randomness import derive_seed
from ..training.model import evaluating
from .gradients import OfViews, network_of, squared_alignment

__all__ = ["InputCurvature", "InputGradient"]

STEP = 1e-3  # of Garg et al.


class InputGradient(OfViews):
    """Norm of the gradient of every row's alignment in its views.

    The alignment is `squared_alignment`, read in eval mode. A view counts as the input: nothing is
    differentiated through the augmentation, which need not be differentiable.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape).
    n_views : int, default=8
        Views a row; at least 2. The norm is over all of them at once.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.
    at : ascending tuple of float, default=(1.0,)
        Fractions of the training at which it is read, in (0, 1].
    device : str, default="cpu"
        Where views are drawn.

    Notes
    -----
    The array is ``"input_gradient"``, (k, n), or (k, n_at, n) for several fractions; squared distance
    over the unit of the network's input.
    """

    name = "input_gradient"

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        found = np.empty((len(models), len(data)))
        for chunk, (index, views) in enumerate(
            self.views.of_rows(data, self.n_views, seed, self.device)
        ):
            for j, model in enumerate(models):
                network = network_of(model, self.layer)
                found[j, index] = self._read(network, views, seed, chunk).double().cpu().numpy()
        return {self.name: found}

    def _read(self, network, views, seed, chunk):
        """Views (V, b, *shape) to one number a row (b,)."""
        return _row_norm2(_gradient(network, views)).sqrt()


class InputCurvature(InputGradient):
    """Trace of the squared Hessian of every row's alignment in its views, estimated.

    The mean over random signs v of |grad(x + h v) - grad(x)|^2 / h^2, which for small h is
    E |H v|^2 = tr(H^2) (Hutchinson). Otherwise as `InputGradient`.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape).
    n_views : int, default=8
        Views a row; at least 2. H is of all of them at once.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.
    at : ascending tuple of float, default=(1.0,)
        Fractions of the training at which it is read, in (0, 1].
    device : str, default="cpu"
        Where views are drawn.
    n_probes : int, default=8
        Draws of v; at least 1.
    step : float, default=1e-3
        Length h of the difference, in the unit of the network's input; above 0. Kinks of a ReLU network
        count where a step crosses them.

    Notes
    -----
    The array is ``"input_curvature"``, (k, n), or (k, n_at, n) for several fractions.

    References
    ----------
    Garg, Ravikumar and Roy, Memorization through the lens of curvature of loss function around samples,
    ICML 2024 (arXiv:2307.05831), there for the loss of a classifier.
    """

    name = "input_curvature"

    def __init__(self, augmentation, n_views=8, layer="encoder", at=(1.0,), device="cpu",
                 n_probes=8, step=STEP):  # fmt: skip
        super().__init__(augmentation, n_views, layer, at, device)
        check_in_range("n_probes", n_probes, numbers.Integral, 1)
        check_in_range("step", step, numbers.Real, 0, open_low=True, finite=True)
        self.n_probes, self.step = int(n_probes), float(step)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {**super().config(), "n_probes": self.n_probes, "step": self.step}

    def _read(self, network, views, seed, chunk):
        own = torch.Generator(views.device)
        own.manual_seed(derive_seed(seed, "curvature", chunk) % 2**63)
        here, total = _gradient(network, views), 0.0
        for _ in range(self.n_probes):
            signs = torch.randint(0, 2, views.shape, generator=own, device=views.device) * 2 - 1
            there = _gradient(network, views + self.step * signs)
            total = total + _row_norm2((there - here) / self.step)
        return total / self.n_probes


def _gradient(network, views):
    """Gradient of every row's alignment in its views, (V, b, *shape): rows do not mix in eval mode."""
    with evaluating(network), torch.enable_grad():
        x = views.detach().clone().requires_grad_()
        z = network(x.flatten(0, 1)).float().unflatten(0, x.shape[:2])
        return torch.autograd.grad(squared_alignment(z).sum(), x)[0]


def _row_norm2(g):
    """Squared norm over views and values: (V, b, *shape) to (b,)."""
    return g.transpose(0, 1).flatten(1).square().sum(1)
