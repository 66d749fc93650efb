"""How memorization depends on the share of the rows that an encoder trains on."""

from __future__ import annotations

import functools
import numbers
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.base import clone

from .._compat import check_choice, check_in_range, shown
from ..designs import LeaveOneOut, Subsample, get_design
from ..estimates import reliability, spearman_reliability
from ..estimates.attenuation import true_correlation
from ..estimates.blocks import check_level, mean_or_nan
from ..estimates.reliability import block_covariance
from ..estimator import MemorizationEstimator
from ..randomness import derive_seed, entropy_of
from ..table import LevelFrame, ScoreTable
from .agreement import RESOLVED
from .ceiling import combined_interval
from .contrasts import student
from .inputs import as_list, interruptible

__all__ = ["FractionSweep", "fraction_sweep"]

LEAVE_ONE_OUT = "leave-one-out"
GROUPS = 20  # of blocks, each left out in turn


@dataclass(frozen=True, repr=False)
class FractionSweep(LevelFrame):
    """Fits of the same rows at several training sizes.

    Attributes
    ----------
    results : dict of str to MemorizationResult
        Of the unbiased difference, by the fraction as text, such as ``"0.25"``, ascending; last
        ``"leave-one-out"``, where it was run.
    reference : str
        Name of the fit that the others are compared with: leave-one-out where it was run.
    rows : ndarray of int
        Rows that every fit scores: those of leave-one-out, or all.
    equal : str
        ``"epochs"`` or ``"steps"``: what all encoders have in common.
    """

    results: dict
    reference: str
    rows: np.ndarray
    equal: str

    def table(self, level=0.95):
        """Give one row a fit.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            With the columns fit; train_size, in rows; n_encoders; steps, of an encoder, NaN where the
            run doesn't say; reliability; mean, mean_low, mean_high, over `rows`, with Student's
            interval over blocks. Then, over `rows` and against the reference: slope, by how much the
            true score rises with that of the reference; pearson, correlation of the true scores;
            spearman, that of their ranks; each corrected for the noise of both fits, not clipped, with
            its _low and _high; resolved, whether both reliabilities over `rows` are at least 0.5,
            without which these numbers are mostly noise.

        Raises
        ------
        ValueError
            `level` lies outside (0, 1).

        Notes
        -----
        Covariances come from distinct blocks (`sslmemo.estimates.attenuation`), the rank correlation
        is Spearman's over the roots of the two Spearman reliabilities. Intervals are jackknives over
        the blocks of both fits: they hold for these rows.
        """
        check_level(level)
        base = self._blocks(self.reference)
        rows = []
        for name, result in self.results.items():
            blocks, plan = self._blocks(name), result.run.plan
            per_block = mean_or_nan(blocks.T)
            enough = all(float(reliability(b)) >= RESOLVED for b in (blocks, base))
            rows.append(
                (name, result.train_size, plan.n_encoders)
                + (
                    result.run.config.get("trainer", {}).get("steps", np.nan),
                    float(reliability(blocks)),
                )
                + student(per_block, level)[:3]
                + self._against(name, blocks, base, level)
                + (enough,)
            )
        names = ["fit", "train_size", "n_encoders", "steps", "reliability", "mean", "mean_low",
                 "mean_high"]  # fmt: skip
        names += [
            f"{n}{end}" for n in ("slope", "pearson", "spearman") for end in ("", "_low", "_high")
        ]
        return ScoreTable.from_rows([*names, "resolved"], rows)

    def extrapolated_mean(self, level=0.95):
        """Mean score at leave-one-out as the fractions alone foretell it, beside the exact one.

        A straight line through the logarithms of the mean and of the training size, fitted to the
        fractions with weights by their errors. There is no extrapolation without leave-one-out in the
        sweep, and none of single rows: where it was not checked, it is a guess.

        Parameters
        ----------
        level : float, default=0.95
            Confidence of the intervals, in (0, 1).

        Returns
        -------
        ScoreTable
            One row, with the columns train_size; predicted, predicted_low, predicted_high, with the
            errors of the fractions' means but not that of the line's form; exact, exact_low,
            exact_high; agrees, whether the interval of their difference holds 0.

        Raises
        ------
        ValueError
            Leave-one-out was not run, there are fewer than two fractions, or a mean is not positive.
        """
        check_level(level)
        if LEAVE_ONE_OUT not in self.results:
            raise ValueError(
                "no extrapolation was validated here: run fraction_sweep with leave_one_out=True or "
                "with rows to leave out."
            )
        names = [n for n in self.results if n != LEAVE_ONE_OUT]
        means = {n: mean_or_nan(self._blocks(n).T) for n in self.results}
        centre = np.array([means[n].mean() for n in names])
        if len(names) < 2 or not (centre > 0).all():
            raise ValueError(
                f"the mean scores are {centre.round(5).tolist()}: a line through their logarithms needs "
                "at least two, all positive."
            )
        counts = np.array([len(means[n]) for n in names])
        error = np.array([means[n].std(ddof=1) for n in names]) / np.sqrt(counts)
        size = np.array([self.results[n].train_size for n in names])
        exact, goal = means[LEAVE_ONE_OUT], float(self.results[LEAVE_ONE_OUT].run.plan.n_samples)
        design = np.stack([np.ones(len(names)), np.log(size / goal)], axis=1)  # (m, 2)
        weight = (centre / error) ** 2  # of the logarithm
        solve = np.linalg.inv(design.T @ (weight[:, None] * design)) @ (design.T * weight)
        predicted = float(np.exp(solve[0] @ np.log(centre)))
        # the first coefficient is the logarithm at the goal: a weighted sum of independent fits
        parts = [
            ((predicted * s * e / m) ** 2, n - 1)
            for s, e, m, n in zip(solve[0], error, centre, counts, strict=True)
        ]
        low, high = combined_interval(predicted, parts, level)
        own = exact.var(ddof=1) / len(exact), len(exact) - 1
        gap_low, gap_high = combined_interval(predicted - exact.mean(), [*parts, own], level)
        value, exact_low, exact_high, _ = student(exact, level)
        return ScoreTable(
            {
                "train_size": [goal],
                "predicted": [predicted],
                "predicted_low": [low],
                "predicted_high": [high],
                "exact": [value],
                "exact_low": [exact_low],
                "exact_high": [exact_high],
                "agrees": [bool(gap_low <= 0 <= gap_high)],
            }
        )

    def _blocks(self, name):
        """Block values of a fit over `rows`, without failed blocks: (n_blocks, n_rows)."""
        blocks = self.results[name].scores.blocks[:, self.rows]
        return blocks[np.isfinite(blocks).any(1)]

    @functools.cached_property
    def _jackknives(self):
        """By fit: slope and rank correlation against the reference, each with its variances."""
        base = self._blocks(self.reference)
        others = {n: self._blocks(n) for n in self.results if n != self.reference}
        known = _ranked_parts(base)
        return {n: (_slope(b, base), _ranks(_ranked_parts(b), known)) for n, b in others.items()}

    def _against(self, name, blocks, base, level):
        """Slope, pearson and spearman against the reference, each with its ends."""
        if name == self.reference:
            return (1.0,) * 9
        slope, ranks = self._jackknives[name]
        seeds = np.arange(len(blocks)), -1 - np.arange(len(base))  # pools of their own share none
        pearson = true_correlation(blocks, base, *seeds, level)
        return (
            *_with_ends(slope, level),
            *(pearson.value, pearson.low, pearson.high),
            *_with_ends(ranks, level),
        )

    def __repr__(self):
        lines = [f"equal {self.equal}, {len(self.rows)} rows, against {self.reference}"]
        t = self.table()
        for i, name in enumerate(t["fit"].tolist()):
            line = f"{name}: mean score {t['mean'][i]:.4f}"
            line += f" [{t['mean_low'][i]:.4f}, {t['mean_high'][i]:.4f}]"
            if name != self.reference and t["resolved"][i]:
                for n in ("slope", "pearson", "spearman"):
                    line += f"; {n} {t[n][i]:.2f} [{t[f'{n}_low'][i]:.2f}, {t[f'{n}_high'][i]:.2f}]"
            elif name != self.reference:
                line += f"; agreement not resolved (a reliability is below {RESOLVED})"
            lines.append(line)
        return "\n".join(lines)


def fraction_sweep(estimator, X, fractions=(0.25, 0.5, 0.75, 0.9), *, leave_one_out=False,
                   n_blocks=None, equal="epochs", reference=0.5, groups=None,
                   random_state=None):  # fmt: skip
    """Fit an estimator at several training sizes.

    Parameters
    ----------
    estimator : MemorizationEstimator
        The recipe; it is cloned. Its `memory` keeps all fits, so that an interrupted call goes on.
        Its `design` is not used, `fractions` and `leave_one_out` being the designs, and its
        `stop_when` must be None.
    X : array-like or dataset
        Rows, as in `MemorizationEstimator.fit`.
    fractions : sequence of float, default=(0.25, 0.5, 0.75, 0.9)
        Distinct shares of the rows, as in `sslmemo.designs.Subsample`.
    leave_one_out : bool or array-like of int, default=False
        Whether to run exact leave-one-out too: for all rows (n + 1 trainings a block) or those named.
        It is then the reference, and everything is read over these rows. Extrapolation to
        leave-one-out (`FractionSweep.extrapolated_mean`) is offered only with it.
    n_blocks : int, default=None
        Blocks of every fit, at least 2. None is, for a fraction, as many as make about the estimator's
        `n_encoders`; for leave-one-out 8.
    equal : {"epochs", "steps"}, default="epochs"
        ``"steps"`` scales the epochs so that all encoders take as many steps as those of a fraction
        of one half; leave-one-out's too.
    reference : float, default=0.5
        One of the fractions, which the others are compared with where leave-one-out is not run.
    groups : array-like of shape (n_samples,), default=None
        As in `MemorizationEstimator.fit`.
    random_state : int, RandomState instance or None, default=None
        Every fit gets a seed of its own.

    Returns
    -------
    FractionSweep

    Raises
    ------
    TypeError, ValueError
        Before any training: a parameter is wrong; and whatever the fits raise.

    Notes
    -----
    All fits have one batch size, that of the smallest training set where the estimator has none, so
    that they differ by the rows and the length of training alone. Another fraction is another
    estimand: a small one is cheap and reliable, and the table says how far it ranks like the reference.
    """
    if not isinstance(estimator, MemorizationEstimator):
        raise TypeError(f"estimator must be a MemorizationEstimator, got {shown(estimator)}.")
    if estimator.stop_when is not None:
        raise ValueError(
            f"estimator has stop_when={shown(estimator.stop_when)}, but every fit has a fixed number of "
            "blocks: set stop_when=None; n_blocks says how many to train."
        )
    check_choice("equal", equal, ("epochs", "steps"))
    if n_blocks is not None:
        check_in_range("n_blocks", n_blocks, numbers.Integral, 2)
    fractions = _distinct(as_list("fractions", fractions))
    exact = leave_one_out is not False
    if not exact and reference not in fractions:
        raise ValueError(f"reference={reference!r} is none of the fractions {fractions}.")
    n, entropy = len(X), entropy_of(random_state)
    designs = {f"{f:g}": Subsample(f) for f in fractions}
    if exact:
        designs[LEAVE_ONE_OUT] = LeaveOneOut(None if leave_one_out is True else leave_one_out)
    sizes = {name: _train_size(d, n) for name, d in designs.items()}
    batch = estimator.batch_size
    if batch is None:
        plans = [d.draw(n, d.block_size(n), 0, groups) for d in designs.values()]
        batch = min(256, *(p.sizes[1] for p in plans))
    results = {}
    for name, design in designs.items():
        block, n_encoders = design.block_size(n), estimator.n_encoders
        if n_blocks is not None or name == LEAVE_ONE_OUT:
            n_encoders = block * (8 if n_blocks is None else n_blocks)
        else:
            n_encoders = block * max(2, round(n_encoders / block))
        epochs = estimator.epochs * (n / 2 / sizes[name] if equal == "steps" else 1)
        own = clone(estimator).set_params(
            design=design,
            n_encoders=n_encoders,
            epochs=epochs,
            batch_size=batch,
            random_state=derive_seed(entropy, f"fraction {name}") % 2**32,
        )
        with interruptible(estimator.memory):
            results[name] = own.fit(X, groups=groups).result_.unbiased
    scored = [np.isfinite(r.score) for r in results.values()]
    rows = np.flatnonzero(np.logical_and.reduce(scored))
    return FractionSweep(results, LEAVE_ONE_OUT if exact else f"{reference:g}", rows, equal)


def _distinct(fractions):
    """Fractions in ascending order, refused where two would be one fit."""
    for f in fractions:
        if isinstance(f, bool) or not isinstance(f, numbers.Real):
            raise TypeError(f"fractions must be numbers, such as (0.25, 0.5), got {shown(f)}.")
    fractions = sorted(fractions)
    if len({f"{f:g}" for f in fractions}) < len(fractions):
        raise ValueError(f"fractions must be distinct, got {fractions}: name each once.")
    return fractions


def _train_size(design, n):
    """Mean rows of a training."""
    plan = get_design(design).draw(n, design.block_size(n), 0)
    return plan.sizes[0]


def _slope(blocks, base):
    """Regression of true scores on the reference's, with variances for the noise of both fits."""
    within, across = block_covariance(base), block_covariance(blocks, base)

    def slope(rows, columns):
        part = within[np.ix_(columns, columns)]
        n = len(part)
        signal = (part.sum() - np.trace(part)) / (n * (n - 1)) if n > 1 else np.nan
        return across[np.ix_(rows, columns)].mean() / signal if signal > 0 else np.nan

    rows, columns = np.arange(len(blocks)), np.arange(len(base))
    return slope(rows, columns), [
        _jackknife([slope(np.delete(rows, g), columns) for g in _groups(len(rows))]),
        _jackknife([slope(rows, np.delete(columns, g)) for g in _groups(len(columns))]),
    ]


def _ranked_parts(blocks):
    """Scores and Spearman reliability of a fit, then of it without each group of blocks."""
    parts = (blocks, *(np.delete(blocks, g, axis=0) for g in _groups(len(blocks))))
    return [(mean_or_nan(p), spearman_reliability(p)) for p in parts]


def _ranks(ours, theirs):
    """Spearman correlation over the roots of both Spearman reliabilities, with variances for both."""

    def corrected(one, other):
        (a, reliability_a), (b, reliability_b) = one, other
        if not (reliability_a > 0 and reliability_b > 0):
            return np.nan
        both = np.isfinite(a) & np.isfinite(b)
        return stats.spearmanr(a[both], b[both]).statistic / np.sqrt(reliability_a * reliability_b)

    return corrected(ours[0], theirs[0]), [
        _jackknife([corrected(one, theirs[0]) for one in ours[1:]]),
        _jackknife([corrected(ours[0], other) for other in theirs[1:]]),
    ]


def _with_ends(found, level):
    value, parts = found
    return (float(value), *combined_interval(value, parts, level))


def _groups(n_blocks):
    """Positions of each of at most 20 groups of blocks; none for fewer than three: list of ndarray."""
    if n_blocks < 3:
        return []
    return np.array_split(np.arange(n_blocks), min(n_blocks, GROUPS))


def _jackknife(deleted):
    """Variance of a statistic from its values with each of G groups left out, and G - 1."""
    deleted = np.asarray(deleted, float)
    n = len(deleted)
    if n < 2:
        return np.nan, np.nan
    return float((n - 1) / n * np.sum((deleted - deleted.mean()) ** 2)), n - 1
