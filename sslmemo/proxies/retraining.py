"""Kinds that train copies of the encoder on: without a row, and each on another part of the rows."""

from __future__ import annotations

from .. import measurements
from .base import Kind

__all__ = ["HoldoutRetraining", "Perturbation"]


class HoldoutRetraining(Kind):
    """Rise of a row's squared alignment when a copy trains on without it, beyond that with it.

    After the holdout retraining of Carlini, Erlingsson and Papernot (arXiv:1910.13427), which fine-tunes a
    classifier on held-out data and scores a row by the change of its output. Here the rest of the rows
    stands in for held-out data, and the contrast with copies that kept the row is ours. Without the
    contrast the rise alone ranked digits no better than chance.

    Parameters
    ----------
    n_groups : int, default=2
        Of rows, each left out by one copy; at least 2.
    share : float, default=0.5
        Steps of a copy, over those of the training; above 0. By the defaults, all copies together take
        four times the steps of the training.
    n_repeats : int, default=4
        Dealings of the rows into groups that are averaged; at least 1.

    See Also
    --------
    sslmemo.measurements.HoldoutRetraining : What is read.
    """

    def __init__(self, n_groups=2, share=0.5, n_repeats=4):
        self.n_groups = n_groups
        self.share = share
        self.n_repeats = n_repeats

    def measurements(self, reading):
        return [
            measurements.HoldoutRetraining(
                reading.trainer, **self.get_params(), n_views=reading.n_views, layer=reading.layer
            )
        ]

    def scores(self, values):
        return values["holdout_retraining"]


class Perturbation(Kind):
    """Variance of a row's squared alignment over copies that train on, each on another half of the rows.

    After Daunce (Pan et al., arXiv:2505.23223): several fine-tunes of one model on random parts of the
    rows, and the self term of the covariance over them. Their objective with a random linear term is
    replaced by the method's own loss, and the loss of a row by its alignment.

    Parameters
    ----------
    n_copies : int, default=8
        At least 2.
    fraction : float, default=0.5
        Of the rows that a copy trains on, in (0, 1].
    share : float, default=0.5
        Steps of a copy, over those of the training; above 0. By the defaults, all copies together take
        four times the steps of the training.

    See Also
    --------
    sslmemo.measurements.Perturbation : What is read, and what is theirs.
    """

    def __init__(self, n_copies=8, fraction=0.5, share=0.5):
        self.n_copies = n_copies
        self.fraction = fraction
        self.share = share

    def measurements(self, reading):
        return [
            measurements.Perturbation(
                reading.trainer, **self.get_params(), n_views=reading.n_views, layer=reading.layer
            )
        ]

    def scores(self, values):
        return values["perturbation"]
