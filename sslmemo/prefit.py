"""memorization_scores: the same numbers for encoders that are trained already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from ._compat import check_flag, shown
from .augmentations import build_augmentation
from .augmentations.views import Views
from .data import as_data
from .designs import Explicit
from .encoder import SSLEncoder
from .estimates import configured
from .measurements import Alignment
from .pool import run
from .randomness import entropy_of, usual_torch
from .result import MemorizationResult
from .training.prefit import PrefitTrainer

__all__ = ["memorization_scores"]


@usual_torch()
def memorization_scores(in_encoders, out_encoders, X, *, augmentation="auto", distance="euclidean",
                        n_views=8, anchor="view", normalize=None, estimate="difference",
                        channels="first", image_shape=None, random_state=None, verbose=0):  # fmt: skip
    """Memorization of rows by encoders that are trained already.

    Parameters
    ----------
    in_encoders : callable, SSLEncoder, or sequence of them
        The f: trained on all rows of X. Each maps a float32 tensor of views (b, *shape) on the CPU
        to embeddings (b, d), as a torch module in eval mode does; a module is put into eval mode
        and back. A fitted `SSLEncoder` reads the columns of a table standardised as in its fit.
    out_encoders : callable, SSLEncoder, or sequence of them
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
        A side is empty or not callable; an encoder returns anything but finite embeddings (b, d),
        draws, or embeds a row differently beside others; or a parameter is wrong or does not suit X.

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
    check_flag("verbose", verbose, levels=True)
    inside, outside = _listed("in_encoders", in_encoders), _listed("out_encoders", out_encoders)
    data = as_data(
        X, channels=channels, image_shape=image_shape, unit_range=isinstance(augmentation, str)
    )
    inside, outside = ([(n, _reading(e, data.layout)) for n, e in s] for s in (inside, outside))
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
    names, encoders = zip(*encoders, strict=True)
    trainer = PrefitTrainer(encoders, plan, names)
    trainer.check(data)
    return MemorizationResult(run(plan, trainer, [measure], data, verbose=verbose), estimate)


def _listed(name, encoders):
    """An encoder or a sequence of them, as (name, encoder); anything else is a TypeError."""
    single = isinstance(encoders, (str, bytes, Mapping, torch.nn.ModuleDict))
    single = single or not np.iterable(encoders)
    if single or (_reads(encoders) and not isinstance(encoders, torch.nn.ModuleList)):
        encoders = [encoders]
    encoders = list(encoders)
    if not encoders:
        raise ValueError(f"{name} is empty: at least one encoder is needed on each side.")
    for encoder in encoders:
        if not _reads(encoder):
            raise TypeError(
                f"{name} must be callables that map a batch of views to embeddings, "
                f"got {shown(encoder)}{_mend(encoder)}."
            )
    return [(f"{name}[{i}] ({type(e).__name__})", e) for i, e in enumerate(encoders)]


def _reads(encoder):
    if isinstance(encoder, (torch.nn.ModuleList, torch.nn.ModuleDict, type)):
        return False
    return callable(encoder) or isinstance(encoder, SSLEncoder)


def _mend(encoder):
    if isinstance(encoder, (Mapping, torch.nn.ModuleDict)):
        return ": pass list(encoders.values())"
    if isinstance(encoder, type):
        return ": pass an object of that class"
    if hasattr(encoder, "encoder_"):
        return ": pass its encoder_"
    if hasattr(encoder, "transform"):
        return ": wrap it, lambda x: encoder.transform(x.flatten(1).numpy())"
    return ""


def _reading(encoder, layout):
    """The encoder as a callable of views whose table columns are standardised by `layout`."""
    if not isinstance(encoder, SSLEncoder):
        return encoder
    check_is_fitted(encoder)
    own = encoder.layout_
    if own.shape != layout.shape:
        raise ValueError(
            f"an SSLEncoder was fitted on rows of shape {own.shape}, but X has rows of shape "
            f"{layout.shape}."
        )
    if own.center is None:
        return lambda x: encoder.model_.embed(x, encoder.layer)
    factor = torch.from_numpy((layout.scale / own.scale).astype(np.float32))
    shift = torch.from_numpy(((layout.center - own.center) / own.scale).astype(np.float32))
    return lambda x: encoder.model_.embed(x * factor + shift, encoder.layer)
