"""Barlow Twins: the cross-correlation of two views' projections is brought to the identity."""

from __future__ import annotations

import numbers

from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision
from .heads import expander

__all__ = ["BarlowTwins", "barlow_twins_loss"]

EPS = 1e-5  # added to variances, as BatchNorm does: a constant dimension counts as uncorrelated


class BarlowTwins(Method):
    """The cross-correlation of two views' projections is brought to the identity.

    Parameters
    ----------
    lambd : float, default=0.1
        Weight of the redundancy term, the squared correlations off the diagonal; at least 0. The
        paper takes 0.005 for 8192 dimensions, which have 4,000 times as many of them.
    hidden_dim : int, default=256
        Units of the two hidden layers of the projector, each with BatchNorm and ReLU; at least 1.
    projection_dim : int, default=128
        Output of the projector; at least 1.

    Notes
    -----
    The loss belongs to a batch. What stands for the loss of a sample is half the squared distance
    of its two standardised projections: its mean over the batch is the sum of 1 - C_ii.

    References
    ----------
    Zbontar, Jing, Misra, LeCun and Deny, Barlow twins: self-supervised learning via redundancy
    reduction, ICML 2021 (arXiv:2103.03230), equations 1 and 2.
    """

    def __init__(self, lambd=0.1, hidden_dim=256, projection_dim=128):
        self.lambd = lambd
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim

    def build(self, encoder, out_dim):
        check_in_range("lambd", self.lambd, numbers.Real, 0)
        for name in ("hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        projector = expander(out_dim, self.hidden_dim, self.projection_dim)
        return _BarlowTwins(encoder, projector, self.lambd)


class _BarlowTwins(nn.Module):
    def __init__(self, encoder, projector, lambd):
        super().__init__()
        self.encoder, self.projector, self.lambd = encoder, projector, lambd

    def forward(self, views, draws, progress):  # views: (2, b, ...)
        h = self.encoder(views.flatten(0, 1))  # (2b, d), both views in one batch
        loss, per_row = barlow_twins_loss(self.projector(h), self.lambd)
        return loss, per_row, h.unflatten(0, views.shape[:2])


@full_precision
def barlow_twins_loss(z, lambd):
    """Invariance plus `lambd` times redundancy (equation 1 of the paper).

    Parameters
    ----------
    z : tensor of shape (2b, d)
        Projections: rows i and i + b are the two views of sample i.
    lambd : float
        Weight of the redundancy term.

    Returns
    -------
    loss : tensor of shape ()
        Sum of (1 - C_ii)^2 plus `lambd` times the sum of C_ij^2 over i != j, C the (d, d)
        cross-correlation of the views over the batch.
    per_row : tensor of shape (b,)
        Half the squared distance of the sample's standardised projections.
    """
    z = z.unflatten(0, (2, -1))  # (2, b, d)
    z = z - z.mean(1, keepdim=True)
    z1, z2 = z / (z.square().mean(1, keepdim=True) + EPS).sqrt()
    correlation = z1.T @ z2 / len(z1)  # (d, d)
    diagonal = correlation.diagonal()
    off_diagonal = (correlation - diagonal.diag_embed()).square().sum()
    loss = (1 - diagonal).square().sum() + lambd * off_diagonal
    return loss, (z1 - z2).square().sum(1) / 2
