"""What every method is."""

from __future__ import annotations

import functools

import torch
from sklearn.base import BaseEstimator

__all__ = ["Method", "full_precision"]


def full_precision(loss):
    """Decorate a loss so that it computes in float32 or, on float64 tensors, in float64.

    bfloat16 and float16 tensors come in as float32, and autocast, which would send matrix products
    back to half precision, is off inside.

    Parameters
    ----------
    loss : callable
        Of tensors, the first among them, and numbers; positional arguments only.

    Returns
    -------
    callable
        The same function of the same arguments.
    """

    @functools.wraps(loss)
    def computed(*args):
        half = (torch.bfloat16, torch.float16)
        args = [a.float() if isinstance(a, torch.Tensor) and a.dtype in half else a for a in args]
        with torch.autocast(args[0].device.type, enabled=False):
            return loss(*args)

    return computed


class Method(BaseEstimator):
    """Base of the SSL methods: parameters by scikit-learn's conventions, three hooks.

    Attributes
    ----------
    n_views : int
        Views of a sample that one step needs.

    Notes
    -----
    A hook that a method overrides without a docstring of its own has that of the base.
    """

    n_views = 2

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("build", "draws", "after_step"):
            hook = vars(cls).get(name)
            if hook is not None and hook.__doc__ is None:
                hook.__doc__ = getattr(Method, name).__doc__

    def build(self, encoder, out_dim):
        """Build the module that is trained.

        Parameters
        ----------
        encoder : torch.nn.Module
            Fresh encoder, (b, *shape) -> (b, out_dim).
        out_dim : int
            Length of its representation; at least 1.

        Returns
        -------
        torch.nn.Module
            With attributes `encoder` and `projector`, called as
            ``module(views, draws, progress) -> (loss, per_row, z)``: views (V, b, *shape), loss (),
            the loss of each sample (b,), representations (V, b, d) for whoever observes.

        Raises
        ------
        TypeError, ValueError
            A parameter of the method is out of its range, or the encoder does not suit it.
        """
        raise NotImplementedError

    def draws(self, generator, batch, shape):
        """Draw all randomness of a step beside the views.

        Parameters
        ----------
        generator : torch.Generator
            Seeded for the step, on the device of the training.
        batch : int
            Samples in the step.
        shape : tuple of int
            Shape of one sample.

        Returns
        -------
        dict of str to tensor
            What the module gets as `draws`; empty by default.

        Raises
        ------
        ValueError
            The method can't draw for samples of this shape.
        """
        return {}

    def after_step(self, parameters, buffers, progress):
        """Change parameters or buffers in place after an optimizer step; nothing by default.

        Called without gradients. Tensors may be those of one encoder or of a whole stack, with one more
        axis in front, so only changes that treat every element alike are safe.

        Parameters
        ----------
        parameters : dict of str to tensor
            Of the module, by name.
        buffers : dict of str to tensor
            Of the module, by name.
        progress : float
            Share of the training's steps before this one, in [0, 1).
        """
