"""Displays, in scikit-learn's convention. matplotlib (extra ``[plot]``) is imported to draw."""

from .agreement import AgreementDisplay
from .consensus import ConsensusDisplay
from .distribution import ScoreDistributionDisplay
from .outlier_class import OutlierClassDisplay
from .ranking import MemorizationRankingDisplay
from .removal import RemovalDisplay

__all__ = [
    "AgreementDisplay",
    "ConsensusDisplay",
    "MemorizationRankingDisplay",
    "OutlierClassDisplay",
    "RemovalDisplay",
    "ScoreDistributionDisplay",
]
