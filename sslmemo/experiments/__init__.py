"""Experiments: what several fits say together, and what memorization does for generalization."""

from .agreement import Agreement, Overlap, agreement, consensus, overlap
from .outlier_class import OutlierClassExperiment, outlier_class_experiment
from .prevalence import prevalence
from .removal import RemovalCurve, removal_curve
from .replicates import RemovalExperiment, removal_experiment

__all__ = [
    "Agreement",
    "OutlierClassExperiment",
    "Overlap",
    "RemovalCurve",
    "RemovalExperiment",
    "agreement",
    "consensus",
    "outlier_class_experiment",
    "overlap",
    "prevalence",
    "removal_curve",
    "removal_experiment",
]
