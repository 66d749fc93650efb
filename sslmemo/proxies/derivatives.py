"""Kinds that differentiate a row's own alignment: in its input, twice, and in the weights."""

from __future__ import annotations

from .. import measurements
from .base import CHECKPOINTS, Kind, stages

__all__ = [
    "GradientCoherence", "InputCurvature", "LossSensitivity", "Metagradient", "SelfInfluence", "Unlearning",
]  # fmt: skip


class LossSensitivity(Kind):
    """Norm of the gradient of a row's squared alignment in its views, averaged over checkpoints.

    The loss sensitivity of Arpit et al. (A closer look at memorization in deep networks, ICML 2017,
    arXiv:1706.05394), adapted to the alignment of one row and to the Euclidean norm.

    Parameters
    ----------
    at : tuple of float, default=(0.2, 0.4, 0.6, 0.8, 1.0)
        Ascending checkpoints, fractions of the training in (0, 1].
    """

    def __init__(self, at=CHECKPOINTS):
        self.at = at

    def measurements(self, reading):
        return [measurements.InputGradient(**reading.own, at=self.at)]

    def scores(self, values):
        return stages(values["input_gradient"], self.at).mean(1)


class InputCurvature(Kind):
    """Trace of the squared Hessian of a row's squared alignment in its views, over checkpoints.

    After Garg, Ravikumar and Roy (ICML 2024, arXiv:2307.05831), adapted to the alignment of one row.
    Like them, it is averaged over the training.

    Parameters
    ----------
    n_probes : int, default=8
        Random directions; at least 1.
    step : float, default=1e-3
        Of the finite difference, in the unit of the network's input; above 0.
    at : tuple of float, default=(0.2, 0.4, 0.6, 0.8, 1.0)
        Ascending checkpoints, fractions of the training in (0, 1].
    """

    def __init__(self, n_probes=8, step=1e-3, at=CHECKPOINTS):
        self.n_probes = n_probes
        self.step = step
        self.at = at

    def measurements(self, reading):
        return [
            measurements.InputCurvature(
                **reading.own, at=self.at, n_probes=self.n_probes, step=self.step
            )
        ]

    def scores(self, values):
        return stages(values["input_curvature"], self.at).mean(1)


class GradientCoherence(Kind):
    """Share of a row's gradient in the weights that the other rows' gradients do not share.

    With g_i the gradient of row i's squared alignment, 1 - <g_i, mean of the other g_j> / |g_i|^2: what a
    step on row i does for the others, over what it does for itself. The mean over rows of the numerator
    over that of the denominator is the m-coherence of Chatterjee and Zielinski (arXiv:2008.01217), the
    measure of Zielinski et al. (Weak and strong gradient directions, arXiv:2003.07422) normalised, but
    for each row's own share in the mean. Exact, no projection of the gradients.

    Parameters
    ----------
    at : tuple of float, default=(1.0,)
        Ascending checkpoints, fractions of the training in (0, 1], whose shares are averaged. Early in
        a training rows agree on where to go whatever they are.
    """

    def __init__(self, at=(1.0,)):
        self.at = at

    def measurements(self, reading):
        return [measurements.GradientShare(**reading.own, at=self.at)]

    def scores(self, values):
        return 1 - stages(values["gradient_share"], self.at).mean(1)


class SelfInfluence(Kind):
    """Squared norm of a row's gradient in the weights, averaged over checkpoints.

    TracIn's self-influence (Pruthi et al., NeurIPS 2020, arXiv:2002.08484), adapted to the squared
    alignment of one row. Checkpoints weigh the same: AdamW's steps are not the learning rate times a
    gradient.

    Parameters
    ----------
    at : tuple of float, default=(0.2, 0.4, 0.6, 0.8, 1.0)
        Ascending checkpoints, fractions of the training in (0, 1].
    """

    def __init__(self, at=CHECKPOINTS):
        self.at = at

    def measurements(self, reading):
        return [measurements.SelfInfluence(**reading.own, at=self.at)]

    def scores(self, values):
        return stages(values["self_influence"], self.at).mean(1)


class Unlearning(Kind):
    """Rise of a row's squared alignment when a tenth of the rows, with it, is unlearnt by ascent.

    Minus its rise when other tenths are. Unlearning by gradient ascent is that of many papers; dealing
    the rows into groups, and the contrast of a row's own group with the others, are ours.

    Parameters
    ----------
    n_groups : int, default=10
        At least 2.
    n_steps : int, default=1
        Of ascent; at least 1.
    length : float, default=5e-4
        Of a step, as a share of the weights' norm; above 0.
    n_repeats : int, default=2
        Dealings averaged; at least 1.

    See Also
    --------
    sslmemo.measurements.Unlearning : What is read.
    """

    def __init__(self, n_groups=10, n_steps=1, length=5e-4, n_repeats=2):
        self.n_groups = n_groups
        self.n_steps = n_steps
        self.length = length
        self.n_repeats = n_repeats

    def measurements(self, reading):
        return [measurements.Unlearning(**self.get_params(), **reading.own)]

    def scores(self, values):
        return values["unlearning"]


class Metagradient(Kind):
    """Fall of a row's squared alignment per unit of its own weight in the loss, through a few further steps.

    After MAGIC (Ilyas and Engstrom, arXiv:2504.16430), which differentiates a whole training in the
    weights of its rows. Here an encoder early in its training takes a few smooth steps on all rows; that
    a row's derivative is of its own alignment, and random signs for all rows at once, are ours. A backward
    pass costs two to three times the steps that it goes through, and the default takes 16: dearer than the
    training.

    Parameters
    ----------
    n_steps : int, default=10
        Of the continuation; at least 1.
    length : float, default=0.02
        Of its first step, as a share of the weights' norm; above 0.
    n_passes : int, default=16
        Backward passes a batch; at least 1. As many as a batch has rows are exact; fewer add noise.
    batch_size : int, default=256
        Most rows that train on together; at least 2.
    at : float, default=0.1
        Fraction of the training after which the continuation starts, in (0, 1].

    See Also
    --------
    sslmemo.measurements.Metagradient : What is read.
    """

    def __init__(self, n_steps=10, length=0.02, n_passes=16, batch_size=256, at=0.1):
        self.n_steps = n_steps
        self.length = length
        self.n_passes = n_passes
        self.batch_size = batch_size
        self.at = at

    def measurements(self, reading):
        return [
            measurements.Metagradient(
                reading.trainer, **self.get_params(), n_views=reading.n_views, layer=reading.layer
            )
        ]

    def scores(self, values):
        return values["metagradient"]
