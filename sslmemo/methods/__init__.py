"""Self-supervised methods: one file each, one registry.

A method owns its heads, its loss and its schedules. Its module is called as
``module(views, draws, progress) -> (loss, per_row, z)`` with views (V, b, ...), loss (), per_row
(b,) and representations z (V, b, d); all randomness of a step arrives in `draws`.
"""

from __future__ import annotations

from .._compat import named
from .barlow_twins import BarlowTwins
from .base import Method
from .byol import BYOL
from .dino import DINO
from .emp_ssl import EMPSSL
from .layer_normed import LayerNormed
from .lejepa import LeJEPA
from .mae import MAE
from .moco import MoCo
from .simclr import SimCLR
from .simsiam import SimSiam
from .swav import SwAV
from .vicreg import VICReg

__all__ = [
    "BYOL",
    "DINO",
    "EMPSSL",
    "MAE",
    "METHODS",
    "BarlowTwins",
    "LayerNormed",
    "LeJEPA",
    "Method",
    "MoCo",
    "SimCLR",
    "SimSiam",
    "SwAV",
    "VICReg",
    "get_method",
]

METHODS = {
    "simclr": SimCLR,
    "moco": MoCo,
    "byol": BYOL,
    "simsiam": SimSiam,
    "barlow_twins": BarlowTwins,
    "vicreg": VICReg,
    "swav": SwAV,
    "dino": DINO,
    "emp_ssl": EMPSSL,
    "mae": MAE,
    "lejepa": LeJEPA,
}


def get_method(method):
    """Return a method from its name or the object itself.

    Parameters
    ----------
    method : str or Method
        Name in `METHODS`, or an object such as ``SimCLR(temperature=0.5)``.

    Returns
    -------
    Method
        With its default parameters if named.

    Raises
    ------
    ValueError
        The name is unknown.
    TypeError
        It is neither.
    """
    if isinstance(method, str):
        return named(method, METHODS, "method")()
    if isinstance(method, type) or not (hasattr(method, "build") and hasattr(method, "n_views")):
        raise TypeError(
            f"method must be one of {', '.join(METHODS)} or an object from sslmemo.methods, such "
            f"as SimCLR(temperature=0.2), got {method!r}."
        )
    return method
