"""Slow copies of a network that follow it by a running mean: MoCo's keys, BYOL's target, DINO's teacher."""

from __future__ import annotations

import copy
import math

from torch import nn

__all__ = ["follow", "momentum_at", "slow_copy"]


def slow_copy(encoder, projector):
    """Copy of encoder and projector that the optimizer leaves alone, for `follow` to move.

    Parameters
    ----------
    encoder, projector : torch.nn.Module
        The networks that are trained; left as they are.

    Returns
    -------
    torch.nn.Sequential
        Both in a row, named "encoder" and "projector", without gradients. The module that owns it
        calls it `slow`.
    """
    slow = nn.Sequential()
    slow.add_module("encoder", encoder)
    slow.add_module("projector", projector)
    return copy.deepcopy(slow).requires_grad_(False)


def follow(parameters, momentum):
    """Move every parameter "slow.x" toward "x", in place: slow <- momentum slow + (1 - momentum) x.

    Parameters
    ----------
    parameters : dict of str to tensor
        By name, of one module or of a stack.
    momentum : float
        In [0, 1].
    """
    for name, slow in parameters.items():
        if name.startswith("slow."):
            slow.lerp_(parameters[name.removeprefix("slow.")], 1 - momentum)


def momentum_at(progress, tau_base):
    """Momentum of the target: from `tau_base` to 1 along a cosine (section 3.3 of the BYOL paper).

    Parameters
    ----------
    progress : float
        Share of the training done, in [0, 1].
    tau_base : float
        Momentum of the first step, in [0, 1].

    Returns
    -------
    float
        Between `tau_base` and 1.
    """
    return 1 - (1 - tau_base) * (math.cos(math.pi * progress) + 1) / 2
