"""DejaVuEstimator against a literal transcription of the paper's test, and on planted backgrounds."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from joblib import parallel_config
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from torch import nn

from sslmemo.augmentations.geometry import RandomCropFlip, crop
from sslmemo.baselines import DejaVuEstimator
from sslmemo.baselines.deja_vu_tables import accuracy_gap, part_of, part_shares, two_way_interval
from sslmemo.data import as_data
from sslmemo.designs import Explicit, Split, Subsample
from sslmemo.measurements import DejaVu
from sslmemo.measurements.dejavu import backgrounds, beside_box, corner_box, neighbour_vote
from sslmemo.pool import Run
from sslmemo.protocols import Measurement, TrainingError

ONE_BLOCK = pytest.mark.filterwarnings("ignore:.*one block:UserWarning")
NO_VOTER = pytest.mark.filterwarnings("ignore:.*no public row has:UserWarning")


class CornerOrRest(nn.Module):
    """Half of the views are the lower left corner, the others large boxes: what links the two."""

    def __init__(self):
        super().__init__()
        self.large = RandomCropFlip(0.7, flip=0.0)

    def forward(self, x):
        b, one = len(x), torch.ones(len(x))
        corner = crop(x, 0 * one, 0.75 * one, 0.25 * one, 0.25 * one, one)
        return torch.where((torch.rand(b) < 0.5)[:, None, None, None], corner, self.large(x))


def planted(kind, n, seed=0):
    """Digits amid a 16 x 16 canvas, which is filled with one 4 x 4 pattern a row, a class, or in all."""
    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    rows = rng.permutation(len(X))[:n]
    X, y = X[rows].reshape(n, 8, 8) / 16, y[rows]
    pattern = {
        "row": rng.integers(0, 2, (n, 4, 4)),
        "class": rng.integers(0, 2, (10, 4, 4))[y],
        "constant": np.full((n, 4, 4), 0.5),
    }[kind]
    images = np.tile(pattern, (1, 4, 4)).astype(np.float32)
    images[:, 4:12, 4:12] = X
    return images[:, None], y


def quick(**changes):
    """An estimator that fits in a second, on images of 16 x 16."""
    return DejaVuEstimator(**{
        "augmentation": CornerOrRest(), "encoder": "mlp", "n_encoders": 4, "epochs": 1,
        "batch_size": 20, "n_neighbors": 7, "public": 0.4, "random_state": 0, "verbose": 0, "device": "cpu",
        "precision": "fp32", **changes,
    })  # fmt: skip


@pytest.fixture(scope="module")
def images():
    return planted("row", 100)


@pytest.fixture(scope="module")
def fitted(images):
    """Both references, barely trained; read only."""
    return quick(reference="classifier", classifier=KNeighborsClassifier(1)).fit(*images)


# ---- the paper's test, word for word


def literal_vote(z, z_public, y_public, k, n_classes):
    """L2 neighbours, counts of their labels, the largest count, entropy as uncertainty."""
    said, counts, uncertainty = [], [], []
    for row in z:
        distance = [np.sqrt(((row - other) ** 2).sum()) for other in z_public]
        nearest = np.argsort(distance, kind="stable")[:k]
        count = np.bincount(y_public[nearest], minlength=n_classes)
        tied = set(np.flatnonzero(count == count.max()).tolist())
        said.append(next(label for label in y_public[nearest].tolist() if label in tied))
        counts.append(count)
        uncertainty.append(entropy(count))
    return np.array(said), np.array(counts), np.array(uncertainty)


@pytest.mark.parametrize("k", [1, 4, 10, 1000])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_vote_is_the_papers(k, metric):
    rng = np.random.default_rng(k)
    z, z_public = rng.standard_normal((30, 5)), rng.standard_normal((60, 5))
    y_public = rng.integers(0, 4, 60)
    found = neighbour_vote(z, z_public, y_public, 6, k, metric)
    if metric == "cosine":
        z, z_public = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (z, z_public))
    said, counts, uncertainty = literal_vote(z, z_public, y_public, k, 6)
    np.testing.assert_array_equal(found[0], said)
    np.testing.assert_array_equal(found[1], counts)
    np.testing.assert_allclose(found[2], uncertainty, atol=1e-12)
    assert (found[2] >= 0).all()


def linear(seed, shape):
    """A model whose representations are a linear map of the pixels."""
    weight = np.random.default_rng(seed).standard_normal((int(np.prod(shape)), 6))
    weight = torch.tensor(weight, dtype=torch.float32)
    return SimpleNamespace(
        embed=lambda x, layer: x.flatten(1) @ weight * (1 + (layer == "encoder"))
    )


def test_measurement_is_the_papers(images):
    X, y = images
    asked, public = np.arange(5, 60), np.arange(60, 100)
    data = as_data(X)
    crops = backgrounds(data, asked, boxes=np.tile(corner_box((1, 16, 16)), (55, 1)))
    measurement = DejaVu(y, asked, crops, data.take(public), y[public], 9)
    assert isinstance(measurement, Measurement)
    models = [linear(seed, X.shape[1:]) for seed in range(3)]
    found = measurement(models, data, np.ones((3, 100), bool), 0)
    for j, model in enumerate(models):
        corner = torch.tensor(X[asked])[:, :, 12:, :4]  # lower left, int(0.3 * 16) = 4 pixels
        whole = nn.functional.interpolate(corner, (16, 16), mode="bilinear")
        z, z_public = (
            model.embed(x, "projector").numpy() for x in (whole, torch.tensor(X[public]))
        )
        said, counts, uncertainty = literal_vote(z, z_public, y[public], 9, 10)
        np.testing.assert_array_equal(found["deja_vu"][j, asked], said != y[asked])
        own = counts[np.arange(55), y[asked]] / 9
        np.testing.assert_allclose(found["deja_vu_share"][j, asked], 1 - own, atol=1e-6)
        np.testing.assert_allclose(found["deja_vu_entropy"][j, asked], uncertainty, atol=1e-6)
    for array in found.values():
        assert array.shape == (3, 100)
        assert np.isnan(np.delete(array, asked, axis=1)).all()
    other = DejaVu(y, asked, crops, data.take(public), y[public], 8)
    assert measurement.config() != other.config()
    broken = SimpleNamespace(embed=lambda x, layer: torch.full((len(x), 2), torch.nan))
    with pytest.raises(TrainingError, match="seed 3"):
        measurement([broken], data, np.ones((1, 100), bool), 3)


@ONE_BLOCK
def test_one_pair_gives_the_papers_partition(images):
    X, y = images
    est = quick(n_encoders=2).fit(X, y)
    member, wrong = est.membership_, est.result_.run.values["deja_vu"]
    names = {(0, 0): "unassociated", (1, 0): "memorized", (0, 1): "misrepresented",
             (1, 1): "correlated"}  # fmt: skip
    for row in range(len(X)):
        if est.public_[row]:
            assert est.partition_[row] == "public"
            assert not member[:, row].any()
            continue
        (target,) = np.flatnonzero(member[:, row])
        right = 1 - wrong[target, row], 1 - wrong[1 - target, row]
        assert est.partition_[row] == names[right]
        assert est.memorization_scores_[row] == right[0] - right[1]
    np.testing.assert_array_equal(est.partition_, est.partition(block=0))
    assert np.isnan(est.standard_errors_).all()
    assert np.isnan(est.accuracy_["gap_low"]).all()
    with pytest.raises(ValueError, match="block=7 is none"):
        est.partition(block=7)


def test_accuracies_of_the_most_confident(fitted):
    run = fitted.results_["encoder"].run
    wrong, uncertainty = run.values["deja_vu"], run.values["deja_vu_entropy"]
    table = fitted.accuracy_table(confident=(1.0, 0.3))
    for line, share in enumerate((1.0, 0.3)):
        right = {True: [], False: []}
        for member, error, unsure in zip(run.plan.member, wrong, uncertainty, strict=True):
            for side in (True, False):
                rows = np.flatnonzero((member == side) & ~fitted.public_)
                sure = rows[np.argsort(unsure[rows], kind="stable")]
                right[side] += (1 - error[sure[: int(share * len(rows))]]).tolist()
        target, reference = np.mean(right[True]), np.mean(right[False])
        assert table["target_accuracy"][line] == pytest.approx(target)
        assert table["reference_accuracy"][line] == pytest.approx(reference)
        assert table["gap"][line] == pytest.approx(target - reference)
    assert (table["gap_low"] <= table["gap"]).all()
    assert (table["gap"] <= table["gap_high"]).all()


def test_pooled_partition_and_shares(fitted):
    run, plan = fitted.result_.run, fitted.result_.run.plan
    table = fitted.partition_table()
    for row in np.flatnonzero(~fitted.public_):
        t = run.values["deja_vu"][plan.as_f[:, row], row].mean() < 0.5
        r = run.values["deja_vu"][plan.as_g[:, row], row].mean() < 0.5
        part = ("unassociated", "misrepresented", "memorized", "correlated")[2 * t + r]
        assert fitted.partition_[row] == part
    for name, result in fitted.results_.items():
        own = table[table["reference"] == name]
        share = dict(zip(own["part"], own["pair_share"], strict=True))
        assert sum(share.values()) == pytest.approx(1)
        gap = fitted.accuracy_[fitted.accuracy_["reference"] == name]["gap"][0]
        assert share["memorized"] - share["misrepresented"] == pytest.approx(gap)
        assert np.nanmean(result.score) == pytest.approx(gap)
    pooled = table[table["reference"] == "classifier"]["pooled_share"]
    assert pooled.sum() == pytest.approx(1)
    assert np.isnan(table[table["reference"] == "encoder"]["pooled_share"]).all()


def test_half_right_is_wrong():
    parts = part_of(np.array([0.5, 0.4, np.nan]), np.array([0.4, 0.5, 0.1]))
    assert parts.tolist() == ["misrepresented", "memorized", ""]


# ---- intervals


def test_intervals_cluster_by_block_and_row():
    rng, covered, sims = np.random.default_rng(0), 0, 400
    for _ in range(sims):
        block, row = rng.normal(0, 0.5, (12, 1)), rng.normal(0, 1.0, (1, 30))
        cells = 2 + block + row + rng.normal(0, 1.0, (12, 30))
        low, high = two_way_interval(cells.mean(), (cells - cells.mean()) / cells.size)
        covered += low < 2 < high
    assert 0.92 < covered / sims < 0.985  # 0.955; by cells alone 0.36


def test_failed_blocks_are_left_out():
    plan, rng = Subsample().draw(40, 8, entropy=0), np.random.default_rng(0)
    whole = {name: rng.integers(0, 2, plan.member.shape).astype(float)
             for name in ("deja_vu", "deja_vu_entropy")}  # fmt: skip
    lost = {name: v.copy() for name, v in whole.items()}
    for v in lost.values():
        v[2:4] = np.nan
    kept = plan.take([0, 2, 3])
    left = {name: v[np.isin(plan.block, [0, 2, 3])] for name, v in whole.items()}
    a, b = (Run(p, v, {}, np.ones(1)) for p, v in ((plan, lost), (kept, left)))
    np.testing.assert_allclose(part_shares(a), part_shares(b))
    for share in (1.0, 0.2):
        assert accuracy_gap(a, share) == pytest.approx(accuracy_gap(b, share))


# ---- what is shown


def test_corners():
    assert corner_box((3, 10, 20)).tolist() == [0, 7, 6, 10]
    assert corner_box((3, 10, 20), 0.3, "upper right").tolist() == [14, 0, 20, 3]
    assert corner_box((3, 10, 20), 0.01, "lower right").tolist() == [19, 9, 20, 10]
    assert corner_box((1, 7, 7), 1.0).tolist() == [0, 0, 7, 7]


def test_beside_a_box_lies_the_largest_rectangle():
    h, w = 7, 9
    rng = np.random.default_rng(0)
    low = rng.integers(0, [w, h], (40, 2))
    objects = np.hstack([low, low + 1 + rng.integers(0, [w, h] - low)])
    objects[0] = [0, 0, w, h]
    boxes, shorter = beside_box((1, h, w), objects)
    for (left, top, right, bottom), box, side in zip(objects, boxes, shorter, strict=True):
        best = 0
        for x in range(w):
            for y in range(h):
                for x2 in range(x + 1, w + 1):
                    for y2 in range(y + 1, h + 1):
                        if x2 <= left or x >= right or y2 <= top or y >= bottom:
                            best = max(best, min(x2 - x, y2 - y))
        assert side == best == min(box[2] - box[0], box[3] - box[1])
        hidden = box[2] <= left or box[0] >= right or box[3] <= top or box[1] >= bottom
        assert side == 0 or hidden
    assert shorter[0] == 0
    assert beside_box((1, 8, 8), np.array([[4, 2, 6, 7]]))[0].tolist() == [[0, 0, 4, 8]]


def test_no_pixel_of_the_object_is_seen(images):
    X, _ = images
    X, other = X[:20].copy(), X[:20].copy()
    other[:, :, 4:12, 4:12] = np.random.default_rng(0).random((20, 1, 8, 8))
    index = np.arange(3, 20)
    objects = np.tile([4, 4, 12, 12], (17, 1))
    mask = np.zeros((17, 16, 16), bool)
    mask[:, 4:12, 4:12] = True
    for shown in ({"boxes": beside_box((1, 16, 16), objects)[0]}, {"masks": mask}):
        a, b = (backgrounds(as_data(x), index, **shown).array(np.arange(17)) for x in (X, other))
        np.testing.assert_array_equal(a, b)
        assert a.shape == (17, 1, 16, 16)
    np.testing.assert_allclose(b[0, 0, 8, 8], X[3, 0][~mask[0]].mean(), rtol=1e-6)
    np.testing.assert_array_equal(b[:, 0][~mask], X[3:20, 0][~mask])


# ---- planted backgrounds


def on_planted(kind, n_encoders, epochs, **changes):
    X, y = planted(kind, 220)
    est = quick(
        public=np.arange(40, 220), n_encoders=n_encoders, epochs=epochs, learning_rate=3e-3,
        metric="cosine", **changes,
    )  # fmt: skip
    return est.fit(X, y)


def test_memorized_where_every_row_has_a_background_of_its_own():
    est = on_planted("row", 12, 80)
    table = est.accuracy_
    assert table["gap_low"][0] > 0
    assert table["gap"][0] > 0.1
    assert table["reference_accuracy_low"][0] < 0.1 < table["reference_accuracy_high"][0]  # chance
    assert (est.partition_ == "memorized").sum() > 3 * (est.partition_ == "misrepresented").sum()


def test_nothing_where_the_background_says_nothing():
    est = on_planted("constant", 8, 15, reference="classifier")
    for line in (0, 3):  # of both references, all rows
        assert est.accuracy_["gap_low"][line] <= 0 <= est.accuracy_["gap_high"][line]
        assert est.accuracy_["target_accuracy"][line] < 0.25
    assert (est.partition_ == "unassociated").sum() > 30


def test_correlated_where_the_background_tells_the_class():
    est = on_planted("class", 4, 60, reference="classifier")
    for line in (0, 3):  # of both references, all rows
        assert est.accuracy_["reference_accuracy"][line] > 0.9
        assert est.accuracy_["gap_low"][line] <= 0 <= est.accuracy_["gap_high"][line]
    assert (est.partition_[~est.public_] == "correlated").mean() > 0.9


# ---- public rows and references


def test_classifiers_have_not_seen_their_targets_rows(images, fitted):
    X, y = images
    corners = X[:, :, 12:, :4].reshape(len(X), -1)  # resizing keeps the order of 1-NN nearly
    whole = nn.functional.interpolate(torch.tensor(X)[:, :, 12:, :4], (16, 16), mode="bilinear")
    flat = whole.numpy().reshape(len(X), -1)
    assert len(np.unique(corners, axis=0)) == len(X)  # who has seen a row is right about it
    member = fitted.membership_
    run = fitted.results_["classifier"].run
    right = []
    for target in range(4):
        classifier = KNeighborsClassifier(1).fit(flat[~member[target]], y[~member[target]])
        rows = np.flatnonzero(member[target])
        right += (classifier.predict(flat[rows]) == y[rows]).tolist()
    assert fitted.accuracy_["reference"].tolist() == ["encoder"] * 3 + ["classifier"] * 3
    np.testing.assert_allclose(fitted.accuracy_["reference_accuracy"][3], np.mean(right))
    assert np.mean(right) < 0.5
    assert fitted.accuracy_["target_accuracy"][3] == fitted.accuracy_["target_accuracy"][0]
    assert fitted.result_ is fitted.results_["classifier"]
    assert (run.plan.as_f.sum(0) == run.plan.as_g.sum(0)).all()


class Fails(KNeighborsClassifier):
    """A classifier that can't be fitted to rows of little ink."""

    least = 0.0

    def fit(self, X, y):
        if X.sum() < self.least:
            raise ValueError("too little ink")
        return super().fit(X, y)


def test_a_classifier_that_fails_drops_its_block(images, monkeypatch):
    one = {"reference": "classifier", "classifier": Fails(1), "n_encoders": 6, "on_error": "drop"}
    whole = quick(**one).fit(*images)
    crops = nn.functional.interpolate(
        torch.tensor(images[0])[:, :, 12:, :4], (16, 16), mode="bilinear"
    )
    ink = np.sort(~whole.membership_ @ crops.numpy().reshape(100, -1).sum(1))
    monkeypatch.setattr(Fails, "least", (ink[0] + ink[1]) / 2)  # one of six
    with pytest.warns(UserWarning, match="1 of 3 blocks failed.*too little ink"):
        est = quick(**one).fit(*images)
    (lost,) = est.results_["classifier"].run.failures
    kept = whole.results_["classifier"].run
    rows = kept.plan.block != lost
    left = Run(kept.plan.take(np.unique(kept.plan.block[rows])),
               {name: v[rows] for name, v in kept.values.items()}, {}, np.ones(2))  # fmt: skip
    expected = accuracy_gap(left)
    for name, value in expected.items():
        assert est.accuracy_[name][3] == pytest.approx(value)
        assert est.accuracy_[name][0] == pytest.approx(whole.accuracy_[name][0])
    known = ~est.public_
    np.testing.assert_array_equal(np.isfinite(est.memorization_scores_), known)


@pytest.mark.parametrize("kind", ["share", "rows", "other"])
def test_public_rows(images, kind):
    X, y = images
    public = {
        "share": 0.3,
        "rows": [5, 0, 99, 41, 7, 8, 9, 10, 11, 12],
        "other": planted("row", 90, 1),
    }
    with pytest.MonkeyPatch.context() as patch:
        if kind == "rows":  # ten rows hardly have all labels
            patch.setattr("sslmemo.baselines.deja_vu.check_public_labels", lambda *a: None)
        est = quick(public=public[kind], outcome="share").fit(X, y)
    expected = {"share": 30, "rows": 10, "other": 0}[kind]
    assert est.public_.sum() == expected
    if kind == "rows":
        assert set(np.flatnonzero(est.public_)) == set(public["rows"])
    assert not est.membership_[:, est.public_].any()
    np.testing.assert_array_equal(np.isnan(est.memorization_scores_), est.public_)
    np.testing.assert_array_equal(np.isnan(est.standard_errors_), est.public_)
    assert (est.membership_.sum(1) == (100 - expected) // 2).all()


@NO_VOTER
def test_copies_stay_on_one_side(images):
    X, y = images[0].copy(), images[1]
    X[50:100] = X[:50]
    with pytest.warns(UserWarning, match="copies of others"):
        est = quick(public=0.4).fit(X, y)
    np.testing.assert_array_equal(est.public_[:50], est.public_[50:])
    np.testing.assert_array_equal(est.membership_[:, :50], est.membership_[:, 50:])
    with (
        pytest.warns(UserWarning, match="40 public rows are copies of rows to train on"),
        pytest.warns(UserWarning, match="copies of others"),
    ):
        est = quick(public=np.arange(40)).fit(X, y)
    scores = est.score_samples(X[:50])
    np.testing.assert_array_equal(scores[:40], est.memorization_scores_[50:90])


def test_a_label_without_public_rows(images):
    X, y = images
    with pytest.warns(UserWarning, match=r"labels that no public row has \(\[.*4"):
        quick(public=np.flatnonzero(y != 4)[:30]).fit(X, y)


# ---- boxes, masks, designs, parameters


def test_boxes_and_masks(images):
    X, y = images
    boxes = np.tile([4, 4, 12, 12], (100, 1))
    boxes[::10] = [1, 1, 15, 16]  # one pixel is left
    with pytest.warns(UserWarning, match="10 of 100 rows show too little background"):
        est = quick(background=boxes, reference="classifier").fit(X, y)
    lost = np.isnan(est.memorization_scores_)
    np.testing.assert_array_equal(lost, est.public_ | (np.arange(100) % 10 == 0))
    assert (est.partition_[~est.public_ & lost] == "").all()
    assert est.membership_[:, ~est.public_].any(0).all()  # they are trained on all the same
    mask = np.zeros((100, 16, 16), bool)
    mask[:, 4:12, 4:12] = True
    est = quick(background=mask).fit(X, y)
    np.testing.assert_array_equal(np.isnan(est.memorization_scores_), est.public_)
    mask[3] = False
    with pytest.raises(ValueError, match="hides no pixel of row 3"):
        quick(background=mask).fit(X, y)
    boxes[2] = [5, 5, 20, 8]
    with pytest.raises(ValueError, match=r"box \[5, 5, 20, 8\] for row 2"):
        quick(background=boxes).fit(X, y)


def test_random_corners_are_drawn_for_each_row(images):
    X = np.random.default_rng(0).random((100, 1, 16, 16), np.float32)
    a, b, c = (
        quick(corner=corner).fit(X, images[1]) for corner in ("random", "random", "lower left")
    )
    np.testing.assert_array_equal(a.result_.run.values["deja_vu"], b.result_.run.values["deja_vu"])
    one, other = (est.result_.run.values["deja_vu_entropy"][:, ~est.public_] for est in (a, c))
    differ = np.abs(one - other).max(0) > 0
    assert 0.5 < differ.mean() < 0.9  # three corners of four are others


def test_outcomes(images):
    label, share, confidence = (
        quick(outcome=outcome).fit(*images) for outcome in ("label", "share", "confidence")
    )
    values = label.result_.run.values
    for est, name in ((share, "deja_vu_share"), (confidence, "deja_vu_entropy")):
        matrix, member = values[name], est.membership_
        rows = np.flatnonzero(~est.public_)
        expected = [matrix[~member[:, i], i].mean() - matrix[member[:, i], i].mean() for i in rows]
        np.testing.assert_allclose(est.memorization_scores_[rows], expected, atol=1e-6)
        np.testing.assert_array_equal(est.partition_, label.partition_)


@ONE_BLOCK
def test_designs(images):
    X, y = images
    est = quick(public=np.arange(40), design=Split(shared=0.2, candidate=0.4, independent=0.4),
                n_encoders=2).fit(X, y)  # fmt: skip
    f, g = est.membership_
    np.testing.assert_array_equal(np.isfinite(est.memorization_scores_), f & ~g)
    est = quick(public=np.arange(40), design=Subsample(1 / 3), n_encoders=6).fit(X, y)
    assert np.isfinite(est.memorization_scores_[40:]).all()
    with pytest.raises(ValueError, match="no row is in some encoders' training sets"):
        quick(public=np.arange(40), design=Explicit(np.ones((2, 60), bool))).fit(X, y)


def test_same_seed_jobs_store_and_rows(images, tmp_path):
    X, y = images
    first = quick(memory=tmp_path).fit(X, y)
    again = clone(first).set_params(n_jobs=2).fit(X, y)
    with parallel_config("threading"):
        alone = quick(n_jobs=2).fit(X, y)
    for est in (again, alone):
        np.testing.assert_array_equal(est.memorization_scores_, first.memorization_scores_)
    np.testing.assert_array_equal(first.score_samples(X[::-3]), first.memorization_scores_[::-3])
    flat = quick(image_shape=(16, 16)).fit(X.reshape(100, -1), y)
    np.testing.assert_array_equal(flat.memorization_scores_, first.memorization_scores_)
    with pytest.raises(ValueError, match="1 of 1 rows were not seen"):
        first.score_samples(1 - X[:1])


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"public": 1.0}, ValueError, "public=1.0"),
        ({"public": 0.999}, ValueError, "leaves 0 rows"),
        ({"public": [0, 0]}, ValueError, "distinct row numbers"),
        ({"public": ["a"]}, TypeError, "a share in"),
        ({"public": (1,)}, ValueError, "got 1 entries"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors"),
        ({"crop_fraction": 1.5}, ValueError, "crop_fraction"),
        ({"corner": "left"}, ValueError, "corner"),
        ({"metric": "manhattan"}, ValueError, "metric"),
        ({"outcome": "right"}, ValueError, "outcome"),
        ({"reference": "encoders"}, ValueError, "reference"),
        ({"reference": "classifier", "outcome": "confidence"}, ValueError, "no common scale"),
        ({"reference": "classifier", "outcome": "share", "classifier": LinearSVC()}, TypeError,
         "predict_proba"),
        ({"classifier": 3}, TypeError, "classifier"),
        ({"background": np.zeros((3, 4))}, ValueError, r"ints \(100, 4\) or booleans"),
        ({"n_encoders": 3}, ValueError, "n_encoders=3"),
    ],
)  # fmt: skip
def test_bad_parameters(images, changes, error, match):
    with pytest.raises(error, match=match):
        quick(**changes).fit(*images)


def test_bad_input(images):
    X, y = images
    with pytest.raises(ValueError, match="requires y"):
        quick().fit(X, None)
    with pytest.raises(ValueError, match="asked of images"):
        quick(augmentation="auto").fit(X.reshape(100, -1), y)
    with pytest.raises(ValueError, match="labels of dtype"):
        quick(public=(planted("row", 20, 1)[0], ["a"] * 20)).fit(X, y)
    with pytest.raises(ValueError, match="128 features"):
        quick(public=(X[:20, :, :8], y[:20])).fit(X, y)
