"""A small multilayer perceptron: the encoder of tables and small grey images."""

from __future__ import annotations

import math

from torch import nn

from .._compat import named

__all__ = ["mlp"]

NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": None}


def mlp(shape, width=512, out_dim=64, norm="batch"):
    """d-512-512-64 with a normalisation after each hidden layer.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, flattened.
    width : int, default=512
        Units of each hidden layer.
    out_dim : int, default=64
        Length of the representation.
    norm : {"batch", "layer", "none"}, default="batch"
        BatchNorm, LayerNorm, or nothing between a hidden layer and its ReLU. Without one the layers
        have biases.
    """
    kind = named(norm, NORMS, "norm")
    layers, before = [nn.Flatten()], math.prod(shape)
    for _ in range(2):
        layers.append(nn.Linear(before, width, bias=kind is None))
        layers += [] if kind is None else [kind(width)]
        layers.append(nn.ReLU(inplace=True))
        before = width
    return nn.Sequential(*layers, nn.Linear(width, out_dim))
