"""Views that replay from a seed and need no storage."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..randomness import derive_seed, seeded
from . import check_augmentation

__all__ = ["Views"]


class Views:
    """Seeded draws of an augmentation.

    Parameters
    ----------
    augmentation : callable
        (b, *shape) -> (b, *shape), drawing from torch's global generator.
    """

    def __init__(self, augmentation):
        self.augmentation = augmentation

    def check(self, data):
        """Try the augmentation on a few rows before any training."""
        with seeded(0), torch.no_grad():
            check_augmentation(self.augmentation, data.rows(np.arange(min(4, len(data)))))

    def draw(self, x, n_views, seed):
        """Views of a batch in one call: (b, *shape) -> (n_views, b, *shape)."""
        repeated = x.repeat(n_views, *[1] * (x.ndim - 1))
        with seeded(seed, x.device), torch.no_grad():
            views = self.augmentation(repeated)
        return views.detach().reshape(n_views, *x.shape)

    def of_rows(self, data, n_views, seed, device="cpu"):
        """Views of all rows of a pool's data, in chunks of a size that only the shape decides.

        Yields
        ------
        (ndarray of int, tensor of shape (n_views, b, *shape))
            Positions of the chunk's rows, and their views.
        """
        size = int(np.clip(2**21 // (n_views * math.prod(data.shape)), 1, 256))
        for chunk, index in enumerate(data.chunks(size)):
            x = data.rows(index, device)
            yield index, self.draw(x, n_views, derive_seed(seed, "views", chunk))

    def of_one(self, data, row, n_views, seed, device="cpu"):
        """Views of one row outside the pool, seeded by its content: (n_views, 1, *shape)."""
        content = int.from_bytes(data.digests()[row], "little")
        return self.draw(
            data.rows([row], device),
            n_views,
            derive_seed(seed, "row", content % 2**32, content >> 96),
        )
