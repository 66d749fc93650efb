"""Experiments: what several fits say together."""

from .agreement import Agreement, Overlap, agreement, consensus, overlap
from .prevalence import prevalence

__all__ = ["Agreement", "Overlap", "agreement", "consensus", "overlap", "prevalence"]
