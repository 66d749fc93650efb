"""Presentations: what every row does whenever a training step shows it. Free while training."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ..protocols import TrainingError
from ._repr import ShortRepr
from .gradients import squared_alignment

__all__ = ["Presentations"]


class Presentations(ShortRepr):
    """Alignment and forgetting of every row over the steps that showed it to the encoder.

    A step gives two views of each of its rows; their mean squared distance is the row's alignment then. A row
    is *known* in a step if, of all second views in the batch, that of its own has the highest cosine
    similarity to its first view; and it is *forgotten* each time that it was known when shown last and no
    longer is. Representations are those of the training's own
    forward pass (BatchNorm in training mode), before the projector; of methods with more views the first
    two are read.

    Notes
    -----
    The arrays, each (k, n): ``"presented_alignment"``, the mean over the row's presentations of its
    alignment, in [0, 4]; ``"risen"``, the sum of what its alignment rose by from one presentation to the
    next, where it did; ``"forgotten"``, how often it was forgotten; ``"known"``, how often it was known;
    ``"presented"``, how often it was shown.

    References
    ----------
    Toneva et al., An empirical study of example forgetting during deep neural network learning, ICLR 2019
    (arXiv:1812.05159), there with the accuracy of a classifier on the row.
    """

    name = "presentations"
    at = (1.0,)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {"measurement": self.name}

    def observer(self, k, n):
        """Counts of k encoders over n rows."""
        return _Counts(k, n)

    def __call__(self, models, data, member, seed, observed=None):
        """Read the counts, see `sslmemo.protocols.Measurement`."""
        shown = observed.shown
        if (shown == 0).any():
            raise TrainingError(
                f"{int((shown == 0).any(0).sum())} of {len(data)} rows were never shown to an encoder "
                "of their training: raise epochs to at least 1."
            )
        return {
            "presented_alignment": observed.alignment / shown,
            "risen": observed.risen,
            "forgotten": observed.forgotten,
            "known": observed.known,
            "presented": shown,
        }


class _Counts:
    def __init__(self, k, n):
        # counts are floats, as all arrays of a pool: NaN where an encoder fails
        self.shown, self.known, self.forgotten, self.alignment, self.risen = np.zeros((5, k, n))
        self.was_known, self.was = np.zeros((k, n), bool), np.full((k, n), np.inf)

    def __call__(self, which, step, rows, loss, z):
        """One step: encoders (k,), rows (k, b), loss (k, b), z (k, V, b, d)."""
        if z.shape[1] < 2:
            raise TrainingError(
                "presentations need two views of a row in every step, and this method makes one: take "
                "another kind of proxy."
            )
        first, second = (F.normalize(z[:, v].float(), dim=2) for v in (0, 1))  # (k, b, d)
        similarity = first @ second.transpose(1, 2)  # (k, b, b)
        own = torch.arange(similarity.shape[1], device=z.device)
        known = (similarity.argmax(2) == own).cpu().numpy()
        apart = squared_alignment(torch.stack([first, second])).cpu().numpy()
        for j, encoder in enumerate(which):
            at = encoder, rows[j]
            self.forgotten[at] += self.was_known[at] & ~known[j]
            self.known[at] += known[j]
            self.was_known[at] = known[j]
            self.risen[at] += np.maximum(apart[j] - self.was[at], 0)
            self.was[at] = apart[j]
            self.alignment[at] += apart[j]
            self.shown[at] += 1
