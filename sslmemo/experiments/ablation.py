"""Ablation: how scores depend on the choices behind them, one choice at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from ..estimator import MemorizationEstimator
from ..randomness import derive_seed, entropy_of
from ..table import LevelFrame, ScoreTable
from .agreement import agreement
from .inputs import as_list
from .prevalence import prevalence

__all__ = ["Ablation", "ablation"]

REFERENCE = "reference"


@dataclass(frozen=True, repr=False)
class Ablation(LevelFrame):
    """Fits that differ from a reference by one parameter each.

    Attributes
    ----------
    results : dict of str to MemorizationResult
        By ``"reference"`` and ``"parameter=value"``.
    changed : dict of str to tuple of (str, str)
        Parameter and value of each fit but the reference.
    """

    results: dict
    changed: dict

    def table(self, level=0.95):
        """Give one row a fit, the reference first.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            With the columns parameter; value; reliability; mean, mean_low, mean_high, the mean score
            (see `prevalence`); correlation, low, high: that of the true scores with the reference's,
            corrected for the noise of both and not clipped (see `agreement`); resolved, whether both
            reliabilities are at least 0.5; effective_rank, the median over encoders.
        """
        names = list(self.results)
        amounts = prevalence(self.results, level=level)
        found = agreement(self.results, level=level)
        ranks = [r.run.values.get("effective_rank", [np.nan]) for r in self.results.values()]
        changed = [self.changed.get(name, (REFERENCE, "")) for name in names]
        return ScoreTable(
            {
                "parameter": [p for p, _ in changed],
                "value": [v for _, v in changed],
                **{n: amounts[n] for n in ("reliability", "mean", "mean_low", "mean_high")},
                "correlation": found.corrected[0],
                "low": found.low[0],
                "high": found.high[0],
                "resolved": found.resolved[0],
                "effective_rank": [float(np.nanmedian(r)) for r in ranks],
            }
        )

    def __repr__(self):
        lines = []
        columns = self.table().columns
        for i, (name, value) in enumerate(zip(columns["parameter"], columns["value"], strict=True)):
            line = f"{name} {value}".strip() + f": mean score {columns['mean'][i]:.4f}"
            line += f" [{columns['mean_low'][i]:.4f}, {columns['mean_high'][i]:.4f}]"
            if i and columns["resolved"][i]:
                low, high = columns["low"][i], columns["high"][i]
                line += f"; true scores correlate {columns['correlation'][i]:.2f} [{low:.2f}, {high:.2f}]"
            elif i:
                line += "; correlation with the reference not resolved"
            lines.append(line)
        return "\n".join(lines)


def ablation(estimator, X, grid, *, y=None, groups=None, random_state=None):
    """Fit an estimator again for every value of every parameter, one changed at a time.

    Parameters
    ----------
    estimator : MemorizationEstimator
        The reference; it is cloned. Its `memory` keeps all fits, so that an interrupted call goes on.
    X : array-like or dataset
        Rows, as in `MemorizationEstimator.fit`.
    grid : dict of str to sequence
        Values by parameter, component parameters included: ``{"epochs": [30, 300], "augmentation":
        ["weak", "strong"], "design": [Subsample(0.25)], "method__temperature": [0.1, 0.5]}``. A dict in
        place of a sequence names its values: ``{"encoder": {"wide": make_wide}}``.
    y : array-like of shape (n_samples,), default=None
        Labels, for the quality of the representations.
    groups : array-like of shape (n_samples,), default=None
        As in `MemorizationEstimator.fit`.
    random_state : int, RandomState instance or None, default=None
        Every fit gets a seed of its own, so that no two share memberships, views or starting weights.

    Returns
    -------
    Ablation

    Raises
    ------
    TypeError, ValueError
        Before any training: `grid` is no dict of sequences, or holds an unknown parameter; and whatever
        the fits raise.
    """
    if not isinstance(estimator, MemorizationEstimator):
        raise TypeError(f"estimator must be a MemorizationEstimator, got {estimator!r}.")
    if not isinstance(grid, Mapping) or not grid:
        raise TypeError(
            f"grid must be a dict of parameters and their values, such as {{'epochs': [30, 300]}}, got "
            f"{grid!r}."
        )
    entropy = entropy_of(random_state)
    variants, changed = {REFERENCE: clone(estimator)}, {}
    for parameter, values in grid.items():
        named = (
            values.items()
            if isinstance(values, Mapping)
            else ((_short(v), v) for v in as_list(f"grid[{parameter!r}]", values))
        )
        for said, value in named:
            name = f"{parameter}={said}"
            variants[name] = clone(estimator).set_params(**{parameter: value})
            changed[name] = parameter, str(said)
    results = {}
    for name, variant in variants.items():
        seed = derive_seed(entropy, f"ablation {name}") % 2**32
        results[name] = variant.set_params(random_state=seed).fit(X, y, groups=groups).result_
    return Ablation(results, changed)


def _short(value):
    return getattr(value, "__name__", None) or " ".join(str(value).split())
