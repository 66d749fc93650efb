"""What an estimator costs, and how far its scores agree with those of a large independent pool."""

from __future__ import annotations

import numbers
import time
from collections.abc import Mapping

import numpy as np
from sklearn.base import clone

from .._compat import check_in_range, shown
from ..designs import get_design
from ..estimates import Difference, configured, get_estimate
from ..estimator import MemorizationEstimator
from ..pool import Run
from ..proxies import MemorizationProxy
from ..randomness import derive_seed, entropy_of
from ..result import MemorizationResult
from .ceiling import Reference
from .comparison import Cell, EstimatorComparison, Proxy
from .inputs import as_list, interruptible

__all__ = ["compare_estimators", "compare_on_pools", "share_name"]

LEAST_BLOCKS = 4  # of a truth: intervals compare its halves, which need two each for a ceiling


def compare_on_pools(truth, sources, estimates=None, *, n_encoders=(4, 8, 16, 32), proxies=None,
                     top=0.05, epochs=None, max_replicates=None):  # fmt: skip
    """Compare estimators on trained pools, against another pool of the same rows.

    Every disjoint group of blocks of a source is a replicate, on which all estimates are computed.

    Parameters
    ----------
    truth : MemorizationResult or Run
        A large pool, read by the unbiased difference, whatever its estimate.
    sources : Run, MemorizationResult, or dict of str to these
        Pools that small ones are cut from, by the name of their design; without a common block with
        the truth.
    estimates : dict of str to estimate, or sequence of str, default=None
        By name, what `sslmemo.estimates.get_estimate` takes, or any callable (values, plan) -> Scores
        or array (n_samples,). A row that gets NaN counts as average. None is ``"difference"``, the
        same with ``normalize="encoder"`` ("per encoder") and ``"shrinkage"``.
    n_encoders : sequence of int, or dict of str to these, default=(4, 8, 16, 32)
        Sizes of the small pools, multiples of the source's block; a dict holds them by source.
    proxies : dict of str to Proxy, default=None
        Scores from elsewhere, with their cost, under other names than the estimates.
        ``Proxy(scores, 0, 0.0)`` is for scores that need no training.
    top : float, default=0.05
        Share of the rows in the top sets, in (0, 1].
    epochs : float, default=None
        Of every training; None takes them from the sources' recipes.
    max_replicates : int, default=None
        Use the first ones only; None is all.

    Returns
    -------
    EstimatorComparison

    Raises
    ------
    TypeError, ValueError
        Something is of a wrong kind; the truth has fewer than two blocks or shows no reliability;
        rows differ; a source shares blocks with the truth, or has too few for a size; an estimate
        returns other than one score a row; a proxy has the name of an estimate.

    Warns
    -----
    UserWarning
        The truth has a reliability below 0.5: shares of its ceiling are then mostly noise.
    """
    check_in_range("top", top, numbers.Real, 0, 1, open_low=True)
    if epochs is not None:
        check_in_range("epochs", epochs, numbers.Real, 0, open_low=True, finite=True)
    if max_replicates is not None:
        check_in_range("max_replicates", max_replicates, numbers.Integral, 1)
    estimates = _callables(estimates)
    proxies = _proxies(proxies, estimates)
    if not isinstance(truth, MemorizationResult):
        truth = MemorizationResult(_run(truth))
    truth = truth.unbiased
    reference = Reference(truth, top)
    if not isinstance(sources, Mapping):
        run = _run(sources)
        sources = {share_name(run.plan): run}
    cells = []
    for design, source in sources.items():
        run = _run(source)
        _check_independent(truth.run, run, design)
        spent = _epochs(run, design) if epochs is None else float(epochs)
        for size in _sizes(n_encoders, design):
            groups = _groups(run, size, design)[:max_replicates]
            cells += _cells_of(run, groups, design, estimates, reference, spent)
    for name, proxy in proxies.items():
        cells.append(_proxy_cell(name, proxy, reference))
    return EstimatorComparison(
        cells,
        reference.ceilings,
        truth,
        {str(name): _run(source) for name, source in sources.items()},
        int(reference.known.sum()),
        reference.k,
    )


def compare_estimators(X, *, estimator=None, truth_encoders=256, n_encoders=(4, 8, 16, 32),
                       n_splits=20, estimates=None, proxies=None, designs=None, top=0.05,
                       groups=None, n_jobs=None, memory=None, random_state=None,
                       verbose=1):  # fmt: skip
    """Train a large pool as the truth and others to cut small ones from, and compare estimators.

    Parameters
    ----------
    X : array-like or dataset
        Rows, as in `MemorizationEstimator.fit`.
    estimator : MemorizationEstimator, default=None
        The recipe, cloned; its design is the truth's, its `n_encoders` is not used and its
        `stop_when` must be None. The features that estimates learn from are measured without being
        asked for. None is the default estimator.
    truth_encoders : int, default=256
        Encoders of the truth, at least 4 blocks of its design.
    n_encoders : sequence of int, or dict of str to these, default=(4, 8, 16, 32)
        As in `compare_on_pools`.
    n_splits : int, default=20
        Replicates of the largest size, at least 2: a source has `n_splits` times that many
        encoders, and smaller sizes have more replicates.
    estimates : dict of str to estimate, or sequence of str, default=None
        As in `compare_on_pools`.
    proxies : dict of str to Proxy or estimator, default=None
        An estimator with `fit`, `score_samples` and parameters `random_state` and `epochs` is fitted
        `n_splits` times to all rows, and charged those trainings even where its scores need none, as
        ``MemorizationProxy("input_isolation")`` is: give such scores as ``Proxy(scores, 0, 0.0)``.
    designs : dict of str to design, default=None
        Further sources, such as ``{"quarter": Subsample(0.25)}``, beside the one of the truth's
        design.
    top : float, default=0.05
        As in `compare_on_pools`.
    groups : array-like of shape (n_samples,), default=None
        As in `MemorizationEstimator.fit`.
    n_jobs : int, default=None
        Blocks at once; -1 means all processors.
    memory : str or path, default=None
        Folder of finished blocks, which an interrupted call goes on from.
    random_state : int, RandomState instance or None, default=None
        Every pool gets a seed of its own.
    verbose : int, default=1
        1 shows progress bars.

    Returns
    -------
    EstimatorComparison

    Raises
    ------
    TypeError, ValueError
        Before any training: a parameter is wrong; and whatever the fits raise. After it: an estimate
        returns other than one score a row.

    Notes
    -----
    It trains `truth_encoders` + `n_splits` x the largest of `n_encoders`, the latter for every source,
    and `n_splits` times each proxy that is fitted: by default 256 + 20 x 32 = 896 encoders.
    `MemorizationEstimator.estimate_cost` predicts the time of an estimator with so many as its
    `n_encoders`.
    """
    if estimator is None:
        estimator = MemorizationEstimator()
    if not isinstance(estimator, MemorizationEstimator):
        raise TypeError(f"estimator must be a MemorizationEstimator, got {shown(estimator)}.")
    if estimator.stop_when is not None:
        raise ValueError(
            f"estimator has stop_when={shown(estimator.stop_when)}, but the sizes compared are fixed: "
            "set stop_when=None; truth_encoders and n_encoders say how many to train."
        )
    check_in_range("truth_encoders", truth_encoders, numbers.Integral, 2)
    check_in_range("n_splits", n_splits, numbers.Integral, 2)
    check_in_range("top", top, numbers.Real, 0, 1, open_low=True)
    entropy, jobs = entropy_of(random_state), {"n_jobs": n_jobs, "memory": memory}
    base = clone(estimator).set_params(**jobs, verbose=verbose)
    estimates = _callables(estimates)
    proxies = _proxies(proxies, estimates)
    designs = _mapping("designs", designs, '{"quarter": Subsample(0.25)}')
    learning = clone(base).set_params(**_of_fits(estimates))
    for recipe in (base, learning):  # refuses what contradicts, before any training
        configured(recipe.estimate, recipe.normalize, recipe.anchor)

    def fitted(recipe, key, design, size):
        seed = derive_seed(entropy, key) % 2**32
        own = clone(recipe).set_params(design=design, n_encoders=size, random_state=seed)
        with interruptible(memory):
            return own.fit(X, groups=groups).result_

    n = len(X)
    block = get_design(base.design).block_size(n)
    if truth_encoders < LEAST_BLOCKS * block:
        raise ValueError(
            f"truth_encoders={truth_encoders} makes {truth_encoders // block} blocks of {block} encoders, "
            f"too few for the noise of the truth to be known: give at least {LEAST_BLOCKS * block}."
        )
    own_name = share_name(get_design(base.design).draw(n, block, 0))
    wanted = {own_name: base.design, **designs}
    sizes = {name: _sizes(n_encoders, name) for name in wanted}
    for name, design in wanted.items():
        block = get_design(design).block_size(n)
        for size in sizes[name]:
            check_in_range("n_encoders", size, numbers.Integral, 1)
            _check_whole(size, block, name)
    for name, proxy in proxies.items():
        _check_proxy(name, proxy, n)
    truth = fitted(base, "truth", base.design, truth_encoders)
    sources = {
        name: fitted(learning, f"source {name}", design, n_splits * max(sizes[name])).run
        for name, design in wanted.items()
    }
    for name, proxy in proxies.items():
        if not isinstance(proxy, Proxy):
            seeds = [derive_seed(entropy, f"proxy {name}", i) % 2**32 for i in range(n_splits)]
            proxies[name] = _fit_proxy(proxy, X, seeds, jobs)
    return compare_on_pools(truth, sources, estimates, n_encoders=sizes, proxies=proxies, top=top)


def share_name(plan):
    """Name of a plan by the share of the rows that its encoders train on: str."""
    share = plan.sizes[0] / plan.n_samples
    return "half" if abs(share - 0.5) < 0.005 else f"{share:.3g}"


def _cells_of(run, groups, design, estimates, reference, epochs):
    """One cell an estimate, over the replicates that the groups of blocks are."""
    found, spent = {name: [] for name in estimates}, []
    for blocks in groups:
        plan, encoders = run.plan.take(blocks), np.isin(run.plan.block, blocks)
        values = {k: v[encoders] for k, v in run.values.items()}
        for name, estimate in estimates.items():
            scores = estimate(values, plan)
            scores = np.asarray(getattr(scores, "score", scores), float)
            if scores.shape != (plan.n_samples,):
                raise ValueError(
                    f"estimates[{name!r}] returned scores of shape {scores.shape}: it must return one a "
                    f"row, of shape ({plan.n_samples},)."
                )
            found[name].append(scores)
        seconds = run.seconds[np.isin(run.plan.blocks, blocks)].sum()
        spent.append((plan.train_sizes.mean(), plan.train_sizes.sum() * epochs, seconds))
    size, row_epochs, seconds = np.mean(spent, axis=0).tolist()
    n = plan.n_encoders
    return [
        Cell(str(name), str(design), n, size / plan.n_samples, n * epochs, row_epochs, seconds,
             reference.agreement(scores))
        for name, scores in found.items()
    ]  # fmt: skip


def _proxy_cell(name, proxy, reference):
    if not isinstance(proxy, Proxy):
        raise TypeError(
            f"proxies[{name!r}] must be a Proxy(scores, encoders, row_epochs), got {shown(proxy)}."
        )
    n = len(reference.known)
    scores = _scores_of(name, proxy, n)
    epochs = proxy.row_epochs / max(proxy.fraction * n, 1e-12)
    return Cell(str(name), "proxy", proxy.encoders, proxy.fraction, epochs, proxy.row_epochs,
                proxy.seconds, reference.agreement(scores))  # fmt: skip


def _scores_of(name, proxy, n):
    """Scores of a Proxy, of the right shape: (n_replicates, n)."""
    scores = np.atleast_2d(np.asarray(proxy.scores, float))
    if scores.ndim != 2 or scores.shape[1] != n:
        raise ValueError(
            f"proxies[{name!r}] has scores of shape {scores.shape}: give (n_replicates, {n})."
        )
    return scores


def _check_proxy(name, proxy, n):
    """Refuse what is neither a Proxy nor an estimator whose cost its parameters say."""
    if isinstance(proxy, Proxy):
        _scores_of(name, proxy, n)
        return
    able = all(hasattr(proxy, a) for a in ("fit", "score_samples", "get_params"))
    able = able and not isinstance(proxy, type)
    if not able or not {"random_state", "epochs"} <= set(proxy.get_params(deep=False)):
        raise TypeError(
            f"proxies[{name!r}] must be a Proxy(scores, encoders, row_epochs), or an estimator with "
            f"score_samples and the parameters random_state and epochs, got {shown(proxy)}."
        )
    epochs = proxy.get_params(deep=False)["epochs"]
    check_in_range(f"epochs of proxies[{name!r}]", epochs, numbers.Real, 0, open_low=True)
    if isinstance(proxy, MemorizationProxy):
        try:
            proxy._check_parameters()
        except (TypeError, ValueError) as error:
            raise type(error)(f"proxies[{name!r}] can't be fitted: {error}") from error


def _fit_proxy(proxy, X, seeds, jobs):
    """Fit a proxy once a seed: its scores and what one fit costs."""
    scores, seconds, parameters = [], [], proxy.get_params(deep=False)
    jobs = {k: v for k, v in jobs.items() if k in parameters}
    for seed in seeds:
        started = time.perf_counter()
        with interruptible(jobs.get("memory")):
            own = clone(proxy).set_params(random_state=seed, **jobs).fit(X)
        took = time.perf_counter() - started
        # a fit that found its training in `memory` took no time, but its run says what it did
        seconds.append(own.run_.seconds.sum() if hasattr(own, "run_") else took)
        scores.append(own.score_samples(X))
    encoders = int(parameters.get("n_encoders") or 1)
    row_epochs = encoders * parameters["epochs"] * len(X)
    return Proxy(np.array(scores), encoders, row_epochs, float(np.mean(seconds)))


def _of_fits(estimates):
    """Parameters with which the fits measure every feature that an estimate learns from."""
    learned = [e for e in estimates.values() if getattr(e, "features", ())]
    if not learned:
        return {}
    features = dict.fromkeys(f for e in learned for f in e.features)
    return {"estimate": clone(learned[0]).set_params(features=tuple(features)), "normalize": None}


def _callables(estimates):
    """Estimates by name, as callables."""
    if estimates is None:
        estimates = {"difference": "difference", "per encoder": Difference(normalize="encoder"),
                     "shrinkage": "shrinkage"}  # fmt: skip
    if isinstance(estimates, str):
        raise TypeError(f"estimates must be a dict or a list of names, got {estimates!r}.")
    items = estimates.items() if isinstance(estimates, Mapping) else [(e, e) for e in estimates]
    found = {}
    for name, estimate in items:
        plain = callable(estimate) and not isinstance(estimate, type)
        found[str(name)] = estimate if plain else get_estimate(estimate)
    if not found:
        raise ValueError("estimates is empty: name at least one, such as 'difference'.")
    return found


def _mapping(name, value, example):
    """A parameter that holds things by name, as a dict; None is empty."""
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict by name, such as {example}, got {shown(value)}.")
    return {} if value is None else dict(value)


def _proxies(proxies, estimates):
    """Proxies by names that no estimate has."""
    proxies = _mapping("proxies", proxies, '{"isolation": MemorizationProxy("isolation")}')
    for name in proxies:
        if str(name) in estimates:
            raise ValueError(
                f"proxies[{name!r}] has the name of an estimate, so that a table can't tell them apart: "
                "rename it."
            )
    return proxies


def _run(source):
    run = getattr(source, "run", source)
    if not isinstance(run, Run):
        raise TypeError(f"a pool must be a Run or a MemorizationResult, got {shown(source)}.")
    return run


def _check_independent(truth, run, design):
    prints = truth.config.get("data"), run.config.get("data")
    same = prints[0] == prints[1] or None in prints
    if run.plan.n_samples != truth.plan.n_samples or not same:
        raise ValueError(f"source {design!r} holds other rows than the truth: fit the same rows.")
    if np.isin(run.plan.seed, truth.plan.seed).any():
        raise ValueError(
            f"source {design!r} and the truth have blocks in common, so that they agree by their "
            "noise: train them with different random_state."
        )


def _check_whole(size, block, design):
    if size % block:
        raise ValueError(
            f"n_encoders={size} is no multiple of the block of source {design!r}, which is {block} "
            "encoders: give sizes by source, as a dict."
        )


def _sizes(n_encoders, design):
    """Sizes of the small pools of a source: list of int."""
    if design == "proxy":
        raise ValueError(
            "a source can't be named 'proxy', which the proxies are: choose another name."
        )
    if isinstance(n_encoders, Mapping):
        if design not in n_encoders:
            known = ", ".join(map(repr, n_encoders))
            raise ValueError(f"n_encoders has sizes for {known}, but none for source {design!r}.")
        n_encoders = n_encoders[design]
    return as_list("n_encoders", n_encoders)


def _groups(run, size, design):
    """Disjoint groups of blocks of `size` encoders: list of ndarray of int. Failed blocks are left out."""
    check_in_range("n_encoders", size, numbers.Integral, 1)
    blocks, counts = np.unique(run.plan.block, return_counts=True)
    if len(np.unique(counts)) > 1:
        raise ValueError(f"source {design!r} has blocks of different sizes: no groups can be cut.")
    _check_whole(size, int(counts[0]), design)
    blocks = blocks[~np.isin(blocks, list(run.failures))]
    each = size // int(counts[0])
    if each > len(blocks):
        raise ValueError(
            f"n_encoders={size} is more than the {len(blocks) * int(counts[0])} encoders of source "
            f"{design!r}: lower it, or train more."
        )
    return list(blocks[: len(blocks) // each * each].reshape(-1, each))


def _epochs(run, design):
    """Passes of an encoder over its rows, from the run's recipe."""
    trainer = run.config.get("trainer", {})
    if not {"steps", "batch_size"} <= set(trainer):
        raise ValueError(
            f"source {design!r} does not say how long its encoders were trained: pass epochs=."
        )
    return trainer["steps"] * trainer["batch_size"] / run.plan.sizes[0]
