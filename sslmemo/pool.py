"""run(): a plan, a trainer and measurements, executed block by block.

The pool knows neither SSL nor alignment. It spreads blocks over processes by joblib, keeps the
measurements (and the models only when asked), writes every finished block to the store before it
is reported, and reads finished ones back.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from .designs import Plan
from .protocols import TrainingError
from .randomness import single_thread
from .store import Store, key_of

__all__ = ["Run", "run"]


@dataclass(frozen=True)
class Run:
    """What a pool measured.

    Attributes
    ----------
    plan : Plan
        Who was trained on what.
    values : dict of str to ndarray of shape (n_encoders, ...)
        Every measured array, usually (n_encoders, n_samples); NaN where an encoder failed.
    config : dict
        What determined the numbers: trainer, measurements, data fingerprint, versions.
    seconds : ndarray of shape (n_blocks,)
        Time each block took, NaN where it failed.
    failures : dict of int to str
        Reason by block.
    models : list of dict of ndarray, or None
        Weights of every encoder when they were kept, None for a failed one.
    """

    plan: Plan
    values: dict
    config: dict
    seconds: np.ndarray
    failures: dict = field(default_factory=dict)
    models: list | None = None


def run(plan, trainer, measurements, data, *, n_jobs=None, store=None, keep_models=False,
        on_error="raise", max_time=None, verbose=0):  # fmt: skip
    """Train and measure a plan.

    Parameters
    ----------
    plan : Plan
        Who is trained on what.
    trainer : Trainer
        Trains the encoders.
    measurements : sequence of Measurement
        What is read from every block's models.
    data : Data
        The rows.
    n_jobs : int, default=None
        Blocks at once, by joblib; each trains on one thread. -1 means all processors.
    store : str or path, default=None
        Folder of finished blocks: read when they verify, written as they finish.
    keep_models : bool, default=False
        Keep every encoder's weights.
    on_error : {"raise", "drop"}, default="raise"
        Whether a failed training ends the run, or its block is NaN with a warning.
    max_time : float, default=None
        Seconds after which no further block is begun; the plan returned holds the finished ones.
    verbose : int, default=0
        1 shows a progress bar over encoders.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        A training failed and `on_error` is "raise", or all failed.
    """
    if on_error not in ("raise", "drop"):
        raise ValueError(f"on_error must be 'raise' or 'drop', got {on_error!r}.")
    started = time.monotonic()
    config = run_config(plan, trainer, measurements, data)
    if store is not None:
        store = Store(store)
        config["behaviour"] = _behaviour(store, config, trainer, measurements, data)
    keys = {int(b): _block_key(config, plan, b, keep_models) for b in plan.blocks}
    records = {}
    if store is not None:
        records = {b: r for b, k in keys.items() if (r := store.load(k)) is not None}
    with _progress(plan, records, verbose) as advance:
        todo = [b for b in keys if b not in records]
        for block, record in _execute(
            plan, trainer, measurements, data, todo, n_jobs, store, keys, keep_models,
            _deadline(max_time, started, records),
        ):  # fmt: skip
            if isinstance(record, Exception) and on_error == "raise":
                raise record
            records[block] = record
            advance(len(plan.encoders_of(block)))
    if max_time is not None and len(records) < len(keys):
        if not records:
            raise TrainingError(f"max_time={max_time} s ended before the first block was finished.")
        warnings.warn(
            f"max_time={max_time} s: {len(records)} of {len(keys)} blocks were trained.",
            stacklevel=2,
        )
        plan = plan.take(sorted(records))
    return _assemble(plan, records, config, keep_models)


def run_config(plan, trainer, measurements, data):
    """What determines a run's numbers, as plain JSON."""
    import kornia
    import torch

    return {
        "trainer": trainer.config(),
        "measurements": [m.config() for m in measurements],
        "data": data.fingerprint(),
        "design": plan.design,
        "versions": {
            "torch": torch.__version__.split("+")[0],
            "kornia": kornia.__version__,
            "numpy": np.__version__,
        },
    }


def _block_key(config, plan, block, keep_models):
    rows = plan.encoders_of(block)
    member = np.packbits(plan.member[rows], axis=1)
    return key_of(config, member, plan.n_samples, plan.seed_of(block), keep_models)


def _behaviour(store, config, trainer, measurements, data):
    """Number of the behaviour that the user's callables show: those that share a name may differ."""
    found = {}
    for i, part in enumerate([trainer, *measurements]):
        for name, array in getattr(part, "probe", lambda data: {})(data).items():
            found[f"{i}.{name}"] = array
    for number in range(1000):
        key = key_of("behaviour", config, number)
        known = store.load(key)
        if known is None:
            store.save(key, found)
            return number
        if known.keys() == found.keys() and all(
            known[k].shape == found[k].shape and np.allclose(known[k], found[k], 1e-3, 1e-4)
            for k in found
        ):
            return number
    raise RuntimeError(
        f"{store.folder} holds over 1,000 behaviours of one name: use another folder."
    )


def _deadline(max_time, started, records):
    """Whether another block may begin, given how many have: by the time blocks took so far."""
    done = []

    def more(seconds=None):
        if seconds is not None:
            done.append(seconds)
        if max_time is None:
            return True
        usual = float(np.median(done)) if done else 0.0
        return time.monotonic() - started + usual < max_time or not (done or records)

    return more


def _execute(plan, trainer, measurements, data, todo, n_jobs, store, keys, keep_models, more):
    """Yield (block, record or exception) as blocks finish, in whatever order."""
    from joblib import Parallel, delayed

    def jobs():
        for block in todo:
            if not more():
                return
            rows = plan.encoders_of(block)
            yield delayed(_block_job)(
                int(block), trainer, measurements, data, plan.member[rows], plan.seed_of(block),
                store, keys[block], keep_models,
            )  # fmt: skip

    # the caller's thread count is put back; a thread of the threading backend starts from 1 too
    with single_thread():
        parallel = Parallel(n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
        for block, record in parallel(jobs()):
            if not isinstance(record, Exception):
                more(float(record["seconds"]))
            yield block, record


def _block_job(block, trainer, measurements, data, member, seed, store, key, keep_models):
    """Train and measure one block, in a worker; a failed training is returned, not raised."""
    try:
        with single_thread():
            record = train_block(trainer, measurements, data, member, seed, keep_models)
    except TrainingError as error:
        return block, error
    if store is not None:
        store.save(key, record)
    return block, record


def train_block(trainer, measurements, data, member, seed, keep_models=False):
    """Train the encoders of one block and measure them.

    Returns
    -------
    dict of str to ndarray
        Arrays of all measurements, each (k, ...) or, for one with several fractions, (k, n_at,
        ...); with `keep_models` also ``"model/j/name"``; and ``"seconds"``.
    """
    started = time.monotonic()
    together = max(1, trainer.max_together(int(member.sum(1).max())))
    parts = [
        _train_some(trainer, measurements, data, member[i : i + together], seed, keep_models, i)
        for i in range(0, len(member), together)
    ]
    record = {}
    for name in parts[0][0]:
        record[name] = np.concatenate([p[0][name] for p in parts])
    for part in parts:
        record.update(part[1])
    record["seconds"] = np.float64(time.monotonic() - started)
    return record


def _train_some(trainer, measurements, data, member, seed, keep_models, first):
    k, n = member.shape
    observers = {id(m): o for m in measurements if (o := m.observer(k, n)) is not None}
    at = sorted({f for m in measurements for f in m.at} | {1.0})
    found, models = {}, {}
    stages = trainer.fit_many(data, member, [seed] * k, at=at, observers=list(observers.values()))
    for fraction, fitted in stages:
        for m in measurements:
            if fraction in m.at:
                arrays = m(fitted, data, member, seed, observers.get(id(m)))
                found.setdefault(id(m), []).append(arrays)
        if keep_models and fraction == 1.0:
            for j, model in enumerate(fitted):
                models.update({f"model/{first + j}/{k}": v for k, v in model.state().items()})
    arrays = {}
    for m in measurements:
        for name in found[id(m)][0]:
            if name in arrays:
                raise ValueError(f"two measurements name their array {name!r}: rename one.")
            stages = [f[name] for f in found[id(m)]]
            arrays[name] = stages[0] if len(m.at) == 1 else np.stack(stages, axis=1)
    return arrays, models


def _assemble(plan, records, config, keep_models):
    """Records of blocks to one matrix an array name, NaN for failed blocks."""
    blocks = [int(b) for b in plan.blocks]
    failures = {b: str(records[b]) for b in blocks if isinstance(records[b], Exception)}
    good = [b for b in blocks if b not in failures]
    if not good:
        raise TrainingError(f"every block failed; the first: {failures[blocks[0]]}")
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(blocks)} blocks failed and are left out; the first: "
            f"{failures[min(failures)]}",
            stacklevel=3,
        )
    values = {}
    for name, sample in records[good[0]].items():
        if name == "seconds" or name.startswith("model/"):
            continue
        values[name] = np.full((plan.n_encoders, *sample.shape[1:]), np.nan, sample.dtype)
        for b in good:
            values[name][plan.encoders_of(b)] = records[b][name]
    seconds = np.array([float(records[b]["seconds"]) if b in good else np.nan for b in blocks])
    models = None
    if keep_models:
        models = [None] * plan.n_encoders
        for b in good:
            for j, t in enumerate(plan.encoders_of(b)):
                head = f"model/{j}/"
                models[t] = {k[len(head) :]: v for k, v in records[b].items() if k.startswith(head)}
    return Run(replace(plan), values, config, seconds, failures, models)


class _progress:
    """A bar over encoders, with an estimate of the time left; nothing unless asked for."""

    def __init__(self, plan, records, verbose):
        self.bar = None
        if verbose:
            from tqdm.auto import tqdm

            done = sum(len(plan.encoders_of(b)) for b in records)
            self.bar = tqdm(
                total=plan.n_encoders, initial=done, desc="training encoders", unit="encoder"
            )

    def __enter__(self):
        return lambda k: self.bar.update(k) if self.bar is not None else None

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()
