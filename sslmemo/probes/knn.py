"""Nearest-neighbour probe by cosine similarity."""

from __future__ import annotations

import functools
import numbers

import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from .._compat import check_in_range
from .base import Probe

__all__ = ["KNNProbe", "cross_validated"]


def _weights(distance, temperature):
    """exp(cosine similarity / temperature); the nearest counts 1, so that nothing overflows."""
    return np.exp((distance.min(1, keepdims=True) - distance) / temperature)


class KNNProbe(Probe):
    """Vote of the nearest representations by cosine similarity, each dimension standardised first.

    Parameters
    ----------
    n_neighbors : int, default=20
        Voters, at least 1; where there are fewer training rows, all of them vote.
    temperature : float, default=0.07
        A neighbour votes with weight exp(cosine similarity / temperature); above 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    pipeline_ : Pipeline
        The fitted scaler and vote.
    n_features_in_ : int
        Length of a representation.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only when X has names that are all strings.

    See Also
    --------
    LinearProbe : A probe that is trained.

    References
    ----------
    Wu et al., Unsupervised feature learning via non-parametric instance discrimination, CVPR 2018
    (arXiv:1805.01978).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sslmemo import KNNProbe
    >>> X, y = load_iris(return_X_y=True)
    >>> bool(KNNProbe().fit(X, y).score(X, y) > 0.8)
    True
    """

    def __init__(self, n_neighbors=20, temperature=0.07):
        self.n_neighbors = n_neighbors
        self.temperature = temperature

    def fit(self, X, y):
        """Remember the representations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Representations.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self
            The fitted probe.

        Raises
        ------
        TypeError, ValueError
            A parameter is out of range, X is no finite matrix, or y is continuous or of another
            length.
        """
        check_in_range("n_neighbors", self.n_neighbors, numbers.Integral, 1)
        check_in_range("temperature", self.temperature, numbers.Real, 0, open_low=True)
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        vote = KNeighborsClassifier(
            min(self.n_neighbors, len(X)),
            metric="cosine",
            algorithm="brute",
            weights=functools.partial(_weights, temperature=self.temperature),
        )
        self.pipeline_ = make_pipeline(StandardScaler(), vote).fit(X, y)
        self.classes_ = vote.classes_
        return self


def cross_validated(z, y, n_splits=5):
    """Accuracy of a `KNNProbe` on its own rows, by cross-validation over a fixed shuffle.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_dimensions)
        Representations.
    y : array-like of shape (n_samples,) or None
        Labels.
    n_splits : int, default=5
        Folds, where there are as many rows.

    Returns
    -------
    float or None
        In [0, 1]; None without labels, for labels that are no classes, and for under four rows.
    """
    if y is None or len(y) < 4 or type_of_target(y) not in ("binary", "multiclass"):
        return None
    folds = KFold(min(n_splits, len(y) // 2), shuffle=True, random_state=0)
    return float(cross_val_score(KNNProbe(), z, y, cv=folds).mean())
