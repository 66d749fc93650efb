"""A prior for departures from a prediction: most are small, a few may be large, and none has a sign.

Student's t around zero, whose variance comes from moments: the mean of squared departures less that of
squared standard errors. Where the noise is larger than the departures, the free distribution of `prior`
takes noise for departures, and a maximum of the likelihood often says that there are none at all and
makes intervals far too short; the moments do neither.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from .prior import ScorePrior

__all__ = ["departure_variance", "fit_unimodal_prior"]

GRID = 401
DF = 3.5  # of the tails: a row that departs by many standard errors is believed
REACH = 1.2  # of the grid, in the largest departure


def fit_unimodal_prior(score, variance, df):
    """Fit the prior to departures of all rows.

    Parameters
    ----------
    score, variance, df : ndarray of float, shape (n_samples,)
        Departures, their squared standard errors (above zero) and degrees of freedom.

    Returns
    -------
    ScorePrior
        Symmetric around zero, without knowledge of the variances.
    """
    spread = np.sqrt(departure_variance(score, variance))
    error = np.median(np.sqrt(variance))
    # close steps near zero, wide ones far out
    near, far = min(spread, error) / 10, REACH * max(np.abs(score).max(), 8 * error, 8 * spread)
    half = np.arcsinh(far / near)
    u_edges = np.linspace(-half, half, GRID + 1)
    edges, theta = near * np.sinh(u_edges), near * np.sinh((u_edges[1:] + u_edges[:-1]) / 2)
    scale = spread * np.sqrt((DF - 2) / DF)
    weight = stats.t.pdf(theta / scale, DF) * np.diff(edges)
    return ScorePrior(edges, theta, weight / weight.sum(), np.ones(GRID), 0.0)


def departure_variance(score, variance):
    """Variance of the true departures, without noise.

    The moment estimate has an error of its own, often as large as itself, and can come out below
    zero. What is returned is its mean given that error and that a variance is positive, which is
    never zero: no plug-in of zero makes intervals too short.

    Parameters
    ----------
    score, variance : ndarray of float, shape (n_samples,)
        Departures and their unbiased squared standard errors.

    Returns
    -------
    float
        Above zero.
    """
    excess = score**2 - variance
    estimate, error = excess.mean(), excess.std(ddof=1) / np.sqrt(len(excess))
    error = max(error, 1e-12 * max(np.mean(score**2), np.finfo(float).tiny))
    z = estimate / error
    # mean of a normal distribution cut off at zero; its tail ratio by logarithms, for z far below
    tail = np.exp(stats.norm.logpdf(z) - stats.norm.logcdf(z))
    return float(max(error * (z + tail), 1e-6 * error))
