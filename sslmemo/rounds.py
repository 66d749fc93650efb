"""A plan trained in rounds of whole blocks, until a rule is certain enough.

Every round trains the plan's first blocks up to the rule's next look. So the blocks of a stopped
fit, and its scores, are those of a fit with that many encoders.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

import numpy as np

from .merge import merge_runs
from .stopping import first_scores

__all__ = ["run_in_rounds"]


def run_in_rounds(plan, train, rule, estimate, earlier=None, max_time=None):
    """Train a plan until a rule stops it.

    Parameters
    ----------
    plan : Plan
        Of the largest pool.
    train : callable
        ``train(plan, max_time)`` returns the Run of a plan, and trains what it did not train
        before; after `max_time` it warns and returns fewer blocks.
    rule : rule or None
        See `sslmemo.stopping`. None trains the whole plan in one round.
    estimate : estimate
        Of the fit; the rule reads its unbiased form, see `first_scores`.
    earlier : Run, default=None
        Blocks that need no training; they are kept even if no look asks for them.
    max_time : float, default=None
        Seconds for all rounds.

    Returns
    -------
    Run
        Of all blocks trained and earlier. With a rule ``config["stopped"]`` holds its repr and
        its key, where it has one; the looks that were taken and planned (numbers of blocks), the
        number of blocks, and why the run ended there.

    Raises
    ------
    ValueError
        The rule does not suit the plan; before any training.

    Warns
    -----
    UserWarning
        Time ran out first.
    """
    if rule is None:
        return _noted(_extended(plan, train, earlier, max_time), None)
    schedule = [int(k) for k in rule.schedule(plan)]
    started, done, looks, said = time.monotonic(), earlier, [], []
    for n_blocks in schedule:
        wanted = plan.take(plan.blocks[:n_blocks])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "max_time=")  # it would tell of the round alone
            done = _extended(wanted, train, earlier, _time_left(max_time, started, done))
        if _n_done(wanted, done) < n_blocks:
            warnings.warn(
                f"max_time={max_time} s: {_n_done(plan, done)} of {len(plan.seed)} blocks were "
                "trained.",
                stacklevel=3,
            )
            said = ["max_time", *said]
            break
        looks.append(first_scores(done, n_blocks, estimate))
        stop, text = rule(looks, tuple(schedule))
        said = [text]
        if stop:
            break
    n, most = len(done.plan.seed), len(plan.seed)
    note = {
        "rule": repr(rule),
        "key": getattr(rule, "key", lambda: None)(),
        "looks": schedule[: len(looks)],
        "schedule": schedule,
        "n_blocks": n,
        "why": f"{f'after {n} of at most' if n < most else 'after all'} {most} blocks: "
        + "; ".join(said),
    }
    return _noted(done, note)


def _extended(plan, train, earlier, max_time):
    """Run of a plan and of what was trained earlier, which is not trained again."""
    if earlier is not None:
        plan = plan.take(np.setdiff1d(plan.blocks, earlier.plan.blocks))
    if not len(plan.seed):
        return earlier
    new = train(plan, max_time)
    return new if earlier is None else merge_runs(earlier, new)


def _time_left(max_time, started, done):
    """Seconds for the next round: none where a block would, by the time those so far took, end later."""
    if max_time is None or done is None:
        return max_time
    left = max_time - (time.monotonic() - started)
    return left if left > np.nanmedian(done.seconds) else 0.0


def _n_done(plan, run):
    return int(np.isin(plan.blocks, run.plan.blocks).sum())


def _noted(run, note):
    """The run with a note of what stopped it; an earlier fit's is dropped."""
    if note is None and "stopped" not in run.config:
        return run
    config = {k: v for k, v in run.config.items() if k != "stopped"}
    return replace(run, config=config if note is None else {**config, "stopped": note})
