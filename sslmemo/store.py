"""One atomic, checksummed record a block; no pickle.

A record is one file: a line of JSON (format, key, checksum), then an npz of plain arrays. It is
named by a hash of all that determines it, so that a folder can hold many runs; a record that
doesn't verify counts as absent.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np

__all__ = ["Store", "describe", "key_of", "read_record", "write_record"]

FORMAT = 1


class Store:
    """A folder of records.

    Parameters
    ----------
    folder : str or path
        Made when it is absent.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"memory={str(folder)!r} can't be used as a folder: {error}."
            ) from error

    def path(self, key):
        """File of a record."""
        return self.folder / f"{key}.block"

    def load(self, key):
        """Arrays of a record, or None where it is absent, torn, altered or another's."""
        return read_record(self.path(key), key)

    def save(self, key, arrays):
        """Write a record, whole or not at all."""
        path = self.path(key)
        if path.is_dir() and not path.is_symlink():  # never ours: set aside, not deleted
            path.rename(tempfile.mkdtemp(dir=self.folder, prefix=f"{key}-set-aside-"))
        write_record(path, key, arrays)


def read_record(path, key):
    """Arrays of a record file, or None where it is absent, torn, altered or another's."""
    path = Path(path)
    try:
        if path.is_symlink():
            return None
        head, _, body = path.read_bytes().partition(b"\n")
        if json.loads(head) != _head(key, body):
            return None
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, TypeError):
        return None


def write_record(path, key, arrays):
    """Write a record file: a temporary file beside it, flushed to disk, then renamed."""
    path, buffer = Path(path), io.BytesIO()
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"array {name!r} holds Python objects: only plain arrays are written.")
    np.savez(buffer, **arrays)
    body = buffer.getvalue()
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(_head(key, body)).encode() + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _head(key, body):
    return {"format": FORMAT, "key": key, "sha256": hashlib.sha256(body).hexdigest()}


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
