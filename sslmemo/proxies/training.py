"""Kinds that read the course of a training: trajectory, forgetting, accumulation."""

from __future__ import annotations

import numpy as np

from .._compat import check_choice
from ..measurements import AlignmentTrajectory, InputGradient, Presentations, WeightNorm
from .base import CHECKPOINTS, Kind, stages

__all__ = ["Accumulated", "Forgetting", "Trajectory"]


class Trajectory(Kind):
    """Alignment of a row summed up over its training.

    The cumulative sample loss of Ravikumar et al. (Towards memorization estimation: fast, formal and
    free, ICML 2025), adapted to the alignment of one row.

    Parameters
    ----------
    part : {"shown", "cumulative", "late"}, default="shown"
        ``"shown"``: mean squared distance over the steps that showed the row, on the views of the
        training itself, which costs nothing; ``"cumulative"``: mean over checkpoints, on views of their
        own; ``"late"``: over the checkpoints after half of the training (the last one where there is
        none).
    at : tuple of float, default=(0.2, 0.4, 0.6, 0.8, 1.0)
        Ascending checkpoints, fractions of the training in (0, 1]; ``"shown"`` has none.
    """

    def __init__(self, part="shown", at=CHECKPOINTS):
        self.part = part
        self.at = at

    def measurements(self, reading):
        check_choice("part", self.part, ("shown", "cumulative", "late"))
        if self.part == "shown":
            return [_presentations(reading)]
        return [_trajectory(reading, self.at)]

    def scores(self, values):
        if self.part == "shown":
            return values["presented_alignment"]
        course = stages(values["alignment_trajectory"], self.at)
        late = np.atleast_1d(self.at) > 0.5
        late[-1] = True
        return course[:, late if self.part == "late" else slice(None)].mean(1)


class Forgetting(Kind):
    """How much, or how often, a row was forgotten between the steps that showed it.

    After Toneva et al. (ICLR 2019, arXiv:1812.05159), adapted to the alignment of one row. Read from the
    steps of the training itself, it costs nothing.

    Parameters
    ----------
    event : {"rise", "nearest"}, default="rise"
        ``"rise"``: the sum of what the row's squared alignment rose by from one presentation to the next;
        ``"nearest"``: their count of events, where a row is known if, of all second views in the batch,
        that of its own lies nearest to its first. One that never was known counts as forgotten every
        time, where theirs is forgotten infinitely often.

    See Also
    --------
    sslmemo.measurements.Presentations : What is read.
    """

    def __init__(self, event="rise"):
        self.event = event

    def measurements(self, reading):
        check_choice("event", self.event, ("rise", "nearest"))
        return [_presentations(reading)]

    def scores(self, values):
        if self.event == "rise":
            return values["risen"]
        return np.where(values["known"] == 0, values["presented"], values["forgotten"])


class Accumulated(Kind):
    """Alignment of a row, or its gradient in the input, summed up to the peak of the weights' norm.

    After the accumulated losses (SGAL) and squared input gradients (CSG) of Memorization through the
    lens of sample gradients (ICLR 2026), adapted to the alignment of one row and to checkpoints instead
    of every step.

    Parameters
    ----------
    of : {"alignment", "input_gradient"}, default="alignment"
        What is accumulated; gradients are squared first.
    at : tuple of float, default=(0.2, 0.4, 0.6, 0.8, 1.0)
        Ascending checkpoints, fractions of the training in (0, 1]. The mean goes up to, and with, that of
        the largest norm of the weights; where they grow throughout, over all of them.
    """

    def __init__(self, of="alignment", at=CHECKPOINTS):
        self.of = of
        self.at = at

    def measurements(self, reading):
        check_choice("of", self.of, ("alignment", "input_gradient"))
        read = _trajectory(reading, self.at)
        if self.of == "input_gradient":
            read = InputGradient(**reading.own, at=self.at)
        return [read, WeightNorm(self.at)]

    def scores(self, values):
        if self.of == "alignment":
            course = stages(values["alignment_trajectory"], self.at)
        else:
            course = np.square(stages(values["input_gradient"], self.at))
        peak = stages(values["weight_norm"], self.at).argmax(1)
        return np.stack([one[: last + 1].mean(0) for one, last in zip(course, peak, strict=True)])


def _trajectory(reading, at):
    return AlignmentTrajectory(
        reading.augmentation, at, reading.distance, reading.n_views, reading.layer, reading.device
    )


def _presentations(reading):
    if reading.train_views < 2:
        raise ValueError(
            f"the method makes {reading.train_views} view of a row in a step, and kinds that read the "
            "steps of the training compare two: take kind=Trajectory('cumulative') or another kind."
        )
    return Presentations()
