"""The noise ceiling: what a noisy truth lets even the true scores reach, and intervals that know of it."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from ..estimates import reliability, spearman_reliability
from ..estimates.blocks import mean_or_nan
from ..randomness import generator
from .agreement import RESOLVED, top_mask

__all__ = ["METRICS", "Reference", "combined_interval", "half_samples"]

METRICS = ("spearman", "pearson", "top_recall")
PAIRS = 20  # of halves of the truth, whose differences tell the part of its noise
DRAWS = 400  # of true scores, for the ceiling of the recall


class Reference:
    """The truth and its halves, ready to be compared with.

    `scores` is (1 + n_halves, n_known), `known` says which rows have a score.
    """

    def __init__(self, truth, top):
        blocks = truth.scores.blocks
        blocks = blocks[np.isfinite(blocks).any(1)]
        if len(blocks) < 2 or not truth.reliability > 0:
            raise ValueError(
                f"truth has {len(blocks)} usable blocks and a reliability of {truth.reliability:.2f}: "
                "without signal there is nothing to agree with. Train more encoders."
            )
        if truth.reliability < RESOLVED:
            warnings.warn(
                f"the truth has a reliability of {truth.reliability:.2f}, below {RESOLVED}: shares of its "
                "ceiling are mostly noise. Train more encoders.",
                stacklevel=3,
            )
        parts = [blocks, *(blocks[half] for pair in half_samples(len(blocks)) for half in pair)]
        scores = np.stack([mean_or_nan(p) for p in parts])
        self.known = np.isfinite(scores).all(0)
        self.scores = scores[:, self.known]
        self.k = max(1, round(top * int(self.known.sum())))
        self._standard = _standardised(self.scores)
        self._ranks = _standardised(_ranked(self.scores))
        self._tops = np.stack([top_mask(s, self.k) for s in self.scores])
        recall = _recall_ceiling(truth, self.known, self.k)
        self.ceilings = {
            "spearman": np.array([_root(spearman_reliability(p)) for p in parts]),
            "pearson": np.array([_root(float(reliability(p))) for p in parts]),
            "top_recall": np.full(len(parts), recall),
        }

    def agreement(self, estimates):
        """Agreement of score arrays (r, n): by metric (r, 1 + n_halves)."""
        estimates = np.asarray(estimates, float)[:, self.known]
        finite = np.isfinite(estimates)
        # a row without a score is said nothing of, so it counts as average
        estimates = np.where(finite, estimates, mean_or_nan(estimates.T)[:, None])
        tops = np.stack([top_mask(e, self.k) for e in estimates])
        return {
            "spearman": _standardised(_ranked(estimates)) @ self._ranks.T,
            "pearson": _standardised(estimates) @ self._standard.T,
            "top_recall": tops.astype(float) @ self._tops.T.astype(float) / self.k,
        }


def half_samples(n_blocks):
    """Random halves of the blocks with their complements: list of 20 pairs of ndarray; none below four.

    For a statistic that is smooth in the blocks, the squared difference of the two halves' values over
    four has the variance of the whole's. Unlike a jackknife it also serves the top-k recall, which jumps.

    References
    ----------
    McCarthy, Pseudo-replication: half samples, Review of the International Statistical Institute 1969.
    """
    if n_blocks < 4:
        return []
    rng = generator(0, "half samples")
    orders = [rng.permutation(n_blocks) for _ in range(PAIRS)]
    return [(o[: n_blocks // 2], o[n_blocks // 2 :]) for o in orders]


def combined_interval(value, parts, level):
    """Interval around a value whose variance is a sum of independent parts.

    Parameters
    ----------
    value : float
    parts : sequence of (float, float)
        Variance and degrees of freedom of each; a NaN gives NaN ends.
    level : float
        Confidence, in (0, 1).

    Returns
    -------
    low, high : float
        Student's, with Satterthwaite's degrees of freedom.
    """
    total = sum(v for v, _ in parts)
    if not np.isfinite(total):
        return np.nan, np.nan
    below = sum(v**2 / df for v, df in parts if v > 0)
    df = total**2 / below if below > 0 else np.inf
    half = np.sqrt(total) * stats.t.ppf((1 + level) / 2, df)
    return float(value - half), float(value + half)


def _recall_ceiling(truth, known, k):
    """Share of the noisy top that the top of the true scores holds, if these are like the posterior."""
    usable = known & np.isfinite(truth.posterior.mean)
    if not usable.any():
        return np.nan
    mean, spread = truth.posterior.mean[usable], truth.posterior.standard_deviation[usable]
    noise, rng = truth.standard_error[usable], generator(0, "recall ceiling")
    found = []
    for _ in range(DRAWS):
        true = mean + spread * rng.standard_normal(len(mean))
        noisy = true + noise * rng.standard_normal(len(mean))
        found.append((top_mask(true, k) & top_mask(noisy, k)).sum() / k)
    return float(np.mean(found))


def _ranked(scores):
    return stats.rankdata(scores, axis=1)


def _standardised(scores):
    """Rows of mean 0 and length 1; of length 0 where a row is constant."""
    centred = scores - scores.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _root(value):
    return np.sqrt(value) if value > 0 else np.nan
