"""Encoders by name, or by a zero-argument factory.

A named encoder is a function of the sample's shape; `build_encoder` checks whatever a factory
returns on two samples, so that a wrong one fails before any training.
"""

from __future__ import annotations

import torch
from torch import nn

from .._compat import named, shown
from .convnet import convnet
from .mlp import mlp
from .resnet import resnet9, resnet18, resnet34, resnet50
from .vit import vit_small, vit_tiny

__all__ = ["ENCODERS", "auto_encoder", "build_encoder", "check_encoder", "output_dim"]

ENCODERS = {
    "mlp": mlp,
    "convnet": convnet,
    "resnet9": resnet9,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "vit_tiny": vit_tiny,
    "vit_small": vit_small,
}


def auto_encoder(shape):
    """Name that "auto" stands for: convnet for colour images of 32 px and more, else mlp.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample: (d,) or (c, h, w).

    Returns
    -------
    str
        A name in `ENCODERS`.
    """
    big = len(shape) == 3 and shape[0] == 3 and min(shape[1:]) >= 32
    return "convnet" if big else "mlp"


def check_encoder(encoder):
    """Refuse what is neither a known name nor a zero-argument factory."""
    if isinstance(encoder, str):
        if encoder != "auto":
            named(encoder, {**ENCODERS, "auto": None}, "encoder")
    elif isinstance(encoder, nn.Module):
        raise TypeError(
            "encoder must be a name or a zero-argument factory that returns a new module, got a "
            f"{type(encoder).__name__} instance: every training needs fresh weights. Pass "
            f"`lambda: {type(encoder).__name__}(...)` or functools.partial."
        )
    elif not callable(encoder):
        raise TypeError(
            f"encoder must be one of {', '.join(ENCODERS)} or a zero-argument factory, "
            f"got {shown(encoder)}."
        )


def build_encoder(encoder, shape):
    """Build a fresh encoder; its weights come from torch's global generator.

    Parameters
    ----------
    encoder : str or callable
        A name in `ENCODERS`, or a zero-argument factory.
    shape : tuple of int
        Shape of one sample: (d,) or (c, h, w).

    Returns
    -------
    torch.nn.Module
        Maps (b, *shape) to (b, out_dim).
    """
    if not isinstance(encoder, str):
        name = getattr(encoder, "__name__", type(encoder).__name__)
        try:
            module = encoder()
        except Exception as error:  # whatever foreign code raises
            raise ValueError(
                f"encoder={name} failed when called without arguments ({type(error).__name__}: "
                f"{error}): pass a zero-argument factory, such as functools.partial({name}, ...)."
            ) from error
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"encoder factory {name} returned {type(module).__name__}, not a torch module."
            )
        return module
    return ENCODERS[encoder](shape)


def output_dim(encoder, shape):
    """Length of the encoder's representation of one sample; checks that it is a vector.

    Parameters
    ----------
    encoder : torch.nn.Module
        Asked in eval mode, and put back.
    shape : tuple of int
        Shape of one sample.

    Returns
    -------
    int
        The d of (b, d).

    Raises
    ------
    ValueError
        It can't read such samples, or gives no vectors.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            z = encoder(torch.zeros(2, *shape, dtype=torch.float32))
    except Exception as error:  # whatever foreign code raises
        raise ValueError(
            f"encoder {type(encoder).__name__} can't read samples of shape {tuple(shape)}, float32: "
            f"{error}"
        ) from error
    finally:
        encoder.train(was_training)
    if not isinstance(z, torch.Tensor) or z.ndim != 2 or len(z) != 2 or not z.shape[1]:
        mend = "end it with pooling and torch.nn.Flatten()"
        if not isinstance(z, torch.Tensor):
            mend = "wrap it in a module that returns the tensor alone"
        got = tuple(z.shape) if isinstance(z, torch.Tensor) else type(z).__name__
        raise ValueError(
            f"encoder must map (b, {', '.join(map(str, shape))}) to (b, d), got {got} for 2 "
            f"samples: {mend}."
        )
    if not z.is_floating_point() or z.dtype == torch.float64:
        raise ValueError(
            f"encoder {type(encoder).__name__} returns {z.dtype}, and float32 is needed: call "
            ".float() on it."
        )
    return z.shape[1]
