"""Do several fits of the same rows memorize the same points, beyond the noise of their pools?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..estimates.attenuation import true_correlation
from ..randomness import generator
from ..table import ScoreTable
from .naming import check_same_rows, named_results

__all__ = ["Agreement", "Overlap", "agreement", "consensus", "overlap"]

RESOLVED = 0.5  # least reliability of a fit whose correlations are read
DRAWS = 400  # of the noise ceiling


@dataclass(frozen=True, repr=False)
class Agreement:
    """Correlations between the scores of several fits.

    Attributes
    ----------
    names : list of str
        Of the m fits.
    reliability : ndarray of shape (m,)
        Of each fit.
    pearson, spearman : ndarray of shape (m, m)
        Of the scores as they are, noise and all.
    corrected, low, high : ndarray of shape (m, m)
        Correlation of the true scores, corrected for attenuation and not clipped at 1, with the ends
        of its interval. On the diagonal 1. NaN, as the other correlations are, where a score is constant.
    resolved : ndarray of bool, shape (m, m)
        Whether both fits have a reliability of at least 0.5; elsewhere the corrected number is
        mostly noise.
    shares_blocks : bool
        Whether fits share memberships and views, so that `pearson` and `spearman` hold common noise.
    statistic : {"pearson", "spearman"}
        Of which of the two `reliability` and `corrected` are.
    """

    names: list
    reliability: np.ndarray
    pearson: np.ndarray
    spearman: np.ndarray
    corrected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    resolved: np.ndarray
    shares_blocks: bool
    statistic: str = "pearson"

    def __repr__(self):
        return self.summary()

    @property
    def observed(self):
        """The correlations of the scores as they are that `corrected` corrects: ndarray (m, m)."""
        return getattr(self, self.statistic)

    def pairs(self):
        """Give one row a pair of fits.

        Returns
        -------
        ScoreTable
            With the columns first, second, pearson, spearman, corrected, low, high, resolved.
        """
        a, b = np.triu_indices(len(self.names), 1)
        names = np.array(self.names)
        columns = {"first": names[a], "second": names[b]}
        for name in ("pearson", "spearman", "corrected", "low", "high", "resolved"):
            columns[name] = getattr(self, name)[a, b]
        return ScoreTable(columns)

    def summary(self):
        """Say in words how far the fits agree.

        Returns
        -------
        str
            One line a pair, and one more where a corrected correlation, or its interval, exceeds 1.
        """
        lines = []
        for row in zip(*self.pairs().columns.values(), strict=True):
            first, second, pearson, spearman, corrected, low, high, resolved = row
            observed = pearson if self.statistic == "pearson" else spearman
            if np.isnan(observed):
                lines.append(f"{first} and {second}: no correlation, a score is constant")
                continue
            if not resolved:
                said = f"not resolved (a reliability is below {RESOLVED})"
            else:
                said = f"true scores correlate {corrected:.2f} [{low:.2f}, {high:.2f}]"
            lines.append(f"{first} and {second}: {said}; scores as they are {observed:.2f}")
        return "\n".join([*lines, *self.notes()])

    def notes(self):
        """Say what a reader of the numbers may stumble over.

        Returns
        -------
        list of str
            One line where a resolved correlation of the true scores, or its interval, exceeds 1; else empty.
        """
        lower = np.tril(self.resolved, -1)
        if (np.fmax(self.corrected, self.high)[lower] > 1).any():
            return ["A corrected correlation, not clipped, may exceed 1 by noise: read it as 1."]
        return []


def agreement(results, level=0.95):
    """Correlate the scores of several fits of the same rows.

    Parameters
    ----------
    results : dict of str to MemorizationResult, or sequence of MemorizationResult
        At least two fits of the same rows in the same order.
    level : float, default=0.95
        Confidence of the intervals, in (0, 1).

    Returns
    -------
    Agreement
        See `sslmemo.estimates.attenuation.true_correlation` for the correction: covariances come
        from different blocks of the two fits only, because fits with one `random_state` share
        memberships and views, and so errors.

    Raises
    ------
    TypeError, ValueError
        These are no results, fewer than two, or of different rows.
    """
    results = named_results(results, least=2)
    check_same_rows(results)
    fits, m = list(results.values()), len(results)
    square = {name: np.eye(m) for name in ("pearson", "spearman", "corrected", "low", "high")}
    shares = False
    for i in range(m):
        for j in range(i):
            a, b = fits[i], fits[j]
            both = np.isfinite(a.score) & np.isfinite(b.score)
            seeds = a.run.plan.seed, b.run.plan.seed
            shares |= bool(np.isin(*seeds).any())
            true = true_correlation(a.scores.blocks, b.scores.blocks, *seeds, level)
            for name, value in (
                ("pearson", stats.pearsonr(a.score[both], b.score[both]).statistic),
                ("spearman", stats.spearmanr(a.score[both], b.score[both]).statistic),
                ("corrected", true.value),
                ("low", true.low),
                ("high", true.high),
            ):
                square[name][i, j] = square[name][j, i] = value
    reliability = np.array([f.reliability for f in fits])
    enough = reliability >= RESOLVED
    return Agreement(
        list(results),
        reliability,
        **square,
        resolved=enough[:, None] & enough,
        shares_blocks=shares,
    )


@dataclass(frozen=True, repr=False)
class Overlap:
    """Shares of common rows among the k most memorized ones of several fits.

    Attributes
    ----------
    names : list of str
        Of the m fits.
    k : int
        Size of the top sets.
    observed : ndarray of shape (m, m)
        Rows that two fits have in common, over k.
    chance : float
        Share that unrelated rankings would have in common.
    ceiling : ndarray of shape (m, m)
        Share to expect if the true scores of both ranked alike and only noise set them apart.
    """

    names: list
    k: int
    observed: np.ndarray
    chance: float
    ceiling: np.ndarray

    def __repr__(self):
        a, b = np.triu_indices(len(self.names), 1)
        return "\n".join(
            f"{self.names[i]} and {self.names[j]} share {self.observed[i, j]:.0%} of their top {self.k}; "
            f"chance {self.chance:.0%}, noise ceiling {self.ceiling[i, j]:.0%}"
            for i, j in zip(a, b, strict=True)
        )


def overlap(results, k=None, seed=0):
    """Count the common rows among the most memorized ones of several fits.

    Parameters
    ----------
    results : dict of str to MemorizationResult, or sequence of MemorizationResult
        At least two fits of the same rows; of different `random_state`, for fits that share blocks
        share noise, which the ceiling takes as independent.
    k : int, default=None
        Size of the top sets, from 1 to the number of rows; None is 5% of the rows.
    seed : int, default=0
        Of the draws behind the ceiling.

    Returns
    -------
    Overlap
        The ceiling is a mean over draws: true scores from the posterior of one fit, once as they
        are and once with their spread brought to the other's, each with the noise of its fit; and the
        same from the other fit.

    Raises
    ------
    TypeError, ValueError
        These are no results, fewer than two, or of different rows; `k` lies out of range.

    Warns
    -----
    UserWarning
        Fits share blocks.
    """
    results = named_results(results, least=2)
    check_same_rows(results)
    fits, m = list(results.values()), len(results)
    seeds = np.concatenate([np.unique(f.run.plan.seed) for f in fits])
    if len(np.unique(seeds)) < len(seeds):
        warnings.warn(
            "fits share blocks, and so noise: their overlap can exceed the ceiling, which takes noise as "
            "independent. Give each fit a random_state of its own.",
            stacklevel=2,
        )
    k = _top_size(k, fits[0])
    known = np.logical_and.reduce([np.isfinite(f.posterior.mean) for f in fits])
    k = min(k, int(known.sum()))
    tops = [top_mask(f.score[known], k) for f in fits]
    moments = [
        (f.posterior.mean[known], f.posterior.standard_deviation[known], f.standard_error[known],
         f.true_spread)
        for f in fits
    ]  # fmt: skip
    observed, ceiling = np.eye(m), np.eye(m)
    for i in range(m):
        for j in range(i):
            observed[i, j] = observed[j, i] = (tops[i] & tops[j]).sum() / k
            rng = generator(seed, "overlap", i, j)
            both = [
                overlap_ceiling(moments[i], moments[j], k, rng),
                overlap_ceiling(moments[j], moments[i], k, rng),
            ]
            ceiling[i, j] = ceiling[j, i] = np.mean(both)
    return Overlap(list(results), k, observed, k / int(known.sum()), ceiling)


def consensus(results, k=None):
    """Find the rows that all fits have among their most memorized ones.

    Parameters
    ----------
    results : dict of str to MemorizationResult, or sequence of MemorizationResult
        At least two fits of the same rows.
    k : int, default=None
        Size of the top sets, from 1 to the number of rows; None is 5% of the rows.

    Returns
    -------
    ScoreTable
        Rows in the order of the data, with the columns row; n_top, in how many fits the row is
        among the top k by its score; probability, that it is by its true scores in all of them,
        the product of the fits' top-k probabilities; mean_rank (1 = most memorized); and each fit's
        score under its name. ``.sort("probability")`` puts the consensus first.

    Raises
    ------
    TypeError, ValueError
        These are no results, fewer than two, or of different rows; `k` lies out of range.
    """
    results = named_results(results, least=2)
    check_same_rows(results)
    fits = list(results.values())
    k = _top_size(k, fits[0])
    ranks = np.array([stats.rankdata(-f.score, nan_policy="omit") for f in fits])
    columns = {
        "row": np.arange(len(fits[0])),
        "n_top": (ranks <= k).sum(0),
        "probability": np.prod([f.posterior.top_k_probability(k) for f in fits], axis=0),
        "mean_rank": ranks.mean(0),
    }
    return ScoreTable({**columns, **{name: f.score for name, f in results.items()}})


def _top_size(k, result):
    if k is None:
        return result.default_top_k
    if not 1 <= k <= len(result):
        raise ValueError(f"k must lie between 1 and the number of rows, {len(result)}, got {k!r}.")
    return int(k)


def top_mask(score, k):
    """Mask of the k highest; of ties the first rows."""
    mask = np.zeros(len(score), bool)
    mask[np.argsort(-score, kind="stable")[:k]] = True
    return mask


def overlap_ceiling(a, b, k, rng):
    """Overlap of the tops of two noisy copies of true scores like a's.

    Parameters
    ----------
    a, b : tuple of (ndarray, ndarray, ndarray, float)
        Posterior mean and standard deviation of the true scores, standard error of a score, each of
        shape (n_samples,), and standard deviation over rows of the true scores.
    k : int
        Size of the top sets.
    rng : numpy.random.Generator
        Of the draws.

    Returns
    -------
    float
        In [0, 1].
    """
    mean, spread, noise_a, true_a = a
    _, _, noise_b, true_b = b
    if not (true_a > 0 and true_b > 0):
        return k / len(mean)  # no spread of true scores: the tops are chance
    shared = []
    for _ in range(DRAWS):
        truth = mean + spread * rng.standard_normal(len(mean))
        first = truth + noise_a * rng.standard_normal(len(mean))
        second = truth * true_b / true_a + noise_b * rng.standard_normal(len(mean))
        shared.append((top_mask(first, k) & top_mask(second, k)).sum() / k)
    return float(np.mean(shared))
