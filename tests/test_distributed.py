"""A real cluster of processes: the same bytes as one process, also when a worker is lost."""

import os
import signal
import time

import joblib
import numpy as np
import pytest

from sslmemo import MemorizationEstimator

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((40, 5))


def estimator(**changes):
    return MemorizationEstimator(
        **{"n_encoders": 16, "epochs": 2, "random_state": 0, "verbose": 0, **changes}
    )


@pytest.fixture(scope="module")
def scores(X):
    return estimator().fit(X).memorization_scores_


@pytest.fixture
def client(tmp_path):
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


def test_dask_gives_the_same_bytes(client, X, scores, tmp_path):
    with joblib.parallel_config("dask"):
        est = estimator(memory=tmp_path / "store").fit(X)
    assert est.memorization_scores_.tobytes() == scores.tobytes()


class KillsItsWorker:
    """A measurement whose first use ends the worker process that it runs in."""

    name, at = "kills", (1.0,)

    def __init__(self, flag):
        self.flag = flag

    def config(self):
        return {"measurement": "kills"}

    def observer(self, k, n):
        return None

    def __call__(self, models, data, member, seed, observed=None):
        try:
            os.close(os.open(self.flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return {"kills": np.zeros((len(models), 1))}
        os.kill(os.getpid(), signal.SIGKILL)


def test_dask_loses_a_worker_and_gives_the_same_bytes(client, X, scores, tmp_path):
    flag = tmp_path / "killed"
    with joblib.parallel_config("dask"):
        est = estimator(measurements=[KillsItsWorker(str(flag))]).fit(X)
    assert flag.exists()
    assert est.memorization_scores_.tobytes() == scores.tobytes()


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_every_backend_gives_the_same_bytes(backend, X, scores):
    with joblib.parallel_config(backend, n_jobs=2):
        assert estimator().fit(X).memorization_scores_.tobytes() == scores.tobytes()


def test_a_deadline_holds_on_a_cluster(client, X):
    started = time.monotonic()
    with joblib.parallel_config("dask"), pytest.warns(UserWarning, match="blocks were trained"):
        est = estimator(n_encoders=2000, epochs=20, max_time=4).fit(X)
    assert time.monotonic() - started < 40
    assert 1 <= len(est.result_.run.plan.seed) < 1000
