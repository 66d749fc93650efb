"""Contrasts: means with their intervals, p-values of several of them, and the frames that hold them."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ..estimates.blocks import check_level
from ..notebook import SummaryInNotebook

__all__ = ["Frames", "holm", "student"]


class Frames(SummaryInNotebook):
    """DataFrames of a result that has a `table` and a `summary_table`."""

    def to_frame(self):
        """Give `table` as a pandas DataFrame (extra ``[frame]``).

        Returns
        -------
        pandas.DataFrame
            The columns of `table`, indexed from 0.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        return self.table.to_frame()

    def summary_frame(self, **options):
        """Give `summary_table` as a pandas DataFrame (extra ``[frame]``).

        Parameters
        ----------
        **options : dict
            As `summary_table` takes them.

        Returns
        -------
        pandas.DataFrame
            The columns of `summary_table`, indexed from 0.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        return self.summary_table(**options).to_frame()


def student(values, level):
    """Mean of independent values, with Student's interval and test.

    Parameters
    ----------
    values : array-like of shape (n,)
        One a repeat, replicate or class.
    level : float
        Confidence, in (0, 1).

    Returns
    -------
    mean, low, high, p_value : float
        The p-value is two-sided, of a mean of 0; NaN with one value, as the ends are.
    """
    check_level(level)
    values = np.asarray(values, float)
    mean, n = float(values.mean()), len(values)
    if n < 2 or not np.isfinite(mean):
        return mean, np.nan, np.nan, np.nan
    se = float(stats.sem(values))
    half = stats.t.ppf((1 + level) / 2, n - 1) * se
    p = float(2 * stats.t.sf(abs(mean) / se, n - 1)) if se > 0 else float(mean == 0)
    return mean, mean - half, mean + half, p


def holm(p):
    """Holm's adjusted p-values; NaN stays.

    Parameters
    ----------
    p : array-like of shape (m,)
        p-values of a family of contrasts.

    Returns
    -------
    ndarray of shape (m,)
        At least as large, at most 1.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 1979.
    """
    p = np.asarray(p, dtype=float)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(
        np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0
    )
    return adjusted
