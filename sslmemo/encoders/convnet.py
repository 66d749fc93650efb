"""A four-layer convolutional network for small images."""

from __future__ import annotations

from torch import nn

__all__ = ["convnet", "image_channels"]


def image_channels(shape, name):
    """Channels of an image's shape; anything else is a ValueError."""
    if len(shape) != 3:
        raise ValueError(
            f"encoder={name!r} reads images (c, h, w), but a sample has shape {tuple(shape)}: pass "
            "image_shape=, or encoder='mlp'."
        )
    return shape[0]


def convnet(shape, widths=(32, 64, 128, 128)):
    """Four 3x3 convolutions with BatchNorm, halving the image after each but the last, then a mean.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    widths : tuple of int
        Channels of the layers; the last is the length of the representation.
    """
    layers, before = [], image_channels(shape, "convnet")
    size = min(shape[1:])
    for i, width in enumerate(widths):
        layers += [
            nn.Conv2d(before, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        if i < len(widths) - 1 and size >= 2:
            layers.append(nn.MaxPool2d(2))
            size //= 2
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
