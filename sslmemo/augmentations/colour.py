"""Colour jitter and random grey of small images, at the price of the arithmetic they need.

Same transforms as kornia's `ColorJitter` and `RandomGrayscale`. kornia shifts a hue by way of a whole HSV
image; here the channels follow from each pixel's largest and smallest directly, in place, which takes
a fraction of the time at the same pixels.
"""

from __future__ import annotations

import torch
from torch import nn

from .geometry import uniform

__all__ = ["ColourJitter", "RandomGrey"]

GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue in ITU-R BT.601's luma
IMAGES = 256  # turned in hue at once on a CPU: their planes stay in its cache


class ColourJitter(nn.Module):
    """Change brightness, contrast, saturation and hue of each image, in one random order a batch.

    Parameters
    ----------
    brightness, contrast, saturation : float
        Factors between 1 minus and 1 plus this number, at most 1.
    hue : float
        Turns of the colour wheel between minus and plus this number, at most 0.5.
    p : float, default=0.8
        Probability that an image is changed.
    """

    def __init__(self, brightness, contrast, saturation, hue, p=0.8):
        super().__init__()
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.hue, self.p = hue, p

    def forward(self, x):  # (b, 3, h, w) in [0, 1] -> the same
        b, device = len(x), x.device
        changed = torch.rand(b, device=device) < self.p
        factors = [
            torch.where(changed, uniform(b, 1 - s, 1 + s, device), 1.0)
            for s in (self.brightness, self.contrast, self.saturation)
        ]
        turns = torch.where(changed, uniform(b, -self.hue, self.hue, device), 0.0)
        steps = list(zip((brighten, stretch, saturate), factors, strict=True))
        steps.append((turn_hue, turns))
        x = x.clamp(0, 1)  # a copy: the steps work in place
        for i in torch.randperm(4).tolist():
            step, value = steps[i]
            x = step(x, value)
        return x

    def extra_repr(self):
        """Parameters, for the repr."""
        return (
            f"brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue}, p={self.p}"
        )


class RandomGrey(nn.Module):
    """Replace some images by their luma in all three channels.

    Parameters
    ----------
    p : float, default=0.2
        Probability of an image.
    """

    def __init__(self, p=0.2):
        super().__init__()
        self.p = p

    def forward(self, x):  # (b, 3, h, w) -> (b, 3, h, w)
        kept = torch.where(torch.rand(len(x), device=x.device) < self.p, 0.0, 1.0)
        return saturate(x.clone(), kept)

    def extra_repr(self):
        """Parameters, for the repr."""
        return f"p={self.p}"


def luma(x):
    """Grey value of each pixel: (b, 3, h, w) -> (b, 1, h, w)."""
    grey = x[:, :1] * GREY[0]
    return grey.add_(x[:, 1:2], alpha=GREY[1]).add_(x[:, 2:], alpha=GREY[2])


def brighten(x, factor):
    """Multiply each image, in place: (b, 3, h, w), (b,) -> (b, 3, h, w)."""
    return x.mul_(factor[:, None, None, None]).clamp_(0, 1)


def stretch(x, factor):
    """Multiply each image's distance from its mean grey, in place: contrast."""
    mean = luma(x).mean((2, 3), keepdim=True)
    factor = factor[:, None, None, None]
    return x.mul_(factor).add_(mean * (1 - factor)).clamp_(0, 1)


def saturate(x, factor):
    """Multiply each pixel's distance from its grey, in place; 0 gives a grey image."""
    factor = factor[:, None, None, None]
    grey = luma(x).mul_(1 - factor)
    return x.mul_(factor).add_(grey).clamp_(0, 1)


def turn_hue(x, turns):
    """Turn each image's colours around the wheel, in place; value and saturation stay.

    Parameters
    ----------
    x : tensor of shape (b, 3, h, w)
        Images in [0, 1].
    turns : tensor of shape (b,)
        1 is a whole turn.
    """
    size = IMAGES if x.device.type == "cpu" else len(x)
    for part, t in zip(x.split(size), turns.split(size), strict=True):
        _turn_hue(part, t)
    return x


def _turn_hue(x, turns):
    """Do it without boolean masks: on a CPU those cost five times as much as sums.

    The hue comes from the sorted channels, after Sam Hocevar's branch-free conversion from RGB to HSV.
    """
    r, g, b = x.unbind(1)
    high, low = torch.maximum(g, b), torch.minimum(g, b)
    b_first, r_last = _above(b, g), _above(high, r)
    largest, middle = torch.maximum(r, high), torch.minimum(r, high)
    smallest = torch.minimum(middle, low)
    spread = largest.sub_(smallest)
    hue = middle.sub_(low).div_(spread.clamp(min=1e-12)).div_(6)
    hue.sub_(b_first).add_(r_last.mul_(b_first.mul_(2).sub_(1 / 3))).abs_()  # in turns
    hue.add_(turns[:, None, None])
    for channel, offset in enumerate((5, 3, 1)):
        # HSV's trapezoid: 1 within a sixth turn around the channel's own colour, 0 across the wheel
        share = (hue + (1 + offset / 6)).frac_().mul_(6).sub_(2).abs_().sub_(1).clamp_(0, 1)
        torch.addcmul(smallest, spread, share, out=x[:, channel])


def _above(x, y):
    """1.0 where x > y, else 0.0."""
    return (x - y).mul_(1e38).clamp_(0, 1)
