"""Quality: is a representation worth anything, or has it collapsed?"""

from __future__ import annotations

import numpy as np

__all__ = ["Quality", "effective_rank"]


class Quality:
    """Effective rank and spread of unaugmented representations.

    Parameters
    ----------
    n_rows : int, default=2048
        At most so many evenly spaced rows are read.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is read.

    Notes
    -----
    The arrays are ``"effective_rank"`` (k,), see `effective_rank`, and ``"spread"`` (k,): the root
    mean squared distance of the unit representations from their mean, in [0, 1]. An encoder with
    no spread has collapsed: its alignment is low because everything lies at one point.
    """

    name = "quality"
    at = (1.0,)

    def __init__(self, n_rows=2048, layer="encoder"):
        self.n_rows, self.layer = n_rows, layer

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {"measurement": self.name, "n_rows": self.n_rows, "layer": self.layer}

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        count = min(self.n_rows, len(data))
        x = data.rows(np.linspace(0, len(data) - 1, count).round().astype(int))
        z = [m.embed(x, self.layer).double().cpu().numpy() for m in models]
        unit = [e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-12) for e in z]
        spread = [np.sqrt(np.square(u - u.mean(0)).sum(1).mean()) for u in unit]
        return {
            "effective_rank": np.array([effective_rank(e) for e in z]),
            "spread": np.array(spread),
        }


def effective_rank(z):
    """RankMe: exponential of the entropy of the normalised singular values.

    Parameters
    ----------
    z : ndarray of shape (n, d)
        Representations.

    Returns
    -------
    float
        Between 1 and min(n, d).

    References
    ----------
    Garrido et al., RankMe, ICML 2023 (arXiv:2210.02885), equation 1.
    """
    s = np.linalg.svd(np.asarray(z, dtype=np.float64), compute_uv=False)
    p = s / max(s.sum(), 1e-300) + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))
