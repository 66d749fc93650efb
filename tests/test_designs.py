"""Designs and plans: balance, blocks, groups, prefixes, shards, refusals."""

import numpy as np
import pytest

from sslmemo.designs import Explicit, LeaveOneOut, Plan, Split, Subsample, get_design


@pytest.mark.parametrize("fraction", [0.5, 0.25, 0.75, 0.7, 1 / 3, 0.9])
@pytest.mark.parametrize("n", [40, 41, 97])
def test_every_block_holds_every_row_equally_often(fraction, n):
    design = Subsample(fraction)
    size = design.block_size(n)
    plan = design.draw(n, 3 * size, entropy=1)
    for b in plan.blocks:
        inside = plan.member[plan.encoders_of(b)].sum(0)
        assert (inside == round(fraction * size)).all()
    assert np.abs(plan.train_sizes - fraction * n).max() <= size
    assert plan.train_sizes.mean() == pytest.approx(fraction * n, abs=1e-9 + 0.01 * n)


def test_half_splits_are_complementary_pairs_with_one_seed():
    plan = Subsample().draw(30, 6, entropy=0)
    assert (plan.member[::2] == ~plan.member[1::2]).all()
    assert len(plan.seed) == 3
    assert len(set(plan.seed.tolist())) == 3


@pytest.mark.parametrize(
    ("design", "few", "many"),
    [(Subsample(), 8, 16), (Subsample(0.25), 8, 16), (LeaveOneOut([3, 5]), 6, 12), (Split(), 4, 8)],
)
def test_designs_are_prefix_stable(design, few, many):
    small, large = design.draw(50, few, entropy=7), design.draw(50, many, entropy=7)
    assert (large.member[:few] == small.member).all()
    assert (large.block[:few] == small.block).all()
    assert (large.seed[: len(small.seed)] == small.seed).all()


def test_another_entropy_or_size_is_another_plan():
    plan = Subsample().draw(50, 4, entropy=0)
    assert (plan.member != Subsample().draw(50, 4, entropy=1).member).any()
    assert (plan.seed != Subsample().draw(51, 4, entropy=0).seed).all()


@pytest.mark.parametrize("design", [Subsample(), Subsample(0.25), Subsample(0.7, balanced=False)])
def test_groups_stay_together(design):
    groups = np.repeat(np.arange(20), 3)
    plan = design.draw(60, 20, entropy=0, groups=groups)
    for g in range(20):
        assert (plan.member[:, groups == g].sum(1) % 3 == 0).all()


def test_independent_subsets_are_blocks_of_one():
    plan = Subsample(0.7, balanced=False).draw(100, 10, entropy=0)
    assert (plan.train_sizes == 70).all()
    assert (plan.block == np.arange(10)).all()


def test_leave_one_out_compares_f_on_all_rows_with_g_on_all_but_one():
    plan = LeaveOneOut([1, 4]).draw(6, 6, entropy=0)
    assert plan.member[0].all()
    assert not plan.member[1, 1]
    assert plan.member[1].sum() == 5
    expected = [[0, -1, 0, 0, -1, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]]
    assert (plan.contrast == expected * 2).all()
    assert plan.as_f[0, 1]
    assert not plan.as_f[2, 1]  # another row's g has seen the row, but is no f on all of S


def test_leave_one_out_drops_the_whole_group():
    plan = LeaveOneOut([0]).draw(5, 2, entropy=0, groups=[7, 7, 1, 2, 3])
    assert plan.member[1].tolist() == [False, False, True, True, True]


def test_split_trains_f_and_g_on_their_own_rows():
    roles = np.array(["shared"] * 5 + ["candidate", "independent", "external"])
    plan = Split(roles).draw(8, 4, entropy=0)
    assert plan.member[0].tolist() == [True] * 6 + [False, False]
    assert plan.member[1].tolist() == [True] * 5 + [False, True, False]
    assert (plan.contrast[:, 0] == [-1, 1, -1, 1]).all()
    assert (plan.roles == roles).all()


def test_split_draws_shares():
    roles = Split(shared=0.6, candidate=0.2, independent=0.1).draw(100, 2, entropy=0).roles
    counts = {r: int((roles == r).sum()) for r in np.unique(roles)}
    assert counts == {"shared": 60, "candidate": 20, "independent": 10, "external": 10}


def test_shards_cover_the_plan_in_whole_blocks():
    plan = Subsample().draw(20, 10, entropy=0)
    shards = [plan.shard(i, 3) for i in range(3)]
    assert sorted(np.concatenate([s.block for s in shards])) == plan.block.tolist()
    assert shards[1].blocks.tolist() == [1, 4]
    assert shards[1].seed_of(4) == plan.seed_of(4)
    with pytest.raises(ValueError, match="empty"):
        plan.shard(5, 6)


def test_explicit_takes_any_matrix():
    member = np.random.default_rng(0).random((4, 9)) < 0.5
    plan = Explicit(member, block=[0, 0, 1, 1]).draw(9, 4, entropy=0)
    assert (plan.member == member).all()
    assert (plan.as_g == ~member).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Subsample(0.0).draw(10, 2, 0), "strictly between 0 and 1"),
        (lambda: Subsample(0.03).draw(10, 2, 0), "no ratio"),
        (lambda: Subsample().draw(10, 3, 0), "use 2 or 4"),
        (lambda: Subsample(0.25).draw(3, 4, 0), "at least 4 distinct rows"),
        (lambda: LeaveOneOut([10]).draw(10, 2, 0), "between 0 and 9"),
        (lambda: Split(["shared"] * 9 + ["candidat"]).draw(10, 2, 0), "unknown role"),
        (lambda: Split(["shared"] * 10).draw(10, 2, 0), "no row has the role"),
        (lambda: Split(shared=0.9, candidate=0.2).draw(10, 2, 0), "at most 1 in sum"),
        (lambda: Explicit(np.ones((2, 5))).draw(6, 2, 0), "the data have 6 rows"),
        (lambda: Explicit(np.zeros((1, 5))).draw(5, 1, 0), "no row at all"),
        (lambda: Subsample().draw(4, 2, 0, groups=[1, 2]), "one entry for each"),
        (lambda: get_design("subsampel"), "Did you mean 'subsample'"),
        (lambda: get_design("explicit"), "needs its matrix"),
        (lambda: Plan(np.ones((2, 3), bool), np.array([1, 0]), np.zeros(2)), "ascending"),
    ],
)
def test_refusals_say_the_mend(make, message):
    with pytest.raises(ValueError, match=message):
        make()
