"""Segmentation: a per-pixel linear probe on a convolutional encoder's feature maps."""

from __future__ import annotations

import numbers

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from .._compat import check_in_range
from ..randomness import generator
from ..training.model import evaluating

__all__ = ["SegmentationProbe", "feature_maps", "image_iou"]


class SegmentationProbe(BaseEstimator):
    """Evaluator that labels every pixel from the encoder's feature maps, which stay frozen.

    For ``downstream=`` of the experiments, with masks as targets: y of shape (n, h, w), ints. Its
    outcome of an image is the intersection over union, averaged over the labels that the image or its
    prediction holds. A pixel's features are its values in the maps of all resolutions (hypercolumns).

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the L2 penalty of the per-pixel logistic regression; above 0.
    max_pixels : int, default=20000
        Pixels that it is fitted on, drawn at random from all images; at least 2.

    References
    ----------
    Hariharan et al., Hypercolumns for object segmentation and fine-grained localization, CVPR 2015
    (arXiv:1411.5752).
    """

    metric = "iou"

    def __init__(self, C=1.0, max_pixels=20_000):
        self.C = C
        self.max_pixels = max_pixels

    def outcome(self, model, fit_rows, y_fit, test_rows, y_test, *, layer="encoder", seed=0):
        """Fit on some images' pixels, and compare predicted with true masks of the others.

        Parameters
        ----------
        model : TorchModel
            Whose encoder has feature maps, see `feature_maps`.
        fit_rows : Data
            Images.
        y_fit : ndarray of int, shape (n_fit, h, w)
            Their masks, of the images' size.
        test_rows : Data
            Held-out images.
        y_test : ndarray of int, shape (n_test, h, w)
            Their masks.
        layer : {"encoder"}, default="encoder"
            Projectors have no feature maps.
        seed : int, default=0
            Of the pixels drawn.

        Returns
        -------
        ndarray of float32, shape (n_test,)
            In [0, 1].

        Raises
        ------
        TypeError, ValueError
            Masks have another shape than images, the encoder has no feature maps, or a parameter is out
            of its range.
        """
        check_in_range("C", self.C, numbers.Real, 0, open_low=True)
        check_in_range("max_pixels", self.max_pixels, numbers.Integral, 2)
        if layer != "encoder":
            raise ValueError(f"SegmentationProbe reads layer='encoder', got {layer!r}.")
        size = fit_rows.shape[1:]
        for name, masks in (("y_fit", y_fit), ("y_test", y_test)):
            if masks.shape[1:] != size:
                raise ValueError(
                    f"{name} has masks of shape {masks.shape[1:]} for images of {size}."
                )
        encoder = model.module.encoder
        rng = generator(seed, "pixels")
        share = min(1.0, self.max_pixels / y_fit.size)
        pixels, labels = [], []
        for index in fit_rows.chunks(256):
            z = _pixels(encoder, fit_rows.rows(index, model.device))
            drawn = rng.random(z.shape[:3]) < share
            pixels.append(z[drawn])
            labels.append(y_fit[index][drawn])
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=1000))
        probe.fit(np.concatenate(pixels), np.concatenate(labels))
        found = np.empty(len(y_test), np.float32)
        for index in test_rows.chunks(256):
            z = _pixels(encoder, test_rows.rows(index, model.device))
            said = probe.predict(z.reshape(-1, z.shape[3])).reshape(z.shape[:3])
            found[index] = [image_iou(a, b) for a, b in zip(said, y_test[index], strict=True)]
        return found


def feature_maps(encoder, x):
    """Feature maps of a convolutional encoder, one for every resolution.

    Parameters
    ----------
    encoder : torch.nn.Module
        An `nn.Sequential` that ends in ``AdaptiveAvgPool2d(1), Flatten()``, as ``"convnet"`` and the
        residual networks do; or any module with a method ``feature_maps(x)`` that returns such a list.
    x : tensor of shape (b, c, h, w)
        Images.

    Returns
    -------
    list of tensor of shape (b, d, h', w')
        The last map before the resolution falls, each time, and the last of all.

    Raises
    ------
    ValueError
        The encoder is neither.
    """
    if hasattr(encoder, "feature_maps"):
        return encoder.feature_maps(x)
    ends = (nn.AdaptiveAvgPool2d, nn.Flatten)
    if not (
        isinstance(encoder, nn.Sequential)
        and len(encoder) > 2
        and all(isinstance(m, end) for m, end in zip(encoder[-2:], ends, strict=True))
    ):
        raise ValueError(
            f"{type(encoder).__name__} has no feature map: use encoder='convnet' or a residual network, "
            "or give your module a method feature_maps(x)."
        )
    maps = [x]
    for module in encoder[:-2]:
        z = module(maps[-1])
        maps[-1 if z.shape[2:] == maps[-1].shape[2:] else len(maps) :] = [z]
    return maps


def image_iou(predicted, true):
    """Intersection over union of two masks, averaged over the labels that either holds.

    Parameters
    ----------
    predicted, true : ndarray of int, shape (h, w)
        Masks.

    Returns
    -------
    float
        In [0, 1].
    """
    labels = np.union1d(predicted, true)
    both = [((predicted == c) & (true == c)).sum() / ((predicted == c) | (true == c)).sum()
            for c in labels]  # fmt: skip
    return float(np.mean(both))


def _pixels(encoder, x):
    """Features of every pixel, each map brought to the image's size: ndarray (b, h, w, d)."""
    with evaluating(encoder):
        maps = [
            nn.functional.interpolate(z, x.shape[2:], mode="bilinear", align_corners=False)
            for z in feature_maps(encoder, x)
        ]
    return torch.cat(maps, 1).permute(0, 2, 3, 1).cpu().numpy()
