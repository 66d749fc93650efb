"""Combined: a fixed linear combination of kinds, its weights learnt on pools of other data."""

from __future__ import annotations

import numbers

import numpy as np

from .._compat import check_in_range, named, shown
from .base import Kind, standardised_ranks

__all__ = ["Combined", "fit_combination"]


class Combined(Kind):
    """Weighted sum of the standardised ranks of several kinds, all read from the same trainings.

    Parameters
    ----------
    weights : dict of str to float or None, default=None
        Weight of each kind, by its name in `kinds`; None takes the table `sslmemo.proxies.weights`,
        where one was learnt. `fit_combination` makes such a dict.
    kinds : dict of str to Kind or None, default=None
        What the names stand for; None means those of `PROXIES`, with their defaults.
    """

    def __init__(self, weights=None, kinds=None):
        self.weights = weights
        self.kinds = kinds

    def measurements(self, reading):
        found = {}
        for kind in self._kinds().values():
            for m in kind.measurements(reading):
                one = found.setdefault(m.name, m)
                if one.config() != m.config():
                    raise ValueError(
                        f"two of the combined kinds read {m.name!r} with different parameters (such as "
                        "at): give them the same."
                    )
        return list(found.values())

    def features(self, values):
        """Standardised ranks of every kind's scores.

        Parameters
        ----------
        values : dict of str to ndarray of shape (n_encoders, ...)
            `Run.values`.

        Returns
        -------
        dict of str to ndarray of shape (n_encoders, n_samples)
            See `standardised_ranks`.
        """
        return {
            name: standardised_ranks(kind.scores(values)) for name, kind in self._kinds().items()
        }

    def scores(self, values):
        weights = self._weights()
        return sum(weights[name] * z for name, z in self.features(values).items())

    def _weights(self):
        from .weights import WEIGHTS

        weights = WEIGHTS if self.weights is None else self.weights
        if not isinstance(weights, dict) or not weights:
            raise ValueError(
                "weights must be a dict of the name of a kind to its weight, such as that of "
                f"fit_combination, got {shown(self.weights)}; no table of learnt weights is installed."
            )
        for name, weight in weights.items():
            check_in_range(f"weights[{name!r}]", weight, numbers.Real, finite=True)
        return weights

    def _kinds(self):
        from .registry import PROXIES

        known = self.kinds
        if known is None:
            known = {name: kind() for name, kind in PROXIES.items() if kind is not Combined}
        return {name: named(name, known, "weights") for name in self._weights()}


def fit_combination(problems, alpha=0.1):
    """Learn the weights of a combination by ridge regression on problems whose truth is known.

    Every problem counts the same, whatever its number of rows.

    Parameters
    ----------
    problems : sequence of (dict of str to ndarray of shape (n,), ndarray of shape (n,))
        For each problem the scores of one training by every kind, and the truth. Both become
        `standardised_ranks` first, so that no problem's scale matters.
    alpha : float, default=0.1
        Penalty on the squared weights, in units of a feature's variance; at least 0.

    Returns
    -------
    dict of str to float
        Weights for `Combined`: they minimise the mean over problems and rows of
        (truth - sum of weight x feature)^2, plus alpha times the sum of squared weights.

    Raises
    ------
    ValueError
        There is no problem, two have different kinds, or shapes or values don't do.
    """
    check_in_range("alpha", alpha, numbers.Real, 0, finite=True)
    problems = list(problems)
    if not problems:
        raise ValueError("problems is empty: give at least one (features, truth).")
    names = list(problems[0][0])
    gram, moment = alpha * np.eye(len(names)), np.zeros(len(names))
    for number, (features, truth) in enumerate(problems):
        if set(features) != set(names):
            raise ValueError(
                f"problem {number} has features {sorted(features)}, the first one {sorted(names)}: "
                "all must have the same."
            )
        columns = [np.asarray(features[name], float) for name in names]
        truth = np.asarray(truth, float)
        if any(c.shape != truth.shape or truth.ndim != 1 for c in columns):
            raise ValueError(f"problem {number}: features and truth must all have one shape, (n,).")
        if not (np.isfinite(truth).all() and all(np.isfinite(c).all() for c in columns)):
            raise ValueError(f"problem {number} holds values that are not finite: leave rows out.")
        x = np.stack([standardised_ranks(c) for c in columns], axis=1)  # (n, p)
        gram += x.T @ x / (len(truth) * len(problems))
        moment += x.T @ standardised_ranks(truth) / (len(truth) * len(problems))
    weights = np.linalg.lstsq(gram, moment, rcond=None)[0]  # alpha=0 may leave it singular
    return {name: float(w) for name, w in zip(names, weights, strict=True)}
