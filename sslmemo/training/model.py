"""A trained torch module behind the `Model` interface."""

from __future__ import annotations

import contextlib
import math

import torch

__all__ = ["TorchModel", "evaluating"]

BATCH_VALUES = 2**20  # input values read at once; fixed, so that numbers never depend on memory


@contextlib.contextmanager
def evaluating(module):
    """Eval mode without gradients; every submodule's training flag is put back."""
    flags = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, flag in flags:
            m.training = flag


class TorchModel:
    """A module with an encoder and a projector.

    Parameters
    ----------
    module : torch.nn.Module
        With attributes `encoder` and `projector`.
    device : str
        Where it lies; results come back to where x lies.
    """

    def __init__(self, module, device="cpu"):
        self.module, self.device = module, device

    def embed(self, x, layer="encoder"):
        """Representations (b, ...) -> (b, d), in eval mode, float32, a fixed batch at a time."""
        if layer not in ("encoder", "projector"):
            raise ValueError(f"layer must be 'encoder' or 'projector', got {layer!r}.")
        size = max(32, BATCH_VALUES // math.prod(x.shape[1:]))
        parts = []
        with evaluating(self.module):
            for part in x.split(size):
                z = self.module.encoder(part.to(self.device))
                z = self.module.projector(z) if layer == "projector" else z
                parts.append(z.float().to(x.device))
        return torch.cat(parts)

    def state(self):
        """Weights and buffers by name: dict of ndarray."""
        return {k: v.detach().cpu().numpy().copy() for k, v in self.module.state_dict().items()}
