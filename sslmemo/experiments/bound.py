"""How well does the theory of contrastive learning explain an encoder? Huang et al.'s bound, measured."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
import torch

from .._compat import check_in_range, shown
from ..augmentations import build_augmentation
from ..augmentations.views import Views
from ..encoder import SSLEncoder
from ..randomness import derive_seed, entropy_of, usual_torch
from ..sources import check_labels
from ..table import ScoreTable
from .concentration import apart, look

__all__ = ["GeneralizationBound", "generalization_bound"]

LEVELS = 20  # sizes of a main part, and of eps, that are tried
ROUNDING = 1e-6  # least slack that counts
# Where no condition holds, slack alone would choose an empty main part, in which nothing is far: the
# largest slack counts among pairs that keep this share of the class, or the largest share there is.
MOST = 0.9


@dataclass(frozen=True, repr=False)
class GeneralizationBound:
    """What bounds the error of the nearest-centre classifier, class by class, and that error.

    Attributes
    ----------
    classes : ndarray of shape (K,)
        Labels, sorted.
    n_samples : ndarray of int, shape (K,)
        Rows of each class.
    shares : ndarray of shape (L,)
        Shares of a class, ascending to 1.
    diameters : ndarray of shape (K, L)
        Concentration: the least delta at which the ball construction finds a main part of that
        share, in the unit of the network's input. Read the other way round, sigma as a function of
        delta, see `concentration`.
    sigma : ndarray of shape (K,)
        Share of the class in its main part; a lower bound of the largest one.
    delta : ndarray of shape (K,)
        The main part's diameter in d_A is at most this.
    eps : ndarray of shape (K,)
        Distance of normalised representations, in [0, 2], up to which a row's views are aligned.
    unaligned : ndarray of shape (K,)
        R_eps: share of the class's rows with two views further apart than `eps`.
    jump : ndarray of shape (K,)
        Largest distance between representations of the views through which rows of the main part
        are near; stands for L delta, L being the encoder's Lipschitz constant.
    centers : ndarray of shape (K, d)
        Mean normalised representation of the views of each class.
    slack : ndarray of shape (K,)
        Right minus left side of the divergence condition, see `generalization_bound`.
    holds : ndarray of bool, shape (K,)
        Whether the condition holds, so that `bound` is one.
    error : ndarray of shape (K,)
        Measured: share of the class's rows that lie nearer to another centre.
    error_test, unaligned_test : ndarray of shape (K,), or None
        The same for held-out rows, with these centres and `eps`; NaN for a class without any.
    n_test : ndarray of int, shape (K,), or None
        Held-out rows of each class.
    n_views : int
        Views drawn of each row, to which the row itself is added.
    """

    classes: np.ndarray
    n_samples: np.ndarray
    shares: np.ndarray
    diameters: np.ndarray
    sigma: np.ndarray
    delta: np.ndarray
    eps: np.ndarray
    unaligned: np.ndarray
    jump: np.ndarray
    centers: np.ndarray
    slack: np.ndarray
    holds: np.ndarray
    error: np.ndarray
    n_views: int
    error_test: np.ndarray | None = None
    unaligned_test: np.ndarray | None = None
    n_test: np.ndarray | None = None

    def __repr__(self):
        return self.summary()

    @property
    def bound(self):
        """(1 - sigma) + R_eps of each class, (K,), in [0, 2]; bounds its error where `holds`."""
        return (1 - self.sigma) + self.unaligned

    @property
    def certified(self):
        """What is proved of each class's error, (K,), in [0, 1]: 1 where the theorem is silent."""
        return np.where(self.holds, np.minimum(self.bound, 1.0), 1.0)

    @property
    def overall_bound(self):
        """`certified` averaged over the rows; always at least `overall_error`."""
        return float(np.average(self.certified, weights=self.n_samples))

    @property
    def overall_error(self):
        """`error` averaged over the rows."""
        return float(np.average(self.error, weights=self.n_samples))

    @property
    def overall_error_test(self):
        """`error_test` averaged over the held-out rows; NaN without any."""
        if self.n_test is None:
            return np.nan
        seen = self.n_test > 0
        return float(np.average(self.error_test[seen], weights=self.n_test[seen]))

    def concentration(self, delta):
        """Tell sigma as a function of delta.

        Parameters
        ----------
        delta : float
            Diameter, not negative, in the unit of the network's input.

        Returns
        -------
        ndarray of shape (K,)
            Largest of `shares` that the construction reaches within `delta`; 0 below the first.
        """
        reached = (self.diameters <= delta).sum(1)
        return np.concatenate([[0.0], self.shares])[reached]

    def table(self):
        """Give one row a class.

        Returns
        -------
        ScoreTable
            With the columns class, n_samples, sigma, delta, eps, unaligned, jump, norm (of the
            centre), slack, holds, bound, certified, error and, with held-out rows, n_test,
            unaligned_test, error_test.
        """
        columns = {"class": self.classes, "n_samples": self.n_samples}
        for name in ("sigma", "delta", "eps", "unaligned", "jump"):
            columns[name] = getattr(self, name)
        columns["norm"] = np.linalg.norm(self.centers, axis=1)
        for name in ("slack", "holds", "bound", "certified", "error"):
            columns[name] = getattr(self, name)
        if self.n_test is not None:
            for name in ("n_test", "unaligned_test", "error_test"):
                columns[name] = getattr(self, name)
        return ScoreTable(columns)

    def summary(self):
        """Say in words what is proved and what was measured.

        Returns
        -------
        str
            A few lines.
        """
        n_classes, n_holds = len(self.classes), int(self.holds.sum())
        lines = [
            f"Nearest-centre error {self.overall_error:.3f} on these {self.n_samples.sum()} rows"
        ]
        if self.n_test is not None:
            lines[0] += f", {self.overall_error_test:.3f} on {self.n_test.sum()} held-out rows"
        lines[0] += f"; {n_classes} classes, {self.n_views} views a row."
        if n_holds == 0:
            lines.append(
                "The divergence condition fails for every class (slack from "
                f"{self.slack.min():.2f} to {self.slack.max():.2f}): the theorem says nothing here, and "
                "(1 - sigma) + R_eps bounds no error."
            )
        else:
            lines.append(
                f"The divergence condition holds for {n_holds} of {n_classes} classes; with 1 for the "
                f"others, the error is at most {self.overall_bound:.3f}"
                + (", which is vacuous." if self.overall_bound >= 1 else ".")
            )
        for i, label in enumerate(self.classes):
            said = "condition holds" if self.holds[i] else "condition fails"
            if self.holds[i] and self.bound[i] >= 1:
                said += ", bound vacuous"
            lines.append(
                f"class {label}: (1 - {self.sigma[i]:.2f}) + {self.unaligned[i]:.2f} = "
                f"{self.bound[i]:.2f} at delta {self.delta[i]:.3g}, eps {self.eps[i]:.3g}; {said} "
                f"(slack {self.slack[i]:.2f}); error {self.error[i]:.3f}"
            )
        lines.append(
            "The statement is exact for these rows and drawn views; more views or other rows can only "
            "be inferred from them."
        )
        return "\n".join(lines)


@usual_torch()
def generalization_bound(encoder, X, y, *, X_test=None, y_test=None, n_views=32, eps=None,
                         delta=None, random_state=0):  # fmt: skip
    """Measure the terms of Huang et al.'s bound on an encoder's downstream error.

    Parameters
    ----------
    encoder : SSLEncoder or MemorizationEstimator
        Fitted; of the latter its `encoder_`.
    X : array-like or dataset
        The rows of fit, or others of their shape; a table's augmentation takes them as reference.
    y : array-like of shape (n_samples,)
        Classes, at least two.
    X_test, y_test : array-like, default=None
        Held-out rows of the same classes, on which alignment and error are measured too.
    n_views : int, default=32
        Views drawn of each row, at least 1. More views make R_eps larger and delta smaller.
    eps : float, default=None
        In (0, 2], for all classes. None takes for each class, of 20 quantiles of its rows' largest
        distances between views, the one that gives the best bound; where the condition holds for
        none, that of the largest slack with 90% of the class aligned in its main part.
    delta : float, default=None
        Diameter of the main parts, above 0, in the unit of the network's input (pixels in
        [0, 1], standardised columns). None takes the best of 20 sizes of the main part.
    random_state : int, RandomState instance or None, default=0
        Of the views.

    Returns
    -------
    GeneralizationBound
        With `table` and `summary`. Compare encoders, such as those with and without memorized
        rows, by calling this for each with the same rows and `random_state`.

    Raises
    ------
    TypeError, ValueError
        The encoder is none or not fitted, labels are missing or of one class, or a number lies
        out of range.

    Notes
    -----
    f is the encoder with representations of unit length, and A(x) holds the row x and its drawn
    views. The augmentation distance of two rows, d_A, is the least distance between their views.
    Class k has a main part of share sigma if all its pairs lie within delta of each other in d_A.
    The largest one is hard to find; here it is rows with a view within delta / 2 of one point, a
    row of the class (at most 512 are tried), so that any two are within delta by the triangle
    inequality: a lower bound of sigma. R_eps is the share of rows of which two views are further
    than eps apart after f.

    Let s be the share of class k that is in the main part and aligned, `jump` J the largest distance
    after f between the views by which rows of the main part are near, and a = min(2, 2 eps + J).
    For x in that share, and any view v of another such row, ||f(x) - f(v)|| <= a, hence
    f(x) mu_k >= s (1 - a^2 / 2) - (1 - s) = 1 - rho. Therefore x is nearest to its own centre if

        mu_k mu_l < 1 - rho - sqrt(2 rho) - (1 - min_j ||mu_j||^2) / 2    for all l != k,

    and the class's error is at most 1 - s <= (1 - sigma) + R_eps. This is the argument of the
    paper [1]_, but J is measured where the paper has a Lipschitz constant times delta, each class
    has sigma, delta and eps of its own, and the constants are those derived here. The condition
    needs a positive right side, so s above 0.86: it fails for many encoders that classify well.

    On the rows and views at hand this is a theorem without error; for the distribution behind them
    it is an estimate, and optimistic, because the largest distance over all views exceeds
    that over the drawn ones.

    Time is that of embedding all views, and of distances between 512 rows and all views of each
    class; memory is 4 n_samples (n_views + 1) d bytes for representations of length d.

    References
    ----------
    .. [1] W. Huang, M. Yi, X. Zhao and Z. Jiang, "Towards the Generalization of Contrastive
       Self-Supervised Learning", ICLR 2023, arXiv:2111.00743.
    """
    reader, encoder = encoder, _encoder_of(encoder)  # the reader knows the columns' names
    check_in_range("n_views", n_views, numbers.Integral, 1, 1024)
    if eps is not None:
        check_in_range("eps", eps, numbers.Real, 0, 2, open_low=True)
    if delta is not None:
        check_in_range("delta", delta, numbers.Real, 0, open_low=True, finite=True)
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test come together: pass both or neither.")
    data, entropy = reader._read(X), entropy_of(random_state)
    classes, label = np.unique(check_labels(y, len(data)), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has one class, {classes[0]!s}: at least 2 are needed.")
    held_out = None
    if X_test is not None:
        held_out = reader._read(X_test)
        label_test = _labels_among(classes, y_test, len(held_out))
    views = Views(build_augmentation(encoder.augmentation, data))
    seen = look(encoder, views, data, n_views, derive_seed(entropy, "bound"), label)
    centers = np.stack([seen.mean[label == k].mean(0) for k in range(len(classes))])
    wrong = _nearest(seen.z[:, 0], centers) != label

    gram = centers @ centers.T
    norms = np.diag(gram).copy()
    np.fill_diagonal(gram, -np.inf)
    allowed = 1 - (1 - norms.min()) / 2 - gram.max(1)  # rho + sqrt(2 rho) must stay below
    shares = np.arange(1, LEVELS + 1) / LEVELS
    found, diameters = [], []
    for k, near in enumerate(seen.near):
        z, spread = seen.z[label == k], seen.spread[label == k]
        sizes = np.ceil(shares * len(z) - 1e-9).astype(int)
        diameters.append(2 * np.sort(near.distance, axis=1).min(0)[sizes - 1])
        parts = near.parts(np.unique(sizes)) if delta is None else [near.within(delta)]
        tries = np.unique(np.quantile(spread, shares, method="higher")) if eps is None else [eps]
        found.append(_best(parts, tries, z, spread, allowed[k]))
    test = {}
    if held_out is not None:
        other = look(encoder, views, held_out, n_views, derive_seed(entropy, "bound", "test"))
        lost = _nearest(other.z[:, 0], centers) != label_test
        loose = other.spread > np.array([f["eps"] for f in found])[label_test]
        test = {
            "n_test": np.bincount(label_test, minlength=len(classes)),
            "error_test": _by_class(lost, label_test, len(classes)),
            "unaligned_test": _by_class(loose, label_test, len(classes)),
        }
    return GeneralizationBound(
        classes=classes, n_samples=np.bincount(label), shares=shares, centers=centers,
        diameters=np.array(diameters), error=_by_class(wrong, label, len(classes)),
        holds=np.array([f["slack"] > ROUNDING for f in found]), n_views=int(n_views),
        **{name: np.array([f[name] for f in found]) for name in found[0]}, **test,
    )  # fmt: skip


def _best(parts, tries, z, spread, allowed):
    """The main part and eps of the least bound whose condition holds; see `MOST` where none does."""
    best, rank = None, None
    for diameter, rows, view in parts:
        jump = _jump(z[rows, view].astype(float))
        for eps in tries:
            s = (spread[rows] <= eps).sum() / len(z)
            rho = 2 * (1 - s) + s * min(2.0, 2 * eps + jump) ** 2 / 2
            slack = allowed - rho - np.sqrt(2 * rho)
            sigma, unaligned = len(rows) / len(z), (spread > eps).mean()
            holds = slack > ROUNDING
            own = (holds, -(1 - sigma + unaligned) if holds else min(s, MOST), slack)
            if rank is None or own > rank:
                rank = own
                best = {
                    "sigma": sigma, "delta": float(diameter), "eps": float(eps),
                    "unaligned": float(unaligned), "jump": jump, "slack": float(slack),
                }  # fmt: skip
    return best


def _jump(z):
    """Largest distance between directions (m, d); 0 for none."""
    if not len(z):
        return 0.0
    z = z / np.linalg.norm(z, axis=1, keepdims=True)  # float32 is not of unit length to 1e-16
    return float(apart(torch.tensor((z @ z.T).min())))


def _nearest(z, centers):
    return (z.astype(float) @ centers.T - np.square(centers).sum(1) / 2).argmax(1)


def _by_class(flags, label, n_classes):
    count = np.bincount(label, minlength=n_classes)
    total = np.bincount(label, weights=flags, minlength=n_classes)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _labels_among(classes, y, n):
    """Positions in `classes`; an unknown class is refused."""
    try:
        labels = check_labels(y, n)
    except (TypeError, ValueError) as error:
        raise type(error)(f"y_test: {error}") from error
    place = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    new = classes[place] != labels
    if new.any():
        raise ValueError(
            f"y_test has the class {labels[new][0]!s}, which y has not: leave its rows out of X_test."
        )
    return place


def _encoder_of(estimator):
    """The fitted SSLEncoder behind what was passed."""
    from sklearn.utils.validation import check_is_fitted

    encoder = getattr(estimator, "encoder_", estimator)
    if not isinstance(encoder, SSLEncoder):
        if hasattr(estimator, "fit") and hasattr(estimator, "design"):
            check_is_fitted(estimator)
        raise TypeError(
            f"encoder must be a fitted SSLEncoder or MemorizationEstimator, got {shown(estimator)}."
        )
    check_is_fitted(encoder, "model_")
    return encoder
