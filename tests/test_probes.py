"""Probes beyond frozen vectors: fine-tuning, segmentation, and a penalty chosen by cross-validation."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslmemo import LinearProbe, SSLEncoder
from sslmemo.data import as_data
from sslmemo.experiments import removal_curve
from sslmemo.measurements import FineTuning, SegmentationProbe
from sslmemo.measurements.downstream import represent
from sslmemo.measurements.segmentation import feature_maps, image_iou

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)


@pytest.fixture(scope="module")
def model():
    return SSLEncoder(epochs=3, random_state=0).fit(X[:200]).model_


def test_penalty_is_the_best_of_cross_validation():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((120, 30))  # two of thirty dimensions tell: a strong penalty is best
    y = (z[:, 0] + z[:, 1] + 2 * rng.standard_normal(120) > 0).astype(int)
    probe = LinearProbe(C="cv").fit(z, y)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    losses = {
        c: -cross_val_score(
            make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000)), z, y, cv=folds,
            scoring="neg_log_loss",
        ).mean()
        for c in 10.0 ** np.arange(-4, 3)
    }  # fmt: skip
    assert pytest.approx(min(losses, key=losses.get)) == probe.C_
    assert probe.C_ < 1
    same = LinearProbe(C=probe.C_).fit(z, y)
    np.testing.assert_array_equal(probe.predict_proba(z), same.predict_proba(z))
    assert LinearProbe(C="cv").fit(z[:3], [0, 0, 1]).C_ == 1.0
    with pytest.raises(ValueError, match="C must be a number above 0 or 'cv'"):
        LinearProbe(C="best").fit(z, y)


def test_a_frozen_encoder_fine_tunes_as_a_linear_head_does(model):
    fit, test = as_data(X[:200]), as_data(X[300:700])
    before = copy.deepcopy(model.module.state_dict())
    frozen = FineTuning(epochs=60, learning_rate=1e-2, encoder_rate=0.0)
    right = frozen.outcome(model, fit, Y[:200], test, Y[300:700]).mean()
    head = LinearProbe().fit(represent(model, fit), Y[:200])
    assert right == pytest.approx(head.score(represent(model, test), Y[300:700]), abs=0.06)
    for name, value in model.module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_fine_tuning_beats_the_random_encoder_it_began_with_and_repeats():
    fit, test = as_data(X[:200]), as_data(X[300:700])
    encoder = SSLEncoder(epochs=1e-9, learning_rate=1e-9, random_state=0).fit(X[:200])
    state = torch.get_rng_state()
    moved, still = (
        FineTuning(epochs=10, encoder_rate=r).outcome(
            encoder.model_, fit, Y[:200], test, Y[300:700]
        )
        for r in (1.0, 0.0)
    )
    assert moved.mean() > still.mean() + 0.03
    again = FineTuning(epochs=10, encoder_rate=1.0).outcome(
        encoder.model_, fit, Y[:200], test, Y[300:700]
    )
    np.testing.assert_array_equal(moved, again)
    assert torch.equal(state, torch.get_rng_state())


def test_fine_tuning_is_a_downstream_task_of_removal():
    curve = removal_curve(
        None, X[:80], Y[:80], X_test=X[300:400], y_test=Y[300:400], fractions=(0.5,), n_repeats=1,
        strategies=("random",), downstream={"tuned": FineTuning(epochs=2), "linear": "linear"},
        encoder=SSLEncoder(epochs=1, batch_size=20), random_state=0, verbose=0,
    )  # fmt: skip
    assert 0 < curve.values("random", 0.5, "tuned")[0] < 1


def squares(n, seed):
    """Images of 16 x 16 px with a bright square on noise; masks of the square."""
    rng = np.random.default_rng(seed)
    images, masks = 0.3 * rng.random((n, 1, 16, 16), np.float32), np.zeros((n, 16, 16), int)
    for image, mask in zip(images, masks, strict=True):
        a, b = rng.integers(0, 10, 2)
        image[0, a : a + 6, b : b + 6] += 0.6
        mask[a : a + 6, b : b + 6] = 1
    return images, masks


def test_squares_are_segmented_and_chance_is_not():
    images, masks = squares(60, 0)
    held_out, true = squares(20, 1)
    encoder = SSLEncoder(
        encoder="convnet", augmentation="weak", epochs=1, batch_size=20, random_state=0
    ).fit(images)
    rows, test = as_data(images), as_data(held_out)
    probe = SegmentationProbe(max_pixels=5000)
    found = probe.outcome(encoder.model_, rows, masks, test, true)
    shuffled = probe.outcome(encoder.model_, rows, masks[::-1], test, true)
    nothing = np.mean([image_iou(np.zeros((16, 16), int), m) for m in true])
    assert found.mean() > 0.6
    assert shuffled.mean() < nothing + 0.1
    maps = feature_maps(encoder.model_.module.encoder.eval(), torch.from_numpy(images[:2]))
    assert [tuple(z.shape[1:]) for z in maps] == [
        (32, 16, 16),
        (64, 8, 8),
        (128, 4, 4),
        (128, 2, 2),
    ]


def test_segmentation_is_a_downstream_task_of_removal():
    images, masks = squares(40, 0)
    held_out, true = squares(10, 1)
    curve = removal_curve(
        None, images, np.zeros(40), X_test=held_out, y_test=true, X_down=images, y_down=masks,
        fractions=(0.5,), strategies=("random",), n_repeats=1,
        downstream={"iou": SegmentationProbe(max_pixels=2000)},
        encoder=SSLEncoder(encoder="convnet", augmentation="weak", epochs=1, batch_size=20),
        random_state=0, verbose=0,
    )  # fmt: skip
    assert curve.values("random", 0.5, "iou")[0] > 0.5
    assert "iou[class=0]" not in curve.table["metric"]
    with pytest.raises(ValueError, match="y_down must have one target for each of 40 rows, got 39"):
        removal_curve(
            None,
            images,
            np.zeros(40),
            X_test=held_out,
            y_test=true,
            X_down=images,
            y_down=masks[:39],
        )


def test_iou_by_hand():
    a = np.array([[0, 0], [1, 1]])
    b = np.array([[0, 1], [1, 1]])
    assert image_iou(a, b) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert image_iou(a, a) == 1.0
    assert image_iou(np.zeros((2, 2)), np.ones((2, 2))) == 0.0


def test_bad_evaluators_are_refused(model):
    rows = as_data(X[:20])
    call = (model, rows, Y[:20], rows, Y[:20])
    for evaluator, message in (
        (FineTuning(epochs=0), "epochs must be"),
        (FineTuning(encoder_rate=2), "encoder_rate must be"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluator.outcome(*call)
    masks = np.zeros((20, 8, 8), int)
    with pytest.raises(ValueError, match="has no feature map"):
        SegmentationProbe().outcome(model, rows, masks, rows, masks)
    with pytest.raises(ValueError, match="masks of shape"):
        SegmentationProbe().outcome(model, rows, masks[:, :4], rows, masks)
