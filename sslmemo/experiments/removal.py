"""Removal: drop rows, train the encoder again, and see what a downstream task loses."""

from __future__ import annotations

import inspect
import numbers
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._compat import check_choice, check_in_range, named, shown
from ..encoder import SSLEncoder
from ..measurements import Downstream, Quality
from ..measurements.downstream import evaluator_of, metric_of
from ..plans import Plan
from ..pool import run
from ..randomness import derive_seed, entropy_of, generator, usual_torch
from ..result import MemorizationResult
from ..sources import check_labels
from ..table import ScoreTable
from ..training.precision import limit_jobs
from .curve import NOTHING, RANK, RemovalCurve
from .inputs import as_list, interruptible, read_as, recipe_of, refuse_other_rows, targets_of
from .orders import NEED_MODEL, ORDERS, Seen, first_of, order_of

__all__ = ["check_request", "removal_curve"]


@usual_torch()
def removal_curve(est_or_scores, X, y, *, X_test, y_test, fractions=(0.1, 0.3, 0.5, 0.7),
                  strategies=("memorized", "random", "least_memorized"), n_repeats=4,
                  downstream="linear", X_down=None, y_down=None, probe_rows="all", equal="steps",
                  stratify=False, subpopulations=None, encoder=None, n_jobs=None, memory=None,
                  random_state=None, verbose=1):  # fmt: skip
    """Remove rows by several orders, train an encoder on the rest, and measure a downstream task.

    Parameters
    ----------
    est_or_scores : MemorizationEstimator, MemorizationResult, array-like of shape (n_samples,) or None
        Scores of the rows of X. A fitted estimator brings its recipe too: method, encoder,
        augmentation, epochs and so on. None is enough where no strategy needs scores.
    X : array-like or dataset
        Training rows of the encoders, as in `SSLEncoder.fit`.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test, y_test : array-like
        Held-out rows and labels. They must not have served any choice.
    fractions : sequence of float, default=(0.1, 0.3, 0.5, 0.7)
        Shares of rows to remove, in (0, 1).
    strategies : sequence of str, or dict of str to array-like of shape (n_samples,)
        Orders, see `sslmemo.experiments.orders.ORDERS`: ``"memorized"``, ``"random"``,
        ``"least_memorized"``, ``"pixel_isolation"``, ``"isolation"``, ``"sas"``, ``"difficult"``,
        ``"self_influence"``. In a dict an array is an order of your own, the highest removed first,
        and None stands for the order of that name.
    n_repeats : int, default=4
        Trainings of each cell; at least 1. A repeat has a random draw and a seed of its own, shared by
        all strategies, so that differences are paired.
    downstream : str, estimator, or dict of str to either, default="linear"
        ``"linear"``, ``"knn"``, any scikit-learn classifier or regressor, or an evaluator of the model
        such as `sslmemo.measurements.FineTuning`. Of a dict each key names a metric; else it is
        "accuracy", "neg_mean_squared_error" or "iou".
    X_down, y_down : array-like, default=None
        Labelled rows that the evaluator is fitted on, the same for every strategy; with `y_test` they may
        carry other labels than X, masks (n, h, w) for `sslmemo.measurements.SegmentationProbe`, or
        come from another source of the same shape. None is all of X, removed rows included: then
        the effect is the encoder's alone.
    probe_rows : {"all", "kept"}, default="all"
        ``"kept"`` fits the evaluator on the rows left of X: then the effect may be the evaluator's.
    equal : {"steps", "epochs"}, default="steps"
        Whether encoders of fewer rows take as many steps as one of all rows, or as many epochs.
    stratify : bool, default=False
        Remove the same share of every class, so that class balance cannot be the reason.
    subpopulations : array-like of shape (n_test,), default=None
        Of the test rows; accuracy is reported for each.
    encoder : SSLEncoder, default=None
        The recipe of the trainings. None is that of the estimator, or ``SSLEncoder()``.
    n_jobs : int, default=None
        Trainings at once; -1 means all processors.
    memory : str or path, default=None
        Folder of finished trainings, which an interrupted call or one of more strategies goes on from.
    random_state : int, RandomState instance or None, default=None
        Of draws and seeds.
    verbose : int, default=1
        1 shows a progress bar.

    Returns
    -------
    RemovalCurve
        Metrics are "accuracy" (or as `downstream` names them); "accuracy[class=c]" for every class of
        y_test; "accuracy[subpopulation=s]"; and "effective_rank" of the representations of X.

    Raises
    ------
    TypeError, ValueError
        Before any training: a parameter is wrong or does not suit X, some rows have no score, X holds
        other rows than a MemorizationResult, y_test has classes that the evaluator never sees, or a
        fraction removes nothing or leaves fewer than two rows.

    Warns
    -----
    UserWarning
        Rows of X_test are rows of X.

    Notes
    -----
    Intervals over repeats hold for this X and this ranking. For a claim about a source of data take
    `removal_experiment`, which repeats the whole with other rows.
    """
    evaluators, fractions, strategies = check_request(
        downstream, fractions, strategies, n_repeats=n_repeats, equal=equal, probe_rows=probe_rows
    )
    scores, recipe = _source(est_or_scores, X, encoder)
    data = read_as(recipe, "X", X, reset=True)
    n = len(data)
    y = check_labels(y, n)
    if isinstance(est_or_scores, MemorizationResult):
        refuse_other_rows(est_or_scores, data.fingerprint())
    if scores is not None and scores.shape != (n,):
        raise ValueError(f"X has {n} rows, but there are scores of shape {scores.shape}.")
    for f in fractions:
        if not 0 < round(f * n) <= n - 2:
            raise ValueError(
                f"fractions holds {f}, which removes {round(f * n)} of {n} rows: at least one must go "
                "and two stay."
            )
    if (X_down is None) != (y_down is None):
        raise ValueError("X_down and y_down go together: give both, or neither.")
    test = read_as(recipe, "X_test", X_test)
    y_test = targets_of("y_test", y_test, len(test))
    down = None if X_down is None else read_as(recipe, "X_down", X_down)
    y_fit = y if down is None else targets_of("y_down", y_down, len(down))
    _check_test(data, test, y_fit, y_test, evaluators)
    groups = subpopulations
    if groups is not None:
        groups = check_labels(subpopulations, len(test), "subpopulations")
    measures = [
        Quality(layer=recipe.layer),
        Downstream(
            evaluators,
            y_fit,
            test,
            y_test,
            fit_rows=down,
            probe_rows=probe_rows,
            layer=recipe.layer,
        ),
    ]
    entropy = entropy_of(random_state)
    seeds = [derive_seed(entropy, "repeat", r) for r in range(n_repeats)]
    with interruptible(memory):
        orders = _orders(strategies, recipe, data, y, scores, entropy, memory, verbose)
    classes = y if stratify else None
    removed = {
        (name, f): (
            np.stack(
                [first_of(generator(s, "random removal").random(n), f, classes) for s in seeds]
            )
            if order is None
            else first_of(order, f, classes)
        )
        for name, order in orders.items()
        for f in fractions
    }
    jobs = [(NOTHING, 0.0, r, np.ones(n, bool)) for r in range(n_repeats)]
    jobs += [
        (name, f, r, ~(mask if mask.ndim == 1 else mask[r]))
        for (name, f), mask in removed.items()
        for r in range(n_repeats)
    ]
    smallest = min(int(kept.sum()) for *_, kept in jobs)
    recipe.set_params(batch_size=recipe.batch_size or min(256, smallest))
    rows = []
    for some in [jobs] if equal == "steps" else _by_fraction(jobs):
        most = max(int(kept.sum()) for *_, kept in some)
        plan = _plan(some, seeds, most, smallest)
        trainer = recipe._trainer(data, plan.sizes)
        with interruptible(memory):
            done = run(
                plan, trainer, measures, data, n_jobs=limit_jobs(n_jobs, trainer.device),
                store=memory, verbose=verbose,
            )  # fmt: skip
        for i, (name, f, r, _) in enumerate(some):
            for metric, value in _metrics(done.values, i, evaluators, y_test, groups):
                rows.append((name, f, r, metric, value))
    names = ("strategy", "fraction", "repeat", "metric", "value")
    table = ScoreTable.from_rows(names, rows)
    fitted_on = "X_down" if down is not None else f"{probe_rows} rows of X"
    about = (
        f"{n} rows, {n_repeats} repeats, equal {equal}, evaluator fitted on {fitted_on}, "
        f"{len(test)} test rows; intervals hold for these rows and this ranking"
    )
    return RemovalCurve(table, removed, about)


def check_request(downstream, fractions, strategies, *, n_repeats=1, equal="steps",
                  probe_rows="all", **others):  # fmt: skip
    """Check what needs no rows.

    Parameters
    ----------
    downstream, fractions, strategies, n_repeats, equal, probe_rows
        As in `removal_curve`.
    **others : dict
        Its further parameters, by name.

    Returns
    -------
    evaluators : dict of str to estimator
        By the name of their metric.
    fractions : list of float
        In (0, 1).
    strategies : dict of str to array-like or None
        Orders by name; None stands for the one of `ORDERS`.

    Raises
    ------
    TypeError, ValueError
        A parameter is unknown or out of its range.
    """
    known = inspect.signature(removal_curve).parameters
    for name in others:
        named(name, known, "a parameter of removal_curve")
    check_in_range("n_repeats", n_repeats, numbers.Integral, 1)
    check_choice("equal", equal, ("steps", "epochs"))
    check_choice("probe_rows", probe_rows, ("all", "kept"))
    fractions = as_list("fractions", fractions)
    for f in fractions:
        if isinstance(f, bool) or not isinstance(f, numbers.Real) or not 0 < f < 1:
            raise ValueError(f"fractions must be shares above 0 and below 1, got {shown(f)}.")
    if not isinstance(strategies, dict):
        strategies = dict.fromkeys(as_list("strategies", strategies))
    for name, order in strategies.items():
        if order is None:
            named(name, ORDERS, "strategies")
    if not isinstance(downstream, dict):
        one = evaluator_of(downstream)
        downstream = {metric_of(one): one}
    evaluators = {str(name): evaluator_of(one) for name, one in downstream.items()}
    if not evaluators or not strategies:
        raise ValueError("downstream and strategies must hold at least one entry.")
    return evaluators, [float(f) for f in fractions], strategies


def _check_test(data, test, y_fit, y_test, evaluators):
    """Refuse test labels that no evaluator can predict; warn of test rows that are trained on."""
    classified = any(metric_of(e) == "accuracy" for e in evaluators.values())
    if classified and y_test.ndim == 1 and y_fit.ndim == 1:
        unseen = np.setdiff1d(y_test, y_fit)
        if len(unseen):
            raise ValueError(
                f"y_test holds classes that the evaluator is never fitted on: {shown(unseen.tolist())}. "
                "Leave their rows out, or give X_down and y_down that hold them."
            )
    leaked = len(set(data.digests()).intersection(test.digests()))
    if leaked:
        warnings.warn(
            f"{leaked} rows of X_test are rows of X: accuracy on them is no held-out accuracy.",
            stacklevel=4,
        )


def _source(given, X, encoder):
    """Scores (or None), and a fresh SSLEncoder of the recipe."""
    scores, recipe = None, recipe_of(encoder)
    if hasattr(given, "score_samples"):
        check_is_fitted(given)
        scores = given.score_samples(X)
        mine = given.get_params(deep=False)
        if encoder is None:
            kept = {k: v for k, v in mine.items() if k in recipe.get_params(deep=False)}
            recipe = recipe_of(SSLEncoder(**kept))
    elif isinstance(given, MemorizationResult):
        scores = given.score
    elif given is not None:
        scores = np.asarray(given, dtype=float)
    return scores, recipe


def _orders(strategies, recipe, data, y, scores, entropy, memory, verbose):
    """Order of every strategy, (n,); None for random."""
    names = [s for s, order in strategies.items() if order is None]
    model = augmentation = None
    if NEED_MODEL.intersection(names):
        whole = clone(recipe).set_params(memory=memory, verbose=verbose)
        whole._fit(data, derive_seed(entropy, "encoder of orders"))
        model = whole.model_
        augmentation = recipe._trainer(data, (float(len(data)), len(data))).views.augmentation
    seen = Seen(data, y, scores, model, augmentation, derive_seed(entropy, "views of orders"),
                recipe.layer)  # fmt: skip
    found = {}
    for name, order in strategies.items():
        if order is not None:
            order = np.asarray(order, dtype=float)
            if order.shape != y.shape or not np.isfinite(order).all():
                raise ValueError(
                    f"strategies[{name!r}] must hold one finite number for each of {len(y)} rows, got "
                    f"{shown(order)} of shape {order.shape}."
                )
        elif name != "random":
            order = order_of(name, seen)
        found[name] = order
    return found


def _by_fraction(jobs):
    """Jobs of one training size each, so that their steps follow from their own rows."""
    fractions = dict.fromkeys(f for _, f, _, _ in jobs)
    return [[job for job in jobs if job[1] == f] for f in fractions]


def _plan(jobs, seeds, most, least):
    """Plan of the jobs; all encoders of a repeat share its seed.

    Every encoder is a block of its own, though: a record holds one training, so that a call with further
    strategies finds the others in the store.
    """
    member = np.stack([kept for *_, kept in jobs])
    seed = np.array([seeds[r] for _, _, r, _ in jobs], np.uint64)
    return Plan(member, np.arange(len(jobs)), seed, design="removal", nominal=(float(most), least))


def _metrics(values, i, evaluators, y_test, groups):
    """Names and numbers of one encoder."""
    for name in evaluators:
        outcome = values[name][i].astype(float)
        yield name, float(outcome.mean())
        for label in np.unique(y_test) if y_test.ndim == 1 and y_test.dtype.kind != "f" else ():
            yield f"{name}[class={label}]", float(outcome[y_test == label].mean())
        for label in np.unique(groups) if groups is not None else ():
            yield f"{name}[subpopulation={label}]", float(outcome[groups == label].mean())
    yield RANK, float(values["effective_rank"][i])
