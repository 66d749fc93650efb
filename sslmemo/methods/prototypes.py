"""What SwAV and DINO share: prototypes, local views, and the cross entropy between views."""

from __future__ import annotations

import math
import numbers

import torch
import torch.nn.functional as F
from torch import nn

from .._compat import check_in_range
from .base import Method, full_precision

__all__ = ["LocalViews", "Prototypes", "local_boxes", "swapped_entropy", "with_local_views"]

RATIO = math.log(4 / 3)  # width over height of a box, between 3/4 and 4/3


class Prototypes(nn.Module):
    """Cosines of projections and K learned directions: (b, d) -> (b, K).

    The length of a direction plays no role: it is divided out in the forward pass, where the papers
    normalise the weights after each step (SwAV) or by weight normalisation (DINO).

    Parameters
    ----------
    n_prototypes : int
        K, at least 1.
    dim : int
        Length of a projection; at least 1.
    """

    def __init__(self, n_prototypes, dim):
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(n_prototypes, dim), dim=1))

    def forward(self, z, frozen=False):
        """Cosines of unit projections and prototypes; `frozen` sends no gradient to these."""
        return cosines(z, self.weight.detach() if frozen else self.weight)


@full_precision
def cosines(z, directions):
    """Cosine of each row with each direction: (b, d), (K, d) -> (b, K)."""
    return F.normalize(z, dim=1) @ F.normalize(directions, dim=1).T


@full_precision
def swapped_entropy(targets, logits):
    """Cross entropy of each target with the predictions from the sample's other views.

    Parameters
    ----------
    targets : tensor of shape (T, b, K)
        Distributions, from the first T views; no gradient reaches them.
    logits : tensor of shape (V, b, K)
        From all V views, T of them the targets' own; V at least 2.

    Returns
    -------
    tensor of shape (b,)
        Mean over the T (V - 1) pairs of different views.
    """
    n_targets, n_views = len(targets), len(logits)
    log_p = logits.log_softmax(2)
    every = torch.einsum("tbk,vbk->b", targets.detach(), log_p)
    itself = torch.einsum("tbk,tbk->b", targets.detach(), log_p[:n_targets])
    return (itself - every) / (n_targets * (n_views - 1))


class LocalViews(Method):
    """Base of methods with `n_local` further views, cut down to boxes of the areas in `local_scale`."""

    @property
    def n_views(self):
        """Two global views and the local ones."""
        return 2 + self.n_local

    def draws(self, generator, batch, shape):  # "boxes" (n_local, batch, 4), see `local_boxes`
        return local_boxes(generator, batch, shape, self.n_local, self.local_scale)

    def check_local(self):
        """Check the parameters of local views."""
        check_in_range("n_local", self.n_local, numbers.Integral, 0)
        low, high = self.local_scale
        if not 0 < low <= high <= 1:
            raise ValueError(
                "local_scale must be the smallest and the largest share of an image's area, "
                f"ascending and in (0, 1], got {self.local_scale!r}."
            )


def local_boxes(generator, batch, shape, n_local, local_scale):
    """Draw a box for every local view.

    Parameters
    ----------
    generator : torch.Generator
        Of the step.
    batch : int
        Samples.
    shape : tuple of int
        Shape of one sample.
    n_local : int
        Local views; 0 draws nothing.
    local_scale : tuple of float
        Smallest and largest share of the area.

    Returns
    -------
    dict of str to tensor
        ``"boxes"`` (n_local, batch, 4): left, top, width, height, as shares of the image's sides.

    Raises
    ------
    ValueError
        Local views of what is no image.
    """
    if n_local == 0:
        return {}
    if len(shape) != 3:
        raise ValueError(
            f"n_local={n_local} cuts local views out of images, but a sample has shape "
            f"{tuple(shape)}: use n_local=0."
        )
    low, high = local_scale
    u = torch.rand(n_local, batch, 4, generator=generator, device=generator.device)
    area, ratio = low + (high - low) * u[..., 0], ((2 * u[..., 1] - 1) * RATIO).exp()
    sides = torch.stack([area * ratio, area / ratio], -1).sqrt().clamp(max=1)
    return {"boxes": torch.cat([u[..., 2:] * (1 - sides), sides], -1)}


def with_local_views(views, draws):
    """Cut the further views down to their boxes, resized to the whole image.

    Parameters
    ----------
    views : tensor of shape (2 + n_local, b, *shape)
        The first two are global and stay.
    draws : dict of str to tensor
        As `local_boxes` returns it.

    Returns
    -------
    tensor of the same shape
    """
    if "boxes" not in draws:
        return views
    return torch.cat([views[:2], resized(views[2:], draws["boxes"].to(views.dtype))])


@full_precision
def resized(views, boxes):
    """Resize boxes of images to the whole, bilinearly, as `augmentations.geometry.crop` does.

    A box lies along the axes, so one matrix for the rows and one for the columns do it: under vmap
    and in any precision.

    Parameters
    ----------
    views : tensor of shape (n, b, c, h, w)
        Images.
    boxes : tensor of shape (n, b, 4)
        Left, top, width, height, as shares of the sides.

    Returns
    -------
    tensor of shape (n, b, c, h, w)
    """
    h, w = views.shape[3:]
    left, top, width, height = boxes.unbind(2)
    down, across = _weights(top, height, h), _weights(left, width, w)
    return down[:, :, None] @ views @ across[:, :, None].transpose(3, 4)


def _weights(start, length, n):
    """Weights (..., n, n) of a line's pixels in each pixel of a part of it, stretched to the line."""
    pixels = torch.arange(n, device=start.device)
    center = start[..., None] * n + length[..., None] * (pixels + 0.5) - 0.5  # in pixels
    return (1 - (center.clamp(0, n - 1)[..., None] - pixels).abs()).clamp(min=0)
