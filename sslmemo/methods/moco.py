"""MoCo v2: a view finds its other view, as a slow copy of the network sees it, among a queue."""

from __future__ import annotations

import numbers

import torch
import torch.nn.functional as F
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision
from .momentum import follow, slow_copy

__all__ = ["MoCo", "enqueued", "info_nce"]


class MoCo(Method):
    """A view finds its other view, as a slow copy of the network sees it, among a queue of keys.

    Parameters
    ----------
    temperature : float, default=0.2
        Of the softmax over cosine similarities; above 0.
    momentum : float, default=0.99
        Share of itself that the key network keeps at a step, in [0, 1]. The paper's 0.999 is for
        hundreds of thousands of steps.
    queue_size : int, default=512
        Keys in the queue, at least 1. A step brings two keys a sample; where the queue reaches back
        a whole epoch, a sample meets its own old keys as negatives.
    hidden_dim : int, default=256
        Hidden units of the projector, Linear-ReLU-Linear; at least 1.
    projection_dim : int, default=64
        Output of the projector; at least 1.

    Notes
    -----
    The loss is symmetrised: either view is the query once, and the keys of both are queued. The
    loss of a sample is the mean of its two terms. BatchNorm is not shuffled: the whole batch, on
    one device, shares its statistics.

    References
    ----------
    He, Fan, Wu, Xie and Girshick, Momentum contrast for unsupervised visual representation
    learning, CVPR 2020 (arXiv:1911.05722), algorithm 1. Chen, Fan, Girshick and He, Improved
    baselines with momentum contrastive learning, 2020 (arXiv:2003.04297).
    """

    def __init__(self, temperature=0.2, momentum=0.99, queue_size=512, hidden_dim=256,
                 projection_dim=64):  # fmt: skip
        self.temperature = temperature
        self.momentum = momentum
        self.queue_size = queue_size
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim

    def build(self, encoder, out_dim):
        check_in_range("temperature", self.temperature, numbers.Real, 0, open_low=True)
        check_in_range("momentum", self.momentum, numbers.Real, 0, 1)
        for name in ("queue_size", "hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        projector = nn.Sequential(
            nn.Linear(out_dim, self.hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(self.hidden_dim, self.projection_dim),
        )
        queue = torch.randn(self.queue_size, self.projection_dim)
        return _MoCo(encoder, projector, F.normalize(queue, dim=1), self.temperature)

    def after_step(self, parameters, buffers, progress):
        follow(parameters, self.momentum)


class _MoCo(nn.Module):
    def __init__(self, encoder, projector, queue, temperature):
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.slow = slow_copy(encoder, projector)
        self.register_buffer("queue", queue)
        self.temperature = temperature

    def forward(self, views, draws, progress):  # views: (2, b, ...)
        both = views.flatten(0, 1)  # (2b, ...)
        h = self.encoder(both)
        with torch.no_grad():
            keys = self.slow(both)
        before = self.queue.clone()  # the backward pass reads it after the queue has moved on
        self.queue.copy_(enqueued(self.queue, keys))
        per_row = info_nce(self.projector(h), keys, before, self.temperature)
        return per_row.mean(), per_row, h.unflatten(0, views.shape[:2])


@full_precision
def enqueued(queue, keys):
    """The queue after new keys came in at its head and as many old ones left at its tail.

    Parameters
    ----------
    queue : tensor of shape (k, d)
        Unit rows, newest first.
    keys : tensor of shape (m, d)
        Of any length; only the first k stay where m exceeds k.

    Returns
    -------
    tensor of shape (k, d)
        Unit rows.
    """
    return torch.cat([F.normalize(keys, dim=1).to(queue.dtype), queue])[: len(queue)]


@full_precision
def info_nce(query, key, queue, temperature):
    """Cross entropy of finding the other view's key among the queue (equation 1 of the paper).

    Parameters
    ----------
    query : tensor of shape (2b, d)
        Rows i and i + b are the two views of sample i.
    key : tensor of shape (2b, d)
        The same views through the slow copy; no gradient reaches it.
    queue : tensor of shape (k, d)
        Unit rows, the negatives.
    temperature : float
        Above 0.

    Returns
    -------
    tensor of shape (b,)
        Mean of the sample's two terms.
    """
    b = len(query) // 2
    query, key = F.normalize(query, dim=1), F.normalize(key.detach(), dim=1)
    positive = (query * key.roll(b, 0)).sum(1, keepdim=True)  # (2b, 1), the other view's key
    logits = torch.cat([positive, query @ queue.T], 1) / temperature  # (2b, 1 + k)
    return (logits.logsumexp(1) - logits[:, 0]).unflatten(0, (2, b)).mean(0)
