"""The pool: same bytes however it runs, finished blocks kept, failures reported, models optional."""

import numpy as np
import pytest
from mean_training import MeanTrainer, Norm

from sslmemo.data import as_data
from sslmemo.designs import Explicit, LeaveOneOut, Subsample
from sslmemo.identity import describe, key_of
from sslmemo.merge import merge_runs
from sslmemo.pool import run
from sslmemo.protocols import TrainingError
from sslmemo.store import Store, read_record, write_record


@pytest.fixture(scope="module")
def data():
    return as_data(np.random.default_rng(0).standard_normal((12, 3)))


@pytest.fixture
def plan():
    return Subsample().draw(12, 8, entropy=0)


def test_values_lie_where_the_plan_says(plan, data):
    done = run(plan, MeanTrainer(), [Norm()], data)
    x = data.array(np.arange(12))
    for t in range(8):
        seed = plan.seed_of(plan.block[t])
        center = x[plan.member[t]].mean(0) + np.random.default_rng(seed).standard_normal()
        expected = np.linalg.norm(x - center, axis=1)
        np.testing.assert_allclose(done.values["alignment"][t], expected, rtol=1e-5)
    assert done.seconds.shape == (4,)


@pytest.mark.parametrize("together", [1, 2, 100])
def test_trainings_together_or_one_by_one(data, together):
    plan = LeaveOneOut([0, 1, 2, 3]).draw(12, 10, entropy=0)
    values = run(plan, MeanTrainer(together=together), [Norm()], data).values["alignment"]
    np.testing.assert_array_equal(
        values, run(plan, MeanTrainer(), [Norm()], data).values["alignment"]
    )


@pytest.mark.parametrize("together", [2, 4, 5, 100])
def test_several_blocks_in_one_job_are_the_same(plan, data, together):
    alone = run(plan, MeanTrainer(), [Norm(), Norm("b", at=(0.5, 1.0))], data, keep_models=True)
    many = run(
        plan, MeanTrainer(together=together), [Norm(), Norm("b", at=(0.5, 1.0))], data,
        keep_models=True,
    )  # fmt: skip
    for name in ("alignment", "b"):
        np.testing.assert_array_equal(many.values[name], alone.values[name])
    assert all(np.array_equal(a["center"], b["center"]) for a, b in zip(many.models, alone.models))


def test_a_failure_in_a_job_of_several_blocks_drops_one(plan, data):
    bad = MeanTrainer(fail=[plan.seed_of(2)], together=100)
    with pytest.warns(UserWarning, match="1 of 4 blocks failed"):
        done = run(plan, bad, [Norm()], data, on_error="drop")
    assert list(done.failures) == [2]


def test_measurements_at_fractions_share_the_training(plan, data, tmp_path):
    two = Norm("early", at=(0.5, 1.0))
    done = run(plan, MeanTrainer(log=tmp_path), [two, Norm()], data)
    assert done.values["early"].shape == (8, 2, 12)
    np.testing.assert_array_equal(done.values["early"][:, 1], done.values["alignment"])
    assert len(list(tmp_path.iterdir())) == 8


def test_two_measurements_of_one_name_are_refused(plan, data):
    with pytest.raises(ValueError, match="rename one"):
        run(plan, MeanTrainer(), [Norm(), Norm()], data)


def test_models_are_kept_only_when_asked(plan, data):
    assert run(plan, MeanTrainer(), [Norm()], data).models is None
    kept = run(plan, MeanTrainer(), [Norm()], data, keep_models=True).models
    assert [m["center"].shape for m in kept] == [(3,)] * 8


def test_a_failure_is_raised_or_drops_its_block(plan, data):
    bad = MeanTrainer(fail=[plan.seed_of(2)])
    with pytest.raises(TrainingError, match=f"seed {plan.seed_of(2)} failed"):
        run(plan, bad, [Norm()], data)
    with pytest.warns(UserWarning, match="1 of 4 blocks failed"):
        done = run(plan, bad, [Norm()], data, on_error="drop", keep_models=True)
    assert np.isnan(done.values["alignment"][4:6]).all()
    assert np.isfinite(done.values["alignment"][[0, 1, 2, 3, 6, 7]]).all()
    assert list(done.failures) == [2]
    assert done.models[4] is None
    everything = MeanTrainer(fail=plan.seed.tolist())
    with pytest.raises(TrainingError, match="every block failed"):
        run(plan, everything, [Norm()], data, on_error="drop")


def test_finished_blocks_are_not_trained_again(plan, data, tmp_path):
    log, store = tmp_path / "log", tmp_path / "store"
    log.mkdir()
    first = run(plan.take([0, 1]), MeanTrainer(log=log), [Norm()], data, store=store)
    assert len(list(log.iterdir())) == 4
    both = run(plan, MeanTrainer(log=log), [Norm()], data, store=store)
    assert len(list(log.iterdir())) == 8
    np.testing.assert_array_equal(both.values["alignment"][:4], first.values["alignment"])
    fresh = run(plan, MeanTrainer(), [Norm()], data)
    np.testing.assert_array_equal(both.values["alignment"], fresh.values["alignment"])


def test_other_data_or_measurements_are_other_records(plan, data, tmp_path):
    run(plan, MeanTrainer(), [Norm()], data, store=tmp_path / "s")
    log = tmp_path / "log"
    log.mkdir()
    other = as_data(data.array(np.arange(12))[::-1].copy())
    run(plan, MeanTrainer(log=log), [Norm()], other, store=tmp_path / "s")
    run(plan, MeanTrainer(log=log), [Norm("another")], data, store=tmp_path / "s")
    assert len(list(log.iterdir())) == 16


@pytest.mark.parametrize(
    "damage", ["truncate", "flip", "empty", "swap", "folder", "symlink", "pickle"]
)
def test_a_damaged_record_is_trained_again(plan, data, tmp_path, damage):
    clean = run(plan, MeanTrainer(), [Norm()], data, store=tmp_path).values["alignment"]
    # the behaviour probe is a record too: damage what a block wrote, the larger files
    files = sorted(tmp_path.glob("*.block"), key=lambda p: p.stat().st_size)[-2:]
    body = files[0].read_bytes()
    if damage == "truncate":
        files[0].write_bytes(body[:-20])
    elif damage == "flip":
        files[0].write_bytes(body[:-99] + bytes([body[-99] ^ 1]) + body[-98:])
    elif damage == "empty":
        files[0].write_bytes(b"")
    elif damage == "swap":
        files[0].write_bytes(files[1].read_bytes())
    elif damage == "folder":
        files[0].unlink()
        files[0].mkdir()
    elif damage == "symlink":
        (tmp_path / "elsewhere").write_bytes(body)
        files[0].unlink()
        files[0].symlink_to(tmp_path / "elsewhere")
    elif damage == "pickle":
        import pickle

        files[0].write_bytes(pickle.dumps({"alignment": np.ones(3)}))
    again = run(plan, MeanTrainer(), [Norm()], data, store=tmp_path).values["alignment"]
    np.testing.assert_array_equal(again, clean)


def test_max_time_keeps_whole_blocks(plan, data):
    with pytest.warns(UserWarning, match="blocks were trained"):
        done = run(plan, MeanTrainer(pause=0.1), [Norm()], data, max_time=0.5)
    assert 1 <= len(done.plan.seed) < 4
    assert done.values["alignment"].shape == (2 * len(done.plan.seed), 12)


def test_shards_merge_into_the_whole(plan, data):
    whole = run(plan, MeanTrainer(), [Norm()], data, keep_models=True)
    parts = [run(plan.shard(i, 2), MeanTrainer(), [Norm()], data, keep_models=True) for i in (1, 0)]
    merged = merge_runs(*parts)
    np.testing.assert_array_equal(merged.plan.member, plan.member)
    np.testing.assert_array_equal(merged.plan.seed, plan.seed)
    np.testing.assert_array_equal(merged.values["alignment"], whole.values["alignment"])
    assert all(
        np.array_equal(a["center"], b["center"])
        for a, b in zip(merged.models, whole.models, strict=True)
    )


def test_runs_of_other_seeds_merge_with_new_block_names(plan, data):
    other = run(Subsample().draw(12, 4, entropy=1), MeanTrainer(), [Norm()], data)
    whole = run(plan, MeanTrainer(), [Norm()], data)
    merged = merge_runs(whole, other)
    assert merged.plan.blocks.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(merged.values["alignment"][8:], other.values["alignment"])
    with pytest.raises(ValueError, match="twice"):
        merge_runs(merged, other)
    elsewhere = as_data(np.random.default_rng(9).standard_normal((12, 3)))
    with pytest.raises(ValueError, match="differ in their data"):
        merge_runs(whole, run(Subsample().draw(12, 4, 2), MeanTrainer(), [Norm()], elsewhere))


def test_an_explicit_plan_of_one_runs(data):
    plan = Explicit(np.ones((1, 12), bool)).draw(12, 1, entropy=0)
    assert run(plan, MeanTrainer(), [Norm()], data).values["alignment"].shape == (1, 12)


def test_records_leave_no_litter_and_refuse_another_key(tmp_path):
    write_record(tmp_path / "a", "key", {"x": np.arange(3)})
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert read_record(tmp_path / "a", "key")["x"].tolist() == [0, 1, 2]
    assert read_record(tmp_path / "a", "other") is None
    with pytest.raises(TypeError, match="'x' holds Python objects"):
        write_record(tmp_path / "b", "key", {"x": np.array([object()])})
    assert not (tmp_path / "b").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="memory=.*can't be used as a folder"):
        Store(tmp_path / "file")


def test_descriptions_and_keys():
    import functools

    from sslmemo.methods import SimCLR

    assert describe(SimCLR(0.3)) == [
        "sslmemo.methods.simclr.SimCLR", {"projection_dim": 64, "temperature": 0.3}
    ]  # fmt: skip
    assert describe(functools.partial(max, 1))[1] == [1]
    assert describe(np.float64(2)) == 2.0
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1})
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of(np.zeros(2)) != key_of(np.zeros(2, np.float32))
