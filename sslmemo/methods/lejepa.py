"""LeJEPA: views predict their centre, and projections follow an isotropic Gaussian."""

from __future__ import annotations

import numbers

import torch
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision
from .heads import expander

__all__ = ["LeJEPA", "epps_pulley", "lejepa_loss"]


class LeJEPA(Method):
    """Views predict their centre, and projections follow an isotropic Gaussian (SIGReg).

    Parameters
    ----------
    lambd : float, default=0.1
        Weight of SIGReg against prediction, in [0, 1].
    n_slices : int, default=256
        Random directions along which a batch is tested, fresh at every step; at least 1. The paper
        takes 1024.
    n_points : int, default=17
        Points of the quadrature over [-t_max, t_max]; odd, at least 3.
    t_max : float, default=5.0
        End of the quadrature; above 0.
    hidden_dim : int, default=256
        Units of the two hidden layers of the projector, each with BatchNorm and ReLU; at least 1.
    projection_dim : int, default=32
        Output of the projector; at least 1.

    Notes
    -----
    The loss belongs to a batch. What stands for the loss of a sample is the mean squared distance
    of its projections from their centre, without its weight: the prediction term is its mean.

    References
    ----------
    Balestriero and LeCun, LeJEPA: provable and scalable self-supervised learning without the
    heuristics, 2025 (arXiv:2511.08544), algorithms 1 and 2. Epps and Pulley, A test for normality
    based on the empirical characteristic function, Biometrika 1983.
    """

    def __init__(self, lambd=0.1, n_slices=256, n_points=17, t_max=5.0, hidden_dim=256,
                 projection_dim=32):  # fmt: skip
        self.lambd = lambd
        self.n_slices = n_slices
        self.n_points = n_points
        self.t_max = t_max
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim

    def build(self, encoder, out_dim):
        check_in_range("lambd", self.lambd, numbers.Real, 0, 1)
        check_in_range("t_max", self.t_max, numbers.Real, 0, open_low=True)
        check_in_range("n_points", self.n_points, numbers.Integral, 3)
        if self.n_points % 2 == 0:
            raise ValueError(
                f"n_points must be odd, got {self.n_points!r}: use {self.n_points + 1}."
            )
        for name in ("n_slices", "hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        projector = expander(out_dim, self.hidden_dim, self.projection_dim)
        return _LeJEPA(encoder, projector, self.lambd, self.n_points, self.t_max)

    def draws(self, generator, batch, shape):  # unit columns (projection_dim, n_slices)
        size = self.projection_dim, self.n_slices
        a = torch.randn(size, generator=generator, device=generator.device)
        return {"directions": a / a.norm(dim=0)}


class _LeJEPA(nn.Module):
    def __init__(self, encoder, projector, lambd, n_points, t_max):
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.settings = lambd, n_points, t_max

    def forward(self, views, draws, progress):  # views: (2, b, ...)
        h = self.encoder(views.flatten(0, 1))  # (2b, d), both views in one batch
        z = self.projector(h).unflatten(0, views.shape[:2])
        loss, per_row = lejepa_loss(z, draws["directions"], *self.settings)
        return loss, per_row, h.unflatten(0, views.shape[:2])


@full_precision
def lejepa_loss(z, directions, lambd, n_points, t_max):
    """Prediction and SIGReg, (1 - lambd) to lambd (algorithm 2 of the paper, global views only).

    Parameters
    ----------
    z : tensor of shape (V, b, d)
        Projections of V views.
    directions : tensor of shape (d, m)
        Unit columns.
    lambd : float
        Weight of SIGReg, the mean of the statistics over views and directions.
    n_points, t_max
        As for `epps_pulley`.

    Returns
    -------
    loss : tensor of shape ()
        A mean over dimensions, as in algorithm 2.
    per_row : tensor of shape (b,)
        Mean squared distance of the sample's projections from their mean over views.
    """
    per_row = (z - z.mean(0)).square().mean((0, 2))
    sigreg = epps_pulley(z @ directions.to(z.dtype), n_points, t_max).mean()
    return (1 - lambd) * per_row.mean() + lambd * sigreg, per_row


@full_precision
def epps_pulley(x, n_points, t_max):
    """Epps-Pulley statistic of normality, for each column (algorithm 1 of the paper).

    b times the integral of |phi_b(t) - phi(t)|^2 phi(t) by the trapezoidal rule, phi_b the
    empirical characteristic function and phi(t) = exp(-t^2 / 2) that of N(0, 1). The integrand is
    even and vanishes at 0, so only t > 0 is computed.

    Parameters
    ----------
    x : tensor of shape (..., b, m)
        Columns of b numbers.
    n_points : int
        Points of the rule over [-t_max, t_max]; odd.
    t_max : float
        End of the rule.

    Returns
    -------
    tensor of shape (..., m)
        At least 0; about 1.06 on average for samples of N(0, 1).
    """
    half = n_points // 2
    t = torch.arange(1, half + 1, device=x.device, dtype=x.dtype) * (t_max / half)
    phi = torch.exp(-t.square() / 2)
    weight = 2 * (t_max / half) * phi
    weight = torch.cat([weight[:-1], weight[-1:] / 2])  # the rule's last point counts half
    angle = x.unsqueeze(-1) * t  # (..., b, m, half)
    error = (angle.cos().mean(-3) - phi).square() + angle.sin().mean(-3).square()
    return x.shape[-2] * (error @ weight)
