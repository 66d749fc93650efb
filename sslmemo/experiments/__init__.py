"""Experiments: what several fits say together, and what memorization does for generalization."""

from .ablation import Ablation, ablation
from .agreement import Agreement, Overlap, agreement, consensus, overlap
from .augmentation_overlap import AugmentationOverlap, augmentation_overlap
from .bound import GeneralizationBound, generalization_bound
from .compare_estimators import compare_estimators, compare_on_pools
from .comparison import EstimatorComparison, Proxy
from .curve import RemovalCurve
from .definitions import DefinitionComparison, compare_definitions
from .fraction_sweep import FractionSweep, fraction_sweep
from .long_tail import LongTailSimulator, long_tail_experiment, regularised_variants
from .outlier_class import OutlierClassExperiment, outlier_class_experiment
from .paper_protocol import PaperProtocol, paper_protocol
from .pool_files import load_pool, save_pool
from .prevalence import prevalence
from .removal import removal_curve
from .replicates import RemovalExperiment, removal_experiment

__all__ = [
    "Ablation",
    "Agreement",
    "AugmentationOverlap",
    "DefinitionComparison",
    "EstimatorComparison",
    "FractionSweep",
    "GeneralizationBound",
    "LongTailSimulator",
    "OutlierClassExperiment",
    "Overlap",
    "PaperProtocol",
    "Proxy",
    "RemovalCurve",
    "RemovalExperiment",
    "ablation",
    "agreement",
    "augmentation_overlap",
    "compare_definitions",
    "compare_estimators",
    "compare_on_pools",
    "consensus",
    "fraction_sweep",
    "generalization_bound",
    "load_pool",
    "long_tail_experiment",
    "outlier_class_experiment",
    "overlap",
    "paper_protocol",
    "prevalence",
    "regularised_variants",
    "removal_curve",
    "removal_experiment",
    "save_pool",
]
