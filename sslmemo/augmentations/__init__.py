"""Augmentations by name, or any module that maps a batch to a batch of views.

Names are looked up per kind of data; kornia is imported only when an image preset is built.
"""

from __future__ import annotations

import copy

import torch

from .._compat import named, shown
from .tabular import FeatureCorruption

__all__ = ["AUGMENTATIONS", "FeatureCorruption", "auto_augmentation", "build_augmentation"]

IMAGE_PRESETS = ("simclr", "digits", "weak", "strong")
AUGMENTATIONS = (*IMAGE_PRESETS, "scarf")


def auto_augmentation(shape):
    """Name that "auto" stands for: scarf for tables, simclr for colour, digits for grey images.

    Parameters
    ----------
    shape : tuple of int
        Shape of one row: (d,) or (c, h, w).

    Returns
    -------
    str
        A name in `AUGMENTATIONS`.
    """
    if len(shape) == 1:
        return "scarf"
    return "simclr" if shape[0] == 3 else "digits"


def build_augmentation(augmentation, data):
    """Build an augmentation for `data`.

    Parameters
    ----------
    augmentation : str, module or callable
        "auto", a name in `AUGMENTATIONS`, or anything that maps a batch (b, ...) to a batch of
        views of the same shape. One with a method `fit_reference(data)` is copied and shown the
        training rows, as `FeatureCorruption` needs.
    data : Data
        The training rows.

    Returns
    -------
    callable
        (b, *shape) -> (b, *shape), drawing from torch's global generator.

    Raises
    ------
    TypeError, ValueError
        It is no callable, a class, an unknown name, or one that doesn't suit the data.
    """
    if isinstance(augmentation, str):
        name = auto_augmentation(data.shape) if augmentation == "auto" else augmentation
        named(name, dict.fromkeys(AUGMENTATIONS), "augmentation")
        if (name == "scarf") == data.layout.is_image:
            kind = "images" if data.layout.is_image else "tables"
            fit = ", ".join(IMAGE_PRESETS) if data.layout.is_image else "scarf"
            raise ValueError(
                f"augmentation={name!r} does not suit {kind} (rows of shape {data.shape}): use "
                f"{fit}, or image_shape= if the rows are flattened images."
            )
        if name == "scarf":
            augmentation = FeatureCorruption()
        else:
            from .image import image_preset

            return image_preset(name, data.shape)
    if not callable(augmentation) or isinstance(augmentation, type):
        kind = f"the class {augmentation.__name__}: call it" if callable(augmentation) else ""
        raise TypeError(
            f"augmentation must be one of {', '.join(AUGMENTATIONS)} or a module that maps a batch "
            f"to a batch of views, got {kind or shown(augmentation)}."
        )
    if hasattr(augmentation, "fit_reference"):
        augmentation = copy.deepcopy(augmentation)
        augmentation.fit_reference(data)
    return augmentation


def check_augmentation(augmentation, x):
    """Try an augmentation on a small batch and return the views; what is no view is a ValueError."""
    try:
        views = augmentation(x.clone())
    except Exception as error:  # whatever foreign code raises
        raise ValueError(
            f"augmentation {_name(augmentation)} failed on a float32 tensor of shape "
            f"{tuple(x.shape)} ({type(error).__name__}: {error}): it must map a batch to a batch of "
            "views."
        ) from error
    if not isinstance(views, torch.Tensor) or not views.is_floating_point():
        kind = f"{views.dtype} tensor" if isinstance(views, torch.Tensor) else type(views).__name__
        raise ValueError(f"augmentation returned a {kind}, not a tensor of floats.")
    if len(views) != len(x):
        raise ValueError(
            f"augmentation changed the batch size: {len(x)} samples in, {len(views)} views out."
        )
    if views.shape != x.shape:
        raise ValueError(
            f"augmentation must keep a sample's shape: {tuple(x.shape[1:])} in, "
            f"{tuple(views.shape[1:])} out. Resize the views back."
        )
    if not torch.isfinite(views).all():
        raise ValueError("augmentation returned NaN or infinite values.")
    return views


def _name(thing):
    return getattr(thing, "__name__", type(thing).__name__)
