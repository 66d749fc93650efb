"""Image augmentations as presets by name: geometry and colour of our own, the rest by kornia.

Every operation draws per image. There is no blur at 32 px and below, where it costs most and changes
least.
"""

from __future__ import annotations

import kornia.augmentation as K
from torch import nn

from .colour import ColourJitter, RandomGrey
from .geometry import RandomAffine, RandomCropFlip

__all__ = ["image_preset"]


def image_preset(name, shape):
    """Build a preset.

    Parameters
    ----------
    name : {"simclr", "digits", "weak", "strong"}
        ``"digits"``: affine (10 degrees, 7% shift, 0.9 to 1.1 scale). ``"simclr"``: crop, flip,
        jitter, grey, blur above 32 px. ``"weak"``: crop of at least half and flip. ``"strong"``:
        SimCLR with crops from 8%, full jitter and erasing. Grey images get no hue, saturation or
        flip.
    shape : tuple of int
        (c, h, w) of one image.
    """
    return nn.Sequential(*_PRESETS[name](shape))


def _crop(shape, smallest):
    return RandomCropFlip(smallest, flip=0.5 if shape[0] == 3 else 0.0)


def _colour(shape, strength):
    """Jitter of SimCLR at a strength, grey with probability 0.2; brightness alone for grey images."""
    s = strength
    if shape[0] != 3:
        return [K.ColorJiggle(0.8 * s, 0.8 * s, 0.0, 0.0, p=0.8)] if shape[0] == 1 else []
    return [ColourJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s, p=0.8), RandomGrey(p=0.2)]


def _blur(shape):
    size = max(3, int(0.1 * min(shape[1:])) // 2 * 2 + 1)
    return [K.RandomGaussianBlur((size, size), (0.1, 2.0), p=0.5)] if min(shape[1:]) > 32 else []


def _digits(shape):
    return [RandomAffine(10.0, translate=0.07, scale=(0.9, 1.1))]


def _simclr(shape):
    return [_crop(shape, 0.2), *_colour(shape, 0.5), *_blur(shape)]


def _weak(shape):
    return [_crop(shape, 0.5)]


def _strong(shape):
    erase = K.RandomErasing(scale=(0.02, 0.2), p=0.5)
    return [_crop(shape, 0.08), *_colour(shape, 1.0), *_blur(shape), erase]


_PRESETS = {"digits": _digits, "simclr": _simclr, "weak": _weak, "strong": _strong}
