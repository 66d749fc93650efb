"""What the displays share: where a result comes from, how groups are read, the look."""

from __future__ import annotations

import numpy as np

from .._compat import shown
from ..result import MemorizationResult
from ..wording import estimand

MAX_GROUPS = 20  # more are no longer told apart in one figure

# Okabe and Ito's palette, which colour-blind readers can tell apart
BLUE, VERMILLION, SKY, GREEN, ORANGE = "#0072B2", "#D55E00", "#56B4E9", "#009E73", "#E69F00"
PURPLE, YELLOW = "#CC79A7", "#F0E442"
INK, MUTED, BAND, HAIRLINE = "#222222", "#666666", "#E4E4E4", "#BBBBBB"
MARKS = "os^vDPX*"  # of lines that colours alone might not tell apart


def pyplot():
    """matplotlib.pyplot, or an error that names the extra."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("displays need matplotlib: pip install sslmemo[plot].") from error
    return plt


def result_of(estimator):
    """The result of a fitted estimator."""
    from sklearn.utils.validation import check_is_fitted

    if isinstance(estimator, MemorizationResult):
        raise TypeError("from_estimator got a MemorizationResult: call from_result.")
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(
            f"estimator must be a fitted MemorizationEstimator, got {shown(estimator)}."
        )
    check_is_fitted(estimator)
    if not hasattr(estimator, "result_"):
        raise TypeError(
            f"{type(estimator).__name__} has no result_: pass a fitted MemorizationEstimator (the "
            "last step of a Pipeline), or a MemorizationResult to from_result."
        )
    return estimator.result_


def check_result(result):
    """Refuse what is no result, with the mend."""
    if not isinstance(result, MemorizationResult):
        hint = " Call from_estimator." if hasattr(result, "fit") else ""
        raise TypeError(f"result must be a MemorizationResult, got {shown(result)}.{hint}")
    return result


def check_kind(result, *kinds, name="result"):
    """Refuse what a display can't draw, with the mend; `name` is the parameter's."""
    if not isinstance(result, kinds):
        names = " or ".join(k.__name__ for k in kinds)
        article = "an" if names[0] in "AEIOU" else "a"
        home = ".".join(kinds[0].__module__.split(".")[:2])
        raise TypeError(f"{name} must be {article} {names} of {home}, got {shown(result)}.")
    return result


def describe(result):
    """What the scores are of, and how far they can be trusted: two lines of text."""
    interval, plan = result.reliability_interval, result.run.plan
    blocks = "1 block" if len(plan.seed) == 1 else f"{len(plan.seed)} blocks"
    trust = f"{plan.n_encoders} encoders in {blocks}"
    if np.isfinite(interval.value):
        trust += f"; reliability {interval.value:.2f}"
        if np.isfinite(interval.low):
            trust += f" [{interval.low:.2f}, {interval.high:.2f}]"
    else:
        trust += "; reliability unknown"
    text = estimand(result)
    return text[0].upper() + text[1:], trust


def bare(ax):
    """Only the axes that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)
    ax.tick_params(color=MUTED, labelsize=9)
