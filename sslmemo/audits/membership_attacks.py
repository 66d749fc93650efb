"""Membership attacks: from a pool's matrices to a score of every encoder and row, higher = member.

An attack on an encoder is fitted on the other *blocks* alone. Memberships of a block complement each
other, so that the encoder's partner tells its members from its non-members exactly.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone

from .._compat import check_choice, check_in_range
from ..estimates.variance import MAX_DF, fit_prior_df, log_variance_offset
from ..training.supervised import default_classifier

__all__ = ["ATTACKS", "RMIA", "Attack", "BaVarIA", "ClassifierAttack", "LiRA", "Threshold"]

FLOOR = 1e-12  # of a row's variance, as a share of the pooled one


class Attack(BaseEstimator):
    """Base of the attacks: the target's whole block is left out of what `_score` sees."""

    of = "alignment"

    @property
    def needs(self):
        """Names of the matrices it reads: tuple of str."""
        return (self.of,)

    def scores(self, values, plan):
        """Score every encoder and row as a member.

        Parameters
        ----------
        values : mapping of str to ndarray
            Of every encoder; those of `needs`, shape (n_encoders, n_samples, ...), finite.
        plan : Plan
            Of at least three blocks.

        Returns
        -------
        ndarray of float, shape (n_encoders, n_samples)
            Higher = rather a member. NaN for a row that the plan does not use for the encoder, or of which
            the other blocks hold too little.
        """
        values, use = np.asarray(values[self.of], dtype=float), plan.as_f | plan.as_g
        inside, outside = use & plan.member, use & ~plan.member
        position = np.searchsorted(plan.blocks, plan.block)
        found = np.full(use.shape, np.nan)
        for i in range(len(plan.blocks)):
            own = position == i
            others = np.argsort((position - i - 1) % len(plan.blocks), kind="stable")
            others = others[: -own.sum()]  # in the order of the blocks after its own
            found[own] = self._score(values[own], values[others], inside[others], outside[others])
        return np.where(use, found, np.nan)

    def _score(self, target, shadows, inside, outside):
        """Score a block (j, n) by the encoders of the others (k, n): (j, n)."""
        raise NotImplementedError


class Threshold(Attack):
    """The plain attack on a loss: low alignment counts as membership, without any reference.

    On a cosine distance it is EncoderMI-T, which thresholds the mean similarity of a row's views.

    Parameters
    ----------
    of : str, default="alignment"
        Name of the matrix, low for members.

    References
    ----------
    Yeom et al., Privacy risk in machine learning, CSF 2018 (arXiv:1709.01604).
    """

    def __init__(self, of="alignment"):
        self.of = of

    def _score(self, target, shadows, inside, outside):
        return -target


class LiRA(Attack):
    """Likelihood ratio of two Gaussians a row: its alignment under encoders with it, and without it.

    Online: log N(a; in) - log N(a; out). Offline: -log P(A <= a) for A of the Gaussian without the row.

    Parameters
    ----------
    variance : {"row", "global"}, default="row"
        A variance for each row and side, or one a side, pooled over rows around their own means.
    offline : bool, default=False
        Use the encoders without the row only.
    of : str, default="alignment"
        Name of the matrix, low for members.

    References
    ----------
    Carlini et al., Membership inference attacks from first principles, IEEE S&P 2022
    (arXiv:2112.03570), there for the logit of a classifier's confidence.
    """

    def __init__(self, variance="row", offline=False, of="alignment"):
        self.variance = variance
        self.offline = offline
        self.of = of

    def _score(self, target, shadows, inside, outside):
        check_choice("variance", self.variance, ("row", "global"))
        out = _Side.of(shadows, outside)
        spread = out.variance(self.variance) ** 0.5
        if self.offline:
            return -stats.norm.logcdf(target, out.mean, spread)
        inn = _Side.of(shadows, inside)
        return stats.norm.logpdf(target, inn.mean, inn.variance(self.variance) ** 0.5) - (
            stats.norm.logpdf(target, out.mean, spread)
        )


class RMIA(Attack):
    """Share of other rows that the row's likelihood ratio beats.

    With p = exp(-alignment / tau), tau the pooled standard deviation of a row's alignments on one side:
    ratio(x) = p(x) under the target over its mean p(x) under reference encoders, and the score is the
    share of rows z with ratio(x) / ratio(z) >= gamma. For a given encoder it is monotone in ratio(x), up
    to ties; the rows z make encoders comparable.

    Parameters
    ----------
    gamma : float, default=1.0
        Above 0.
    offline : bool, default=False
        Use the encoders without the row only: p(x) = ((1 + a) p_out(x) + 1 - a) / 2.
    a : float, default=1.0
        Of the offline mean, in [0, 1]. At 1 members are not modelled.
    of : str, default="alignment"
        Name of the matrix, low for members.

    References
    ----------
    Zarifzadeh, Liu and Shokri, Low-cost high-power membership inference attacks, ICML 2024
    (arXiv:2312.03262), there with a classifier's confidence as p; p from an alignment is ours.
    """

    def __init__(self, gamma=1.0, offline=False, a=1.0, of="alignment"):
        self.gamma = gamma
        self.offline = offline
        self.a = a
        self.of = of

    def _score(self, target, shadows, inside, outside):
        check_in_range("gamma", self.gamma, numbers.Real, 0, open_low=True, finite=True)
        check_in_range("a", self.a, numbers.Real, 0, 1)
        inn, out = _Side.of(shadows, inside), _Side.of(shadows, outside)
        tau = (out.pooled if self.offline else (inn.pooled + out.pooled) / 2) ** 0.5
        if not np.isfinite(tau):
            return np.full(target.shape, np.nan)
        log_out = _log_mean_exp(-shadows / tau, outside)
        if not self.offline:
            log_mean = np.logaddexp(_log_mean_exp(-shadows / tau, inside), log_out) - np.log(2)
        elif self.a == 1:
            log_mean = log_out
        else:
            log_mean = np.logaddexp(np.log1p(self.a) + log_out, np.log1p(-self.a)) - np.log(2)
        return np.stack([_share_beaten(r, np.log(self.gamma)) for r in -target / tau - log_mean])


class BaVarIA(Attack):
    """Likelihood ratio of posterior predictives, with a normal-inverse-gamma prior on each side.

    Mean and variance of a row's alignments have the conjugate prior NIG(m0, k0, d0 / 2, d0 s0^2 / 2) on
    each side. Its parameters come from all rows by moments: m0 and k0 from the spread of the rows' means,
    d0 and s0^2 from that of their log variances (Smyth 2004). With few encoders a row's variance is thus
    drawn to the others'.

    Parameters
    ----------
    predictive : {"t", "normal"}, default="t"
        Student's t, which follows from the prior; or a Gaussian of the posterior's mean and variance
        beta / alpha.
    offline : bool, default=False
        Use the encoders without the row only, as `LiRA` does.
    of : str, default="alignment"
        Name of the matrix, low for members.

    References
    ----------
    Brännvall, Exponential-family membership inference: from LiRA and RMIA to BaVarIA, 2026
    (arXiv:2603.11799), whose prior's parameters may be set otherwise. Smyth, SAGMB 2004.
    """

    def __init__(self, predictive="t", offline=False, of="alignment"):
        self.predictive = predictive
        self.offline = offline
        self.of = of

    def _score(self, target, shadows, inside, outside):
        check_choice("predictive", self.predictive, ("t", "normal"))
        out = self._predictive(_Side.of(shadows, outside))
        if self.offline:
            return -out.logcdf(target)
        return self._predictive(_Side.of(shadows, inside)).logpdf(target) - out.logpdf(target)

    def _predictive(self, side):
        m0, k0, d0, s0 = nig_prior(side.n, side.mean, side.squares)
        k, alpha = k0 + side.n, (d0 + side.n) / 2
        mean = (k0 * m0 + side.n * side.mean) / k
        beta = (d0 * s0 + side.squares + k0 * side.n / k * (side.mean - m0) ** 2) / 2
        if self.predictive == "normal":
            return stats.norm(mean, np.sqrt(beta / alpha))
        return stats.t(2 * alpha, mean, np.sqrt(beta / alpha * (k + 1) / k))


class ClassifierAttack(Attack):
    """A classifier of features that one encoder gives of a row, trained on encoders of other blocks.

    With ``of="view_similarity"`` (`sslmemo.measurements.ViewSimilarity`) it is EncoderMI's vector attack,
    with ``"crop_response"`` (`CropResponse`) PartCrop, both in their essentials: theirs are small networks,
    trained on one shadow encoder.

    Parameters
    ----------
    of : str
        Name of the array, shape (n_encoders, n_samples, n_features).
    classifier : scikit-learn classifier, default=None
        None is logistic regression on standardised features.
    n_shadows : int, default=8
        Encoders it is trained on, of the blocks that follow the target's; at least 1.

    References
    ----------
    Liu et al., EncoderMI: membership inference against pre-trained encoders in contrastive learning, CCS
    2021 (arXiv:2108.11023). Zhu et al., A unified membership inference method for visual self-supervised
    encoder via part-aware capability, CCS 2024 (arXiv:2404.02462).
    """

    def __init__(self, of, classifier=None, n_shadows=8):
        self.of = of
        self.classifier = classifier
        self.n_shadows = n_shadows

    def _score(self, target, shadows, inside, outside):
        check_in_range("n_shadows", self.n_shadows, numbers.Integral, 1)
        if target.ndim != 3:
            raise ValueError(
                f"{self.of!r} is a matrix: a ClassifierAttack reads features, of shape (n_encoders, "
                "n_samples, n_features), such as those of ViewSimilarity."
            )
        chosen = slice(0, self.n_shadows)
        use = (inside | outside)[chosen]
        model = default_classifier() if self.classifier is None else self.classifier
        model = clone(model).fit(shadows[chosen][use], inside[chosen][use])
        flat = target.reshape(-1, target.shape[-1])
        if hasattr(model, "decision_function"):
            found = model.decision_function(flat)
        else:
            found = model.predict_proba(flat)[:, 1]
        return found.reshape(target.shape[:2])


@dataclass(frozen=True)
class _Side:
    """Alignments of every row under the encoders on one side."""

    n: np.ndarray  # (n_samples,)
    mean: np.ndarray  # NaN where there is none
    squares: np.ndarray  # sum of squared deviations

    @classmethod
    def of(cls, values, use):
        n, origin = use.sum(0), values[0]  # equal values have exactly that mean
        total = np.where(use, values - origin, 0.0).sum(0)
        mean = np.where(n > 0, origin + total / np.maximum(n, 1), np.nan)
        return cls(n, mean, np.where(use, (values - mean) ** 2, 0.0).sum(0))

    @property
    def pooled(self):
        """Variance pooled over rows: float, NaN without degrees of freedom or spread."""
        df, total = np.maximum(self.n - 1, 0).sum(), self.squares.sum()
        return total / df if df and total > 0 else np.nan

    def variance(self, kind):
        """Variance of every row; NaN where a row's own can't be told."""
        if kind == "global":
            return np.where(self.n > 0, self.pooled, np.nan)
        own = np.where(self.n > 1, self.squares / np.maximum(self.n - 1, 1), np.nan)
        return np.maximum(own, FLOOR * self.pooled)


def nig_prior(n, mean, squares):
    """Normal-inverse-gamma prior of the rows' means and variances, by moments.

    Parameters
    ----------
    n : ndarray of int, shape (n_samples,)
        Observations of each row.
    mean, squares : ndarray of float, shape (n_samples,)
        Their mean, and their sum of squared deviations from it.

    Returns
    -------
    m0, k0, d0, s0 : float
        A row's variance is d0 s0 over a chi-square on d0 degrees of freedom, its mean normal around m0 with
        that variance over k0. NaN where no row has two observations and a variance.
    """
    usable = (n > 1) & (squares > 0)
    if not usable.any():
        return np.nan, np.nan, np.nan, np.nan
    k, mean, variance = n[usable], mean[usable], squares[usable] / (n[usable] - 1)
    logs = np.log(variance) - log_variance_offset(k - 1.0)
    d0 = fit_prior_df(logs.var(ddof=1), k - 1.0) if len(k) > 1 else MAX_DF
    s0 = np.exp(logs.mean() + log_variance_offset(d0))
    between = mean.var(ddof=1) if len(k) > 1 else 0.0
    typical = variance.mean()
    k0 = typical / max(between - (variance / k).mean(), FLOOR * typical)
    return float(mean.mean()), float(k0), float(d0), float(s0)


def _log_mean_exp(values, use):
    """Log of the mean of exp over some encoders (k, n): (n,), NaN where a row has none."""
    n = use.sum(0)
    total = logsumexp(np.where(use | (n == 0), values, -np.inf), axis=0)
    return np.where(n > 0, total - np.log(np.maximum(n, 1)), np.nan)


def _share_beaten(ratio, log_gamma):
    """Share of the other rows whose log ratio is lower by log gamma at least: (n,)."""
    known = np.isfinite(ratio)
    beaten = np.searchsorted(np.sort(ratio[known]), ratio - log_gamma, side="right")
    found = (beaten - (log_gamma <= 0)) / max(known.sum() - 1, 1)
    return np.where(known, found, np.nan)


ATTACKS = {
    "threshold": Threshold(),
    "lira": LiRA(),
    "lira_global": LiRA(variance="global"),
    "lira_offline": LiRA(offline=True),
    "rmia": RMIA(),
    "rmia_offline": RMIA(offline=True),
    "bavaria": BaVarIA(),
    "bavaria_normal": BaVarIA(predictive="normal"),
    "bavaria_offline": BaVarIA(offline=True),
    "encodermi": ClassifierAttack("view_similarity"),
    "partcrop": ClassifierAttack("crop_response"),
}
