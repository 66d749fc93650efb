"""Which device and which precision: decided by flags, never by a timing.

bf16 autocast pays on a GPU, on a processor with AMX tiles, and on AMD processors with avx512_bf16
(1.5 to 1.9 times faster forward and backward on a Zen 4). An earlier prototype on a processor with
avx512_bf16 alone took twice as long, so other vendors keep float32 there.
"""

from __future__ import annotations

import contextlib
import numbers
from pathlib import Path

import torch

from .._compat import check_choice, check_in_range, shown

__all__ = ["autocast", "limit_jobs", "resolve_device", "resolve_precision"]

MOST_JOBS = 4096


def resolve_device(device):
    """Return "cpu", "cuda" (any) or "cuda:i"; a device that is absent is a ValueError."""
    if not isinstance(device, (str, torch.device)):
        raise TypeError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:i', got {shown(device)}.")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is unknown: use 'auto', 'cpu' or 'cuda'.") from error
    if wanted.type == "cpu":
        return "cpu"
    if wanted.type != "cuda":
        raise ValueError(f"device={device!r} is not supported: use 'auto', 'cpu' or 'cuda'.")
    count, index = torch.cuda.device_count(), wanted.index or 0
    if index >= count:
        raise ValueError(
            f"device={device!r} is absent: this machine has {count} CUDA devices. Use device='auto'."
        )
    return str(wanted)


def has_fast_bf16():
    """Whether this processor multiplies bf16 matrices faster than float32 ones, by its flags."""
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    if amx is not None and amx():
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AuthenticAMD" in flags and "avx512_bf16" in flags


def resolve_precision(precision, device):
    """Return "fp32" or "bf16"."""
    check_choice("precision", precision, ("auto", "fp32", "bf16"))
    if precision == "auto":
        return "bf16" if device != "cpu" or has_fast_bf16() else "fp32"
    return precision


def autocast(precision, device):
    """Context of a forward pass."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def limit_jobs(n_jobs, device):
    """Processes for `n_jobs`: on GPUs one a device at most, never several on one.

    Raises
    ------
    TypeError, ValueError
        `n_jobs` is neither None nor an int other than 0.
    """
    if n_jobs is not None:
        check_in_range("n_jobs", n_jobs, numbers.Integral, high=MOST_JOBS)
        if n_jobs == 0:
            raise ValueError("n_jobs must not be 0: None or 1 is one process, -1 all processors.")
    if device == "cpu":
        return n_jobs
    from joblib import effective_n_jobs

    return min(effective_n_jobs(n_jobs), torch.cuda.device_count() if device == "cuda" else 1)
