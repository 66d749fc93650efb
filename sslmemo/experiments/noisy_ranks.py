"""Rank agreement of scores of any kind, free of the noise of each: pools, repeats and exact scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..estimates.blocks import check_level, mean_or_nan
from ..estimates.reliability import Interval, block_covariance, spearman_reliability
from ..randomness import generator
from ..result import MemorizationResult
from .agreement import RESOLVED, Agreement, overlap_ceiling, top_mask
from .ceiling import combined_interval

__all__ = ["NoisyScores", "rank_agreement", "repeatability", "top_overlap"]

PARTS = 20  # left out in turn by the jackknives over rows and over blocks


@dataclass(frozen=True)
class NoisyScores:
    """Scores with the independent replicates that tell their noise.

    Attributes
    ----------
    blocks : ndarray of float, shape (n_blocks, n_samples)
        Independent of each other; NaN where a row has no value.
    pooled : bool
        Whether the score is the mean of all blocks (a pool), or any one of them (a single training,
        of which the others are reruns). A single block that is pooled is exact: a rerun gives the
        same.
    result : MemorizationResult or None
        Of a pool, for the noise of every row.
    """

    blocks: np.ndarray
    pooled: bool = False
    result: MemorizationResult | None = None

    @classmethod
    def of(cls, scores):
        """Take a MemorizationResult as a pool, (n,) scores as exact, (r, n) as reruns.

        Rows without a value are NaN.
        """
        if isinstance(scores, MemorizationResult):
            result = scores.unbiased
            blocks = result.scores.blocks
            return cls(blocks[np.isfinite(blocks).any(1)], True, result)
        blocks = np.asarray(scores, dtype=float)
        if blocks.ndim == 1:
            return cls(blocks[None], True)
        return cls(blocks[np.isfinite(blocks).any(1)])

    @property
    def exact(self):
        """Whether a rerun would give the same: bool."""
        return self.pooled and self.result is None and len(self.blocks) == 1

    @property
    def constant(self):
        """Whether every block has one value for all rows, which no correlation has: bool."""
        return _constant(self.singles(self.known))

    @property
    def score(self):
        """Best guess at every row, the mean of all blocks: ndarray (n_samples,)."""
        return mean_or_nan(self.blocks)

    @property
    def known(self):
        """Rows that every block has a value for, as far as a pool needs it: ndarray of bool (n_samples,)."""
        finite = np.isfinite(self.blocks)
        return finite.any(0) if self.pooled else finite.all(0)

    def singles(self, rows):
        """Scores as one would have them, each a row: (1, n_rows) of a pool, else (n_blocks, n_rows)."""
        blocks = self.blocks[:, rows]
        return mean_or_nan(blocks)[None] if self.pooled else blocks

    def moments(self, rows):
        """What `overlap_ceiling` reads: posterior mean and spread, noise of a score, true spread."""
        if self.result is not None:
            r = self.result
            mean, spread = r.posterior.mean[rows], r.posterior.standard_deviation[rows]
            # a row without any noise has no posterior and needs none
            return (np.where(np.isfinite(mean), mean, r.score[rows]), np.nan_to_num(spread),
                    np.nan_to_num(r.standard_error[rows]), r.true_spread)  # fmt: skip
        blocks = self.blocks[:, rows]
        score, n = blocks.mean(0), len(blocks)
        if self.exact:
            zero = np.zeros(len(score))
            return score, zero, zero, float(score.std(ddof=1))
        # one variance for all rows: a few reruns can't tell each row's own
        covariance = block_covariance(blocks)
        total = np.trace(covariance) / n
        signal = max(0.0, (covariance.sum() - np.trace(covariance)) / max(n * (n - 1), 1))
        noise = max(0.0, total - signal)
        weight = signal / (signal + noise / n) if signal > 0 else 0.0
        mean = score.mean() + weight * (score - score.mean())
        flat = np.ones(len(score))
        return (mean, flat * np.sqrt(signal * (1 - weight)), flat * np.sqrt(noise),
                float(np.sqrt(signal)))  # fmt: skip


def rank_agreement(scores, level=0.95):
    """Correlate the ranks of several scores, and of the truths behind them.

    Parameters
    ----------
    scores : dict of str to NoisyScores
        By name. No two may share trainings or memberships, whose noise would pass for agreement.
    level : float, default=0.95
        Confidence of the intervals, in (0, 1).

    Returns
    -------
    Agreement
        Of ``statistic="spearman"``: the Spearman correlation over the rows that both scores know, on
        average over reruns; and `corrected`, that over the root of both reliabilities, each a Spearman
        correlation of independent reruns on the same rows (of a pool from its halves, stepped up; of an
        exact score 1). The intervals hold for other rows of the same source and for other
        trainings: a jackknife over 20 parts of the rows plus one over the blocks of each score.
        Noise of a row under one block is in both, so that they are rather too wide. NaN with fewer
        than three blocks of a score that is not exact. Of a score that is the same for all rows of a pair
        every correlation is NaN, and so is its reliability. `resolved` asks whether all trainings of a
        score together have a reliability of at least 0.5, not one alone.

    Notes
    -----
    The correction is exact for Pearson correlations, and close for ranks: with four reruns of reliability
    0.5 and 0.2 over 200 normal rows, truths that correlate 0.58 seem to by 0.18, and by 0.61 when
    corrected. Intervals of 95% covered 92 to 99% of 150 simulations each, two exact scores least; with noisy
    ones they are 1.2 to 1.7 times as wide as need be, up to 2.6 where reruns have noise in common.

    References
    ----------
    Spearman, The proof and measurement of association between two things, American Journal of
    Psychology 1904.
    """
    check_level(level)
    names, m = list(scores), len(scores)
    given = [scores[name] for name in names]
    square = {k: np.eye(m) for k in ("pearson", "spearman", "corrected", "low", "high")}
    ranked = {}  # by score and rows: reliabilities of pools are slow, and most pairs have all rows

    def ranks_of(i, rows):
        key = i, rows.tobytes()
        if key not in ranked:
            ranked[key] = _Ranked(given[i], rows)
        return ranked[key]

    for i in range(m):
        for j in range(i):
            rows = given[i].known & given[j].known
            a, b = ranks_of(i, rows), ranks_of(j, rows)
            if a.constant or b.constant:
                for matrix in square.values():
                    matrix[i, j] = matrix[j, i] = np.nan
                continue
            x, y = (_standardised(s.singles(rows)) for s in (given[i], given[j]))
            low, high = _corrected_interval(a, b, level)
            for name, value in (
                ("pearson", float((x @ y.T).mean())),
                ("spearman", a.correlation(b)),
                ("corrected", a.corrected(b)),
                ("low", low),
                ("high", high),
            ):
                square[name][i, j] = square[name][j, i] = value
    own = [ranks_of(i, s.known) for i, s in enumerate(given)]
    reliability = np.array([np.nan if r.constant else r.part()[1] for r in own])
    enough = np.array([not r.constant and r.together() >= RESOLVED for r in own])
    enough = enough[:, None] & enough & np.isfinite(square["spearman"])
    return Agreement(
        names, reliability, **square, resolved=enough, shares_blocks=False,
        statistic="spearman",
    )  # fmt: skip


def repeatability(scores, level=0.95):
    """Spearman correlation of a score with an independent rerun.

    Parameters
    ----------
    scores : NoisyScores
    level : float, default=0.95
        Confidence of the interval, in (0, 1).

    Returns
    -------
    Interval
        Jackknives as in `rank_agreement`; 1 of an exact score, NaN of one block.
    """
    check_level(level)
    own = _Ranked(scores, scores.known)
    value = own.part()[1]
    if scores.exact:
        return Interval(1.0, 1.0, 1.0, level)
    over_rows = [own.part(group)[1] for group in range(own.n_groups)]
    over_blocks = [own.part(None, unit)[1] for unit in range(own.n_units)]
    parts = [_jackknife(over_rows), _jackknife(over_blocks)]
    return Interval(value, *combined_interval(value, parts, level), level)


def top_overlap(a, b, top, seed=0):
    """Share of rows that the tops of two scores have in common.

    Parameters
    ----------
    a, b : NoisyScores
    top : float
        Share of the common rows in the top sets, in (0, 1].
    seed : int, default=0
        Of the draws behind the ceiling.

    Returns
    -------
    observed, chance, ceiling : float
        On average over reruns; of unrelated rankings; and to expect if both truths ranked alike, see
        `sslmemo.experiments.overlap`. The first and last are NaN where a score is the same for all common
        rows, and so has no top.
    """
    rows = a.known & b.known
    n = int(rows.sum())
    k = max(1, round(top * n))
    if any(_constant(scores.singles(rows)) for scores in (a, b)):
        return np.nan, k / n, np.nan
    tops = [
        np.stack([top_mask(s, k) for s in scores.singles(rows)]).astype(float) for scores in (a, b)
    ]
    rng = generator(seed, "top overlap")
    x, y = a.moments(rows), b.moments(rows)
    ceiling = np.mean([overlap_ceiling(x, y, k, rng), overlap_ceiling(y, x, k, rng)])
    return float((tops[0] @ tops[1].T).mean() / k), k / n, float(ceiling)


class _Ranked:
    """Standardised ranks and reliability of one score over some rows, and of its jackknife parts."""

    def __init__(self, scores, rows):
        self.scores, self.rows = scores, np.flatnonzero(rows)
        n, n_blocks = len(self.rows), len(scores.blocks)
        self.n_groups = min(PARTS, n)
        # the same parts for every score over these rows, which are left out of both at once
        self._group = generator(0, "row parts", n).permutation(n) % max(self.n_groups, 1)
        self.n_units = 0 if scores.exact else min(PARTS, n_blocks)
        self._unit = np.arange(n_blocks) % max(self.n_units, 1)
        self._parts = {}

    def part(self, group=None, unit=None):
        """Ranks (r, n_rows) and reliability without one part of the rows, or of the blocks."""
        if (group, unit) not in self._parts:
            rows = self.rows if group is None else self.rows[self._group != group]
            blocks = self.scores.blocks if unit is None else self.scores.blocks[self._unit != unit]
            part = NoisyScores(blocks, self.scores.pooled)
            singles = part.singles(rows)
            ranks = _standardised(stats.rankdata(singles, axis=1)) if len(rows) else singles
            if self.scores.exact:
                reliability = 1.0
            elif self.scores.pooled:
                reliability = float(spearman_reliability(blocks[:, rows]))
            else:
                reliability = _mean_pair(ranks @ ranks.T)
            self._parts[group, unit] = ranks, reliability
        return self._parts[group, unit]

    @property
    def constant(self):
        """Whether the score is the same for all rows."""
        return not self.part()[0].any()

    def together(self):
        """Reliability of the mean of all blocks."""
        r, n = self.part()[1], len(self.scores.blocks)
        if self.scores.pooled or not r > 0:
            return r
        return n * r / (1 + (n - 1) * r)  # Spearman-Brown

    def correlation(self, other, group=None, mine=None, its=None):
        """Mean Spearman correlation of the reruns of two scores."""
        return float((self.part(group, mine)[0] @ other.part(group, its)[0].T).mean())

    def corrected(self, other, group=None, mine=None, its=None):
        """The same over the root of both reliabilities; NaN where one is not above 0."""
        product = [self.part(group, mine)[1], other.part(group, its)[1]]
        if not min(product) > 0:
            return np.nan
        return self.correlation(other, group, mine, its) / np.sqrt(np.prod(product))


def _corrected_interval(a, b, level):
    parts = [_jackknife([a.corrected(b, group) for group in range(a.n_groups)])]
    if not a.scores.exact:
        parts.append(_jackknife([a.corrected(b, None, unit) for unit in range(a.n_units)]))
    if not b.scores.exact:
        parts.append(_jackknife([a.corrected(b, None, None, unit) for unit in range(b.n_units)]))
    return combined_interval(a.corrected(b), parts, level)


def _jackknife(values):
    """Variance of the whole from the values without each part, and its degrees of freedom."""
    n = len(values)
    if n < 3:
        return np.nan, 1
    return float((n - 1) * np.var(values)), n - 1


def _mean_pair(correlations):
    """Mean over pairs of different reruns; NaN of one."""
    n = len(correlations)
    if n < 2:
        return np.nan
    return float((correlations.sum() - np.trace(correlations)) / (n * (n - 1)))


def _constant(values):
    """Whether every row of (r, n) has one value."""
    return bool((values == values[:, :1]).all())


def _standardised(values):
    """Rows of mean 0 and length 1; of length 0 where a row is constant."""
    centred = values - values.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
