"""DINO: a view predicts a slow teacher's sharpened, centred distribution for the other views."""

from __future__ import annotations

import copy
import numbers

import torch
from torch import nn

from .._compat import check_in_range
from .base import full_precision
from .momentum import follow, momentum_at, slow_copy
from .prototypes import LocalViews, Prototypes, swapped_entropy, with_local_views

__all__ = ["DINO", "moved_centre", "teacher_temperature_at"]


class DINO(LocalViews):
    """A view predicts a slow teacher's sharpened, centred distribution for the other views.

    Parameters
    ----------
    temperature : float, default=0.1
        Of the student's softmax; above 0.
    teacher_temperature : float, default=0.07
        Of the teacher's softmax after the warm-up; above 0, and below `temperature` to sharpen.
    warmup_temperature : float, default=0.04
        Of the teacher's softmax at the first step; above 0.
    warmup : float, default=0.3
        Share of the training over which the teacher's temperature moves linearly, in [0, 1].
    momentum : float, default=0.996
        Share of itself that the teacher keeps at the first step, in [0, 1]; it rises to 1 along a
        cosine.
    center_momentum : float, default=0.9
        Share of itself that the centre keeps at a step, in [0, 1].
    n_prototypes : int, default=256
        Length K of the distributions; at least 2. The paper's is 65,536.
    hidden_dim : int, default=256
        Hidden units of the projector, three linear layers with GELU; at least 1.
    projection_dim : int, default=64
        Output of the projector, the bottleneck before the prototypes; at least 1.
    n_local : int, default=0
        Further views, cut down to small boxes and shown to the student alone. Images only.
    local_scale : tuple of float, default=(0.2, 0.5)
        Smallest and largest share of a view's area in a box, in (0, 1].
    freeze_prototypes : float, default=0.02
        Share of the training in which the student's prototypes stay as drawn, in [0, 1].

    Notes
    -----
    The loss of a sample is the mean cross entropy over its own pairs of a teacher's and another
    student's view; other samples bear on it through the centre alone. The encoder is the student;
    the paper evaluates the teacher.

    References
    ----------
    Caron, Touvron, Misra, Jegou, Mairal, Bojanowski and Joulin, Emerging properties in
    self-supervised vision transformers, ICCV 2021 (arXiv:2104.14294), algorithm 1.
    """

    def __init__(self, temperature=0.1, teacher_temperature=0.07, warmup_temperature=0.04,
                 warmup=0.3, momentum=0.996, center_momentum=0.9, n_prototypes=256, hidden_dim=256,
                 projection_dim=64, n_local=0, local_scale=(0.2, 0.5),
                 freeze_prototypes=0.02):  # fmt: skip
        self.temperature = temperature
        self.teacher_temperature = teacher_temperature
        self.warmup_temperature = warmup_temperature
        self.warmup = warmup
        self.momentum = momentum
        self.center_momentum = center_momentum
        self.n_prototypes = n_prototypes
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim
        self.n_local = n_local
        self.local_scale = local_scale
        self.freeze_prototypes = freeze_prototypes

    def build(self, encoder, out_dim):
        for name in ("temperature", "teacher_temperature", "warmup_temperature"):
            check_in_range(name, getattr(self, name), numbers.Real, 0, open_low=True)
        for name in ("warmup", "momentum", "center_momentum", "freeze_prototypes"):
            check_in_range(name, getattr(self, name), numbers.Real, 0, 1)
        check_in_range("n_prototypes", self.n_prototypes, numbers.Integral, 2)
        for name in ("hidden_dim", "projection_dim"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        self.check_local()
        projector = nn.Sequential(
            nn.Linear(out_dim, self.hidden_dim),
            nn.GELU(),
            nn.Linear(self.hidden_dim, self.hidden_dim),
            nn.GELU(),
            nn.Linear(self.hidden_dim, self.projection_dim),
        )
        prototypes = Prototypes(self.n_prototypes, self.projection_dim)
        return _DINO(encoder, projector, prototypes, self.get_params())

    def after_step(self, parameters, buffers, progress):
        follow(parameters, momentum_at(progress, self.momentum))


class _DINO(nn.Module):
    def __init__(self, encoder, projector, prototypes, options):
        super().__init__()
        self.encoder, self.projector, self.prototypes = encoder, projector, prototypes
        self.slow = slow_copy(encoder, projector)
        self.slow.add_module("prototypes", copy.deepcopy(prototypes).requires_grad_(False))
        self.register_buffer("center", torch.zeros(options["n_prototypes"]))
        self.options = options

    def forward(self, views, draws, progress):  # views: (V, b, ...), two global ones first
        views, options = with_local_views(views, draws), self.options
        h = self.encoder(views.flatten(0, 1))  # (V b, d), in one batch
        frozen = progress < options["freeze_prototypes"]
        student = self.prototypes(self.projector(h), frozen).unflatten(0, views.shape[:2])
        with torch.no_grad():
            teacher = self.slow(views[:2].flatten(0, 1)).unflatten(0, (2, -1))  # (2, b, K)
            targets = ((teacher - self.center) / self._teacher_temperature(progress)).softmax(2)
            self.center.copy_(moved_centre(self.center, teacher, options["center_momentum"]))
        per_row = swapped_entropy(targets, student / options["temperature"])
        return per_row.mean(), per_row, h.unflatten(0, views.shape[:2])

    def _teacher_temperature(self, progress):
        first, last = self.options["warmup_temperature"], self.options["teacher_temperature"]
        return teacher_temperature_at(progress, first, last, self.options["warmup"])


def teacher_temperature_at(progress, first, last, warmup):
    """Temperature of the teacher: linear from `first` to `last` over the warm-up, then `last`.

    Parameters
    ----------
    progress : float
        Share of the training done, in [0, 1].
    first, last : float
        Temperatures.
    warmup : float
        Share of the training that the change takes, in [0, 1].

    Returns
    -------
    float
    """
    return last if progress >= warmup else first + (last - first) * progress / warmup


@full_precision
def moved_centre(center, teacher, momentum):
    """Centre after a step: its running mean with the teacher's mean output (equation 4).

    Parameters
    ----------
    center : tensor of shape (K,)
        Before.
    teacher : tensor of shape (T, b, K)
        The teacher's outputs.
    momentum : float
        In [0, 1].

    Returns
    -------
    tensor of shape (K,)
    """
    return momentum * center + (1 - momentum) * teacher.mean((0, 1))
