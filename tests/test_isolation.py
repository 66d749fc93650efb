"""Isolation against a literal loop, for one encoder and for several moments of its training."""

import numpy as np
import pytest

from sslmemo import MemorizationEstimator
from sslmemo.data import as_data
from sslmemo.measurements import InputIsolation, Isolation, isolation
from sslmemo.measurements.isolation import input_isolation


def literal(z, k):
    """Mean cosine distance to the k nearest other rows, row by row."""
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    distance = 1 - unit @ unit.T
    return np.array([np.sort(np.delete(d, i))[:k].mean() for i, d in enumerate(distance)])


class Fixed:
    """A model whose representation of a row is the row's two first numbers."""

    def embed(self, x, layer="encoder"):
        return x[:, :2]


def test_isolation_is_the_mean_distance_to_the_nearest_others(table):
    data = as_data(table)
    found = Isolation(n_neighbors=3)([Fixed()], data, np.ones((1, len(data)), bool), 0)
    z = data.rows(np.arange(len(data)))[:, :2].numpy()
    np.testing.assert_allclose(found["isolation"][0], literal(z, 3), atol=1e-6)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    kernel = [np.exp(np.delete(unit @ u, i) / 0.1).mean() for i, u in enumerate(unit)]
    np.testing.assert_allclose(found["density"][0], np.log(kernel), atol=1e-4)


def test_few_rows_have_all_others_as_neighbours(table):
    data = as_data(table[:3])
    flat = data.rows(np.arange(3)).numpy()
    distance = np.linalg.norm(flat[:, None] - flat, axis=2)
    np.testing.assert_allclose(input_isolation(data), distance.sum(1) / 2, rtol=1e-5)


def test_isolation_is_read_during_the_training(tiny, table):
    last = tiny(measurements=[Isolation()]).fit(table).result_.run.values["isolation"]
    whole = tiny(measurements=[Isolation(at=(0.5, 1.0))]).fit(table).result_.run.values["isolation"]
    assert whole.shape == (4, 2, len(table))
    np.testing.assert_array_equal(whole[:, 1], last)
    assert not np.array_equal(whole[:, 0], last)


def test_bad_neighbours_are_refused():
    with pytest.raises(ValueError, match="n_neighbors must be"):
        Isolation(n_neighbors=0)


def test_an_estimator_takes_it_beside_the_alignment(table):
    est = MemorizationEstimator(
        n_encoders=2, epochs=1, verbose=0, random_state=0, measurements=[Isolation()]
    )
    with pytest.warns(UserWarning, match="one block"):
        est.fit(table)
    assert np.isfinite(est.result_.run.values["isolation"]).all()


def test_rows_are_measured_once_for_all_blocks(table, monkeypatch):
    asked = []

    def counted(data, n_neighbors):
        asked.append(len(data))
        return input_isolation(data, n_neighbors)

    monkeypatch.setattr(isolation, "input_isolation", counted)
    for rows in (table, table, table[:40], table[:40]):  # a worker reads every block's rows anew
        data = as_data(rows)
        found = InputIsolation(n_neighbors=3)([Fixed(), Fixed()], data, None, 0)["input_isolation"]
        np.testing.assert_allclose(found, np.tile(input_isolation(data, 3), (2, 1)), rtol=1e-6)
    assert asked == [60, 40]
