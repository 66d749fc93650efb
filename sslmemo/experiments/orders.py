"""Orders in which rows are removed: by memorization, at random, and by what rivals would drop.

An order is one number a row, the highest removed first. Rivals that need an encoder read one that was
trained on all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .._compat import named
from ..augmentations.views import Views
from ..measurements import gradients
from ..measurements.downstream import represent
from ..measurements.isolation import input_isolation, nearest_distances
from ..randomness import derive_seed

__all__ = ["ORDERS", "Seen", "first_of", "order_of"]

N_VIEWS = 8
DIFFICULT = 90.0, 99.0  # percentiles of similarity between which a pair counts as difficult


@dataclass(frozen=True)
class Seen:
    """What an order may look at.

    Attributes
    ----------
    data : Data
        The n rows.
    y : ndarray of shape (n,)
        Their labels.
    scores : ndarray of shape (n,) or None
        Memorization of each.
    model : Model or None
        Trained on all rows.
    augmentation : callable or None
        Of its training.
    seed : int
        Of views.
    layer : {"encoder", "projector"}
        Whose output is the representation.
    """

    data: object
    y: np.ndarray
    scores: np.ndarray | None = None
    model: object = None
    augmentation: object = None
    seed: int = 0
    layer: str = "encoder"

    def unit(self):
        """Unit representations (n, d)."""
        return _unit(represent(self.model, self.data, self.layer))

    def views(self):
        """Yield positions of some rows, and their views (V, b, *shape)."""
        seed = derive_seed(self.seed, "order")
        return Views(self.augmentation).of_rows(self.data, N_VIEWS, seed)


def order_of(strategy, seen):
    """Give the order of a named strategy.

    Parameters
    ----------
    strategy : str
        A key of `ORDERS`.
    seen : Seen
        What it may look at.

    Returns
    -------
    ndarray of float, shape (n,)
        The highest is removed first.

    Raises
    ------
    ValueError
        The name is unknown, or the order needs scores and there are none for some rows.
    """
    return np.asarray(named(strategy, ORDERS, "strategies")(seen), dtype=float)


def first_of(order, fraction, classes=None):
    """Mark the rows that go first.

    Parameters
    ----------
    order : ndarray of float, shape (n,)
        The highest goes first; equal ones in the order of the rows.
    fraction : float
        Share that goes, in [0, 1].
    classes : ndarray of shape (n,) or None, default=None
        If given, the share goes of every class.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    mask = np.zeros(len(order), bool)
    parts = [np.arange(len(order))]
    if classes is not None:
        parts = [np.flatnonzero(classes == c) for c in np.unique(classes)]
    for rows in parts:
        first = rows[np.argsort(-order[rows], kind="stable")]
        mask[first[: round(fraction * len(rows))]] = True
    return mask


def memorized(seen):
    """The most memorized rows go first."""
    return _known(seen.scores)


def least_memorized(seen):
    """The least memorized rows go first."""
    return -_known(seen.scores)


def pixel_isolation(seen):
    """Rows far from their 5 nearest neighbours in the space of inputs go first."""
    return input_isolation(seen.data)


def isolation(seen):
    """Rows whose 5 nearest representations have the lowest cosine similarity go first."""
    return nearest_distances(seen.unit()).mean(1)


def augmentation_similarity(seen):
    """Rows whose views are least like those of the other rows of their class go first.

    The sum that SAS maximises over subsets (Joshi and Mirzasoleiman, Data-efficient contrastive
    self-supervised learning, ICML 2023), row by row and without its greedy choice.
    """
    mean = np.empty((len(seen.data), seen.model.embed(seen.data.rows([0]), seen.layer).shape[1]))
    for index, views in seen.views():
        z = seen.model.embed(views.flatten(0, 1), seen.layer)
        z = torch.nn.functional.normalize(z, dim=1).reshape(len(views), len(index), -1)
        mean[index] = z.mean(0).cpu().numpy()
    found = np.empty(len(mean))
    for label in np.unique(seen.y):
        rows = np.flatnonzero(seen.y == label)
        own = np.square(mean[rows]).sum(1)
        others = mean[rows] @ mean[rows].sum(0) - own
        found[rows] = -others / max(len(rows) - 1, 1)
    return found


def difficult(seen):
    """Rows in many pairs that are alike, but not of the most alike ones, go first.

    After Zhang et al. (arXiv:2501.01317), who call pairs difficult whose similarity before the
    projector lies between two percentiles, for they are often of other classes. Theirs are taken
    inside a batch; random batches have the percentiles of all pairs in the mean. 90 and 99 are ours.
    """
    z = seen.unit()
    rng = np.random.default_rng(0)
    first, second = rng.integers(len(z), size=(2, 200_000))
    sample = (z[first] * z[second]).sum(1)[first != second]
    low, high = np.percentile(sample, DIFFICULT)
    found = np.empty(len(z))
    for start in range(0, len(z), 512):
        similarity = z[start : start + 512] @ z.T
        found[start : start + 512] = ((similarity > low) & (similarity < high)).sum(1)
    return found


def self_influence(seen):
    """Rows whose own alignment has the largest gradient go first.

    TracIn's self-influence (Pruthi et al., NeurIPS 2020) at the last checkpoint: the squared norm of the
    gradient, in the encoder's weights, of the mean squared distance of the row's unit views.
    """
    return gradients.self_influence(seen.model, seen.views(), len(seen.data))


ORDERS = {
    "memorized": memorized,
    "least_memorized": least_memorized,
    "random": None,  # drawn afresh for every repeat
    "pixel_isolation": pixel_isolation,
    "isolation": isolation,
    "sas": augmentation_similarity,
    "difficult": difficult,
    "self_influence": self_influence,
}
NEED_SCORES = {"memorized", "least_memorized"}
NEED_MODEL = {"isolation", "sas", "difficult", "self_influence"}


def _known(scores):
    if scores is None:
        raise ValueError(
            "strategies 'memorized' and 'least_memorized' need scores: pass a fitted "
            "MemorizationEstimator or an array of scores."
        )
    unknown = int((~np.isfinite(scores)).sum())
    if unknown:
        raise ValueError(
            f"{unknown} of {len(scores)} rows have no score, so there is no order of all: use a "
            "design that scores every row, or leave those rows out of X."
        )
    return scores


def _unit(z):
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
