"""A plan: who is trained on what, drawn from a design.

A boolean membership matrix, and a block and a seed for every encoder. The encoders of a block share
the seed (initial weights, order, augmentation draws) and later the views they are measured on, so
that f and g differ by the rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """A drawn design: who is trained on what.

    Attributes
    ----------
    member : ndarray of bool, shape (n_encoders, n_samples)
        Whether the encoder is trained on the row.
    block : ndarray of int, shape (n_encoders,)
        Block of each encoder, ascending.
    seed : ndarray of uint64, shape (n_blocks,)
        Seed of each block, in the order of `np.unique(block)`.
    contrast : ndarray of int8, shape (n_encoders, n_samples), or None
        +1 where the encoder counts as g for the row's score, -1 as f, 0 where it is not used.
        None means by membership: f where a member, g where not.
    roles : ndarray of str, shape (n_samples,), or None
        "shared", "candidate", "independent" or "external", for a split.
    groups : ndarray of int, shape (n_samples,), or None
        Rows of one group are in, or out, together.
    design : str
        Name of the design, for tables and texts.
    nominal : tuple of (float, int), or None
        Mean and least training size that the design promises for any number of blocks. None means
        those of this plan.

    Raises
    ------
    TypeError
        `member` is no boolean matrix.
    ValueError
        The shapes don't fit each other, `block` is not ascending, or an encoder is trained on no
        row.
    """

    member: np.ndarray
    block: np.ndarray
    seed: np.ndarray
    contrast: np.ndarray | None = None
    roles: np.ndarray | None = None
    groups: np.ndarray | None = None
    design: str = "explicit"
    nominal: tuple | None = None

    def __post_init__(self):
        member, block = self.member, self.block
        if member.dtype != bool or member.ndim != 2:
            raise TypeError(
                "member must be a boolean matrix (n_encoders, n_samples), "
                f"got {member.dtype} of shape {member.shape}."
            )
        if block.shape != (len(member),) or (np.diff(block) < 0).any():
            raise ValueError(
                f"block must be ascending with one entry for each of the {len(member)} encoders."
            )
        if len(np.unique(block)) != len(self.seed):
            raise ValueError(
                f"seed has {len(self.seed)} entries for {len(np.unique(block))} blocks."
            )
        empty = np.flatnonzero(~member.any(1))
        if len(empty):
            raise ValueError(f"encoder {empty[0]} of the plan is trained on no row at all.")
        if self.contrast is not None and self.contrast.shape != member.shape:
            raise ValueError("contrast must have the shape of member.")

    @property
    def n_encoders(self):
        """Number of trainings."""
        return len(self.member)

    @property
    def n_samples(self):
        """Number of rows."""
        return self.member.shape[1]

    @property
    def blocks(self):
        """Names of the blocks, ascending: ndarray of int, shape (n_blocks,)."""
        return np.unique(self.block)

    @property
    def as_f(self):
        """Whether the encoder counts as f for the row: bool (n_encoders, n_samples)."""
        return self.member if self.contrast is None else self.contrast < 0

    @property
    def as_g(self):
        """Whether the encoder counts as g for the row: bool (n_encoders, n_samples)."""
        return ~self.member if self.contrast is None else self.contrast > 0

    @property
    def train_sizes(self):
        """Number of rows each encoder is trained on: ndarray of int, shape (n_encoders,)."""
        return self.member.sum(1)

    @property
    def sizes(self):
        """Mean and least training size, the same for a larger pool: (float, int)."""
        if self.nominal is not None:
            return self.nominal
        return float(self.train_sizes.mean()), int(self.train_sizes.min())

    def encoders_of(self, block):
        """Positions of a block's encoders.

        Parameters
        ----------
        block : int
            Name of the block, see `blocks`.

        Returns
        -------
        ndarray of int
            Rows of `member`; none for a name that the plan lacks.
        """
        return np.flatnonzero(self.block == block)

    def seed_of(self, block):
        """Seed of a block.

        Parameters
        ----------
        block : int
            Name of the block; one that the plan lacks is not noticed.

        Returns
        -------
        int
            Of 64 bits.
        """
        return int(self.seed[np.searchsorted(self.blocks, block)])

    def _check_groups(self):
        """Refuse a membership that cuts through a group; return the plan."""
        if self.groups is not None:
            first = np.unique(self.groups, return_index=True)[1][self.groups]
            cut = np.flatnonzero((self.member != self.member[:, first]).any(0))
            if len(cut):
                raise ValueError(
                    f"row {cut[0]} and row {first[cut[0]]} are of one group, but the {self.design} "
                    "design has one of them in and the other out: change the groups or the design."
                )
        return self

    def take(self, blocks):
        """Keep some blocks only, under their own names.

        Parameters
        ----------
        blocks : int or array-like of int
            Names of the blocks, see `blocks`; those that the plan lacks are passed over.

        Returns
        -------
        Plan
            Of those blocks.
        """
        keep = np.isin(self.block, blocks)
        return replace(
            self,
            member=self.member[keep],
            block=self.block[keep],
            seed=self.seed[np.isin(self.blocks, blocks)],
            contrast=None if self.contrast is None else self.contrast[keep],
        )

    def shard(self, i, k):
        """Give the i-th of k parts, in whole blocks: block positions i, i + k, i + 2k, ...

        Parameters
        ----------
        i : int
            Which part, from 0 to k - 1.
        k : int
            Number of parts, at most that of blocks.

        Returns
        -------
        Plan
            Of the part's blocks, under their own names.

        Raises
        ------
        ValueError
            `i` lies outside 0 to k - 1, or the part is empty.
        """
        if not 0 <= i < k:
            raise ValueError(f"i must lie between 0 and k - 1 = {k - 1}, got {i}.")
        mine = self.blocks[i::k]
        if not len(mine):
            raise ValueError(f"shard {i} of {k} is empty: the plan has {len(self.seed)} blocks.")
        return self.take(mine)
