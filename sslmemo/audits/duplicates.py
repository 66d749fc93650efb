"""Near-duplicate rows, and leakage between two sets: which pairs are too close for chance?"""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .._compat import check_in_range, shown
from ..data import CHUNK, as_data
from ..table import ScoreTable, TableFrame

__all__ = ["NearDuplicates", "find_near_duplicates"]

NEAR, FAR = 2, 4  # neighbours whose ratio of distances tells the dimension; a twin is neither
N_NEIGHBORS = 10
NEARLY = 0.9  # least share of one value in a nearly constant column


@dataclass(frozen=True, repr=False)
class NearDuplicates(TableFrame):
    """Pairs of near-duplicate rows.

    Attributes
    ----------
    pairs : ndarray of int, shape (n_pairs, 2)
        Two rows of X, the lower first; or a row of X and one of X_other. Nearest pair first.
    distance : ndarray of shape (n_pairs,)
        Euclidean, between network inputs or between representations of unit length.
    false_pairs : ndarray of shape (n_pairs,)
        Pairs as close as this one that rows without any duplicate would give, in expectation; NaN
        under a threshold of your own.
    threshold : float
        Distance that no pair exceeds. With ``"auto"`` a pair may have to be closer, where its rows
        lie in a denser place.
    dimension : float
        Dimension of the data near a row, by which distances became chances; NaN under a threshold
        of your own.
    space : {"input", "representation"}
        Where distances were taken.
    n_samples, n_other : int
        Rows of X and of X_other, 0 without.
    n_nearly_constant : int
        Columns of a table of which one value fills 90% or more but not all: standardising magnifies
        what is left. 0 for images and representations.
    """

    pairs: np.ndarray
    distance: np.ndarray
    false_pairs: np.ndarray
    threshold: float
    dimension: float
    space: str
    n_samples: int
    n_other: int = 0
    n_nearly_constant: int = 0

    def __len__(self):
        return len(self.pairs)

    def __repr__(self):
        return self.summary()

    @property
    def groups(self):
        """Connected components of the pairs: ndarray of int, shape (n_samples + n_other,).

        Ready for ``MemorizationEstimator.fit(X, groups=...)``; a row without a near-duplicate is a
        group of its own. With X_other its rows follow those of X.
        """
        size = self.n_samples + self.n_other
        first, second = self.pairs.T + [[0], [self.n_samples if self.n_other else 0]]
        graph = coo_array((np.ones(len(self)), (first, second)), shape=(size, size))
        return connected_components(graph, directed=False)[1]

    @property
    def duplicated(self):
        """Rows of X that have a near-duplicate: ndarray of bool, shape (n_samples,)."""
        rows = self.pairs[:, 0] if self.n_other else self.pairs.ravel()
        return np.isin(np.arange(self.n_samples), rows)

    @property
    def leaked(self):
        """Rows of X_other that have a near-duplicate in X: ndarray of bool, shape (n_other,)."""
        rows = self.pairs[:, 1] if self.n_other else []
        return np.isin(np.arange(self.n_other), rows)

    def table(self):
        """Give one row a pair.

        Returns
        -------
        ScoreTable
            With the columns row, twin (a row of X, or of X_other if there is one), distance and
            false_pairs; nearest pair first.
        """
        return ScoreTable({
            "row": self.pairs[:, 0], "twin": self.pairs[:, 1], "distance": self.distance,
            "false_pairs": self.false_pairs,
        })  # fmt: skip

    def summary(self):
        """Say in words what was found.

        Returns
        -------
        str
            One to three lines.
        """
        where = f"in {self.space} space, none further apart than {self.threshold:.3g}"
        many = f"{len(self)} near-duplicate pair{'s' * (len(self) != 1)}"
        if self.n_other:
            text = (
                f"{many}: {self.leaked.sum()} of {self.n_other} other rows are in X too, {where}."
            )
        else:
            text = f"{many} of {self.duplicated.sum()} of {self.n_samples} rows, {where}."
        if len(self) and np.isfinite(self.false_pairs).any():
            text += (
                f"\nThe widest pair is one that chance gives {self.false_pairs.max():.2g} times."
            )
        if self.n_nearly_constant:
            text += (
                f"\nX was read as a table: its columns were standardised, and {self.n_nearly_constant} of "
                "them are nearly constant, whose rare values are magnified; if the rows are images, pass "
                "image_shape=."
            )
        return text


def find_near_duplicates(X, X_other=None, *, encoder=None, threshold="auto", max_false=0.5,
                         n_neighbors=N_NEIGHBORS, channels="first", image_shape=None):  # fmt: skip
    """Find rows that are almost copies of others, within X or between X and another set.

    Parameters
    ----------
    X : array-like or dataset
        Rows, as `MemorizationEstimator.fit` takes them.
    X_other : array-like or dataset, default=None
        Another set, such as the test rows: pairs are then of a row of X and one of X_other.
    encoder : fitted transformer, default=None
        Any object with ``transform``, such as a fitted `SSLEncoder` or `MemorizationEstimator`:
        rows are compared by its representations, brought to unit length. None compares network
        inputs: pixels, or standardised columns. Give flat images their `image_shape`: standardising
        magnifies the noise of pixels that are rarely used.
    threshold : "auto" or float, default="auto"
        Largest distance of a pair. ``"auto"`` allows what chance would rarely give, see Notes.
    max_false : float, default=0.5
        With ``"auto"``: false pairs to be expected, above 0.
    n_neighbors : int, default=10
        With ``"auto"``: neighbours sought of every row, at least 4 and at most the other rows of X (up
        to 10 are brought down to these). Of a row with n_neighbors near-copies or more only exact
        copies are found.
    channels : {"first", "last"}, default="first"
        Where an image has its channels; read without an encoder only.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images; read
        without an encoder only.

    Returns
    -------
    NearDuplicates
        With `pairs`, `groups`, `table` and `summary`.

    Raises
    ------
    TypeError, ValueError
        X or X_other is not what fit or the encoder takes, their rows are of different shapes, a
        parameter lies out of range, or X has too few rows for ``"auto"``.

    See Also
    --------
    twin_memorization : What a row's twin does to its memorization.

    Notes
    -----
    Where rows lie with a locally constant density in d dimensions, the volumes (r_j / r_K)^d within a
    row's j-th of K neighbours are, given the K-th, K - 1 uniform numbers, whatever the density [1]_.
    So (K - 1) (r / r_K)^d pairs closer than r are to be expected of a row, and half of this times the
    number of rows in all. A pair counts if this number is at most `max_false` by the K-th distance of
    either row and by the median one of all rows. The last keeps two outliers apart that are only
    far from everything else. d is the one that makes the median of r_2 / r_4 over the rows
    what it must be (that of the d-th root of a Beta(2, 2)): a twin is the nearest neighbour, and does
    not enter. Noise makes the dimension grow towards small distances, so that the rule errs to the
    careful side: ten draws of 500 digits without copies gave 0.1 pairs a draw among pixels and 0.2 among
    representations, where 0.5 were allowed (benchmarks/duplicates.py). The distance of two views of a
    row, which an encoder is taught to overlook, is no threshold: it lets in 1,400 and 160 pairs there.

    A pair that is close because nature made it so, twice in a place where few such pairs are to be
    expected, is reported like a copy. Groups join chains: their ends may lie further apart.

    `fit` ties exact copies by default, but never near ones: pass `groups` to tie them, or
    ``groups=np.arange(len(X))`` to tie none.

    References
    ----------
    .. [1] E. Facco, M. d'Errico, A. Rodriguez and A. Laio, "Estimating the intrinsic dimension of
       datasets by a minimal neighborhood information", Scientific Reports 7, 12140 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sslmemo.audits import find_near_duplicates
    >>> X = load_digits().data[:300] / 16
    >>> near_copy = np.clip(X[:1] + np.random.default_rng(0).normal(0, 0.03, (1, 64)), 0, 1)
    >>> find_near_duplicates(np.concatenate([X, near_copy]), image_shape=(8, 8)).pairs
    array([[  0, 300]])
    """
    automatic = isinstance(threshold, str) and threshold == "auto"
    if not automatic:
        if isinstance(threshold, str):
            raise ValueError(f"threshold must be 'auto' or a distance, got {shown(threshold)}.")
        check_in_range("threshold", threshold, numbers.Real, 0, finite=True)
    check_in_range("max_false", max_false, numbers.Real, 0, open_low=True, finite=True)
    check_in_range("n_neighbors", n_neighbors, numbers.Integral, FAR)
    nearly = 0
    if encoder is None:
        points, other, nearly = _inputs(X, X_other, channels, image_shape)
    else:
        points = _represented(encoder, X)
        other = None if X_other is None else _represented(encoder, X_other)
    n_other = 0 if other is None else len(other)
    if automatic:
        found = _by_chance(points, other, float(max_false), int(n_neighbors))
    else:
        found = _within(points, other, float(threshold))
    first, second, distance, false_pairs, threshold, dimension = found
    order = np.lexsort((second, first, distance))
    return NearDuplicates(
        pairs=np.stack([first, second], 1)[order], distance=distance[order],
        false_pairs=false_pairs[order], threshold=threshold, dimension=dimension,
        space="input" if encoder is None else "representation", n_samples=len(points),
        n_other=n_other, n_nearly_constant=nearly,
    )  # fmt: skip


def _inputs(X, X_other, channels, image_shape):
    """Network inputs of both sets, flat and in float64, and how many columns are nearly constant."""
    rules = {"channels": channels, "image_shape": image_shape, "unit_range": False}
    data = as_data(X, **rules)
    points, other, nearly = _flat(data), None, 0
    if X_other is not None:
        try:
            others = as_data(X_other, reset=False, **rules)
        except (TypeError, ValueError) as error:
            raise type(error)(f"X_other can't be used: {error}") from error
        if others.shape != data.shape:
            raise ValueError(
                f"X_other has rows of shape {others.shape}, but the rows of X have shape {data.shape}."
            )
        if not data.layout.is_image:  # by the scales of X's columns
            others = as_data(X_other, reset=False, layout=data.layout, **rules)
        other = _flat(others)
    if not data.layout.is_image:
        share = (points == np.median(points, axis=0)).mean(0)
        nearly = int(((share >= NEARLY) & (share < 1)).sum())
    return points, other, nearly


def _flat(data):
    """All rows as float64 (n, d)."""
    return np.concatenate([data.array(i).reshape(len(i), -1).astype(float) for i in data.chunks()])


def _represented(encoder, X):
    """Representations of unit length: float64 (n, d)."""
    if isinstance(encoder, type) or not hasattr(encoder, "transform"):
        raise TypeError(
            f"encoder must be a fitted transformer, such as SSLEncoder().fit(X), got {shown(encoder)}."
        )
    z = np.asarray(encoder.transform(X), dtype=float)
    z = z.reshape(len(z), -1)
    if not np.isfinite(z).all():
        raise ValueError("encoder gives NaN or infinite representations of some rows.")
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)


def _by_chance(points, other, max_false, k):
    """Pairs that chance gives at most `max_false` times."""
    n, asked = len(points), k
    k = min(k, n - 1)
    if k < FAR:
        raise ValueError(
            f"X has {n} rows, and threshold='auto' needs {FAR + 1}: give a distance as threshold."
        )
    if asked > max(k, N_NEIGHBORS):
        raise ValueError(
            f"n_neighbors must be at most {k}, the other rows of X, got {asked}; take far fewer, for the "
            "density must be about constant among them."
        )
    row, distance = _nearest(points, points, k, skip=True)
    reach = distance[:, -1]  # r_K of every row
    dimension, usual = _dimension(distance), _median_positive(reach)
    if other is None:
        own, tests = reach, n / 2
    else:
        row, distance = _nearest(points, other, k)
        own, tests = distance[:, -1], len(other)
    scale = np.minimum(np.minimum(own[:, None], reach[row]), usual)  # (queries, k)
    ratio = np.divide(distance, scale, out=np.full(scale.shape, np.inf), where=scale > 0)
    ratio[distance == 0] = 0.0  # copies, be there k of them or more
    with np.errstate(over="ignore"):
        expected = tests * (k - 1) * ratio**dimension
    query, place = np.nonzero(expected <= max_false)
    first, second = row[query, place], query
    distance, expected = distance[query, place], expected[query, place]
    if other is None:  # both rows may have found the pair
        low, high = np.minimum(first, second), np.maximum(first, second)
        _, once = np.unique(low * n + high, return_index=True)
        first, second, distance, expected = low[once], high[once], distance[once], expected[once]
    widest = usual * (max_false / (tests * (k - 1))) ** (1 / dimension)
    return first, second, distance, expected, float(widest), float(dimension)


def _within(points, other, threshold):
    """All pairs within a distance."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(algorithm="brute").fit(points)
    # a little more, for rounding; then by the distance itself
    size = np.abs(points).max() * np.sqrt(points.shape[1])
    near = search.radius_neighbors(
        points if other is None else other, threshold + 1e-6 * size, return_distance=False
    )
    second = np.repeat(np.arange(len(near)), [len(found) for found in near])
    first = np.concatenate([*near, np.empty(0, int)]).astype(int)
    distance = np.linalg.norm(points[first] - (points if other is None else other)[second], axis=1)
    keep = distance <= threshold
    if other is None:
        keep &= first < second
    unknown = np.full(keep.sum(), np.nan)
    return first[keep], second[keep], distance[keep], unknown, threshold, float("nan")


def _nearest(points, queries, k, skip=False):
    """The k nearest points and their distances, ascending: (m, k) each; `skip` leaves itself out.

    Distances are those of the differences: scikit-learn's come from products, which lose the
    digits of small ones.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)
    row = search.kneighbors(None if skip else queries, return_distance=False)
    distance = np.empty(row.shape)
    for start in range(0, len(row), CHUNK):
        part = slice(start, start + CHUNK)
        for j in range(k):
            distance[part, j] = np.linalg.norm(points[row[part, j]] - queries[part], axis=1)
    order = np.argsort(distance, axis=1, kind="stable")
    return np.take_along_axis(row, order, 1), np.take_along_axis(distance, order, 1)


def _dimension(distance):
    """Dimension by which the median of r_2 / r_4 is that of Beta(2, 2) to the power 1 / d."""
    near, far = distance[:, NEAR - 1], distance[:, FAR - 1]
    ratio = near[near > 0] / far[near > 0]
    if not len(ratio) or (median := float(np.median(ratio))) == 1:
        raise ValueError(
            "rows of X lie at too few different places for threshold='auto': drop exact copies "
            "first, or give a distance as threshold."
        )
    return np.log(stats.beta.median(NEAR, FAR - NEAR)) / np.log(median)


def _median_positive(values):
    return float(np.median(values[values > 0])) if (values > 0).any() else 0.0
