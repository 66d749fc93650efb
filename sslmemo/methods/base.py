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
            Length of its representation.

        Returns
        -------
        torch.nn.Module
            With attributes `encoder` and `projector`, called as
            ``module(views, draws, progress) -> (loss, per_row, z)``: views (V, b, *shape), loss (),
            the loss of each sample (b,), representations (V, b, d) for whoever observes.
        """
        raise NotImplementedError

    def draws(self, generator, batch):
        """All randomness of a step beside the views: dict of tensors."""
        return {}

    def after_step(self, parameters, buffers, progress):
        """Change parameters or buffers (dicts by name) in place after an optimizer step."""
