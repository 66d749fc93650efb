"""Kinds that read where a row lies: its representation and itself from others, its views from each other."""

from __future__ import annotations

import numpy as np

from .. import measurements
from .base import CHECKPOINTS, Kind, stages, standardised_ranks

__all__ = ["Alignment", "DepthIsolation", "InputIsolation", "Isolation"]


class Isolation(Kind):
    """Mean cosine distance of a row's representation to its nearest other rows, over checkpoints.

    A row that nothing resembles has to be learnt by itself; higher = farther from others.

    Parameters
    ----------
    n_neighbors : int, default=5
        At least 1; all other rows where there are fewer.
    at : tuple of float, default=(0.2, 0.4, 0.6, 0.8, 1.0)
        Ascending fractions of the training, in (0, 1], whose distances are averaged.

    See Also
    --------
    sslmemo.measurements.Isolation : What is read.
    """

    def __init__(self, n_neighbors=5, at=CHECKPOINTS):
        self.n_neighbors = n_neighbors
        self.at = at

    def measurements(self, reading):
        return [measurements.Isolation(self.n_neighbors, reading.layer, self.at)]

    def scores(self, values):
        return stages(values["isolation"], self.at).mean(1)


class InputIsolation(Kind):
    """Mean Euclidean distance of a row to its nearest other rows, as the network reads them.

    What no training is needed for: the baseline of all other kinds. The same for every encoder.

    Parameters
    ----------
    n_neighbors : int, default=5
        At least 1; all other rows where there are fewer.
    """

    def __init__(self, n_neighbors=5):
        self.n_neighbors = n_neighbors

    def measurements(self, reading):
        return [measurements.InputIsolation(self.n_neighbors)]

    def scores(self, values):
        return values["input_isolation"]


class DepthIsolation(Kind):
    """Isolation at every depth: in the input, in hidden layers and in the output.

    The mean over depths of the standardised ranks of a row's distance to its nearest other rows. Ours.

    Parameters
    ----------
    n_depths : int, default=3
        Most hidden layers, evenly spaced; at least 1.
    n_neighbors : int, default=5
        At least 1; all other rows where there are fewer.
    at : tuple of float, default=(1.0,)
        Ascending fractions of the training, in (0, 1], that the distances are averaged over.

    See Also
    --------
    sslmemo.measurements.DepthIsolation : What is read.
    """

    def __init__(self, n_depths=3, n_neighbors=5, at=(1.0,)):
        self.n_depths = n_depths
        self.n_neighbors = n_neighbors
        self.at = at

    def measurements(self, reading):
        return [
            measurements.InputIsolation(self.n_neighbors),
            measurements.DepthIsolation(self.n_depths, self.n_neighbors, reading.layer, self.at),
        ]

    def scores(self, values):
        layers = stages(values["depth_isolation"], self.at).mean(1)  # (T, D, n)
        depths = np.concatenate([values["input_isolation"][:, None], layers], axis=1)
        return standardised_ranks(depths).mean(1)


class Alignment(Kind):
    """Alignment of a row under the encoder that was trained on it: the second term of m(x) alone.

    Higher = its views lie farther apart. This sign was measured: most rows that an encoder aligns badly in
    spite of having seen them are worse still when it has not. A row that it memorized outright is well
    aligned, and overlooked. The final loss of a sample is its supervised sibling.

    See Also
    --------
    sslmemo.measurements.Alignment : What is read.
    """

    def measurements(self, reading):
        return [
            measurements.Alignment(
                reading.augmentation, reading.distance, reading.n_views, layer=reading.layer,
                device=reading.device, by_view=False,
            )
        ]  # fmt: skip

    def scores(self, values):
        return values["alignment"]
