"""A natural cubic spline of few degrees of freedom, for trends of the noise."""

from __future__ import annotations

import numpy as np

__all__ = ["compress", "natural_spline", "scale_of"]

KNOTS = (0.05, 0.35, 0.65, 0.95)  # Harrell's quantiles for four knots


def scale_of(x):
    """Median of x and its mean absolute deviation from it (1 where x is constant)."""
    middle = np.median(x)
    return middle, np.mean(np.abs(x - middle)) or 1.0


def compress(x, reference=None):
    """asinh of x in units of its spread: scores are skewed, and a far top row must not lever."""
    middle, spread = scale_of(x if reference is None else reference)
    return np.arcsinh((x - middle) / spread)


def natural_spline(x, reference=None):
    """Basis of a natural cubic spline, linear beyond the outer knots.

    Parameters
    ----------
    x : ndarray of float, shape (n,)
        Where to evaluate.
    reference : ndarray of float, shape (m,), default=None
        At whose quantiles (0.05, 0.35, 0.65, 0.95) the knots lie; None means x itself.

    Returns
    -------
    ndarray of float, shape (n, 4)
        1, x and two cubic terms. Fewer columns where quantiles coincide.

    References
    ----------
    Harrell, Regression Modeling Strategies, 2nd edition, section 2.4.5.
    """
    knots = np.unique(np.quantile(x if reference is None else reference, KNOTS))
    columns = [np.ones_like(x), x]
    if len(knots) > 2:
        first, last, before = knots[0], knots[-1], knots[-2]
        cube = lambda knot: np.maximum(x - knot, 0) ** 3  # noqa: E731
        for knot in knots[:-2]:
            term = cube(knot) - cube(before) * (last - knot) / (last - before)
            term += cube(last) * (before - knot) / (last - before)
            columns.append(term / (last - first) ** 2)
    return np.stack(columns, axis=1)
