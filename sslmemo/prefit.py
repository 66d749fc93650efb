"""memorization_scores: the same numbers for encoders that are trained already."""

from __future__ import annotations

import numpy as np

from .augmentations import build_augmentation
from .augmentations.views import Views
from .data import as_data
from .designs import Explicit
from .estimates import get_estimate
from .measurements import Alignment
from .pool import run
from .randomness import entropy_of
from .result import MemorizationResult
from .training.prefit import PrefitTrainer

__all__ = ["memorization_scores"]


def memorization_scores(in_encoders, out_encoders, X, *, augmentation="auto", distance="euclidean",
                        n_views=8, anchor="view", normalize=None, estimate="difference",
                        channels="first", image_shape=None, random_state=None, verbose=0):  # fmt: skip
    """Memorization of rows by encoders that are trained already.

    Parameters
    ----------
    in_encoders : callable or sequence of callables
        The f: trained on all rows of X. Each maps a float32 tensor of views (b, *shape) to
        embeddings (b, d), as a torch module in eval mode does; a module is put into eval mode and
        back.
    out_encoders : callable or sequence of callables
        The g: trained on no row of X. As many as `in_encoders`: f and g number k are a pair, a
        block that reads the same views (they may share initialisation and their other training
        rows). Otherwise all encoders are taken as independent.
    X : array-like or dataset
        Rows, as in `MemorizationEstimator.fit`.
    augmentation, distance, n_views, anchor, normalize, estimate, channels, image_shape
        As in `MemorizationEstimator`. Use the augmentation that the encoders were trained with.
    random_state : int, RandomState instance or None, default=None
        Of the views.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    MemorizationResult
        Standard errors are over pairs: with one pair they are NaN.

    Examples
    --------
    >>> import torch
    >>> from sslmemo import memorization_scores
    >>> f, g = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    >>> memorization_scores(f, g, torch.randn(20, 4)).score.shape
    (20,)
    """
    inside, outside = _listed("in_encoders", in_encoders), _listed("out_encoders", out_encoders)
    data = as_data(
        X, channels=channels, image_shape=image_shape, unit_range=isinstance(augmentation, str)
    )
    augmentation = build_augmentation(augmentation, data)
    Views(augmentation).check(data)
    measure = Alignment(augmentation, distance, n_views, anchor)
    measure.check()
    if isinstance(estimate, str):
        estimate = get_estimate(estimate).set_params(normalize=normalize, anchor=anchor)
    if len(inside) == len(outside):
        encoders = [e for pair in zip(inside, outside, strict=True) for e in pair]
        side, block = np.tile([True, False], len(inside)), np.repeat(np.arange(len(inside)), 2)
    else:
        encoders = [*inside, *outside]
        side, block = np.arange(len(encoders)) < len(inside), np.arange(len(encoders))
    contrast = np.where(side, -1, 1)[:, None].repeat(len(data), axis=1)
    plan = Explicit(np.ones(contrast.shape, bool), block, contrast).draw(
        len(data), len(encoders), entropy_of(random_state)
    )
    trainer = PrefitTrainer(encoders, plan)
    trainer.check(data)
    return MemorizationResult(run(plan, trainer, [measure], data, verbose=verbose), estimate)


def _listed(name, encoders):
    """A callable or a sequence of them, as a list."""
    encoders = [encoders] if callable(encoders) else list(encoders)
    if not encoders:
        raise ValueError(f"{name} is empty: at least one encoder is needed on each side.")
    for encoder in encoders:
        if not callable(encoder):
            raise TypeError(
                f"{name} must be callables that map a batch of views to embeddings, got {encoder!r}."
            )
    return encoders
