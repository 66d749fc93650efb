"""Linear probe: logistic regression on standardised representations."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .base import Probe

__all__ = ["LinearProbe"]

STRENGTHS = [10.0**e for e in range(-4, 3)]


class LinearProbe(Probe):
    """Multinomial logistic regression on frozen, standardised representations.

    Parameters
    ----------
    C : float or "cv", default=1.0
        Inverse strength of the L2 penalty; above 0. ``"cv"`` chooses among 1e-4, 1e-3, ..., 1e2 by the
        log-loss in 5-fold cross-validation over a fixed shuffle; with a class of fewer than 2 rows it
        is 1.
    max_iter : int, default=1000
        Most iterations of lbfgs; not negative.

    Attributes
    ----------
    C_ : float
        The strength that was used.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    converged_ : bool
        Whether lbfgs converged; a warning says so when it did not.
    n_iter_ : int
        Iterations used.
    pipeline_ : Pipeline
        The fitted scaler and classifier.
    n_features_in_ : int
        Length of a representation.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only when X has names that are all strings.

    See Also
    --------
    KNNProbe : A probe without any training.

    References
    ----------
    Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016
    (arXiv:1610.01644).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sslmemo import LinearProbe
    >>> X, y = load_iris(return_X_y=True)
    >>> bool(LinearProbe().fit(X, y).score(X, y) > 0.9)
    True
    """

    def __init__(self, C=1.0, max_iter=1000):
        self.C = C
        self.max_iter = max_iter

    def fit(self, X, y):
        """Fit the probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Representations.
        y : array-like of shape (n_samples,)
            Labels, of at least two classes.

        Returns
        -------
        self
            The fitted probe.

        Raises
        ------
        ValueError
            A parameter is out of range, X is no finite matrix, or y is continuous, of one class or
            of another length.

        Warns
        -----
        ConvergenceWarning
            `max_iter` iterations were too few.
        """
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        if isinstance(self.C, str) and self.C != "cv":
            raise ValueError(f"C must be a number above 0 or 'cv', got {self.C!r}.")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            self.C_ = self._chosen(X, y) if isinstance(self.C, str) else self.C
        caught.clear()  # of the search: what counts is the fit that follows
        classifier = LogisticRegression(C=self.C_, max_iter=self.max_iter)
        self.pipeline_ = make_pipeline(StandardScaler(), classifier)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            self.pipeline_.fit(X, y)
        self.classes_ = classifier.classes_
        self.n_iter_ = int(classifier.n_iter_.max())
        self.converged_ = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
        if not self.converged_:
            warnings.warn(
                f"LinearProbe did not converge in max_iter={self.max_iter} iterations: raise it.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _chosen(self, X, y):
        """Penalty with the lowest log-loss on rows left out."""
        smallest = min(np.unique(y, return_counts=True)[1])
        if smallest < 2:
            return 1.0
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=self.max_iter)),
            {"logisticregression__C": STRENGTHS},
            scoring="neg_log_loss",
            cv=StratifiedKFold(min(5, smallest), shuffle=True, random_state=0),
            refit=False,
        ).fit(X, y)
        return search.best_params_["logisticregression__C"]

    def decision_function(self, X):
        """Predict the score (logit) of each label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Representations, as long as those seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Columns in the order of `classes_`; with two classes one number, positive for the
            second.
        """
        check_is_fitted(self)
        return self.pipeline_.decision_function(validate_data(self, X, reset=False))
