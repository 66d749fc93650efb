"""Correctness: whether a classifier gives a row its label."""

from __future__ import annotations

import numpy as np

from ..protocols import TrainingError
from ..training.supervised import digest_as_given, labels_key
from ._repr import ShortRepr

__all__ = ["Correctness"]


class Correctness(ShortRepr):
    """Error of every classifier on every row: 1 minus its correctness, so that it is a loss.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels of the rows.
    probability : bool, default=False
        False: 0 where the predicted label is y, else 1. True: 1 minus the probability of y, in
        [0, 1], which is the chance of an error if the label is drawn by the predicted probabilities.
    rows : Data or None, default=None
        Rows to ask for; None is the pool's own.
    name : str, default="misclassified"
        Of the array, (k, n) float32.

    Notes
    -----
    It asks models for ``predict(data)`` or ``probability(data, y)``, see `sslmemo.training.supervised`.
    """

    at = (1.0,)

    def __init__(self, y, probability=False, rows=None, name="misclassified"):
        self.y, self.probability, self.rows, self.name = np.asarray(y), probability, rows, name

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        rows = self.rows
        return {
            "measurement": "correctness",
            "array": self.name,
            "labels": labels_key(self.y),
            "probability": bool(self.probability),
            "rows": None if rows is None else [rows.fingerprint(), digest_as_given(rows)],
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        rows = data if self.rows is None else self.rows
        error = np.empty((len(models), len(rows)), np.float32)
        for j, model in enumerate(models):
            if self.probability:
                error[j] = 1 - model.probability(rows, self.y)
            else:
                error[j] = model.predict(rows) != self.y
        if not np.isfinite(error).all():
            raise TrainingError(
                f"a classifier of seed {seed} gives some row a probability that is not finite."
            )
        return {self.name: error}
