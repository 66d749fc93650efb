"""Deja vu: does the background alone of a row lead an encoder to the row's label?

Backgrounds are cut out of images, resized to the whole, and asked for the labels of their nearest
public rows in representation space.
"""

from __future__ import annotations

import numbers

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from .._compat import check_choice, check_in_range
from ..data import Data, Layout
from ..identity import key_of
from ..protocols import TrainingError
from ._repr import ShortRepr
from .downstream import represent

__all__ = ["DejaVu", "backgrounds", "beside_box", "corner_box", "neighbour_vote"]

CORNERS = ("upper left", "upper right", "lower left", "lower right")


class DejaVu(ShortRepr):
    """Vote of the public rows nearest to a row's background, for every encoder of a pool.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Labels of the pool's rows, as numbers from 0.
    asked : ndarray of int, shape (m,)
        Rows of the pool whose backgrounds are asked; the others get NaN.
    crops : Data
        Backgrounds of `asked`, see `backgrounds`.
    public : Data
        Rows, whole, that no encoder is trained on.
    y_public : ndarray of int, shape (n_public,)
        Their labels.
    n_neighbors : int, default=100
        Voters; all public rows where there are fewer.
    layer : {"encoder", "projector"}, default="projector"
        Whose output is compared.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance of representations.

    Notes
    -----
    The arrays are (k, n) and, as an alignment is, lower for a row that is known better:
    ``"deja_vu"``, 0 where the vote is the row's label, else 1; ``"deja_vu_share"``, the share of
    voters with another label; and ``"deja_vu_entropy"``, the entropy of the voters' labels in nats,
    whose negative is the paper's confidence.

    References
    ----------
    Meehan et al., Do SSL models have deja vu? A case of unintended memorization in self-supervised
    learning, NeurIPS 2023 (arXiv:2304.13850), section 4.
    """

    name = "deja_vu"
    at = (1.0,)

    def __init__(self, y, asked, crops, public, y_public, n_neighbors=100, layer="projector",
                 metric="euclidean"):  # fmt: skip
        check_in_range("n_neighbors", n_neighbors, numbers.Integral, 1)
        check_choice("layer", layer, ("encoder", "projector"))
        check_choice("metric", metric, ("euclidean", "cosine"))
        self.y, self.asked, self.crops = np.asarray(y), np.asarray(asked), crops
        self.public, self.y_public = public, np.asarray(y_public)
        self.n_neighbors, self.layer, self.metric = int(n_neighbors), layer, metric

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "labels": key_of(self.y, self.y_public),
            "asked": key_of(self.asked),
            "crops": self.crops.fingerprint(),
            "public": self.public.fingerprint(),
            "n_neighbors": self.n_neighbors,
            "layer": self.layer,
            "metric": self.metric,
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        wrong, other, entropy = np.full((3, len(models), len(data)), np.nan, np.float32)
        own = self.y[self.asked]
        n_classes = 1 + max(self.y.max(), self.y_public.max())
        for j, model in enumerate(models):
            z, z_public = (represent(model, d, self.layer) for d in (self.crops, self.public))
            if not (np.isfinite(z).all() and np.isfinite(z_public).all()):
                raise TrainingError(
                    f"an encoder of seed {seed} has representations that are not finite: its last "
                    "steps diverged (lower learning_rate), or it gives NaN for some row."
                )
            said, count, entropy[j, self.asked] = neighbour_vote(
                z, z_public, self.y_public, n_classes, self.n_neighbors, self.metric
            )
            wrong[j, self.asked] = said != own
            other[j, self.asked] = 1 - count[np.arange(len(own)), own] / count.sum(1)
        return {"deja_vu": wrong, "deja_vu_share": other, "deja_vu_entropy": entropy}


def neighbour_vote(z, z_public, y_public, n_classes, n_neighbors=100, metric="euclidean"):
    """Label that most of the nearest public representations have.

    Parameters
    ----------
    z : ndarray of float, shape (m, d)
        What is asked.
    z_public : ndarray of float, shape (n_public, d)
        Voters.
    y_public : ndarray of int, shape (n_public,)
        Their labels, from 0 to n_classes - 1.
    n_classes : int
        Number of labels.
    n_neighbors : int, default=100
        All voters where there are fewer.
    metric : str, default="euclidean"
        One of scikit-learn's.

    Returns
    -------
    label : ndarray of int, shape (m,)
        Of labels with as many voters, the one whose first voter is nearest.
    count : ndarray of int, shape (m, n_classes)
        Voters of each label.
    entropy : ndarray of float, shape (m,)
        Of the voters' labels, in nats, from 0 (all agree) to log(n_classes).
    """
    k = min(n_neighbors, len(z_public))
    search = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(z_public)
    labels = y_public[search.kneighbors(z, return_distance=False)]  # (m, k), nearest first
    count = np.zeros((len(z), n_classes), np.int64)
    first = np.full((len(z), n_classes), k)  # place of a label's nearest voter
    rows = np.arange(len(z))
    for place in reversed(range(k)):
        count[rows, labels[:, place]] += 1
        first[rows, labels[:, place]] = place
    share = count / k
    entropy = -(share * np.log(np.where(count > 0, share, 1.0))).sum(1)
    return (count * (k + 1) - first).argmax(1), count, np.abs(entropy)


def backgrounds(data, index, boxes=None, masks=None):
    """Backgrounds of images, cut out or with the object painted over, as rows of the images' size.

    Parameters
    ----------
    data : Data
        Images.
    index : ndarray of int, shape (m,)
        Which of them.
    boxes : ndarray of int, shape (m, 4), or None
        Left, top, right and bottom in pixels, the last two exclusive: what is shown. It is resized
        bilinearly, and no pixel beside it enters.
    masks : ndarray of bool, shape (m, h, w), or None
        In place of boxes: the object, which gets the mean colour of the image's other pixels (that of
        the whole image would tell of the object). Its outline can stay visible.

    Returns
    -------
    Data
        Of m rows, cut when they are read.
    """
    source = _Backgrounds(data, np.asarray(index), boxes, masks)
    return Data(source, Layout(data.shape, data.shape))


class _Backgrounds:
    """Source of a `Data`: ``source[index]`` cuts the backgrounds of some rows."""

    def __init__(self, data, index, boxes, masks):
        self.data, self.index, self.boxes, self.masks = data, index, boxes, masks

    def __len__(self):
        return len(self.index)

    def __getitem__(self, which):
        x = self.data.array(self.index[which])  # (b, c, h, w)
        if self.boxes is None:
            return _painted_over(x, self.masks[which])
        boxes, alike = np.unique(self.boxes[which], axis=0, return_inverse=True)
        found, alike = np.empty_like(x), alike.reshape(-1)
        for number, (left, top, right, bottom) in enumerate(boxes):
            same = alike == number
            part = torch.from_numpy(x[same][:, :, top:bottom, left:right])
            whole = torch.nn.functional.interpolate(
                part, x.shape[2:], mode="bilinear", align_corners=False
            )
            found[same] = whole.numpy()
        return found


def _painted_over(x, mask):
    """Images (b, c, h, w) whose masked pixels have the mean colour of their others."""
    shown = ~mask[:, None]  # (b, 1, h, w)
    mean = (x * shown).sum((2, 3), keepdims=True) / shown.sum((2, 3), keepdims=True)
    return np.where(shown, x, mean).astype(x.dtype)


def corner_box(shape, fraction=0.3, corner="lower left"):
    """Box of an image's corner: left, top, right and bottom in pixels, the last two exclusive.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w).
    fraction : float, default=0.3
        Of each side, in (0, 1]; rounded down to pixels, at least one.
    corner : str, default="lower left"
        Or ``"upper left"``, ``"upper right"``, ``"lower right"``.

    Returns
    -------
    ndarray of int, shape (4,)
    """
    h, w = shape[1:]
    # a product such as 0.3 * 10 may lie just under the whole number that it stands for
    tall, wide = (max(1, int(fraction * side + 1e-9)) for side in (h, w))
    left = 0 if corner.endswith("left") else w - wide
    top = 0 if corner.startswith("upper") else h - tall
    return np.array([left, top, left + wide, top + tall])


def beside_box(shape, objects):
    """Largest rectangle of every image beside the box of its object.

    Of the full-height strips left and right of the object and the full-width strips above and below,
    the one whose shorter side is longest; then the one of the largest area, then in that order.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w).
    objects : ndarray of int, shape (m, 4)
        Left, top, right and bottom of the objects in pixels, the last two exclusive.

    Returns
    -------
    boxes : ndarray of int, shape (m, 4)
        Likewise.
    shorter : ndarray of int, shape (m,)
        Their shorter sides in pixels; 0 where the object fills the image.
    """
    h, w = shape[1:]
    left, top, right, bottom = objects.T
    nothing, tall, wide = np.zeros_like(left), np.full_like(left, h), np.full_like(left, w)
    strips = np.stack([
        np.stack([nothing, nothing, left, tall], 1),
        np.stack([right, nothing, wide, tall], 1),
        np.stack([nothing, nothing, wide, top], 1),
        np.stack([nothing, bottom, wide, tall], 1),
    ], 1)  # (m, 4 strips, 4)  # fmt: skip
    sides = strips[:, :, 2:] - strips[:, :, :2]  # (m, 4, 2)
    rank = sides.min(2) * (h * w + 1) + sides.prod(2)
    best = rank.argmax(1)
    rows = np.arange(len(objects))
    return strips[rows, best], sides[rows, best].min(1)
