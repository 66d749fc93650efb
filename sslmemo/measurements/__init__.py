"""Measurements: what is read from the models of a block; and evaluators that `Downstream` takes."""

from .alignment import Alignment
from .correctness import Correctness
from .dejavu import DejaVu
from .depth import DepthIsolation
from .downstream import Downstream
from .finetuning import FineTuning
from .gradients import GradientShare, SelfInfluence
from .isolation import InputIsolation, Isolation
from .membership import CropResponse, ViewSimilarity
from .metagradient import Metagradient
from .presentations import Presentations
from .quality import Quality
from .reconstruction import Reconstruction
from .retraining import HoldoutRetraining, Perturbation
from .segmentation import SegmentationProbe
from .sensitivity import InputCurvature, InputGradient
from .trajectory import AlignmentTrajectory, WeightNorm
from .unlearning import Unlearning

__all__ = [
    "Alignment",
    "AlignmentTrajectory",
    "Correctness",
    "CropResponse",
    "DejaVu",
    "DepthIsolation",
    "Downstream",
    "FineTuning",
    "GradientShare",
    "HoldoutRetraining",
    "InputCurvature",
    "InputGradient",
    "InputIsolation",
    "Isolation",
    "Metagradient",
    "Perturbation",
    "Presentations",
    "Quality",
    "Reconstruction",
    "SegmentationProbe",
    "SelfInfluence",
    "Unlearning",
    "ViewSimilarity",
    "WeightNorm",
]
