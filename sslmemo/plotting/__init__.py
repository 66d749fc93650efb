"""Displays, in scikit-learn's convention. matplotlib (extra ``[plot]``) is imported to draw."""

from .agreement import AgreementDisplay
from .consensus import ConsensusDisplay
from .cost_agreement import CostAgreementDisplay
from .distribution import ScoreDistributionDisplay
from .duplicates import DuplicatesDisplay
from .long_tail import LongTailDisplay
from .membership import MembershipDisplay
from .outlier_class import OutlierClassDisplay
from .overlap import AugmentationOverlapDisplay
from .ranking import MemorizationRankingDisplay
from .removal import RemovalDisplay

__all__ = [
    "AgreementDisplay",
    "AugmentationOverlapDisplay",
    "ConsensusDisplay",
    "CostAgreementDisplay",
    "DuplicatesDisplay",
    "LongTailDisplay",
    "MembershipDisplay",
    "MemorizationRankingDisplay",
    "OutlierClassDisplay",
    "RemovalDisplay",
    "ScoreDistributionDisplay",
]
