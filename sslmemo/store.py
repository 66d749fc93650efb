"""One atomic, checksummed record a block; no pickle.

A record is one file: a line of JSON (format, key, checksum), then an npz of plain arrays. It is
named by a hash of all that determines it, so that a folder can hold many runs; a record that
doesn't verify counts as absent. Locks let several runs share a folder; they save work, and no record
depends on them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import tempfile
from pathlib import Path

import numpy as np

from .identity import key_of

__all__ = ["Store", "StoreError", "read_record", "write_record", "write_whole"]

FORMAT = 1


class StoreError(OSError):
    """A store can't be written: the disk is full, say, or the folder is read-only."""


class Store:
    """A folder of records.

    Parameters
    ----------
    folder : str or path
        Made when it is absent.

    Raises
    ------
    ValueError
        It can't be made, or was written in another format.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"memory={str(folder)!r} can't be used as a folder: {error}."
            ) from error
        self._check_format()

    def _check_format(self):
        marker = self.folder / "sslmemo-store.json"
        try:
            found = json.loads(marker.read_text())["format"]
        except (OSError, ValueError, TypeError, KeyError):  # absent or damaged: written anew
            with contextlib.suppress(OSError):  # `check_writable` says so where it matters
                write_whole(marker, json.dumps({"format": FORMAT}).encode() + b"\n")
            return
        if found != FORMAT:
            raise ValueError(
                f"memory={str(self.folder)!r} holds records of format {found}, and this version reads "
                f"format {FORMAT}: name another folder, or use the version that wrote it."
            )

    def check_writable(self):
        """Try to write; a StoreError says why it can't be done."""
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                file.write(bytes(4096))
                file.flush()
        except OSError as error:
            raise self._error(error) from error

    def path(self, key):
        """File of a record."""
        return self.folder / f"{key}.block"

    def load(self, key):
        """Arrays of a record, or None where it is absent, torn, altered or another's."""
        return read_record(self.path(key), key)

    def save(self, key, arrays):
        """Write a record, whole or not at all; a StoreError where that fails."""
        path = self.path(key)
        try:
            if path.is_dir() and not path.is_symlink():  # never ours: set aside, not deleted
                path.rename(tempfile.mkdtemp(dir=self.folder, prefix=f"{key}-set-aside-"))
            write_record(path, key, arrays)
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error):
        return StoreError(
            f"memory={str(self.folder)!r} can't be written: {error}. What is finished there is "
            "intact: make room or name a folder that can be written, and fit again to go on."
        )

    @contextlib.contextmanager
    def claim(self, key):
        """Hold a record's lock while it is made, so that two runs on one folder share the work.

        Another holder is waited for. The system frees the lock of a process that dies. Where the
        file system has no locks, both make the record, with equal bytes.
        """
        lock = self._lock(key)
        try:
            lock.acquire()
            for left in self.folder.glob(f".{key}.block.*.part"):  # of a writer that was killed
                left.unlink(missing_ok=True)
        except (NotImplementedError, OSError):
            lock = None
        try:
            yield
        finally:
            if lock is not None:
                with contextlib.suppress(OSError):
                    Path(lock.lock_file).unlink(missing_ok=True)
                lock.release()

    def is_claimed(self, key):
        """Whether another run is making the record now."""
        from filelock import Timeout

        lock = self._lock(key)
        if not Path(lock.lock_file).exists():
            return False
        try:
            with lock.acquire(timeout=0):
                return False
        except Timeout:
            return True
        except (NotImplementedError, OSError):
            return False

    def _lock(self, key):
        from filelock import FileLock

        return FileLock(self.folder / f".{key}.lock")

    def note(self, config):
        """Write down a run's configuration, so that a later run can say how it differs."""
        with contextlib.suppress(OSError):  # a convenience, and the folder may be read-only
            path = self.folder / f"run-{key_of(config)}.json"
            if not path.exists():
                write_whole(path, json.dumps(config, sort_keys=True, indent=1).encode() + b"\n")

    def differences(self, config):
        """How the most similar other run of the same design and purpose differs: list of str, or None."""
        found = []
        for path in self.folder.glob("run-*.json"):
            try:
                other = json.loads(path.read_text())
                if _purpose(other) == _purpose(config) and other != config:
                    found.append(sorted(_differences(other, config)))
            except (OSError, ValueError, AttributeError):
                continue
        return min(found, key=len, default=None)


def _purpose(config):
    """Design, kind of trainer and first measurement: where one differs, another question was asked."""
    trainer = config.get("trainer") or {}
    kind = trainer.get("trainer") if isinstance(trainer, dict) else None
    first = next(iter(config.get("measurements") or ()), None)
    name = first.get("measurement") if isinstance(first, dict) else None
    return config.get("design"), kind, name


def _differences(old, new, name=""):
    """Where two plain JSON values differ, in words: a list."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [
            d for k in keys for d in _differences(old.get(k), new.get(k), f"{name}.{k}".strip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [d for a, b in zip(old, new, strict=True) for d in _differences(a, b, name)]
    if old == new:
        return []
    return ["other rows"] if name == "data" else [f"{name} was {old!r}, is {new!r}"]


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
    """Write a record file, whole or not at all."""
    path, buffer = Path(path), io.BytesIO()
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"array {name!r} holds Python objects: only plain arrays are written.")
    np.savez(buffer, **arrays)
    body = buffer.getvalue()
    write_whole(path, json.dumps(_head(key, body)).encode() + b"\n" + body)


def write_whole(path, content):
    """Write bytes to a file or leave it as it is: a temporary file, flushed to disk, then renamed."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    # unlike tempfile's, readable by whom the user's umask lets: folders are shared
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder):
    """Make a rename survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _head(key, body):
    return {"format": FORMAT, "key": key, "sha256": hashlib.sha256(body).hexdigest()}
