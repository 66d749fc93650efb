"""Near-duplicates and twins: naive transcriptions, calibration, planted copies, one real pool."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from sslmemo import MemorizationEstimator
from sslmemo.audits import NearDuplicates, find_near_duplicates, twin_memorization
from sslmemo.designs import Explicit, LeaveOneOut, Subsample
from sslmemo.plans import Plan
from sslmemo.plotting import DuplicatesDisplay
from sslmemo.plotting.duplicates import same_decimals
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

mpl.use("Agg")

# mean alignment by (x in, twin in), and what follows from it
CELLS = np.array([[0.90, 0.42], [0.40, 0.30]])
TRUE = {"twin_in": 0.12, "twin_out": 0.50, "joint": 0.60, "hidden": 0.38}


def result_of(plan, alignment):
    return MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(len(plan.seed))))


def simulated(plan, pairs, seed, noise=0.1, block_noise=0.1):
    """Alignments with the conditional means of CELLS for the first row of every pair."""
    rng, member = np.random.default_rng(seed), plan.member.astype(int)
    alignment = rng.normal(1, 0.1, plan.member.shape)
    for x, twin in pairs:
        common = rng.normal(0, block_noise, len(plan.seed))[plan.block]
        own = rng.normal(0, noise, plan.n_encoders)
        alignment[:, x] = CELLS[member[:, x], member[:, twin]] + common + own
    return alignment


def digits(n):
    return (load_digits().data[:n] / 16).astype(np.float32).reshape(-1, 1, 8, 8)


def with_copies(X, rows, size, seed=0):
    noise = np.random.default_rng(seed).normal(0, size, X[rows].shape)
    return np.concatenate([X, np.clip(X[rows] + noise, 0, 1).astype(np.float32)])


def lone_rows(X, k):
    flat = X.reshape(len(X), -1)
    return np.argsort(NearestNeighbors(n_neighbors=5).fit(flat).kneighbors()[0][:, -1])[-k:]


# ---- twins


def test_half_splits_are_welch_over_blocks():
    plan = Subsample().draw(12, 24, entropy=3)
    alignment = simulated(plan, [(2, 7)], seed=0)
    told = twin_memorization(result_of(plan, alignment), [(2, 7)])
    cells = {key: [] for key in np.ndindex(2, 2)}
    for a, member in zip(alignment, plan.member, strict=True):
        cells[int(member[2]), int(member[7])].append(a[2])
    for name, out, inside in (("twin_in", (0, 1), (1, 1)), ("twin_out", (0, 0), (1, 0))):
        t = stats.ttest_ind(cells[out], cells[inside], equal_var=False)
        low, high = t.confidence_interval(0.9)
        contrast = getattr(told, name)
        assert contrast.score[0] == pytest.approx(np.mean(cells[out]) - np.mean(cells[inside]))
        np.testing.assert_allclose(contrast.interval(0.9), [[low], [high]])
        assert contrast.n_blocks[0] == 12
    together = np.array(cells[0, 0]) - np.array(cells[1, 1])  # complementary encoders, in order
    t = stats.ttest_1samp(together, 0)
    np.testing.assert_allclose(told.joint.interval(), np.c_[t.confidence_interval()].reshape(2, 1))
    apart = np.array(cells[0, 1]) + np.array(cells[1, 0])
    both = np.array(cells[0, 0]) + np.array(cells[1, 1])
    error = np.sqrt(sum(v.var(ddof=1) / len(v) for v in (apart, both)))
    assert told.hidden.score[0] == pytest.approx(both.mean() - apart.mean())
    # the two scalings of a block's share differ where both sides have unequal numbers of blocks
    assert told.hidden.standard_error[0] == pytest.approx(error, rel=0.15)


@pytest.mark.parametrize(("fraction", "n_encoders"), [(0.5, 32), (0.25, 96)])
def test_means_and_intervals_hold(fraction, n_encoders):
    pairs = np.stack([np.arange(20), np.arange(20, 40)], 1)
    found = {name: [] for name in TRUE}
    for seed in range(80):
        plan = Subsample(fraction).draw(60, n_encoders, entropy=seed)
        alignment = simulated(plan, pairs, seed)
        shared = np.random.default_rng(1000 + seed).normal(0, 0.05, len(plan.seed))
        alignment += shared[plan.block][:, None]  # what all rows have in common in a block
        told = twin_memorization(result_of(plan, alignment), pairs)
        for name, true in TRUE.items():
            contrast = getattr(told, name)
            low, high = contrast.interval()
            mean = contrast.mean()
            mean_low, mean_high = mean.interval()
            found[name].append([
                np.nanmean(contrast.score) - true,
                np.mean(((low <= true) & (true <= high))[np.isfinite(low)]),
                mean_low[0] <= true <= mean_high[0],
            ])  # fmt: skip
    for name, values in found.items():
        error, covered, mean_covered = np.array(values).T
        assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error)), name
        assert 0.925 < covered.mean() < 0.975, name
        assert mean_covered.mean() >= 0.87, name  # 80 intervals


def test_the_plain_score_is_the_mean_of_both():
    plan = Subsample().draw(10, 400, entropy=0)
    alignment = simulated(plan, [(0, 1)], seed=1, noise=0, block_noise=0)
    result = result_of(plan, alignment)
    told = twin_memorization(result, [(0, 1)])
    apart = (plan.member[:, 0] != plan.member[:, 1]).mean()
    together = CELLS[0, 0] - CELLS[1, 1]
    crossed = CELLS[0, 1] - CELLS[1, 0]
    assert result.score[0] == pytest.approx((1 - apart) * together + apart * crossed)
    for name, true in TRUE.items():
        assert getattr(told, name).score[0] == pytest.approx(true)
        assert getattr(told, name).standard_error[0] == pytest.approx(0, abs=1e-12)


def test_joint_is_the_score_of_a_tied_fit():
    groups = np.arange(20)
    groups[[4, 9]] = 4
    plan = Subsample().draw(20, 16, entropy=0, groups=groups)
    untied = Subsample().draw(20, 16, entropy=1)
    member = np.concatenate([plan.member, untied.member])
    both = Explicit(member).draw(20, 32, entropy=0)
    alignment = np.random.default_rng(0).normal(size=member.shape)
    told = twin_memorization(result_of(both, alignment), [(4, 9)])
    together = member[:, 4] == member[:, 9]
    kept = both.member[together, 4]
    expected = alignment[together, 4][~kept].mean() - alignment[together, 4][kept].mean()
    assert told.joint.score[0] == pytest.approx(expected)


def test_several_twins_are_in_if_any_is():
    plan = Subsample().draw(30, 60, entropy=0)
    alignment = np.random.default_rng(0).normal(size=plan.member.shape)
    groups = np.arange(30)
    groups[[3, 8, 11]] = 3
    told = twin_memorization(result_of(plan, alignment), groups)
    assert told.row.tolist() == [3, 8, 11]
    assert told.twin.tolist() == [8, 3, 3]
    assert told.n_twins.tolist() == [2, 2, 2]
    x, any_in = plan.member[:, 8], plan.member[:, [3, 11]].any(1)
    all_in, a = plan.member[:, [3, 11]].all(1), alignment[:, 8]
    assert told.twin_in.score[1] == pytest.approx(
        a[~x & any_in].mean() - a[x & any_in].mean(), abs=0.2
    )  # blocks weigh alike, not encoders
    cells = [[[], []], [[], []]]
    for b in plan.blocks:
        e = plan.encoders_of(b)
        for inside in (0, 1):
            for seen in (0, 1):
                use = e[(x[e] == inside) & (any_in[e] == seen)]
                if len(use):
                    cells[inside][seen].append(a[use].mean())
    assert told.twin_in.score[1] == pytest.approx(np.mean(cells[0][1]) - np.mean(cells[1][1]))
    assert told.twin_out.score[1] == pytest.approx(np.mean(cells[0][0]) - np.mean(cells[1][0]))
    assert told.joint.score[1] == pytest.approx(a[~x & ~any_in].mean() - a[x & all_in].mean())


def test_a_failed_encoder_drops_its_block():
    plan = Subsample().draw(12, 24, entropy=3)
    alignment = simulated(plan, [(2, 7)], seed=0)
    alignment[5] = np.nan
    told = twin_memorization(result_of(plan, alignment), [(2, 7)])
    rest = plan.take([b for b in plan.blocks if b != plan.block[5]])
    kept = twin_memorization(result_of(rest, np.delete(alignment, [4, 5], 0)), [(2, 7)])
    for name in TRUE:
        np.testing.assert_allclose(getattr(told, name).interval(), getattr(kept, name).interval())
        assert getattr(told, name).n_blocks == getattr(kept, name).n_blocks


def test_leave_one_out_tells_only_what_it_has():
    plan = LeaveOneOut([0, 1]).draw(8, 12, entropy=0)
    alignment = np.random.default_rng(0).normal(size=plan.member.shape)
    told = twin_memorization(result_of(plan, alignment), [(0, 1)])
    x, twin = plan.member[:, :2].T
    expected = alignment[~x & twin, 0].mean()
    both = (x & twin).reshape(4, 3)
    inside = alignment[:, 0].reshape(4, 3)[both].mean()
    assert told.twin_in.score[0] == pytest.approx(expected - inside)
    assert np.isnan(told.twin_out.score[0])
    assert np.isnan(told.hidden.standard_error[0])
    assert "unknown (no two encoders differ like that" in told.summary()


def test_encoder_normalisation_divides_by_all_rows():
    plan = Subsample().draw(12, 24, entropy=3)
    alignment = np.abs(simulated(plan, [(2, 7)], seed=0))
    run = result_of(plan, alignment).run
    told = twin_memorization(MemorizationResult(run, _difference("encoder")), [(2, 7)])
    divided = result_of(plan, alignment / alignment.mean(1, keepdims=True))
    assert told.hidden.score == pytest.approx(twin_memorization(divided, [(2, 7)]).hidden.score)
    with pytest.raises(ValueError, match="normalize='range'"):
        twin_memorization(MemorizationResult(run, _difference("range")), [(2, 7)])


def _difference(normalize):
    from sslmemo.estimates import Difference

    return Difference(normalize=normalize)


def test_twins_are_checked():
    plan = Subsample().draw(12, 8, entropy=3)
    result = result_of(plan, np.random.default_rng(0).normal(size=plan.member.shape))
    with pytest.raises(TypeError, match="result must be a MemorizationResult"):
        twin_memorization(plan, [(0, 1)])
    for twins, message in [
        ([(0, 12)], "rows from 0 to 11, got 12"),
        ([(3, 3)], "row 3 as its own twin"),
        (np.arange(12), "no row has a twin"),
        ([(0.5, 1.0)], "int pairs of shape"),
        (np.zeros(5, int), "a group for each of the 12 rows"),
        (np.zeros((0, 2), int), "no row has a twin"),
    ]:
        with pytest.raises(ValueError, match=message):
            twin_memorization(result, twins)
    groups = np.arange(12)
    groups[1] = 0
    tied = Subsample().draw(12, 8, entropy=0, groups=groups)
    with pytest.raises(ValueError, match=r"groups=np.arange\(len\(X\)\)"):
        twin_memorization(result_of(tied, result.run.values["alignment"]), [(0, 1)])


def test_the_summary_says_how_many_rows_each_mean_is_over_and_why_there_is_none():
    groups = np.arange(20)
    groups[1], groups[3] = 0, 2  # rows 0 to 3 are tied, 4 and 5 are not
    plan = Subsample().draw(20, 32, entropy=0, groups=groups)
    result = result_of(plan, np.random.default_rng(0).normal(size=plan.member.shape))
    told = twin_memorization(result, [(0, 1), (2, 3), (4, 5)])
    assert told.tied.tolist() == [True, True, False]
    assert np.isnan(told.twin_in.score[:2]).all()
    head, *means, tied = told.summary().splitlines()
    assert "3 rows that have a twin" in head
    assert [m[m.index("(") : m.index(")") + 1] for m in means] == [
        "(n = 1)", "(n = 1)", "(n = 3)", "(n = 1)"
    ]  # fmt: skip
    assert tied.startswith("2 of the rows are tied")
    assert "groups=np.arange(len(X))" in tied
    apart = twin_memorization(result, [(4, 5)])
    assert not apart.tied.any()
    assert "tied" not in apart.summary()
    member = np.zeros((4, 6), bool)
    member[[0, 2], 0] = member[:, 1] = True  # a twin always in
    always = Plan(member=member, block=np.array([0, 0, 1, 1]), seed=np.arange(2))
    few = twin_memorization(result_of(always, np.random.default_rng(0).random((4, 6))), [(0, 1)])
    lines = few.summary().splitlines()
    assert "(n = 1)  a twin was trained on" in lines[1]
    assert "unknown (no two encoders differ like that" in lines[2]
    one = always.take([0])
    only = twin_memorization(result_of(one, np.random.default_rng(0).random((2, 6))), [(0, 1)])
    assert "unknown (fewer than two blocks on a side: raise n_encoders)" in only.summary()
    assert "nan" not in few.summary() + only.summary()


def test_frames_are_the_tables():
    pytest.importorskip("pandas")
    plan = Subsample().draw(20, 32, entropy=0)
    result = result_of(plan, np.random.default_rng(0).normal(size=plan.member.shape))
    told = twin_memorization(result, [(4, 5), (6, 7)])
    frame = told.to_frame(level=0.5)
    assert frame["twin_in_low"].tolist() == told.table(0.5)["twin_in_low"].tolist()
    X = digits(60)
    found = find_near_duplicates(np.concatenate([X, X[:2]]))
    assert found.to_frame()["twin"].tolist() == [60, 61]


# ---- near-duplicates


def test_planted_copies_are_found_and_nothing_else():
    X = with_copies(digits(300), np.arange(0, 100, 10), 0.03)
    found = find_near_duplicates(X)
    assert sorted(map(tuple, found.pairs)) == [(10 * i, 300 + i) for i in range(10)]
    assert found.distance == pytest.approx(
        np.linalg.norm((X[found.pairs[:, 0]] - X[found.pairs[:, 1]]).reshape(10, -1), axis=1)
    )
    assert (np.diff(found.distance) >= 0).all()
    assert (found.distance <= found.threshold).all()
    assert (found.false_pairs <= 0.5).all()
    assert not len(find_near_duplicates(digits(300)))
    larger = find_near_duplicates(X.reshape(310, -1) * 1000)  # as a table, whatever its scale
    assert not (set(map(tuple, larger.pairs)) - set(map(tuple, found.pairs)))
    groups = found.groups
    assert len(np.unique(groups)) == 300
    assert (groups[found.pairs[:, 0]] == groups[found.pairs[:, 1]]).all()
    assert found.duplicated.sum() == 20
    assert "10 near-duplicate pairs of 20 of 310 rows" in repr(found)


def test_false_pairs_are_as_many_as_allowed():
    counts = [
        len(find_near_duplicates(np.random.default_rng(s).random((300, 3)), max_false=4.0))
        for s in range(60)
    ]
    # both rows' reach and the usual one are asked, so that fewer than 4 are let in
    assert 1.5 < np.mean(counts) < 4.0


def test_dimension_is_that_of_the_data():
    rng = np.random.default_rng(0)
    for d in (2, 6):
        X = rng.random((800, d)) @ np.linalg.qr(rng.normal(size=(12, 12)))[0][:d]
        assert find_near_duplicates(X[:, :], encoder=Same()).dimension == pytest.approx(d, rel=0.15)


class Same:
    """Rows as they are, on a far sphere so that unit length bends nothing."""

    def transform(self, X):
        return np.concatenate([X, np.full((len(X), 1), 1e3)], 1)


def test_a_distance_of_ones_own_gives_all_pairs_within_it():
    X = digits(150)
    flat = X.reshape(150, -1).astype(float)
    apart = np.linalg.norm(flat[:, None] - flat, axis=2)
    for threshold in (0.0, 1.3, float(np.sort(apart[np.triu_indices(150, 1)])[20])):
        found = find_near_duplicates(X, threshold=threshold)
        expected = np.argwhere(np.triu(apart <= threshold, 1))
        assert sorted(map(tuple, found.pairs)) == sorted(map(tuple, expected))
        assert np.isnan(found.false_pairs).all()
    between = find_near_duplicates(X[:90], X[90:], threshold=1.3)
    expected = np.argwhere(apart[:90, 90:] <= 1.3)
    assert sorted(map(tuple, between.pairs)) == sorted(map(tuple, expected))


def test_leakage_between_two_sets():
    X = digits(320)
    train, test = X[:200], with_copies(X[200:], [], 0.0)
    test[[5, 60]] = np.clip(train[[17, 99]] + 0.01, 0, 1)
    found = find_near_duplicates(train, test)
    assert sorted(map(tuple, found.pairs)) == [(17, 5), (99, 60)]
    assert np.flatnonzero(found.leaked).tolist() == [5, 60]
    assert np.flatnonzero(found.duplicated).tolist() == [17, 99]
    assert found.groups.shape == (320,)
    assert found.groups[17] == found.groups[205]
    assert "2 of 120 other rows are in X too" in found.summary()
    with pytest.raises(ValueError, match="pairs of X and X_other"):
        twin_memorization(_any_result(200), found)
    pca = PCA(8, svd_solver="full").fit(train.reshape(200, -1))
    found = find_near_duplicates(train.reshape(200, -1), test.reshape(120, -1), encoder=pca)
    assert {(17, 5), (99, 60)} <= set(map(tuple, found.pairs))
    assert found.space == "representation"


def _any_result(n):
    plan = Subsample().draw(n, 8, entropy=0)
    return result_of(plan, np.random.default_rng(0).normal(size=plan.member.shape))


def test_exact_copies_are_pairs_however_many():
    X = digits(100)
    X = np.concatenate([X, X[:1].repeat(15, 0), X[50:51]])
    found = find_near_duplicates(X)
    assert (found.distance == 0).all()
    assert (found.false_pairs == 0).all()
    assert np.bincount(found.groups)[[0, 50]].tolist() == [16, 2]
    assert len(np.unique(found.groups)) == 100


def test_a_whole_set_of_pairs_is_found():
    X = with_copies(digits(200), np.arange(200), 0.01)
    found = find_near_duplicates(X)
    assert sorted(map(tuple, found.pairs)) == [(i, 200 + i) for i in range(200)]


def test_flat_images_read_as_a_table_are_told_of():
    X = with_copies(digits(300), np.arange(0, 20, 10), 0.03).reshape(302, -1)
    table, images = find_near_duplicates(X), find_near_duplicates(X, image_shape=(8, 8))
    assert len(table) < len(images) == 2
    share = (np.median(X, axis=0) == X).mean(0)  # of the commonest value, which is ink or none
    assert table.n_nearly_constant == ((share >= 0.9) & (share < 1)).sum() > 0
    assert "if the rows are images, pass image_shape=" in table.summary()
    assert "image_shape" not in images.summary()
    rows = np.random.default_rng(0).normal(size=(40, 3))
    assert "image_shape" not in find_near_duplicates(rows).summary()
    few = find_near_duplicates(rows[:8])  # the default is brought down to the rows there are
    np.testing.assert_array_equal(few.pairs, find_near_duplicates(rows[:8], n_neighbors=7).pairs)


def test_two_outliers_are_no_twins():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    X[:2] = [[60, 0, 0, 0], [60, 1.5, 0, 0]]  # by each other's measure alone they would be
    assert (0, 1) not in set(map(tuple, find_near_duplicates(X, encoder=Same()).pairs))


def test_parameters_of_the_search_are_checked():
    X = digits(20)
    for changes, kind, message in [
        ({"threshold": "views"}, ValueError, "threshold must be 'auto' or a distance"),
        ({"threshold": -1.0}, ValueError, "threshold must be a number of at least 0"),
        ({"threshold": None}, TypeError, "threshold must be a number"),
        ({"max_false": 0}, ValueError, "max_false must be a number above 0"),
        ({"n_neighbors": 3}, ValueError, "n_neighbors must be an int of at least 4"),
        ({"encoder": PCA}, TypeError, "encoder must be a fitted transformer"),
        (
            {"n_neighbors": 20},
            ValueError,
            "n_neighbors must be at most 19, the other rows of X, got 20",
        ),
        (
            {"X_other": X[:, :, :4]},
            ValueError,
            r"X_other has rows of shape \(1, 4, 8\), but the rows of X have shape \(1, 8, 8\)",
        ),
        ({"X_other": X * np.nan}, ValueError, "X_other can't be used: X holds NaN"),
        ({"encoder": Broken()}, ValueError, "NaN or infinite representations"),
    ]:
        with pytest.raises(kind, match=message):
            find_near_duplicates(X, **changes)
    with pytest.raises(ValueError, match="X has 4 rows, and threshold='auto' needs 5"):
        find_near_duplicates(X[:4])
    with pytest.raises(ValueError, match="too few different places"):
        find_near_duplicates(np.repeat(X[:2], 12, 0))


class Broken:
    def transform(self, X):
        return np.full((len(X), 2), np.nan)


# ---- a real pool, and the pictures


@pytest.fixture(scope="module")
def planted():
    """100 digits, 8 lone ones with a near-copy, and a pool of half-splits."""
    X = digits(100)
    X = with_copies(X, lone_rows(X, 8), 0.02)
    pool = MemorizationEstimator(
        n_encoders=48, epochs=40, batch_size=50, random_state=0, verbose=0
    ).fit(X)
    return X, pool, find_near_duplicates(X)


def test_a_twin_hides_memorization(planted):
    X, pool, found = planted
    assert sorted(found.pairs[:, 1]) == list(range(100, 108))
    by_encoder = find_near_duplicates(X, encoder=pool)
    assert set(map(tuple, by_encoder.pairs)) >= set(map(tuple, found.pairs[:6]))
    told = twin_memorization(pool, found)
    mean = {name: getattr(told, name).mean() for name in TRUE}
    assert mean["twin_out"].interval()[0] > 0.02
    assert mean["joint"].interval()[0] > 0.02
    assert mean["hidden"].interval()[0] > 0
    assert mean["twin_in"].score < 0.4 * mean["joint"].score
    plain = pool.memorization_scores_[told.row].mean()
    assert mean["twin_in"].score < plain < mean["twin_out"].score
    table = told.table()
    assert len(table) == 16
    assert (table["twin_out_low"] < table["twin_out"]).all()


def test_pairs_are_drawn(planted, tmp_path):
    X, pool, found = planted
    told = twin_memorization(pool, found)
    display = DuplicatesDisplay.from_duplicates(found, X, twins=told, k=3)
    assert display.images[0].shape == (3, 8, 8)
    np.testing.assert_allclose(display.images[1][0], X[found.pairs[0, 1], 0])
    said = [text.get_text() for text in display.figure_.axes[0].texts]
    assert len({len(number.split(".")[1]) for number in said}) == 1  # all with the same decimals
    np.testing.assert_allclose([float(n) for n in said], found.distance[:3], atol=0.006)
    means = display.ax_.containers[0].lines[0].get_xdata()
    lines = np.flatnonzero(np.isin(told.row, found.pairs[0]))
    assert means[0] == pytest.approx(told.twin_in.score[lines].mean())
    left, right = display.figure_.axes  # images and dots stand on the same lines
    display.figure_.savefig(tmp_path / "pairs.png")
    for line in range(3):
        heights = [ax.transData.transform((0, line))[1] for ax in (left, right)]
        assert heights[0] == pytest.approx(heights[1], abs=0.5)
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows = np.concatenate([rows, rows[:2] + 1e-4])
    table = DuplicatesDisplay.from_duplicates(find_near_duplicates(rows), rows)
    assert table.images is None
    labels = [label.get_text() for label in table.ax_.get_yticklabels()]
    assert labels[0].endswith(" | " + str(table.duplicates.pairs[0, 1]))
    leaked = find_near_duplicates(X[:100], X[100:])
    shown = DuplicatesDisplay.from_duplicates(leaked, X[:100], X[100:])
    assert len(shown.shown) == 8
    assert "other" in shown.ax_.get_yticklabels()[0].get_text()
    mpl.pyplot.close("all")


def test_displays_refuse_what_they_cannot_draw(planted):
    X, pool, found = planted
    for args, changes, kind, message in [
        ((pool, X), {}, TypeError, "duplicates must be NearDuplicates"),
        ((found, X[1:]), {}, ValueError, "X has 107 rows, but 108 were searched"),
        ((found, X, X), {}, ValueError, "X_other must be given if, and only if"),
        ((found, X), {"twins": found}, TypeError, "twins must be a TwinMemorization"),
        ((found, X), {"k": 0}, ValueError, "k must be an int of at least 1"),
        ((found, X), {"ax": 3}, TypeError, "ax must be matplotlib Axes"),
        ((_none(), X), {}, ValueError, "no pair to show"),
    ]:
        with pytest.raises(kind, match=message):
            DuplicatesDisplay.from_duplicates(*args, **changes)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.0, 0.0312, 0.52], ["0.000", "0.031", "0.520"]),
        ([0.0, 0.0], ["0.00", "0.00"]),
        ([3.0, 12.34, 140.0], ["3", "12", "140"]),
    ],
)
def test_distances_are_written_alike(values, said):
    assert same_decimals(np.array(values)) == said


def _none():
    empty = np.empty(0)
    return NearDuplicates(np.empty((0, 2), int), empty, empty, 0.1, 3.0, "input", 108)
