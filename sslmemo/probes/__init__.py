"""Probes: simple classifiers on frozen representations.

Both are deterministic and standardise their input, so that no dimension counts by its scale.
"""

from .knn import KNNProbe
from .linear import LinearProbe

__all__ = ["KNNProbe", "LinearProbe"]
