"""Displays, in scikit-learn's convention. matplotlib (extra ``[plot]``) is imported to draw."""

from .agreement import AgreementDisplay
from .consensus import ConsensusDisplay
from .distribution import ScoreDistributionDisplay
from .ranking import MemorizationRankingDisplay

__all__ = [
    "AgreementDisplay",
    "ConsensusDisplay",
    "MemorizationRankingDisplay",
    "ScoreDistributionDisplay",
]
