"""run(): a plan, a trainer and measurements, executed block by block.

The pool knows neither SSL nor alignment. It spreads blocks over processes by joblib, keeps the
measurements (and the models only when asked), writes every finished block to the store before it
is reported, and reads finished ones back.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field

import numpy as np

from .plans import Plan
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

    together = trainer.max_together(int(plan.train_sizes.max()))
    largest = max((len(plan.encoders_of(b)) for b in todo), default=1)
    a_job = max(1, together // largest)  # blocks that a device trains at once

    def jobs():
        for number, start in enumerate(range(0, len(todo), a_job)):
            if not more():
                return
            blocks = {int(b): _member_and_seed(plan, b) for b in todo[start : start + a_job]}
            yield delayed(_job)(
                number, blocks, trainer, measurements, data, store, keys, keep_models
            )

    # the caller's thread count is put back; a thread of the threading backend starts from 1 too
    with single_thread():
        parallel = Parallel(n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
        for finished in parallel(jobs()):
            for block, record in finished.items():
                if not isinstance(record, Exception):
                    more(float(record["seconds"]))
                yield block, record


def _member_and_seed(plan, block):
    return plan.member[plan.encoders_of(block)], plan.seed_of(block)


def _job(number, blocks, trainer, measurements, data, store, keys, keep_models):
    """Train and measure some blocks, in a worker; a failed training is returned, not raised."""
    getattr(trainer, "prepare_job", lambda number: None)(number)
    try:
        with single_thread():
            records = train_blocks(trainer, measurements, data, blocks, keep_models)
    except TrainingError as error:
        if len(blocks) == 1:
            return dict.fromkeys(blocks, error)
        alone = [  # find the block that failed
            _job(number, {b: part}, trainer, measurements, data, store, keys, keep_models)
            for b, part in blocks.items()
        ]
        return {b: record for one in alone for b, record in one.items()}
    if store is not None:
        for block, record in records.items():
            store.save(keys[block], record)
    return records


def train_blocks(trainer, measurements, data, blocks, keep_models=False):
    """Train the encoders of some blocks and measure them.

    Parameters
    ----------
    blocks : dict of int to (ndarray of bool of shape (k, n), int)
        Membership and seed of each block.

    Returns
    -------
    dict of int to dict of str to ndarray
        For each block the arrays of all measurements, each (k, ...) or, for one with several
        fractions, (k, n_at, ...); with `keep_models` also ``"model/j/name"``; and ``"seconds"``.
    """
    started = time.monotonic()
    watched = any(m.observer(1, len(data)) is not None for m in measurements)
    if watched and len(blocks) > 1:  # an observer sees one block at a time
        alone = [
            train_blocks(trainer, measurements, data, {b: part}, keep_models)
            for b, part in blocks.items()
        ]
        return {b: record for one in alone for b, record in one.items()}
    member = np.concatenate([m for m, _ in blocks.values()])
    owner = np.repeat(list(blocks), [len(m) for m, _ in blocks.values()])
    together = max(1, trainer.max_together(int(member.sum(1).max())))
    found = {b: {} for b in blocks}
    models = {b: [] for b in blocks}
    for start in range(0, len(member), together):
        part = slice(start, start + together)
        seeds = [blocks[b][1] for b in owner[part]]
        for block, name, array in _train_some(
            trainer, measurements, data, member[part], owner[part], seeds, keep_models
        ):
            (models[block] if name is None else found[block].setdefault(name, [])).append(array)
    seconds = (time.monotonic() - started) / len(blocks)
    return {b: _record(found[b], models[b], seconds) for b in blocks}


def _record(found, models, seconds):
    record = {name: np.concatenate(parts) for name, parts in found.items()}
    for j, state in enumerate(models):
        record.update({f"model/{j}/{name}": array for name, array in state.items()})
    return {**record, "seconds": np.float64(seconds)}


def _train_some(trainer, measurements, data, member, owner, seeds, keep_models):
    """Yield (block, array name, array) of encoders trained at once; (block, None, weights) too."""
    k, n = member.shape
    observers = {id(m): o for m in measurements if (o := m.observer(k, n)) is not None}
    at = sorted({f for m in measurements for f in m.at} | {1.0})
    stages = {}
    for fraction, fitted in trainer.fit_many(
        data, member, seeds, at=at, observers=list(observers.values())
    ):
        for block in dict.fromkeys(owner.tolist()):
            mine = np.flatnonzero(owner == block)
            models, seed = [fitted[j] for j in mine], seeds[mine[0]]
            for m in measurements:
                if fraction in m.at:
                    arrays = m(models, data, member[mine], seed, observers.get(id(m)))
                    stages.setdefault((block, id(m)), []).append(arrays)
            if keep_models and fraction == 1.0:
                for model in models:
                    yield block, None, model.state()
    for block in dict.fromkeys(owner.tolist()):
        named = set()
        for m in measurements:
            for name in stages[block, id(m)][0]:
                if name in named:
                    raise ValueError(f"two measurements name their array {name!r}: rename one.")
                named.add(name)
                arrays = [s[name] for s in stages[block, id(m)]]
                yield block, name, arrays[0] if len(m.at) == 1 else np.stack(arrays, axis=1)


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
    return Run(plan, values, config, seconds, failures, models)


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
