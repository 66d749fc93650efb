"""What every method is."""

from __future__ import annotations

from sklearn.base import BaseEstimator

__all__ = ["Method"]


class Method(BaseEstimator):
    """Base of the SSL methods: parameters by scikit-learn's conventions, three hooks.

    Attributes
    ----------
    n_views : int
        Views of a sample that one step needs.
    """

    n_views = 2

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
        """
        raise NotImplementedError

    def draws(self, generator, batch):
        """Draw all randomness of a step beside the views.

        Parameters
        ----------
        generator : torch.Generator
            Seeded for the step, on the device of the training.
        batch : int
            Samples in the step.

        Returns
        -------
        dict of str to tensor
            What the module gets as `draws`; empty by default.
        """
        return {}

    def after_step(self, parameters, buffers, progress):
        """Change parameters or buffers in place after an optimizer step; nothing by default.

        Parameters
        ----------
        parameters : dict of str to tensor
            Of the module, by name.
        buffers : dict of str to tensor
            Of the module, by name.
        progress : float
            Share of the training's steps before this one, in [0, 1).
        """
