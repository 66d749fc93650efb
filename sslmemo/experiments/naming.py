"""What experiments over several fits share: results by name, and whether their rows are the same."""

from __future__ import annotations

from ..result import MemorizationResult

__all__ = ["check_same_rows", "named_results"]


def named_results(results, least=1):
    """Results by name; a sequence is numbered, fitted estimators give their `result_`.

    Parameters
    ----------
    results : dict of str to MemorizationResult, or sequence of MemorizationResult
        Fits; a fitted estimator stands for its result.
    least : int, default=1
        How many are needed.

    Returns
    -------
    dict of str to MemorizationResult

    Raises
    ------
    TypeError
        One is neither a result nor a fitted estimator.
    ValueError
        There are too few.
    """
    if isinstance(results, MemorizationResult):
        raise TypeError("results must hold several results: pass a dict or a list of them.")
    items = results.items() if isinstance(results, dict) else enumerate(results)
    found = {str(name): getattr(r, "result_", r) for name, r in items}
    for name, result in found.items():
        if not isinstance(result, MemorizationResult):
            raise TypeError(
                f"results[{name!r}] is a {type(result).__name__}: pass MemorizationResult objects, "
                "such as est.result_."
            )
    if len(found) < least:
        raise ValueError(f"results holds {len(found)} fits: at least {least} are needed.")
    return found


def check_same_rows(results):
    """Refuse fits of different rows.

    Parameters
    ----------
    results : dict of str to MemorizationResult
        Fits by name.

    Raises
    ------
    ValueError
        Their data have different fingerprints, or numbers of rows.
    """
    (first, one), *others = results.items()
    for name, other in others:
        prints = one.run.config.get("data"), other.run.config.get("data")
        if len(other) != len(one) or (None not in prints and prints[0] != prints[1]):
            raise ValueError(
                f"{first!r} and {name!r} were fitted on different rows: compare fits of the same rows "
                "in the same order."
            )
