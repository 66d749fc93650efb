"""Features of a row under one encoder that published membership attacks read."""

from __future__ import annotations

import math
import numbers

import numpy as np
import torch
from torch import nn

from .._compat import check_choice, check_in_range
from ..augmentations import build_augmentation
from ..augmentations.geometry import crop, uniform
from ..augmentations.views import Views
from ..identity import describe
from ..randomness import derive_seed
from ..training.model import evaluating
from ._repr import ShortRepr
from .segmentation import feature_maps

__all__ = ["CropResponse", "ViewSimilarity"]

RATIO = (math.log(3 / 4), math.log(4 / 3))  # of width over height


class ViewSimilarity(ShortRepr):
    """Cosine similarities of all pairs of a row's views, highest first: EncoderMI's features.

    Parameters
    ----------
    augmentation : str or callable, default="auto"
        As `MemorizationEstimator` takes it. EncoderMI's strongest attack knows that of the training.
    n_views : int, default=10
        Views a row, whose n_views (n_views - 1) / 2 pairs are compared; from 2 to 64.
    n_quantiles : int, default=None
        Keep as many evenly spaced quantiles in place of all similarities; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is compared.
    device : str, default="cpu"
        Where views are drawn.

    Notes
    -----
    The array is ``"view_similarity"``, (k, n, n_pairs) or (k, n, n_quantiles), descending, in [-1, 1]. Views
    are other ones than those of the alignment.

    References
    ----------
    Liu et al., EncoderMI: membership inference against pre-trained encoders in contrastive learning, CCS
    2021 (arXiv:2108.11023).
    """

    name = "view_similarity"
    at = (1.0,)

    def __init__(self, augmentation="auto", n_views=10, n_quantiles=None, layer="encoder",
                 device="cpu"):  # fmt: skip
        check_in_range("n_views", n_views, numbers.Integral, 2, 64)
        if n_quantiles is not None:
            check_in_range("n_quantiles", n_quantiles, numbers.Integral, 2)
        self.augmentation, self.n_views, self.n_quantiles = augmentation, int(n_views), n_quantiles
        self.layer, self.device = layer, device

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "augmentation": describe(self.augmentation),
            "n_views": self.n_views,
            "n_quantiles": self.n_quantiles,
            "layer": self.layer,
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        pairs = self.n_views * (self.n_views - 1) // 2
        found = np.empty((len(models), len(data), self.n_quantiles or pairs), np.float32)
        drawn, own = (
            Views(build_augmentation(self.augmentation, data)),
            derive_seed(seed, "similarity"),
        )
        for index, views in drawn.of_rows(data, self.n_views, own, self.device):
            for j, model in enumerate(models):
                z = model.embed(views.flatten(0, 1), self.layer).unflatten(0, views.shape[:2])
                found[j, index] = self._kept(sorted_similarities(z)).cpu().numpy()
        return {self.name: found}

    def _kept(self, similarities):
        """All similarities (b, n_pairs), or their quantiles."""
        if self.n_quantiles is None:
            return similarities
        levels = torch.linspace(1, 0, self.n_quantiles, device=similarities.device)
        return similarities.quantile(levels, dim=1).T


class CropResponse(ShortRepr):
    """How parts of an image respond to the whole of it: PartCrop's features.

    Boxes of a small share of an image are cut out, brought to its size and embedded. With ``against="map"``
    the response of a crop is the softmax over the places of the image's feature map of the inner product
    of the crop's mean feature with the place's; kept are the crops' Kullback-Leibler divergences of the
    uniform and of a normal-shaped distribution from it, each sorted. With ``against="image"``, for encoders
    without a map, it is the cosine similarity of the crop's representation with the image's, sorted.

    Parameters
    ----------
    n_crops : int, default=32
        Crops of each image; at least 1 (PartCrop: 128).
    scale : tuple of float, default=(0.08, 0.2)
        Smallest and largest share of the image's area, in (0, 1].
    against : {"image", "map"}, default="image"
        What responds. ``"map"`` needs an encoder with feature maps, see
        `sslmemo.measurements.segmentation.feature_maps`; the last of them is read.
    device : str, default="cpu"
        Where crops are drawn.

    Notes
    -----
    The array is ``"crop_response"``, (k, n, n_crops), in [-1, 1], or (k, n, 2 n_crops) with a map; each part
    descending. PartCrop's normal-shaped distribution is drawn anew for each crop: the density at as many
    sorted normal draws as there are places, normalised. Ours takes their quantiles: no randomness.

    References
    ----------
    Zhu et al., A unified membership inference method for visual self-supervised encoder via part-aware
    capability, CCS 2024 (arXiv:2404.02462).
    """

    name = "crop_response"
    at = (1.0,)

    def __init__(self, n_crops=32, scale=(0.08, 0.2), against="image", device="cpu"):
        check_in_range("n_crops", n_crops, numbers.Integral, 1)
        check_choice("against", against, ("image", "map"))
        for share in scale:
            check_in_range("scale", share, numbers.Real, 0, 1, open_low=True)
        if len(scale) != 2 or scale[0] > scale[1]:
            raise ValueError(f"scale must be the smallest and the largest share, got {scale!r}.")
        self.n_crops, self.scale = int(n_crops), tuple(map(float, scale))
        self.against, self.device = against, device
        self.views = Views(self._cut)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "n_crops": self.n_crops,
            "scale": list(self.scale),
            "against": self.against,
        }

    def observer(self, k, n):
        """Nothing is watched during training."""

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        if len(data.shape) != 3:
            raise ValueError(f"CropResponse cuts images (c, h, w), got rows of shape {data.shape}.")
        width = self.n_crops * (2 if self.against == "map" else 1)
        found = np.empty((len(models), len(data), width), np.float32)
        own = derive_seed(seed, "crops")
        for index, crops in self.views.of_rows(data, self.n_crops, own, self.device):
            images = data.rows(index, self.device)
            for j, model in enumerate(models):
                found[j, index] = self._responses(model, images, crops).cpu().numpy()
        return {self.name: found}

    def _cut(self, x):
        """One random crop of every image, brought to its size: (b, c, h, w) -> (b, c, h, w)."""
        b, device = len(x), x.device
        area, ratio = uniform(b, *self.scale, device), uniform(b, *RATIO, device).exp()
        width, height = (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)
        left = uniform(b, 0.0, 1.0, device) * (1 - width)
        top = uniform(b, 0.0, 1.0, device) * (1 - height)
        return crop(x, left, top, width, height, torch.ones(b, device=device))

    def _responses(self, model, images, crops):
        """Images (b, c, h, w) and crops (m, b, c, h, w) to features (b, width)."""
        if self.against == "image":
            whole = nn.functional.normalize(model.embed(images), dim=-1)  # (b, d)
            parts = nn.functional.normalize(model.embed(crops.flatten(0, 1)), dim=-1)
            parts = parts.unflatten(0, crops.shape[:2])  # (m, b, d)
            return (parts * whole).sum(-1).T.sort(1, descending=True).values
        encoder = model.module.encoder
        with evaluating(encoder):
            whole = feature_maps(encoder, images)[-1].flatten(2).float()  # (b, d, places)
            parts = feature_maps(encoder, crops.flatten(0, 1))[-1].flatten(2).float().mean(2)
        return crop_energies(whole, parts.unflatten(0, crops.shape[:2]).transpose(0, 1))


def sorted_similarities(z):
    """Cosine similarities of all pairs of a row's views, highest first.

    Parameters
    ----------
    z : tensor of shape (V, b, d)
        Representations of the views.

    Returns
    -------
    tensor of shape (b, V (V - 1) / 2)
    """
    unit = nn.functional.normalize(z, dim=-1).transpose(0, 1)  # (b, V, d)
    first, second = torch.triu_indices(len(z), len(z), 1, device=z.device)
    return (unit @ unit.mT)[:, first, second].sort(1, descending=True).values


def crop_energies(whole, parts):
    """Divergences of the uniform and of a normal-shaped distribution from the responses, each sorted.

    Parameters
    ----------
    whole : tensor of shape (b, d, places)
        Feature maps of the images.
    parts : tensor of shape (b, m, d)
        Mean features of their crops.

    Returns
    -------
    tensor of shape (b, 2 m)
    """
    log_response = (parts @ whole).log_softmax(2)  # (b, m, places)
    places = whole.shape[2]
    middle = (torch.arange(places, dtype=torch.float64) + 0.5) / places
    normal = torch.exp(-torch.special.ndtri(middle).square() / 2)
    energies = [
        (p * (p.log() - log_response)).sum(2).sort(1, descending=True).values
        for p in (
            torch.full_like(log_response[0, 0], 1 / places),
            (normal / normal.sum()).to(whole),
        )
    ]
    return torch.cat(energies, 1)
