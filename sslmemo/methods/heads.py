"""Small networks that several methods put behind an encoder, for training only."""

from __future__ import annotations

from torch import nn

__all__ = ["expander", "perceptron"]


def perceptron(in_dim, hidden_dim, out_dim):
    """One hidden layer with BatchNorm and ReLU: projectors and predictors.

    Parameters
    ----------
    in_dim, hidden_dim, out_dim : int
        Length of an input, units of the hidden layer, length of an output.

    Returns
    -------
    torch.nn.Sequential
        (b, in_dim) -> (b, out_dim).
    """
    return nn.Sequential(
        nn.Linear(in_dim, hidden_dim, bias=False),  # BatchNorm would cancel a bias
        nn.BatchNorm1d(hidden_dim),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_dim, out_dim),
    )


def expander(in_dim, hidden_dim, out_dim):
    """Projector of Barlow Twins and VICReg: two hidden layers with BatchNorm and ReLU, one linear.

    Parameters
    ----------
    in_dim, hidden_dim, out_dim : int
        Length of a representation, units of a hidden layer, length of a projection.

    Returns
    -------
    torch.nn.Sequential
        (b, in_dim) -> (b, out_dim).
    """
    return nn.Sequential(
        nn.Linear(in_dim, hidden_dim, bias=False),
        nn.BatchNorm1d(hidden_dim),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_dim, hidden_dim, bias=False),
        nn.BatchNorm1d(hidden_dim),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_dim, out_dim, bias=False),
    )
