"""MAE: a vision transformer sees a few patches, and a decoder paints the others."""

from __future__ import annotations

import numbers

import torch
from torch import nn

from .._compat import check_in_range
from ..encoders.vit import Block, ViT, patch_size, patchify, positions, start, take
from .base import Method, full_precision

__all__ = ["MAE", "n_visible", "painting_loss"]


class MAE(Method):
    """A vision transformer sees a few patches, and a decoder paints the others.

    Parameters
    ----------
    mask_ratio : float, default=0.75
        Share of the patches that is hidden, in (0, 1).
    decoder_width : int, default=64
        Length of the decoder's tokens, a multiple of 4 and of `decoder_heads`.
    decoder_depth : int, default=2
        Blocks of the decoder; at least 1.
    decoder_heads : int, default=4
        Attention heads of a block; at least 1.
    normalize_patches : bool, default=True
        Whether a patch is to be painted with mean 0 and variance 1, or as it is.

    Notes
    -----
    The encoder is a `sslmemo.encoders.vit.ViT` with the patches of `patch_size`: ``"vit_tiny"``,
    ``"vit_small"``, or a smaller one, such as ``functools.partial(vit_tiny, (1, 28, 28), width=64,
    depth=4, heads=4)``. Its representation is the mean token of the whole image; what an observer sees
    while it trains is the mean token of the visible patches. There is no projector:
    ``layer="projector"`` is the encoder's output. `sslmemo.measurements.Reconstruction` measures
    memorization by the loss itself.

    The loss of a sample is the mean squared error over the pixels of its own hidden patches; other
    samples play no role.

    References
    ----------
    He, Chen, Xie, Li, Dollar and Girshick, Masked autoencoders are scalable vision learners, CVPR
    2022 (arXiv:2111.06377), section 3.
    """

    n_views = 1

    def __init__(self, mask_ratio=0.75, decoder_width=64, decoder_depth=2, decoder_heads=4,
                 normalize_patches=True):  # fmt: skip
        self.mask_ratio = mask_ratio
        self.decoder_width = decoder_width
        self.decoder_depth = decoder_depth
        self.decoder_heads = decoder_heads
        self.normalize_patches = normalize_patches

    def build(self, encoder, out_dim):
        check_in_range("mask_ratio", self.mask_ratio, numbers.Real, 0, open_low=True)
        for name in ("decoder_width", "decoder_depth", "decoder_heads"):
            check_in_range(name, getattr(self, name), numbers.Integral, 1)
        if self.decoder_width % self.decoder_heads or self.decoder_width % 4:
            raise ValueError(
                f"decoder_width={self.decoder_width} must be a multiple of 4 and of "
                f"decoder_heads={self.decoder_heads}."
            )
        if not isinstance(encoder, ViT):
            raise ValueError(
                "MAE hides patches, so its encoder must be a vision transformer: pass "
                "encoder='vit_tiny', 'vit_small' or a factory of either, such as "
                "functools.partial(vit_tiny, (1, 28, 28), depth=4); got "
                f"{type(encoder).__name__}."
            )
        if encoder.patch != patch_size(encoder.shape):
            raise ValueError(
                f"MAE draws masks for patches of {patch_size(encoder.shape)} px at images of shape "
                f"{encoder.shape}, but the encoder has patch={encoder.patch}: leave patch=None."
            )
        n_visible(encoder.n_patches, self.mask_ratio)
        return _MAE(encoder, self.get_params())

    def draws(self, generator, batch, shape):  # (batch, n_patches): the smallest are visible
        patch = patch_size(shape)
        n_patches = (shape[1] // patch) * (shape[2] // patch)
        noise = torch.rand(batch, n_patches, generator=generator, device=generator.device)
        return {"noise": noise}


class _MAE(nn.Module):
    def __init__(self, encoder, options):
        super().__init__()
        self.encoder, self.projector = encoder, nn.Identity()
        width, pixels = options["decoder_width"], encoder.embed.in_features
        self.enter = nn.Linear(encoder.width, width)
        self.hidden = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("position", positions(encoder.grid, width))
        blocks = [Block(width, options["decoder_heads"]) for _ in range(options["decoder_depth"])]
        self.decoder = nn.Sequential(*blocks, nn.LayerNorm(width, eps=1e-6))
        self.paint = nn.Linear(width, pixels)
        for part in (self.enter, self.decoder):
            part.apply(start)
        nn.init.zeros_(self.paint.weight)  # black at first: chance paintings cost many steps
        nn.init.zeros_(self.paint.bias)
        self.n_visible = n_visible(encoder.n_patches, options["mask_ratio"])
        self.normalize = options["normalize_patches"]

    def forward(self, views, draws, progress):  # views: (1, b, c, h, w)
        patches = patchify(views[0], self.encoder.patch)  # (b, n, pixels)
        order = draws["noise"].argsort(1)
        visible, hidden = order[:, : self.n_visible], order[:, self.n_visible :]
        tokens = self.encoder.encode(patches, visible)  # (b, n_visible, width)
        painted = self.decode(tokens, visible, hidden)
        per_row = painting_loss(painted, take(patches, hidden), self.normalize)
        return per_row.mean(), per_row, tokens.mean(1)[None]

    def decode(self, tokens, visible, hidden):
        """Paint hidden patches from visible tokens: (b, n - n_visible, pixels).

        Positions are added to the tokens, so the decoder takes these in any order.
        """
        place = self.position.expand(len(tokens), -1, -1)
        known = self.enter(tokens) + take(place, visible)
        asked = self.hidden + take(place, hidden)
        both = self.decoder(torch.cat([known, asked], 1))
        return self.paint(both[:, self.n_visible :])


def n_visible(n_patches, mask_ratio):
    """Number of visible patches: the nearest to their share; all or none is a ValueError.

    Parameters
    ----------
    n_patches : int
        Patches of an image.
    mask_ratio : float
        Share that is hidden.

    Returns
    -------
    int
        From 1 to ``n_patches - 1``.
    """
    count = round((1 - mask_ratio) * n_patches)
    if not 0 < count < n_patches:
        raise ValueError(
            f"mask_ratio={mask_ratio} leaves {max(count, 0)} of {n_patches} patches visible: at least "
            "one must be seen and one hidden, so move it toward 0.5."
        )
    return count


@full_precision
def painting_loss(painted, patches, normalize):
    """Mean squared error over the pixels of hidden patches.

    Parameters
    ----------
    painted, patches : tensor of shape (b, m, pixels)
        What was painted and what is there.
    normalize : bool
        Whether each true patch is first brought to mean 0 and variance 1 (plus 1e-6).

    Returns
    -------
    tensor of shape (b,)
    """
    if normalize:
        variance, mean = torch.var_mean(patches, 2, keepdim=True)
        patches = (patches - mean) / (variance + 1e-6).sqrt()
    return (painted - patches).square().mean((1, 2))
