"""VICReg: views agree, every dimension keeps its variance, no two dimensions covary."""

from __future__ import annotations

import numbers

import torch.nn.functional as F
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision
from .heads import expander

__all__ = ["VICReg", "vicreg_loss"]

EPS = 1e-4  # added to variances under the root, the paper's value


class VICReg(Method):
    """Views agree, every dimension keeps its variance, no two dimensions covary.

    Parameters
    ----------
    sim_coeff : float, default=25.0
        Weight of invariance, the paper's lambda; at least 0.
    std_coeff : float, default=25.0
        Weight of variance, the paper's mu; at least 0.
    cov_coeff : float, default=16.0
        Weight of covariance, the paper's nu; at least 0. The paper takes 1 for 8192 dimensions.
    hidden_dim : int, default=256
        Units of the two hidden layers of the expander, each with BatchNorm and ReLU; at least 1.
    projection_dim : int, default=128
        Output of the expander; at least 1.

    Notes
    -----
    The loss belongs to a batch. What stands for the loss of a sample is the mean squared
    difference of its two projections, without its weight: the invariance term is its mean.

    References
    ----------
    Bardes, Ponce and LeCun, VICReg: variance-invariance-covariance regularization for
    self-supervised learning, ICLR 2022 (arXiv:2105.04906), equations 1 to 6 and algorithm 1.
    """

    def __init__(self, sim_coeff=25.0, std_coeff=25.0, cov_coeff=16.0, hidden_dim=256,
                 projection_dim=128):  # fmt: skip
        self.sim_coeff = sim_coeff
        self.std_coeff = std_coeff
        self.cov_coeff = cov_coeff
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim

    def build(self, encoder, out_dim):
        weights = {n: getattr(self, n) for n in ("sim_coeff", "std_coeff", "cov_coeff")}
        for name, weight in weights.items():
            check_in_range(name, weight, numbers.Real, 0)
        for name in ("hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        projector = expander(out_dim, self.hidden_dim, self.projection_dim)
        return _VICReg(encoder, projector, tuple(weights.values()))


class _VICReg(nn.Module):
    def __init__(self, encoder, projector, weights):
        super().__init__()
        self.encoder, self.projector, self.weights = encoder, projector, weights

    def forward(self, views, draws, progress):  # views: (2, b, ...)
        h = self.encoder(views.flatten(0, 1))  # (2b, d), both views in one batch
        loss, per_row = vicreg_loss(self.projector(h), *self.weights)
        return loss, per_row, h.unflatten(0, views.shape[:2])


@full_precision
def vicreg_loss(z, sim_coeff, std_coeff, cov_coeff):
    """Weighted sum of invariance, variance and covariance (equation 6 of the paper).

    Parameters
    ----------
    z : tensor of shape (2b, d)
        Projections: rows i and i + b are the two views of sample i; b is at least 2.
    sim_coeff, std_coeff, cov_coeff : float
        Weights of the three terms.

    Returns
    -------
    loss : tensor of shape ()
        Variance and covariance are sums over the two views. Invariance is a mean over dimensions,
        as algorithm 1 of the paper has it; equation 5 writes a sum.
    per_row : tensor of shape (b,)
        Mean squared difference of the sample's two projections.
    """
    z = z.unflatten(0, (2, -1))  # (2, b, d)
    _, b, d = z.shape
    per_row = (z[0] - z[1]).square().mean(1)
    z = z - z.mean(1, keepdim=True)
    covariance = z.mT @ z / (b - 1)  # (2, d, d)
    variance = covariance.diagonal(dim1=1, dim2=2)  # (2, d)
    spread = F.relu(1 - (variance + EPS).sqrt()).mean(1).sum()
    off_diagonal = (covariance - variance.diag_embed()).square().sum() / d
    return sim_coeff * per_row.mean() + std_coeff * spread + cov_coeff * off_diagonal, per_row
