"""Removal: drop rows, train the encoder again, and see what a downstream task loses."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._compat import check_choice, check_in_range, named
from ..encoder import SSLEncoder
from ..estimates.blocks import check_level
from ..measurements import Downstream, Quality
from ..measurements.downstream import evaluator_of
from ..plans import Plan
from ..pool import run
from ..randomness import derive_seed, entropy_of, generator, usual_torch
from ..result import MemorizationResult
from ..sources import as_array, check_labels
from ..table import ScoreTable
from ..training.precision import limit_jobs
from .contrasts import student
from .orders import NEED_MODEL, ORDERS, Seen, first_of, order_of

__all__ = ["RemovalCurve", "removal_curve"]

NOTHING = "none"  # strategy of the encoders that all rows train


@dataclass(frozen=True)
class RemovalCurve:
    """What removing rows does to a downstream task.

    Attributes
    ----------
    table : ScoreTable
        One row a strategy, fraction, repeat and metric, with the columns strategy; fraction;
        repeat; metric; value. Strategy ``"none"`` at fraction 0 is trained on all rows.
    removed : dict of (str, float) to ndarray of bool, shape (n_samples,) or (n_repeats, n_samples)
        Rows that were removed; of ``"random"`` one mask a repeat.
    about : str
        What the numbers hold for, in words.
    """

    table: ScoreTable
    removed: dict
    about: str

    def to_frame(self):
        """Give `table` as a pandas DataFrame (extra ``[frame]``)."""
        return self.table.to_frame()

    def values(self, strategy, fraction, metric="accuracy"):
        """Values of a cell, in the order of the repeats.

        Parameters
        ----------
        strategy, fraction, metric
            As in `table`.

        Returns
        -------
        ndarray of shape (n_repeats,)
            Empty for a cell that was not measured.
        """
        t = self.table
        rows = (t["strategy"] == strategy) & (t["fraction"] == fraction) & (t["metric"] == metric)
        return t["value"][rows][np.argsort(t["repeat"][rows])]

    def summary_table(self, level=0.95):
        """Means over repeats, and paired differences against random removal.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row a strategy, fraction and metric, with the columns strategy; fraction; metric;
            mean, low, high; difference, difference_low, difference_high, p_value: against
            ``"random"`` at the same fraction, paired by repeat, NaN where it was not drawn. Student's
            intervals over repeats: they hold for these rows and this ranking.
        """
        check_level(level)
        t = self.table
        cells = dict.fromkeys(zip(*(t[c].tolist() for c in ("strategy", "fraction", "metric")),
                                  strict=True))  # fmt: skip
        rows = []
        for strategy, fraction, metric in cells:
            own = self.values(strategy, fraction, metric)
            reference = self.values("random", fraction, metric)
            paired = strategy != "random" and len(reference) == len(own)
            rows.append(
                (strategy, fraction, metric, *student(own, level)[:3])
                + student(own - reference if paired else np.full(1, np.nan), level)
            )
        names = ("strategy", "fraction", "metric", "mean", "low", "high",
                 "difference", "difference_low", "difference_high", "p_value")  # fmt: skip
        return ScoreTable(dict(zip(names, zip(*rows, strict=True), strict=True)))

    def summary_frame(self, level=0.95):
        """Give `summary_table` as a pandas DataFrame (extra ``[frame]``)."""
        return self.summary_table(level).to_frame()

    def __str__(self):
        t = self.summary_table()
        lines = [self.about]
        for strategy, fraction, metric, mean, low, high, d, d_low, d_high, _ in zip(
            *t.columns.values(), strict=True
        ):
            if metric in METRICS_SHOWN:
                line = (
                    f"{strategy:>16} {fraction:4.0%}  {metric} {mean:.4f} [{low:.4f}, {high:.4f}]"
                )
                if np.isfinite(d):
                    line += f"  against random {d:+.4f} [{d_low:+.4f}, {d_high:+.4f}]"
                lines.append(line)
        return "\n".join(lines)


METRICS_SHOWN = ("accuracy",)


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
        ``"linear"``, ``"knn"``, any scikit-learn classifier, or an evaluator of the model such as
        `sslmemo.measurements.FineTuning`. Of a dict, one metric a key; else the metric is "accuracy".
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
        Remove the same share of every class: is the effect only a change of class balance?
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
        Metrics are "accuracy"; "accuracy[class=c]" for every class of y_test;
        "accuracy[subpopulation=s]"; and "effective_rank" of the representations of X.

    Raises
    ------
    TypeError, ValueError
        Before any training: a parameter is wrong or does not suit X, some rows have no score, or a
        fraction leaves fewer than two rows.

    Notes
    -----
    Intervals over repeats hold for this X and this ranking. For a claim about a source of data take
    `removal_experiment`, which repeats the whole with other rows.
    """
    check_in_range("n_repeats", n_repeats, numbers.Integral, 1)
    check_choice("equal", equal, ("steps", "epochs"))
    scores, recipe = _source(est_or_scores, X, encoder)
    data = recipe._read(X, reset=True)
    n = len(data)
    y = check_labels(y, n)
    if scores is not None and scores.shape != (n,):
        raise ValueError(f"X has {n} rows, but there are scores of shape {scores.shape}.")
    test = recipe._read(X_test)
    y_test = _targets("y_test", y_test, len(test))
    down = None if X_down is None else recipe._read(X_down)
    if (X_down is None) != (y_down is None):
        raise ValueError("X_down and y_down go together: give both, or neither.")
    y_fit = y if down is None else _targets("y_down", y_down, len(down))
    groups = None if subpopulations is None else check_labels(subpopulations, len(test))
    given = downstream if isinstance(downstream, dict) else {"accuracy": downstream}
    evaluators = {str(name): evaluator_of(one) for name, one in given.items()}
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
    fractions = _fractions(fractions, n)
    entropy = entropy_of(random_state)
    seeds = [derive_seed(entropy, "repeat", r) for r in range(n_repeats)]
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
        done = run(
            plan, trainer, measures, data, n_jobs=limit_jobs(n_jobs, trainer.device), store=memory,
            verbose=verbose,
        )  # fmt: skip
        for i, (name, f, r, _) in enumerate(some):
            for metric, value in _metrics(done.values, i, evaluators, y_test, groups):
                rows.append((name, f, r, metric, value))
    names = ("strategy", "fraction", "repeat", "metric", "value")
    table = ScoreTable(dict(zip(names, zip(*rows, strict=True), strict=True)))
    fitted_on = "X_down" if down is not None else f"{probe_rows} rows of X"
    about = (
        f"{n} rows, {n_repeats} repeats, equal {equal}, evaluator fitted on {fitted_on}, "
        f"{len(test)} test rows; intervals hold for these rows and this ranking"
    )
    return RemovalCurve(table, removed, about)


def _targets(name, y, n):
    """Labels (n,), or targets of another shape, one a row."""
    targets = as_array(name, y)
    if targets.ndim == 1:
        return check_labels(targets, n)
    if len(targets) != n:
        raise ValueError(f"{name} must have one target for each of {n} rows, got {len(targets)}.")
    return targets


def _source(given, X, encoder):
    """Scores (or None), and a fresh SSLEncoder of the recipe."""
    scores, recipe = None, SSLEncoder()
    if hasattr(given, "score_samples"):
        check_is_fitted(given)
        scores = given.score_samples(X)
        mine = given.get_params(deep=False)
        recipe = SSLEncoder(**{k: v for k, v in mine.items() if k in recipe.get_params(deep=False)})
    elif isinstance(given, MemorizationResult):
        scores = given.score
    elif given is not None:
        scores = np.asarray(given, dtype=float)
    if encoder is not None:
        if not isinstance(encoder, SSLEncoder):
            raise TypeError(
                f"encoder must be an SSLEncoder, whose parameters say how to train, got {encoder!r}."
            )
        recipe = clone(encoder)
    return scores, recipe.set_params(verbose=0, memory=None)


def _fractions(fractions, n):
    for f in fractions:
        check_in_range("fractions", f, numbers.Real, 0, 1, open_low=True)
        if n - round(f * n) < 2:
            raise ValueError(f"fractions holds {f}, which leaves fewer than two of {n} rows.")
    return [float(f) for f in fractions]


def _orders(strategies, recipe, data, y, scores, entropy, memory, verbose):
    """Order of every strategy, (n,); None for random."""
    given = dict.fromkeys(strategies) if not isinstance(strategies, dict) else strategies
    names = [s for s, order in given.items() if order is None]
    for name in names:
        named(name, ORDERS, "strategies")
    model = augmentation = None
    if NEED_MODEL.intersection(names):
        whole = clone(recipe).set_params(memory=memory, verbose=verbose)
        whole._fit(data, derive_seed(entropy, "encoder of orders"))
        model = whole.model_
        augmentation = recipe._trainer(data, (float(len(data)), len(data))).views.augmentation
    seen = Seen(data, y, scores, model, augmentation, derive_seed(entropy, "views of orders"),
                recipe.layer)  # fmt: skip
    found = {}
    for name, order in given.items():
        if order is not None:
            order = np.asarray(order, dtype=float)
            if order.shape != y.shape or not np.isfinite(order).all():
                raise ValueError(
                    f"strategies[{name!r}] must hold one finite number for each of {len(y)} rows."
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
    yield "effective_rank", float(values["effective_rank"][i])
