"""Stacked training equals training one at a time, for every method and encoder."""

import numpy as np
import pytest
import torch
from registry_pairs import PAIRS

from sslmemo.augmentations import build_augmentation
from sslmemo.data import as_data
from sslmemo.methods import get_method
from sslmemo.training.ssl import SSLTrainer
from sslmemo.training.stacked import StackedTrainer

STEPS = 20


class SteadyAdamW:
    """AdamW whose eps keeps gradients that are rounding alone from growing into steps.

    A bias in front of a normalisation has no gradient; with eps 1e-8 AdamW moves it by 1e-7 all the same.
    """

    def _optimizer(self, parameters):
        optimizer, schedule = super()._optimizer(parameters)
        optimizer.param_groups[0]["eps"] = 1e-4
        return optimizer, schedule


class Doubled(SteadyAdamW, SSLTrainer):
    """One at a time, in float64."""

    def build(self, seed):
        return super().build(seed).double()

    def _batches(self, data, rows, seed):
        for index, views in super()._batches(data, rows, seed):
            yield index, views.double()


class DoubledStack(SteadyAdamW, StackedTrainer):
    """Stacked, in float64."""

    def build(self, seed):
        return super().build(seed).double()

    def _stacked_batches(self, data, member, seeds):
        for index, views in super()._stacked_batches(data, member, seeds):
            yield index, views.double()


def trainer_of(kind, data, method, encoder, **changes):
    method = get_method(method)
    changes = {"bank": max(4, method.n_views), **changes}
    return kind(
        method, encoder, build_augmentation("auto", data), data.shape,
        **{"steps": STEPS, "batch_size": 12, "learning_rate": 1e-3, **changes},
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(digits):
    return as_data(digits[0][:60])


@pytest.fixture(scope="module")
def member():
    return np.random.default_rng(0).random((3, 60)).argsort(1) < 30


@pytest.mark.parametrize(("method", "encoder"), PAIRS)
def test_stacked_equals_one_at_a_time(data, member, method, encoder):
    seeds = [5, 5, 9]
    single = trainer_of(Doubled, data, method, encoder)
    stacked = trainer_of(DoubledStack, data, method, encoder, limit=3)
    ones = next(single.fit_many(data, member, seeds))[1]
    together = next(stacked.fit_many(data, member, seeds))[1]
    for a, b in zip(ones, together, strict=True):
        a, b = a.state(), b.state()
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(b[name], a[name], rtol=0, atol=1e-8, err_msg=name)


def test_snapshots_and_observers(data, member):
    seen = []
    trainer = trainer_of(StackedTrainer, data, "simclr", "mlp", limit=3)
    stages = list(
        trainer.fit_many(
            data, member, [1, 2, 3], at=(0.5, 1.0),
            observers=[lambda which, step, rows, loss, z: seen.append((which, rows, loss, z))],
        )
    )  # fmt: skip
    assert [f for f, _ in stages] == [0.5, 1.0]
    assert len(seen) == STEPS
    which, rows, loss, z = seen[0]
    assert which.tolist() == [0, 1, 2]
    assert rows.shape == (3, 12) == tuple(loss.shape)
    assert z.shape == (3, 2, 12, 64)
    assert all(member[j, rows[j]].all() for j in range(3))


def test_fractions_of_one_step_are_each_handed_out_without_gradients_in_force(data, member):
    trainer = trainer_of(StackedTrainer, data, "simclr", "mlp", limit=3)
    with torch.no_grad():
        stages = list(trainer.fit_many(data, member, [1, 2, 3], at=(0.96, 1.0)))
        close = list(trainer.fit_many(data, member, [1, 2, 3], at=(0.99, 1.0)))
    assert [f for f, _ in stages] == [0.96, 1.0]
    assert [f for f, _ in close] == [0.99, 1.0]


def test_fresh_views_differ_between_encoders(data, member):
    trainer = trainer_of(StackedTrainer, data, "simclr", "mlp", limit=2, bank=0)
    rows = np.stack([member[0], member[0]])
    a, b = next(trainer.fit_many(data, rows, [1, 1]))[1]
    assert not np.array_equal(a.state()["encoder.1.weight"], b.state()["encoder.1.weight"])


def test_a_stack_that_runs_out_of_memory_is_halved(data, member, monkeypatch):
    trainer = trainer_of(StackedTrainer, data, "simclr", "mlp", limit=3)
    whole = next(trainer.fit_many(data, member, [1, 2, 3]))[1]
    fit, sizes = StackedTrainer._fit_stack, []

    def small(self, data, member, *rest):
        sizes.append(len(member))
        if len(member) > 1:
            raise torch.OutOfMemoryError("planted")
        return fit(self, data, member, *rest)

    monkeypatch.setattr(StackedTrainer, "_fit_stack", small)
    halved = next(trainer.fit_many(data, member, [1, 2, 3]))[1]
    assert sizes == [3, 1, 1, 1]
    for a, b in zip(whole, halved, strict=True):
        a, b = a.state(), b.state()
        assert all(np.allclose(a[k], b[k], atol=1e-5) for k in a)


def test_a_divergence_names_its_seed(data, member):
    from sslmemo.protocols import TrainingError

    trainer = trainer_of(StackedTrainer, data, "simclr", "mlp", limit=3, learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"seed \d diverged"):
        list(trainer.fit_many(data, member, [1, 2, 3]))


def test_compiled_training_is_the_same_and_a_compiler_that_fails_is_no_harm(data, member):
    plain = trainer_of(DoubledStack, data, "simclr", "mlp", limit=3, steps=4)
    compiled = trainer_of(
        DoubledStack, data, "simclr", "mlp", limit=3, steps=4, compile="aot_eager"
    )
    absent = trainer_of(DoubledStack, data, "simclr", "mlp", limit=3, steps=4, compile="absent")
    expected = next(plain.fit_many(data, member, [1, 2, 3]))[1]
    found = [next(compiled.fit_many(data, member, [1, 2, 3]))[1]]
    with pytest.warns(UserWarning, match="goes on uncompiled"):
        found.append(next(absent.fit_many(data, member, [1, 2, 3]))[1])
    for models in found:
        for a, b in zip(expected, models, strict=True):
            a, b = a.state(), b.state()
            for name in a:
                np.testing.assert_allclose(b[name], a[name], rtol=0, atol=1e-8, err_msg=name)
