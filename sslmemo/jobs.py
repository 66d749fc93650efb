"""Blocks as joblib jobs: dispatch, sharing with other runs, workers that die, training in a worker."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
import time
from collections import deque

import numpy as np

from .protocols import TrainingError
from .randomness import single_thread

__all__ = ["execute", "train_blocks"]


def execute(plan, trainer, measurements, data, todo, *, n_jobs, store, keys, keep_models, more):
    """Train and measure blocks.

    Parameters
    ----------
    plan, trainer, measurements, data, n_jobs, keep_models
        As in `sslmemo.pool.run`.
    todo : sequence of int
        Blocks.
    store : Store or None
        Where finished blocks are written, and read when another run was faster.
    keys : dict of int to str
        Record of each block.
    more : callable
        ``more()`` says whether a further job may begin; ``more(seconds)`` hears of a finished block.

    Yields
    ------
    (int, dict or TrainingError)
        Block and its record, or why it has none, as they finish, in whatever order.
    """
    from joblib import Parallel, delayed

    together = trainer.max_together(int(plan.train_sizes.max()))
    largest = max((len(plan.encoders_of(b)) for b in todo), default=1)
    a_job = max(1, together // largest)  # blocks that a device trains at once
    waiting = deque(tuple(todo[i : i + a_job]) for i in range(0, len(todo), a_job))
    flying = set()

    def job(number, blocks):
        parts = {int(b): (plan.member[plan.encoders_of(b)], plan.seed_of(b)) for b in blocks}
        return delayed(_job)(
            number, os.getpid(), parts, trainer, measurements, data, store, keys, keep_models
        )

    def jobs():
        number = 0
        while waiting and more():
            blocks = _next(waiting, store, keys)
            flying.add(blocks)
            yield job(number, blocks)
            number += 1

    def landed(blocks, finished):
        flying.discard(blocks)
        for block, record in finished.items():
            if not isinstance(record, Exception):
                more(float(record["seconds"]))
            yield block, record

    # the caller's thread count is put back; a thread of the threading backend starts from 1 too
    with single_thread():
        while waiting and more():
            parallel = Parallel(n_jobs, return_as=_returning(), pre_dispatch="n_jobs")
            try:
                for finished in parallel(jobs()):
                    yield from landed(tuple(finished), finished)
            except pickle.PicklingError as error:
                why = str(error.__cause__ or error).strip('"\n ').splitlines()[-1]
                raise TypeError(
                    "n_jobs > 1 sends the rows, encoder=, augmentation= and distance= to other "
                    f"processes, and one of them can't be pickled ({why}): use n_jobs=1."
                ) from error
            except Exception as error:
                if not _worker_died(error):
                    raise
            for blocks in list(flying):  # one of these was too much: each once more, alone
                try:
                    finished = Parallel(2)([job(0, blocks)])[0]
                except Exception as error:
                    if not _worker_died(error):
                        raise
                    finished = {b: _killed_twice(plan, b) for b in blocks}
                yield from landed(blocks, finished)


def _next(waiting, store, keys):
    """Take the next blocks that no other run is at; if there are none, those to wait for."""
    for _ in range(len(waiting) if store is not None else 0):
        if not any(store.is_claimed(keys[b]) for b in waiting[0]):
            break
        waiting.rotate(-1)
    return waiting.popleft()


def _returning():
    """How results come back: as they finish where the joblib backend can, else all at the end."""
    from joblib.parallel import get_active_backend

    backend = get_active_backend()[0]
    able = getattr(backend, "supports_return_generator", False)
    return "generator_unordered" if able else "list"


def _worker_died(error):
    """Whether an exception says that a worker process is gone: joblib's or dask's."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker"})


def _killed_twice(plan, block):
    return TrainingError(
        f"the worker that trained the block of seed {plan.seed_of(block)} was killed twice, probably "
        "because memory ran out: lower n_jobs, batch_size or n_views."
    )


def _job(number, parent, blocks, trainer, measurements, data, store, keys, keep_models):
    """Train and measure some blocks in a worker, unless another run has; a failure is returned."""
    _end_with(parent)
    getattr(trainer, "prepare_job", lambda number: None)(number)
    with contextlib.ExitStack() as claims:
        found = {}
        if store is not None:
            # in one order for all runs, so that none waits in a ring
            for block in sorted(blocks, key=keys.get):
                claims.enter_context(store.claim(keys[block]))
                if (record := store.load(keys[block])) is not None:
                    found[block] = record
        missing = {b: part for b, part in blocks.items() if b not in found}
        with single_thread():
            made = _train_or_fail(trainer, measurements, data, missing, keep_models)
        for block, record in made.items() if store is not None else ():
            if not isinstance(record, Exception):
                store.save(keys[block], record)
    return {b: found[b] if b in found else made[b] for b in blocks}


def _train_or_fail(trainer, measurements, data, blocks, keep_models):
    """Records of blocks, or the TrainingError of one that failed."""
    try:
        return train_blocks(trainer, measurements, data, blocks, keep_models) if blocks else {}
    except TrainingError as error:
        if len(blocks) == 1:
            return dict.fromkeys(blocks, error)
    alone = [  # find the block that failed
        _train_or_fail(trainer, measurements, data, {b: part}, keep_models)
        for b, part in blocks.items()
    ]
    return {b: record for one in alone for b, record in one.items()}


_watched = set()


def _end_with(parent):
    """End this worker process when its parent dies; by itself it would stay for minutes."""
    if os.getpid() == parent or os.getppid() != parent or parent in _watched:
        return
    _watched.add(parent)

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="sslmemo ends with its parent").start()


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
