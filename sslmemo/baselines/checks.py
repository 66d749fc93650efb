"""Checks of classifiers and labels, before any training."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.base import is_classifier, is_regressor

from .._compat import shown
from ..sources import check_labels

__all__ = ["check_classes", "check_estimator"]


def check_classes(y, n):
    """Check labels of training rows.

    Parameters
    ----------
    y : array-like of shape (n,)
        As the user gave it.
    n : int
        Number of rows.

    Returns
    -------
    y : ndarray of shape (n,)
        Labels.
    classes : ndarray of shape (n_classes,)
        Distinct ones, sorted.

    Raises
    ------
    TypeError, ValueError
        There is not one label for each row, one is missing, they are numbers to regress on, or no two
        classes, or all of one row.

    Warns
    -----
    UserWarning
        Some classes have one row.
    """
    if y is None:
        raise ValueError(
            "LabelMemorizationEstimator requires y to be passed, but the target y is None."
        )
    y = check_labels(y, n)
    classes, count = np.unique(y, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has the one class {shown(classes.tolist()[0])}, and every classifier is right on it: "
            "at least two classes are needed."
        )
    if y.dtype.kind == "f" and (y % 1 != 0).any():
        raise ValueError(
            "Unknown label type: continuous. y are numbers to regress on, and labels of classes are "
            "needed: bin them first, such as by KBinsDiscretizer."
        )
    alone = classes[count == 1].tolist()
    if len(alone) == len(classes):
        raise ValueError(
            f"each of the {len(alone)} classes of y has one row, so no g can know any label: give "
            "labels that rows share."
        )
    if alone:
        warnings.warn(
            f"{len(alone)} classes of y have one row ({shown(alone)}): no g has seen them, so such a "
            "row is memorized wherever it is fitted.",
            stacklevel=4,
        )
    return y, classes


def check_estimator(estimator, outcome):
    """Refuse what is neither a classifier nor a factory of networks.

    Parameters
    ----------
    estimator : object
        See `LabelMemorizationEstimator`.
    outcome : {"label", "probability"}
        What is asked of it.

    Raises
    ------
    TypeError
        Naming what it is, and the mend.
    """
    name = "estimator"
    if estimator is None:
        return
    if isinstance(estimator, torch.nn.Module):
        raise TypeError(
            f"{name} is a {type(estimator).__name__} module, and every training needs a fresh one: "
            "pass a factory, such as its class or a function that builds it."
        )
    if isinstance(estimator, type) and hasattr(estimator, "predict"):
        raise TypeError(
            f"{name}={estimator.__name__} is a class: pass an object, {estimator.__name__}()."
        )
    if not hasattr(estimator, "fit"):
        if callable(estimator):
            return
        raise TypeError(
            f"{name} must be a scikit-learn classifier or a zero-argument factory of a torch module, "
            f"got {shown(estimator)}."
        )
    if not hasattr(estimator, "get_params"):
        raise TypeError(
            f"{name}={shown(estimator)} has no get_params, so it can't be cloned: derive its class "
            "from sklearn.base.BaseEstimator."
        )
    if is_regressor(estimator):
        raise TypeError(
            f"{name}={shown(estimator)} is a regressor, and label memorization asks whether the "
            "predicted label is right: pass a classifier, such as RidgeClassifier for ridge regression."
        )
    if not is_classifier(estimator):
        raise TypeError(
            f"{name}={shown(estimator)} is no classifier by scikit-learn's tags: pass one, or derive "
            "its class from ClassifierMixin."
        )
    if outcome == "probability" and not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"outcome='probability' needs predict_proba, which {name}={shown(estimator)} lacks: wrap it, "
            "CalibratedClassifierCV(...), or use outcome='label'."
        )
