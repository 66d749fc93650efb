"""Tables of the deja vu test: accuracies, their gap and the four parts, with intervals.

Cells of one block share their encoders and cells of one row share its background, so intervals
cluster by both.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ..estimates.blocks import block_means, check_level

__all__ = ["PARTS", "accuracy_gap", "part_of", "part_shares", "two_way_interval"]

PARTS = ("unassociated", "memorized", "misrepresented", "correlated")


def accuracy_gap(run, confident=1.0, level=0.95):
    """Accuracy of targets and of references on the rows that each is most confident of.

    Parameters
    ----------
    run : Run
        With ``"deja_vu"`` and ``"deja_vu_entropy"``, see `sslmemo.measurements.DejaVu`. Encoders that
        count as f are targets, those that count as g references.
    confident : float, default=1.0
        Share of its rows, at least one, on which each encoder's votes count: those of lowest entropy,
        and of equal ones the first. In (0, 1].
    level : float, default=0.95
        Of the intervals.

    Returns
    -------
    dict of str to float
        ``target_accuracy``, ``reference_accuracy`` and ``gap``, in [0, 1] and [-1, 1], each with
        ``_low`` and ``_high``, see `two_way_interval`.
    """
    plan, wrong = run.plan, run.values["deja_vu"].astype(float)
    starts = np.flatnonzero(np.diff(plan.block, prepend=plan.block[0] - 1))
    used = plan.as_f | plan.as_g
    failed = np.logical_or.reduceat((used & ~np.isfinite(wrong)).any(1), starts)
    good = ~np.repeat(failed, np.diff(starts, append=len(wrong)))[:, None]
    entropy = run.values["deja_vu_entropy"]
    parts = []
    for side in (plan.as_f, plan.as_g):
        asked = _most_confident(entropy, side & good, confident)
        right = np.where(asked, 1 - wrong, 0.0)
        accuracy = right.sum() / asked.sum()
        influence = np.where(asked, right - accuracy, 0.0) / asked.sum()  # sums to 0
        parts.append((accuracy, np.add.reduceat(influence, starts)[~failed]))
    (target, of_target), (reference, of_reference) = parts
    found = {}
    for name, value, influence in (
        ("target_accuracy", target, of_target),
        ("reference_accuracy", reference, of_reference),
        ("gap", target - reference, of_target - of_reference),
    ):
        low, high = two_way_interval(value, influence, level)
        found |= {name: float(value), f"{name}_low": low, f"{name}_high": high}
    return found


def _most_confident(entropy, side, share):
    """Of every encoder's rows (T, n) those of lowest entropy: bool (T, n)."""
    if share == 1:
        return side
    chosen = np.zeros_like(side)
    for own, rows, out in zip(entropy, side, chosen, strict=True):
        rows = np.flatnonzero(rows)
        if len(rows):
            order = rows[np.argsort(own[rows], kind="stable")]
            out[order[: max(1, int(share * len(rows) + 1e-9))]] = True
    return chosen


def two_way_interval(value, influence, level=0.95):
    """Interval of an estimate, clustered by block and by row.

    The variance is that between blocks plus that between rows minus that between cells, and at least
    the larger of the first two; t with the smaller number of clusters minus 1 degrees of freedom.

    Parameters
    ----------
    value : float
        The estimate.
    influence : ndarray of float, shape (n_blocks, n_samples)
        Share of every cell in the estimate's error; sums to 0.
    level : float, default=0.95
        Confidence, in (0, 1).

    Returns
    -------
    low, high : float
        NaN with one block.

    References
    ----------
    Cameron, Gelbach and Miller, Robust inference with multiway clustering, Journal of Business and
    Economic Statistics 2011.
    """
    check_level(level)
    n_blocks, n_rows = len(influence), int((influence != 0).any(0).sum())
    if n_blocks < 2:
        return np.nan, np.nan
    if n_rows < 2:  # all cells are exactly the mean
        return float(value), float(value)
    blocks = n_blocks / (n_blocks - 1) * np.square(influence.sum(1)).sum()
    rows = n_rows / (n_rows - 1) * np.square(influence.sum(0)).sum()
    variance = max(blocks + rows - np.square(influence).sum(), blocks, rows)
    half = stats.t.ppf((1 + level) / 2, min(n_blocks, n_rows) - 1) * np.sqrt(variance)
    return float(value - half), float(value + half)


def part_of(target_error, reference_error):
    """Part of every row: memorized where the target alone is right, and so on.

    Parameters
    ----------
    target_error, reference_error : ndarray of float, shape (n_samples,)
        Mean error of the encoders that have and that have not seen the row. Right is who errs in less
        than half of the cases.

    Returns
    -------
    ndarray of str, shape (n_samples,)
        One of `PARTS`; empty where an error is NaN.
    """
    target, reference = target_error < 0.5, reference_error < 0.5
    part = np.array(PARTS)[target.astype(int) + 2 * reference]
    return np.where(np.isfinite(target_error + reference_error), part, "")


def part_shares(run, level=0.95):
    """Share of each part among rows, as a single pair of encoders would see it, over all pairs.

    Parameters
    ----------
    run : Run
        As for `accuracy_gap`.
    level : float, default=0.95
        Of the intervals.

    Returns
    -------
    list of (float, float, float)
        Share with its interval for each of `PARTS`. The shares sum to 1, and memorized minus
        misrepresented is the gap of accuracies, in a design that has every row in and out of each
        block.
    """
    means = block_means(run.values["deja_vu"], run.plan)
    target, reference = 1 - means.inside, 1 - means.outside  # (n_blocks, n), how often right
    both = np.isfinite(target + reference)
    used = both.any(1)  # a block that failed has no row
    found = []
    for number in range(len(PARTS)):
        t = target if number % 2 else 1 - target
        r = reference if number // 2 else 1 - reference
        share = (
            np.where(both, t * r, 0.0).sum() / both.sum()
        )  # over the pairs of f and g in a block
        influence = np.where(both, t * r - share, 0.0)[used] / both.sum()
        found.append((float(share), *two_way_interval(share, influence, level)))
    return found
