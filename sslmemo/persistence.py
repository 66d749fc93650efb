"""Fitted objects in one checksummed file, without pickle: JSON for what is plain, npz for arrays.

`pack` knows plain values, arrays, a few records of ours and the objects of our registries. A
parameter that is anything else, such as a user's encoder factory, is not stored: its description
is, and `load` asks for it again. Nothing that a file says is ever imported or called.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os

import numpy as np

from .data import Layout, RowIndex
from .designs import DESIGNS
from .estimates import ESTIMATES
from .identity import describe
from .methods import METHODS, LayerNormed
from .plans import Plan
from .pool import Run
from .stopping import STOPPING
from .store import read_record, write_record
from .training.noise import GradientNoise
from .training.private import PrivateTraining

__all__ = [
    "Unstorable",
    "check_target",
    "estimator_content",
    "estimator_of",
    "pack",
    "read",
    "unpack",
    "write",
]

RECORDS = {kind.__name__: kind for kind in (Layout, Plan, Run)}
REGISTRIES = {
    "method": {**METHODS, "layer_normed": LayerNormed},
    "design": DESIGNS,
    "estimate": ESTIMATES,
    "stop_when": STOPPING,
    "gradient_noise": {"gradient_noise": GradientNoise, "private": PrivateTraining},
}
KINDS = ("MemorizationEstimator", "MemorizationProxy", "MemorizationResult", "SSLEncoder")


class Unstorable(ValueError):
    """A value that can't be stored without pickle."""


def write(path, kind, content):
    """Write an object's content to a file, whole or not at all.

    Parameters
    ----------
    path : str or path
        File in a folder that exists; one that is there is replaced.
    kind : str
        Name of the class, one of `KINDS`; only a reader of this kind reads the file.
    content : dict
        Of values that `pack` knows.

    Raises
    ------
    TypeError
        `path` is neither a str nor a path.
    ValueError
        `path` is a folder, or a value can't be stored.
    FileNotFoundError
        The folder of `path` does not exist.
    """
    from . import __version__

    check_target(path)
    arrays = {}
    packed = {"version": __version__, "content": pack(content, arrays, kind)}
    arrays["json"] = np.frombuffer(json.dumps(packed).encode(), np.uint8)
    write_record(path, kind, arrays)


def read(path, kind):
    """Content of a file that `write` wrote.

    Parameters
    ----------
    path : str or path
        File to read.
    kind : str
        As given to `write`.

    Returns
    -------
    dict
        As given to `write`; paths have become strings.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is of another kind, torn or altered, or of a version that stored other things.
    """
    from . import __version__

    _refuse_folder(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"path={str(path)!r} does not exist.")
    arrays = read_record(path, kind)
    if arrays is None:
        raise ValueError(
            f"path={str(path)!r} is no saved {kind}, or it was torn or altered{_other_kind(path)}."
        )
    packed = json.loads(arrays.pop("json").tobytes())
    try:
        return unpack(packed["content"], arrays)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"path={str(path)!r} was written by sslmemo {packed['version']}, and {__version__} can't "
            f"read it ({type(error).__name__}: {error}): use the version that wrote it."
        ) from error


def check_target(path):
    """Refuse to write to what is no path, to a folder, or into one that does not exist."""
    _refuse_folder(path)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"path={str(path)!r} lies in a folder that does not exist: make {folder!r} first."
        )


def _refuse_folder(path):
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a str or a path, got {path!r}.")
    if os.path.isdir(path):
        raise ValueError(f"path={str(path)!r} is a folder: name a file in it.")


def _other_kind(path):
    """A hint for a whole file of another kind."""
    try:
        with open(path, "rb") as file:
            kind = json.loads(file.readline(4096))["key"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return f": it begins as a saved {kind}, which {kind}.load reads" if kind in KINDS else ""


def pack(value, arrays, name):
    """Plain JSON of a value; its arrays go to `arrays`, and the JSON names them.

    Scalars stand for themselves, everything else is ``{kind: what it holds}``.

    Parameters
    ----------
    value : object
        What is stored.
    arrays : dict of str to ndarray
        Filled.
    name : str
        What an error calls the value.

    Raises
    ------
    Unstorable
        The value, or one inside it, is of no kind that is known here.
    """

    def inside(held, key=""):
        return pack(held, arrays, f"{name}.{key}".strip("."))

    kind = type(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biufU" and value.dtype.char != "g":
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if kind in (list, tuple, range):
        return {"tuple" if kind is tuple else "list": [inside(v, i) for i, v in enumerate(value)]}
    if kind is dict:
        return {"dict": [[inside(k), inside(v, k)] for k, v in value.items()]}
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:  # names of columns, labels of a data frame
            flat = value.ravel().tolist()
            foreign = [v for v in flat if not isinstance(v, (bool, int, float, str, type(None)))]
            if not foreign:
                return {"objects": [list(value.shape), flat]}
            kind = type(foreign[0])
        elif value.dtype == bool and value.size > 64:  # memberships: an eighth of the bytes
            arrays[key := str(len(arrays))] = np.packbits(value)
            return {"bits": [list(value.shape), key]}
        else:
            arrays[key := str(len(arrays))] = np.asarray(value)
            return {"array": key}
    if kind is np.random.RandomState:
        state = value.get_state(legacy=False)
        if state["bit_generator"] == "MT19937":
            return {"RandomState": inside(state)}
    if kind is RowIndex:
        return {"RowIndex": inside(_parts_of_index(value))}
    if kind in RECORDS.values():
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(kind)}
        return {kind.__name__: inside(fields)}
    for registry, known in REGISTRIES.items():
        for word, member in known.items():
            if kind is member:
                return {registry: [word, inside(value.get_params(deep=False), word)]}
    raise Unstorable(
        f"{name} is or holds a {kind.__module__}.{kind.__qualname__}, which can't be stored without "
        "pickle."
    )


def unpack(packed, arrays):
    """The value that `pack` made JSON of; equal, and of the same type but for NumPy's scalars."""
    if not isinstance(packed, dict):
        return packed
    ((kind, held),) = packed.items()
    if kind in ("list", "tuple"):
        values = [unpack(v, arrays) for v in held]
        return tuple(values) if kind == "tuple" else values
    if kind == "dict":
        return {unpack(k, arrays): unpack(v, arrays) for k, v in held}
    if kind == "array":
        return arrays[held]
    if kind == "bits":
        shape, key = held
        return np.unpackbits(arrays[key], count=math.prod(shape)).astype(bool).reshape(shape)
    if kind == "objects":
        shape, flat = held
        objects = np.empty(len(flat), object)
        objects[:] = flat
        return objects.reshape(shape)
    if kind == "RandomState":
        random_state = np.random.RandomState()
        random_state.set_state(unpack(held, arrays))
        return random_state
    if kind == "RowIndex":
        return _index_of_parts(unpack(held, arrays))
    if kind in RECORDS:
        return RECORDS[kind](**unpack(held, arrays))
    word, parameters = held
    return REGISTRIES[kind][word](**unpack(parameters, arrays))


def _parts_of_index(index):
    """A RowIndex with its digests as one array (n_unique, 16) of bytes."""
    digests = np.frombuffer(b"".join(index._known), np.uint8).reshape(len(index._known), -1)
    numbers = np.array(list(index._known.values()))
    return {**vars(index), "_known": {"digests": digests, "numbers": numbers}}


def _index_of_parts(parts):
    index = RowIndex.__new__(RowIndex)
    known = parts.pop("_known")
    vars(index).update(parts)
    digests = [row.tobytes() for row in known["digests"]]
    index._known = dict(zip(digests, known["numbers"].tolist(), strict=True))
    return index


def estimator_content(estimator, leave):
    """What of an estimator can be stored as it is.

    Parameters
    ----------
    estimator : BaseEstimator
        Fitted.
    leave : set of str
        Attributes that `load` makes anew.

    Returns
    -------
    dict
        ``"parameters"``, as values; ``"foreign"``, the descriptions of parameters that `load` must
        be given; ``"fitted"``, the other attributes.
    """
    parameters, foreign = {}, {}
    for name, value in estimator.get_params(deep=False).items():
        try:
            pack(value, {}, name)
            parameters[name] = value
        except Unstorable:
            foreign[name] = describe(value)
    fitted = {
        name: value
        for name, value in vars(estimator).items()
        if name not in leave and name not in parameters and name not in foreign
    }
    return {"parameters": parameters, "foreign": foreign, "fitted": fitted}


def estimator_of(kind, content, given):
    """An estimator from what `estimator_content` stored, and the foreign parameters given again.

    Parameters
    ----------
    kind : type
        Class of the estimator.
    content : dict
        See `estimator_content`.
    given : dict
        Parameters that could not be stored, by name.

    Raises
    ------
    ValueError
        A foreign parameter is absent or of another description, or another one is given.
    """
    foreign = content["foreign"]
    for name in given:
        if name not in foreign:
            wanted = ", ".join(f"{k}=" for k in foreign) or "none"
            raise ValueError(
                f"{name}= can't be given to load: it takes what could not be stored without pickle, "
                f"here {wanted}. Use set_params on what load returns."
            )
    for name, description in foreign.items():
        if name not in given:
            raise ValueError(
                f"{name}= could not be stored without pickle: give it again, as "
                f"{kind.__name__}.load(path, {name}=...). It was {_words(description)}."
            )
        if (now := describe(given[name])) != description:
            raise ValueError(
                f"{name}= is {_words(now)}, but what was saved had {_words(description)}."
            )
    estimator = kind(**content["parameters"], **given)
    vars(estimator).update(content["fitted"])
    return estimator


def _words(description):
    """A description as a reader wants it: a plain name without quotes."""
    return description if isinstance(description, str) else json.dumps(description)
