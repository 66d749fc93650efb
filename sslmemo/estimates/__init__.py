"""Estimates: how the pool's matrices and the plan become scores with standard errors.

Nothing here knows of encoders or files: arrays and plans in, arrays out.
"""

from .._compat import named
from .blocks import NORMALIZATIONS, BlockMeans, block_differences, block_means
from .difference import Difference, Scores
from .nulls import noise_band, null_scores
from .posterior import Posterior, posterior
from .reliability import Interval, blocks_for, reliability, spearman_reliability
from .shrinkage import Shrinkage, held_out_correlation
from .significance import one_sided_p, q_values, sign_flip_q

__all__ = [
    "ESTIMATES",
    "BlockMeans",
    "Difference",
    "Interval",
    "Posterior",
    "Scores",
    "Shrinkage",
    "block_differences",
    "block_means",
    "blocks_for",
    "get_estimate",
    "held_out_correlation",
    "noise_band",
    "null_scores",
    "one_sided_p",
    "posterior",
    "q_values",
    "reliability",
    "sign_flip_q",
    "spearman_reliability",
]

ESTIMATES = {"difference": Difference, "shrinkage": Shrinkage}


def configured(estimate, normalize, anchor):
    """Return the estimate for a fit: a name gets both parameters, an object keeps its own.

    Raises
    ------
    ValueError
        An unknown name, or an object whose parameters contradict those of the fit.
    """
    if normalize is not None:
        named(normalize, NORMALIZATIONS, "normalize")
    if isinstance(estimate, str):
        return get_estimate(estimate).set_params(normalize=normalize, anchor=anchor)
    estimate, kind = get_estimate(estimate), type(estimate).__name__
    if normalize is not None:
        raise ValueError(
            f"normalize={normalize!r} is a parameter of the estimate here: pass it to "
            f"{kind}(normalize=...)."
        )
    if getattr(estimate, "anchor", anchor) != anchor:
        raise ValueError(
            f"anchor={anchor!r} contradicts {kind}(anchor={estimate.anchor!r}): make them equal."
        )
    return estimate


def get_estimate(estimate):
    """Return an estimate from its name or the object itself.

    Parameters
    ----------
    estimate : str or object
        "difference", "shrinkage", or a callable (values, plan) -> Scores with the names it `needs`.

    Returns
    -------
    object
        Called with the pool's matrices and its plan, it returns `Scores`.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither.
    """
    if isinstance(estimate, str):
        return named(estimate, ESTIMATES, "estimate")()
    if isinstance(estimate, type) or not (callable(estimate) and hasattr(estimate, "needs")):
        raise TypeError(
            f"estimate must be one of {', '.join(ESTIMATES)} or an object from sslmemo.estimates, "
            f"got {estimate!r}."
        )
    return estimate
