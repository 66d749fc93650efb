"""What a fit will cost, told before it is spent; and how many blocks a reliability needs."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, replace

import numpy as np

from .estimates.reliability import blocks_for
from .pool import run

__all__ = ["Cost", "PilotPlan", "measure_cost", "pilot_plan"]


@dataclass(frozen=True)
class Cost:
    """Predicted cost of a fit.

    Attributes
    ----------
    seconds : float
        Wall-clock time of the whole fit, with the encoder that is trained on all rows.
    seconds_per_encoder : float
        Training and measuring one encoder, while `n_jobs` of them run.
    memory : float
        Bytes of the measured matrices and the rows, in the parent process; weights that are kept
        come on top.
    n_encoders, n_blocks : int
        Size of the plan.
    n_jobs : int
        Processes, at most one a block.
    """

    seconds: float
    seconds_per_encoder: float
    memory: float
    n_encoders: int
    n_blocks: int
    n_jobs: int

    def __str__(self):
        return (
            f"{self.n_encoders} encoders in {self.n_blocks} block{'s' * (self.n_blocks != 1)} on "
            f"{self.n_jobs} process{'es' * (self.n_jobs != 1)}: "
            f"about {_duration(self.seconds)} ({self.seconds_per_encoder:.2f} s an encoder), "
            f"{self.memory / 2**20:.0f} MiB of results and rows"
        )


@dataclass(frozen=True)
class PilotPlan:
    """How many blocks a wanted reliability needs, from a pilot.

    Attributes
    ----------
    reliability : float
        Wanted, in (0, 1).
    n_blocks, n_encoders : int
        Needed, at least two blocks; 0 where the pilot shows no signal at all.
    n_encoders_low, n_encoders_high : float
        95% interval of the number of encoders; inf where the pilot can't exclude that there is no
        signal.
    seconds : float
        Time of that fit's pool, at the pilot's speed; the encoder of all rows comes on top.
    pilot : MemorizationResult
        The pilot's own result.
    """

    reliability: float
    n_blocks: int | None
    n_encoders: int | None
    n_encoders_low: float
    n_encoders_high: float
    seconds: float
    pilot: object

    def __str__(self):
        if self.n_blocks is None:
            return "the pilot shows no true spread of scores: no number of encoders can be named"
        return (
            f"reliability {self.reliability}: about {self.n_encoders} encoders "
            f"[{self.n_encoders_low:.0f}, {self.n_encoders_high:.0f}] in {self.n_blocks} blocks, "
            f"{_duration(self.seconds)}"
        )


def measure_cost(plan, trainer, measurements, data, n_jobs):
    """Predict time and memory by short runs of the plan's own kind.

    They train one encoder a process through the pool, so that processes that slow each other
    down do so here too; the last one has more steps, and the difference is the cost of a step.

    Parameters
    ----------
    plan : Plan
        Of the whole fit.
    trainer : SSLTrainer
        Its `steps` are lowered on a copy.
    measurements : sequence of Measurement
        What is read from the encoders.
    data : Data
        The rows.
    n_jobs : int or None
        Blocks at once, by joblib.

    Returns
    -------
    Cost
        In seconds and bytes.
    """
    from joblib import effective_n_jobs

    jobs = min(effective_n_jobs(n_jobs), len(plan.seed))
    first = [plan.encoders_of(b)[0] for b in plan.blocks[:jobs]]
    trial = replace(
        plan,
        member=plan.member[first],
        block=np.arange(jobs),
        seed=plan.seed[:jobs],
        contrast=None,
    )
    few, many = min(trainer.steps, 6), min(trainer.steps, 36)
    took = []
    for steps in (few, few, many):  # the first run also starts the processes
        short = copy.copy(trainer)
        short.steps = steps
        started = time.monotonic()
        short_run = run(trial, short, measurements, data, n_jobs=n_jobs)
        took.append((time.monotonic() - started, float(np.mean(short_run.seconds))))
    overhead = max(0.0, took[0][0] - took[1][0])
    short, long = took[1][1], took[2][1]
    per_step = max(0.0, long - short) / (many - few) if many > few else 0.0
    per_encoder = short + per_step * (trainer.steps - few)
    size = plan.n_encoders / len(plan.seed)
    rounds = math.ceil(len(plan.seed) / jobs)
    # the encoder that transform uses is trained on all rows, afterwards, alone
    whole = per_encoder * plan.n_samples / float(plan.train_sizes.mean())
    record = sum(v.nbytes for v in short_run.values.values()) / jobs
    return Cost(
        seconds=overhead + rounds * size * per_encoder + whole,
        seconds_per_encoder=per_encoder,
        memory=record * plan.n_encoders + data.n_bytes,
        n_encoders=plan.n_encoders,
        n_blocks=len(plan.seed),
        n_jobs=jobs,
    )


def pilot_plan(result, reliability, n_jobs):
    """Plan how many blocks give a reliability, from a pilot's result.

    Parameters
    ----------
    result : MemorizationResult
        Of the pilot.
    reliability : float
        Wanted, in (0, 1).
    n_jobs : int or None
        Blocks at once in the later fit, by joblib.

    Returns
    -------
    PilotPlan
        Of blocks as large as the pilot's.

    Raises
    ------
    ValueError
        `reliability` lies outside (0, 1).
    """
    from joblib import effective_n_jobs

    blocks = blocks_for(reliability, result.scores.blocks)
    plan = result.run.plan
    size = plan.n_encoders // len(plan.seed)
    usable = math.isfinite(blocks.value)
    n_blocks = max(2, math.ceil(blocks.value)) if usable else None
    rounds = math.ceil(n_blocks / effective_n_jobs(n_jobs)) if usable else np.nan
    return PilotPlan(
        reliability=reliability,
        n_blocks=n_blocks,
        n_encoders=n_blocks * size if usable else None,
        n_encoders_low=max(2.0, blocks.low) * size,
        n_encoders_high=blocks.high * size,
        seconds=rounds * float(np.nanmean(result.run.seconds)),
        pilot=result,
    )


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
