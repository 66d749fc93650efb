"""EMP-SSL: many views of a sample come to their mean, while each batch fills the space."""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision
from .heads import perceptron

__all__ = ["EMPSSL", "mean_view_distance", "total_coding_rate"]


class EMPSSL(Method):
    """Many views of a sample come to their mean, while each view's batch fills the space.

    Parameters
    ----------
    n_views : int, default=8
        Views of a sample in a step, at least 2; the paper's are 20 to 200 crops. A step costs as
        much as n_views / 2 of a two-view method's, and an epoch teaches about as much more: use
        fewer epochs.
    invariance : float, default=25.0
        Weight lambda of the views' similarity to their mean; above 0. The paper's is 200; the rate
        that it balances grows with `projection_dim`.
    epsilon : float, default=0.2
        Squared distortion of the coding rate; above 0.
    hidden_dim : int, default=256
        Hidden units of the projector, Linear-BatchNorm-ReLU-Linear; at least 1.
    projection_dim : int, default=64
        Output of the projector; at least 1. Below the batch size, or the rate can't fill it.

    Notes
    -----
    The loss is ``invariance * (1 - cosine) - rate``: the paper's objective with its sign turned and a
    constant added, so that views at their mean cost nothing. The rate belongs to a batch: what
    stands for the loss of a sample is its own ``1 - cosine``, without the weight.

    The paper's views are crops of a fixed size, and its representation is the mean over those of an
    image. Here a view is one draw of the augmentation, and the representation is the encoder's of
    the whole sample.

    References
    ----------
    Tong, Chen, Ma and LeCun, EMP-SSL: Towards self-supervised learning in one training epoch, 2023
    (arXiv:2304.03977), equations 1 to 3.
    """

    def __init__(self, n_views=8, invariance=25.0, epsilon=0.2, hidden_dim=256,
                 projection_dim=64):  # fmt: skip
        self.n_views = n_views
        self.invariance = invariance
        self.epsilon = epsilon
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim

    def build(self, encoder, out_dim):
        check_in_range("n_views", self.n_views, numbers.Integral, 2)
        for name in ("invariance", "epsilon"):
            check_in_range(name, getattr(self, name), numbers.Real, 0, open_low=True)
        for name in ("hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        projector = perceptron(out_dim, self.hidden_dim, self.projection_dim)
        return _EMPSSL(encoder, projector, self.invariance, self.epsilon)


class _EMPSSL(nn.Module):
    def __init__(self, encoder, projector, invariance, epsilon):
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.invariance, self.epsilon = invariance, epsilon

    def forward(self, views, draws, progress):  # views: (V, b, ...)
        h = self.encoder(views.flatten(0, 1))  # (V b, d), all views in one batch
        z = F.normalize(self.projector(h), dim=1).unflatten(0, views.shape[:2])
        rate = total_coding_rate(z, self.epsilon).mean()
        per_row = mean_view_distance(z)
        return self.invariance * per_row.mean() - rate, per_row, h.unflatten(0, views.shape[:2])


@full_precision
def total_coding_rate(z, epsilon):
    """Bits, in nats, that code a batch up to a distortion (equation 1 of the paper).

    ``logdet(I + d / (b epsilon) z' z) / 2`` of each view, from a Cholesky factor.

    Parameters
    ----------
    z : tensor of shape (V, b, d)
        Unit rows.
    epsilon : float
        Squared distortion, above 0.

    Returns
    -------
    tensor of shape (V,)
        From 0 to d log(1 + 1 / epsilon) / 2, which d orthogonal directions of equal mass reach.
    """
    b, d = z.shape[1:]
    gram = torch.eye(d, dtype=z.dtype, device=z.device) + d / (b * epsilon) * z.mT @ z
    # positive definite by construction: the factor needs no check, which would wait for a GPU
    return torch.linalg.cholesky_ex(gram).L.diagonal(dim1=1, dim2=2).log().sum(1)


@full_precision
def mean_view_distance(z):
    """One minus the cosine of a view and the mean of the sample's views.

    Parameters
    ----------
    z : tensor of shape (V, b, d)
        Unit rows.

    Returns
    -------
    tensor of shape (b,)
        Mean over the views, in [0, 2].
    """
    return 1 - F.cosine_similarity(z, z.mean(0, keepdim=True), dim=2).mean(0)
