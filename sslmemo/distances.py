"""Distances between two embeddings of the same sample.

Convention: (z1, z2), each (m, d), to (m,), lower = closer. All but `mse` bring the embeddings to
unit length first; a user's callable gets them as they are. Euclidean distances are taken from the
difference, not from 1 - cosine, which loses digits in float32.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from ._compat import named, shown

__all__ = ["DISTANCES", "check_distance", "get_distance"]


def _unit(z):
    return F.normalize(z, dim=1, eps=1e-12)


def _chord(z1, z2):
    return (_unit(z1) - _unit(z2)).norm(dim=1)


def euclidean(z1, z2):
    """Distance of the unit vectors, in [0, 2]."""
    return _chord(z1, z2)


def sqeuclidean(z1, z2):
    """Squared distance of the unit vectors, in [0, 4]: twice the cosine distance."""
    return (_unit(z1) - _unit(z2)).square().sum(1)


def cosine(z1, z2):
    """One minus the cosine similarity, in [0, 2]."""
    return sqeuclidean(z1, z2) / 2


def angular(z1, z2):
    """Angle over pi, in [0, 1]."""
    return 2 / math.pi * torch.asin((_chord(z1, z2) / 2).clamp(max=1.0))


def manhattan(z1, z2):
    """Sum of absolute differences of the unit vectors, in [0, 2 sqrt(d)]."""
    return (_unit(z1) - _unit(z2)).abs().sum(1)


def mse(z1, z2):
    """Mean squared difference of the embeddings as they are, not normalised."""
    return (z1 - z2).square().mean(1)


DISTANCES = {f.__name__: f for f in (euclidean, sqeuclidean, cosine, angular, manhattan, mse)}


def get_distance(distance):
    """Return the function of a name, or the callable itself.

    Parameters
    ----------
    distance : str or callable
        Name in `DISTANCES`, or (z1, z2) -> (b,) of embeddings (b, d) each.

    Returns
    -------
    callable
        (z1, z2) -> (b,).

    Raises
    ------
    TypeError, ValueError
        It is neither, a class, or an unknown name.
    """
    if isinstance(distance, str):
        return named(distance, DISTANCES, "distance")
    if not callable(distance) or isinstance(distance, type):
        kind = f"the class {distance.__name__}: call it" if callable(distance) else ""
        raise TypeError(
            f"distance must be one of {', '.join(DISTANCES)} or a callable (z1, z2) -> (n,), "
            f"got {kind or shown(distance)}."
        )
    return distance


def check_distance(distance, z1, z2):
    """Try a user's distance on two small batches of different embeddings.

    Raises
    ------
    ValueError
        It fails, returns another shape, NaN or gradients, or is a similarity.
    """
    apart, equal = _measured(distance, z1, z2), _measured(distance, z1, z1.clone())
    if equal.double().mean() > apart.double().mean() + 1e-6:
        raise ValueError(
            f"distance is {equal.double().mean():.3g} between equal embeddings and "
            f"{apart.double().mean():.3g} between others: it is a similarity. Lower must mean "
            "closer, as in lambda z1, z2: 1 - similarity(z1, z2)."
        )


def _measured(distance, z1, z2):
    try:
        with torch.enable_grad():
            d = distance(z1, z2)
    except Exception as error:  # whatever foreign code raises
        raise ValueError(
            f"distance failed on two embeddings of shape {tuple(z1.shape)} "
            f"({type(error).__name__}: {error}): it must map them to one number a row."
        ) from error
    if not isinstance(d, torch.Tensor) or d.shape != (len(z1),) or d.is_complex():
        got = f"{tuple(d.shape)} {d.dtype}" if isinstance(d, torch.Tensor) else type(d).__name__
        raise ValueError(
            f"distance returned {got} for embeddings of shape {tuple(z1.shape)}; it must return a "
            f"tensor with one number for each of the {len(z1)} rows."
        )
    if d.requires_grad:
        raise ValueError(
            "distance returned a tensor with gradients: it has parameters of its own. Switch them "
            "off (requires_grad_(False)), or decorate it with torch.no_grad()."
        )
    if not torch.isfinite(d).all():
        raise ValueError(
            "distance returned NaN or infinite values for finite embeddings, among them equal ones: "
            "clamp what goes into square roots and arccosines."
        )
    return d
