"""LabelMemorizationEstimator: Feldman's memorization of labels by a supervised training algorithm."""

from __future__ import annotations

import numbers

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._compat import check_choice, check_in_range, named, shown
from ..assembly import check_pool_parameters, draw_plan
from ..data import RowIndex, read_rows
from ..estimates import Difference, get_estimate
from ..measurements import Correctness
from ..notebook import FitInNotebook
from ..pool import run
from ..randomness import entropy_of, usual_torch
from ..result import MemorizationResult
from ..sources import check_labels
from ..training.precision import limit_jobs, resolve_device
from ..training.supervised import ClassifierTrainer, NetworkTrainer, default_classifier
from .checks import check_classes, check_estimator

__all__ = ["LabelMemorizationEstimator"]

ERROR, TEST_ERROR = "misclassified", "test_misclassified"


class LabelMemorizationEstimator(FitInNotebook, BaseEstimator):
    """Memorization of every training label by a classifier, with errors.

    Trains a pool of classifiers by a design and reports Feldman's

        m(x, y) = P[f(x) = y] - P[g(x) = y],

    where f was trained with the row and g without it. Higher means more memorized: such a label is
    got right only by who has seen it.

    Parameters
    ----------
    estimator : classifier, callable or None, default=None
        A scikit-learn classifier, which reads the rows as they are given, flattened and without names
        of columns; or a zero-argument factory of a fresh torch module, (b, *shape) -> logits
        (b, n_classes), which reads standardised columns, or images with channels first. None is
        logistic regression after standardisation, which memorizes little where rows are many times
        its columns. Every `random_state` in a classifier is set from the seed of its block.
    n_encoders : int, default=64
        Number of trainings, a multiple of the design's block. Two blocks give standard errors, 16
        good ones. An `Explicit` design brings its own number.
    design : str or design, default="subsample"
        ``"subsample"`` (complementary half-splits), ``"leave_one_out"``, ``"split"``, or an object of
        `sslmemo.designs`; ``Subsample(0.7, balanced=False)`` is Feldman and Zhang's.
    estimate : "difference" or estimate, default="difference"
        How matrices become scores; an object of `sslmemo.estimates` must read the array
        ``"misclassified"``, as ``Difference(of="misclassified")`` does.
    outcome : {"label", "probability"}, default="label"
        ``"label"`` is the definition: whether the predicted label is right. ``"probability"`` takes
        the probability of the label, of which the former is a noisy reading, in its place.
    epochs : float, default=100
        Passes of a network over its training rows, on average; above 0. All networks take the same
        number of steps. This and the next two don't concern classifiers of scikit-learn.
    batch_size : int or None, default=None
        Rows a step, from 2 to the size of the smallest training set; None is the smaller of that
        and 64.
    learning_rate : float, default=1e-3
        Peak of the one-cycle schedule of AdamW; above 0.
    channels : {"first", "last"}, default="first"
        Where an image has its channels; never guessed.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images.
    device : str, default="auto"
        Of networks: ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` and so on; ``"auto"`` is ``"cuda"`` where
        there is a GPU, else ``"cpu"``.
    n_jobs : int or None, default=None
        Blocks trained at once on a CPU, see `MemorizationEstimator`.
    memory : str, path or None, default=None
        Folder in which every finished block is kept, so that a later fit of the same rows, labels,
        parameters and `random_state` (an int) trains only what is missing.
    max_time : float or None, default=None
        Seconds for the pool, above 0, see `MemorizationEstimator`.
    on_error : {"raise", "drop"}, default="raise"
        Whether a training that fails ends the fit, or its block is left out with a warning.
    random_state : int, RandomState instance or None, default=None
        Of the design and the trainings. The same int, not negative, gives the same scores.
    verbose : int, default=1
        1 shows a progress bar over the trainings, 0 nothing.

    Attributes
    ----------
    result_ : MemorizationResult
        Scores with their errors and tables, and the matrices: ``result_.run.values["misclassified"]``.
        What its tables call alignment is the error, 1 minus P[label is right].
    memorization_scores_ : ndarray of shape (n_samples,)
        m(x, y) of every training row, in [-1, 1] and the order of X; NaN for a row never in or never
        out.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors, moderated by the other rows; NaN with one block, and 0, which is too
        certain, where all blocks agree: see Notes.
    membership_ : ndarray of bool, shape (n_encoders, n_samples)
        Who was trained on what.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    n_features_in_ : int
        Numbers in one row.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only when X has names that are all strings.
    layout_ : Layout
        How rows are read.

    See Also
    --------
    MemorizationEstimator : Memorization without labels, by self-supervised encoders.

    Notes
    -----
    With the default design the scores hold for classifiers trained on half of the rows. A row whose
    class has no other rows is memorized by definition wherever it is fitted. A training set of one
    class alone makes the classifier that always says it.

    Labels are right or wrong, so the blocks of an easy row all agree, and its standard error is 0
    although 20 blocks can't tell m = 0 from 0.1. Intervals of 95% were measured to cover 92% of the
    rows between 0.1 and 0.9; with ``outcome="probability"`` no row is so, and they cover 93% of all.

    References
    ----------
    Feldman, Does learning require memorization? A short tale about a long tail, STOC 2020
    (arXiv:1906.05271).

    Feldman and Zhang, What neural networks memorize and why, NeurIPS 2020 (arXiv:2008.03703),
    equations (1) and (2).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sslmemo import LabelMemorizationEstimator
    >>> X, y = load_wine(return_X_y=True)
    >>> est = LabelMemorizationEstimator(n_encoders=8, random_state=0, verbose=0).fit(X, y)
    >>> est.score_samples(X).shape
    (178,)
    """

    def __init__(self, estimator=None, *, n_encoders=64, design="subsample", estimate="difference",
                 outcome="label", epochs=100, batch_size=None, learning_rate=1e-3, channels="first",
                 image_shape=None, device="auto", n_jobs=None, memory=None, max_time=None,
                 on_error="raise", random_state=None, verbose=1):  # fmt: skip
        self.estimator = estimator
        self.n_encoders = n_encoders
        self.design = design
        self.estimate = estimate
        self.outcome = outcome
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.channels = channels
        self.image_shape = image_shape
        self.device = device
        self.n_jobs = n_jobs
        self.memory = memory
        self.max_time = max_time
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        """Labels are needed; two-, three- and four-dimensional arrays of numbers are read."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    @usual_torch()
    def fit(self, X, y, groups=None, *, X_test=None, y_test=None):
        """Train the pool and score every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n, c, h, w) or (n, h, w, c), or dataset
            Training rows, at least 2, of finite numbers.
        y : array-like of shape (n_samples,)
            Their labels: at least two classes, not all of them of one row.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are in or out together, see `MemorizationEstimator`; by default rows of
            equal content are a group, with a warning.
        X_test : array-like or dataset, default=None
            Rows on which `influence` is measured.
        y_test : array-like of shape (n_test,), default=None
            Their labels.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            Before any training: a parameter is wrong or does not suit X, y are no classes, or X has
            bad values. The message names the value and the mend.
        TrainingError
            A training failed and ``on_error="raise"``, or every block failed.

        Warns
        -----
        UserWarning
            Rows are copies of others, some can have no score, classes have one row, or blocks are
            missing.
        """
        estimate = self._check_parameters()
        data = self._read(X, reset=True)
        y, self.classes_ = check_classes(y, len(data))
        if (X_test is None) != (y_test is None):
            raise ValueError("X_test and y_test go together: give both, or neither.")
        measurements = [Correctness(y, self.outcome == "probability", name=ERROR)]
        if X_test is not None:
            measurements.append(self._on_test_rows(X_test, y_test))
        index = RowIndex(data)
        plan = self._plan(data, index, groups)
        trainer = self._trainer(data, y, plan.sizes)
        done = run(
            plan, trainer, measurements, data, n_jobs=limit_jobs(self.n_jobs, trainer.device),
            store=self.memory, on_error=self.on_error, max_time=self.max_time, verbose=self.verbose,
        )  # fmt: skip
        self.result_ = MemorizationResult(done, estimate)
        self._index, self._labels = index, np.searchsorted(self.classes_, y)
        self.membership_ = done.plan.member
        self.memorization_scores_ = self.result_.score
        self.standard_errors_ = self.result_.standard_error
        return self

    @usual_torch()
    def score_samples(self, X, y=None):
        """Memorization scores of training rows, recognised by content.

        Parameters
        ----------
        X : array-like or dataset
            Rows seen in fit, in any order; see `MemorizationEstimator.score_samples`.
        y : array-like of shape (n_samples,), default=None
            Their labels. Copies of a row get the mean of their scores: of those with this label, or
            of all where y is None.

        Returns
        -------
        ndarray of shape (n_samples,)
            Scores m(x, y), higher = more memorized; NaN for a row never in or never out.

        Raises
        ------
        ValueError
            A row, or a row with this label, was not seen in fit; or it has another shape.
        """
        check_is_fitted(self, "result_")
        data = self._read(X)
        found, known = self._index.find_all(data), self._index.copy_of
        if y is not None:
            labels = check_labels(y, len(data))
            code = {label: c for c, label in enumerate(self.classes_.tolist())}
            asked = np.array([code.get(label, -1) for label in labels.tolist()])
            found, known = _pairs(found, asked), _pairs(known, self._labels)
            other = np.flatnonzero(~np.isin(found, known))
            if len(other):
                label = shown(labels.tolist()[other[0]])
                raise ValueError(
                    f"row {other[0]} was not seen in fit with the label {label}: the memorization of "
                    "another label is not known. Leave y out, or give the labels of fit."
                )
        content, inverse = np.unique(known, return_inverse=True)
        mean = np.bincount(inverse, weights=self.memorization_scores_) / np.bincount(inverse)
        return mean[np.searchsorted(content, found)]

    def influence(self, return_std=False):
        """Influence of every training row on every test row given to fit.

        Feldman and Zhang's P[f(x') = y'] - P[g(x') = y'], where f was trained with the row and g
        without it, and (x', y') is the test row.

        Parameters
        ----------
        return_std : bool, default=False
            Give standard errors too.

        Returns
        -------
        influence : ndarray of shape (n_test, n_samples)
            In [-1, 1]: above 0 the training row helps. NaN for a training row never in or never out.
        standard_error : ndarray of shape (n_test, n_samples)
            With `return_std`; from the spread over blocks, NaN with one block.

        Raises
        ------
        ValueError
            No test rows were given to fit.
        """
        check_is_fitted(self, "result_")
        values, plan = self.result_.run.values, self.result_.run.plan
        if TEST_ERROR not in values:
            raise ValueError(
                "influence needs test rows, on which every classifier is asked while it is there: "
                "fit(X, y, X_test=..., y_test=...)."
            )
        # a test row's error under every classifier takes the place of a training row's own
        found = [
            Difference(of=ERROR)({ERROR: np.broadcast_to(error[:, None], plan.member.shape)}, plan)
            for error in values[TEST_ERROR].T
        ]
        influence = np.stack([scores.score for scores in found])
        if not return_std:
            return influence
        return influence, np.stack([scores.raw_standard_error for scores in found])

    def _read(self, X, reset=False):
        return read_rows(self, X, reset, unit_range=False)

    def _on_test_rows(self, X_test, y_test):
        rows = self._read(X_test)
        y_test = check_labels(y_test, len(rows), "y_test")
        unknown = np.setdiff1d(y_test, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y_test has the label {shown(unknown.tolist()[0])}, which y lacks: no classifier can "
                "give it. Drop such rows."
            )
        return Correctness(y_test, self.outcome == "probability", rows, TEST_ERROR)

    def _plan(self, data, index, groups):
        return draw_plan(self, data, index, groups, entropy_of(self.random_state))

    def _trainer(self, data, y, sizes):
        if not callable(self.estimator):
            estimator = self.estimator
            if estimator is None:
                estimator = default_classifier()
            return ClassifierTrainer(estimator, y, data)
        mean, smallest = sizes
        size = min(64, smallest) if self.batch_size is None else int(self.batch_size)
        if size > smallest:
            raise ValueError(
                f"batch_size={size} is larger than the smallest training set of the plan, which has "
                f"{smallest} rows: lower it, or leave batch_size=None."
            )
        trainer = NetworkTrainer(
            self.estimator, y, steps=max(1, round(float(self.epochs) * mean / size)),
            batch_size=size, learning_rate=float(self.learning_rate),
            device=resolve_device(self.device),
        )  # fmt: skip
        trainer.check(data)
        return trainer

    def _check_parameters(self):
        """Refuse bad parameters before the data are read; return the estimate."""
        check_estimator(self.estimator, self.outcome)
        check_pool_parameters(self)
        check_choice("outcome", self.outcome, ("label", "probability"))
        for name in ("epochs", "learning_rate"):
            check_in_range(name, getattr(self, name), numbers.Real, 0, open_low=True, finite=True)
        if self.batch_size is not None:
            check_in_range("batch_size", self.batch_size, numbers.Integral, 2)
        if isinstance(self.estimate, str):
            return named(self.estimate, {"difference": Difference}, "estimate")(of=ERROR)
        estimate = get_estimate(self.estimate)
        if tuple(estimate.needs) != (ERROR,):
            raise ValueError(
                f"estimate={shown(estimate)} reads {', '.join(map(repr, estimate.needs))}, but "
                f"classifiers have {ERROR!r} alone: Difference(of={ERROR!r})."
            )
        return estimate


def _pairs(rows, labels):
    """One number for each pair of a row's content and a label, -1 of either included: int (n,)."""
    return (rows + 1) * 2**32 + labels + 1
