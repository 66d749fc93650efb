"""The three interfaces that the pool is built from: model, trainer, measurement."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Measurement", "Model", "Trainer", "TrainingError"]


class TrainingError(RuntimeError):
    """A training failed (a non-finite loss, say); names the seed that repeats it."""


@runtime_checkable
class Model(Protocol):
    """A fitted model."""

    def embed(self, x, layer="encoder"):
        """Representations of a batch, in eval mode and without gradients: (b, ...) -> (b, d)."""

    def state(self):
        """Weights and buffers by name: dict of ndarray."""


@runtime_checkable
class Trainer(Protocol):
    """Training rows and seeds in, fitted models out."""

    def config(self):
        """Everything that determines a training beside data, rows and seed, as plain JSON."""

    def max_together(self, n_rows):
        """How many encoders of `n_rows` rows may be trained in one call."""

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        """Train k encoders.

        Parameters
        ----------
        data : Data
            Where rows come from.
        member : ndarray of bool, shape (k, n)
            Training rows of each encoder.
        seeds : sequence of int, length k
            All randomness of each encoder.
        at : ascending floats in (0, 1]
            Fractions of the training at which models are handed out.
        observers : callables
            Called every step as observer(step, rows (k, b), loss (k, b), z (k, V, b, d)).

        Yields
        ------
        (float, list of k Model)
            In the order of `at`.
        """


@runtime_checkable
class Measurement(Protocol):
    """Models of one block in, named arrays out."""

    name: str
    at: tuple

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""

    def observer(self, k, n):
        """None, or a callable that watches every step of k encoders over n rows."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure k models of one block under one view seed.

        Models read network inputs, as `data.rows(index)` gives them: a table's columns are
        standardised there, uint8 images scaled.

        Returns
        -------
        dict of str to ndarray
            Arrays of shape (k, n), or (k, ...).
        """
