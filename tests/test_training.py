"""The SSL trainer: determinism, equal steps, snapshots, observers, divergence, encoders."""

import numpy as np
import pytest
import torch
from registry_pairs import PAIRS

from sslmemo.augmentations import build_augmentation
from sslmemo.data import as_data
from sslmemo.encoders import build_encoder, check_encoder, output_dim
from sslmemo.protocols import Measurement, Model, Trainer, TrainingError
from sslmemo.training.precision import autocast, resolve_device, resolve_precision
from sslmemo.training.recipe import make_trainer
from sslmemo.training.ssl import row_stream


def trainer_of(data, n_rows, **changes):
    options = {
        "method": "simclr", "encoder": "auto", "augmentation": "auto", "epochs": 2,
        "batch_size": None, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32",
    }  # fmt: skip
    return make_trainer(data, (n_rows, n_rows), **{**options, **changes})


@pytest.fixture(scope="module")
def data(digits):
    return as_data(digits[0])


def states(models):
    return [m.state() for m in models]


def same(a, b):
    return all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(("method", "encoder"), PAIRS)
def test_every_method_trains_every_encoder_deterministically(data, method, encoder):
    trainer = trainer_of(data, 20, method=method, encoder=encoder, batch_size=16)
    member = np.arange(120) < 20
    first = next(trainer.fit_many(data, member[None], [5]))[1][0].state()
    again = next(trainer.fit_many(data, np.stack([~member, member]), [4, 5]))[1][1].state()
    assert same(first, again)
    initial = trainer.build(5).state_dict()
    assert any(not np.array_equal(v, initial[k].numpy()) for k, v in first.items())


def test_encoders_of_one_seed_start_alike(data):
    trainer = trainer_of(data, 60)
    a, b = trainer.build(3).state_dict(), trainer.build(3).state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_steps_follow_the_mean_training_size(data):
    assert trainer_of(data, 60, epochs=10, batch_size=20).steps == 30
    assert trainer_of(data, 60, epochs=0.001).steps == 1
    trainer = make_trainer(
        data, (60.0, 50), method="simclr", encoder="mlp", augmentation="digits", epochs=10,
        batch_size=None, learning_rate=1e-3, device="cpu", precision="fp32",
    )  # fmt: skip
    assert (trainer.batch_size, trainer.steps) == (50, 12)


def test_snapshots_come_in_order_and_the_last_is_the_whole_training(data):
    trainer = trainer_of(data, 30, epochs=8, batch_size=10)
    member = np.arange(120)[None] < 30
    stages = list(trainer.fit_many(data, member, [0], at=(0.25, 0.5, 1.0)))
    assert [f for f, _ in stages] == [0.25, 0.5, 1.0]
    early, middle, last = (m[0].state() for _, m in stages)
    assert not same(early, middle)
    assert same(last, next(trainer.fit_many(data, member, [0]))[1][0].state())


def test_observers_see_every_step(data):
    trainer = trainer_of(data, 30, epochs=4, batch_size=10)
    seen = []
    member = np.stack([np.arange(120) < 30, np.arange(120) >= 90])
    observe = lambda which, step, rows, loss, z: seen.append((which, step, rows, loss, z))  # noqa: E731
    list(trainer.fit_many(data, member, [0, 0], observers=[observe]))
    assert len(seen) == 2 * trainer.steps
    which, step, rows, loss, z = seen[-1]
    assert which.tolist() == [1]
    assert step == trainer.steps - 1
    assert (rows >= 90).all()
    assert rows.shape == (1, 10) == tuple(loss.shape)
    assert z.shape == (1, 2, 10, 64)


def test_a_divergence_names_its_seed(data):
    trainer = trainer_of(data, 30, learning_rate=1e30, epochs=20, batch_size=10)
    with pytest.raises(TrainingError, match="seed 17 diverged.*lower learning_rate"):
        list(trainer.fit_many(data, np.arange(120)[None] < 30, [17]))


def test_dropout_draws_from_the_encoders_own_seed(data):
    factory = lambda: torch.nn.Sequential(  # noqa: E731
        torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Dropout(0.5)
    )
    trainer = trainer_of(data, 30, encoder=factory)
    assert trainer.draws_itself
    assert not trainer_of(data, 30).draws_itself
    member = np.arange(120)[None] < 30
    first = next(trainer.fit_many(data, member, [1]))[1][0].state()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert same(first, next(trainer.fit_many(data, member, [1]))[1][0].state())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("n", "batch"), [(10, 3), (7, 7), (5, 4)])
def test_the_row_stream_uses_every_row_equally_and_repeats_none_in_a_batch(n, batch):
    stream = row_stream(np.arange(n) * 10, batch, np.random.default_rng(0))
    batches = [next(stream) for _ in range(n * 6)]
    assert all(len(set(b.tolist())) == batch for b in batches)
    counts = np.bincount(np.concatenate(batches) // 10, minlength=n)
    assert counts.max() - counts.min() <= 1


def test_the_encoders_have_the_stated_shapes():
    assert output_dim(build_encoder("mlp", (30,)), (30,)) == 64
    assert output_dim(build_encoder("convnet", (3, 32, 32)), (3, 32, 32)) == 128
    small, large = build_encoder("resnet18", (3, 32, 32)), build_encoder("resnet18", (3, 64, 64))
    assert small[0].kernel_size == (3, 3)
    assert large[0].kernel_size == (7, 7)
    assert output_dim(small, (3, 32, 32)) == 512
    assert sum(p.numel() for p in small.parameters()) == 11_168_832  # CIFAR ResNet-18 without head


def test_encoder_refusals():
    with pytest.raises(TypeError, match="zero-argument factory.*lambda: Linear"):
        check_encoder(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="Did you mean 'convnet'"):
        check_encoder("convnett")
    with pytest.raises(ValueError, match="can't read samples"):
        output_dim(torch.nn.Linear(3, 2), (4,))
    with pytest.raises(ValueError, match=r"must map .* to \(b, d\)"):
        output_dim(torch.nn.Conv2d(1, 2, 1), (1, 4, 4))
    with pytest.raises(TypeError, match="not a torch module"):
        build_encoder(lambda: 3, (4,))
    with pytest.raises(ValueError, match="reads images"):
        build_encoder("convnet", (4,))


def test_parameter_refusals(data):
    for changes, message in [
        ({"batch_size": 31}, "larger than the smallest training set.*30 rows"),
        ({"epochs": 0}, "epochs must be a number above 0"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
        ({"precision": "fp16"}, "'fp32' or 'bf16'"),
        ({"device": "cuda:7"}, "absent|not supported"),
        ({"device": "gpu"}, "unknown"),
        ({"augmentation": "scarf"}, "does not suit images"),
        ({"augmentation": "digit"}, "Did you mean 'digits'"),
        ({"augmentation": lambda x: x[:1]}, "changed the batch size"),
        ({"augmentation": lambda x: x * np.nan}, "NaN"),
        ({"augmentation": lambda x: x[..., :4]}, "keep a sample's shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            trainer_of(data, 30, **changes)


def test_precision_follows_the_flags(monkeypatch):
    from sslmemo.training import precision

    monkeypatch.setattr(precision, "has_fast_bf16", lambda: True)
    assert resolve_precision("auto", "cpu") == "bf16"
    monkeypatch.setattr(precision, "has_fast_bf16", lambda: False)
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("auto", "cuda:0") == "bf16"
    assert resolve_device("cpu") == "cpu"
    with autocast("bf16", "cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_bf16_trains(data):
    trainer = trainer_of(data, 30, precision="bf16")
    model = next(trainer.fit_many(data, np.arange(120)[None] < 30, [0]))[1][0]
    assert model.embed(data.rows(np.arange(4))).dtype == torch.float32


@pytest.mark.parametrize("name", ["simclr", "digits", "weak", "strong"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 40, 40), (1, 8, 8)])
def test_image_presets_draw_per_image_and_stay_in_range(name, shape):
    data = as_data(np.random.default_rng(0).random((6, *shape)))
    augmentation = build_augmentation(name, data)
    x = data.rows([0]).repeat(6, 1, 1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        views = augmentation(x)
    assert views.shape == x.shape
    assert views.min() >= 0
    assert views.max() <= 1
    distinct = {v.numpy().tobytes() for v in views}
    assert len(distinct) >= 3  # crops of 8 px are whole pixels in older kornia, and may coincide


def test_feature_corruption_draws_from_the_columns_own_values(table):
    data = as_data(table)
    augmentation = build_augmentation("scarf", data)
    x = data.rows(np.arange(60))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        views = torch.stack([augmentation(x) for _ in range(50)])
    for column in range(5):
        assert set(views[..., column].flatten().tolist()) <= set(x[:, column].tolist())
    assert float((views != x).float().mean()) == pytest.approx(0.3, abs=0.02)


def test_the_protocols_hold(data):
    from sslmemo.measurements import Alignment, Quality

    trainer = trainer_of(data, 30)
    assert isinstance(trainer, Trainer)
    assert isinstance(Quality(), Measurement)
    assert isinstance(Alignment(lambda x: x), Measurement)
    assert isinstance(next(trainer.fit_many(data, np.arange(120)[None] < 30, [0]))[1][0], Model)


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_norms_of_the_mlp(data, norm):
    from functools import partial

    from sslmemo.encoders.mlp import mlp

    module = mlp((1, 8, 8), norm=norm)
    kinds = [type(m).__name__ for m in module]
    assert kinds.count("BatchNorm1d") == (2 if norm == "batch" else 0)
    assert kinds.count("LayerNorm") == (2 if norm == "layer" else 0)
    assert (module[1].bias is None) == (norm != "none")
    trainer = trainer_of(data, 60, encoder=partial(mlp, (1, 8, 8), norm=norm))
    model = next(trainer.fit_many(data, np.arange(120)[None] < 60, [0]))[1][0]
    assert torch.isfinite(model.embed(data.rows(np.arange(4)))).all()
    with pytest.raises(ValueError, match="norm"):
        mlp((3,), norm="group")
