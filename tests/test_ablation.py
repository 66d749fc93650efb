"""Ablation: one parameter at a time, seeds apart, and numbers that are those of the fits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sslmemo import MemorizationEstimator
from sslmemo.designs import Subsample
from sslmemo.experiments import ablation, agreement
from sslmemo.methods import SimCLR

X = (load_digits().data[:60] / 16).astype(np.float32)
EST = MemorizationEstimator(
    SimCLR(), augmentation="scarf", n_encoders=8, epochs=2, batch_size=15, n_views=2, verbose=0
)
GRID = {"method__temperature": [0.5], "design": {"quarter": Subsample(0.25)}}


def test_one_parameter_changes_at_a_time():
    found = ablation(EST, X, GRID, random_state=0)
    assert list(found.results) == ["reference", "method__temperature=0.5", "design=quarter"]
    configs = [r.run.config for r in found.results.values()]
    temperatures = [c["trainer"]["method"][1]["temperature"] for c in configs]
    assert temperatures == [SimCLR().temperature, 0.5, SimCLR().temperature]
    assert found.results["design=quarter"].train_size == 15
    seeds = [set(r.run.plan.seed.tolist()) for r in found.results.values()]
    assert not seeds[0] & seeds[1]
    table, whole = found.table(), agreement(found.results)
    np.testing.assert_array_equal(table["correlation"], whole.corrected[0])
    np.testing.assert_allclose(table["mean"], [r.mean_score for r in found.results.values()])
    assert table["value"].tolist() == ["", "0.5", "quarter"]
    assert "mean score" in str(found)
    assert len(found.to_frame()) == 3
    again = ablation(EST, X, {"design": {"quarter": Subsample(0.25)}}, random_state=0)
    np.testing.assert_array_equal(
        again.results["design=quarter"].score, found.results["design=quarter"].score
    )


def test_bad_grids_are_refused(monkeypatch):
    monkeypatch.setattr(MemorizationEstimator, "fit", lambda *a, **k: pytest.fail("trained"))
    for grid, message in (
        ({"epochs": 3}, r"write \[3\]"),
        ({"distance": "cosine"}, "must be a list"),
        ([], "grid must be a dict"),
        ({"epoch": [3]}, "Invalid parameter"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            ablation(EST, X, grid)
    with pytest.raises(TypeError, match="must be a MemorizationEstimator"):
        ablation(SimCLR(), X, GRID)
