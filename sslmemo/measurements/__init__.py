"""Measurements: what is read from the models of a block; and evaluators that `Downstream` takes."""

from .alignment import Alignment
from .downstream import Downstream
from .finetuning import FineTuning
from .isolation import Isolation
from .quality import Quality
from .reconstruction import Reconstruction
from .segmentation import SegmentationProbe

__all__ = [
    "Alignment",
    "Downstream",
    "FineTuning",
    "Isolation",
    "Quality",
    "Reconstruction",
    "SegmentationProbe",
]
