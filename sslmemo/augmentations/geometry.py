"""Affine and crop-and-flip augmentations of small images, at the price of one grid_sample.

Same transforms as kornia's `RandomAffine` and `RandomResizedCrop` with `RandomHorizontalFlip`, drawn
for each image. The sampling grid is made by broadcasting: on small images kornia's general
homographies take several times as long as the sampling itself.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["RandomAffine", "RandomCropFlip"]


def pixel_centers(n, device):
    """Centres of n pixels in [-1, 1]: (n,)."""
    return (2 * torch.arange(n, device=device) + 1) / n - 1


def uniform(b, low, high, device):
    """Draws between two numbers: (b,)."""
    return low + (high - low) * torch.rand(b, device=device)


class RandomAffine(nn.Module):
    """Rotate, shift and scale each image; outside is black.

    Parameters
    ----------
    degrees : float
        Rotations between minus and plus this angle.
    translate : float
        Shifts of at most this share of the width and of the height.
    scale : tuple of float
        Smallest and largest magnification.
    """

    def __init__(self, degrees, translate, scale):
        super().__init__()
        self.degrees, self.translate, self.scale = degrees, translate, scale

    def forward(self, x):  # (b, c, h, w) -> (b, c, h, w)
        b, device = len(x), x.device
        angle = uniform(b, -math.radians(self.degrees), math.radians(self.degrees), device)
        zoom = uniform(b, *self.scale, device)
        dx = uniform(b, -2 * self.translate, 2 * self.translate, device)
        dy = uniform(b, -2 * self.translate, 2 * self.translate, device)
        return affine(x, angle, zoom, dx, dy)

    def extra_repr(self):
        """Parameters, for the repr."""
        return f"degrees={self.degrees}, translate={self.translate}, scale={self.scale}"


def affine(x, angle, zoom, dx, dy):
    """Rotate counter-clockwise about the centre, magnify, then shift.

    Parameters
    ----------
    x : tensor of shape (b, c, h, w)
        Images.
    angle, zoom, dx, dy : tensor of shape (b,)
        Radians; magnification; shifts right and down in half widths and half heights.

    Returns
    -------
    tensor of shape (b, c, h, w)
    """
    h, w = x.shape[2:]
    across = pixel_centers(w, x.device) - dx[:, None]  # (b, w), where an output pixel came from
    down = pixel_centers(h, x.device) - dy[:, None]  # (b, h)
    cos, sin = (angle.cos() / zoom)[:, None], (angle.sin() / zoom)[:, None]
    grid = torch.empty(len(x), h, w, 2, device=x.device)
    # rotations are of pixels, the coordinates are in half widths and half heights
    torch.add((cos * across)[:, None, :], (-sin * (h / w) * down)[:, :, None], out=grid[..., 0])
    torch.add((sin * (w / h) * across)[:, None, :], (cos * down)[:, :, None], out=grid[..., 1])
    return F.grid_sample(x, grid, align_corners=False)


class RandomCropFlip(nn.Module):
    """Cut a random box, resize it to the whole image, mirror it or not.

    Parameters
    ----------
    smallest : float
        Smallest share of the image's area; the largest is 1.
    flip : float, default=0.5
        Probability of mirroring.
    ratio : tuple of float, default=(3/4, 4/3)
        Smallest and largest width over height of the box, drawn on the logarithm.
    """

    def __init__(self, smallest, flip=0.5, ratio=(3 / 4, 4 / 3)):
        super().__init__()
        self.smallest, self.flip, self.ratio = smallest, flip, ratio

    def forward(self, x):  # (b, c, h, w) -> (b, c, h, w)
        b, device = len(x), x.device
        area = uniform(b, self.smallest, 1.0, device)
        ratio = uniform(b, math.log(self.ratio[0]), math.log(self.ratio[1]), device).exp()
        width = (area * ratio).sqrt().clamp(max=1.0)  # shares of the image's sides
        height = (area / ratio).sqrt().clamp(max=1.0)
        left = uniform(b, 0.0, 1.0, device) * (1 - width)
        top = uniform(b, 0.0, 1.0, device) * (1 - height)
        mirror = torch.where(torch.rand(b, device=device) < self.flip, -1.0, 1.0)
        return crop(x, left, top, width, height, mirror)

    def extra_repr(self):
        """Parameters, for the repr."""
        return f"smallest={self.smallest}, flip={self.flip}, ratio={self.ratio}"


def crop(x, left, top, width, height, mirror):
    """Resize boxes to the whole image, bilinearly.

    Parameters
    ----------
    x : tensor of shape (b, c, h, w)
        Images.
    left, top, width, height : tensor of shape (b,)
        Boxes, as shares of the image's sides.
    mirror : tensor of shape (b,)
        -1 where the box is mirrored, else 1.

    Returns
    -------
    tensor of shape (b, c, h, w)
    """
    h, w = x.shape[2:]
    middle_x, middle_y = 2 * left + width - 1, 2 * top + height - 1
    grid = torch.empty(len(x), h, w, 2, device=x.device)
    across = (width * mirror)[:, None] * pixel_centers(w, x.device) + middle_x[:, None]
    down = height[:, None] * pixel_centers(h, x.device) + middle_y[:, None]
    grid[..., 0] = across[:, None, :]
    grid[..., 1] = down[:, :, None]
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)
