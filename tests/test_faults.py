"""Whatever happens to a run, finished blocks are kept, errors have names, and the bytes are the same."""

import _thread
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from mean_training import Bulky, MeanTrainer, Norm

from sslmemo import LabelMemorizationEstimator, MemorizationEstimator
from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.pool import Finished, run
from sslmemo.protocols import TrainingError
from sslmemo.store import FORMAT, Store, StoreError

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def data():
    return as_data(np.random.default_rng(0).standard_normal((12, 3)))


@pytest.fixture(scope="module")
def plan():
    return Subsample().draw(12, 16, entropy=0)


@pytest.fixture(scope="module")
def clean(plan, data):
    return run(plan, MeanTrainer(), [Norm()], data).values["alignment"]


def started(code, *arguments, **options):
    """A Python process of its own session that runs some code, with the tests on its path."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options,
    )  # fmt: skip
    _processes.append(process)
    return process


_processes = []


@pytest.fixture(autouse=True)
def no_process_is_left():
    """End what a test has started, and close its pipes."""
    yield
    while _processes:
        process = _processes.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdout, process.stderr):
            pipe.close()
        process.wait()


def group_of(leader):
    """Live processes of a session, by /proc: set of int."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


def wait_until(condition, seconds=60):
    """Wait for a condition; a test that waits in vain fails."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


SLOW_RUN = """
    import sys
    from pathlib import Path
    import numpy as np
    from mean_training import Bulky, MeanTrainer, Norm
    from sslmemo.data import as_data
    from sslmemo.designs import Subsample
    from sslmemo.pool import run
    data = as_data(np.random.default_rng(0).standard_normal((12, 3)))
    plan = Subsample().draw(12, 16, entropy=0)
    trainer = MeanTrainer(log=Path(sys.argv[2]), pause=float(sys.argv[3]))
    done = run(plan, trainer, [Norm()], data, store=sys.argv[1], n_jobs=int(sys.argv[4]))
    np.save(sys.argv[5], done.values["alignment"])
"""


def test_a_killed_worker_is_tried_again(plan, data, clean, tmp_path):
    trainer = MeanTrainer(log=tmp_path, killed=[plan.seed_of(3)], kills=1)
    done = run(plan, trainer, [Norm()], data, n_jobs=2)
    np.testing.assert_array_equal(done.values["alignment"], clean)


def test_a_worker_killed_twice_is_reported_with_its_seed(plan, data, clean, tmp_path):
    seed = plan.seed_of(3)
    trainer = MeanTrainer(log=tmp_path, killed=[seed], kills=9)
    with pytest.raises(TrainingError, match=f"seed {seed} was killed twice.*memory"):
        run(plan, trainer, [Norm()], data, n_jobs=2)
    with pytest.warns(UserWarning, match="1 of 8 blocks failed"):
        done = run(plan, trainer, [Norm()], data, n_jobs=2, on_error="drop")
    kept = plan.block != 3
    np.testing.assert_array_equal(done.values["alignment"][kept], clean[kept])
    assert np.isnan(done.values["alignment"][~kept]).all()


def test_a_killed_parent_leaves_no_orphans_and_its_blocks_are_kept(tmp_path, plan, data, clean):
    store, log = tmp_path / "store", tmp_path / "log"
    log.mkdir()
    process = started(SLOW_RUN, store, log, 0.2, 2, tmp_path / "out.npy")
    wait_until(lambda: len(list(store.glob("*.block"))) >= 3)
    assert len(group_of(process.pid)) >= 3
    process.kill()
    process.wait()
    wait_until(lambda: not group_of(process.pid), seconds=20)
    kept = len(list(store.glob("*.block"))) - 1  # but for the behaviour probe's record
    before = len(list(log.iterdir()))
    done = run(plan, MeanTrainer(log=log), [Norm()], data, store=store)
    np.testing.assert_array_equal(done.values["alignment"], clean)
    assert len(list(log.iterdir())) - before == 16 - 2 * kept
    assert not [p for p in store.iterdir() if p.suffix in (".part", ".lock")]


def test_two_runs_on_one_folder_share_the_work(tmp_path, clean):
    store, log = tmp_path / "store", tmp_path / "log"
    log.mkdir()
    outs = [tmp_path / "a.npy", tmp_path / "b.npy"]
    both = [started(SLOW_RUN, store, log, 0.1, 1, out) for out in outs]
    for process in both:
        assert process.wait(120) == 0, process.stderr.read()
    for out in outs:
        np.testing.assert_array_equal(np.load(out), clean)
    assert len(list(log.iterdir())) == 16  # every encoder trained once
    assert not [p for p in store.iterdir() if p.suffix in (".part", ".lock")]


def test_an_interrupt_leaves_a_partial_result_and_says_how_to_go_on(table):
    X = table
    whole = MemorizationEstimator(n_encoders=8, epochs=2, random_state=0, verbose=0).fit(X)
    est = MemorizationEstimator(
        n_encoders=8, epochs=2, random_state=0, verbose=0, warm_start=True,
        measurements=[WaitsOnce()],
    )  # fmt: skip
    with pytest.raises(ValueError, match="no block is finished yet"):
        est.partial_result()

    def interrupt():
        wait_until(lambda: getattr(est, "_finished", None) is not None and len(est._finished) >= 2)
        seen.append(est.partial_result())  # while the fit goes on
        _thread.interrupt_main()

    seen = []
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt, match=r"of 4 blocks are finished.*warm_start=True"):
        est.fit(X)
    partial = est.partial_result()
    blocks = len(partial.run.plan.seed)
    assert 2 <= blocks < 4
    assert len(seen[0].run.plan.seed) >= 2
    rows = whole.membership_[: 2 * blocks]
    np.testing.assert_array_equal(partial.run.plan.member, rows)
    np.testing.assert_array_equal(
        partial.run.values["alignment"], whole.result_.run.values["alignment"][: 2 * blocks]
    )
    est.fit(X)
    np.testing.assert_array_equal(est.memorization_scores_, whole.memorization_scores_)
    assert est.partial_result().score.tolist() == est.result_.score.tolist()


class WaitsOnce:
    """A measurement that waits in the third block, when two are finished, until it is interrupted."""

    name, at = "waits", (1.0,)

    def __init__(self):
        self.calls = 0

    def config(self):
        return {"measurement": "waits"}

    def observer(self, k, n):
        return None

    def __call__(self, models, data, member, seed, observed=None):
        self.calls += 1
        end = time.monotonic() + 30
        while self.calls == 5 and time.monotonic() < end:
            time.sleep(0.01)
        return {}


class Slow:
    """A measurement that takes its time."""

    name, at = "slow", (1.0,)

    def __init__(self, seconds):
        self.seconds = seconds

    def config(self):
        return {"measurement": "slow"}

    def observer(self, k, n):
        return None

    def __call__(self, models, data, member, seed, observed=None):
        time.sleep(self.seconds)
        return {"slow": np.zeros((len(models), 1))}


def test_control_c_ends_workers_too_and_memory_goes_on(tmp_path, table):
    np.save(tmp_path / "X.npy", table)
    code = """
        import sys
        import numpy as np
        from sslmemo import MemorizationEstimator
        from test_faults import Slow
        est = MemorizationEstimator(n_encoders=16, epochs=1, random_state=0, verbose=0, n_jobs=2,
                                    memory=sys.argv[2], measurements=[Slow(0.2)])
        try:
            est.fit(np.load(sys.argv[1]))
        except KeyboardInterrupt as interrupt:
            print(interrupt, len(est.partial_result().run.plan.seed))
            raise SystemExit(130)
    """
    store = tmp_path / "store"
    process = started(code, tmp_path / "X.npy", store)
    wait_until(lambda: len(list(store.glob("*.block"))) >= 4)
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "of 8 blocks are finished" in out
    assert "they are in memory=" in out
    wait_until(lambda: not group_of(process.pid), seconds=20)
    est = MemorizationEstimator(
        n_encoders=16, epochs=1, random_state=0, verbose=0, memory=store, measurements=[Slow(0)]
    )
    partial = est.partial_result(table)
    assert int(out.split()[-1]) <= len(partial.run.plan.seed) < 8
    est.fit(table)
    fresh = MemorizationEstimator(n_encoders=16, epochs=1, random_state=0, verbose=0).fit(table)
    np.testing.assert_array_equal(est.memorization_scores_, fresh.memorization_scores_)


def test_partial_results_by_memory_need_a_seed_and_blocks(tmp_path, table):
    est = MemorizationEstimator(n_encoders=8, epochs=1, memory=tmp_path, verbose=0)
    with pytest.raises(ValueError, match=r"reads blocks from memory= by random_state="):
        est.partial_result(table)
    with pytest.raises(ValueError, match="no block is finished yet"):
        est.set_params(random_state=0).partial_result(table)


def test_a_failure_keeps_what_was_finished(plan, data):
    finished = Finished()
    bad = MeanTrainer(fail=[plan.seed_of(5)])
    with pytest.raises(TrainingError):
        run(plan, bad, [Norm()], data, finished=finished)
    assert finished.run().plan.blocks.tolist() == [0, 1, 2, 3, 4]


def test_shards_in_processes_of_their_own_add_up(tmp_path, table):
    np.save(tmp_path / "X.npy", table)
    code = """
        import sys
        import numpy as np
        from sslmemo import MemorizationEstimator
        task, tasks = int(sys.argv[2]), int(sys.argv[3])
        est = MemorizationEstimator(n_encoders=12, epochs=1, random_state=0, verbose=0,
                                    memory=sys.argv[5] or None)
        est.run_shard(np.load(sys.argv[1]), task, tasks).save(sys.argv[4])
    """
    from sslmemo.result import MemorizationResult

    files = [tmp_path / f"{i}.result" for i in range(3)]
    store = tmp_path / "store"
    tasks = [
        started(code, tmp_path / "X.npy", i, 3, files[i], store if i < 2 else "") for i in range(3)
    ]
    for task in tasks:
        assert task.wait(120) == 0, task.stderr.read()
    whole = MemorizationEstimator(n_encoders=12, epochs=1, random_state=0, verbose=0).fit(table)
    total = sum(MemorizationResult.load(f) for f in files)
    np.testing.assert_array_equal(total.score, whole.memorization_scores_)
    by_memory = MemorizationEstimator(
        n_encoders=12, epochs=1, random_state=0, verbose=0, memory=store
    ).fit(table)
    np.testing.assert_array_equal(by_memory.memorization_scores_, whole.memorization_scores_)
    with pytest.raises(ValueError, match="run_shard needs random_state"):
        MemorizationEstimator().run_shard(table, 0, 2)
    with pytest.raises(ValueError, match="i must lie between 0 and k - 1"):
        MemorizationEstimator(random_state=0, n_encoders=4).run_shard(table, 3, 2)


def limited(bytes_a_file):
    """Let a child's files grow to a size only, as a full disk would."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, bytes_a_file))

    return limit


def test_a_write_that_fails_is_named_and_leaves_the_rest_intact(plan, data, clean, tmp_path):
    store, log = tmp_path / "store", tmp_path / "log"
    log.mkdir()
    run(plan.take([0, 1]), MeanTrainer(), [Norm(), Bulky()], data, store=store)
    body = {p.name: p.read_bytes() for p in store.glob("*.block")}
    code = SLOW_RUN.replace("import MeanTrainer, Norm", "import Bulky, MeanTrainer, Norm")
    code = code.replace("[Norm()]", "[Norm(), Bulky()]")
    process = started(  # small files fit, a record does not
        code, store, log, 0.0, 1, tmp_path / "out.npy", preexec_fn=limited(8000)
    )
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "StoreError" in errors
    assert "fit again to go on" in errors
    assert {p.name: p.read_bytes() for p in store.glob("*.block")} == body
    assert not [p for p in store.iterdir() if p.suffix in (".part", ".lock")]
    done = run(plan, MeanTrainer(), [Norm(), Bulky()], data, store=store)
    np.testing.assert_array_equal(done.values["alignment"], clean)


AS_NOBODY = SLOW_RUN.replace(
    "    data =",
    """
    import os
    import filelock, joblib, kornia, tqdm.auto, encodings.cp437
    if os.getuid() == 0:  # no folder's permissions bind a superuser
        os.setgid(65534)
        os.setuid(65534)
    data =""",
)


@pytest.fixture
def open_folder():
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_a_read_only_folder_is_refused_before_training_but_can_be_read(plan, data, open_folder):
    store, log = open_folder / "store", open_folder / "log"
    log.mkdir()
    log.chmod(0o777)
    run(plan.take(range(7)), MeanTrainer(), [Norm()], data, store=store)
    store.chmod(0o555)
    process = started(AS_NOBODY, store, log, 0.0, 1, log / "out.npy")
    assert process.wait(60) == 1
    errors = process.stderr.read()
    assert "StoreError" in errors
    assert "Permission denied" in errors
    assert not list(log.iterdir())  # nothing was trained
    store.chmod(0o755)
    run(plan, MeanTrainer(), [Norm()], data, store=store)
    store.chmod(0o555)
    process = started(AS_NOBODY, store, log, 0.0, 1, log / "out.npy")
    assert process.wait(60) == 0, process.stderr.read()
    assert [p.name for p in log.iterdir()] == ["out.npy"]


def test_a_store_of_another_format_is_refused_and_a_damaged_mark_is_mended(tmp_path):
    Store(tmp_path)
    mark = tmp_path / "sslmemo-store.json"
    assert json.loads(mark.read_text()) == {"format": FORMAT}
    mark.write_bytes(b"\x00garbage")
    Store(tmp_path)
    assert json.loads(mark.read_text()) == {"format": FORMAT}
    mark.write_text('{"format": 99}')
    with pytest.raises(ValueError, match="holds records of format 99.*name another folder"):
        Store(tmp_path)


def test_a_fresh_start_is_said_aloud(tmp_path, table, capsys):
    def fit(**changes):
        MemorizationEstimator(
            **{"n_encoders": 4, "epochs": 1, "random_state": 0, "memory": tmp_path, **changes}
        ).fit(table)
        return capsys.readouterr().err

    assert "holds other runs" not in fit()
    assert "holds other runs" not in fit()
    said = fit(learning_rate=0.01)
    assert "none of this one's blocks" in said
    assert "trainer.learning_rate was 0.001, is 0.01" in said
    assert "holds other runs" not in fit(learning_rate=0.1, verbose=0)
    y = np.arange(len(table)) % 2
    LabelMemorizationEstimator(n_encoders=4, memory=tmp_path, random_state=0).fit(table, y)
    assert "holds other runs" not in capsys.readouterr().err  # another question


def test_claims_are_held_freed_and_seen_by_others(tmp_path):
    store = Store(tmp_path)
    assert not store.is_claimed("a")
    with store.claim("a"):
        assert store.is_claimed("a")
        assert not store.is_claimed("b")
    assert not store.is_claimed("a")
    assert not list(tmp_path.glob(".*.lock"))


def test_a_writer_that_was_killed_leaves_nothing_for_long(tmp_path):
    store = Store(tmp_path)
    (tmp_path / ".a.block.x.part").write_bytes(b"half a record")
    with store.claim("a"):  # nobody else is writing it now
        store.save("a", {"x": np.arange(3)})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.block", "sslmemo-store.json"]


def test_store_errors_travel_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(StoreError("memory='x' can't be written")))
    assert isinstance(error, OSError)
    assert "can't be written" in str(error)
