"""Scorers for model selection: memorization beside quality.

They read `result_`, look inside a Pipeline or a search, and never touch the rows they are given:
memorization is a property of training rows, so the held-out fold has none.
"""

from __future__ import annotations

__all__ = ["mean_memorization", "reliability"]


def result_of(estimator):
    """Find the MemorizationResult of a fitted estimator, Pipeline or search."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    for part in [estimator, *(step for _, step in getattr(estimator, "steps", []))]:
        if hasattr(part, "result_"):
            return part.result_
    raise TypeError(
        f"{type(estimator).__name__} holds no fitted MemorizationEstimator: this scorer reads its "
        "result_."
    )


def mean_memorization(estimator, X=None, y=None):
    """Mean score of the training rows, for ``scoring=``.

    Parameters
    ----------
    estimator : MemorizationEstimator, or a Pipeline or search that holds a fitted one
        Whose result is read.
    X, y : ignored
        Present by convention.

    Returns
    -------
    float
        In the unit of the scores. Higher means more memorization, not better.

    Raises
    ------
    TypeError
        `estimator` holds no fitted MemorizationEstimator.
    """
    return result_of(estimator).mean_score


def reliability(estimator, X=None, y=None):
    """Reliability of the training rows' scores, for ``scoring=``.

    Parameters
    ----------
    estimator : MemorizationEstimator, or a Pipeline or search that holds a fitted one
        Whose result is read.
    X, y : ignored
        Present by convention.

    Returns
    -------
    float
        Pearson correlation with the scores of an independent rerun, at most 1; NaN with one block.

    Raises
    ------
    TypeError
        `estimator` holds no fitted MemorizationEstimator.
    """
    return result_of(estimator).reliability
