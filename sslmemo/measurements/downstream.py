"""Downstream: how well a task on held-out rows is solved with the representations of an encoder."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone, is_regressor

from .._compat import check_choice, named
from ..identity import describe, key_of
from ..probes import KNNProbe, LinearProbe
from ._repr import ShortRepr

__all__ = ["Downstream", "evaluator_of", "metric_of", "represent"]

PROBES = {"linear": LinearProbe, "knn": KNNProbe}


class Downstream(ShortRepr):
    """Outcome of one or several evaluators on every test row, for every encoder of a pool.

    Parameters
    ----------
    evaluators : dict of str to estimator
        Classifiers or regressors of scikit-learn, fitted on frozen representations; or evaluators that
        read the model itself, with a method ``outcome(model, fit_rows, y_fit, test_rows, y_test,
        layer, seed) -> (n_test,)``.
    y_fit : array-like of shape (n_fit, ...)
        Targets of `fit_rows`.
    test_rows : Data
        Held-out rows.
    y_test : array-like of shape (n_test, ...)
        Their targets.
    fit_rows : Data or None, default=None
        Rows that evaluators are fitted on; None is the pool's own.
    probe_rows : {"all", "kept"}, default="all"
        Of the pool's own rows: all, or those alone that the encoder was trained on.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is the representation.

    Notes
    -----
    The arrays are ``"<name>"`` (k, n_test), float32: for a classifier 1 where the label is right and 0
    where not, for a regressor minus the squared error. Their mean over test rows is the accuracy, or minus
    the mean squared error.
    """

    name = "downstream"
    at = (1.0,)

    def __init__(self, evaluators, y_fit, test_rows, y_test, *, fit_rows=None, probe_rows="all",
                 layer="encoder"):  # fmt: skip
        check_choice("probe_rows", probe_rows, ("all", "kept"))
        if probe_rows == "kept" and fit_rows is not None:
            raise ValueError(
                "probe_rows='kept' fits the probe on rows of the pool, but other rows are given to "
                "fit it on: leave them out, or use probe_rows='all'."
            )
        self.evaluators = dict(evaluators)
        self.y_fit, self.y_test = np.asarray(y_fit), np.asarray(y_test)
        self.fit_rows, self.test_rows = fit_rows, test_rows
        self.probe_rows, self.layer = probe_rows, layer

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "evaluators": describe(self.evaluators),
            "fit_rows": None if self.fit_rows is None else self.fit_rows.fingerprint(),
            "test_rows": self.test_rows.fingerprint(),
            "targets": [key_of(_plain(self.y_fit)), key_of(_plain(self.y_test))],
            "probe_rows": self.probe_rows,
            "layer": self.layer,
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models of one block, see `sslmemo.protocols.Measurement`."""
        fit = data if self.fit_rows is None else self.fit_rows
        found = {n: np.empty((len(models), len(self.y_test)), np.float32) for n in self.evaluators}
        for j, model in enumerate(models):
            kept = np.flatnonzero(member[j]) if self.probe_rows == "kept" else np.arange(len(fit))
            outcomes = self._outcomes(model, fit, kept, seed)
            for name, outcome in outcomes.items():
                found[name][j] = outcome
        return found

    def _outcomes(self, model, fit, kept, seed):
        """Outcome (n_test,) of every evaluator; rows are represented once for all of them."""
        z = z_test = None
        found = {}
        for name, evaluator in self.evaluators.items():
            if hasattr(evaluator, "outcome"):
                found[name] = evaluator.outcome(
                    model, fit.take(kept), self.y_fit[kept], self.test_rows, self.y_test,
                    layer=self.layer, seed=seed,
                )  # fmt: skip
                continue
            if z is None:
                z, z_test = (represent(model, rows, self.layer) for rows in (fit, self.test_rows))
            said = clone(evaluator).fit(z[kept], self.y_fit[kept]).predict(z_test)
            found[name] = outcome_of(evaluator, said, self.y_test)
        return found


def evaluator_of(downstream):
    """Give the evaluator of a name, or the object itself.

    Parameters
    ----------
    downstream : str or estimator
        ``"linear"``, ``"knn"``, or an object with fit and predict, or with outcome.

    Returns
    -------
    estimator

    Raises
    ------
    TypeError, ValueError
        The name is unknown, or the object is no evaluator.
    """
    one = named(downstream, PROBES, "downstream")() if isinstance(downstream, str) else downstream
    if isinstance(one, type):
        raise TypeError(f"downstream={one.__name__} is a class: pass an object, {one.__name__}().")
    if not (hasattr(one, "outcome") or (hasattr(one, "fit") and hasattr(one, "predict"))):
        raise TypeError(
            f"downstream must be {', '.join(map(repr, PROBES))} or an estimator with fit and "
            f"predict, got {one!r}."
        )
    return one


def metric_of(evaluator):
    """Name of what the mean outcome of an evaluator is.

    Parameters
    ----------
    evaluator : estimator
        As `evaluator_of` returns it.

    Returns
    -------
    str
        Its attribute `metric`, else ``"neg_mean_squared_error"`` of a regressor, else
        ``"accuracy"``.
    """
    usual = "neg_mean_squared_error" if is_regressor(evaluator) else "accuracy"
    return getattr(evaluator, "metric", usual)


def outcome_of(evaluator, predicted, y):
    """1 where a label is right, else 0; of a regressor minus the squared error: (n,)."""
    if is_regressor(evaluator):
        return -np.square(np.asarray(predicted, float) - y).reshape(len(y), -1).mean(1)
    return (predicted == y).astype(np.float32)


def represent(model, data, layer="encoder"):
    """Representations of all rows as they are, without augmentation.

    Parameters
    ----------
    model : Model
        Trained.
    data : Data
        The rows.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is read.

    Returns
    -------
    ndarray of float32, shape (n_samples, n_dimensions)
    """
    parts = [model.embed(data.rows(index), layer).cpu().numpy() for index in data.chunks()]
    return np.concatenate(parts)


def _plain(labels):
    """Labels as an array that can be hashed: text of any length becomes bytes."""
    return labels if labels.dtype.kind in "biuf" else np.char.encode(labels.astype(str), "utf-8")
