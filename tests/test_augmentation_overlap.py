"""Augmentation overlap against two loops over views; planted twins and lone rows; its display."""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy import stats
from test_agreement import planted

from sslmemo.data import as_data
from sslmemo.experiments.augmentation_overlap import augmentation_overlap, drawn_views
from sslmemo.plotting.overlap import AugmentationOverlapDisplay


class Shift(torch.nn.Module):
    """Adds noise of one size, for every sample anew."""

    def __init__(self, size=0.1):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x + self.size * torch.randn_like(x)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def planted_rows():
    """Twins (0, 1), a cluster (2 to 9), and a lone row (10)."""
    rng = np.random.default_rng(0)
    X = np.zeros((11, 3))
    X[:2] = [10.0, -10.0, 10.0]
    X[1] += 0.01
    X[2:10] = 0.02 * rng.standard_normal((8, 3))
    X[10] = [-30.0, 30.0, 30.0]
    return X


def literal(V, candidates, k):
    """All quantities by loops over rows and views."""
    n, n_views = V.shape[:2]
    neighbors, near, spread, overlap = [], [], [], []
    for i in range(n):
        d = {}
        for j in candidates[i]:
            d[j] = min(np.linalg.norm(a - b) for a in V[i] for b in V[j])
        best = sorted(d, key=d.get)[:k]
        gaps = [
            min(np.linalg.norm(V[i, a] - V[i, b]) for b in range(n_views) if b != a)
            for a in range(n_views)
        ]
        neighbors.append(best)
        near.append([d[j] for j in best])
        spread.append(np.median(gaps))
        overlap.append(np.mean([d[j] <= spread[-1] for j in best]))
    return neighbors, near, spread, overlap


@pytest.mark.parametrize("n_candidates", [4, 100])
def test_equals_loops_over_all_views(n_candidates):
    X = np.random.default_rng(0).standard_normal((14, 3))
    found = augmentation_overlap(
        X, augmentation=Shift(0.8), n_views=4, n_neighbors=3, n_candidates=n_candidates
    )
    data = as_data(X)
    V = drawn_views(data, Shift(0.8), 4, 0)
    rows = data.array(np.arange(14)).astype(float)
    order = [np.argsort(np.linalg.norm(rows - r, axis=1))[1:] for r in rows]
    expected = literal(V.astype(float), [o[:n_candidates] for o in order], 3)
    np.testing.assert_array_equal(found.neighbors, expected[0])
    np.testing.assert_allclose(found.d_augmented, expected[1], rtol=1e-5)
    np.testing.assert_allclose(found.own_spread, expected[2], rtol=1e-5)
    np.testing.assert_array_equal(found.overlap, expected[3])
    assert found.n_candidates == min(n_candidates, 13)
    assert 0 < found.overlap.mean() < 1
    np.testing.assert_array_equal(found.lone, np.array(expected[3]) == 0)


def test_blocks_do_not_change_the_numbers(monkeypatch):
    X = np.random.default_rng(0).standard_normal((14, 3))
    whole = augmentation_overlap(X, n_views=4)
    module = sys.modules[augmentation_overlap.__module__]  # the function has the module's name
    monkeypatch.setattr(module, "BLOCK", 200)
    parts = augmentation_overlap(X, n_views=4)
    np.testing.assert_array_equal(whole.d_augmented, parts.d_augmented)
    np.testing.assert_array_equal(whole.own_spread, parts.own_spread)


def test_twins_and_the_lone_row_are_told_apart():
    found = augmentation_overlap(planted_rows(), augmentation=Shift(0.05), n_neighbors=2)
    assert found.neighbors[0, 0] == 1
    assert found.neighbors[1, 0] == 0
    assert found.overlap[0] == 0.5  # its twin, and not the next row
    assert found.relative[0] < 1
    assert (found.overlap[2:10] == 1).all()
    assert found.lone[10]
    assert found.lone.sum() == 1
    assert found.relative.argmax() == 10
    assert found.summary().startswith("1 of 11 rows are lone")
    table = found.table()
    assert table.sort("relative")["row"][0] == 10
    assert table["neighbor"].tolist() == found.neighbors[:, 0].tolist()


def test_an_augmentation_that_changes_nothing_has_no_spread():
    X = planted_rows()
    X[1] = X[0]
    found = augmentation_overlap(X, augmentation=torch.nn.Identity(), n_neighbors=1)
    np.testing.assert_array_equal(found.own_spread, 0)
    np.testing.assert_array_equal(found.relative[:2], 0)
    np.testing.assert_array_equal(found.overlap, [1, 1] + [0] * 9)
    assert np.isinf(found.relative[2:]).all()


def test_repeats_by_its_seed_and_reads_images(digits):
    X, _ = digits
    one = augmentation_overlap(X[:40], n_views=4)
    two = augmentation_overlap(X[:40], n_views=4)
    flat = augmentation_overlap(X[:40].reshape(40, 64), n_views=4, image_shape=(8, 8))
    other = augmentation_overlap(X[:40], n_views=4, random_state=1)
    np.testing.assert_array_equal(one.d_augmented, two.d_augmented)
    np.testing.assert_array_equal(one.d_augmented, flat.d_augmented)
    assert (one.d_augmented != other.d_augmented).any()


def test_correlation_is_spearmans_with_an_interval():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 4))
    found = augmentation_overlap(X, augmentation=Shift(0.2), n_views=6)
    d = found.d_augmented[:, 0]
    score = stats.rankdata(d) + 25 * rng.standard_normal(80)
    score[:5] = np.nan
    said = found.against(score)
    expected = stats.spearmanr(d[5:], score[5:]).statistic
    assert said.spearman == pytest.approx(expected, abs=1e-12)
    assert said.low < expected < said.high
    assert said.high - said.low == pytest.approx(
        2 * 1.96 * (1 - expected**2) / np.sqrt(74), rel=0.4
    )
    half = found.against(score, level=0.5)
    assert (said.high - said.low) / (half.high - half.low) == pytest.approx(1.96 / 0.674, rel=0.15)
    assert said.n_samples == 75
    assert found.against(np.exp(d)).spearman == pytest.approx(1)
    assert found.against(-found.relative, of="relative").spearman == pytest.approx(-1)
    shares = found.against(score, of="overlap")
    assert shares.spearman == pytest.approx(
        stats.spearmanr(found.overlap[5:], score[5:]).statistic, abs=1e-12
    )
    lone = found.lone & np.isfinite(score)
    assert said.lone_mean == pytest.approx(score[lone].mean())
    assert said.rest_mean == pytest.approx(np.nanmean(score[~found.lone]))
    assert "holds for this data set" in said.summary()
    assert f"{expected:.2f}" in said.summary()


def test_interval_covers_zero_where_nothing_is_planted():
    X = np.random.default_rng(0).standard_normal((60, 4))
    found = augmentation_overlap(X, augmentation=Shift(0.2), n_views=4)
    covered = 0
    for seed in range(30):
        said = found.against(np.random.default_rng(seed).standard_normal(60), random_state=seed)
        covered += said.low <= 0 <= said.high
    assert 25 <= covered <= 30


def test_scores_come_from_a_result():
    rng = np.random.default_rng(0)
    result = planted(rng.standard_normal(30), rng.standard_normal((6, 30)))
    found = augmentation_overlap(rng.standard_normal((30, 4)), n_views=4)
    assert found.against(result) == found.against(result.score)


def test_bad_calls_are_named():
    X = planted_rows()
    for bad, match in [
        ({"n_views": 1}, "n_views must be"),
        ({"n_neighbors": 0}, "n_neighbors must be"),
        ({"n_candidates": 3}, "n_candidates must be an int of at least 5"),
        ({"n_neighbors": 11}, "n_neighbors=11 is more than the other rows of X, 10"),
        ({"augmentation": "simclr"}, "does not suit tables"),
    ]:
        with pytest.raises(ValueError, match=match):
            augmentation_overlap(X, **bad)
    found = augmentation_overlap(X, n_views=4)
    with pytest.raises(ValueError, match=r"scores must have shape \(11,\)"):
        found.against(np.zeros(3))
    with pytest.raises(TypeError, match="scores must be a MemorizationResult"):
        found.against("no")
    with pytest.raises(ValueError, match="that differ in score"):
        found.against(np.zeros(11))
    with pytest.raises(ValueError, match="of must be"):
        found.against(np.arange(11), of="nothing")


def test_display_shows_the_rows_and_their_views(digits):
    X, _ = digits
    score = np.linspace(0, 1, len(X))
    score[3] = np.nan
    display = AugmentationOverlapDisplay.from_scores(score, X, n_views=6, n_shown=4)
    found = augmentation_overlap(X, n_views=6)
    np.testing.assert_array_equal(display.overlap.d_augmented, found.d_augmented)
    near, lone = display.examples
    scored = np.isfinite(score)
    assert lone.row == np.where(scored, found.relative, -np.inf).argmax()
    assert found.overlap[near.row] == found.overlap[scored].max()
    V = drawn_views(as_data(X), "auto", 6, 0)[:, :, 0]
    for shown in display.examples:
        assert shown.neighbor == found.neighbors[shown.row, 0]
        assert shown.own.shape == shown.other.shape == (4, 8, 8)
        pixels = np.linalg.norm(shown.own[0] - shown.other[0])  # the nearest pair comes first
        assert pixels == pytest.approx(found.d_augmented[shown.row, 0], rel=1e-5)
        assert any((shown.own[0] == v).all() for v in V[shown.row])
        assert any((shown.other[0] == v).all() for v in V[shown.neighbor])
    drawn = np.concatenate([c.get_offsets() for c in display.ax_.collections[:2]])
    expected = np.column_stack([found.d_augmented[:, 0], score])[scored]
    assert {tuple(p) for p in np.asarray(drawn)} == {tuple(p) for p in expected}
    assert f"{found.against(score).spearman:.2f}" in display.ax_.get_title(loc="left")
    assert len(display.views_ax_.images) == 16


def test_display_of_a_fit_and_of_a_table(fitted, digits):
    X, _ = digits
    display = AugmentationOverlapDisplay.from_estimator(fitted, X, n_views=4)
    np.testing.assert_array_equal(display.scores, fitted.memorization_scores_)
    assert any("8 encoders in 4 blocks" in t.get_text() for t in display.ax_.texts)
    with pytest.raises(ValueError, match="another order: pass the X of fit"):
        AugmentationOverlapDisplay.from_estimator(fitted, X[::-1])
    table = AugmentationOverlapDisplay.from_scores(np.arange(11.0), planted_rows(), n_views=4)
    assert table.examples is None
    assert table.views_ax_ is None
    _, ax = plt.subplots()
    assert display.plot(ax=ax).ax_ is ax
    assert display.views_ax_ is None
    with pytest.raises(TypeError, match="call from_scores"):
        AugmentationOverlapDisplay.from_estimator(np.arange(120.0), X)
    with pytest.raises(ValueError, match="scores must have shape"):
        AugmentationOverlapDisplay.from_scores(np.arange(11.0), X)
    with pytest.raises(ValueError, match="n_shown must be an int of at least 1 and at most 4"):
        AugmentationOverlapDisplay.from_scores(np.arange(120.0), X, n_views=4, n_shown=5)
