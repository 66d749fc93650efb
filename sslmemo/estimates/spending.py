"""Levels for looks at growing data, so that all looks together err as often as one would."""

from __future__ import annotations

import functools

import numpy as np
from scipy import optimize, stats

__all__ = ["nominal_levels", "sequential_holm"]

N_GRID = 200
TAIL = 10.0  # standard deviations beyond which a Brownian path is not followed


def sequential_holm(p, fractions, alpha):
    """Which null hypotheses are rejected at some look, the error of all shared by Holm.

    Parameters
    ----------
    p : ndarray of float, shape (n_looks, n_rows)
        P value of each row at each look so far; NaN rejects nothing.
    fractions : tuple of float
        Share of all blocks at each of these looks, ascending, in (0, 1].
    alpha : float
        Probability of any false rejection at any look.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
    """
    rejected = np.zeros(p.shape[1], bool)
    for k, now in enumerate(p):
        while not rejected.all():
            level = nominal_levels(alpha / int((~rejected).sum()), fractions)[k]
            new = ~rejected & (now <= level)
            if not new.any():
                break
            rejected |= new
    return rejected


@functools.lru_cache(maxsize=1000)
def nominal_levels(alpha, fractions):
    """One-sided level of every look, so that all looks together err with probability alpha.

    The part of alpha spent by a share t of the blocks is 2 - 2 Phi(z_{alpha/2} / sqrt(t)) (Lan and
    DeMets 1983, O'Brien-Fleming type). The statistic at share t is Brownian motion over sqrt(t);
    its density before a look, on paths that crossed no boundary, is carried on by quadrature
    (Armitage, McPherson and Rowe, Repeated significance tests on accumulating data, JRSS A 1969).

    Parameters
    ----------
    alpha : float
        In (0, 1).
    fractions : tuple of float
        Ascending, in (0, 1].

    Returns
    -------
    tuple of float
    """
    t = np.asarray(fractions, dtype=float)
    spent = 2 * stats.norm.sf(stats.norm.isf(alpha / 2) / np.sqrt(t))
    node, weight = np.polynomial.legendre.leggauss(N_GRID)
    at, mass, levels = np.zeros(1), np.ones(1), []  # where the motion is, without a crossing
    for now, step, spend in zip(t, np.diff(t, prepend=0.0), np.diff(spent, prepend=0.0)):
        sd, end = np.sqrt(step), TAIL * np.sqrt(now)
        if _excess(end, at, mass, sd, spend) > 0:
            bound, level = end, spend  # too little to follow; at this level no more can be spent
        else:
            bound = optimize.brentq(_excess, -end, end, (at, mass, sd, spend), xtol=1e-13)
            level = stats.norm.sf(bound / np.sqrt(now))
        levels.append(float(level))
        grid = -end + (bound + end) * (node + 1) / 2
        density = stats.norm.pdf((grid[:, None] - at) / sd) @ mass / sd
        at, mass = grid, density * weight * (bound + end) / 2
    return tuple(levels)


def _excess(bound, at, mass, sd, spend):
    """Probability that the next step from `at` ends above the bound, less what may be spent."""
    return float(mass @ stats.norm.sf((bound - at) / sd)) - spend
