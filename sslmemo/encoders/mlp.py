"""A small multilayer perceptron: the encoder of tables and small grey images."""

from __future__ import annotations

import math

from torch import nn

__all__ = ["mlp"]


def mlp(shape, width=512, out_dim=64):
    """d-512-512-64 with BatchNorm after each hidden layer.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, flattened.
    width : int, default=512
        Units of each hidden layer.
    out_dim : int, default=64
        Length of the representation.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, out_dim),
    )
