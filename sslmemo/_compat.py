"""Checks of parameters that every module words alike."""

from __future__ import annotations

import difflib
import itertools
import math
import numbers
import os
import reprlib

import numpy as np

__all__ = [
    "check_at",
    "check_choice",
    "check_flag",
    "check_folder",
    "check_in_range",
    "named",
    "shown",
]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def shown(value):
    """A value for an error message: its repr on one line, shortened."""
    return " ".join(_SHORT.repr(value).split())


def named(name, registry, parameter):
    """Look a name up; an unknown one is a ValueError that offers the nearest known name."""
    known = ", ".join(map(repr, registry))
    if not isinstance(name, str):
        raise TypeError(f"{parameter} must be a name ({known}), got {shown(name)}.")
    if name in registry:
        return registry[name]
    near = difflib.get_close_matches(name, registry, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{parameter}={shown(name)} is unknown.{hint} Known: {known}.")


def check_choice(name, value, choices):
    """Check one of a few words; the error names the parameter, its value and what is allowed."""
    if not isinstance(value, str) or value not in choices:
        *most, last = map(repr, choices)
        raise ValueError(f"{name} must be {', '.join(most)} or {last}, got {shown(value)}.")
    return value


def check_in_range(name, value, kind, low=None, high=None, *, open_low=False, finite=False):
    """Check one number; the error names the parameter, its value and what is allowed."""
    word = {numbers.Integral: "an int", numbers.Real: "a number"}[kind]
    bound = "" if low is None else f" {'above' if open_low else 'of at least'} {low}"
    if high is not None:
        bound += f"{' and' * (low is not None)} at most {high}"
    bound += " and finite" * finite
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {word}{bound}, got {shown(value)}.")
    below = low is not None and (value <= low if open_low else value < low)
    above = high is not None and value > high
    if below or above or value != value or (finite and math.isinf(value)):
        raise ValueError(f"{name} must be {word}{bound}, got {shown(value)}.")
    return value


def check_flag(name, value, *, levels=False):
    """Check a switch; with `levels` an int is one too, as `verbose` takes it."""
    if not isinstance(value, (bool, np.bool_, *([numbers.Integral] if levels else []))):
        word = "True, False or an int" if levels else "True or False"
        raise TypeError(f"{name} must be {word}, got {shown(value)}.")
    return value


def check_folder(name, value):
    """Check the name of a folder, or None."""
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be None or the path of a folder, got {shown(value)}.")
    if value == "":
        raise ValueError(f"{name} is an empty path: name a folder, or None.")
    return value


def check_at(at):
    """Check fractions of a training; the same as a tuple."""
    at = tuple(at) if isinstance(at, (tuple, list)) else (at,)
    for fraction in at:
        check_in_range("at", fraction, numbers.Real, 0, 1, open_low=True)
    if not at or any(b <= a for a, b in itertools.pairwise(at)):
        raise ValueError(f"at must be ascending fractions of the training, got {at!r}.")
    return tuple(map(float, at))
