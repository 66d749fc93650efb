"""The one-model deja vu test: classifiers stand beside the encoders as their references."""

from __future__ import annotations

import numpy as np

from ..plans import Plan
from ..pool import Run

__all__ = ["beside", "check_outside"]


def check_outside(plan, known):
    """Refuse a plan whose encoders leave the classifiers nothing to be fitted to."""
    full = plan.member[:, known].all(1)
    if full.any():
        raise ValueError(
            f"reference='classifier' is fitted to rows that a target was not trained on, and encoder "
            f"{np.flatnonzero(full)[0]} is trained on all that have a background: make some public."
        )


def beside(done, classified, known):
    """Run whose targets are the encoders, and whose references are the classifiers beside them.

    A classifier has not seen the rows of its target: it is the reference for these.
    """
    plan = done.plan
    unseen = np.ones(plan.member.shape, bool)
    unseen[:, known] = classified.plan.member
    order = np.argsort(np.concatenate([plan.block, plan.block]), kind="stable")
    target = plan.as_f.astype(np.int8)
    values = {}
    for name in ("deja_vu", "deja_vu_share", "deja_vu_entropy"):
        # of a classifier the entropy is that of its target, which says on what rows it is asked
        own = done.values[name].copy()
        if name in classified.values:
            own = np.full(plan.member.shape, np.nan, np.float32)
            own[:, known] = classified.values[name]
        values[name] = np.concatenate([done.values[name], own])[order]
    both = Plan(
        np.concatenate([plan.member, unseen])[order],
        np.repeat(plan.block, 2),
        plan.seed,
        np.concatenate([-target, target])[order],
        design=plan.design,
        nominal=plan.sizes,
    )
    config = {**done.config, "reference": classified.config}
    return Run(
        both,
        values,
        config,
        done.seconds + classified.seconds,
        {**classified.failures, **done.failures},
    )
