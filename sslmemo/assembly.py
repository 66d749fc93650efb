"""From an estimator's parameters and rows to what its pool needs: plan, trainer, measurements."""

from __future__ import annotations

import numbers
import warnings
from dataclasses import dataclass

import numpy as np

from ._compat import check_choice, check_flag, check_folder, check_in_range, named
from .data import RowIndex
from .designs import Subsample, get_design
from .estimates import get_estimate
from .measurements import Alignment, InputIsolation, Isolation, Quality
from .plans import Plan
from .pool import run_config
from .training.precision import limit_jobs

__all__ = ["Assembly", "alignment_of", "assemble", "check_pool_parameters", "draw_plan"]


@dataclass(frozen=True)
class Assembly:
    """What a pool needs.

    Attributes
    ----------
    data : Data
        The rows.
    index : RowIndex
        Finds them again.
    plan : Plan
        Who is trained on what.
    trainer : Trainer
        Trains the encoders.
    measurements : list of Measurement
        What is read from them; alignment first.
    """

    data: object
    index: RowIndex
    plan: Plan
    trainer: object
    measurements: list

    def check_same(self, run):
        """Refuse to add to a run of other rows or of another recipe."""
        now = run_config(self.plan, self.trainer, self.measurements, self.data)
        for part, word in (
            ("data", "X"),
            ("trainer", "the recipe"),
            ("measurements", "what is measured"),
        ):
            if run.config[part] != now[part]:
                raise ValueError(
                    f"warm_start=True, but {word} differs from the earlier fit: use a new "
                    "estimator, or warm_start=False."
                )


def assemble(estimator, data, groups, entropy):
    """Draw the plan of an estimator for checked rows, and build trainer and measurements.

    Parameters
    ----------
    estimator : MemorizationEstimator
        Its parameters, already checked.
    data : Data
        The rows.
    groups : array-like of shape (n,) or None
        Rows of one group are in or out together.
    entropy : int
        Of all randomness.

    Returns
    -------
    Assembly

    Warns
    -----
    UserWarning
        Rows are copies of others, some can have no score, or there is one block only.
    """
    index = RowIndex(data)
    plan = draw_plan(estimator, data, index, groups, entropy)
    trainer = estimator._trainer(data, plan.sizes)
    alignment = alignment_of(estimator, trainer.views.augmentation, trainer.device)
    alignment.check()
    measurements = [alignment, Quality(layer=estimator.layer), *estimator.measurements]
    measurements += _for_estimate(estimator, trainer, {m.name for m in measurements})
    return Assembly(data, index, plan, trainer, measurements)


def alignment_of(estimator, augmentation, device):
    """Build the alignment measurement that an estimator's parameters name."""
    return Alignment(
        augmentation,
        estimator.distance,
        estimator.n_views,
        estimator.anchor,
        estimator.layer,
        device,
    )


def _projector_alignment(estimator, trainer):
    return Alignment(
        trainer.views.augmentation,
        n_views=max(2, estimator.n_views // 2),
        layer="projector",
        device=trainer.device,
        name="projector_alignment",
        by_view=False,
    )


FEATURES = {  # what an estimate may learn from, and which measurement has it
    "isolation": lambda estimator, trainer: Isolation(layer=estimator.layer),
    "density": lambda estimator, trainer: Isolation(layer=estimator.layer),
    "projector_alignment": _projector_alignment,
    "input_isolation": lambda estimator, trainer: InputIsolation(),
}


def _for_estimate(estimator, trainer, known):
    """Measurements that the estimate learns from, but for those that are there by name."""
    found = {}
    wanted = getattr(get_estimate(estimator.estimate), "features", ())
    for name in [wanted] if isinstance(wanted, str) else wanted:
        if not estimator.measurements:  # whose arrays can have any name
            named(name, FEATURES, "features")
        if name in FEATURES:
            measurement = FEATURES[name](estimator, trainer)
            if measurement.name not in known:
                found.setdefault(measurement.name, measurement)
    return list(found.values())


def check_pool_parameters(estimator):
    """Refuse bad parameters that say how a pool is run: those of these that the estimator has.

    Raises
    ------
    TypeError, ValueError
        `n_encoders`, `max_time`, `on_error`, `verbose`, `memory` or `n_jobs` is wrong.
    """
    check_in_range("n_encoders", estimator.n_encoders, numbers.Integral, 1)
    if getattr(estimator, "max_time", None) is not None:
        check_in_range("max_time", estimator.max_time, numbers.Real, 0, open_low=True)
    if hasattr(estimator, "on_error"):
        check_choice("on_error", estimator.on_error, ("raise", "drop"))
    check_flag("verbose", estimator.verbose, levels=True)
    check_folder("memory", estimator.memory)
    limit_jobs(estimator.n_jobs, "cpu")  # refuses what is no number of jobs


def draw_plan(estimator, data, index, groups, entropy):
    """Draw the plan that an estimator's design names, copies of a row kept together.

    Parameters
    ----------
    estimator : BaseEstimator
        Its `design` and `n_encoders` are read.
    data : Data
        The rows.
    index : RowIndex
        Of them.
    groups : array-like of shape (n,) or None
        Rows of one group are in or out together.
    entropy : int
        Of the design.

    Returns
    -------
    Plan

    Warns
    -----
    UserWarning
        Rows are copies of others, some can have no score, or there is one block only.
    """
    design = get_design(estimator.design)
    if groups is None and index.duplicates():
        copies = index.duplicates()
        said = f"{copies} {'row of X is a copy' if copies == 1 else 'rows of X are copies'} of others; "
        if getattr(design, "ties", True):
            groups = index.copy_of
            said += "copies are kept in or out together, as one group. Pass groups= to decide."
        else:
            said += "a copy on the other side hides what is memorized of a row."
        warnings.warn(said, stacklevel=5)
    plan = design.draw(len(data), estimator.n_encoders, entropy, groups)
    if plan.contrast is None:
        _check_scored(plan, design)
    if len(plan.seed) < 2:
        warnings.warn(
            f"{plan.n_encoders} encoders are one block of {design.name!r}: the scores have no "
            "standard error. Two blocks have one, 16 a good one.",
            stacklevel=5,
        )
    return plan


def _check_scored(plan, design):
    """Say which rows can have no score, and how many encoders would do."""
    lost = int((~plan.member.any(0) | plan.member.all(0)).sum())
    if not lost:
        return
    if lost == plan.n_samples:
        raise ValueError(
            f"design={design.name!r}: no row is in some encoders' training sets and out of others', so "
            "there is nothing to compare. Change the design or the membership."
        )
    fraction = design.fraction if isinstance(design, Subsample) else plan.member.mean()
    worst = max(fraction, 1 - fraction)
    enough = int(np.ceil(np.log(0.05 / plan.n_samples) / np.log(worst)))
    warnings.warn(
        f"{lost} rows are never in or never out of a training set and get NaN: with random subsets "
        f"of this size {enough} encoders would cover all rows (probability 0.95), balanced "
        "blocks always do.",
        stacklevel=6,
    )
