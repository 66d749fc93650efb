"""What moves between releases of scikit-learn, and the errors that every module words alike."""

from __future__ import annotations

import difflib

__all__ = ["check_in_range", "named"]


def named(name, registry, parameter):
    """Look a name up; an unknown one is a ValueError that offers the nearest known name."""
    if name in registry:
        return registry[name]
    near = difflib.get_close_matches(str(name), registry, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"{parameter}={name!r} is unknown.{hint} Known: {', '.join(map(repr, registry))}."
    )


def check_in_range(name, value, kind, low=None, high=None, *, open_low=False):
    """Check one number; the error names the parameter, its value and what is allowed."""
    import numbers

    word = {numbers.Integral: "an int", numbers.Real: "a number"}[kind]
    bound = "" if low is None else f" {'above' if open_low else 'of at least'} {low}"
    if high is not None:
        bound += f" and at most {high}"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {word}{bound}, got {value!r}.")
    below = low is not None and (value <= low if open_low else value < low)
    if below or value != value or (high is not None and value > high):
        raise ValueError(f"{name} must be {word}{bound}, got {value!r}.")
    return value
