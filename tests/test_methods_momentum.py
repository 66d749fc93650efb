"""MoCo, BYOL, SimSiam: losses against literal transcriptions; queue, momentum, stopped gradients."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sslmemo.methods import BYOL, MoCo, SimSiam
from sslmemo.methods.byol import byol_loss, momentum_at
from sslmemo.methods.moco import enqueued, info_nce
from sslmemo.methods.simsiam import simsiam_loss


def unit(x):
    return x / np.linalg.norm(x)


def naive_info_nce(query, key, queue, temperature):
    """Equation 1 of the MoCo paper, term by term; queue 1 to k are negatives, key the positive."""
    b = len(query) // 2
    losses = np.zeros(b)
    for i in range(2 * b):
        q, positive = unit(query[i]), unit(key[(i + b) % (2 * b)])
        above = np.exp(q @ positive / temperature)
        below = above + sum(np.exp(q @ negative / temperature) for negative in queue)
        losses[i % b] += -np.log(above / below) / 2
    return losses


def naive_byol(prediction, target):
    """Equation 2 of the BYOL paper and its swap: squared distances of unit vectors."""
    b = len(prediction) // 2
    return np.array(
        [
            np.sum((unit(prediction[i]) - unit(target[i + b])) ** 2)
            + np.sum((unit(prediction[i + b]) - unit(target[i])) ** 2)
            for i in range(b)
        ]
    )


def naive_simsiam(prediction, projection):
    """Algorithm 1 of the SimSiam paper: D(p1, z2) / 2 + D(p2, z1) / 2."""
    b = len(prediction) // 2
    return np.array(
        [
            -unit(prediction[i]) @ unit(projection[i + b]) / 2
            - unit(prediction[i + b]) @ unit(projection[i]) / 2
            for i in range(b)
        ]
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pair(rng):
    """Two arrays (2b, d) for 5 samples."""
    return rng.standard_normal((2, 10, 6))


@pytest.fixture
def queue(rng):
    return np.stack([unit(row) for row in rng.standard_normal((7, 6))])


def swapped(x):
    """The same samples with the two views exchanged."""
    return torch.tensor(np.concatenate([x[5:], x[:5]]))


def networks(kind, **parameters):
    """The module of a method on a small encoder with BatchNorm, its weights from a fixed seed."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    return kind(hidden_dim=5, projection_dim=6, **parameters).build(encoder, 3).double()


# losses


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_info_nce_equals_the_papers_equation(pair, queue, temperature):
    got = info_nce(*map(torch.tensor, (*pair, queue)), temperature).numpy()
    np.testing.assert_allclose(got, naive_info_nce(*pair, queue, temperature), rtol=1e-10)


def test_info_nce_of_orthogonal_keys_is_the_log_of_their_number():
    eye = torch.eye(12, dtype=torch.float64)
    per_row = info_nce(eye[:4], eye[4:8], eye[8:11], 0.3)
    np.testing.assert_allclose(per_row.numpy(), math.log(4), rtol=1e-12)


def test_info_nce_is_0_to_rounding_where_only_the_positive_agrees():
    q = torch.eye(4, dtype=torch.float64).repeat(2, 1)
    assert info_nce(q, q, -torch.ones_like(q) / 2, 0.01).max() < 1e-12


def test_byol_loss_equals_the_papers_equation(pair):
    got = byol_loss(*map(torch.tensor, pair)).numpy()
    np.testing.assert_allclose(got, naive_byol(*pair), rtol=1e-10)


def test_simsiam_loss_equals_the_papers_algorithm(pair):
    got = simsiam_loss(*map(torch.tensor, pair)).numpy()
    np.testing.assert_allclose(got, naive_simsiam(*pair), rtol=1e-10)


def test_losses_of_equal_and_of_opposite_views():
    z = torch.randn(5, 6, dtype=torch.float64).repeat(2, 1)
    np.testing.assert_allclose(byol_loss(3 * z, z).numpy(), 0, atol=1e-14)
    np.testing.assert_allclose(byol_loss(-z, z).numpy(), 8, rtol=1e-12)
    np.testing.assert_allclose(simsiam_loss(3 * z, z).numpy(), -1, rtol=1e-12)
    np.testing.assert_allclose(simsiam_loss(-z, z).numpy(), 1, rtol=1e-12)


def test_losses_are_symmetric_in_the_views(pair, queue):
    a, b, q = map(torch.tensor, (*pair, queue))
    s, t = map(swapped, pair)
    np.testing.assert_allclose(info_nce(a, b, q, 0.2), info_nce(s, t, q, 0.2), rtol=1e-12)
    np.testing.assert_allclose(byol_loss(a, b), byol_loss(s, t), rtol=1e-12)
    np.testing.assert_allclose(simsiam_loss(a, b), simsiam_loss(s, t), rtol=1e-12)


def test_gradients(pair, queue):
    online = torch.tensor(pair[0], requires_grad=True)
    other, negatives = torch.tensor(pair[1]), torch.tensor(queue)
    assert torch.autograd.gradcheck(lambda q: info_nce(q, other, negatives, 0.3), (online,))
    assert torch.autograd.gradcheck(lambda p: byol_loss(p, other), (online,))
    assert torch.autograd.gradcheck(lambda p: simsiam_loss(p, other), (online,))


# stopped gradients


@pytest.mark.parametrize(
    "loss", [byol_loss, simsiam_loss, lambda q, k: info_nce(q, k, torch.eye(6).double(), 0.2)]
)
def test_no_gradient_reaches_the_other_side(pair, loss):
    online, other = (torch.tensor(x, requires_grad=True) for x in pair)
    loss(online, other).sum().backward()
    assert online.grad.abs().max() > 0
    assert other.grad is None


def test_simsiam_without_its_stopped_gradient_would_descend_elsewhere(pair):
    z, head = pair[0], pair[1][:6]
    leaf = torch.tensor(z, requires_grad=True)
    simsiam_loss(leaf @ torch.tensor(head), leaf).mean().backward()

    def numeric(f, step=1e-6):
        slope = np.zeros_like(z)
        for i in np.ndindex(z.shape):
            up, down = z.copy(), z.copy()
            up[i], down[i] = z[i] + step, z[i] - step
            slope[i] = (f(up).mean() - f(down).mean()) / (2 * step)
        return slope

    stopped = numeric(lambda x: naive_simsiam(x @ head, z))
    through = numeric(lambda x: naive_simsiam(x @ head, x))
    np.testing.assert_allclose(leaf.grad.numpy(), stopped, atol=1e-8)
    assert np.abs(stopped - through).max() > 1e-2


@pytest.mark.parametrize("kind", [MoCo, BYOL])
def test_the_slow_copy_starts_equal_and_the_optimizer_leaves_it_alone(kind):
    module = networks(kind).train()
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    slow = [n for n in before if n.startswith("slow.")]
    assert {n.removeprefix("slow.") for n in slow} == {
        n for n in before if n.startswith(("encoder.", "projector."))
    }
    for name in slow:
        assert torch.equal(before[name], before[name.removeprefix("slow.")])
    optimizer = torch.optim.AdamW(module.parameters(), 1e-2, weight_decay=0.5)
    module(torch.randn(2, 16, 4, dtype=torch.float64), {}, 0.0)[0].backward()
    optimizer.step()
    for name, parameter in module.named_parameters():
        assert (parameter.grad is None) == name.startswith("slow.")
        assert torch.equal(parameter, before[name]) == name.startswith("slow.")


# momentum


def test_byols_momentum_rises_along_a_cosine():
    assert momentum_at(0.0, 0.9) == pytest.approx(0.9)
    assert momentum_at(0.5, 0.9) == pytest.approx(0.95)
    assert momentum_at(1.0, 0.9) == pytest.approx(1.0)
    assert momentum_at(0.25, 0.0) == pytest.approx(1 - (1 + math.sqrt(0.5)) / 2)


@pytest.mark.parametrize(
    ("method", "momenta"),
    [(MoCo(momentum=0.7), (0.7, 0.7)), (BYOL(tau_base=0.8), (0.8, 0.9))],
)
@pytest.mark.parametrize("lead", [(), (3,)])
def test_two_moves_of_the_slow_copy_by_hand(rng, method, momenta, lead):
    """At progress 0 and 1/2, of one encoder and of a stack of three."""
    names = ["encoder.weight", "slow.encoder.weight", "projector.0.bias", "slow.projector.0.bias"]
    values = {n: rng.standard_normal((*lead, 2, 3)) for n in [*names, "predictor.0.bias"]}
    parameters = {n: torch.tensor(v) for n, v in values.items()}
    buffers = {"slow.encoder.running_mean": torch.zeros(3)}
    for progress, momentum in zip((0.0, 0.5), momenta, strict=True):
        with torch.no_grad():
            parameters["encoder.weight"] += 1  # a step of the optimizer
            values["encoder.weight"] = values["encoder.weight"] + 1
            method.after_step(parameters, buffers, progress)
        for name in ("encoder.weight", "projector.0.bias"):
            old = values["slow." + name]
            values["slow." + name] = momentum * old + (1 - momentum) * values[name]
        for name, value in values.items():
            np.testing.assert_allclose(parameters[name].numpy(), value, rtol=1e-12, err_msg=name)
    assert not buffers["slow.encoder.running_mean"].any()


@pytest.mark.parametrize("kind", [MoCo, BYOL])
def test_the_slow_copys_batchnorm_uses_the_batch(kind):
    module = networks(kind).train()
    views = torch.randn(2, 16, 4, dtype=torch.float64)
    module(views, {}, 0.0)
    hidden = module.slow.encoder[0](views.flatten(0, 1))
    norm = module.slow.encoder[1]
    assert norm.num_batches_tracked == 1
    np.testing.assert_allclose(norm.running_mean, 0.1 * hidden.mean(0).detach(), rtol=1e-10)


# queue


@pytest.mark.parametrize("size", [20, 7, 3])
def test_the_queue_over_several_steps(size):
    """Newest first; each step's loss reads the queue that the steps before left."""
    module = networks(MoCo, queue_size=size).train()
    expected = [row.numpy().copy() for row in module.queue]
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-6)
    for step in range(4):
        views = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(step)).double()
        with torch.no_grad():
            keys = module.slow(views.flatten(0, 1)).numpy()
            queries = module.projector(module.encoder(views.flatten(0, 1))).numpy()
        _, per_row, _ = module(views, {}, 0.0)
        np.testing.assert_allclose(
            per_row.detach(), naive_info_nce(queries, keys, expected, 0.2), rtol=1e-9
        )
        expected = ([unit(k) for k in keys] + expected)[:size]
        np.testing.assert_allclose(module.queue.numpy(), expected, rtol=1e-9)


def test_enqueued_keeps_what_it_was_given(queue):
    before = torch.tensor(queue)
    after = enqueued(before, torch.ones(2, 6, dtype=torch.float64))
    assert torch.equal(before, torch.tensor(queue))
    np.testing.assert_allclose(after[:2].numpy(), 1 / math.sqrt(6))
    assert torch.equal(after[2:], before[:5])


# precision and parameters


@pytest.mark.parametrize(
    "loss",
    [
        byol_loss,
        simsiam_loss,
        lambda q, k: info_nce(q, k, torch.eye(6), 0.2),
        lambda q, k: enqueued(q, k),
    ],
)
def test_half_precision_is_computed_in_float32(pair, loss):
    half = [torch.tensor(x).bfloat16() for x in pair]
    expected = loss(*(x.float() for x in half))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        alone = loss(*half)
        stacked = torch.vmap(loss)(*(x.expand(2, -1, -1) for x in half))
    assert alone.dtype == stacked.dtype == torch.float32
    assert torch.equal(alone, expected)
    np.testing.assert_allclose(stacked, expected.expand_as(stacked), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (MoCo(temperature=0), "temperature must be a number above 0, got 0"),
        (MoCo(momentum=1.5), "momentum must be a number of at least 0 and at most 1, got 1.5"),
        (MoCo(queue_size=0), "queue_size must be an int of at least 1, got 0"),
        (MoCo(hidden_dim=-1), "hidden_dim must be an int of at least 1, got -1"),
        (MoCo(projection_dim=0), "projection_dim must be an int of at least 1, got 0"),
        (BYOL(tau_base=-0.1), "tau_base must be a number of at least 0 and at most 1, got -0.1"),
        (BYOL(hidden_dim=0), "hidden_dim must be an int of at least 1, got 0"),
        (BYOL(projection_dim=0), "projection_dim must be an int of at least 1, got 0"),
        (SimSiam(projection_dim=0), "projection_dim must be an int of at least 1, got 0"),
        (SimSiam(prediction_dim=0), "prediction_dim must be an int of at least 1, got 0"),
    ],
)
def test_wrong_parameters_are_refused(method, message):
    with pytest.raises(ValueError, match=message):
        method.build(nn.Identity(), 4)
