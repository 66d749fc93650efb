"""Removal, repeated from the start with other rows: what holds for the source of the data."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from .._compat import check_in_range
from ..estimates.blocks import check_level
from ..estimator import MemorizationEstimator
from ..randomness import derive_seed, entropy_of, generator
from ..sources import check_labels
from ..table import ScoreTable
from .contrasts import Frames, holm, student
from .curve import NOTHING, line_of
from .inputs import interruptible
from .removal import check_request, removal_curve

__all__ = ["RemovalExperiment", "removal_experiment"]


@dataclass(frozen=True, repr=False)
class RemovalExperiment(Frames):
    """Removal curves of several replicates.

    Attributes
    ----------
    curves : list of RemovalCurve
        One a replicate, each with rows, scores and trainings of its own.
    rows : list of ndarray of int
        Rows of X that each replicate used.
    reliability : ndarray of shape (n_replicates,)
        Of the scores behind each ranking.
    primary : tuple of (str, float)
        Strategy and fraction of the contrast with random that was named beforehand.
    """

    curves: list
    rows: list
    reliability: np.ndarray
    primary: tuple

    @property
    def table(self):
        """The curves' tables, one after another, with the column replicate in front."""
        parts = [c.table.with_column("replicate", [i] * len(c.table), 0)
                 for i, c in enumerate(self.curves)]  # fmt: skip
        return ScoreTable({
            name: np.concatenate([p[name] for p in parts]) for name in parts[0].columns
        })  # fmt: skip

    @property
    def metrics(self):
        """Names of the evaluators' metrics, the first of which is shown unless another is asked for."""
        return self.curves[0].metrics

    def summary_table(self, metric=None, level=0.95):
        """Means over replicates, and contrasts with random removal.

        Parameters
        ----------
        metric : str, default=None
            As in `RemovalCurve.table`; None is the first of `metrics`.
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row a strategy and fraction, with the columns strategy; fraction; metric; mean, low,
            high; difference, difference_low, difference_high: against random at the same fraction, the
            mean over a replicate's paired repeats, with Student's interval over replicates; p_value, two
            -sided; p_holm, adjusted by Holm (1979) over all contrasts of the metric but the primary one,
            of the first metric, whose p_value stands; primary.

        Raises
        ------
        ValueError
            `level` lies outside (0, 1), or no cell has the metric.
        """
        check_level(level)
        metric = self.metrics[0] if metric is None else metric
        first = self.curves[0].table
        some = first["metric"] == metric
        if not some.any():
            raise ValueError(
                f"metric={metric!r} was not measured. There are: {', '.join(self.metrics)}, and parts of "
                "them such as 'accuracy[class=3]'."
            )
        cells = dict.fromkeys(
            zip(first["strategy"][some].tolist(), first["fraction"][some].tolist(), strict=True)
        )
        rows = []
        for strategy, fraction in cells:
            own = [c.values(strategy, fraction, metric) for c in self.curves]
            differences = [np.nan] * len(own)
            if strategy not in ("random", NOTHING):
                differences = [
                    (a - c.values("random", fraction, metric)).mean()
                    for a, c in zip(own, self.curves, strict=True)
                ]
            rows.append(
                (strategy, fraction, metric, *student([v.mean() for v in own], level)[:3])
                + student(differences, level)
            )
        names = ("strategy", "fraction", "metric", "mean", "low", "high",
                 "difference", "difference_low", "difference_high", "p_value")  # fmt: skip
        columns = ScoreTable.from_rows(names, rows).columns
        primary = (columns["strategy"] == self.primary[0]) & (
            columns["fraction"] == self.primary[1]
        )
        primary &= metric == self.metrics[0]
        adjusted = columns["p_value"].copy()
        adjusted[~primary] = holm(adjusted[~primary])
        return ScoreTable({**columns, "p_holm": adjusted, "primary": primary})

    def __repr__(self):
        lines = [
            f"{len(self.curves)} replicates of {self.curves[0].about.rsplit(';', 1)[0]}; intervals over "
            f"replicates; reliability of the rankings {self.reliability.min():.2f} to "
            f"{self.reliability.max():.2f}"
        ]
        for metric in self.metrics:
            for s, f, name, *found, p, adjusted, primary in zip(
                *self.summary_table(metric).columns.values(), strict=True
            ):
                line = line_of(s, f, name, *found)
                if np.isfinite(p):
                    line += f" p = {p:.2g}, the primary contrast" if primary else ""
                    line += "" if primary else f" p(Holm) = {adjusted:.2g}"
                lines.append(line)
        return "\n".join(lines)


def removal_experiment(X, y, *, X_test, y_test, estimator=None, n_samples=1000, n_replicates=5,
                       fractions=(0.1, 0.3, 0.5, 0.7),
                       strategies=("memorized", "random", "least_memorized"), primary=None,
                       n_jobs=None, memory=None, random_state=None, verbose=1, **options):  # fmt: skip
    """Repeat scoring and removal with other rows, to learn what holds for their source.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        Rows of which every replicate takes `n_samples`.
    y : array-like of shape (n,)
        Their labels.
    X_test, y_test : array-like
        Held-out rows and labels, the same for all replicates.
    estimator : MemorizationEstimator, default=None
        Scores the rows, and says how encoders are trained. None is the default estimator.
    n_samples : int, default=1000
        Rows of a replicate.
    n_replicates : int, default=5
        At least 2. Their rows are disjoint where X has enough, else drawn independently.
    fractions : sequence of float, default=(0.1, 0.3, 0.5, 0.7)
        As in `removal_curve`.
    strategies : sequence of str, or dict of str to array-like
        As in `removal_curve`; ``"random"`` must be among them.
    primary : tuple of (str, float), default=None
        Strategy and fraction of the one contrast whose p-value needs no adjustment. None is
        ``("memorized", 0.5)`` where both are there, else the first strategy and the middle fraction.
    n_jobs : int, default=None
        Trainings at once; -1 means all processors.
    memory : str or path, default=None
        Folder of finished trainings, pools included, which an interrupted call goes on from.
    random_state : int, RandomState instance or None, default=None
        Of rows, draws and seeds.
    verbose : int, default=1
        1 shows progress bars.
    **options : dict
        Further parameters of `removal_curve`, such as ``n_repeats=4``.

    Returns
    -------
    RemovalExperiment

    Raises
    ------
    TypeError, ValueError
        Before any training: a parameter is wrong, or X has fewer than `n_samples` rows.

    Notes
    -----
    The held-out rows are the same for all replicates, so intervals don't cover the draw of these; rows
    drawn independently from a small X overlap, and intervals are then too narrow.
    """
    check_in_range("n_replicates", n_replicates, numbers.Integral, 2)
    check_in_range("n_samples", n_samples, numbers.Integral, 4)
    request = {"downstream": "linear", **options}
    _, fractions, strategies = check_request(fractions=fractions, strategies=strategies, **request)
    X = np.asarray(X)
    y = check_labels(y, len(X))
    if n_samples > len(X):
        raise ValueError(
            f"n_samples={n_samples}, but X has {len(X)} rows: lower it, or give more rows."
        )
    if "random" not in strategies:
        raise ValueError("strategies must hold 'random', which the others are compared with.")
    primary = _primary(primary, strategies, fractions)
    entropy = entropy_of(random_state)
    estimator = MemorizationEstimator() if estimator is None else estimator
    drawn, curves, reliability = _rows(len(X), n_samples, n_replicates, entropy), [], []
    for i, rows in enumerate(drawn):
        seed = derive_seed(entropy, "replicate", i) % 2**32
        own = clone(estimator).set_params(
            random_state=seed, n_jobs=n_jobs, memory=memory, verbose=verbose
        )
        with interruptible(memory):
            own.fit(X[rows], y[rows])
        reliability.append(own.result_.reliability)
        curves.append(
            removal_curve(
                own,
                X[rows],
                y[rows],
                X_test=X_test,
                y_test=y_test,
                fractions=fractions,
                strategies=strategies,
                n_jobs=n_jobs,
                memory=memory,
                random_state=seed,
                verbose=verbose,
                **options,
            )
        )
    return RemovalExperiment(curves, drawn, np.array(reliability), primary)


def _primary(primary, strategies, fractions):
    others = [s for s in strategies if s not in ("random", NOTHING)]
    if primary is None:
        strategy = "memorized" if "memorized" in others else others[0]
        middle = sorted(fractions)[len(fractions) // 2]
        return strategy, 0.5 if 0.5 in fractions else middle
    strategy, fraction = primary
    if strategy not in others or fraction not in fractions:
        raise ValueError(
            f"primary={primary!r} is not among the contrasts: strategies {others}, fractions "
            f"{list(fractions)}."
        )
    return strategy, float(fraction)


def _rows(n, n_samples, n_replicates, entropy):
    """Rows of every replicate: disjoint where there are enough, else drawn independently."""
    if n_samples * n_replicates <= n:
        order = generator(derive_seed(entropy, "replicates"), "rows").permutation(n)
        return list(order[: n_samples * n_replicates].reshape(n_replicates, n_samples))
    return [
        generator(derive_seed(entropy, "replicates"), "rows", i).permutation(n)[:n_samples]
        for i in range(n_replicates)
    ]
