"""Proxies: scores of every row from one training or a few, in place of a pool.

A kind is one idea in one class, made of measurements that the pool reads from trainings on all rows; one
registry names them.
"""

from .base import Kind
from .combined import Combined, fit_combination
from .derivatives import (
    GradientCoherence,
    InputCurvature,
    LossSensitivity,
    Metagradient,
    SelfInfluence,
    Unlearning,
)
from .estimator import MemorizationProxy
from .geometry import Alignment, DepthIsolation, InputIsolation, Isolation
from .registry import PROXIES, get_kind
from .retraining import HoldoutRetraining, Perturbation
from .training import Accumulated, Forgetting, Trajectory

__all__ = [
    "PROXIES",
    "Accumulated",
    "Alignment",
    "Combined",
    "DepthIsolation",
    "Forgetting",
    "GradientCoherence",
    "HoldoutRetraining",
    "InputCurvature",
    "InputIsolation",
    "Isolation",
    "Kind",
    "LossSensitivity",
    "MemorizationProxy",
    "Metagradient",
    "Perturbation",
    "SelfInfluence",
    "Trajectory",
    "Unlearning",
    "fit_combination",
    "get_kind",
]
