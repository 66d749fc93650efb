"""A trainer that trains nothing: it hands out encoders that the user brings."""

from __future__ import annotations

import contextlib

import numpy as np
import torch

from .._compat import shown
from ..identity import describe
from ..randomness import draws_undone, seeded
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
    names : list of str, default=None
        What each encoder is called in errors.
    """

    def __init__(self, encoders, plan, names=None):
        self._named = list(zip(encoders, names or map(_name, encoders)))
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
        """Try every encoder on a few rows.

        Raises
        ------
        ValueError
            One fails, returns anything but finite embeddings (b, d), draws random numbers, or lets
            the rows of a batch change each other's embeddings.
        """
        x = data.rows(np.arange(4) % len(data))
        with draws_undone():
            for encoder, name in self._named:
                _try(_Prefit(encoder), name, x)

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        """The encoders of a block, see `sslmemo.protocols.Trainer`."""
        yield 1.0, [_Prefit(e) for e in self._by_seed[int(seeds[0])]]


class _Prefit:
    """A user's callable behind the `Model` interface."""

    def __init__(self, encoder):
        self.encoder = encoder

    def embed(self, x, layer="encoder", seed=0):
        module = isinstance(self.encoder, torch.nn.Module)
        with (
            seeded(seed),  # the caller's generator stays as it is, whatever the encoder draws
            evaluating(self.encoder) if module else contextlib.nullcontext(),
            torch.no_grad(),
        ):
            z = self.encoder(x.clone())  # one that works in place must not change what others read
        if not isinstance(z, torch.Tensor):
            if not hasattr(z, "__array__"):
                raise TypeError(f"it returned a {type(z).__name__}, not a tensor: {shown(z)}")
            z = torch.from_numpy(np.array(z))
        if z.is_complex():
            raise TypeError(f"it returned {z.dtype}")
        return z.to(x.device).float()

    def state(self):
        return {}


def _name(encoder):
    return f"encoder {type(encoder).__name__}"


def _try(model, name, x):
    """Refuse an encoder whose embeddings of x (4, ...) are no function of each row alone."""
    try:
        z = model.embed(x)
        again = model.embed(x, seed=1)
        alone = model.embed(x[:2])
    except Exception as error:  # whatever foreign code raises
        raise ValueError(
            f"{name} failed on views of shape {tuple(x.shape)}, float32 on the CPU "
            f"({type(error).__name__}: {error}): it must return finite embeddings (b, d), one tensor. "
            "Wrap one that returns more: lambda x: encoder(x)[0]."
        ) from error
    if z.ndim != 2 or len(z) != len(x) or not z.shape[1] or not torch.isfinite(z).all():
        raise ValueError(
            f"{name} returned shape {tuple(z.shape)} for {len(x)} rows of shape "
            f"{tuple(x.shape[1:])}: finite embeddings (b, d) are needed."
        )
    size = 0.05 * z.norm(dim=1).mean()
    if (again - z).norm(dim=1).max() > size:
        raise ValueError(
            f"{name} gives other embeddings of the same views when it is called again: "
            "put its modules into eval mode (dropout draws otherwise)."
        )
    if alone.shape != z[:2].shape or (alone - z[:2]).norm(dim=1).max() > size:
        raise ValueError(
            f"{name} embeds a row differently beside other rows: put its modules into "
            "eval mode (BatchNorm reads the batch otherwise)."
        )
