"""An encoder for use without this package: one torch module from raw rows to representations."""

from __future__ import annotations

import copy
import io
import os

import torch
from torch import nn

from .persistence import check_target
from .store import write_whole

__all__ = ["RowsToRepresentations", "write_program"]


class RowsToRepresentations(nn.Module):
    """Raw rows to representations, in eval mode; it shares no memory with what it is made of.

    Parameters
    ----------
    module : torch.nn.Module
        With attributes `encoder` and `projector`.
    layer : {"encoder", "projector"}
        Whose output is the representation.
    layout : Layout
        How rows are read.
    """

    def __init__(self, module, layer, layout):
        super().__init__()
        encoder, projector = copy.deepcopy((module.encoder, module.projector))  # may share weights
        self.shape = tuple(layout.shape)
        self.encoder = encoder
        self.projector = projector if layer == "projector" else nn.Identity()
        for name in ("center", "scale"):  # float64, as columns far from zero need
            value = getattr(layout, name)
            self.register_buffer(name, None if value is None else torch.tensor(value))
        # torch.export.save warns of weights that are not contiguous, as channels_last ones are not
        self.to(memory_format=torch.contiguous_format).eval()

    def forward(self, x):  # (b, *shape) of any dtype -> (b, d) float32
        """Representations of rows as the user has them, images with channels first."""
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(
                f"rows must have shape (b, {', '.join(map(str, self.shape))}), got {tuple(x.shape)}."
            )
        if self.center is not None:
            x = (x.to(self.center.dtype) - self.center) / self.scale
        elif x.dtype == torch.uint8:
            x = x.float() / 255
        return self.projector(self.encoder(x.float())).float()


def write_program(module, path):
    """Write a module as a `torch.export` archive with a batch of any size, whole or not at all.

    Parameters
    ----------
    module : RowsToRepresentations
        What is exported; its weights lie on the CPU.
    path : str or path
        File that ends in ``.pt2``, in a folder that exists; one that is there is replaced.

    Raises
    ------
    ValueError
        `path` is a folder or ends otherwise.
    FileNotFoundError
        The folder of `path` does not exist.
    """
    check_target(path)
    if not os.fspath(path).endswith(".pt2"):
        raise ValueError(f"path={str(path)!r} must end in '.pt2', by which torch knows the file.")
    example = torch.zeros(2, *module.shape)  # no training row: the archive keeps it
    how = {"dynamic_shapes": ({0: torch.export.Dim("batch", min=1)},)}
    try:
        program = torch.export.export(module, (example,), **how)
    except Exception:  # strict tracing is slower, but takes a network's len(x) as no fixed number
        program = torch.export.export(module, (example,), **how, strict=True)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    write_whole(path, buffer.getvalue())
