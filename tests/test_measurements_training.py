"""What is read in the course of a training: trajectories, weights' norm, presentations."""

import numpy as np
import pytest
import torch

from sslmemo import MemorizationEstimator, measurements
from sslmemo.data import as_data
from sslmemo.designs import Explicit
from sslmemo.measurements import Alignment, AlignmentTrajectory, Presentations, WeightNorm
from sslmemo.pool import run
from sslmemo.protocols import TrainingError
from sslmemo.training.recipe import make_trainer


def trainer_of(data, **changes):
    recipe = {"method": "simclr", "encoder": "mlp", "augmentation": "auto", "epochs": 6,
              "batch_size": 20, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"}  # fmt: skip
    return make_trainer(data, (len(data), len(data)), **{**recipe, **changes})


def test_a_trajectory_ends_at_the_alignment(table):
    data, at = as_data(table), (0.5, 1.0)
    trainer = trainer_of(data)
    measures = [
        Alignment(trainer.views.augmentation),
        AlignmentTrajectory(trainer.views.augmentation, at),
        WeightNorm(at),
    ]
    plan = Explicit(np.ones((2, len(data)), bool)).draw(len(data), 2, 0)
    done = run(plan, trainer, measures, data, keep_models=True)
    course = done.values["alignment_trajectory"]
    assert course.shape == (2, 2, len(data))
    np.testing.assert_array_equal(course[:, 1], done.values["alignment"])
    assert not np.allclose(course[:, 0], course[:, 1], rtol=1e-2)
    for norm, state in zip(done.values["weight_norm"], done.models, strict=True):
        trained = dict(trainer.restore(state).module.named_parameters())
        by_hand = np.sqrt(sum(np.square(state[k].astype(float)).sum() for k in trained))
        assert norm[1] == pytest.approx(by_hand, rel=1e-6)
        assert norm[0] != norm[1]


def test_checkpoints_enter_the_stores_key():
    def noise(x):
        return x + torch.randn_like(x)

    keys = [AlignmentTrajectory(noise, at).config() for at in ((0.5, 1.0), (0.2, 1.0))]
    assert keys[0] != keys[1]
    assert WeightNorm((0.5, 1.0)).config() != WeightNorm().config()


def literal(n, steps):
    """Presentations by a loop over steps and rows: alignment, risen, forgotten, known, presented."""
    found = np.zeros((5, n))
    last, was_known = {}, {}
    for rows, z in steps:
        unit = z / np.linalg.norm(z, axis=2, keepdims=True)
        for i, row in enumerate(rows):
            apart = np.square(unit[0, i] - unit[1, i]).sum()
            nearest = np.argmax([unit[0, i] @ other for other in unit[1]])
            known = nearest == i
            found[0, row] += apart
            found[1, row] += max(apart - last[row], 0) if row in last else 0
            found[2, row] += was_known.get(row, False) and not known
            found[3, row] += known
            found[4, row] += 1
            last[row], was_known[row] = apart, known
    found[0] /= found[4]
    return found


def test_presentations_against_a_loop():
    rng, n, k = np.random.default_rng(0), 10, 2
    steps = []
    for _ in range(40):
        rows = np.stack([rng.permutation(n)[:5] for _ in range(k)])
        base = rng.standard_normal((k, 1, 5, 3))
        steps.append((rows, base + rng.standard_normal((k, 2, 5, 3))))
    measure = Presentations()
    observer = measure.observer(k, n)
    for step, (rows, z) in enumerate(steps):
        observer(np.arange(k), step, rows, None, torch.from_numpy(z).float())
    found = measure([None] * k, range(n), None, 0, observer)
    names = ["presented_alignment", "risen", "forgotten", "known", "presented"]
    assert list(found) == names
    for j in range(k):
        expected = literal(n, [(rows[j], z[j]) for rows, z in steps])
        assert expected[2].sum() > 5
        for name, one in zip(names, expected, strict=True):
            np.testing.assert_allclose(found[name][j], one, rtol=1e-4, err_msg=name)


def test_presentations_see_every_step_of_every_encoder(table):
    data = as_data(table)
    plan = Explicit(np.ones((2, len(data)), bool)).draw(len(data), 2, 0)
    values = run(plan, trainer_of(data), [Presentations()], data).values
    np.testing.assert_array_equal(values["presented"], np.full((2, len(data)), 6))
    assert (values["known"] <= 6).all()
    assert (values["presented_alignment"][0] != values["presented_alignment"][1]).all()


def test_rows_never_shown_and_methods_of_one_view_are_refused(table):
    data = as_data(table)
    plan = Explicit(np.ones((1, len(data)), bool)).draw(len(data), 1, 0)
    with pytest.raises(TrainingError, match="20 of 60 rows were never shown"):
        run(plan, trainer_of(data, epochs=0.67), [Presentations()], data)
    with pytest.raises(TrainingError, match="two views of a row"):
        Presentations().observer(1, 4)(np.arange(1), 0, None, None, torch.zeros(1, 1, 4, 2))


@pytest.mark.parametrize("name", measurements.__all__)
def test_no_measurement_shows_its_address(name):
    assert getattr(measurements, name).__repr__ is not object.__repr__


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (measurements.ViewSimilarity(), "ViewSimilarity()"),
        (measurements.ViewSimilarity(n_views=4, layer="projector"),
         "ViewSimilarity(n_views=4, layer='projector')"),
        (measurements.WeightNorm(at=(0.5, 1.0)), "WeightNorm(at=(0.5, 1.0))"),
        (measurements.Reconstruction(augmentation=torch.nn.Identity()), "Reconstruction(...)"),
        (measurements.InputCurvature(torch.nn.Identity(), n_probes=3), "InputCurvature(n_probes=3, ...)"),
        (measurements.Correctness(np.zeros(3, int)), "Correctness(...)"),
    ],
)  # fmt: skip
def test_a_measurement_shows_what_is_not_at_its_default(made, said):
    assert repr(made) == said
    assert said in repr(MemorizationEstimator(measurements=[made]))
