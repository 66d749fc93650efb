"""Views that replay from a seed and need no storage."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..randomness import derive_seed, draws_undone, seeded
from . import check_augmentation

__all__ = ["ViewBank", "Views"]


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
        """Try the augmentation on a few rows before any training.

        Raises
        ------
        ValueError
            It fails, returns no views, draws from another generator than torch's global one, or
            draws once for a whole batch.
        """
        x = data.rows(np.arange(8) % len(data))
        x = torch.cat([x, x])  # two views of each row
        with draws_undone():
            drawn = [self._try(x, seed) for seed in (0, 0, 1, 2, 3)]
        if not torch.allclose(drawn[0], drawn[1], rtol=1e-4, atol=1e-5):
            raise ValueError(
                "augmentation gives other views under the same seed: all its randomness must come "
                "from torch's global generator (torch.rand and the like), not from NumPy, random "
                "or a generator of its own."
            )
        varies = any(not torch.equal(drawn[0], other) for other in drawn[2:])
        if varies and all(torch.equal(*views.chunk(2)) for views in drawn):
            raise ValueError(
                "augmentation draws once for a whole batch, so that all views of a row are equal: "
                "draw for every sample, as modules of kornia do with same_on_batch=False."
            )

    def _try(self, x, seed):
        with seeded(seed), torch.no_grad():
            return check_augmentation(self.augmentation, x)

    def draw(self, x, n_views, seed):
        """Views of a batch in one call: (b, *shape) -> (n_views, b, *shape)."""
        repeated = x.repeat(int(n_views), *[1] * (x.ndim - 1))
        with seeded(seed, x.device), torch.no_grad():
            views = self.augmentation(repeated)
        return views.detach().to(x.dtype).reshape(int(n_views), *x.shape)

    def of_rows(self, data, n_views, seed, device="cpu"):
        """Views of all rows of a pool's data, in chunks of a size that only the shape decides.

        Yields
        ------
        (ndarray of int, tensor of shape (n_views, b, *shape))
            Positions of the chunk's rows, and their views.
        """
        size = int(np.clip(2**21 // (int(n_views) * math.prod(data.shape)), 1, 256))
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


class ViewBank:
    """Views of all rows, drawn once from a seed and picked from by index.

    One draw of an augmentation costs as much as a third of a training step of a small network. A
    bank is drawn once a block, by f and g alike, and every step picks other views of a row from
    it. It is kept in half precision: a pixel's error is below a thousandth.

    Parameters
    ----------
    views : Views
        What is drawn.
    data : Data
        The rows.
    size : int
        Views of each row.
    seed : int
        Of the draws.
    device : str, default="cpu"
        Where the bank is kept.
    """

    def __init__(self, views, data, size, seed, device="cpu"):
        self.size, self.n = size, len(data)
        self.stored = torch.empty(size, self.n, *data.shape, dtype=torch.float16, device=device)
        for index, drawn in views.of_rows(data, size, seed, device):
            self.stored[:, index[0] : index[-1] + 1] = drawn
        if not torch.isfinite(self.stored).all():
            raise ValueError("augmentation returned values beyond 65504: scale the rows down.")

    @staticmethod
    def n_bytes(data, size):
        """Memory that a bank takes."""
        return 2 * size * len(data) * math.prod(data.shape)

    def pick(self, index, n_views, rng):
        """Distinct views of rows.

        Parameters
        ----------
        index : ndarray of int, any shape
            Rows.
        n_views : int
            At most `size`.
        rng : numpy.random.Generator
            Which views.

        Returns
        -------
        tensor of shape (n_views, *index.shape, *shape)
            float32.
        """
        order = rng.random((index.size, self.size), dtype=np.float32)
        which = order.argpartition(n_views - 1, axis=1)[:, :n_views].T  # (n_views, m)
        flat = torch.from_numpy(which * self.n + index.ravel()).to(self.stored.device)
        picked = self.stored.flatten(0, 1).index_select(0, flat.ravel())
        return picked.float().reshape(n_views, *index.shape, *self.stored.shape[2:])
