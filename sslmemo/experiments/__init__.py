"""Experiments: what several fits say together, and what memorization does for generalization."""

from .ablation import Ablation, ablation
from .agreement import Agreement, Overlap, agreement, consensus, overlap
from .augmentation_overlap import AugmentationOverlap, augmentation_overlap
from .bound import GeneralizationBound, generalization_bound
from .curve import RemovalCurve
from .long_tail import LongTailSimulator, long_tail_experiment, regularised_variants
from .outlier_class import OutlierClassExperiment, outlier_class_experiment
from .prevalence import prevalence
from .removal import removal_curve
from .replicates import RemovalExperiment, removal_experiment

__all__ = [
    "Ablation",
    "Agreement",
    "AugmentationOverlap",
    "GeneralizationBound",
    "LongTailSimulator",
    "OutlierClassExperiment",
    "Overlap",
    "RemovalCurve",
    "RemovalExperiment",
    "ablation",
    "agreement",
    "augmentation_overlap",
    "consensus",
    "generalization_bound",
    "long_tail_experiment",
    "outlier_class_experiment",
    "overlap",
    "prevalence",
    "regularised_variants",
    "removal_curve",
    "removal_experiment",
]
