"""Displays, in scikit-learn's convention. matplotlib (extra ``[plot]``) is imported to draw."""

from .distribution import ScoreDistributionDisplay
from .ranking import MemorizationRankingDisplay

__all__ = ["MemorizationRankingDisplay", "ScoreDistributionDisplay"]
