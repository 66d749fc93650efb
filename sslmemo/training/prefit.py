"""A trainer that trains nothing: it hands out encoders that the user brings."""

from __future__ import annotations

import contextlib

import numpy as np
import torch

from ..store import describe
from .model import evaluating

__all__ = ["PrefitTrainer"]


class PrefitTrainer:
    """Hands out given callables in the order of a plan.

    Parameters
    ----------
    encoders : list of callable
        (b, *shape) -> (b, d), one for each encoder of `plan`.
    plan : Plan
        Whose seeds tell which block is asked for.
    """

    def __init__(self, encoders, plan):
        self._by_seed = {
            plan.seed_of(b): [encoders[t] for t in plan.encoders_of(b)] for b in plan.blocks
        }

    def config(self):
        """Names of the encoders; they are not told apart further, so no store is offered."""
        return {"trainer": "prefit", "encoders": describe([*self._by_seed.values()])}

    def max_together(self, n_rows):
        """All of a block."""
        return max(map(len, self._by_seed.values()))

    def check(self, data):
        """Try every encoder on two rows."""
        x = data.rows(np.arange(2))
        for encoder in (e for block in self._by_seed.values() for e in block):
            z = _Prefit(encoder).embed(x)
            if z.ndim != 2 or len(z) != len(x) or not torch.isfinite(z).all():
                raise ValueError(
                    f"encoder {type(encoder).__name__} returned shape {tuple(z.shape)} for "
                    f"{len(x)} rows of shape {data.shape}: finite embeddings (b, d) are needed."
                )

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        """The encoders of a block, see `sslmemo.protocols.Trainer`."""
        yield 1.0, [_Prefit(e) for e in self._by_seed[int(seeds[0])]]


class _Prefit:
    """A user's callable behind the `Model` interface."""

    def __init__(self, encoder):
        self.encoder = encoder

    def embed(self, x, layer="encoder"):
        module = isinstance(self.encoder, torch.nn.Module)
        with evaluating(self.encoder) if module else contextlib.nullcontext(), torch.no_grad():
            z = self.encoder(x)
        return torch.as_tensor(z).float()

    def state(self):
        return {}
