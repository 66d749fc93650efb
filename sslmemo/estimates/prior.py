"""What the whole pool says about one row: a prior of the true scores and of their noise.

The prior of the true scores is a distribution on a grid, fitted by EM to all rows at once, with a
little smoothing: the unsmoothed maximum-likelihood solution is a few atoms, and intervals cut from
atoms are too short in the top. The noise variance given the true score is scaled inverse chi-square
around a trend *in the true score*: it says which scores are noisy, and lets a noisy row testify
that its score is high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .spline import compress, natural_spline, scale_of
from .variance import MIN_ROWS, fit_prior_df, log_variance_offset

__all__ = ["ScorePrior", "fit_prior", "row_likelihood", "row_weights"]

GRID = 200
SMOOTHING = 0.1  # standard deviation of the kernel, in units of `compress`
ROUNDS, STEPS = 8, 40  # of the noise's trend, and of EM for the weights in between
FLAT_REACH = 12  # standard errors that the grid reaches beyond the rows, without a prior


@dataclass(frozen=True)
class ScorePrior:
    """Prior of the true scores and of their squared standard errors, on a grid.

    Attributes
    ----------
    edges : ndarray of float, shape (n_grid + 1,)
        Borders of the grid's cells, ascending, in the unit of the score.
    theta : ndarray of float, shape (n_grid,)
        True scores, one inside each cell.
    weight : ndarray of float, shape (n_grid,)
        Their probabilities.
    variance : ndarray of float, shape (n_grid,)
        s0^2, squared standard error that a row of that true score has a priori.
    df : float
        d0, degrees of freedom of that knowledge; 0 means none.
    """

    edges: np.ndarray
    theta: np.ndarray
    weight: np.ndarray
    variance: np.ndarray
    df: float


def fit_prior(score, variance, df):
    """Fit the prior to the pool's rows.

    Parameters
    ----------
    score, variance, df : ndarray of float, shape (n_samples,)
        Finite scores, their squared standard errors (above zero) and degrees of freedom, each
        from the row's own blocks.

    Returns
    -------
    ScorePrior
        Flat and without knowledge of the variances for fewer than 20 rows.

    References
    ----------
    Kiefer and Wolfowitz, Consistency of the maximum likelihood estimator in the presence of
    infinitely many incidental parameters, Annals of Mathematical Statistics 1956. Silverman,
    Jones, Wilson and Nychka, A smoothed EM approach to indirect estimation problems, JRSS B 1990.
    """
    if len(score) < MIN_ROWS:
        return _flat_prior(score, variance)
    middle, spread = scale_of(score)
    u_rows = compress(score)
    u_edges = np.linspace(u_rows.min() - 2 * SMOOTHING, u_rows.max() + 2 * SMOOTHING, GRID + 1)
    u = (u_edges[1:] + u_edges[:-1]) / 2
    edges, theta = middle + spread * np.sinh(u_edges), middle + spread * np.sinh(u)
    kernel = np.exp(-0.5 * ((u[:, None] - u) / SMOOTHING) ** 2)
    kernel /= kernel.sum(0)

    # Start from the trend in the observed score. Every round then weighs each row over the true
    # scores that it may have, and fits the trend to those: an EM whose missing data are the truths.
    y = np.log(variance) - log_variance_offset(df)
    basis, row_basis = natural_spline(u, u_rows), natural_spline(u_rows)
    coefficients = np.linalg.lstsq(row_basis, y, rcond=None)[0]
    scatter = np.mean((y - row_basis @ coefficients) ** 2)
    weight = np.full(GRID, 1 / GRID)
    for _ in range(ROUNDS):
        d0 = fit_prior_df(scatter, df)
        prior_variance = np.exp(basis @ coefficients + log_variance_offset(d0))
        prior = ScorePrior(edges, theta, weight, prior_variance, d0)
        likelihood = row_likelihood(prior, score, variance, df)
        for _ in range(STEPS):
            weight = kernel @ (weight * (likelihood.T @ (1 / (likelihood @ weight))))
            weight /= weight.sum()
        share = likelihood * weight
        share /= share.sum(1, keepdims=True)
        mass, y_sum = share.sum(0), y @ share
        coefficients = np.linalg.lstsq((basis.T * mass) @ basis, basis.T @ y_sum, rcond=None)[0]
        fitted = basis @ coefficients
        scatter = (y @ y - 2 * fitted @ y_sum + mass @ fitted**2) / (len(y) - basis.shape[1])
    return ScorePrior(edges, theta, weight, prior_variance, d0)


def row_weights(prior, score, variance, df):
    """Posterior probability of every cell of the grid, row by row.

    The likelihood is normal-inverse-gamma: with the variance integrated out,
    p(x, s^2 | theta) is proportional to
    (d0 s0^2)^(d0/2) / (d0 s0^2 + d s^2 + (x - theta)^2)^((d0 + d + 1)/2), s^2 and s0^2(theta)
    being squared standard errors.

    Parameters
    ----------
    prior : ScorePrior
    score, variance, df : ndarray of float, shape (n_samples,)
        As for `fit_prior`.

    Returns
    -------
    ndarray of float, shape (n_samples, n_grid)

    References
    ----------
    BaVarIA (arXiv:2603.11799) uses this likelihood for membership inference.
    """
    weights = row_likelihood(prior, score, variance, df) * prior.weight
    weights /= weights.sum(1, keepdims=True)
    return weights


def row_likelihood(prior, score, variance, df):
    """Likelihood of the cells, each row's largest set to 1: (n_samples, n_grid)."""
    score, variance, df = (a[:, None] for a in (score, variance, df))
    scale = prior.df * prior.variance
    log = -(prior.df + df + 1) / 2 * np.log(scale + df * variance + (score - prior.theta) ** 2)
    if prior.df > 0:
        log += prior.df / 2 * np.log(scale)
    log -= log.max(1, keepdims=True)
    return np.exp(log, out=log)


def _flat_prior(score, variance):
    """No knowledge: the posterior is the t distribution around the score, cut off far out."""
    reach = FLAT_REACH * np.sqrt(variance)
    edges = np.linspace((score - reach).min(), (score + reach).max(), 10 * GRID + 1)
    theta = (edges[1:] + edges[:-1]) / 2
    flat = np.full(len(theta), 1 / len(theta))
    return ScorePrior(edges, theta, flat, np.ones(len(theta)), 0.0)
