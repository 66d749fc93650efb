"""What it costs not to memorize subpopulations that were seen seldom, measured on a long tail."""

from __future__ import annotations

import numbers
from collections.abc import Mapping

import numpy as np
from scipy import stats
from sklearn.base import clone, is_classifier

from .._compat import check_in_range, shown
from ..estimates.blocks import check_level, mean_or_nan
from ..estimator import MemorizationEstimator
from ..probes import KNNProbe
from ..randomness import derive_seed, entropy_of
from ..table import ScoreTable
from ..training.noise import GradientNoise, check_gradient_noise
from .contrasts import student
from .mixture import LongTailSimulator

__all__ = ["LongTailSimulator", "long_tail_experiment", "regularised_variants"]


def regularised_variants(
    estimator, augmentation=None, epochs=0.1, learning_rate=0.01, gradient_noise=None
):
    """Give an estimator and versions of it whose training is held back from memorizing.

    Parameters
    ----------
    estimator : MemorizationEstimator
        The plain one, unfitted.
    augmentation : str or callable, default=None
        A stronger augmentation, such as ``FeatureCorruption(rate=0.6)``; None leaves this version
        out. Its alignment is measured on its own, stronger views.
    epochs : float, default=0.1
        Share of the epochs at which the early stop comes, in (0, 1].
    learning_rate : float, default=0.01
        Factor of the learning rate of the slow version, in (0, 1].
    gradient_noise : GradientNoise, default=None
        Of the version with noise on its clipped gradients; None is ``GradientNoise(clip=1.0,
        multiplier=1.0)``. It gives no privacy guarantee, see `sslmemo.training.noise.GradientNoise`.

    Returns
    -------
    dict of str to MemorizationEstimator
        ``"plain"``, ``"early stop"``, ``"small learning rate"``, ``"gradient noise"`` and, where
        given, ``"strong augmentation"``. How much they memorize nevertheless is measured, not
        promised: none of them bounds it.

    Raises
    ------
    TypeError, ValueError
        `estimator` is no MemorizationEstimator, a share lies outside (0, 1], or `gradient_noise` is
        no GradientNoise or has a bad parameter.

    Notes
    -----
    With BatchNorm an encoder that has learned nothing may score below 0, not 0: the running
    statistics alone have seen its rows. With ``norm="layer"`` it scores 0.
    """
    _check_estimator("estimator", estimator)
    for name, share in (("epochs", epochs), ("learning_rate", learning_rate)):
        check_in_range(name, share, numbers.Real, 0, 1, open_low=True)
    noise = check_gradient_noise(GradientNoise() if gradient_noise is None else gradient_noise)

    def changed(**params):
        return clone(estimator).set_params(**params)

    variants = {
        "plain": changed(),
        "early stop": changed(epochs=epochs * estimator.epochs),
        "small learning rate": changed(learning_rate=learning_rate * estimator.learning_rate),
        "gradient noise": changed(gradient_noise=noise),
    }
    if augmentation is not None:
        variants["strong augmentation"] = changed(augmentation=augmentation)
    return variants


def long_tail_experiment(
    simulator, estimators, *, probe=None, n_test=20, level=0.95, n_jobs=None, memory=None,
    random_state=0,
):  # fmt: skip
    """Measure memorization and error by how often a subpopulation was seen.

    Every estimator is fitted on one sample of the simulator. A probe is fitted on the
    representations of the sample by `encoder_` and asked for fresh points of every subpopulation that
    the sample holds, equally many of each.

    Parameters
    ----------
    simulator : LongTailSimulator
        The population, and the size of the sample.
    estimators : dict of str to MemorizationEstimator
        Variants of the training by name, see `regularised_variants`; they are cloned.
    probe : classifier, default=None
        Reads the representations; cloned. None is ``KNNProbe(1)``, the theory's rule that fits every
        training label: what keeps a variant from a right answer is then the representation.
    n_test : int, default=20
        Fresh points of each subpopulation; at least 1.
    level : float, default=0.95
        Confidence of the intervals, in (0, 1).
    n_jobs : int, default=None
        Of the estimators; None leaves their own.
    memory : str or path, default=None
        Folder for finished blocks; None leaves the estimators' own.
    random_state : int, RandomState instance or None, default=0
        Of the sample, the trainings and the test points. All variants get the same, and so the same
        membership and, with one augmentation, the same views.

    Returns
    -------
    ScoreTable
        One row a variant and count l that occurs in the sample, with the columns variant; count;
        n_subpopulations seen l times; memorization, the mean score of their training rows, with
        memorization_low and memorization_high, Student's interval over blocks; accuracy on fresh
        points and accuracy_error, its standard error over subpopulations (NaN for one); tau, the
        expected frequency of one such subpopulation; and excess_error, which the row contributes,
        tau times the number of subpopulations times 1 - accuracy. Its sum over a variant is Feldman's
        excess error.

    Raises
    ------
    TypeError, ValueError
        A parameter is wrong; whatever the fits raise.

    Notes
    -----
    The excess error leaves out subpopulations that were never seen, on which the optimum errs too.
    The accuracy is that of one training on all n rows: its standard error holds for this encoder.
    A pool of half-splits scores memorization at n/2 rows, where a row of count l has (l-1)/2 of its
    kind beside it on average; `LeaveOneOut` scores it at n.
    """
    _check_experiment(simulator, estimators, probe, n_test, level)
    entropy = entropy_of(random_state)
    X, y, which = simulator.sample(random_state=derive_seed(entropy, "long tail", "sample"))
    seen, count = np.unique(which, return_counts=True)  # (S,) subpopulations of the sample
    tested = np.repeat(seen, n_test)
    X_test, y_test = simulator.points(tested, derive_seed(entropy, "long tail", "test"))
    options = {"n_jobs": n_jobs, "memory": memory}
    options = {k: v for k, v in options.items() if v is not None}
    seed = derive_seed(entropy, "long tail", "pools") % 2**32

    rows = []
    for name, estimator in estimators.items():
        fitted = clone(estimator).set_params(random_state=seed, **options).fit(X)
        reader = clone(KNNProbe(n_neighbors=1) if probe is None else probe)
        reader.fit(fitted.transform(X), y)
        right = reader.predict(fitted.transform(X_test)) == y_test
        accuracy = right.reshape(len(seen), n_test).mean(1)  # (S,)
        blocks = fitted.result_.scores.blocks  # (n_blocks, n)
        for times in np.unique(count):
            here = count == times
            score = _mean_with_interval(blocks[:, np.isin(which, seen[here])], level)
            rows.append((name, times, *_row(simulator, times, score, accuracy[here])))
    names = (
        "variant", "count", "n_subpopulations", "memorization", "memorization_low",
        "memorization_high", "accuracy", "accuracy_error", "tau", "excess_error",
    )  # fmt: skip
    return ScoreTable.from_rows(names, rows)


def _row(simulator, times, score, accuracy):
    m, tau = len(accuracy), simulator.tau(times)
    error = stats.sem(accuracy) if m > 1 else np.nan
    return m, *score, accuracy.mean(), error, tau, tau * np.sum(1 - accuracy)


def _mean_with_interval(blocks, level):
    """Mean score of the given rows and the ends of Student's interval over blocks."""
    means = mean_or_nan(blocks.T)
    means = means[np.isfinite(means)]
    return student(means, level)[:3] if len(means) else (np.nan,) * 3


def _check_experiment(simulator, estimators, probe, n_test, level):
    if not isinstance(simulator, LongTailSimulator):
        raise TypeError(f"simulator must be a LongTailSimulator, got {shown(simulator)}.")
    if not isinstance(estimators, Mapping) or not estimators:
        raise TypeError(
            "estimators must be a dict of name to MemorizationEstimator, with at least one, got "
            f"{shown(estimators)}."
        )
    for name, estimator in estimators.items():
        _check_estimator(f"estimators[{name!r}]", estimator)
    if probe is not None and not (hasattr(probe, "fit") and is_classifier(probe)):
        raise TypeError(f"probe must be a classifier such as LinearProbe(), got {shown(probe)}.")
    check_in_range("n_test", n_test, numbers.Integral, 1)
    check_level(level)


def _check_estimator(name, estimator):
    if not isinstance(estimator, MemorizationEstimator):
        raise TypeError(f"{name} must be a MemorizationEstimator, got {shown(estimator)}.")
