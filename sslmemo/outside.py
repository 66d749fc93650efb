"""Rows outside the pool: their alignment under kept encoders, and scores with the sides given."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from .estimates import Difference
from .plans import Plan
from .randomness import single_thread

__all__ = ["measure_outside", "pseudo_sides", "score_outside"]


def measure_outside(run, trainer, alignment, data, rows):
    """Measure rows under every kept encoder, one row at a time, so that none depends on another.

    Parameters
    ----------
    run : Run
        With its models.
    trainer : Trainer
        Restores them.
    alignment : Alignment
        What is measured, on views that the encoders of a block share.
    data : Data
        Holds the rows.
    rows : sequence of int
        Which rows.

    Returns
    -------
    dict of str to ndarray of shape (n_encoders, n_rows, ...)
        NaN for an encoder that failed.

    Raises
    ------
    ValueError
        The encoders were not kept.
    """
    if run.models is None:
        raise ValueError(
            "rows that were not trained on need the encoders: fit with keep_encoders=True."
        )
    found = {}
    for block in run.plan.blocks:
        encoders = run.plan.encoders_of(block)
        if run.models[encoders[0]] is None:
            continue
        models = [trainer.restore(run.models[t]) for t in encoders]
        with single_thread():
            for j, row in enumerate(rows):
                measured = alignment.of_one(models, data, row, run.plan.seed_of(block))
                for name, array in measured.items():
                    if name not in found:
                        size = (run.plan.n_encoders, len(rows), *array.shape[2:])
                        found[name] = np.full(size, np.nan)
                    found[name][encoders, j] = array[:, 0]
    return found


def pseudo_sides(plan, score, n_rows, rng):
    """Sides (f -1, g +1, unused 0) of random training rows, for rows that no encoder saw.

    Parameters
    ----------
    plan : Plan
        Of the pool.
    score : ndarray of shape (n_samples,)
        Only rows with a score lend their membership.
    n_rows : int
        How many sides are drawn.
    rng : numpy.random.Generator
        Which.

    Returns
    -------
    ndarray of int8, shape (n_encoders, n_rows)
    """
    like = rng.choice(np.flatnonzero(np.isfinite(score)), n_rows)
    sides = (plan.as_g.astype(np.int8) - plan.as_f)[:, like]
    if plan.design == "split":  # f and g are the same for every row: swap them by block
        swap = rng.choice(np.array([-1, 1], np.int8), (len(plan.seed), n_rows))
        sides = sides * swap[np.searchsorted(plan.blocks, plan.block)]
    return sides


def score_outside(result, values, sides):
    """Scores of rows outside the pool, on the scale of the pool's own scores.

    Parameters
    ----------
    result : MemorizationResult
        Whose estimate is used. Its normalisation is that of the training rows: an encoder's mean
        alignment, or the range of scores, is theirs.
    values : dict of str to ndarray
        As `measure_outside` returns them.
    sides : ndarray of int8, shape (n_encoders, n_rows)
        +1 where an encoder counts as g, -1 as f.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    plan, estimate, scale = result.run.plan, result.estimate, 1.0
    rows = Plan(np.ones(sides.shape, bool), plan.block, plan.seed, sides)
    if isinstance(estimate, Difference) and estimate.normalize in ("encoder", "range"):
        own = result.run.values["alignment"]
        plain = clone(estimate).set_params(normalize=None)
        if estimate.normalize == "encoder":
            mean = own.mean(1)
            values = {name: v / mean.reshape(-1, *[1] * (v.ndim - 1)) for name, v in values.items()}
        else:
            raw = plain({"alignment": own}, plan).score
            scale = np.nanmax(raw) - np.nanmin(raw)
        estimate = plain
    return estimate(values, rows).score / scale
