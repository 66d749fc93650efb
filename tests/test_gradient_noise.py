"""Noisy clipped training: against a literal transcription, and that nothing changes without it."""

import functools
import math

import numpy as np
import pytest
import torch
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate
from scipy import stats
from sklearn.base import clone
from test_docstrings import IGNORED
from test_stacked import Doubled, DoubledStack, trainer_of

from sslmemo import MemorizationEstimator, MemorizationProxy, SSLEncoder
from sslmemo.data import as_data
from sslmemo.persistence import estimator_of
from sslmemo.protocols import TrainingError
from sslmemo.training.noise import GradientNoise, check_gradient_noise
from sslmemo.training.ssl import SSLTrainer
from sslmemo.training.stacked import StackedTrainer

KINDS = pytest.mark.parametrize("kind", [SSLTrainer, StackedTrainer], ids=["single", "stacked"])
SHAPES = [(64, 30), (64,), (), (8, 3, 2, 2), (20_000,)]


@pytest.fixture(scope="module")
def data(digits):
    return as_data(digits[0][:60])


@pytest.fixture(scope="module")
def member():
    return np.random.default_rng(0).random((3, 60)).argsort(1) < 30


def gradients_of(sizes, k=3, dtype=torch.float64):
    """Gradients (k, ...) of a few parameters; those of encoder j have norm sizes[j]."""
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal((k, *shape)) for shape in SHAPES]
    for j, size in enumerate(sizes):
        norm = math.sqrt(sum(float((g[j] ** 2).sum()) for g in drawn))
        for g in drawn:
            g[j] *= size / norm
    return [torch.tensor(g, dtype=dtype) for g in drawn]


def clipped_by_hand(gradients, clip):
    """Algorithm 1's clipping, number by number, on the gradient of a batch."""
    clipped = [np.asarray(g).copy() for g in gradients]
    for j in range(len(clipped[0])):
        total = 0.0
        for g in clipped:
            for value in g[j].ravel():
                total += value * value
        for g in clipped:
            g[j] = g[j] / max(1.0, math.sqrt(total) / clip)
    return clipped


def state_of(trainer, data, member, seeds):
    return [m.state() for m in next(trainer.fit_many(data, member, seeds))[1]]


def same(a, b):
    return all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("clip", [0.5, 2.0])
def test_each_encoder_is_clipped_by_its_own_norm(clip):
    gradients = gradients_of([0.1, 1.0, 70.0])
    expected = clipped_by_hand(gradients, clip)
    norm = GradientNoise(clip, 0.0).perturb_(gradients, [1, 2, 3], 0, 10)
    np.testing.assert_allclose(norm.numpy(), [0.1, 1.0, 70.0])
    for found, by_hand in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-12)
    after = np.sqrt(sum((g.numpy() ** 2).reshape(3, -1).sum(1) for g in gradients))
    np.testing.assert_allclose(after, np.minimum([0.1, 1.0, 70.0], clip))


def test_the_noise_is_gaussian_with_the_stated_variance():
    noise = GradientNoise(clip=0.7, multiplier=1.5)
    std, drawn = 1.5 * 0.7 / 32, {}
    for step in range(2):
        gradients = gradients_of([0.1, 1.0, 70.0])
        expected = clipped_by_hand(gradients, 0.7)
        noise.perturb_(gradients, [1, 2, 1], step, 32)
        added = [g.numpy() - e for g, e in zip(gradients, expected, strict=True)]
        for part in added[:2] + added[3:]:  # every parameter gets its share
            assert part.std() == pytest.approx(std, rel=5 / math.sqrt(2 * part.size))
        assert (added[2] != 0).all()
        whole = np.concatenate([a.reshape(3, -1) for a in added], axis=1)  # (3, P)
        for one in whole:
            assert stats.kstest(one / std, "norm").pvalue > 1e-3
            n = len(one)
            assert abs(one.mean()) < 4 * std / math.sqrt(n)
            low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], n) / n
            assert low < np.mean((one / std) ** 2) < high
        np.testing.assert_allclose(whole[2], whole[0], atol=1e-7)  # of one seed
        drawn |= {(step, seed): whole[j] for j, seed in enumerate([1, 2])}
    independent = np.corrcoef(list(drawn.values()))
    assert np.abs(independent[~np.eye(4, dtype=bool)]).max() < 5 / math.sqrt(whole.shape[1])


def test_the_global_generator_is_left_alone_and_draws_repeat():
    before, results = torch.get_rng_state(), []
    for _ in range(2):
        gradients = gradients_of([1.0, 1.0, 1.0], dtype=torch.float32)
        GradientNoise().perturb_(gradients, [5, 6, 7], 3, 10)
        results.append(gradients)
        torch.rand(3)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    torch.set_rng_state(before)
    GradientNoise().perturb_(gradients, [5, 6, 7], 4, 10)
    assert torch.equal(before, torch.get_rng_state())


class OneStep:
    """Plain gradient descent at rate 1, so that the weights tell the gradient the optimizer saw."""

    def _optimizer(self, parameters):
        optimizer = torch.optim.SGD(parameters, 1.0)
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


class OneStepAlone(OneStep, Doubled):
    """One at a time."""


class OneStepStacked(OneStep, DoubledStack):
    """Side by side."""


@pytest.mark.parametrize("kind", [OneStepAlone, OneStepStacked])
@pytest.mark.parametrize("method", ["simclr", "byol"])
def test_the_optimizer_sees_the_clipped_gradient_with_noise(data, member, kind, method):
    def gradient(noise):
        options = {"limit": 3} if kind is OneStepStacked else {}
        trainer = trainer_of(kind, data, method, "mlp", steps=1, gradient_noise=noise, **options)
        found = state_of(trainer, data, member, [5, 6, 7])
        start = [trainer.build(seed) for seed in (5, 6, 7)]
        return [
            {k: p.detach().numpy() - a[k] for k, p in m.named_parameters() if p.requires_grad}
            for m, a in zip(start, found, strict=True)
        ]

    clip, multiplier = 0.05, 2.0
    plain = gradient(None)
    stacked = [np.stack([g[k] for g in plain]) for k in plain[0]]
    norms = np.sqrt(sum((g**2).reshape(3, -1).sum(1) for g in stacked))
    assert (norms > 2 * clip).all()
    by_hand = clipped_by_hand(stacked, clip)
    clipped = gradient(GradientNoise(clip, 0.0))
    noisy = gradient(GradientNoise(clip, multiplier))
    for name, expected in zip(plain[0], by_hand, strict=True):
        found = np.stack([g[name] for g in clipped])
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    added = np.concatenate([(noisy[0][k] - clipped[0][k]).ravel() for k in plain[0]])
    std = multiplier * clip / 12  # rows a step
    assert added.std() == pytest.approx(std, rel=5 / math.sqrt(2 * added.size))
    assert abs(added.mean()) < 5 * std / math.sqrt(added.size)


@KINDS
def test_no_noise_and_a_huge_clip_is_the_plain_training_bitwise(data, member, kind):
    options = {"limit": 3} if kind is StackedTrainer else {}

    def states(noise):
        trainer = trainer_of(kind, data, "simclr", "mlp", gradient_noise=noise, **options)
        return state_of(trainer, data, member, [5, 6, 7])

    plain = states(None)
    assert all(map(same, plain, states(GradientNoise(clip=1e30, multiplier=0.0))))
    noisy = states(GradientNoise())
    assert all(map(same, noisy, states(GradientNoise())))
    assert not any(map(same, plain, noisy))
    assert not any(map(same, plain, states(GradientNoise(clip=1e-3, multiplier=0.0))))


@pytest.mark.parametrize(
    ("method", "encoder"),
    [("simclr", "mlp"), ("simclr", "convnet"), ("byol", "mlp"), ("swav", "mlp"), ("dino", "mlp"),
     ("mae", "vit_tiny")],
)  # fmt: skip
def test_stacked_equals_one_at_a_time(data, member, method, encoder):
    seeds, noise = [5, 5, 9], GradientNoise(clip=0.3, multiplier=0.5)
    steps = 3 if encoder == "vit_tiny" else 20
    made = functools.partial(trainer_of, steps=steps, gradient_noise=noise)
    ones = state_of(made(Doubled, data, method, encoder), data, member, seeds)
    stacked = made(DoubledStack, data, method, encoder, limit=3)
    for a, b in zip(ones, state_of(stacked, data, member, seeds), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(b[name], a[name], rtol=0, atol=1e-8, err_msg=name)


class NoSlope(torch.nn.Module):
    """An encoder of finite values; the gradient of its last parameter is NaN at 0."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(64, 8)
        self.bias = torch.nn.Parameter(torch.zeros(8))

    def forward(self, x):
        return self.linear(x.flatten(1)) + self.bias.square().sqrt()


@KINDS
def test_a_gradient_that_is_not_finite_is_a_divergence_even_in_the_last_step(data, member, kind):
    options = {"limit": 3} if kind is StackedTrainer else {}
    trainer = trainer_of(
        kind, data, "simclr", NoSlope, steps=1, gradient_noise=GradientNoise(), **options
    )
    said = "seed 5 diverged .loss or gradient not finite by step 1 of 1.: lower learning_rate"
    with pytest.raises(TrainingError, match=said):
        state_of(trainer, data, member, [5, 6, 7])


def test_what_clipping_would_hide_is_told_by_the_norm():
    for worst in (np.inf, np.nan, 1e30):  # the square of the last one overflows
        gradients = gradients_of([1.0, 1.0, 1.0], dtype=torch.float32)
        gradients[3][1, 0, 0, 0, 0] = worst
        norm = GradientNoise().perturb_(gradients, [1, 2, 3], 0, 10)
        assert torch.isfinite(norm).tolist() == [True, False, True]


def test_a_divergence_names_its_seed(data, member):
    trainer = trainer_of(
        SSLTrainer, data, "simclr", "mlp", learning_rate=1e30, gradient_noise=GradientNoise()
    )
    with pytest.raises(TrainingError, match="seed 8 diverged"):
        state_of(trainer, data, member[:1], [8])


def test_config_and_keys_of_stored_blocks_change_only_with_noise(data, tiny, digits, tmp_path):
    plain = trainer_of(SSLTrainer, data, "simclr", "mlp").config()
    assert list(plain) == [
        "trainer", "method", "encoder", "augmentation", "shape", "steps", "batch_size",
        "learning_rate", "weight_decay", "device", "precision", "bank",
    ]  # fmt: skip
    noisy = trainer_of(SSLTrainer, data, "simclr", "mlp", gradient_noise=GradientNoise()).config()
    assert {k: v for k, v in noisy.items() if k != "gradient_noise"} == plain
    name, parameters = noisy["gradient_noise"]
    assert name == "sslmemo.training.noise.GradientNoise"
    assert parameters == {"clip": 1.0, "multiplier": 1.0}

    def blocks(noise):
        tiny(gradient_noise=noise, memory=tmp_path).fit(digits[0])
        return set(tmp_path.rglob("*.block"))

    first = blocks(None)
    assert blocks(None) == first
    second = blocks(GradientNoise(clip=1, multiplier=2))
    assert len(second) == 2 * len(first)
    assert blocks(GradientNoise(clip=1.0, multiplier=2.0)) == second
    assert len(blocks(GradientNoise(clip=1.0, multiplier=2.5))) == 3 * len(first)


def test_scores_repeat_for_any_number_of_jobs(tiny, digits):
    noise = GradientNoise()
    first = tiny(gradient_noise=noise).fit(digits[0])
    again = tiny(gradient_noise=noise, n_jobs=2).fit(digits[0])
    np.testing.assert_array_equal(first.memorization_scores_, again.memorization_scores_)
    plain = tiny().fit(digits[0])
    assert (plain.memorization_scores_ != first.memorization_scores_).any()
    assert (plain.transform(digits[0]) != first.transform(digits[0])).any()  # encoder_ has it too


def test_a_warm_start_does_not_mix_noise_and_none(tiny, digits):
    est = tiny(gradient_noise=GradientNoise(), warm_start=True).fit(digits[0])
    est.set_params(n_encoders=8).fit(digits[0])
    whole = tiny(gradient_noise=GradientNoise(), n_encoders=8).fit(digits[0])
    np.testing.assert_array_equal(est.memorization_scores_, whole.memorization_scores_)
    with pytest.raises(ValueError, match="the recipe differs"):
        est.set_params(gradient_noise=None, n_encoders=12).fit(digits[0])
    with pytest.raises(ValueError, match="the recipe differs"):
        est.set_params(gradient_noise=GradientNoise(2.0)).fit(digits[0])


@pytest.mark.parametrize("kind", [MemorizationEstimator, MemorizationProxy, SSLEncoder])
def test_it_is_a_parameter_like_any_other(kind):
    est = kind(gradient_noise=GradientNoise(clip=0.5))
    assert "gradient_noise=GradientNoise(clip=0.5)" in repr(est)
    copy = clone(est).set_params(gradient_noise__multiplier=3.0)
    assert copy.gradient_noise.get_params() == {"clip": 0.5, "multiplier": 3.0}
    assert est.gradient_noise.multiplier == 1.0


def test_a_proxy_trains_with_it(digits):
    def scores(**params):
        proxy = MemorizationProxy("alignment", encoder="mlp", epochs=3, random_state=0, **params)
        return proxy.fit(digits[0]).proxy_scores_

    assert (scores() != scores(gradient_noise=GradientNoise())).any()


def test_saved_fits_keep_it(tiny, digits, tmp_path):
    X, path = digits[0], tmp_path / "saved"
    est = tiny(gradient_noise=GradientNoise(0.5, 2), keep_encoders=True).fit(X[:60])
    est.save(path)
    loaded = MemorizationEstimator.load(path)
    assert loaded.gradient_noise.get_params() == {"clip": 0.5, "multiplier": 2}
    assert loaded.encoder_.gradient_noise.get_params() == {"clip": 0.5, "multiplier": 2}
    assert loaded._fitted_trainer.config() == est._fitted_trainer.config()
    np.testing.assert_array_equal(loaded.alignment(X[60:]), est.alignment(X[60:]))
    loaded.save(path)
    for changed in (None, GradientNoise(0.5, 1)):
        with pytest.raises(ValueError, match="^gradient_noise changed since fit"):
            loaded.set_params(gradient_noise=changed).save(path)
    est.set_params(gradient_noise__multiplier=9)  # in place, in the object given
    with pytest.raises(ValueError, match="^gradient_noise changed since fit"):
        est.save(path)
    encoder = SSLEncoder(epochs=1, random_state=0, gradient_noise=GradientNoise()).fit(X)
    encoder.save(path)
    loaded = SSLEncoder.load(path)
    assert loaded.gradient_noise.get_params() == {"clip": 1.0, "multiplier": 1.0}
    np.testing.assert_array_equal(loaded.transform(X), encoder.transform(X))


def test_a_file_from_before_it_is_read_as_without():
    parameters = SSLEncoder(epochs=3).get_params(deep=False)
    del parameters["gradient_noise"]
    content = {"parameters": parameters, "foreign": {}, "fitted": {}}
    assert estimator_of(SSLEncoder, content, {}).gradient_noise is None


class Louder(GradientNoise):
    """A class of the user's own."""


def test_a_class_of_ones_own_is_given_again_on_load(tiny, digits, tmp_path):
    est = tiny(gradient_noise=Louder(multiplier=2.0)).fit(digits[0])
    assert est._fitted_trainer.config()["gradient_noise"][0].endswith("Louder")
    est.save(tmp_path / "saved")
    with pytest.raises(ValueError, match="gradient_noise= could not be stored without pickle"):
        MemorizationEstimator.load(tmp_path / "saved")
    loaded = MemorizationEstimator.load(tmp_path / "saved", gradient_noise=Louder(multiplier=2.0))
    np.testing.assert_array_equal(loaded.transform(digits[0]), est.transform(digits[0]))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1.0, TypeError, r"gradient_noise must be None or .*GradientNoise\(clip.*got 1.0"),
        ("auto", TypeError, "gradient_noise must be None"),
        (GradientNoise, TypeError, "gradient_noise must be None"),
        (GradientNoise(clip=0), ValueError, "clip of gradient_noise must be a number above 0"),
        (GradientNoise(clip=np.inf), ValueError, "clip of gradient_noise must be .* finite"),
        (GradientNoise(clip="1"), TypeError, "clip of gradient_noise must be a number"),
        (GradientNoise(multiplier=-0.1), ValueError, "multiplier of gradient_noise must be .*at least 0"),
        (GradientNoise(multiplier=np.nan), ValueError, "multiplier of gradient_noise must be"),
        (GradientNoise(multiplier=None), TypeError, "multiplier of gradient_noise must be"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [MemorizationEstimator, MemorizationProxy, SSLEncoder])
def test_a_bad_value_is_refused_before_any_training(
    digits, monkeypatch, kind, value, error, message
):
    monkeypatch.setattr(SSLTrainer, "_fit_one", None)
    with pytest.raises(error, match=message):
        kind(gradient_noise=value).fit(digits[0])


def test_what_the_trainer_gets_is_a_copy():
    given = GradientNoise(clip=1, multiplier=np.float32(0.5))
    checked = check_gradient_noise(given)
    assert checked is not given
    assert checked.get_params() == {"clip": 1.0, "multiplier": 0.5}
    assert type(checked.multiplier) is float
    assert check_gradient_noise(None) is None


def test_noise_lowers_mean_memorization(digits):
    """Seeds 0 to 2 gave .011, .015, .012 without and .001, .000, .001 with noise."""

    def mean_score(noise):
        est = MemorizationEstimator(
            encoder="mlp", n_encoders=8, epochs=10, gradient_noise=noise, random_state=0,
            precision="fp32", verbose=0,
        )  # fmt: skip
        return est.fit(digits[0]).result_.scores.blocks.mean()

    plain, noisy = mean_score(None), mean_score(GradientNoise(clip=1.0, multiplier=3.0))
    assert plain > 0.005
    assert noisy < plain / 3


@pytest.mark.parametrize(
    "thing", ["GradientNoise", "GradientNoise.check", "GradientNoise.perturb_"]
)
def test_docstrings_follow_numpydoc(thing):
    report = validate(get_doc_object(functools.reduce(getattr, thing.split("."), noise_module())))
    assert not [e for e in report["errors"] if e[0] not in IGNORED]
    assert "no privacy guarantee" in MemorizationEstimator.__doc__
    assert "no epsilon" in " ".join(GradientNoise.__doc__.split())


def noise_module():
    from sslmemo.training import noise

    return noise
