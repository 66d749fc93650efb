"""What tells runs apart: hashes of plain values and descriptions of parameters."""

from __future__ import annotations

import functools
import hashlib
import json

import numpy as np

__all__ = ["alike", "describe", "key_of"]


def key_of(*parts):
    """Hash of plain JSON values, bytes and arrays, in order: 32 hex digits."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            head, part = f"{part.dtype}{part.shape}", np.ascontiguousarray(part).tobytes()
            whole.update(head.encode())
        elif not isinstance(part, bytes):
            part = json.dumps(part, sort_keys=True).encode()
        whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()[:32]


def describe(thing):
    """Plain JSON that names a parameter: qualified name and parameters for foreign objects.

    Two callables can share a description; the pool compares their behaviour too (`probe`).
    """
    if thing is None or isinstance(thing, (bool, int, float, str)):
        return thing
    if isinstance(thing, (list, tuple)):
        return [describe(t) for t in thing]
    if isinstance(thing, dict):
        return {str(k): describe(v) for k, v in thing.items()}
    if isinstance(thing, np.ndarray):
        return key_of(thing)
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, functools.partial):
        return [describe(thing.func), describe(thing.args), describe(thing.keywords)]
    kind = thing if hasattr(thing, "__qualname__") else type(thing)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind is thing:
        return name
    if hasattr(thing, "get_params"):
        return [name, describe(thing.get_params(deep=False))]
    if hasattr(thing, "named_modules"):
        return [name, repr(thing)]
    return name


def alike(a, b):
    """Whether two behaviours are the same but for what another processor or library would change.

    Parameters
    ----------
    a, b : dict, ndarray or plain value
        Dicts are compared entry by entry, arrays to three digits, all else by equality.

    Returns
    -------
    bool
    """
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.allclose(a, b, 1e-3, 1e-4, equal_nan=True)
    return a == b
