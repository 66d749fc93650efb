"""SimCLR: two views of a sample attract, all other views repel."""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision

__all__ = ["SimCLR", "nt_xent"]


class SimCLR(Method):
    """Two views of a sample attract, all other views of the batch repel.

    Parameters
    ----------
    temperature : float, default=0.2
        Of the softmax over cosine similarities; above 0.
    projection_dim : int, default=64
        Output of the projector, ReLU-Linear; at least 1.

    References
    ----------
    Chen, Kornblith, Norouzi and Hinton, A simple framework for contrastive learning of visual
    representations, ICML 2020 (arXiv:2002.05709).
    """

    def __init__(self, temperature=0.2, projection_dim=64):
        self.temperature = temperature
        self.projection_dim = projection_dim

    def build(self, encoder, out_dim):
        check_in_range("temperature", self.temperature, numbers.Real, 0, open_low=True)
        check_in_range("projection_dim", self.projection_dim, numbers.Integral, 1)
        return _SimCLR(encoder, out_dim, self.projection_dim, self.temperature)


class _SimCLR(nn.Module):
    def __init__(self, encoder, out_dim, projection_dim, temperature):
        super().__init__()
        self.encoder = encoder
        self.projector = nn.Sequential(nn.ReLU(), nn.Linear(out_dim, projection_dim))
        self.temperature = temperature

    def forward(self, views, draws, progress):  # views: (2, b, ...)
        h = self.encoder(views.flatten(0, 1))  # (2b, d), both views in one batch
        per_row = nt_xent(self.projector(h), self.temperature)
        return per_row.mean(), per_row, h.unflatten(0, views.shape[:2])


@full_precision
def nt_xent(z, temperature):
    """Normalised temperature-scaled cross entropy of each sample (equation 1 of the paper).

    Parameters
    ----------
    z : tensor of shape (2b, d)
        Projections: rows i and i + b are the two views of sample i.
    temperature : float
        Above 0.

    Returns
    -------
    tensor of shape (b,)
        Mean of the sample's two terms.
    """
    z = F.normalize(z, dim=1)
    b = len(z) // 2
    similarity = z @ z.T / temperature  # (2b, 2b)
    itself = torch.eye(2 * b, dtype=torch.bool, device=z.device)
    log_total = similarity.masked_fill(itself, -torch.inf).logsumexp(1)
    positive = (z[:b] * z[b:]).sum(1) / temperature
    return (log_total[:b] + log_total[b:]) / 2 - positive
