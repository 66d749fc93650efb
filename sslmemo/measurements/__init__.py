"""Measurements: what is read from the models of a block."""

from .alignment import Alignment
from .quality import Quality

__all__ = ["Alignment", "Quality"]
