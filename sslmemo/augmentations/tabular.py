"""Augmentation of tables: corruption by values of the same column."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

__all__ = ["FeatureCorruption"]


class FeatureCorruption(nn.Module):
    """Replace each feature, with some probability, by that of a random training row.

    Parameters
    ----------
    rate : float, default=0.3
        Probability of replacing a feature, in (0, 1]. SCARF corrupts one of its two views at 0.6;
        here both views are corrupted, each at half of that.
    n_reference : int, default=4096
        At most so many training rows are kept to draw from.

    References
    ----------
    Bahri et al., SCARF: Self-supervised contrastive learning using random feature corruption,
    ICLR 2022 (arXiv:2106.15147).
    """

    def __init__(self, rate=0.3, n_reference=4096):
        super().__init__()
        if not 0 < rate <= 1:
            raise ValueError(f"rate must lie above 0 and be at most 1, got {rate!r}.")
        self.rate, self.n_reference = rate, n_reference
        self.register_buffer("reference", None)

    def fit_reference(self, data):
        """Keep evenly spaced training rows as the columns' own values."""
        count = min(self.n_reference, len(data))
        self.reference = data.rows(np.linspace(0, len(data) - 1, count).round().astype(int))

    def forward(self, x):  # (b, d) -> (b, d)
        if self.reference is None:
            raise RuntimeError("FeatureCorruption has no training rows: call fit_reference first.")
        corrupt = torch.rand(x.shape, device=x.device) < self.rate
        donor = torch.randint(len(self.reference), x.shape, device=x.device)
        return torch.where(corrupt, self.reference.to(x.device).gather(0, donor), x)

    def extra_repr(self):
        """Tell the parameters, for the repr.

        Returns
        -------
        str
            As torch shows them.
        """
        return f"rate={self.rate}, n_reference={self.n_reference}"
