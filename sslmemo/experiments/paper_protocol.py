"""The protocol of the paper that defines the score, beside what a pool says of the same rows."""

from __future__ import annotations

import functools
import numbers
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.base import clone

from .._compat import check_in_range, shown
from ..designs import Split
from ..estimates import Difference, Interval
from ..estimator import MemorizationEstimator
from ..randomness import derive_seed, entropy_of
from ..result import MemorizationResult
from ..table import ScoreTable
from .contrasts import student
from .inputs import interruptible
from .naming import check_same_rows
from .noisy_ranks import NoisyScores, rank_agreement, repeatability

__all__ = ["PaperProtocol", "paper_protocol"]

SINGLE, POOL = "single pair", "pool"
CONTRASTS = (
    ("candidate", "shared"),
    ("candidate", "independent"),
    ("candidate", "external"),
    ("shared", "independent"),
    ("external", "independent"),
)


@dataclass(frozen=True, repr=False)
class PaperProtocol:
    """What one f and one g say, how far another pair says the same, and what a pool says.

    Attributes
    ----------
    result : MemorizationResult
        Of all pairs under the split, each view against the clean row, without normalisation.
    pairs : ndarray of shape (n_pairs, n_samples)
        Scores of every row by each pair alone, over their range, so that they lie in [-1, 1] and are
        not comparable between pairs. The first is the protocol's.
    roles : ndarray of str, shape (n_samples,)
        "shared", "candidate", "independent" or "external".
    pool : MemorizationResult or None
        Of the same rows.
    """

    result: MemorizationResult
    pairs: np.ndarray
    roles: np.ndarray
    pool: MemorizationResult | None = None

    def __repr__(self):
        return self.summary()

    @property
    def score(self):
        """Scores by the first pair, in [-1, 1]: ndarray (n_samples,)."""
        return self.pairs[0]

    @property
    def candidates(self):
        """Positions of the candidates: ndarray of int."""
        return np.flatnonzero(self.roles == "candidate")

    @functools.cached_property
    def repeatability(self):
        """Spearman correlation of the candidates' scores by two pairs, on average: Interval, NaN with one."""
        return repeatability(single_pair_scores(self.pairs, self.roles))

    @functools.cached_property
    def agreement(self):
        """Of the candidates' scores by a single pair and by the pool: Agreement, None without a pool.

        Its `corrected` says how far the two would rank the candidates alike if neither had noise.
        """
        if self.pool is None:
            return None
        of_pool = NoisyScores.of(self.pool)
        blocks = np.where(self.roles == "candidate", of_pool.blocks, np.nan)
        single = single_pair_scores(self.pairs, self.roles)
        return rank_agreement({SINGLE: single, POOL: NoisyScores(blocks, True, of_pool.result)})

    def table(self):
        """Give every row's score by the single pair, and by the pool.

        Returns
        -------
        ScoreTable
            With the columns row; role; score; and with a pool pool_score, pool_standard_error, in the
            unit of the pool.
        """
        columns = {"row": np.arange(len(self.roles)), "role": self.roles, "score": self.score}
        if self.pool is not None:
            columns["pool_score"] = self.pool.score
            columns["pool_standard_error"] = self.pool.standard_error
        return ScoreTable(columns)

    def groups(self):
        """Describe the groups under the single pair.

        Returns
        -------
        ScoreTable
            One row a role, with the columns role; n_rows; mean, standard_deviation of the scores over
            rows; and lowest, highest, the least and the largest mean by any of the pairs.
        """
        rows = []
        for role in dict.fromkeys(r for pair in CONTRASTS for r in pair):
            mine = self.roles == role
            if mine.any():
                means = self.pairs[:, mine].mean(1)
                spread = self.score[mine].std(ddof=1) if mine.sum() > 1 else np.nan
                rows.append((role, mine.sum(), means[0], spread, means.min(), means.max()))
        names = ("role", "n_rows", "mean", "standard_deviation", "lowest", "highest")
        return ScoreTable.from_rows(names, rows)

    def tests(self, level=0.95):
        """Test the groups against each other, as the paper does and over pairs.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the interval over pairs, in (0, 1).

        Returns
        -------
        ScoreTable
            One row two groups, with the columns greater; less; difference of the means under the single
            pair; t, df, p_value of Welch's one-sided test over its rows
            (``scipy.stats.ttest_ind(equal_var=False, alternative="greater")``). Its rows share one f and one
            g, so that it says what this pair does, not what the training algorithm does. That is asked
            of the pairs: mean_difference over them, low, high and the two-sided
            pairs_p_value, Student's; NaN with one pair. They share one split, for which they hold.
        """
        rows = []
        for greater, less in CONTRASTS:
            a, b = self.roles == greater, self.roles == less
            if min(a.sum(), b.sum()) < 2:
                continue
            test = stats.ttest_ind(
                self.score[a], self.score[b], equal_var=False, alternative="greater"
            )
            differences = self.pairs[:, a].mean(1) - self.pairs[:, b].mean(1)
            rows.append(
                (greater, less, differences[0], test.statistic, test.df, test.pvalue)
                + student(differences, level)
            )
        names = ("greater", "less", "difference", "t", "df", "p_value", "mean_difference", "low",
                 "high", "pairs_p_value")  # fmt: skip
        return ScoreTable.from_rows(names, rows)

    def summary(self):
        """Say in words what the protocol finds, and how far it would repeat.

        Returns
        -------
        str
            Lines: the groups, their tests, the noise of the single pair, the pool.
        """
        groups, tests = self.groups(), self.tests()
        means = ", ".join(
            f"{role} {mean:+.3f} ({n} rows)"
            for role, n, mean in zip(groups["role"], groups["n_rows"], groups["mean"], strict=True)
        )
        lines = [f"One f and one g, scores over their range; means: {means}"]
        n_pairs = len(self.pairs)
        for t in range(len(tests)):
            row = {name: column[t] for name, column in tests.columns.items()}
            over = ""
            if n_pairs > 1:
                over = (
                    f"; over {n_pairs} pairs {row['mean_difference']:+.3f} "
                    f"[{row['low']:+.3f}, {row['high']:+.3f}]"
                )
            lines.append(
                f"  {row['greater']} > {row['less']}: {row['difference']:+.3f}, t = {row['t']:.2f}, "
                f"p = {row['p_value']:.2g} over the rows of the one pair{over}"
            )
        if n_pairs == 1:
            lines.append(
                "How far another pair would rank the candidates alike is unknown: n_pairs=1."
            )
        else:
            lines.append(
                f"Two pairs rank the {len(self.candidates)} candidates alike by "
                f"{_said(self.repeatability)} (Spearman)"
            )
        if self.pool is not None:
            lines += self._beside_the_pool()
        return "\n".join(lines)

    def _beside_the_pool(self):
        """Lines on the pool's reliability, and on what a single pair has in common with it."""
        a = self.agreement
        trust = "unknown" if np.isnan(a.reliability[1]) else f"{a.reliability[1]:.2f}"
        line = f"A pool of {self.pool.run.plan.n_encoders} encoders has a reliability of {trust} on them; "
        if np.isnan(a.spearman[0, 1]):
            return [line + "there is no correlation, a score is constant"]
        line += f"a single pair correlates {a.spearman[0, 1]:.2f} with it, "
        if len(self.pairs) == 1:
            return [line + "its own noise included, which takes more pairs to know"]
        if not a.resolved[0, 1]:
            return [line + "and both are too noisy together to say more (not resolved)"]
        corrected = _said(Interval(a.corrected[0, 1], a.low[0, 1], a.high[0, 1]))
        return [f"{line}and would by {corrected} without the noise of both", *a.notes()]


def paper_protocol(X, *, estimator=None, split=None, n_pairs=3, n_views=5, pool=None, groups=None,
                   n_jobs=None, memory=None, random_state=None, verbose=1):  # fmt: skip
    """Score rows as the paper does: one f and one g under one split, each view against the clean row.

    f is trained on shared and candidate rows, g on shared and independent ones; a row's score is its
    mean distance to `n_views` views of itself under g minus that under f, over the range of all
    scores; one-sided t-tests compare the groups. Further pairs and a pool tell what that is worth.

    Parameters
    ----------
    X : array-like or dataset
        Rows, as in `MemorizationEstimator.fit`.
    estimator : MemorizationEstimator, default=None
        The recipe of the trainings, cloned. Its design, `n_encoders`, anchor, normalisation and views are
        the pool's, if one is trained; its `stop_when` too. None is the default estimator.
    split : Split, default=None
        The roles; None is ``Split()``, 80% shared, 10% candidates, 10% independent rows.
    n_pairs : int, default=3
        Pairs of f and g, of the same split and other seeds, at least 1: the first is the protocol, the
        others tell its noise.
    n_views : int, default=5
        Views a row, at least 1, as the paper's scripts have them.
    pool : int, MemorizationEstimator or MemorizationResult, default=None
        A pool of the same rows to compare with: how many encoders to train by the design of
        `estimator`, an estimator to train if it is not fitted, or a result. None is none.
    groups : array-like of shape (n_samples,), default=None
        As in `MemorizationEstimator.fit`.
    n_jobs : int, default=None
        Blocks at once; -1 means all processors.
    memory : str or path, default=None
        Folder of finished blocks, which an interrupted call goes on from.
    random_state : int, RandomState instance or None, default=None
        Of the split and the trainings; pool and pairs get seeds of their own.
    verbose : int, default=1
        1 shows progress bars.

    Returns
    -------
    PaperProtocol

    Raises
    ------
    TypeError, ValueError
        A parameter is wrong; the pool is of other rows or shares blocks with the pairs; and whatever the
        fits raise.

    Warns
    -----
    UserWarning
        There is one pair only; and as the fits do.

    Notes
    -----
    The roles are the same for all pairs, so a block of a tenth of the rows is left out, not a point:
    a candidate's score is its memorization beside these other candidates. The protocol departs from the
    definition by its anchor (a view and the row itself, in place of two views) and by the range, which
    one extreme row sets. The paper's scripts also choose checkpoints on training images, which is not
    done here.

    References
    ----------
    Wang, Kaleem, Dziedzic, Backes, Papernot and Boenisch, Memorization in self-supervised learning
    improves downstream generalization, ICLR 2024 (arXiv:2401.12233).
    """
    if estimator is not None and not isinstance(estimator, MemorizationEstimator):
        raise TypeError(f"estimator must be a MemorizationEstimator, got {shown(estimator)}.")
    if split is not None and not isinstance(split, Split):
        raise TypeError(f"split must be a Split of sslmemo.designs, got {shown(split)}.")
    check_in_range("n_pairs", n_pairs, numbers.Integral, 1)
    check_in_range("n_views", n_views, numbers.Integral, 1)
    _check_pool(pool)
    entropy = entropy_of(random_state)
    base = clone(MemorizationEstimator() if estimator is None else estimator)
    base.set_params(n_jobs=n_jobs, memory=memory, verbose=verbose)
    pairs = clone(base).set_params(
        design=Split() if split is None else split, n_encoders=2 * n_pairs, n_views=n_views,
        anchor="clean", normalize=None, estimate="difference", stop_when=None,
        random_state=derive_seed(entropy, "pairs") % 2**32,
    )  # fmt: skip
    with interruptible(memory):
        with warnings.catch_warnings():
            if n_pairs == 1:  # said in our words
                warnings.filterwarnings("ignore", message=".* are one block of ")
                warnings.warn(
                    "n_pairs=1 is the paper's protocol: what another pair would say stays unknown. Three "
                    "pairs tell the noise of one.",
                    stacklevel=2,
                )
            result = pairs.fit(X, groups=groups).result_
        pool = _pool_of(pool, base, X, groups, derive_seed(entropy, "pool") % 2**32)
    return read_pairs(result, pool)


def read_pairs(result, pool=None):
    """Read a run of a split as the paper does, pair by pair.

    Parameters
    ----------
    result : MemorizationResult
        Of a plan with roles, measured with ``anchor="clean"``.
    pool : MemorizationResult, default=None
        Of the same rows, without a common block.

    Returns
    -------
    PaperProtocol

    Raises
    ------
    ValueError
        The pool is of other rows, or shares blocks with the pairs.
    """
    run, roles = result.run, result.run.plan.roles
    alone = Difference(normalize="range", anchor="clean")
    pairs = np.stack([
        alone({"alignment": run.values["alignment"][run.plan.encoders_of(b)]}, run.plan.take(b)).score
        for b in run.plan.blocks
        if b not in run.failures
    ])  # fmt: skip
    if pool is not None:
        check_same_rows({"the pairs": result, "the pool": pool})
        if np.isin(pool.run.plan.seed, run.plan.seed).any():
            raise ValueError(
                "the pool and the pairs have blocks in common, so that they agree by their noise: give "
                "them different random_state."
            )
    return PaperProtocol(result, pairs, roles, pool)


def single_pair_scores(pairs, roles):
    """Scores of a single pair with its reruns, for the candidates alone.

    Parameters
    ----------
    pairs : ndarray of shape (n_pairs, n_samples)
        As `PaperProtocol` has them.
    roles : ndarray of str, shape (n_samples,)
        Of every row.

    Returns
    -------
    NoisyScores
    """
    return NoisyScores(np.where(roles == "candidate", pairs, np.nan))


def _check_pool(pool):
    if pool is None or isinstance(pool, (MemorizationEstimator, MemorizationResult)):
        return
    if isinstance(pool, bool) or not isinstance(pool, numbers.Integral):
        raise TypeError(
            "pool must be a number of encoders, a MemorizationEstimator, a MemorizationResult or None, "
            f"got {shown(pool)}."
        )
    check_in_range("pool", pool, numbers.Integral, 2)


def _pool_of(pool, base, X, groups, seed):
    """The pool's result, trained where it has to be."""
    if pool is None or isinstance(pool, MemorizationResult):
        return pool
    if isinstance(pool, MemorizationEstimator):
        if hasattr(pool, "result_"):
            return pool.result_
        own = clone(pool)
        if own.random_state is None:
            own.set_params(random_state=seed)
    else:
        own = clone(base).set_params(n_encoders=int(pool), random_state=seed)
    return own.fit(X, groups=groups).result_


def _said(interval):
    ends = ""
    if np.isfinite(interval.low):
        ends = f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{interval.value:.2f}{ends}"
