"""BYOL: a view predicts how a slow copy of the network sees its other view; nothing repels."""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision
from .heads import perceptron
from .momentum import follow, momentum_at, slow_copy

__all__ = ["BYOL", "byol_loss"]


class BYOL(Method):
    """A view predicts how a slow copy of the network sees its other view; nothing repels.

    Parameters
    ----------
    tau_base : float, default=0.996
        Share of itself that the target network keeps at the first step, in [0, 1]; it rises to 1
        along a cosine. In a few hundred steps the target hardly leaves its random start at the
        paper's 0.996, and digits are still told apart better than with a faster one.
    hidden_dim : int, default=256
        Hidden units of projector and predictor, each Linear-BatchNorm-ReLU-Linear; at least 1.
    projection_dim : int, default=64
        Output of projector and predictor; at least 1.

    Notes
    -----
    The loss of a sample is the sum of its two terms, in [0, 8].

    References
    ----------
    Grill et al., Bootstrap your own latent: a new approach to self-supervised learning, NeurIPS
    2020 (arXiv:2006.07733), equations 1 and 2.
    """

    def __init__(self, tau_base=0.996, hidden_dim=256, projection_dim=64):
        self.tau_base = tau_base
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim

    def build(self, encoder, out_dim):
        check_in_range("tau_base", self.tau_base, numbers.Real, 0, 1)
        for name in ("hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        projector = perceptron(out_dim, self.hidden_dim, self.projection_dim)
        predictor = perceptron(self.projection_dim, self.hidden_dim, self.projection_dim)
        return _BYOL(encoder, projector, predictor)

    def after_step(self, parameters, buffers, progress):
        follow(parameters, momentum_at(progress, self.tau_base))


class _BYOL(nn.Module):
    def __init__(self, encoder, projector, predictor):
        super().__init__()
        self.encoder, self.projector, self.predictor = encoder, projector, predictor
        self.slow = slow_copy(encoder, projector)

    def forward(self, views, draws, progress):  # views: (2, b, ...)
        both = views.flatten(0, 1)  # (2b, ...)
        h = self.encoder(both)
        with torch.no_grad():
            target = self.slow(both)
        per_row = byol_loss(self.predictor(self.projector(h)), target)
        return per_row.mean(), per_row, h.unflatten(0, views.shape[:2])


@full_precision
def byol_loss(prediction, target):
    """Squared distance of unit prediction and unit target, 2 - 2 cos, over both directions.

    Parameters
    ----------
    prediction : tensor of shape (2b, d)
        Rows i and i + b are the two views of sample i.
    target : tensor of shape (2b, d)
        The same views through the target network; no gradient reaches it.

    Returns
    -------
    tensor of shape (b,)
        Sum of the sample's two terms, in [0, 8].
    """
    b = len(prediction) // 2
    cosine = F.cosine_similarity(prediction, target.detach().roll(b, 0), dim=1)
    return (2 - 2 * cosine).unflatten(0, (2, b)).sum(0)
