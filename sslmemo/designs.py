"""Designs: rules of who is trained on what, drawn for n rows as a plan.

Block b of a plan depends on (entropy, n, groups, b) and nothing else: a larger pool, a shard on
another machine and a resumed run draw the same blocks.
"""

from __future__ import annotations

import numbers
from fractions import Fraction

import numpy as np
from sklearn.base import BaseEstimator

from ._compat import check_in_range, named, shown
from .plans import Plan
from .randomness import derive_seed, generator
from .sources import as_array

__all__ = ["DESIGNS", "Explicit", "LeaveOneOut", "Plan", "Split", "Subsample", "get_design"]

ROLES = ("shared", "candidate", "independent", "external")
MOST_ENCODERS = 10**6  # of a plan: its matrix must fit in memory


class _Design(BaseEstimator):
    """What the designs share: whole blocks, drawn one by one from seeds of their own."""

    ties = True  # whether groups decide who is in

    def draw(self, n_samples, n_encoders, entropy, groups=None):
        """Draw the plan.

        Parameters
        ----------
        n_samples : int
            Number of rows.
        n_encoders : int
            Number of trainings; a multiple of the block's size.
        entropy : int
            From which every block's seed is spawned; not negative.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are in, or out, together; None is every row for itself. Roles given to
            `Split` come first.

        Returns
        -------
        Plan
            Its first blocks are those of a plan with fewer encoders.

        Raises
        ------
        TypeError, ValueError
            `n_encoders` is no multiple of the block, `groups` has another length, or a parameter of
            the design is wrong or does not suit the number of rows.
        """
        n, groups = int(n_samples), _group_index(groups, n_samples)
        size = self.block_size(n)
        if n_encoders > MOST_ENCODERS:
            raise ValueError(
                f"n_encoders={n_encoders} is more than the {MOST_ENCODERS} of a plan: lower it."
            )
        if n_encoders < 1 or n_encoders % size:
            low = n_encoders // size * size
            options = f"{low} or {low + size}" if low else f"{size}"
            raise ValueError(
                f"n_encoders={n_encoders} is no multiple of the block of {self!r}, which is "
                f"{size} encoders: use {options}."
            )
        n_blocks = n_encoders // size
        seeds = np.array([derive_seed(entropy, n, b) for b in range(n_blocks)], dtype=np.uint64)
        common = self._common(n, entropy, groups)
        drawn = [self._draw_block(generator(int(s), "members"), n, groups, common) for s in seeds]
        contrast = [self._contrast(m, common) for m in drawn]
        return Plan(
            member=np.concatenate(drawn),
            block=np.repeat(np.arange(n_blocks), size),
            seed=seeds,
            contrast=None if contrast[0] is None else np.concatenate(contrast),
            roles=common if isinstance(self, Split) else None,
            groups=groups,
            design=self.name,
            nominal=self._nominal(n, groups),
        )._check_groups()

    def _nominal(self, n, groups):
        """Mean and least training size of any block; None where all blocks are alike."""
        return None

    def _common(self, n, entropy, groups):
        return None

    def _contrast(self, member, common):
        return None


class Subsample(_Design):
    """Random subsets, balanced inside a block: every row is in equally often.

    With `fraction` p/q a block is q encoders: the rows are cut into q random folds and encoder j
    is trained on the p folds j, j+1, ..., j+p-1 (mod q). One half gives complementary pairs, 1/q
    and 1 - 1/q the partitions of cross-validation.

    Parameters
    ----------
    fraction : float, default=0.5
        Share of the rows that an encoder is trained on, in (0, 1). If balanced, the nearest ratio
        p/q with q <= 20 is used, which must lie within 0.005. The scores estimate memorization at
        this training size, not leave-one-out.
    balanced : bool, default=True
        False draws every subset independently, each its own block, as Feldman and Zhang do with
        fraction 0.7: noisier, and a row may be never in or never out.

    References
    ----------
    Feldman and Zhang, What neural networks memorize and why, NeurIPS 2020 (arXiv:2008.03703).
    """

    name = "subsample"

    def __init__(self, fraction=0.5, balanced=True):
        self.fraction = fraction
        self.balanced = balanced

    def _ratio(self):
        check_in_range("fraction", self.fraction, numbers.Real)
        if not isinstance(self.balanced, (bool, np.bool_)):
            raise TypeError(f"balanced must be True or False, got {shown(self.balanced)}.")
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"fraction must lie strictly between 0 and 1, got {self.fraction!r}: both f (with "
                "the row) and g (without it) are needed."
            )
        ratio = Fraction(float(self.fraction)).limit_denominator(20)
        if self.balanced and (abs(float(ratio) - self.fraction) > 0.005 or not 0 < ratio < 1):
            raise ValueError(
                f"fraction={self.fraction!r} is no ratio p/q with q <= 20: take a near one, or "
                "balanced=False for independent subsets."
            )
        return ratio

    def block_size(self, n):
        """Number of encoders in a block.

        Parameters
        ----------
        n : int
            Number of rows; does not matter here.

        Returns
        -------
        int
            Denominator q of `fraction` if balanced, else 1.

        Raises
        ------
        ValueError
            `fraction` lies outside (0, 1) or, if balanced, is near no ratio.
        """
        return self._ratio().denominator if self.balanced else 1

    def _draw_block(self, rng, n, groups, common):
        if not self.balanced:
            n_in = min(n - 1, max(1, round(float(self.fraction) * n)))
            return (_folds(rng, n, groups, [n_in, n - n_in]) == 0)[None]
        ratio = self._ratio()
        p, q = ratio.numerator, ratio.denominator
        if len(np.unique(groups)) < q:
            raise ValueError(
                f"fraction={self.fraction!r} needs at least {q} distinct rows or groups, got "
                f"{len(np.unique(groups))}: give more rows or a fraction with a smaller "
                "denominator."
            )
        fold = _folds(rng, n, groups, np.full(q, n / q))
        return np.stack([(fold - j) % q < p for j in range(q)])

    def _nominal(self, n, groups):
        size, tied = self.fraction * n, int(np.bincount(groups).max())
        if self.balanced:
            ratio = self._ratio()
            size = n * ratio.numerator / ratio.denominator
        # an end of a fold moves by at most half of a group, and a training set has two ends
        least = int(np.floor(size + 1e-9)) if tied == 1 else int(np.ceil(size)) - tied
        return float(size), max(1, least)


class LeaveOneOut(_Design):
    """Exact leave-one-out: in every block one f on all of S and, for each index, one g without it.

    The estimand is memorization at size n, which is smaller than at n/2: the scores are not to be
    mixed with those of half-splits. With groups, g is trained without the whole group of the row.

    Parameters
    ----------
    indices : array-like of int, default=None
        Rows to score, distinct, each at the cost of one training a block; other rows get NaN. None
        means all rows.
    """

    name = "leave_one_out"

    def __init__(self, indices=None):
        self.indices = indices

    def _rows(self, n):
        rows = np.arange(n) if self.indices is None else as_array("indices", self.indices)
        if rows.dtype == bool:
            raise TypeError(
                "indices is a boolean mask, and row numbers are needed: np.flatnonzero(mask)."
            )
        if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer) or not len(rows):
            raise TypeError(
                f"indices must be a non-empty list of row numbers, got {shown(self.indices)}."
            )
        outside = rows[(rows < 0) | (rows >= n)]
        if len(outside) or len(np.unique(rows)) < len(rows):
            what = f"{outside[0]} is not" if len(outside) else "a row is named twice"
            raise ValueError(f"indices must be distinct and lie between 0 and {n - 1}, but {what}.")
        return rows

    def block_size(self, n):
        """Number of encoders in a block.

        Parameters
        ----------
        n : int
            Number of rows.

        Returns
        -------
        int
            One more than rows to score.

        Raises
        ------
        TypeError, ValueError
            `indices` are no distinct row numbers from 0 to n - 1.
        """
        return 1 + len(self._rows(n))

    def _draw_block(self, rng, n, groups, common):
        rows = self._rows(n)
        return np.concatenate([np.ones((1, n), bool), groups[None, :] != groups[rows, None]])

    def _contrast(self, member, common):
        rows = self._rows(member.shape[1])
        contrast = np.zeros(member.shape, np.int8)
        contrast[0, rows] = -1
        contrast[1 + np.arange(len(rows)), rows] = 1
        return contrast


class Split(_Design):
    """The paper's protocol: shared, candidate, independent and external rows.

    In every block f is trained on shared + candidate and g on shared + independent. A row of any
    role is scored by its alignment under the g's minus that under the f's: candidates come out
    positive, independent rows negative, shared and external ones near 0. The roles are the same in
    all blocks, so standard errors hold for this split.

    Parameters
    ----------
    roles : array-like of str of shape (n_samples,), default=None
        "shared", "candidate", "independent" or "external" for every row, whatever its group; at
        least one candidate and one independent. None draws them.
    shared : float, default=0.8
        Share of shared rows to draw when `roles` is None, in [0, 1].
    candidate : float, default=0.1
        Share of candidates to draw, in (0, 1].
    independent : float, default=0.1
        Share of independent rows to draw, in (0, 1]. The three are at most 1 in sum; what they
        leave over is external.

    References
    ----------
    Wang et al., Memorization in self-supervised learning improves downstream generalization,
    ICLR 2024 (arXiv:2401.12233).
    """

    name = "split"

    @property
    def ties(self):
        """Whether groups decide who is in: not when the roles are given."""
        return self.roles is None

    def __init__(self, roles=None, shared=0.8, candidate=0.1, independent=0.1):
        self.roles = roles
        self.shared = shared
        self.candidate = candidate
        self.independent = independent

    def block_size(self, n):
        """Number of encoders in a block: one f and one g.

        Parameters
        ----------
        n : int
            Number of rows; does not matter here.

        Returns
        -------
        int
            Always 2.
        """
        return 2

    def _common(self, n, entropy, groups):
        if self.roles is not None:
            roles = as_array("roles", self.roles)
            if roles.shape != (n,):
                raise ValueError(
                    f"roles must name one role for each of {n} rows, got {shown(self.roles)} of "
                    f"shape {roles.shape}."
                )
            unknown = [r for r in roles.tolist() if not isinstance(r, str) or r not in ROLES]
            if unknown:
                raise ValueError(
                    f"unknown role {shown(unknown[0])}: the roles are {', '.join(ROLES)}."
                )
            roles = roles.astype(str)
        else:
            for name in ("shared", "candidate", "independent"):
                check_in_range(name, getattr(self, name), numbers.Real)
            shares = np.array([self.shared, self.candidate, self.independent], dtype=float)
            if not ((shares >= 0).all() and shares.sum() <= 1 + 1e-9):
                raise ValueError(
                    "shared, candidate and independent must be shares of at most 1 in sum, got "
                    f"{self.shared}, {self.candidate}, {self.independent}."
                )
            sizes = np.append(shares, max(0.0, 1 - shares.sum())) * n
            roles = np.array(ROLES)[_folds(generator(entropy, "roles", n), n, groups, sizes)]
        for role in ("candidate", "independent"):
            if not (roles == role).any():
                raise ValueError(
                    f"no row has the role {role!r}: f and g would not differ as they should. Give "
                    "more rows, or a larger share."
                )
        return roles

    def _draw_block(self, rng, n, groups, roles):
        shared = roles == "shared"
        return np.stack([shared | (roles == "candidate"), shared | (roles == "independent")])

    def _contrast(self, member, common):
        return np.repeat(np.array([[-1], [1]], np.int8), member.shape[1], axis=1)


class Explicit(_Design):
    """Any membership matrix: what experiments and users with trained pools bring.

    Parameters
    ----------
    member : array-like of bool of shape (n_encoders, n_samples)
        Whether the encoder is trained on the row; at least one row each.
    block : array-like of int of shape (n_encoders,), default=None
        Ascending. Encoders of one block share seed and views. None gives each its own block.
    contrast : array-like of int of shape (n_encoders, n_samples), default=None
        +1 where the encoder counts as g, -1 as f, 0 not at all. None means by membership.
    """

    name = "explicit"
    ties = False

    def block_size(self, n):
        """Refuse: an explicit matrix has no further blocks to draw."""
        raise ValueError(
            "design=Explicit(member) is one fixed plan, of as many encoders as member has rows: "
            "no number of blocks can be planned for it."
        )

    def __init__(self, member, block=None, contrast=None):
        self.member = member
        self.block = block
        self.contrast = contrast

    def draw(self, n_samples, n_encoders, entropy, groups=None):
        """Return the plan of the given matrix, with seeds spawned from `entropy`.

        Parameters
        ----------
        n_samples : int
            Number of rows, that of the matrix's columns.
        n_encoders : int
            Not used: the matrix has its own number.
        entropy : int
            From which every block's seed is spawned; not negative.
        groups : array-like of shape (n_samples,), default=None
            Kept in the plan; the matrix alone says who is in.

        Returns
        -------
        Plan
            With the matrix as its membership.

        Raises
        ------
        TypeError, ValueError
            A shape doesn't fit, the matrix holds more than 0 and 1, `block` is not ascending, or an
            encoder is trained on no row.
        """
        member = as_array("member", self.member)
        if member.dtype != bool:
            if member.dtype.kind not in "iuf" or not np.isin(member, (0, 1)).all():
                raise ValueError(
                    f"member must be boolean, or hold only 0 and 1, got {shown(self.member)}."
                )
            member = member.astype(bool)
        if member.ndim != 2 or member.shape[1] != n_samples:
            raise ValueError(
                f"member has shape {member.shape}, but the data have {n_samples} rows: it must be "
                "(n_encoders, n_samples)."
            )
        if not len(member):
            raise ValueError("member has no rows: at least one encoder is needed.")
        block = np.arange(len(member)) if self.block is None else as_array("block", self.block)
        if block.shape != (len(member),) or block.dtype.kind not in "iu" or block.min() < 0:
            raise ValueError(
                f"block must hold one int, at least 0 and ascending, for each of the {len(member)} "
                f"encoders, got {shown(self.block)}."
            )
        seeds = [derive_seed(entropy, n_samples, int(b)) for b in np.unique(block)]
        contrast = None
        if self.contrast is not None:
            contrast = as_array("contrast", self.contrast)
            if (
                contrast.shape != member.shape
                or contrast.dtype.kind not in "iuf"
                or not np.isin(contrast, (-1, 0, 1)).all()
            ):
                raise ValueError(
                    f"contrast must hold -1, 0 or +1 in the shape {member.shape} of member, got "
                    f"{shown(self.contrast)}."
                )
            contrast = contrast.astype(np.int8)
        groups = None if groups is None else _group_index(groups, n_samples)
        return Plan(
            member, block, np.array(seeds, np.uint64), contrast, groups=groups
        )._check_groups()


def _group_index(groups, n):
    """Groups as integers 0..G-1, numbered by first appearance; every row its own when None."""
    if groups is None:
        return np.arange(n)
    given, groups = groups, as_array("groups", groups)
    if groups.shape != (n,):
        raise ValueError(
            f"groups must have one entry for each of the {n} rows, got {shown(given)} of shape "
            f"{groups.shape}."
        )
    groups = groups.tolist()
    unknown = [g is None or not _equals_itself(g) for g in groups]
    if any(unknown):
        raise ValueError(
            f"groups has no group for {sum(unknown)} rows, first row {unknown.index(True)}: give each "
            "such row a group of its own."
        )
    number = {}
    try:
        return np.array([number.setdefault(g, len(number)) for g in groups])
    except TypeError as error:  # a list, say, is no name of a group
        raise TypeError(f"groups must hold plain values such as ints or words: {error}.") from error


def _equals_itself(value):
    """False for NaN, NaT and pandas' NA, which has no truth value."""
    try:
        return bool(value == value)
    except TypeError:
        return False


def _folds(rng, n, groups, sizes):
    """Cut the rows into random folds of about the given sizes, never through a group: (n,) int."""
    order = rng.permutation(groups.max() + 1)
    weight = np.bincount(groups)[order]
    middle = np.cumsum(weight) - weight / 2  # a group lies where its middle lies
    edges = np.cumsum(sizes)[:-1]
    fold = np.empty(len(order), int)
    fold[order] = np.searchsorted(edges, middle, side="right")
    return fold[groups]


DESIGNS = {d.name: d for d in (Subsample, LeaveOneOut, Split, Explicit)}


def get_design(design):
    """Return a design from its name or the object itself.

    Parameters
    ----------
    design : str or object
        "subsample", "leave_one_out", "split", or an object with a method `draw`.

    Returns
    -------
    object
        The design, with its default parameters if named.

    Raises
    ------
    ValueError
        The name is unknown, or "explicit", which needs its matrix.
    TypeError
        It is neither.
    """
    if isinstance(design, str):
        if design == "explicit":
            raise ValueError(
                "design='explicit' needs its matrix: pass sslmemo.designs.Explicit(member)."
            )
        return named(design, DESIGNS, "design")()
    if isinstance(design, type) or not hasattr(design, "draw"):
        kind = f"the class {design.__name__}: call it" if isinstance(design, type) else ""
        raise TypeError(
            f"design must be one of {', '.join(DESIGNS)} or an object from sslmemo.designs, "
            f"got {kind or shown(design)}."
        )
    return design
