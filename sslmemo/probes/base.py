"""What the probes share: predictions of a pipeline that standardises first."""

from __future__ import annotations

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["Probe"]


class Probe(ClassifierMixin, BaseEstimator):
    """Base of the probes; `fit` sets `pipeline_` and `classes_`."""

    def predict(self, X):
        """Predict the most probable label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Representations, as long as those seen in fit.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        return self.pipeline_.predict(validate_data(self, X, reset=False))

    def predict_proba(self, X):
        """Predict the probability of each label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Representations, as long as those seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In [0, 1], each row summing to 1; columns in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.pipeline_.predict_proba(validate_data(self, X, reset=False))
