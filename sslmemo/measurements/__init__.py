"""Measurements: what is read from the models of a block."""

from .alignment import Alignment
from .downstream import Downstream
from .quality import Quality
from .reconstruction import Reconstruction

__all__ = ["Alignment", "Downstream", "Quality", "Reconstruction"]
