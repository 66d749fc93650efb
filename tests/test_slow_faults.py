"""Long proofs that nothing is lost: 25 kills of a whole process group, and a disk that fills."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from mean_training import MeanTrainer, Norm
from test_faults import SLOW_RUN, group_of, no_process_is_left, started, wait_until  # noqa: F401

from sslmemo import MemorizationEstimator
from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.pool import run

pytestmark = pytest.mark.slow

FIT = """
    import sys
    import numpy as np
    from sslmemo import MemorizationEstimator
    est = MemorizationEstimator(n_encoders=48, epochs=60, random_state=0, verbose=0, n_jobs=2,
                                memory=sys.argv[2], keep_encoders=True)
    est.fit(np.load(sys.argv[1]))
    np.savez(sys.argv[3], scores=est.memorization_scores_, z=est.transform(np.load(sys.argv[1])),
             **est.result_.run.values)
"""


def records(folder):
    """Number of records in a folder."""
    return len(list(folder.glob("*.block")))


def test_25_kills_of_the_process_group_change_no_byte(tmp_path, table):
    np.save(tmp_path / "X.npy", table)
    store, out = tmp_path / "store", tmp_path / "out.npz"
    rng = random.Random(0)
    started_at, kills, blocks = time.monotonic(), 0, []
    store.mkdir()
    while kills < 25:
        wanted = records(store) + rng.randint(1, 3)
        process = started(FIT, tmp_path / "X.npy", store, out)
        if rng.random() < 0.7:  # in the middle of training, else in the imports or at its start
            wait_until(lambda p=process, w=wanted: records(store) >= w or p.poll() is not None)
        try:
            process.wait(rng.uniform(0.0, 1.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            blocks.append(records(store))
            wait_until(lambda leader=process.pid: not group_of(leader), seconds=20)
            continue
        assert process.returncode == 0, process.stderr.read()
        shutil.rmtree(store)  # all done: begin again, there are kills left
    process = started(FIT, tmp_path / "X.npy", store, out)
    assert process.wait(600) == 0, process.stderr.read()
    est = MemorizationEstimator(
        n_encoders=48, epochs=60, random_state=0, verbose=0, keep_encoders=True
    ).fit(table)
    with np.load(out) as found:
        assert found["scores"].tobytes() == est.memorization_scores_.tobytes()
        assert found["z"].tobytes() == est.transform(table).tobytes()
        for name, values in est.result_.run.values.items():
            assert found[name].tobytes() == values.tobytes()
    litter = [p.name for p in store.iterdir() if p.suffix in (".part", ".lock")]
    print(f"\n25 kills in {time.monotonic() - started_at:.0f} s; records after each: {blocks}; "
          f"bytes equal; left over: {litter}")  # fmt: skip
    assert not litter
    assert max(blocks) > 3  # some kills came after blocks were finished


def mounted(size):
    """A small file system of its own, or None where that is not allowed."""
    folder = Path(tempfile.mkdtemp())
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    return folder if done.returncode == 0 else None


def test_a_disk_that_fills_is_named_and_keeps_its_records(tmp_path):
    disk = mounted("64k")
    if disk is None:
        pytest.skip("no right to mount a small file system; tests/test_faults.py limits file sizes")
    try:
        log = tmp_path / "log"
        log.mkdir()
        process = started(SLOW_RUN, disk / "store", log, 0.05, 2, tmp_path / "out.npy")
        filler = disk / "filler"
        wait_until(lambda: len(list((disk / "store").glob("*.block"))) >= 3)
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(2**20))
        assert process.wait(60) == 1
        errors = process.stderr.read()
        assert "StoreError" in errors
        assert "No space left on device" in errors
        wait_until(lambda: not group_of(process.pid), seconds=20)
        kept = len(list((disk / "store").glob("*.block")))
        filler.unlink()
        before = len(list(log.iterdir()))
        process = started(SLOW_RUN, disk / "store", log, 0.0, 2, tmp_path / "out.npy")
        assert process.wait(60) == 0, process.stderr.read()
        data = as_data(np.random.default_rng(0).standard_normal((12, 3)))
        clean = run(Subsample().draw(12, 16, entropy=0), MeanTrainer(), [Norm()], data)
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), clean.values["alignment"])
        again = len(list(log.iterdir())) - before
        assert not list((disk / "store").glob("*.part"))
        print(
            f"\ndisk full after {kept} records: named error; {again} of 16 encoders trained later"
        )
    finally:
        subprocess.run(["umount", disk], check=True)
