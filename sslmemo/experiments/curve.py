"""What a removal curve holds: values of every cell, their means, and paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..estimates.blocks import check_level
from ..table import ScoreTable
from .contrasts import Frames, student

__all__ = ["NOTHING", "RANK", "RemovalCurve", "line_of"]

NOTHING = "none"  # strategy of the encoders that all rows train
RANK = "effective_rank"  # metric beside those of the evaluators


@dataclass(frozen=True, repr=False)
class RemovalCurve(Frames):
    """What removing rows does to a downstream task.

    Attributes
    ----------
    table : ScoreTable
        One row a strategy, fraction, repeat and metric, with the columns strategy; fraction;
        repeat; metric; value. Strategy ``"none"`` at fraction 0 is trained on all rows.
    removed : dict of (str, float) to ndarray of bool, shape (n_samples,) or (n_repeats, n_samples)
        Rows that were removed; of ``"random"`` one mask a repeat.
    about : str
        What the numbers hold for, in words.
    """

    table: ScoreTable
    removed: dict
    about: str

    @property
    def metrics(self):
        """Names of the evaluators' metrics, the first of which is shown unless another is asked for."""
        parts = [m for m in dict.fromkeys(self.table["metric"].tolist()) if "[" not in m]
        return [m for m in parts if m != RANK]

    def values(self, strategy, fraction, metric=None):
        """Values of a cell, in the order of the repeats.

        Parameters
        ----------
        strategy : str
            As in `table`.
        fraction : float
            As in `table`.
        metric : str, default=None
            As in `table`; None is the first of `metrics`.

        Returns
        -------
        ndarray of shape (n_repeats,)

        Raises
        ------
        ValueError
            There is no such cell; the message names those that there are.
        """
        metric = self.metrics[0] if metric is None else metric
        found = self._cell(strategy, fraction, metric)
        if not len(found):
            asked = {"strategy": strategy, "fraction": fraction, "metric": metric}
            for name, value in asked.items():
                known = dict.fromkeys(self.table[name].tolist())
                if value not in known:
                    few = ", ".join(map(repr, [*known][:12]))
                    raise ValueError(f"{name}={value!r} was not measured. There are: {few}.")
            raise ValueError(f"{strategy!r} was not measured at fraction {fraction}.")
        return found

    def _cell(self, strategy, fraction, metric):
        """Values of a cell, empty if it was not measured."""
        t = self.table
        rows = (t["strategy"] == strategy) & (t["fraction"] == fraction) & (t["metric"] == metric)
        return t["value"][rows][np.argsort(t["repeat"][rows])]

    def summary_table(self, level=0.95):
        """Means over repeats, and paired differences against random removal.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row a strategy, fraction and metric, with the columns strategy; fraction; metric;
            mean, low, high; difference, difference_low, difference_high, p_value: against
            ``"random"`` at the same fraction, paired by repeat, NaN where it was not drawn. Student's
            intervals over repeats: they hold for these rows and this ranking.
        """
        check_level(level)
        t = self.table
        cells = dict.fromkeys(zip(*(t[c].tolist() for c in ("strategy", "fraction", "metric")),
                                  strict=True))  # fmt: skip
        rows = []
        for strategy, fraction, metric in cells:
            own = self._cell(strategy, fraction, metric)
            reference = self._cell("random", fraction, metric)
            paired = strategy != "random" and len(reference) == len(own)
            rows.append(
                (strategy, fraction, metric, *student(own, level)[:3])
                + student(own - reference if paired else np.full(1, np.nan), level)
            )
        names = ("strategy", "fraction", "metric", "mean", "low", "high",
                 "difference", "difference_low", "difference_high", "p_value")  # fmt: skip
        return ScoreTable.from_rows(names, rows)

    def __repr__(self):
        t = self.summary_table()
        lines = [self.about]
        for strategy, fraction, metric, *found in zip(*t.columns.values(), strict=True):
            if metric in self.metrics:
                lines.append(line_of(strategy, fraction, metric, *found[:6]))
        return "\n".join(lines)


def line_of(strategy, fraction, metric, mean, low, high, difference, d_low, d_high):
    """One cell in words, intervals where there are any."""
    line = f"{strategy:>16} {fraction:4.0%}  {metric} {mean:.4f}"
    line += f" [{low:.4f}, {high:.4f}]" if np.isfinite(low) else ""
    if np.isfinite(difference):
        line += f"  against random {difference:+.4f}"
        line += f" [{d_low:+.4f}, {d_high:+.4f}]" if np.isfinite(d_low) else ""
    return line
