"""Noisy clipped training: the gradient of a batch is clipped, and Gaussian noise is added to it."""

from __future__ import annotations

import numbers

import torch
from sklearn.base import BaseEstimator, clone

from .._compat import check_in_range, shown
from ..randomness import derive_seed
from .private import PrivateTraining

__all__ = ["GradientNoise", "check_gradient_noise"]


class GradientNoise(BaseEstimator):
    """Clip the gradient of every batch and add Gaussian noise to it, without a privacy guarantee.

    At each step the gradient g of the batch's loss, all parameters of an encoder and its heads
    together, becomes

        g / max(1, |g| / clip) + N(0, (multiplier * clip / batch_size)^2 I),

    which is what the optimizer then sees.

    Parameters
    ----------
    clip : float, default=1.0
        Largest L2 norm of the gradient; above 0.
    multiplier : float, default=1.0
        The noise's standard deviation, in units of ``clip / batch_size``; at least 0. 0 only clips.

    Notes
    -----
    The noise is that of DP-SGD (algorithm 1 of the paper), but the guarantee is not, and no epsilon
    can be stated. DP-SGD clips the gradient of each row before it averages, which bounds what one
    row can do. Here the gradient of the whole batch is clipped: contrastive losses such as
    NT-Xent couple the rows of a batch, as BatchNorm does, so that there is no gradient of one row to
    clip, and taking one row away may change the clipped gradient by up to ``2 * clip``, not by
    ``clip / batch_size``. Whether an encoder trained so memorizes less is to be measured.

    AdamW divides by the size of recent gradients. So where most gradients are longer than `clip`, its
    value hardly matters, and `multiplier` alone says how noisy the training is: the noise is about
    ``multiplier * sqrt(number of parameters) / batch_size`` times as long as the clipped gradient.

    The draws depend on the encoder's seed and the step alone. Encoders of one block share them, as
    they share their initial weights.

    References
    ----------
    Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang, Deep learning with differential
    privacy, CCS 2016 (arXiv:1607.00133).

    Examples
    --------
    >>> from sslmemo import MemorizationEstimator
    >>> from sslmemo.training.noise import GradientNoise
    >>> est = MemorizationEstimator(gradient_noise=GradientNoise(clip=1.0, multiplier=2.0))
    """

    def __init__(self, clip=1.0, multiplier=1.0):
        self.clip = clip
        self.multiplier = multiplier

    def check(self):
        """Refuse bad parameters.

        Raises
        ------
        TypeError, ValueError
            `clip` is no finite number above 0, or `multiplier` none of at least 0.
        """
        clip, multiplier = "clip of gradient_noise", "multiplier of gradient_noise"
        check_in_range(clip, self.clip, numbers.Real, 0, open_low=True, finite=True)
        check_in_range(multiplier, self.multiplier, numbers.Real, 0, finite=True)

    @torch.no_grad()
    def perturb_(self, gradients, seeds, step, batch_size):
        """Clip the gradients of k encoders, each by its own norm, and add the noise, in place.

        Parameters
        ----------
        gradients : list of tensor, each of shape (k, ...)
            One a parameter, always in the same order.
        seeds : sequence of int, length k
            Of the encoders.
        step : int
            Number of the step, from 0.
        batch_size : int
            Rows in the batch; at least 1.

        Returns
        -------
        tensor of shape (k,)
            The L2 norms before clipping. NaN or infinite where a gradient was not finite or too
            large for its dtype, which clipping would hide: report it as a divergence.
        """
        k = len(seeds)
        norm = torch.stack([torch.linalg.vector_norm(g.reshape(k, -1), dim=1) for g in gradients])
        norm = torch.linalg.vector_norm(norm, dim=0)  # (k,)
        excess = (norm / float(self.clip)).clamp(min=1)
        for g in gradients:
            g.div_(excess.view(k, *[1] * (g.ndim - 1)))
        std = float(self.multiplier) * float(self.clip) / batch_size
        if std == 0:
            return norm
        sizes = [g.numel() // k for g in gradients]
        noise = torch.empty(k, sum(sizes), dtype=torch.float32, device=norm.device)
        for one, seed in zip(noise, seeds, strict=True):
            rng = torch.Generator(norm.device)
            rng.manual_seed(derive_seed(seed, "gradient noise", step) % 2**63)
            one.normal_(0, std, generator=rng)
        for g, part in zip(gradients, noise.split(sizes, dim=1), strict=True):
            g.add_(part.reshape(g.shape))
        return norm


def check_gradient_noise(gradient_noise):
    """Return a copy of a `GradientNoise` or `PrivateTraining` with its parameters checked; None for None.

    Raises
    ------
    TypeError, ValueError
        It is none of these, or a parameter is wrong.
    ImportError
        It is a `PrivateTraining`, and Opacus is not installed.
    """
    if gradient_noise is None:
        return None
    if not isinstance(gradient_noise, (GradientNoise, PrivateTraining)):
        raise TypeError(
            "gradient_noise must be None or a sslmemo.training.noise.GradientNoise, such as "
            "GradientNoise(clip=1.0, multiplier=1.0), or a sslmemo.training.private.PrivateTraining, "
            f"got {shown(gradient_noise)}."
        )
    gradient_noise.check()
    given = gradient_noise.get_params()
    floats = {k: float(given[k]) for k in ("clip", "multiplier", "delta") if k in given}
    return clone(gradient_noise).set_params(**floats)
