"""Rules that end a fit before its last block: when the pool is certain enough.

A pool is then trained in rounds of whole blocks, and the rule looks at the scores after each. When
it looks is fixed by the plan alone, so that a result does not depend on timing or on how many
blocks are trained at once. All rules read the unbiased difference, whatever the estimate.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator

from ._compat import check_choice, check_in_range, shown
from .estimates import Difference, one_sided_p, posterior, reliability
from .estimates.spending import sequential_holm
from .identity import describe, key_of
from .sources import as_array

__all__ = [
    "STOPPING",
    "ReliabilityReached",
    "RowsDecided",
    "TopKCertain",
    "first_scores",
    "get_stopping",
]

GROWTH = math.sqrt(2)  # of the pool from look to look: at most 41% more blocks than were needed


class _Rule(BaseEstimator):
    """What the rules share: looks after a growing number of blocks."""

    def schedule(self, plan):
        """Number of blocks at every look, ascending; the last is all blocks of the plan.

        Parameters
        ----------
        plan : Plan
            Of the largest pool.

        Returns
        -------
        tuple of int
            `min_blocks` and then 1.41 times as many at each look, whatever the size of the plan.

        Raises
        ------
        ValueError
            The plan has too few blocks, or a parameter does not suit its rows.
        """
        n = self._check_blocks(plan)
        looks, k = [], self.min_blocks
        while k < n:
            looks.append(k)
            k = max(k + 1, round(self.min_blocks * GROWTH ** len(looks)))
        return (*looks, n)

    def check(self):
        """Refuse bad parameters.

        Raises
        ------
        TypeError, ValueError
            The message names parameter, value and mend.
        """
        check_in_range("min_blocks", self.min_blocks, numbers.Integral, 2)

    def _check_blocks(self, plan):
        n = len(plan.seed)
        if n < self.min_blocks:
            raise ValueError(
                f"stop_when looks first after min_blocks={self.min_blocks} blocks, but n_encoders="
                f"{plan.n_encoders} are {n} blocks of the {plan.design} design: raise n_encoders."
            )
        return n


class ReliabilityReached(_Rule):
    """Stop when the scores would repeat well enough in an independent rerun.

    It claims no guarantee: what is reached is an estimate, and in simulations a tenth to a fifth of
    the pools that stop at an estimate of 0.8 are less reliable than that. ``use="low"`` is the
    cautious form: 1% of them, for a tenth to a fifth more blocks.

    Parameters
    ----------
    target : float, default=0.8
        Reliability of the unbiased difference, in (0, 1).
    use : {"value", "low"}, default="value"
        What must reach it: the estimate, or the lower end of its 95% interval.
    min_blocks : int, default=4
        Blocks before the first look, at least 2.
    """

    name = "reliability"

    def __init__(self, target=0.8, use="value", min_blocks=4):
        self.target = target
        self.use = use
        self.min_blocks = min_blocks

    def check(self):
        """Refuse bad parameters."""
        super().check()
        _check_share("target", self.target)
        check_choice("use", self.use, ("value", "low"))

    def __call__(self, looks, schedule):
        """Look.

        Parameters
        ----------
        looks : list of Scores
            At every look so far.
        schedule : tuple of int
            See `schedule`.

        Returns
        -------
        stop : bool
            Whether the pool is certain enough.
        said : str
            What was seen.
        """
        seen = reliability(looks[-1].blocks)
        word = "" if self.use == "value" else ", its lower end"
        said = f"reliability {seen.value:.3f} [{seen.low:.3f}, {seen.high:.3f}]{word}"
        return bool(getattr(seen, self.use) >= self.target), f"{said} against {self.target}"


class TopKCertain(_Rule):
    """Stop when the k highest scores are certain to be the k most memorized rows.

    By the posterior of the true scores: the expected number of truly top-k rows among the k rows
    of highest score must be at least ``probability * k``.

    Parameters
    ----------
    k : int
        Size of the top set, from 1 to one less than the number of rows with a score.
    probability : float, default=0.9
        Expected share of the selected rows that belong there, in (0, 1).
    min_blocks : int, default=4
        Blocks before the first look, at least 2.
    """

    name = "top_k"

    def __init__(self, k, probability=0.9, min_blocks=4):
        self.k = k
        self.probability = probability
        self.min_blocks = min_blocks

    def check(self):
        """Refuse bad parameters."""
        super().check()
        check_in_range("k", self.k, numbers.Integral, 1)
        _check_share("probability", self.probability)

    def schedule(self, plan):
        """Number of blocks at every look, as for `ReliabilityReached`.

        Parameters
        ----------
        plan : Plan
            Of the largest pool.

        Returns
        -------
        tuple of int
            Ascending; the last is all blocks.

        Raises
        ------
        ValueError
            The plan has fewer blocks than `min_blocks`, or scores no more than k rows.
        """
        n_scored = int(_scored(plan).sum())
        if self.k >= n_scored:
            raise ValueError(
                f"k={self.k} of TopKCertain must be smaller than the {n_scored} rows that the "
                "design scores."
            )
        return super().schedule(plan)

    def __call__(self, looks, schedule):
        """Look; see `ReliabilityReached.__call__`."""
        scores = looks[-1]
        ranked = np.argsort(-np.nan_to_num(scores.score, nan=-np.inf), kind="stable")
        probability = posterior(scores).top_k_probability(self.k)[ranked[: self.k]]
        expected = float(np.nansum(probability))
        said = f"{expected:.1f} of the top {self.k} rows are expected to belong there"
        return expected >= self.probability * self.k, f"{said}, against {self.probability:.0%}"


class RowsDecided(_Rule):
    """Stop when every row named in advance is known to lie above, or below, a score.

    A row is decided by one-sided t tests on its own blocks, at a few looks fixed in advance among
    which the error rate is spent as by Lan and DeMets' O'Brien-Fleming-type function: little at
    first, so that the last look is almost as sharp as a single test. Each test is made at the
    nominal level of a normal statistic, on the scale of p values. Several rows share the error by
    Holm's procedure at every look.

    The probability that any row is claimed to lie above `min_score` and does not is about `alpha`
    at most, and the same for below. This holds for rows and a score named before the fit, and for
    one fit: raising `n_encoders` after the last look adds looks that were not planned.

    Parameters
    ----------
    rows : array-like of int, default=None
        Distinct row numbers; None means all rows that the design scores.
    min_score : float, default=None
        In the unit of the scores; None is the pool's median score at the look, taken as known.
    alpha : float, default=0.05
        Probability of a wrong claim, over all rows and looks, in (0, 1).
    looks : int, default=5
        Number of looks in equal steps, the last at all blocks; fewer where the first would come
        before `min_blocks`.
    min_blocks : int, default=4
        Blocks before the first look, at least 2.

    References
    ----------
    Lan and DeMets, Discrete sequential boundaries for clinical trials, Biometrika 1983.

    Maurer and Bretz, Multiple testing in group sequential trials using graphical approaches,
    Statistics in Biopharmaceutical Research 2013 (the weighted procedure of which Holm's is one).

    Jennison and Turnbull, Group sequential methods with applications to clinical trials, 2000,
    section 4.4 (nominal levels for t tests).
    """

    name = "rows"

    def __init__(self, rows=None, min_score=None, alpha=0.05, looks=5, min_blocks=4):
        self.rows = rows
        self.min_score = min_score
        self.alpha = alpha
        self.looks = looks
        self.min_blocks = min_blocks

    def check(self):
        """Refuse bad parameters."""
        super().check()
        _check_share("alpha", self.alpha)
        check_in_range("looks", self.looks, numbers.Integral, 1)
        if self.min_score is not None:
            check_in_range("min_score", self.min_score, numbers.Real, finite=True)
        if self.rows is None:
            return
        rows = as_array("rows", self.rows)
        if rows.dtype == bool:
            raise TypeError("rows is a mask, and row numbers are needed: np.flatnonzero(mask).")
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer) or not len(rows):
            raise TypeError(
                f"rows must be a non-empty list of row numbers, got {shown(self.rows)}."
            )
        if len(np.unique(rows)) < len(rows):
            raise ValueError(f"rows must be distinct, but {shown(self.rows)} names one twice.")

    def schedule(self, plan):
        """Number of blocks at every look.

        Parameters
        ----------
        plan : Plan
            Of the largest pool.

        Returns
        -------
        tuple of int
            In equal steps, ascending; the last is all blocks.

        Raises
        ------
        ValueError
            The plan has fewer blocks than `min_blocks`, or lacks a row or its score.
        """
        n = self._check_blocks(plan)
        scored = _scored(plan)
        for row in () if self.rows is None else as_array("rows", self.rows):
            if not 0 <= row < plan.n_samples:
                raise ValueError(
                    f"rows must lie between 0 and {plan.n_samples - 1}, but {row} is named."
                )
            if not scored[row]:
                raise ValueError(
                    f"row {row} is named in rows, but the {plan.design} design gives it no score."
                )
        steps = range(1, self.looks + 1)
        return tuple(sorted({max(self.min_blocks, -(-n * j // self.looks)) for j in steps}))

    def __call__(self, looks, schedule):
        """Look; see `ReliabilityReached.__call__`."""
        claims = self._claims(looks, schedule)
        above, below = int((claims > 0).sum()), int((claims < 0).sum())
        mark = "the median score" if self.min_score is None else f"{self.min_score:g}"
        said = f"of {len(claims)} rows {above} lie above {mark} and {below} below"
        return above + below == len(claims), f"{said} (alpha {self.alpha:g})"

    def claims(self, result):
        """Say which rows were decided, and how.

        Parameters
        ----------
        result : MemorizationResult
            Of a fit with this rule as `stop_when`.

        Returns
        -------
        ndarray of int8, shape (n_rows,)
            In the order of `rows`: 1 above `min_score`, -1 below, 0 undecided.

        Raises
        ------
        ValueError
            The result is not that of a fit with this rule, or has blocks from elsewhere.
        """
        note = result.run.config.get("stopped")
        if (
            note is None
            or note["key"] != self.key()
            or note["n_blocks"] != len(result.run.plan.seed)
        ):
            raise ValueError(
                "claims(result) needs the result of one fit with this rule as stop_when=: here "
                + ("it had no rule." if note is None else f"it was stopped by {note['rule']}.")
            )
        looks = [first_scores(result.run, k, result.estimate) for k in note["looks"]]
        return self._claims(looks, note["schedule"])

    def key(self):
        """Tell this rule from one with other parameters.

        Returns
        -------
        str
            The same for any kind of list of rows.
        """
        rows = None if self.rows is None else as_array("rows", self.rows).tolist()
        return key_of(describe({**self.get_params(deep=False), "rows": rows}))

    def _claims(self, looks, schedule):
        rows = np.flatnonzero(np.isfinite(looks[0].score))
        if self.rows is not None:
            rows = as_array("rows", self.rows)
        fractions = tuple(k / schedule[-1] for k in schedule[: len(looks)])
        above = np.stack([_own_p(s, self.min_score, 1)[rows] for s in looks])  # (looks, rows)
        below = np.stack([_own_p(s, self.min_score, -1)[rows] for s in looks])
        claimed = [
            sequential_holm(p, fractions, self.alpha).astype(np.int8) for p in (above, below)
        ]
        return claimed[0] - claimed[1]


def _own_p(scores, min_score, sign):
    """P values on each row's own blocks of "the score is at most min_score"; at least, for -1."""
    own = replace(
        scores,
        score=sign * scores.score,
        standard_error=scores.raw_standard_error,
        df=scores.raw_df,
    )
    return one_sided_p(own, None if min_score is None else sign * min_score)


def first_scores(run, n_blocks, estimate):
    """Unbiased scores from the first blocks of a run.

    Parameters
    ----------
    run : Run
        With at least so many blocks.
    n_blocks : int
        How many.
    estimate : estimate
        That of the fit; one that has a method ``unbiased`` is replaced by what that returns, any
        other but `Difference` by the plain difference.

    Returns
    -------
    Scores
        Without the views' part of the error.
    """
    if type(estimate) is not Difference:
        estimate = getattr(estimate, "unbiased", Difference)()
    first = run.plan.blocks[:n_blocks]
    used = np.isin(run.plan.block, first)
    return estimate({k: run.values[k][used] for k in estimate.needs}, run.plan.take(first))


def _scored(plan):
    return plan.as_f.any(0) & plan.as_g.any(0)


def _check_share(name, value):
    check_in_range(name, value, numbers.Real)
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {shown(value)}.")


STOPPING = {rule.name: rule for rule in (ReliabilityReached, TopKCertain, RowsDecided)}


def get_stopping(stop_when):
    """Return a rule from its short form or the object itself.

    Parameters
    ----------
    stop_when : float, rule or None
        A number in (0, 1) is the reliability to reach.

    Returns
    -------
    rule or None
        Its parameters checked.

    Raises
    ------
    TypeError, ValueError
        It is neither, or a parameter is wrong.
    """
    if stop_when is None:
        return None
    if isinstance(stop_when, numbers.Real) and not isinstance(stop_when, bool):
        _check_share("stop_when", stop_when)
        return ReliabilityReached(float(stop_when))
    if isinstance(stop_when, type) or not (callable(stop_when) and hasattr(stop_when, "schedule")):
        kind = f"the class {stop_when.__name__}: call it" if isinstance(stop_when, type) else ""
        raise TypeError(
            "stop_when must be None, the reliability to reach, or a rule from sslmemo.stopping such "
            f"as TopKCertain(20), got {kind or shown(stop_when)}."
        )
    getattr(stop_when, "check", lambda: None)()
    return stop_when
