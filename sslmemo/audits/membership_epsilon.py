"""epsilon_lower_bound: what an attack's hits and false alarms say of differential privacy."""

from __future__ import annotations

import numbers

import numpy as np
from scipy import stats

from .._compat import check_in_range
from ..estimates.blocks import check_level

__all__ = ["epsilon_lower_bound"]


def epsilon_lower_bound(true_positives, n_members, false_positives, n_non_members, *, delta=0.0,
                        level=0.95):  # fmt: skip
    """Lower confidence bound of epsilon from one attack's counts.

    (epsilon, delta)-differential privacy binds every test: TPR <= e^epsilon FPR + delta, and
    1 - FPR <= e^epsilon (1 - TPR) + delta. With the lower Clopper-Pearson bound of TPR and the upper one of
    FPR, each at 1 - (1 - level) / 2, the larger of what the two inequalities demand is the bound.

    It holds for *independent* trials, each one training whose target row was in or out by a coin of its
    own, and for a threshold chosen on other data. The rows of one encoder are not such trials: they were
    trained together; nor is a threshold read off the same ROC. One row across a pool's blocks is, one
    encoder a block. It is a bound for the training algorithm and its data, never a proof of privacy: a
    weak attack gives 0.

    Parameters
    ----------
    true_positives : int
        Members that the attack calls members, from 0 to `n_members`.
    n_members : int
        Trials with the row; at least 1.
    false_positives : int
        Non-members that it calls members, from 0 to `n_non_members`.
    n_non_members : int
        Trials without the row; at least 1.
    delta : float, default=0.0
        In [0, 1].
    level : float, default=0.95
        Confidence, in (0, 1).

    Returns
    -------
    float
        At least 0; the true epsilon at `delta` is lower in at most 1 - level of such experiments.

    Raises
    ------
    TypeError, ValueError
        A count or parameter is no number of its range.

    References
    ----------
    Jagielski, Ullman and Oprea, Auditing differentially private machine learning, NeurIPS 2020
    (arXiv:2006.07709). Clopper and Pearson, Biometrika 1934.

    Examples
    --------
    >>> round(epsilon_lower_bound(900, 1000, 10, 1000), 2)
    3.87
    """
    check_in_range("n_members", n_members, numbers.Integral, 1)
    check_in_range("n_non_members", n_non_members, numbers.Integral, 1)
    check_in_range("true_positives", true_positives, numbers.Integral, 0, n_members)
    check_in_range("false_positives", false_positives, numbers.Integral, 0, n_non_members)
    check_in_range("delta", delta, numbers.Real, 0, 1)
    check_level(level)
    share = 1 - (1 - level) / 2  # two statements, both true with probability `level`
    tpr = lower_bound(true_positives, n_members, share)
    fpr = 1 - lower_bound(n_non_members - false_positives, n_non_members, share)
    with np.errstate(divide="ignore"):
        demanded = np.log(np.maximum([tpr - delta, 1 - delta - fpr], 0.0)) - np.log([fpr, 1 - tpr])
    return float(max(0.0, *demanded))


def lower_bound(hits, n, level):
    """One-sided lower Clopper-Pearson bound of a rate.

    Parameters
    ----------
    hits : int
        From 0 to n.
    n : int
        Trials.
    level : float
        Confidence, in (0, 1).

    Returns
    -------
    float
        In [0, 1).
    """
    return float(stats.beta.ppf(1 - level, hits, n - hits + 1)) if hits else 0.0
