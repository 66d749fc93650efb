"""The long tail's theory made runnable: a mixture of subpopulations and the closed forms of its errors."""

from __future__ import annotations

import numbers
from collections.abc import Mapping

import numpy as np
from scipy import special
from sklearn.base import BaseEstimator

from .._compat import check_in_range, shown
from ..randomness import derive_seed, entropy_of, generator

__all__ = ["LongTailSimulator"]


class LongTailSimulator(BaseEstimator):
    """Mixture of subpopulations with Zipf frequencies, and the closed forms of its theory.

    Subpopulation j has a frequency, a label and a centre; its points are normal around the centre.
    The frequencies are those of the list j^-exponent / sum_i i^-exponent, j = 1..N, in random order,
    labels are drawn independently and uniformly, centres from a standard normal distribution.

    Parameters
    ----------
    n_subpopulations : int, default=500
        N, at least 2.
    exponent : float, default=1.0
        Of the Zipf list; at least 0, where 0 makes all frequencies equal.
    n_samples : int, default=500
        Size n of the training sample that the closed forms speak of; at least 1.
    n_features : int, default=20
        Dimensions d; at least 1.
    spread : float, default=0.5
        Standard deviation of a point around its centre in each dimension, at least 0; that of the
        centres is 1. The smaller, the surer a point's nearest neighbour is of its own subpopulation.
    n_classes : int, default=10
        Labels k; at least 2.
    random_state : int, default=0
        Of frequencies' order, labels and centres: the same int is the same population.

    Attributes
    ----------
    frequencies_ : ndarray of shape (n_subpopulations,)
        Probability of each subpopulation.
    labels_ : ndarray of int, shape (n_subpopulations,)
        Its label, 0 to k - 1.
    centres_ : ndarray of float32, shape (n_subpopulations, n_features)
        Its centre.

    Notes
    -----
    Feldman draws each frequency from a list (the prior) independently, with replacement, and
    normalises them; all his results go by the marginal distribution of one frequency alpha. Here the
    list is dealt out without replacement, so that this marginal is the list itself, its entries
    equally likely, and expectations over it are finite sums. By Bayes' rule a subpopulation seen l
    times in n draws, whatever else was seen, has the expected frequency

        tau(l) = E[alpha^(l+1) (1-alpha)^(n-l)] / E[alpha^l (1-alpha)^(n-l)].

    A learner that errs on a subpopulation by its count alone, with errn(l) of those seen l times
    misclassified, therefore has the expected error

        optimal_error() + sum_{l >= 1} tau(l) errn(l)

    if it guesses on subpopulations it never saw. That is the form of Feldman's theorem 2.3, which
    bounds the error of any learner from below.

    References
    ----------
    Feldman, Does learning require memorization? A short tale about a long tail, STOC 2020
    (arXiv:1906.05271).

    Examples
    --------
    >>> from sslmemo.experiments.mixture import LongTailSimulator
    >>> simulator = LongTailSimulator(n_subpopulations=100, n_samples=200)
    >>> X, y, subpopulation = simulator.sample(random_state=0)
    >>> X.shape
    (200, 20)
    >>> bool(simulator.tau(1) > 0.5 / 200)  # one singleton weighs about 1 / n
    True
    """

    def __init__(self, n_subpopulations=500, exponent=1.0, n_samples=500, n_features=20,
                 spread=0.5, n_classes=10, random_state=0):  # fmt: skip
        self.n_subpopulations = n_subpopulations
        self.exponent = exponent
        self.n_samples = n_samples
        self.n_features = n_features
        self.spread = spread
        self.n_classes = n_classes
        self.random_state = random_state

    @property
    def frequencies_(self):
        """Probability of each subpopulation, (N,)."""
        return self._rng("frequencies").permutation(self._prior())

    @property
    def labels_(self):
        """Label of each subpopulation, (N,)."""
        rng = self._rng("labels")
        return rng.integers(self.n_classes, size=self.n_subpopulations)

    @property
    def centres_(self):
        """Centre of each subpopulation, (N, d)."""
        size = self.n_subpopulations, self.n_features
        return self._rng("centres").standard_normal(size, np.float32)

    def sample(self, n_samples=None, random_state=0):
        """Draw independent points of the mixture.

        Parameters
        ----------
        n_samples : int, default=None
            How many, at least 1; None is the simulator's own n.
        random_state : int, RandomState instance or None, default=0
            Of the draw; the population is the same for all.

        Returns
        -------
        X : ndarray of float32, shape (n_samples, n_features)
            Points.
        y : ndarray of int, shape (n_samples,)
            Labels.
        subpopulation : ndarray of int, shape (n_samples,)
            Where each point comes from, 0 to N - 1.

        Raises
        ------
        TypeError, ValueError
            A parameter is wrong.
        """
        n = self.n_samples if n_samples is None else n_samples
        check_in_range("n_samples", n, numbers.Integral, 1)
        frequencies, entropy = self.frequencies_, entropy_of(random_state)
        rng = generator(entropy, "long tail", "which")
        which = rng.choice(len(frequencies), size=n, p=frequencies)
        X, y = self.points(which, derive_seed(entropy, "points of a sample"))
        return X, y, which

    def points(self, subpopulation, random_state=0):
        """Draw a fresh point of each given subpopulation.

        Parameters
        ----------
        subpopulation : array-like of int, shape (m,)
            From 0 to N - 1, as often as points are wanted.
        random_state : int, RandomState instance or None, default=0
            Of the draw.

        Returns
        -------
        X : ndarray of float32, shape (m, n_features)
            Points.
        y : ndarray of int, shape (m,)
            Labels.

        Raises
        ------
        TypeError, ValueError
            A parameter is wrong, or there is no such subpopulation.
        """
        self._check()
        which = np.asarray(subpopulation)
        if which.ndim != 1 or which.dtype.kind not in "iu":
            raise TypeError(f"subpopulation must be a list of ints, got {shown(subpopulation)}.")
        if len(which) and not 0 <= which.min() <= which.max() < self.n_subpopulations:
            raise ValueError(
                f"subpopulation must lie between 0 and {self.n_subpopulations - 1}, got "
                f"{which.min()} to {which.max()}."
            )
        rng = generator(entropy_of(random_state), "long tail", "points")
        noise = rng.standard_normal((len(which), self.n_features), np.float32)
        return self.centres_[which] + np.float32(self.spread) * noise, self.labels_[which]

    def tau(self, count):
        """Expected frequency of a subpopulation that was seen `count` times in n draws.

        Parameters
        ----------
        count : int or array-like of int
            How often, l: from 0 to n.

        Returns
        -------
        float or ndarray
            In (0, 1), of the shape of `count`; see the notes of the class.

        Raises
        ------
        TypeError, ValueError
            `count` is no int from 0 to n.
        """
        count = self._counts(count)
        seen = self._log_moment(count, count)
        return _number(np.exp(self._log_moment(count + 1, count) - seen))

    def expected_number(self, count):
        """Expected number of subpopulations that are seen `count` times in n draws.

        Parameters
        ----------
        count : int or array-like of int
            How often, l: from 0 to n.

        Returns
        -------
        float or ndarray
            N C(n, l) E[alpha^l (1-alpha)^(n-l)], in [0, N], of the shape of `count`.

        Raises
        ------
        TypeError, ValueError
            `count` is no int from 0 to n.
        """
        count = self._counts(count)
        n = self.n_samples
        choose = special.gammaln(n + 1) - special.gammaln(count + 1)
        choose -= special.gammaln(n - count + 1)
        return _number(self.n_subpopulations * np.exp(choose + self._log_moment(count, count)))

    def marginal_value(self, count):
        """Excess error to expect from misclassifying all subpopulations seen `count` times.

        Parameters
        ----------
        count : int or array-like of int
            How often, l: from 0 to n.

        Returns
        -------
        float or ndarray
            ``tau(l) * expected_number(l)``, in [0, 1], of the shape of `count`: the expected
            probability mass of these subpopulations. Summed over l it is 1. At l = 0 it is the mass
            never seen.

        Raises
        ------
        TypeError, ValueError
            `count` is no int from 0 to n.
        """
        return self.tau(count) * self.expected_number(count)

    def optimal_error(self):
        """Least expected error of any learner: seen subpopulations right, the others a guess.

        Returns
        -------
        float
            ``marginal_value(0) * (1 - 1 / n_classes)``, over samples and labellings.
        """
        return self.marginal_value(0) * (1 - 1 / self.n_classes)

    def excess_error(self, errors_by_count):
        """Error above the optimum of a learner that misclassifies seen subpopulations.

        Parameters
        ----------
        errors_by_count : dict of int to float
            For a count l from 1 to n, the expected number errn(l) of subpopulations seen l times
            that are misclassified (a share of one counts as that share); absent counts have none.

        Returns
        -------
        float
            Sum over l of tau(l) errn(l).

        Raises
        ------
        TypeError, ValueError
            It is no dict, a count is no int from 1 to n, or a number is negative or not finite.
        """
        if not isinstance(errors_by_count, Mapping):
            raise TypeError(
                f"errors_by_count must be a dict of count to number, got {shown(errors_by_count)}."
            )
        for count, errors in errors_by_count.items():
            check_in_range("a count of errors_by_count", count, numbers.Integral, 1, self.n_samples)
            name = f"errors_by_count[{count}]"
            check_in_range(name, errors, numbers.Real, 0, finite=True)
        if not errors_by_count:
            return 0.0
        return float(self.tau(list(errors_by_count)) @ np.array(list(errors_by_count.values())))

    def _check(self):
        check_in_range("n_subpopulations", self.n_subpopulations, numbers.Integral, 2)
        check_in_range("exponent", self.exponent, numbers.Real, 0, finite=True)
        check_in_range("n_samples", self.n_samples, numbers.Integral, 1)
        check_in_range("n_features", self.n_features, numbers.Integral, 1)
        check_in_range("spread", self.spread, numbers.Real, 0, finite=True)
        check_in_range("n_classes", self.n_classes, numbers.Integral, 2)
        check_in_range("random_state", self.random_state, numbers.Integral, 0)

    def _rng(self, word):
        self._check()
        return generator(int(self.random_state), "long tail", word)

    def _prior(self):
        """The list of frequencies, descending: (N,)."""
        weight = np.arange(1, self.n_subpopulations + 1) ** -float(self.exponent)
        return weight / weight.sum()

    def _counts(self, count):
        self._check()
        counts = np.asarray(count)
        if counts.dtype.kind not in "iu":
            raise TypeError(f"count must be an int or a list of ints, got {shown(count)}.")
        if counts.size and not 0 <= counts.min() <= counts.max() <= self.n_samples:
            raise ValueError(
                f"count must lie between 0 and n_samples={self.n_samples}, got {shown(count)}."
            )
        return counts.astype(float)

    def _log_moment(self, power, count):
        """log E[alpha^power (1-alpha)^(n-count)]; the logarithm, because it underflows."""
        alpha = self._prior()
        rest = (self.n_samples - count)[..., None]
        terms = special.xlogy(power[..., None], alpha) + special.xlog1py(rest, -alpha)
        return special.logsumexp(terms, axis=-1) - np.log(len(alpha))


def _number(values):
    return float(values) if np.ndim(values) == 0 else values
