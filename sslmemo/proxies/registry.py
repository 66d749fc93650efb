"""The kinds by name."""

from __future__ import annotations

from .._compat import named, shown
from .base import Kind
from .combined import Combined
from .derivatives import (
    GradientCoherence,
    InputCurvature,
    LossSensitivity,
    Metagradient,
    SelfInfluence,
    Unlearning,
)
from .geometry import Alignment, DepthIsolation, InputIsolation, Isolation
from .retraining import HoldoutRetraining, Perturbation
from .training import Accumulated, Forgetting, Trajectory
from .weights import WEIGHTS

__all__ = ["PROXIES", "get_kind"]

PROXIES = {
    "depth_isolation": DepthIsolation,
    "isolation": Isolation,
    "input_isolation": InputIsolation,
    "alignment": Alignment,
    "trajectory": Trajectory,
    "forgetting": Forgetting,
    "loss_sensitivity": LossSensitivity,
    "input_curvature": InputCurvature,
    "gradient_coherence": GradientCoherence,
    "self_influence": SelfInfluence,
    "unlearning": Unlearning,
    "metagradient": Metagradient,
    "holdout_retraining": HoldoutRetraining,
    "perturbation": Perturbation,
    "accumulated": Accumulated,
}
if WEIGHTS:
    PROXIES["combined"] = Combined


def get_kind(kind):
    """Return a kind from its name or the object itself.

    Parameters
    ----------
    kind : str or Kind
        Name in `PROXIES`, or an object such as ``Isolation(n_neighbors=10)``.

    Returns
    -------
    Kind
        With its default parameters if named.

    Raises
    ------
    ValueError
        The name is unknown.
    TypeError
        It is neither.
    """
    if isinstance(kind, str):
        return named(kind, PROXIES, "kind")()
    if isinstance(kind, type) or not isinstance(kind, Kind):
        raise TypeError(
            f"kind must be one of {', '.join(PROXIES)} or an object from sslmemo.proxies, such as "
            f"Isolation(n_neighbors=10), got {shown(kind)}."
        )
    return kind
