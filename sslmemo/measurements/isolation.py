"""Isolation and density: how alone a row's representation, or the row itself, is among the others."""

from __future__ import annotations

import numbers

import numpy as np
from scipy.special import logsumexp
from sklearn.neighbors import NearestNeighbors

from .._compat import check_at, check_in_range
from ..protocols import TrainingError
from ._repr import ShortRepr
from .downstream import represent

__all__ = ["InputIsolation", "Isolation", "input_isolation", "nearest_distances"]

N_NEIGHBORS = 5
TEMPERATURE = 0.1  # of the density's kernel
CHUNK = 1024  # rows compared with all others at once


class Isolation(ShortRepr):
    """Distance of a row's representation to the nearest others, and density of all others around it.

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
    The arrays are ``"isolation"``, the mean cosine distance to the nearest other rows, in [0, 2]; and
    ``"density"``, the logarithm of the mean of exp(cosine similarity / 0.1) over all other rows, in
    [-10, 10]. Each is (k, n), or (k, n_at, n) for several fractions.
    """

    name = "isolation"

    def __init__(self, n_neighbors=N_NEIGHBORS, layer="encoder", at=(1.0,)):
        check_in_range("n_neighbors", n_neighbors, numbers.Integral, 1)
        self.n_neighbors, self.layer, self.at = int(n_neighbors), layer, check_at(at)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "arrays": ["isolation", "density"],
            "n_neighbors": self.n_neighbors,
            "layer": self.layer,
            "at": list(self.at),
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        isolation, density = np.empty((2, len(models), len(data)), np.float32)
        for j, model in enumerate(models):
            z = represent(model, data, self.layer)
            if not np.isfinite(z).all():
                raise TrainingError(
                    f"an encoder of seed {seed} has representations that are not finite: its last "
                    "steps diverged (lower learning_rate), or it gives NaN for some row."
                )
            isolation[j], density[j] = _among_others(z, self.n_neighbors)
        return {"isolation": isolation, "density": density}


def _among_others(z, n_neighbors):
    """Isolation and density of every row, (n,) each."""
    n, k = len(z), min(n_neighbors, len(z) - 1)
    unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    isolation, density = np.empty((2, n))
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        similarity = unit[rows] @ unit.T
        similarity[rows - start, rows] = -np.inf  # a row is no neighbour of itself
        nearest = np.partition(similarity, n - k, axis=1)[:, n - k :]
        isolation[rows] = 1 - nearest.mean(1)
        density[rows] = logsumexp(similarity / TEMPERATURE, axis=1) - np.log(n - 1)
    return isolation, density


class InputIsolation(ShortRepr):
    """Mean Euclidean distance of a row to its nearest other rows, whatever the encoder.

    Parameters
    ----------
    n_neighbors : int, default=5
        At least 1; all other rows where there are fewer.

    Notes
    -----
    The array is ``"input_isolation"`` (k, n), the same for all encoders: estimates see matrices alone.
    """

    name = "input_isolation"
    at = (1.0,)

    def __init__(self, n_neighbors=N_NEIGHBORS):
        check_in_range("n_neighbors", n_neighbors, numbers.Integral, 1)
        self.n_neighbors = int(n_neighbors)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {"measurement": self.name, "n_neighbors": self.n_neighbors}

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the rows, once for all blocks of a process."""
        return {"input_isolation": np.tile(_known_rows(data, self.n_neighbors), (len(models), 1))}


_last = [None, None]  # what was asked for and found last: a worker gets a copy of everything else


def _known_rows(data, n_neighbors):
    """Input isolation (n,) of rows, which is not computed again for the rows that it was asked of last."""
    asked = data.fingerprint(), n_neighbors
    known, found = _last
    if known != asked:
        found = input_isolation(data, n_neighbors).astype(np.float32)
        _last[:] = asked, found
    return found


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
