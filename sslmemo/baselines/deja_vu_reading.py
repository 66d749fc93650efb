"""What a fitted deja vu test tells: accuracies and their gap, and the part that every row belongs to."""

from __future__ import annotations

import numbers

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import check_in_range, shown
from ..estimates import Difference
from ..table import ScoreTable
from .deja_vu_tables import PARTS, accuracy_gap, part_of, part_shares

__all__ = ["ReadsDejaVu"]

CONFIDENT = (1.0, 0.2, 0.05)


class ReadsDejaVu:
    """Tables of a fitted `DejaVuEstimator`, from its `results_`."""

    def accuracy_table(self, confident=CONFIDENT, level=0.95):
        """Accuracy of targets and references, and their gap: the paper's deja vu score.

        Parameters
        ----------
        confident : sequence of float, default=(1.0, 0.2, 0.05)
            Shares in (0, 1]: each encoder is asked on that share of its rows of which it is the most
            confident. A classifier is asked on the rows that its target is.
        level : float, default=0.95
            Of the intervals, which cluster by block and by row. They have no width, which is too
            certain, where all votes are right, or all wrong.

        Returns
        -------
        ScoreTable
            A line for each reference and share: reference, confident; target_accuracy,
            reference_accuracy and gap, each with _low and _high (NaN with one block).

        Raises
        ------
        TypeError, ValueError
            A share or the level lies outside its range.
        """
        check_is_fitted(self, "result_")
        for share in confident:
            check_in_range("confident", share, numbers.Real, 0, 1, open_low=True)
        lines = [
            {"reference": name, "confident": float(share)} | accuracy_gap(result.run, share, level)
            for name, result in self.results_.items()
            for share in confident
        ]
        return ScoreTable({key: [line[key] for line in lines] for key in lines[0]})

    def partition(self, block=None):
        """Part of every row: unassociated, memorized, misrepresented or correlated.

        Unassociated: neither target nor reference infers the label from the background. Memorized: the
        target alone. Misrepresented: the reference alone. Correlated: both.

        Parameters
        ----------
        block : int, default=None
            A block of the plan, whose encoders alone are asked: with pairs, the paper's partition by a
            single pair. None pools all blocks: a side is right if its mean error over blocks is below
            one half; the mean of exactly one half is wrong.

        Returns
        -------
        ndarray of str, shape (n_samples,)
            ``"public"`` for public rows; empty for rows without a score.

        Raises
        ------
        ValueError
            There is no such block.
        """
        check_is_fitted(self, "result_")
        done = self.result_.run
        plan, wrong = done.plan, done.values["deja_vu"]
        if block is not None:
            if block not in plan.blocks:
                raise ValueError(
                    f"block={shown(block)} is none of the plan's: {shown(plan.blocks.tolist())}."
                )
            wrong, plan = wrong[plan.encoders_of(block)], plan.take(block)
        scores = Difference(of="deja_vu")({"deja_vu": wrong}, plan)
        return np.where(self.public_, "public", part_of(scores.in_mean, scores.out_mean))

    def partition_table(self, level=0.95):
        """Share of each part among the scored rows.

        Parameters
        ----------
        level : float, default=0.95
            Of the intervals, which cluster by block and by row.

        Returns
        -------
        ScoreTable
            A line for each reference and part: reference, part; pair_share, as single pairs of a target
            and a reference see it, over all pairs of all blocks, with low and high (NaN with one
            block); and pooled_share, of rows by the rule of `partition`, for ``result_`` alone.

        Raises
        ------
        ValueError
            The level lies outside (0, 1).
        """
        check_is_fitted(self, "result_")
        scored = np.isin(self.partition_, PARTS)
        lines = []
        for name, result in self.results_.items():
            own = result is self.result_
            for part, share in zip(PARTS, part_shares(result.run, level), strict=True):
                pooled = float((self.partition_[scored] == part).mean()) if own else np.nan
                lines.append((name, part, *share, pooled))
        names = ("reference", "part", "pair_share", "low", "high", "pooled_share")
        return ScoreTable.from_rows(names, lines)
