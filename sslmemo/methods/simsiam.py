"""SimSiam: a view predicts its other view, whose gradient is stopped; nothing repels."""

from __future__ import annotations

import numbers

import torch.nn.functional as F
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision
from .heads import perceptron

__all__ = ["SimSiam", "simsiam_loss"]


class SimSiam(Method):
    """A view predicts its other view, whose gradient is stopped; nothing repels.

    Parameters
    ----------
    projection_dim : int, default=512
        Units of each of the three layers of the projector, all with BatchNorm, the last without
        ReLU; at least 1.
    prediction_dim : int, default=512
        Hidden units of the predictor, Linear-BatchNorm-ReLU-Linear; at least 1. The paper takes a
        quarter of `projection_dim`; in a few hundred steps that bottleneck learns less.

    Notes
    -----
    The loss of a sample is the mean of its two terms, in [-1, 1]. Predictor and encoder share the
    trainer's schedule; the paper keeps the predictor's learning rate constant.

    References
    ----------
    Chen and He, Exploring simple Siamese representation learning, CVPR 2021 (arXiv:2011.10566),
    equation 4 and algorithm 1.
    """

    def __init__(self, projection_dim=512, prediction_dim=512):
        self.projection_dim = projection_dim
        self.prediction_dim = prediction_dim

    def build(self, encoder, out_dim):
        for name in ("projection_dim", "prediction_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        return _SimSiam(encoder, out_dim, self.projection_dim, self.prediction_dim)


class _SimSiam(nn.Module):
    def __init__(self, encoder, out_dim, width, bottleneck):
        super().__init__()
        self.encoder = encoder
        self.projector = nn.Sequential(
            nn.Linear(out_dim, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width, affine=False),
        )
        self.predictor = perceptron(width, bottleneck, width)

    def forward(self, views, draws, progress):  # views: (2, b, ...)
        h = self.encoder(views.flatten(0, 1))  # (2b, d), both views in one batch
        z = self.projector(h)
        per_row = simsiam_loss(self.predictor(z), z)
        return per_row.mean(), per_row, h.unflatten(0, views.shape[:2])


@full_precision
def simsiam_loss(prediction, projection):
    """Minus the cosine of a view's prediction and the other view's projection, both directions.

    Parameters
    ----------
    prediction : tensor of shape (2b, d)
        Rows i and i + b are the two views of sample i.
    projection : tensor of shape (2b, d)
        Of the same views; its gradient is stopped.

    Returns
    -------
    tensor of shape (b,)
        Mean of the sample's two terms, in [-1, 1].
    """
    b = len(prediction) // 2
    cosine = F.cosine_similarity(prediction, projection.detach().roll(b, 0), dim=1)
    return -cosine.unflatten(0, (2, b)).mean(0)
