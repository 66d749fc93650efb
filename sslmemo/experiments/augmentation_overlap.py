"""Do the augmentation sets of rows overlap, and are the rows whose sets don't the memorized ones?"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from sklearn.utils.validation import check_is_fitted

from .._compat import check_choice, check_in_range, shown
from ..augmentations import build_augmentation
from ..augmentations.views import Views
from ..data import as_data
from ..estimates.blocks import check_level
from ..randomness import derive_seed, entropy_of, generator, usual_torch
from ..result import MemorizationResult
from ..table import ScoreTable
from .inputs import refuse_other_rows

__all__ = [
    "AugmentationOverlap", "OverlapCorrelation", "augmentation_overlap", "drawn_views", "scores_of",
]  # fmt: skip

BLOCK = 2**22  # numbers held at a time
DRAWS = 1000  # of the bootstrap
QUANTITIES = ("distance", "relative", "overlap")


@dataclass(frozen=True, repr=False)
class AugmentationOverlap:
    """How near each row comes to others through their views.

    Attributes
    ----------
    neighbors : ndarray of int, shape (n, n_neighbors)
        Rows nearest by augmentation distance, nearest first.
    d_augmented : ndarray of shape (n, n_neighbors)
        Augmentation distance d_A to them: the least distance between a view of the row and a view
        of the other, Euclidean, in the unit of the network's input. Ascending.
    own_spread : ndarray of shape (n,)
        How far the row's own views lie apart: median over its views of the distance to the nearest
        other one.
    overlap : ndarray of shape (n,)
        Share of `neighbors` whose augmentation sets overlap the row's, in [0, 1]: d_A is at
        most `own_spread`.
    n_views : int
        Views of each row.
    n_candidates : int
        Rows among which the neighbours were sought.
    fingerprint : str, default=None
        Of the rows, so that scores of others are refused.
    """

    neighbors: np.ndarray
    d_augmented: np.ndarray
    own_spread: np.ndarray
    overlap: np.ndarray
    n_views: int
    n_candidates: int
    fingerprint: str | None = None

    def __len__(self):
        return len(self.overlap)

    def __repr__(self):
        return (
            f"{int(self.lone.sum())} of {len(self)} rows are lone: their augmentation sets overlap none "
            f"of their {self.neighbors.shape[1]} nearest neighbours' ({self.n_views} views a row). d_A "
            f"to the nearest row: median {np.median(self.d_augmented[:, 0]):.3g}; a row's own spread: "
            f"median {np.median(self.own_spread):.3g}."
        )

    @property
    def lone(self):
        """Rows whose augmentation set overlaps none of the neighbours': ndarray of bool, (n,)."""
        return self.overlap == 0

    @property
    def relative(self):
        """Distance to the nearest neighbour over the row's own spread, (n,); above 1 = lone."""
        nearest = self.d_augmented[:, 0]
        empty = np.where(nearest > 0, np.inf, 0.0)  # an augmentation that changes nothing
        return np.divide(nearest, self.own_spread, out=empty, where=self.own_spread > 0)

    def table(self):
        """Give one row a sample.

        Returns
        -------
        ScoreTable
            With the columns row, neighbor (the nearest), d_augmented (to it), own_spread, relative,
            overlap, lone.
        """
        return ScoreTable({
            "row": np.arange(len(self)), "neighbor": self.neighbors[:, 0],
            "d_augmented": self.d_augmented[:, 0], "own_spread": self.own_spread,
            "relative": self.relative, "overlap": self.overlap, "lone": self.lone,
        })  # fmt: skip

    def against(self, scores, *, of="distance", level=0.95, random_state=0):
        """Correlate the overlap with memorization scores.

        Parameters
        ----------
        scores : MemorizationResult, fitted MemorizationEstimator or array-like of shape (n,)
            Of the same rows in the same order; rows without a score (NaN) are left out.
        of : {"distance", "relative", "overlap"}, default="distance"
            d_A to the nearest neighbour, the same over the row's own spread, or the share of
            overlapping neighbours.
        level : float, default=0.95
            Confidence of the interval, in (0, 1).
        random_state : int, RandomState instance or None, default=0
            Of the bootstrap.

        Returns
        -------
        OverlapCorrelation
            Spearman's correlation with a percentile interval of 1000 bootstraps over rows.

        Raises
        ------
        TypeError, ValueError
            There are other than n scores, fewer than 3 known ones, or all are equal.

        Notes
        -----
        The interval is of this data set and these scores: rows share neighbours and trainings, so
        it does not cover what another data set or pool would give. Noise of the scores lowers
        the correlation.
        """
        check_choice("of", of, QUANTITIES)
        check_level(level)
        score = scores_of(scores, len(self), self.fingerprint)
        value = {
            "distance": self.d_augmented[:, 0], "relative": self.relative, "overlap": self.overlap,
        }[of]  # fmt: skip
        known = np.isfinite(score)
        x, y = value[known], score[known]
        if len(x) < 3 or np.ptp(y) == 0 or (x == x[0]).all():
            raise ValueError(
                f"a correlation needs 3 scored rows that differ in score and {of}, got {len(x)} "
                "rows" + (" that do not." if len(x) > 2 else ".")
            )
        rng = generator(entropy_of(random_state), "bootstrap")
        at_once = max(1, BLOCK // len(x))
        draws = []
        for start in range(0, DRAWS, at_once):
            rows = rng.integers(len(x), size=(min(at_once, DRAWS - start), len(x)))
            draws.append(_spearman(x[rows], y[rows]))
        low, high = np.nanquantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
        lone = self.lone[known]
        means = [float(y[m].mean()) if m.any() else np.nan for m in (lone, ~lone)]
        return OverlapCorrelation(
            of,
            float(_spearman(x, y)),
            float(low),
            float(high),
            level,
            len(x),
            int(lone.sum()),
            *means,
        )

    def summary(self):
        """Say in words how far the augmentation sets overlap.

        Returns
        -------
        str
            Two lines.
        """
        k = self.neighbors.shape[1]
        return (
            f"{int(self.lone.sum())} of {len(self)} rows are lone: their {self.n_views} views come as "
            f"near to the views of none of their {k} neighbours as to each other.\n"
            f"Mean overlap {self.overlap.mean():.2f}; median d_A to the nearest neighbour "
            f"{np.median(self.d_augmented[:, 0]):.3g}, median own spread "
            f"{np.median(self.own_spread):.3g}."
        )


@dataclass(frozen=True, repr=False)
class OverlapCorrelation:
    """Correlation of augmentation overlap with memorization over the rows of one data set.

    Attributes
    ----------
    of : str
        What was correlated, see `AugmentationOverlap.against`.
    spearman, low, high : float
        Spearman's correlation with the scores, and its interval over rows.
    level : float
        Confidence of the interval.
    n_samples : int
        Rows with a score.
    n_lone : int
        Lone ones among them.
    lone_mean, rest_mean : float
        Mean score of lone rows and of the others; NaN without any.
    """

    of: str
    spearman: float
    low: float
    high: float
    level: float
    n_samples: int
    n_lone: int
    lone_mean: float
    rest_mean: float

    def __repr__(self):
        return self.summary()

    def summary(self):
        """Say the correlation in words.

        Returns
        -------
        str
            Two or three lines.
        """
        what = {
            "distance": "d_A to the nearest neighbour",
            "relative": "d_A over the row's own spread",
            "overlap": "share of overlapping neighbours",
        }[self.of]
        lines = [
            f"Spearman correlation of {what} with m(x): {self.spearman:.2f} "
            f"[{self.low:.2f}, {self.high:.2f}] over {self.n_samples} rows."
        ]
        if 0 < self.n_lone < self.n_samples:
            lines.append(
                f"Mean m(x) of {self.n_lone} lone rows {self.lone_mean:.4g}, of the others "
                f"{self.rest_mean:.4g}."
            )
        lines.append("This holds for this data set and these scores, and tells no cause.")
        return "\n".join(lines)


@usual_torch()
def augmentation_overlap(X, *, augmentation="auto", n_views=16, n_neighbors=5, n_candidates=50,
                         channels="first", image_shape=None, random_state=0):  # fmt: skip
    """Measure how near rows come to each other through their augmentations.

    Similar rows have overlapping augmentation sets, so that what an encoder learns of one aligns
    the other. A lone row is aligned by itself alone, if at all.

    Parameters
    ----------
    X : array-like or dataset
        Rows, as `MemorizationEstimator.fit` takes them.
    augmentation : str or callable, default="auto"
        As in `MemorizationEstimator`; use the one that was trained with.
    n_views : int, default=16
        Views of each row, at least 2. More views make all distances smaller.
    n_neighbors : int, default=5
        Nearest rows told, from 1 to `n_candidates`.
    n_candidates : int, default=50
        Rows nearest without augmentation among which the neighbours are sought over all pairs of
        views; at most n_samples - 1 count. Neighbours beyond them are missed, so that d_A is an
        upper bound: with 40 candidates 97% of the 5 nearest were found on 600 digits.
    channels : {"first", "last"}, default="first"
        Where an image has its channels.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images.
    random_state : int, RandomState instance or None, default=0
        Of the views.

    Returns
    -------
    AugmentationOverlap
        With `table`, `summary` and `against` for scores.

    Raises
    ------
    TypeError, ValueError
        X or the augmentation is none, or a number lies out of range.

    Notes
    -----
    d_A(x1, x2) = min over views x1' of x1 and x2' of x2 of ||x1' - x2'||, as in [1]_; the rows
    themselves don't count as views. It is compared with the distances from a view to the nearest
    other view of its row, for both are minima; the typical distance of two views of a row is far
    larger, and by that measure all digits overlap.

    Drawn views are a sample of the augmentation set: sets can overlap where no drawn views come
    near. Augmentations that blot a row out bring any two rows together. Memory is 4 n_samples
    n_views d bytes, d being the numbers in a row; time n_samples n_candidates n_views^2 d.

    References
    ----------
    .. [1] W. Huang, M. Yi, X. Zhao and Z. Jiang, "Towards the Generalization of Contrastive
       Self-Supervised Learning", ICLR 2023, arXiv:2111.00743.
    """
    check_in_range("n_views", n_views, numbers.Integral, 2, 1024)
    check_in_range("n_neighbors", n_neighbors, numbers.Integral, 1)
    check_in_range("n_candidates", n_candidates, numbers.Integral, n_neighbors)
    named = isinstance(augmentation, str)
    data = as_data(X, channels=channels, image_shape=image_shape, unit_range=named)
    n, n_candidates = len(data), min(int(n_candidates), len(data) - 1)
    if n_neighbors > n_candidates:
        raise ValueError(
            f"n_neighbors={n_neighbors} is more than the other rows of X, {n - 1}: lower it."
        )
    entropy = entropy_of(random_state)
    views = torch.from_numpy(drawn_views(data, augmentation, n_views, entropy)).flatten(2)
    candidates = _nearest_rows(data, n_candidates)
    d = np.empty((n, n_candidates))
    size = max(1, BLOCK // (n_candidates * views[0].numel()))
    for start in range(0, n, size):
        own = views[start : start + size]  # (b, V, d)
        others = views[torch.from_numpy(candidates[start : start + size])].flatten(1, 2)
        apart = _distances(own, others)  # (b, V, C * V)
        apart = apart.unflatten(2, (n_candidates, n_views))
        d[start : start + size] = apart.amin((1, 3)).numpy()
    order = np.argsort(d, axis=1, kind="stable")[:, :n_neighbors]
    nearest = np.take_along_axis(d, order, 1)
    spread = _own_spread(views)
    return AugmentationOverlap(
        neighbors=np.take_along_axis(candidates, order, 1), d_augmented=nearest, own_spread=spread,
        overlap=(nearest <= spread[:, None]).mean(1), n_views=int(n_views), n_candidates=n_candidates,
        fingerprint=data.fingerprint(),
    )  # fmt: skip


def drawn_views(data, augmentation, n_views, entropy):
    """The views that `augmentation_overlap` measures.

    Parameters
    ----------
    data : Data
        Checked rows.
    augmentation : str or callable
        As there.
    n_views : int
        As there.
    entropy : int
        ``entropy_of(random_state)``.

    Returns
    -------
    ndarray of float32, shape (n, n_views, *shape)
    """
    views = Views(build_augmentation(augmentation, data))
    every = np.empty((len(data), n_views, *data.shape), np.float32)
    for index, drawn in views.of_rows(data, n_views, derive_seed(entropy, "overlap")):
        every[index] = drawn.transpose(0, 1).numpy()
    return every


def scores_of(scores, n, fingerprint=None):
    """Scores as an array of n floats, from a result, a fitted estimator or an array."""
    if hasattr(scores, "fit"):
        check_is_fitted(scores)
    scores = getattr(scores, "result_", scores)
    if isinstance(scores, MemorizationResult) and fingerprint is not None:
        refuse_other_rows(scores, fingerprint)
    try:
        score = np.asarray(getattr(scores, "score", scores), dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "scores must be a MemorizationResult, a fitted MemorizationEstimator or an array, got "
            f"{shown(scores)}."
        ) from error
    if score.shape != (n,):
        raise ValueError(f"scores must have shape ({n},), one a row of X, got {score.shape}.")
    return score


def _nearest_rows(data, n_candidates):
    """Rows nearest without augmentation, never a row itself: int (n, n_candidates)."""
    from sklearn.neighbors import NearestNeighbors

    flat = data.array(np.arange(len(data))).reshape(len(data), math.prod(data.shape))
    search = NearestNeighbors(n_neighbors=n_candidates, algorithm="brute").fit(flat)
    return search.kneighbors(return_distance=False)


def _own_spread(views):
    """Median over the views of a row of the distance to the nearest other one: (n, V, d) -> (n,)."""
    spread = np.empty(len(views))
    size = max(1, BLOCK // views[0].numel())
    for start in range(0, len(views), size):
        part = views[start : start + size]
        apart = _distances(part, part)
        apart.diagonal(dim1=1, dim2=2).fill_(math.inf)
        spread[start : start + size] = np.median(apart.amin(2).numpy(), axis=1)
    return spread


def _distances(a, b):
    """Euclidean distances (b, p, d), (b, q, d) -> (b, p, q), with all digits where they are small."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").double()


def _spearman(x, y):
    """Rank correlation along the last axis; NaN where a bootstrap drew rows that are all equal."""
    x, y = stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.divide((x * y).sum(-1), scale, out=np.full(scale.shape, np.nan), where=scale > 0)
