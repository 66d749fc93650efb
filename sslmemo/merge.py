"""Two runs of the same data and recipe as one."""

from __future__ import annotations

import numpy as np

from .plans import Plan
from .pool import Run

__all__ = ["merge_runs"]


def merge_runs(a, b):
    """Pool the blocks of two runs.

    Parameters
    ----------
    a, b : Run
        Of the same data, trainer and measurements, without a common block. Shards of one plan keep
        its block names; where names collide, those of `b` are shifted.

    Returns
    -------
    Run
        Arrays and models that both runs have; design and configuration are those of `a`.

    Raises
    ------
    ValueError
        The data, trainer, measurements, roles or groups differ, one run alone has a contrast, or a
        block (known by its seed) is in both.
    """
    for part in ("data", "trainer", "measurements"):
        if a.config.get(part) != b.config.get(part):
            raise ValueError(f"the runs differ in their {part}, so their blocks can't be pooled.")
    for name in ("roles", "groups"):
        if not _same(getattr(a.plan, name), getattr(b.plan, name)):
            raise ValueError(f"the runs differ in their {name}, so their blocks can't be pooled.")
    if np.intersect1d(a.plan.seed, b.plan.seed).size:
        raise ValueError(
            "a block is in both runs (the same seed), and would count twice: use disjoint shards, "
            "or another random_state."
        )
    if (a.plan.contrast is None) != (b.plan.contrast is None):
        raise ValueError("the runs differ in which encoders count as f and as g.")
    collide = np.intersect1d(a.plan.blocks, b.plan.blocks).size > 0
    shift = int(a.plan.blocks.max()) + 1 if collide else 0
    block = np.concatenate([a.plan.block, b.plan.block + shift])
    encoders = np.argsort(block, kind="stable")
    blocks = np.argsort(np.concatenate([a.plan.blocks, b.plan.blocks + shift]), kind="stable")

    def joined(x, y, order):
        return None if x is None or y is None else np.concatenate([x, y])[order]

    plan = Plan(
        joined(a.plan.member, b.plan.member, encoders),
        block[encoders],
        joined(a.plan.seed, b.plan.seed, blocks),
        joined(a.plan.contrast, b.plan.contrast, encoders),
        a.plan.roles,
        a.plan.groups,
        a.plan.design,
    )
    common = a.values.keys() & b.values.keys()
    models = None
    if a.models is not None and b.models is not None:
        models = [[*a.models, *b.models][i] for i in encoders]
    return Run(
        plan,
        {k: joined(v, b.values[k], encoders) for k, v in a.values.items() if k in common},
        a.config,
        joined(a.seconds, b.seconds, blocks),
        {**a.failures, **{k + shift: reason for k, reason in b.failures.items()}},
        models,
    )


def _same(x, y):
    return (x is None and y is None) or np.array_equal(x, y)
