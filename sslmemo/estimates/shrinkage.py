"""Empirical Bayes between rows: what a row's features predict, combined with its own difference.

With few encoders the difference of a row is mostly noise, and the noise is the row's own, so nothing
within the row removes it. But lone rows are memorized more, and how lone a row is can be read from a
few encoders almost without noise. A ridge regression learns from the pool itself how far such features
predict the difference; the row's own difference then says how far the row departs from them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit

from .._compat import named
from .blocks import block_means
from .difference import Difference
from .posterior import Posterior
from .reliability import Interval, block_covariance, reliability
from .unimodal import departure_variance, fit_unimodal_prior
from .variance import MIN_ROWS, variance_trend

__all__ = ["FEATURES", "Shrinkage", "held_out_correlation"]

FEATURES = ("isolation", "density", "projector_alignment", "input_isolation")
ALONE = {"isolation": 1.0, "density": -1.0, "input_isolation": 1.0}  # signs of one common cause
TRUST = 10.0  # scale of the common cause: its penalty is a hundredth of what others have
PENALTIES = 10.0 ** np.arange(-2, 5)
N_FOLDS = 5
NOISE_DF = 30.0  # of the noise around its trend: nearly normal, so that far departures are believed
ENOUGH = 0.98  # reliability of the difference from which on nothing is to be gained
MOST_LEFT_OUT = 8  # blocks that `held_out_correlation` leaves out in turn


class Shrinkage(BaseEstimator):
    """Posterior mean of the true score, given what features predict and the row's own difference.

    The true score of a row is taken as mu + e. The prior mean mu is a ridge regression on means of
    the features over the encoders that saw the row and over those that did not, and on the mean level
    of its alignment. It is fitted to the differences of single blocks on features of the other
    blocks, so that no row's noise is on both sides. What the features miss, e, has a distribution
    whose spread is fitted to all rows, with heavy tails: a row that departs from its features by many
    standard errors keeps most of its difference.

    The shrunken score is biased towards the features; `Scores.unbiased` holds the difference, from
    which reliability, tests and `Scores.interval` come.

    Parameters
    ----------
    normalize : {None, "encoder", "relative", "range"}, default=None
        As in `Difference`. With None the row's own difference is taken over each encoder's mean
        alignment first and brought back to its unit.
    anchor : {"view", "clean"}, default="view"
        As in `Difference`.
    features : sequence of str
        Matrices (n_encoders, n_samples) to learn from. By default ``"isolation"``, ``"density"``,
        ``"projector_alignment"`` and ``"input_isolation"``, which `MemorizationEstimator` measures
        when the estimate asks for them; of these, one that was not measured is passed over.

    Attributes
    ----------
    needs : tuple of str
        Names of the matrices it must have.

    Notes
    -----
    It falls back to the difference, `Scores.prior_mean` being None, with fewer than two blocks or 20
    rows, for designs whose blocks don't hold both sides of every row or whose rows have roles, and
    where the reliability of the difference exceeds 0.98. The standard errors are posterior standard
    deviations: their intervals cover on average over the rows, too seldom among the truly most
    memorized ones (see docs/estimators.md).

    References
    ----------
    Efron and Morris, Data analysis using Stein's estimator and its generalizations, JASA 1975, for
    shrinkage towards a regression; Ignatiadis and Wager, Covariate-powered empirical Bayes estimation,
    NeurIPS 2019 (arXiv:1906.01611), for cross-fitting it.
    """

    def __init__(self, normalize=None, anchor="view", features=FEATURES):
        self.normalize = normalize
        self.anchor = anchor
        self.features = features

    needs = ("alignment",)

    def unbiased(self):
        """Give the estimate that stands beside it.

        Returns
        -------
        Difference
            Of the same alignments.
        """
        return Difference(self.normalize, self.anchor)

    def __call__(self, values, plan):
        """Estimate the scores.

        Parameters
        ----------
        values : mapping of str to ndarray
            As for `Difference`, and the features.
        plan : Plan

        Returns
        -------
        Scores
            `standard_error` is the posterior standard deviation, on infinite degrees of freedom.

        Raises
        ------
        ValueError
            As in `Difference`, or a feature is unknown or has another shape than the plan.
        TypeError
            `features` is one text.
        """
        if isinstance(self.features, str):
            raise TypeError(
                f"features must be a sequence of names, got the text {self.features!r}: pass "
                f"({self.features!r},)."
            )
        for name in self.features:
            if name not in values:
                named(name, dict.fromkeys(FEATURES), "features")
        base = self.unbiased()(values, plan)
        own = self._own(values, plan, base)
        learnt = self._prior_mean(values, plan, own)
        if learnt is None:
            return replace(base, unbiased=base)
        mean, shared = learnt
        found = _combine(own, mean, shared)
        return replace(
            base,
            score=found.mean,
            standard_error=found.standard_deviation,
            df=np.where(np.isfinite(found.mean), np.inf, np.nan),
            unbiased=base,
            prior_mean=mean,
            shrunken=found,
        )

    def _own(self, values, plan, base):
        """The row's own difference, without what an encoder's scale does to all rows alike.

        Some encoders put all views closer than others, which moves every difference in proportion to
        the row's alignment. Alignments over the encoder's mean are free of it; in the alignment's unit
        again they estimate the same, but for a bias of the order of the scales' variance.
        """
        whole = plan.blocks[np.isfinite(base.blocks).any(1)]  # failed ones are left out
        means = values["alignment"][np.isin(plan.block, whole)].mean(1, dtype=float)
        if self.normalize is not None or not (len(means) and (means > 0).all()):
            return base
        scale = means.mean()
        own = Difference("encoder", self.anchor)(values, plan)
        return replace(
            own,
            score=scale * own.score,
            raw_standard_error=scale * own.raw_standard_error,
            blocks=scale * own.blocks,
        )

    def _prior_mean(self, values, plan, own):
        """What the features predict, (n_samples,), and how much noise it shares with the difference.

        None where there is nothing to learn from.
        """
        names = [name for name in self.features if name in values]
        for name in names:
            if values[name].shape != plan.member.shape:
                raise ValueError(
                    f"features names {name!r}, whose values have shape {values[name].shape}: it must be "
                    f"that of the plan, {plan.member.shape}."
                )
        rows = np.isfinite(own.score)
        blocks = np.isfinite(own.blocks[:, rows]).all(1)  # failed ones are left out
        few = blocks.sum() < 2 or rows.sum() < MIN_ROWS
        level = block_means(values["alignment"], plan)
        if few or plan.roles is not None or not _paired(level, rows):
            return None
        differences = own.blocks[blocks][:, rows]
        if _too_good(differences):
            return None
        sides = [(level.inside + level.outside) / 2]
        for name in names:
            means = block_means(values[name], plan)
            sides += [means.inside, means.outside]
        sides = np.stack(sides)[:, blocks][:, :, rows]  # (n_features, n_blocks, n)

        y = differences - differences.mean(1, keepdims=True)
        n_blocks = len(differences)
        others = (sides.sum(1, keepdims=True) - sides) / (n_blocks - 1)  # of all blocks but one
        alone = np.repeat([0.0] + [ALONE.get(name, 0.0) for name in names], [1] + [2] * len(names))

        def design(features, like=None):  # (n, p) -> (n, p + 1)
            return _with_common_cause(_standardised(features, like), alone)

        x = np.stack([design(f) for f in others.transpose(1, 2, 0)])  # (n_blocks, n, p + 1)
        # a row's blocks are left out together, by its rank: no matter the rows' order
        fold = np.argsort(np.argsort(differences.mean(0))) % N_FOLDS
        folds = PredefinedSplit(np.tile(fold, n_blocks)).split()
        ridge = RidgeCV(PENALTIES, cv=list(folds)).fit(x.reshape(y.size, -1), y.ravel())
        whole = sides.mean(1).T
        mean = np.full(plan.n_samples, np.nan)
        mean[rows] = differences.mean() + ridge.predict(design(whole))

        one_block = [design(f, whole) for f in sides.transpose(1, 2, 0)]
        predicted = np.stack(one_block) @ ridge.coef_
        predicted -= predicted.mean(0)
        own_noise = differences - differences.mean(0)
        shared = (predicted * own_noise).sum() / max((own_noise**2).sum(), np.finfo(float).tiny)
        return mean, float(np.clip(shared, 0.0, 0.9))


def held_out_correlation(estimate, values, plan, level=0.95):
    """Correlation of an estimate with the true scores, seen by the differences of blocks it left out.

    Each of at most 8 blocks is left out in turn, the estimate made of the others is correlated with
    its difference, and the correlation divided by what the noise of one block leaves of it. No noise
    is shared, so an estimate that only repeats what rows have in common, such as their neighbours, earns
    nothing by it.

    Parameters
    ----------
    estimate : callable
        (values, plan) -> Scores.
    values : mapping of str to ndarray
        The pool's matrices.
    plan : Plan
        Of at least three blocks.
    level : float, default=0.95
        In (0, 1).

    Returns
    -------
    Interval
        Not clipped at 1, of the estimate by one block less than the plan has; with Student's interval
        over the blocks left out, which takes the variance of the true scores as known. NaN with fewer
        than three blocks, or where the blocks show no variance of true scores.
    """
    unbiased = getattr(estimate, "unbiased", Difference)()
    base = unbiased(values, plan).blocks
    names = plan.blocks[np.isfinite(base).any(1)]
    base = base[np.isfinite(base).any(1)]
    if len(names) < 3:
        return Interval(np.nan, np.nan, np.nan, level)
    covariance = block_covariance(base)
    signal = covariance[~np.eye(len(names), dtype=bool)].mean()
    if not signal > 0:
        return Interval(np.nan, np.nan, np.nan, level)
    found = []
    for i in np.unique(np.linspace(0, len(names) - 1, MOST_LEFT_OUT).round().astype(int)):
        rest = names[names != names[i]]
        keep = np.isin(plan.block, rest)
        score = estimate({k: v[keep] for k, v in values.items() if len(v) == len(keep)},
                         plan.take(rest)).score  # fmt: skip
        known = np.isfinite(score) & np.isfinite(base[i])
        shared = np.cov(score[known], base[i][known])
        found.append(shared[0, 1] / np.sqrt(shared[0, 0] * signal))
    found = np.array(found)
    half = found.std(ddof=1) / np.sqrt(len(found)) * stats.t.ppf((1 + level) / 2, len(found) - 1)
    return Interval(
        float(found.mean()), float(found.mean() - half), float(found.mean() + half), level
    )


def _combine(own, mean, shared):
    """Posterior of the true scores around a prior mean.

    Noise and what the features miss both grow with the score. In units of the noise that rows of such
    a score have, found by a first guess, one prior and one noise suit all rows; the variance of a row's
    own few blocks says less than it confuses, high scores having the larger ones. A share of the
    difference's noise is in the features too, which are read from the same encoders: of that part the
    difference tells nothing against the prior mean, and it stays in the error of the sum.
    """
    variance = own.raw_standard_error**2
    usable = np.isfinite(own.score) & (np.nan_to_num(variance) > 0) & np.isfinite(mean)
    departure = own.score - mean
    noise = (1 - shared) * variance[usable]
    spread = departure_variance(departure[usable], noise)
    first = mean + spread / (spread + noise.mean()) * departure
    scale = np.sqrt(variance_trend(variance, own.raw_df, first))
    unit = np.ones(len(mean))
    return Posterior(departure / scale, (1 - shared) * unit, NOISE_DF * unit, usable, 0, mean, scale,
                     fit_unimodal_prior, shared * unit)  # fmt: skip


def _paired(means, rows):
    """Whether every block holds both sides of every scored row."""
    kept = ((means.n_inside + means.n_outside) > 0).any(1)
    return bool(((means.n_inside > 0) & (means.n_outside > 0))[kept][:, rows].all())


def _too_good(differences):
    """Whether the difference is so reliable that nothing is to be gained."""
    return not np.ptp(differences.mean(0)) > 0 or reliability(differences).value > ENOUGH


def _with_common_cause(x, signs):
    """Append what features of known sign say together: (n, p + 1).

    That lone rows are memorized more held on all data tried, so this one slope is learnt almost without
    penalty, and from few blocks; the others are learnt as departures from it.
    """
    if not signs.any():
        return x
    common = x @ (signs / np.abs(signs).sum())
    return np.column_stack([x, TRUST * common])


def _standardised(features, like=None):
    """Columns less the mean and over the standard deviation of their own, or of others: (n, p)."""
    like = features if like is None else like
    scale = like.std(0)
    return (features - like.mean(0)) / np.where(scale > 0, scale, 1.0)
