"""Seeded draws: every random number of the package comes from a named seed.

kornia and torch's initialisers draw from the global generator, and forking that generator in two
threads at once gives wrong draws. So whoever draws holds one process-wide lock, with the caller's
generator put back afterwards.
"""

from __future__ import annotations

import contextlib
import random
import threading
import zlib

import numpy as np

__all__ = [
    "derive_seed", "draws_undone", "entropy_of", "generator", "seeded", "single_thread", "usual_torch",
]  # fmt: skip

_LOCK = threading.RLock()


def derive_seed(entropy, *key):
    """Seed of 64 bits that depends on `entropy` and a path of ints and words, and on nothing else."""
    path = tuple(zlib.crc32(k.encode()) if isinstance(k, str) else int(k) for k in key)
    state = np.random.SeedSequence(int(entropy), spawn_key=path).generate_state(1, np.uint64)
    return int(state[0])


def generator(entropy, *key):
    """NumPy generator of a path, see `derive_seed`."""
    return np.random.default_rng(derive_seed(entropy, *key))


def entropy_of(random_state):
    """Entropy from scikit-learn's `random_state`: the same int for the same int or generator state.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None draws fresh entropy from the operating system, never from NumPy's global generator.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**32, dtype=np.uint64))
    if isinstance(random_state, bool) or not isinstance(random_state, (int, np.integer)):
        raise TypeError(
            f"random_state must be an int, a RandomState or None, got {random_state!r}."
        )
    if random_state < 0:
        raise ValueError(f"random_state must not be negative, got {random_state}.")
    return int(random_state)


@contextlib.contextmanager
def seeded(seed, device="cpu"):
    """Run torch's global generators from `seed`, alone in this process, and put them back.

    Parameters
    ----------
    seed : int
        Any non-negative int; torch takes 64 bits of it.
    device : str or torch.device, default="cpu"
        A CUDA device's generator is forked and seeded too.
    """
    import torch

    device, own = torch.device(device), torch.default_generator
    on_gpu = device.type == "cuda"
    with _LOCK:
        before = own.get_state()
        before_gpu = torch.cuda.get_rng_state(device) if on_gpu else None
        own.manual_seed(seed % 2**63)  # torch.manual_seed asks every backend, a millisecond a call
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**63)
        try:
            yield
        finally:
            own.set_state(before)
            if on_gpu:
                torch.cuda.set_rng_state(before_gpu, device)


@contextlib.contextmanager
def draws_undone():
    """Put the global generators of Python, NumPy and torch back after a trial of foreign code."""
    import torch

    before = random.getstate(), np.random.get_state(), torch.default_generator.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.default_generator.set_state(before[2])


@contextlib.contextmanager
def single_thread():
    """One torch thread while the block runs, so that sums never depend on the number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def usual_torch():
    """Run as torch starts, whatever the caller has set: float32, the CPU, gradients, no autocast."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with contextlib.ExitStack() as switched:
            switched.enter_context(torch.inference_mode(False))
            if torch.get_default_device().type != "cpu":
                switched.enter_context(torch.device("cpu"))
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    # inside an outer autocast, weights once cast are kept, and go stale in training
                    off = torch.autocast(kind, enabled=False, cache_enabled=False)
                    switched.enter_context(off)
            yield
    finally:
        torch.set_default_dtype(before)
