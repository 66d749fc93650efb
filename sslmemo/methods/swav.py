"""SwAV: one view's cluster, balanced over the batch, is predicted from the sample's other views."""

from __future__ import annotations

import numbers

import torch
from torch import nn

from .._compat import check_in_range
from .base import full_precision
from .heads import perceptron
from .prototypes import LocalViews, Prototypes, swapped_entropy, with_local_views

__all__ = ["SwAV", "sinkhorn"]


class SwAV(LocalViews):
    """One view's cluster, balanced over the batch, is predicted from the sample's other views.

    Parameters
    ----------
    temperature : float, default=0.1
        Of the softmax over cosines with the prototypes; above 0.
    epsilon : float, default=0.03
        Smoothness of the balanced assignment; above 0. Larger is softer; the paper's is 0.05.
    n_iterations : int, default=3
        Rounds of the Sinkhorn algorithm; at least 1.
    n_prototypes : int, default=100
        Clusters; at least 1. Of the order of the batch: there is no queue of older projections, so
        each view's batch is spread evenly over them.
    hidden_dim : int, default=256
        Hidden units of the projector, Linear-BatchNorm-ReLU-Linear; at least 1.
    projection_dim : int, default=64
        Output of the projector; at least 1.
    n_local : int, default=0
        Further views, cut down to small boxes: they predict the clusters of the two global views
        and have none of their own. Images only.
    local_scale : tuple of float, default=(0.2, 0.5)
        Smallest and largest share of a view's area in a box, in (0, 1].
    freeze_prototypes : float, default=0.02
        Share of the training in which the prototypes stay as drawn, in [0, 1].

    Notes
    -----
    The loss of a sample is the mean cross entropy over its own pairs of target and predicting view;
    other samples bear on it through the balance of the targets alone.

    References
    ----------
    Caron, Misra, Mairal, Goyal, Bojanowski and Joulin, Unsupervised learning of visual features by
    contrasting cluster assignments, NeurIPS 2020 (arXiv:2006.09882).
    """

    def __init__(self, temperature=0.1, epsilon=0.03, n_iterations=3, n_prototypes=100,
                 hidden_dim=256, projection_dim=64, n_local=0, local_scale=(0.2, 0.5),
                 freeze_prototypes=0.02):  # fmt: skip
        self.temperature = temperature
        self.epsilon = epsilon
        self.n_iterations = n_iterations
        self.n_prototypes = n_prototypes
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim
        self.n_local = n_local
        self.local_scale = local_scale
        self.freeze_prototypes = freeze_prototypes

    def build(self, encoder, out_dim):
        for name in ("temperature", "epsilon"):
            check_in_range(name, getattr(self, name), numbers.Real, 0, open_low=True)
        for name in ("n_iterations", "n_prototypes", "hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        check_in_range("freeze_prototypes", self.freeze_prototypes, numbers.Real, 0, 1)
        self.check_local()
        projector = perceptron(out_dim, self.hidden_dim, self.projection_dim)
        prototypes = Prototypes(self.n_prototypes, self.projection_dim)
        return _SwAV(encoder, projector, prototypes, self.get_params())


class _SwAV(nn.Module):
    def __init__(self, encoder, projector, prototypes, options):
        super().__init__()
        self.encoder, self.projector, self.prototypes = encoder, projector, prototypes
        self.temperature, self.frozen_until = options["temperature"], options["freeze_prototypes"]
        self.epsilon, self.n_iterations = options["epsilon"], options["n_iterations"]

    def forward(self, views, draws, progress):  # views: (V, b, ...), two global ones first
        h = self.encoder(with_local_views(views, draws).flatten(0, 1))  # (V b, d), in one batch
        scores = self.prototypes(self.projector(h), frozen=progress < self.frozen_until)
        scores = scores.unflatten(0, views.shape[:2])  # (V, b, K)
        codes = torch.stack([sinkhorn(s, self.epsilon, self.n_iterations) for s in scores[:2]])
        per_row = swapped_entropy(codes, scores / self.temperature)
        return per_row.mean(), per_row, h.unflatten(0, views.shape[:2])


@full_precision
def sinkhorn(scores, epsilon, n_iterations):
    """Assign a batch softly to clusters of equal mass (equations 3 to 5 of the paper).

    The assignment maximises the mean score plus `epsilon` times the entropy, among those that give
    every cluster the same share of the batch. Computed on logarithms.

    Parameters
    ----------
    scores : tensor of shape (b, K)
        Of samples and prototypes; no gradient reaches them.
    epsilon : float
        Above 0.
    n_iterations : int
        Rounds, each balancing clusters first and samples last.

    Returns
    -------
    tensor of shape (b, K)
        Each row sums to 1; each column to b / K as rounds go to infinity.
    """
    log_q = scores.detach() / epsilon
    for _ in range(n_iterations):
        log_q = log_q - log_q.logsumexp(0, keepdim=True)  # clusters have equal shares
        log_q = log_q - log_q.logsumexp(1, keepdim=True)  # a sample's is 1
    return log_q.exp()
