"""Baselines: what was known of memorization before, by the pools, designs and errors of this package."""

from .deja_vu import DejaVuEstimator
from .label_memorization import LabelMemorizationEstimator

__all__ = ["DejaVuEstimator", "LabelMemorizationEstimator"]
