"""Rank agreement against planted truths and noise; what compare_definitions trains and refuses."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor

from sslmemo import LabelMemorizationEstimator, MemorizationProxy
from sslmemo.designs import Split, Subsample
from sslmemo.experiments import compare_definitions
from sslmemo.experiments.noisy_ranks import (
    NoisyScores,
    rank_agreement,
    repeatability,
    top_overlap,
)
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

SPLIT = Split(shared=0.4, candidate=0.3, independent=0.3)
USUAL = ["SSL memorization", "single pair", "label memorization", "deja vu", "isolation",
         "depth_isolation", "alignment", "isolation forest", "local outlier factor"]  # fmt: skip


def pool(truth, noise, entropy=0):
    """A result whose block differences are the truth plus the noise (n_blocks, n)."""
    n_blocks, n = noise.shape
    plan = Subsample().draw(n, 2 * n_blocks, entropy)
    gap = np.repeat(truth + noise, 2, axis=0)
    alignment = 2.0 + np.where(plan.member, -gap / 2, gap / 2)
    return MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(n_blocks)))


def truths(rng, correlation, n):
    first = rng.standard_normal(n)
    return first, correlation * first + np.sqrt(1 - correlation**2) * rng.standard_normal(n)


def spearman(a, b):
    return stats.spearmanr(a, b).statistic


def test_reruns_equal_their_definition():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 50)), rng.standard_normal(50)
    a += rng.standard_normal(50)
    b[::2] = 0.0  # ties
    found = rank_agreement({"a": NoisyScores.of(a), "b": NoisyScores.of(b)})
    raw = np.mean([spearman(r, b) for r in a])
    repeat = np.mean([spearman(a[i], a[j]) for i in range(4) for j in range(i)])
    assert found.spearman[0, 1] == pytest.approx(raw, rel=1e-12)
    assert found.reliability == pytest.approx([repeat, 1.0], rel=1e-12)
    assert found.corrected[0, 1] == pytest.approx(raw / np.sqrt(repeat), rel=1e-12)
    pearson = np.mean([np.corrcoef(r, b)[0, 1] for r in a])
    assert found.pearson[0, 1] == pytest.approx(pearson, rel=1e-12)
    assert found.statistic == "spearman"
    np.testing.assert_array_equal(found.observed, found.spearman)
    assert f"scores as they are {raw:.2f}" in found.summary()
    assert float(repeatability(NoisyScores.of(a))) == pytest.approx(repeat, rel=1e-12)
    assert repeatability(NoisyScores.of(b)).low == 1


def test_exact_scores_have_spearmans_own_correlation_and_its_error():
    rng = np.random.default_rng(1)
    a, b = truths(rng, 0.5, 400)
    found = rank_agreement({"a": NoisyScores.of(a), "b": NoisyScores.of(b)})
    assert found.corrected[0, 1] == pytest.approx(spearman(a, b), rel=1e-12)
    half = (found.high - found.low)[0, 1] / 2
    # the usual large-sample error of a Spearman correlation of normal scores (Bonett and Wright, 2000)
    error = (1 - spearman(a, b) ** 2) * np.sqrt((1 + spearman(a, b) ** 2 / 2) / (400 - 3))
    assert half == pytest.approx(2.09 * error, rel=0.5)


@pytest.mark.parametrize(("correlation", "noise_b"), [(0.6, 1.0), (0.0, 1.0), (0.9, None)])
def test_noise_is_taken_out_and_the_interval_covers(correlation, noise_b):
    target = 6 / np.pi * np.arcsin(correlation / 2)  # Spearman's of a normal pair
    found, raw, covered, n = [], [], 0, 150
    for seed in range(30):
        rng = np.random.default_rng(seed)
        a, b = truths(rng, correlation, n)
        # the blocks' noise is partly common to all rows by a feature, as an encoder's is
        feature, blocks = rng.standard_normal(n), rng.standard_normal((4, n))
        a = a + blocks + 0.5 * rng.standard_normal((4, 1)) * feature
        if noise_b is not None:
            b = b + noise_b * rng.standard_normal((5, n))
        both = rank_agreement({"a": NoisyScores.of(a), "b": NoisyScores.of(b)})
        found.append(both.corrected[0, 1])
        raw.append(both.spearman[0, 1])
        covered += both.low[0, 1] <= target <= both.high[0, 1]
    assert np.mean(found) == pytest.approx(target, abs=4 * np.std(found) / np.sqrt(30) + 0.02)
    if correlation:
        assert np.mean(raw) < 0.75 * target  # what the noise leaves
    assert covered >= 27


def test_a_pool_is_corrected_by_its_own_blocks():
    found, raw, n = [], [], 200
    for seed in range(6):
        rng = np.random.default_rng(seed)
        a, b = truths(rng, 0.7, n)
        given = {
            "pool": NoisyScores.of(pool(a, 2.5 * rng.standard_normal((8, n)))),
            "exact": NoisyScores.of(b),
        }
        both = rank_agreement(given)
        found.append(both.corrected[0, 1])
        raw.append(both.spearman[0, 1])
        assert both.low[0, 1] < spearman(a, b) < both.high[0, 1]
    assert np.mean(found) == pytest.approx(0.683, abs=0.07)
    assert np.mean(raw) < 0.58
    assert both.resolved[0, 1]


def test_too_few_reruns_give_no_interval_and_noise_is_not_resolved():
    rng = np.random.default_rng(0)
    a, noise = rng.standard_normal(100), rng.standard_normal((4, 100))
    two = rank_agreement({"a": NoisyScores.of(a), "two": NoisyScores.of(a + noise[:2])})
    assert np.isfinite(two.corrected[0, 1])
    assert np.isnan(two.low[0, 1])
    assert not rank_agreement({"a": NoisyScores.of(a), "noise": NoisyScores.of(noise)}).resolved[
        0, 1
    ]
    # four reruns of reliability .4 know it well enough together, though one alone would not
    both = rank_agreement({"a": NoisyScores.of(a), "b": NoisyScores.of(a + 1.2 * noise)})
    assert both.reliability[1] < 0.5
    assert both.resolved[0, 1]


def test_a_constant_score_has_no_correlation():
    rng = np.random.default_rng(0)
    a, zero = rng.standard_normal(60), np.zeros(60)
    for flat in (zero, np.zeros((4, 60)), pool(zero, np.zeros((4, 60)))):
        given = {"a": NoisyScores.of(a), "flat": NoisyScores.of(flat), "b": NoisyScores.of(a**3)}
        assert [s.constant for s in given.values()] == [False, True, False]
        found = rank_agreement(given)
        for matrix in (found.pearson, found.spearman, found.corrected, found.low, found.high):
            assert np.isnan(matrix[[0, 1, 1, 2], [1, 0, 2, 1]]).all()
            assert matrix[0, 2] == pytest.approx(
                found.pearson[0, 2] if matrix is found.pearson else 1
            )
        assert np.isnan(found.reliability[1])
        assert not found.resolved[1].any()
        assert "a and flat: no correlation, a score is constant" in found.summary()
        assert "nan" not in found.summary()
        shared, chance, ceiling = top_overlap(given["a"], given["flat"], 0.1)
        assert np.isnan([shared, ceiling]).all()
        assert chance == pytest.approx(0.1)


def test_a_correlation_above_one_is_explained_once():
    rng = np.random.default_rng(0)
    a, noise = rng.standard_normal(80), rng.standard_normal((8, 80))
    given = {"a": NoisyScores.of(a + noise[:4]), "b": NoisyScores.of(a + noise[4:])}
    given["c"] = NoisyScores.of(a + 0.5 * rng.standard_normal(80))
    found = rank_agreement(given)
    assert found.high[found.resolved].max() > 1
    assert found.summary().count("may exceed 1 by noise") == 1
    far = {"a": NoisyScores.of(a), "b": NoisyScores.of(noise[0])}
    assert "exceed" not in rank_agreement(far).summary()


def test_only_common_rows_count():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((3, 60)), rng.standard_normal(60)
    part = a.copy()
    part[:, 40:] = np.nan
    found = rank_agreement({"a": NoisyScores.of(part), "b": NoisyScores.of(b)})
    alone = rank_agreement({"a": NoisyScores.of(a[:, :40]), "b": NoisyScores.of(b[:40])})
    np.testing.assert_allclose(found.spearman, alone.spearman)
    np.testing.assert_allclose(found.low, alone.low)


def test_overlap_of_the_top_lies_between_chance_and_ceiling():
    observed, ceiling = [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        truth = rng.standard_normal(200)
        a = NoisyScores.of(truth + rng.standard_normal((4, 200)))
        b = NoisyScores.of(truth + 0.7 * rng.standard_normal((4, 200)))
        share, chance, most = top_overlap(a, b, 0.1, seed)
        assert chance == pytest.approx(0.1)
        observed.append(share)
        ceiling.append(most)
    assert np.mean(observed) == pytest.approx(np.mean(ceiling), abs=0.05)
    assert 0.3 < np.mean(ceiling) < 0.7
    exact = NoisyScores.of(truth)
    assert top_overlap(exact, exact, 0.1)[::2] == (1.0, 1.0)


@pytest.fixture(scope="module")
def compared(tiny_digits):
    X, y, wrong = tiny_digits
    from sslmemo import MemorizationEstimator

    found = compare_definitions(
        X, y,
        estimator=MemorizationEstimator(n_encoders=8, epochs=2, n_views=2),
        label=LabelMemorizationEstimator(KNeighborsClassifier(1), n_encoders=24),
        split=SPLIT, n_repeats=3, random_state=0, verbose=0,
        definitions={"brightness": X.mean((1, 2, 3))},
    )  # fmt: skip
    return found, wrong


@pytest.fixture(scope="module")
def tiny_digits():
    X, y = load_digits(return_X_y=True)
    X, y = (X[:150] / 16).astype(np.float32).reshape(-1, 1, 8, 8), y[:150]
    rng = np.random.default_rng(0)
    wrong = rng.permutation(150) < 15
    return X, np.where(wrong, (y + rng.integers(1, 10, 150)) % 10, y), wrong


def test_all_definitions_stand_in_one_table(compared, tiny_digits):
    found, wrong = compared
    X = tiny_digits[0]
    names = [*USUAL, "brightness"]
    assert list(found.given) == found.agreement.names == names
    table, known = found.table(), [np.isfinite(s) for s in found.scores.values()]
    for row, (i, j) in enumerate(zip(*np.triu_indices(10, 1), strict=True)):
        assert (table["first"][row], table["second"][row]) == (names[i], names[j])
        assert table["spearman"][row] == found.agreement.spearman[i, j]
        assert table["n_rows"][row] == (known[i] & known[j]).sum()
    assert len(table) == row + 1
    assert [k.sum() for k in known] == [150, 45, 150, 112] + [150] * 6
    np.testing.assert_array_equal(found.scores["brightness"], X.mean((1, 2, 3)))
    assert found.agreement.reliability[-1] == 1
    assert set(found.results) == {"SSL memorization", "label memorization", "deja vu"}
    assert found.scores_table()["isolation"].shape == (150,)
    lines = repr(found).splitlines()
    assert lines[10:] == found.agreement.notes()
    # wrong labels are what label memorization finds
    top = np.argsort(-found.scores["label memorization"])[:15]
    assert wrong[top].mean() > 0.6


def test_outlier_scores_are_scikit_learns_with_their_sign_turned(compared, tiny_digits):
    found, flat = compared[0], tiny_digits[0].reshape(150, -1).astype(float)
    factor = -LocalOutlierFactor().fit(flat).negative_outlier_factor_
    np.testing.assert_allclose(found.scores["local outlier factor"], factor)
    forest = found.given["isolation forest"]
    assert len(forest.blocks) == 3
    other = -IsolationForest(random_state=5).fit(flat).score_samples(flat)
    assert spearman(forest.score, other) > 0.8


def test_no_two_definitions_share_a_training(compared):
    found = compared[0]
    seeds = np.concatenate([r.run.plan.seed for r in found.results.values()])
    assert len(np.unique(seeds)) == len(seeds)
    blocks = found.given["isolation"].blocks
    assert len(np.unique(blocks, axis=0)) == 3


def test_names_can_be_left_out_and_added(tiny, tiny_digits):
    X = tiny_digits[0][:60]
    off = dict.fromkeys(["single pair", "isolation", "depth_isolation", "alignment"])
    small = {"estimator": tiny(), "n_repeats": 3, "random_state": 0, "verbose": 0}
    proxy = MemorizationProxy("input_isolation", epochs=1)
    found = compare_definitions(X, definitions={**off, "near": proxy}, **small)
    assert list(found.given) == ["SSL memorization", "isolation forest", "local outlier factor",
                                 "near"]  # fmt: skip
    again = compare_definitions(X, definitions={**off, "near": proxy}, **small)
    np.testing.assert_array_equal(again.agreement.corrected, found.agreement.corrected)
    result = found.results["SSL memorization"]
    with pytest.raises(ValueError, match="'one' and 'two' have blocks in common"):
        compare_definitions(
            X, definitions={**off, "SSL memorization": None, "one": result, "two": result}, **small
        )


def test_a_constant_definition_is_called_so(tiny, tiny_digits):
    pytest.importorskip("pandas")
    X = tiny_digits[0][:60]
    names = ["SSL memorization", "single pair", "isolation", "depth_isolation", "alignment"]
    definitions = {**dict.fromkeys(names), "flat": np.zeros(60)}
    found = compare_definitions(X, definitions=definitions, n_repeats=3, random_state=0, verbose=0)
    first, *rest = found.summary().splitlines()
    assert first.endswith("flat constant")
    assert "isolation forest and flat: no correlation, a score is constant" in rest
    assert "nan" not in found.summary()
    frame = found.to_frame()
    assert frame["second"].tolist() == found.table()["second"].tolist()
    assert frame["spearman"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"estimator": 3}, TypeError, "estimator must be a MemorizationEstimator, got 3"),
        ({"label": 3}, TypeError, "label must be a LabelMemorizationEstimator"),
        ({"label": LabelMemorizationEstimator()}, ValueError, "pass y, or leave label=None"),
        ({"n_repeats": 2}, ValueError, "n_repeats must be an int of at least 3"),
        ({"top": 0}, ValueError, "top must be"),
        ({"level": 1}, ValueError, "level must lie"),
        ({"definitions": ["a"]}, TypeError, "definitions must be a dict by name"),
        ({"definitions": {"mine": np.ones(3)}}, ValueError, r"'mine'\] has shape \(3,\)"),
        (
            {"definitions": {"mine": np.full(120, np.nan)}},
            ValueError,
            r"'mine'\] holds NaN or infinite",
        ),
        ({"definitions": {"isolatoin": None}}, ValueError, "Did you mean 'isolation'"),
        ({"definitions": {"mine": "a"}}, TypeError, "must be an estimator, a MemorizationResult"),
        ({"definitions": {"mine": IsolationForest}}, TypeError, "is the class IsolationForest"),
        ({"definitions": dict.fromkeys(USUAL)}, ValueError, "0 definitions are left"),
    ],
)
def test_what_is_wrong_is_said_before_any_training(digits, changes, error, message):
    with pytest.raises(error, match=message):
        compare_definitions(digits[0], **changes)
