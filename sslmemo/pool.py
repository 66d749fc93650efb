"""run(): a plan, a trainer and measurements, executed block by block.

The pool knows neither SSL nor alignment. It spreads blocks over processes by joblib, keeps the
measurements (and the models only when asked), writes every finished block to the store before it
is reported, and reads finished ones back.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import dataclass, field

import numpy as np

from .identity import alike, key_of
from .jobs import execute
from .plans import Plan
from .protocols import TrainingError
from .store import Store

__all__ = ["Finished", "Run", "run", "stored"]


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


class Finished:
    """The finished blocks of a run, to be read while it goes on or after it was interrupted."""

    def __init__(self):
        self.records = {}
        self._described = None

    def open(self, plan, trainer, measurements, data, store, keep_models):
        """Begin a run: take what describes it, and the blocks that its store holds already.

        Parameters
        ----------
        plan, trainer, measurements, data, store, keep_models
            As in `run`.

        Returns
        -------
        config : dict
            What determines the run's numbers.
        store : Store or None
            Opened.
        keys : dict of int to str
            Record of every block.
        """
        config = run_config(plan, trainer, measurements, data)
        if store is not None:
            store = Store(store)
            config["behaviour"] = _behaviour(store, config, trainer, measurements, data)
        keys = {int(b): _block_key(config, plan, b, keep_models) for b in plan.blocks}
        self._described = plan, config, keep_models
        for block, key in keys.items() if store is not None else ():
            if (record := store.load(key)) is not None:
                self.records[block] = record
        return config, store, keys

    def __len__(self):
        return len(self.records)

    def run(self):
        """Make a Run of the blocks finished so far, or None where there is none."""
        records = {b: r for b, r in list(self.records.items()) if not isinstance(r, Exception)}
        if not records:
            return None
        plan, config, keep_models = self._described
        return _assemble(plan.take(sorted(records)), records, config, keep_models)


def run(plan, trainer, measurements, data, *, n_jobs=None, store=None, keep_models=False,
        on_error="raise", max_time=None, verbose=0, finished=None):  # fmt: skip
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
        Folder of finished blocks: read when they verify, written as they finish. Several runs may
        share it at once; each block is then trained by one of them.
    keep_models : bool, default=False
        Keep every encoder's weights.
    on_error : {"raise", "drop"}, default="raise"
        Whether a failed training ends the run, or its block is NaN with a warning. A worker that
        the system kills is tried again once, alone, and then counts as failed.
    max_time : float, default=None
        Seconds after which no further block is begun; the plan returned holds the finished ones.
    verbose : int, default=0
        1 shows a progress bar over encoders, and says why nothing in the store can be used.
    finished : Finished, default=None
        Filled as blocks finish, so that an interrupt or a failure loses none.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        A training failed and `on_error` is "raise", or all failed.
    StoreError
        The store can't be written.
    """
    if on_error not in ("raise", "drop"):
        raise ValueError(f"on_error must be 'raise' or 'drop', got {on_error!r}.")
    started = time.monotonic()
    finished = Finished() if finished is None else finished
    records = finished.records
    config, store, keys = finished.open(plan, trainer, measurements, data, store, keep_models)
    if store is not None:
        if len(records) < len(keys):
            store.check_writable()
            if not records and verbose:
                _say_what_differs(store, config)
        store.note(config)
    with _progress(plan, records, verbose) as advance:
        for block, record in execute(
            plan, trainer, measurements, data, [b for b in keys if b not in records],
            n_jobs=n_jobs, store=store, keys=keys, keep_models=keep_models,
            more=_deadline(max_time, started, records),
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


def stored(plan, trainer, measurements, data, store, keep_models=False):
    """Read the finished blocks of a plan from a store, and train nothing.

    Parameters
    ----------
    plan, trainer, measurements, data, store, keep_models
        As in `run`.

    Returns
    -------
    Run or None
        Of the blocks that are there; None where there is none.
    """
    finished = Finished()
    finished.open(plan, trainer, measurements, data, store, keep_models)
    return finished.run()


def _say_what_differs(store, config):
    differences = store.differences(config)
    if differences is not None:
        listed = "; ".join(differences[:4]) or "the behaviour of a callable"
        print(
            f"memory={str(store.folder)!r} holds other runs, but none of this one's blocks: all are "
            f"trained. Against the most similar one: {listed}.",
            file=sys.stderr,
        )


def run_config(plan, trainer, measurements, data):
    """What determines a run's numbers, as plain JSON."""
    import kornia
    import torch

    from . import __version__

    return {
        "trainer": trainer.config(),
        "measurements": [m.config() for m in measurements],
        "data": data.fingerprint(),
        "design": plan.design,
        "versions": {
            "sslmemo": __version__,
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
            with store.claim(key):  # runs that start together agree on the numbers
                known = store.load(key)
                if known is None:
                    store.save(key, found)
                    return number
        if alike(known, found):
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
        done = sum(len(plan.encoders_of(b)) for b in records)
        if verbose and done < plan.n_encoders:  # a log would show a bar that is full at once twice
            from tqdm.auto import tqdm

            self.bar = tqdm(
                total=plan.n_encoders, initial=done, desc="training encoders", unit="encoder"
            )

    def __enter__(self):
        return lambda k: self.bar.update(k) if self.bar is not None else None

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()
