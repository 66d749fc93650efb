"""Isolation: how far a row's representation, or the row itself, lies from its nearest neighbours."""

from __future__ import annotations

import numbers

import numpy as np
from sklearn.neighbors import NearestNeighbors

from .._compat import check_in_range
from ..protocols import TrainingError
from .downstream import represent

__all__ = ["Isolation", "input_isolation", "nearest_distances"]

N_NEIGHBORS = 5


class Isolation:
    """Mean cosine distance of a row's representation to those of its nearest other rows.

    Rows are read as they are, without augmentation, and all rows of the data are neighbours, trained on
    or not.

    Parameters
    ----------
    n_neighbors : int, default=5
        At least 1; all other rows where there are fewer.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is read.
    at : ascending tuple of float, default=(1.0,)
        Fractions of the training at which it is read, in (0, 1].

    Notes
    -----
    The array is ``"isolation"``, (k, n), or (k, n_at, n) for several fractions; in [0, 2].
    """

    name = "isolation"

    def __init__(self, n_neighbors=N_NEIGHBORS, layer="encoder", at=(1.0,)):
        check_in_range("n_neighbors", n_neighbors, numbers.Integral, 1)
        self.n_neighbors, self.layer, self.at = int(n_neighbors), layer, tuple(at)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "n_neighbors": self.n_neighbors,
            "layer": self.layer,
            "at": list(self.at),
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        found = np.empty((len(models), len(data)), np.float32)
        for j, model in enumerate(models):
            z = represent(model, data, self.layer)
            if not np.isfinite(z).all():
                raise TrainingError(
                    f"an encoder of seed {seed} has representations that are not finite: its last "
                    "steps diverged (lower learning_rate), or it gives NaN for some row."
                )
            found[j] = nearest_distances(z, self.n_neighbors, "cosine").mean(1)
        return {"isolation": found}


def input_isolation(data, n_neighbors=N_NEIGHBORS):
    """Mean Euclidean distance of every row to its nearest other rows, as the network reads them.

    Parameters
    ----------
    data : Data
        The n rows.
    n_neighbors : int, default=5
        All other rows where there are fewer.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    flat = np.concatenate([data.array(i).reshape(len(i), -1) for i in data.chunks()])
    return nearest_distances(flat, n_neighbors, "euclidean").mean(1)


def nearest_distances(z, n_neighbors=N_NEIGHBORS, metric="cosine"):
    """Distances to the nearest other rows.

    Parameters
    ----------
    z : ndarray of float, shape (n, d)
        At least two rows.
    n_neighbors : int, default=5
        All other rows where there are fewer.
    metric : str, default="cosine"
        One of scikit-learn's.

    Returns
    -------
    ndarray of float, shape (n, n_neighbors)
        Ascending.
    """
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(z) - 1), metric=metric).fit(z)
    return search.kneighbors()[0]
