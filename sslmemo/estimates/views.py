"""How much of a score's error comes from the finite number of views: a jackknife over views."""

from __future__ import annotations

import numpy as np

from .._compat import named
from .blocks import side_weights

__all__ = ["view_variance"]

# How many rows of `by_view` a distance enters: two views share it, or a view and the clean row.
SHARED_BY = {"view": 2, "clean": 1}


def view_variance(by_view, plan, means, normalize=None, anchor="view"):
    """Variance of the scores that comes from the draw of the views.

    The encoders of a block share their views, so the views are deleted from the block's
    *difference*: without view v it is (V D - 2 h_v) / (V - 2), where h_v is the difference of the
    mean distance of v to the other views and D the mean of all h; to a clean anchor it is
    (V D - h_v) / (V - 1). The jackknife variance is (V - 1) / V times the sum of squares around
    their mean; blocks have views of their own, so it is summed over blocks with the square of their
    weight in the score. The jackknife errs upwards (Efron and Stein), by about a sixth for the
    distances of 8 Gaussian views.

    Parameters
    ----------
    by_view : array-like of float, shape (n_encoders, n_samples, n_views)
        Mean distance of the view to the others (anchor "view"), or its distance to the clean row.
    plan : Plan
    means : BlockMeans
        Of the alignment, which is the mean of `by_view` over views.
    normalize : {None, "encoder", "relative", "range"}, default=None
        As for the scores; "encoder" must already have divided `by_view`.
    anchor : {"view", "clean"}, default="view"

    Returns
    -------
    ndarray of float, shape (n_samples,), or None
        In the squared unit of the score; NaN for a row without a score. None for too few views
        (below 3, to a clean anchor below 2).

    Raises
    ------
    ValueError
        If `by_view` has another shape than the plan, or `anchor` is unknown.

    References
    ----------
    Efron and Stein, The jackknife estimate of variance, Annals of Statistics 1981.
    """
    by_view = np.asarray(by_view, dtype=float)
    if by_view.ndim != 3 or by_view.shape[:2] != (plan.n_encoders, plan.n_samples):
        raise ValueError(
            f"alignment_by_view has shape {by_view.shape}, but the plan has {plan.n_encoders} "
            f"encoders and {plan.n_samples} rows: it must be (n_encoders, n_samples, n_views)."
        )
    n_views, shared = by_view.shape[2], named(anchor, SHARED_BY, "anchor")
    if n_views <= shared:
        return None
    score, out_weight, in_weight = side_weights(means, normalize)
    n_in, n_out = (means.n_inside > 0).sum(0), (means.n_outside > 0).sum(0)
    as_f, as_g = plan.as_f, plan.as_g
    total = np.zeros(plan.n_samples)
    for b, block in enumerate(plan.blocks):  # block by block: the array is the largest there is
        if not (means.n_inside[b] + means.n_outside[b]).any():
            continue  # an encoder failed
        encoders = plan.encoders_of(block)
        share = in_weight / np.maximum(n_in * means.n_inside[b], 1) * (means.n_inside[b] > 0)
        h = -np.einsum("tn,tnv->nv", as_f[encoders] * share, by_view[encoders])
        share = out_weight / np.maximum(n_out * means.n_outside[b], 1) * (means.n_outside[b] > 0)
        h += np.einsum("tn,tnv->nv", as_g[encoders] * share, by_view[encoders])
        deleted = -shared * (h - h.mean(1, keepdims=True)) / (n_views - shared)
        total += (n_views - 1) / n_views * (deleted**2).sum(1)
    return np.where(np.isfinite(score), total, np.nan)
