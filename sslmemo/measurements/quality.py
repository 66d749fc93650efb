"""Quality: is a representation worth anything, or has it collapsed?"""

from __future__ import annotations

import numpy as np

from ..protocols import TrainingError
from ._repr import ShortRepr

__all__ = ["Quality", "effective_rank", "uniformity"]


class Quality(ShortRepr):
    """Effective rank and spread of unaugmented representations.

    Parameters
    ----------
    n_rows : int, default=2048
        At most so many evenly spaced rows are read.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is read.

    Notes
    -----
    The arrays are ``"effective_rank"`` (k,), see `effective_rank`; ``"uniformity"`` (k,), see
    `uniformity`; and ``"spread"`` (k,): the root mean squared distance of the unit representations
    from their mean, in [0, 1]. An encoder with no spread has collapsed: its alignment is low because
    everything lies at one point.
    """

    name = "quality"
    at = (1.0,)

    def __init__(self, n_rows=2048, layer="encoder"):
        self.n_rows, self.layer = n_rows, layer

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "arrays": ["effective_rank", "uniformity", "spread"],
            "n_rows": self.n_rows,
            "layer": self.layer,
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        count = min(self.n_rows, len(data))
        x = data.rows(np.linspace(0, len(data) - 1, count).round().astype(int))
        z = [m.embed(x, self.layer).double().cpu().numpy() for m in models]
        if not all(np.isfinite(e).all() for e in z):
            raise TrainingError(
                f"an encoder of seed {seed} has representations that are not finite: its last steps "
                "diverged (lower learning_rate), or it gives NaN for some row."
            )
        unit = [e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-12) for e in z]
        spread = [np.sqrt(np.square(u - u.mean(0)).sum(1).mean()) for u in unit]
        return {
            "effective_rank": np.array([effective_rank(e) for e in z]),
            "uniformity": np.array([uniformity(u) for u in unit]),
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


def uniformity(unit):
    """Logarithm of the mean of exp(-2 d^2) over pairs of rows: how evenly they cover the sphere.

    Parameters
    ----------
    unit : ndarray of shape (n, d)
        Representations of unit length; at least two.

    Returns
    -------
    float
        0 for rows at one point, lower for an even cover; at least -8, all rows being antipodal.

    References
    ----------
    Wang and Isola, Understanding contrastive representation learning through alignment and
    uniformity on the hypersphere, ICML 2020 (arXiv:2005.10242), section 4.1.2.
    """
    total, n = 0.0, len(unit)
    for start in range(0, n, 512):  # not all pairs at once: n can be 2048
        squared = 2 - 2 * unit[start : start + 512] @ unit.T
        total += np.exp(-2 * np.maximum(squared, 0)).sum()
    return float(np.log((total - n) / (n * (n - 1))))  # without the pairs of a row with itself
