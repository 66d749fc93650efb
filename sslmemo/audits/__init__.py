"""Audits of a trained pool and of its rows: membership, near-duplicates, and what a twin hides."""

from .duplicates import NearDuplicates, find_near_duplicates
from .membership import membership_inference
from .membership_attacks import ATTACKS, RMIA, Attack, BaVarIA, ClassifierAttack, LiRA, Threshold
from .membership_audit import MembershipAudit
from .membership_epsilon import epsilon_lower_bound
from .twins import Contrast, TwinMemorization, twin_memorization

__all__ = [
    "ATTACKS",
    "RMIA",
    "Attack",
    "BaVarIA",
    "ClassifierAttack",
    "Contrast",
    "LiRA",
    "MembershipAudit",
    "NearDuplicates",
    "Threshold",
    "TwinMemorization",
    "epsilon_lower_bound",
    "find_near_duplicates",
    "membership_inference",
    "twin_memorization",
]
