"""LayerNormed: any method, with networks that normalise every sample by itself."""

from __future__ import annotations

from torch import nn

from .base import Method

__all__ = ["BATCH_NORM", "LayerNormed"]

BATCH_NORM = nn.modules.batchnorm._BatchNorm  # of all dimensions, and SyncBatchNorm


class LayerNormed(Method):
    """A method whose networks have layer normalisation where they had BatchNorm.

    Each BatchNorm of encoder and heads becomes a GroupNorm of one group with as many channels, which on
    vectors is LayerNorm. It normalises every sample by itself, so that private training can take it.

    Parameters
    ----------
    method : str or Method, default="byol"
        Whose networks are changed, such as ``BYOL()`` or ``SimSiam(projection_dim=128)``.

    Examples
    --------
    >>> from sslmemo import MemorizationEstimator
    >>> from sslmemo.methods import LayerNormed
    >>> from sslmemo.training.private import PrivateTraining
    >>> est = MemorizationEstimator(
    ...     method=LayerNormed("byol"), encoder="mlp", gradient_noise=PrivateTraining()
    ... )
    """

    def __init__(self, method="byol"):
        self.method = method

    def _inner(self):
        from . import get_method

        return get_method(self.method)

    @property
    def n_views(self):
        """Views of a sample that one step needs."""
        return self._inner().n_views

    def build(self, encoder, out_dim):
        module = self._inner().build(encoder, out_dim)
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, BATCH_NORM):
                    norm = nn.GroupNorm(1, child.num_features, child.eps, child.affine)
                    parent.add_module(name, norm.requires_grad_(_is_trained(child)))
        return module

    def draws(self, generator, batch, shape):
        return self._inner().draws(generator, batch, shape)

    def after_step(self, parameters, buffers, progress):
        self._inner().after_step(parameters, buffers, progress)


def _is_trained(module):
    return any(p.requires_grad for p in module.parameters())
