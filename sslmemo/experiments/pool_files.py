"""Pools as small files: memberships as bits, measurements in half precision, recipe and checksum.

A released truth pool lets others try an estimator without training one.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from .._compat import check_choice, shown
from ..estimates import Difference
from ..pool import Run
from ..result import MemorizationResult

__all__ = ["load_pool", "save_pool"]


def save_pool(pool, path, values=("alignment",), dtype="float16"):
    """Write a pool's plan, recipe and some of its matrices to one small file, without pickle.

    256 encoders of 300 rows are about 170 kB a matrix.

    Parameters
    ----------
    pool : Run or MemorizationResult
        What is written; models are left out.
    path : str or path
        File to write, in a folder that exists; one that is there is replaced.
    values : sequence of str, default=("alignment",)
        Names of the matrices to keep; with ``"alignment"``, from which the scores come. Shrinkage
        of the loaded pool needs the features it learns from, see Notes.
    dtype : {"float16", "float32", "float64"}, default="float16"
        Of the matrices in the file. Half precision rounds by at most one part in 2048, far below the
        noise of an encoder.

    Raises
    ------
    TypeError, ValueError
        `pool` is none, `path` is no path, a matrix is absent, or a number is too large for the type.

    Notes
    -----
    A pool is saved under the unbiased difference, whatever its estimate, and `load_pool` gives that.
    ``MemorizationResult(load_pool(path).run, "shrinkage")`` estimates anew, from what was kept: name
    the features, such as ``values=["isolation", "density"]``, or it learns from the alignment alone.

    `MemorizationResult.load` reads the file too. It is a line of JSON with the SHA-256 of what
    follows, then an npz, whose entry ``json`` names the arrays.
    """
    run = getattr(pool, "run", pool)
    if not isinstance(run, Run):
        raise TypeError(f"pool must be a Run or a MemorizationResult, got {shown(pool)}.")
    _check_path(path)
    check_choice("dtype", dtype, ("float16", "float32", "float64"))
    if isinstance(values, str):
        raise TypeError(f"values must be a sequence of names, got {values!r}.")
    estimate = Difference() if pool is run else pool.unbiased.estimate
    kept = {}
    for name in dict.fromkeys([*estimate.needs, *values]):
        if name not in run.values:
            known = ", ".join(map(repr, run.values))
            raise ValueError(f"values={name!r} was not measured. There are: {known}.")
        exact = np.asarray(run.values[name])
        with np.errstate(over="ignore"):
            kept[name] = exact.astype(dtype)
        if (np.isfinite(exact) & ~np.isfinite(kept[name])).any():
            raise ValueError(
                f"{name!r} holds numbers too large for dtype={dtype!r}: use 'float32'."
            )
    small = replace(run, values=kept, models=None)
    MemorizationResult(small, estimate).save(path)


def load_pool(path):
    """Read what `save_pool` wrote.

    Parameters
    ----------
    path : str or path
        File to read.

    Returns
    -------
    MemorizationResult
        Its ``run`` has the plan, the recipe (``config``) and the kept matrices, as float64.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError
        `path` is no path.
    ValueError
        The file is no saved pool, or was torn or altered.
    """
    _check_path(path)
    result = MemorizationResult.load(path)
    values = {name: np.asarray(v, float) for name, v in result.run.values.items()}
    return MemorizationResult(replace(result.run, values=values), result.estimate)


def _check_path(path):
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path must be the path of a file, such as 'truth.pool', got {shown(path)}."
        )
