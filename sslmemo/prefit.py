"""memorization_scores: the same numbers for encoders that are trained already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .augmentations import build_augmentation
from .augmentations.views import Views
from .data import as_data
from .designs import Explicit
from .estimates import configured
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
        The f: trained on all rows of X. Each maps a float32 tensor of views (b, *shape) on the CPU
        to embeddings (b, d), as a torch module in eval mode does; a module is put into eval mode
        and back.
    out_encoders : callable or sequence of callables
        The g: trained on no row of X. As many as `in_encoders`: f and g number k are a pair, a
        block that reads the same views (they may share initialisation and their other training
        rows). Otherwise all encoders are taken as independent.
    X : array-like of shape (n_samples, n_features), (n, c, h, w) or (n, h, w, c), or dataset
        Rows, at least 2, as in `MemorizationEstimator.fit`. Encoders read images channels first,
        uint8 divided by 255, and a table's columns standardised by the statistics of X.
    augmentation : str or callable, default="auto"
        As in `MemorizationEstimator`: use the one that the encoders were trained with.
    distance : str or callable, default="euclidean"
        As in `MemorizationEstimator`; scores have its unit.
    n_views : int, default=8
        Views a row, of which all pairs are used; at least 2, or 1 with ``anchor="clean"``.
    anchor : {"view", "clean"}, default="view"
        ``"clean"`` compares each view with the row itself.
    normalize : {None, "encoder", "relative", "range"}, default=None
        As in `MemorizationEstimator`; not used when `estimate` is an object.
    estimate : str or estimate, default="difference"
        Name in, or object of, `sslmemo.estimates`. An object goes by `normalize` and `anchor` of
        its own: give it the `anchor` given here.
    channels : {"first", "last"}, default="first"
        Where an image of X has its channels; never guessed.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images.
    random_state : int, RandomState instance or None, default=None
        Of the views.
    verbose : int, default=0
        1 shows a progress bar over the encoders, 0 nothing.

    Returns
    -------
    MemorizationResult
        Standard errors are over pairs, or over the encoders of each side if these differ in number;
        NaN with one pair, or one encoder on a side.

    Raises
    ------
    TypeError, ValueError
        A side is empty or not callable, an encoder returns anything but finite embeddings (b, d),
        or a parameter is wrong or does not suit X.

    See Also
    --------
    MemorizationEstimator : Trains the encoders too.

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
    estimate = configured(estimate, normalize, anchor)
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
    plan = replace(plan, design="prefit")
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
                f"{name} must be callables that map a batch of views to embeddings, "
                f"got {encoder!r}."
            )
    return encoders
