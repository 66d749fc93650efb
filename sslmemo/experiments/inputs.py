"""What the experiments that train share: reading their rows, early refusals, a named interrupt."""

from __future__ import annotations

import contextlib

from sklearn.base import clone

from .._compat import shown
from ..encoder import SSLEncoder
from ..sources import as_array, check_labels

__all__ = ["as_list", "interruptible", "read_as", "recipe_of", "refuse_other_rows", "targets_of"]


def as_list(name, values):
    """Several values of a parameter as a list; one alone is a TypeError.

    Parameters
    ----------
    name : str
        Of the parameter, for the error.
    values : sequence
        At least one value; text is none.

    Returns
    -------
    list

    Raises
    ------
    TypeError, ValueError
        It is one value, or empty.
    """
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise TypeError(
            f"{name} must be a list of values, got {shown(values)}: write [{values!r}]."
        )
    values = list(values)
    if not values:
        raise ValueError(f"{name} is empty: give at least one value.")
    return values


def recipe_of(encoder):
    """Give a fresh `SSLEncoder` with a recipe, quiet and without a store.

    Parameters
    ----------
    encoder : SSLEncoder or None
        None is ``SSLEncoder()``.

    Returns
    -------
    SSLEncoder

    Raises
    ------
    TypeError
        It is something else.
    """
    if encoder is not None and not isinstance(encoder, SSLEncoder):
        raise TypeError(
            "encoder must be an SSLEncoder, whose parameters say how to train, got "
            f"{shown(encoder)}: SSLEncoder(encoder=...) takes networks."
        )
    recipe = SSLEncoder() if encoder is None else clone(encoder)
    return recipe.set_params(verbose=0, memory=None)


def read_as(recipe, name, X, reset=False):
    """Rows as the recipe reads them; an error names the parameter.

    Parameters
    ----------
    recipe : SSLEncoder
        Its layout is found by the training rows (`reset`), and kept for others.
    name : str
        Of the parameter.
    X : array-like or dataset
        The rows.
    reset : bool, default=False
        Whether these are the training rows.

    Returns
    -------
    Data

    Raises
    ------
    TypeError, ValueError
        As `sslmemo.data.as_data` says.
    """
    try:
        return recipe._read(X, reset=reset)
    except (TypeError, ValueError) as error:
        if name == "X":
            raise
        expected = f" (rows of X have shape {recipe.layout_.stored})" if not reset else ""
        raise type(error)(f"{name} can't be used{expected}: {error}") from error


def targets_of(name, y, n):
    """Labels (n,), or targets of another shape, one a row.

    Parameters
    ----------
    name : str
        Of the parameter.
    y : array-like of shape (n, ...)
        The targets.
    n : int
        Number of rows.

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError, ValueError
        There are other than n, or labels that can't be sorted.
    """
    targets = as_array(name, y)
    if targets.ndim == 1:
        return check_labels(targets, n, name)
    if len(targets) != n:
        raise ValueError(f"{name} must have one target for each of {n} rows, got {len(targets)}.")
    return targets


def refuse_other_rows(result, fingerprint, name="X"):
    """Refuse rows that are not those of a result, or stand in another order.

    Parameters
    ----------
    result : MemorizationResult
        Of a fit; one without a fingerprint passes.
    fingerprint : str
        `Data.fingerprint` of the rows.
    name : str, default="X"
        Of the parameter that holds the rows.

    Raises
    ------
    ValueError
        The fingerprints differ.
    """
    fitted_on = result.run.config.get("data")
    if fitted_on is not None and fitted_on != fingerprint:
        raise ValueError(
            f"{name} holds other rows than the result was fitted on, or the same in another order: "
            "scores belong to rows by position. Pass the rows of the fit, in its order; a fitted "
            "estimator finds rows by their content."
        )


@contextlib.contextmanager
def interruptible(memory):
    """Tell, at an interrupt, what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "finished trainings are lost: pass memory='folder' to keep them."
        if memory is not None:
            kept = (
                f"finished trainings are in memory={str(memory)!r}: the same call with the same "
                "random_state, an int, trains the rest only."
            )
        raise KeyboardInterrupt(kept) from None
