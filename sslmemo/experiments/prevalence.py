"""How much is memorized: the mean score, and the distribution of the true scores without the noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats

from ..estimates.blocks import check_level, mean_or_nan
from ..result import MemorizationResult
from ..table import ScoreTable
from .contrasts import student
from .naming import named_results

__all__ = ["prevalence", "share_above", "true_distribution"]


def prevalence(results, thresholds=(), level=0.95):
    """Tell how much each fit memorizes.

    Parameters
    ----------
    results : dict of str to MemorizationResult, or sequence of MemorizationResult
        Fits, of the same rows or of others.
    thresholds : sequence of float, default=()
        Scores above which the share of rows is told, in the unit of the scores.
    level : float, default=0.95
        Confidence of the intervals, in (0, 1).

    Returns
    -------
    ScoreTable
        One row a fit, with the columns fit; n_samples; train_size; reliability; mean, mean_low,
        mean_high, the mean score, which is mean held-out minus mean training alignment, with
        Student's interval over blocks; raw_spread and true_spread, standard deviations of the scores
        and of the true scores; median, q90 and q99, quantiles of the distribution of the true
        scores (`true_distribution`); and for each threshold t above_t with its ends, the share of true
        scores above t, beside raw_above_t, that of the noisy ones.

    Raises
    ------
    TypeError, ValueError
        These are no results, or none; `level` lies outside (0, 1).

    Notes
    -----
    A histogram of noisy scores is wider than that of the true ones, so its tails overstate how many
    rows are strongly memorized. Intervals of shares are jackknives that leave out one block.
    """
    check_level(level)
    results = named_results(results)
    rows = [_row(name, r.unbiased, thresholds, level) for name, r in results.items()]
    return ScoreTable({name: [row[name] for row in rows] for name in rows[0]})


def _row(name, result, thresholds, level):
    blocks = result.scores.blocks
    means = np.array([float(mean_or_nan(b[:, None])[0]) for b in blocks])
    _, low, high, _ = student(means[np.isfinite(means)], level)
    half = (high - low) / 2
    theta, weight = true_distribution(result)
    quantiles = np.interp([0.5, 0.9, 0.99], np.cumsum(weight), theta)
    mean = result.mean_score
    row = {
        "fit": name,
        "n_samples": len(result),
        "train_size": result.train_size,
        "reliability": result.reliability,
        "mean": mean,
        "mean_low": mean - half,
        "mean_high": mean + half,
        "raw_spread": float(np.nanstd(result.score, ddof=1)),
        "true_spread": result.true_spread,
        **dict(zip(("median", "q90", "q99"), quantiles, strict=True)),
    }
    for t in thresholds:
        share, low, high = share_above(result, t, level)
        row[f"raw_above_{t:g}"] = float((result.score[np.isfinite(result.score)] > t).mean())
        row.update({f"above_{t:g}": share, f"above_{t:g}_low": low, f"above_{t:g}_high": high})
    return row


def true_distribution(result):
    """Distribution of the true scores, deconvolved from the rows' noise.

    Parameters
    ----------
    result : MemorizationResult
        Of at least two blocks.

    Returns
    -------
    theta, weight : ndarray of shape (n_grid,)
        True scores, ascending, and their probabilities: the prior that `result.posterior` fits to
        all rows by smoothed EM, see `sslmemo.estimates.prior`. NaN with one block.
    """
    prior = result.unbiased.posterior.prior
    if prior is None:
        return np.array([np.nan]), np.array([np.nan])
    return prior.theta, prior.weight


def share_above(result, threshold, level=0.95):
    """Share of rows whose true score exceeds a threshold, with a jackknife interval over blocks.

    Parameters
    ----------
    result : MemorizationResult
        Of at least three blocks for the interval.
    threshold : float
        In the unit of the scores.
    level : float, default=0.95
        In (0, 1).

    Returns
    -------
    share, low, high : float
        Ends are clipped to [0, 1]; NaN with too few blocks.
    """
    check_level(level)
    share, seeds = _above(result, threshold), result.run.plan.blocks
    if len(seeds) < 4:  # each part needs two blocks, and the jackknife some parts
        return share, np.nan, np.nan
    parts = np.array([_above(_without(result, block), threshold) for block in seeds])
    spread = np.sqrt((len(parts) - 1) / len(parts) * np.sum((parts - parts.mean()) ** 2))
    half = stats.t.ppf((1 + level) / 2, len(parts) - 1) * spread
    return share, max(share - half, 0.0), min(share + half, 1.0)


def _above(result, threshold):
    theta, weight = true_distribution(result)
    return float(weight[theta > threshold].sum()) if np.isfinite(theta).all() else np.nan


def _without(result, block):
    """The result without one block, estimated again."""
    run = result.run
    keep, blocks = run.plan.block != block, run.plan.blocks
    plan = run.plan.take(blocks[blocks != block])
    return MemorizationResult(
        replace(
            run, plan=plan, values={k: v[keep] for k, v in run.values.items()},
            seconds=run.seconds[blocks != block], models=None,
        ),
        result.estimate,
    )  # fmt: skip
