"""What every kind of proxy is: measurements of trainings on all rows, and a score made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator

from .._compat import check_at

__all__ = ["CHECKPOINTS", "Kind", "Reading", "stages", "standardised_ranks"]

CHECKPOINTS = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the training, where a kind reads several


@dataclass(frozen=True)
class Reading:
    """What measurements need of a recipe.

    Attributes
    ----------
    augmentation : callable
        Of the training.
    distance : str or callable
        See `sslmemo.distances`.
    n_views : int
        Views a row.
    layer : {"encoder", "projector"}
        Whose output is read.
    device : str
        Where views are drawn.
    train_views : int
        Views of a row in every step of the training.
    trainer : SSLTrainer
        Of the training.
    """

    augmentation: object
    distance: object
    n_views: int
    layer: str
    device: str
    train_views: int
    trainer: object

    @property
    def own(self):
        """What measurements that bring a distance of their own take."""
        return {
            "augmentation": self.augmentation,
            "n_views": self.n_views,
            "layer": self.layer,
            "device": self.device,
        }


class Kind(BaseEstimator):
    """Base of the kinds: parameters by scikit-learn's conventions, two hooks.

    Notes
    -----
    A hook that a kind overrides without a docstring of its own has that of the base.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("measurements", "scores"):
            hook = vars(cls).get(name)
            if hook is not None and hook.__doc__ is None:
                hook.__doc__ = getattr(Kind, name).__doc__

    def measurements(self, reading):
        """Build what has to be read from the trainings.

        Parameters
        ----------
        reading : Reading
            Augmentation, distance, views, layer and device.

        Returns
        -------
        list of Measurement

        Raises
        ------
        TypeError, ValueError
            A parameter of the kind is out of its range.
        """
        raise NotImplementedError

    def scores(self, values):
        """Make scores of what was measured.

        Parameters
        ----------
        values : dict of str to ndarray of shape (n_encoders, ...)
            `Run.values`.

        Returns
        -------
        ndarray of float, shape (n_encoders, n_samples)
            Higher = more memorized.
        """
        raise NotImplementedError


def stages(array, at):
    """An array of the pool with its axis of checkpoints: (T, n_at, ...), for one fraction too."""
    return np.asarray(array, float)[:, None] if len(check_at(at)) == 1 else np.asarray(array, float)


def standardised_ranks(scores):
    """Ranks along the last axis, with mean 0 and variance 1; equal scores share a rank.

    Parameters
    ----------
    scores : ndarray of shape (..., n)
        Any scale.

    Returns
    -------
    ndarray of shape (..., n)
        Zeros where all scores are equal.
    """
    rank = rankdata(scores, axis=-1)
    rank -= rank.mean(-1, keepdims=True)
    size = rank.std(-1, keepdims=True)
    return rank / np.where(size > 0, size, 1)
