"""The metagradient against finite differences of a plain loop, and its estimate against the exact."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sslmemo.augmentations.views import Views
from sslmemo.data import as_data
from sslmemo.measurements.gradients import squared_alignment
from sslmemo.measurements.metagradient import (
    Metagradient,
    _embedded,
    continued,
    own_derivatives,
)
from sslmemo.measurements.unlearning import groups_of
from sslmemo.methods import SimCLR, VICReg
from sslmemo.methods.simclr import nt_xent
from sslmemo.randomness import derive_seed, generator
from sslmemo.training.model import TorchModel
from sslmemo.training.ssl import SSLTrainer

N_VIEWS, N_STEPS, LENGTH = 3, 5, 0.02


def noise(x):
    return x + 0.5 * torch.randn_like(x)


def smooth():
    """A small smooth encoder with a frozen layer and BatchNorm."""
    frozen = nn.Linear(5, 6)
    frozen.requires_grad_(False)
    return nn.Sequential(frozen, nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4))


@pytest.fixture(scope="module")
def trainer():
    return trainer_of(SimCLR(projection_dim=3))


def trainer_of(method, encoder=smooth):
    return SSLTrainer(method, encoder, noise, (5,), steps=20, batch_size=6, learning_rate=1e-2)


@pytest.fixture(scope="module")
def data():
    return as_data(np.random.default_rng(0).standard_normal((12, 5)))


@pytest.fixture(scope="module")
def model(trainer, data):
    ((_, (found,)),) = trainer.fit_many(data, np.ones((1, 12), bool), [3])
    return found


def plain_alignments(model, x, weight, seed, first, layer):
    """Alignment (b,) after SGD with momentum and clipping on the weighted loss, by torch's own optimizer."""
    module = copy.deepcopy(model.module).train()
    trained = [p for p in module.parameters() if p.requires_grad]
    size = torch.cat([p.detach().flatten() for p in trained]).norm()
    optimizer = torch.optim.SGD(trained, float(LENGTH * size / first), 0.9)
    for step in range(N_STEPS):
        views = Views(noise).draw(x, 2, derive_seed(seed, "steps", step))
        z = module.projector(module.encoder(views.flatten(0, 1)))
        loss = (weight * nt_xent(z, 0.2)).sum() / len(x)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in trained]).norm()
        for p in trained:
            p.grad *= min(1.0, first / float(norm)) if step else 1.0
        optimizer.step()
    read = []
    for view in Views(noise).draw(x, N_VIEWS, derive_seed(seed, "views")):
        z = module.encoder(view)  # in training mode: statistics of the batch
        read.append(module.projector(z) if layer == "projector" else z)
    unit = [z / z.norm(dim=1, keepdim=True) for z in read]
    pairs = [(unit[i] - unit[j]).square().sum(1) for i in range(len(unit)) for j in range(i)]
    return (sum(pairs) / len(pairs)).detach()


def first_norm(model, x, seed):
    """Norm of the first gradient under equal weights."""
    module = copy.deepcopy(model.module).train()
    weights = [p for p in module.parameters() if p.requires_grad]
    views = Views(noise).draw(x, 2, derive_seed(seed, "steps", 0))
    loss = nt_xent(module.projector(module.encoder(views.flatten(0, 1))), 0.2).mean()
    return float(torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)]).norm())


@pytest.mark.parametrize("layer", ["encoder", "projector"])
def test_it_is_the_derivative_of_a_plain_training_loop(model, trainer, data, layer):
    double = TorchModel(copy.deepcopy(model.module).double())
    x, seed, h = data.rows(np.arange(12)).double(), 11, 1e-5
    weight = torch.ones(12, dtype=torch.float64, requires_grad=True)
    module, values = continued(double, x, weight, seed, trainer, N_STEPS, LENGTH)
    views = Views(noise).draw(x, N_VIEWS, derive_seed(seed, "views"))
    alignment = squared_alignment(_embedded(module, values, views, layer))
    found = own_derivatives(alignment, weight, 12, generator(0))

    first = first_norm(double, x, seed)
    one = torch.ones(12, dtype=torch.float64)
    torch.testing.assert_close(
        alignment.detach(), plain_alignments(double, x, one, seed, first, layer)
    )
    for i in range(12):
        up, down = one.clone(), one.clone()
        up[i] += h
        down[i] -= h
        rise = [plain_alignments(double, x, w, seed, first, layer)[i] for w in (up, down)]
        assert found[i] == pytest.approx(float(rise[0] - rise[1]) / (2 * h), rel=1e-5, abs=1e-9)


def toy(b=6):
    """Outputs that mix all weights, and the exact derivatives of all outputs in all weights."""
    rng = np.random.default_rng(1)
    mix = torch.from_numpy(rng.standard_normal((b, b)))
    weight = torch.ones(b, dtype=torch.float64, requires_grad=True)
    outputs = torch.sin(mix @ weight)
    return outputs, weight, (torch.cos(mix @ weight)[:, None] * mix).detach().numpy()


def test_random_signs_are_unbiased_and_as_noisy_as_said():
    outputs, weight, exact = toy()
    rng = np.random.default_rng(0)
    for n_passes in (1, 2, 3):
        drawn = np.array([own_derivatives(outputs, weight, n_passes, rng) for _ in range(3000)])
        error = drawn.std(0) / np.sqrt(len(drawn))
        assert np.all(np.abs(drawn.mean(0) - np.diag(exact)) < 5 * error)
        others = (np.square(exact).sum(0) - np.square(np.diag(exact))) / 5
        np.testing.assert_allclose(drawn.var(0), (6 - n_passes) / n_passes * others, rtol=0.2)


@pytest.mark.parametrize("n_passes", [6, 50])
def test_one_pass_a_row_is_exact(n_passes):
    outputs, weight, exact = toy()
    found = own_derivatives(outputs, weight, n_passes, np.random.default_rng(0))
    np.testing.assert_allclose(found, np.diag(exact), rtol=1e-12)


def test_the_measurement_reads_each_batch_for_itself(model, trainer, data):
    measure = Metagradient(trainer, N_STEPS, LENGTH, n_passes=6, batch_size=7, n_views=N_VIEWS)
    found = measure([model, model], data, None, 5)["metagradient"]
    assert found.shape == (2, 12)
    np.testing.assert_array_equal(found[0], found[1])
    batch = groups_of(12, 2, generator(5, "batches"))
    for b in range(2):
        rows, seed = np.flatnonzero(batch == b), derive_seed(5, "batch", b)
        x, weight = data.rows(rows), torch.ones(6, requires_grad=True)
        module, values = continued(model, x, weight, seed, trainer, N_STEPS, LENGTH)
        views = Views(noise).draw(x, N_VIEWS, derive_seed(seed, "views"))
        alignment = squared_alignment(_embedded(module, values, views, "encoder"))
        exact = [torch.autograd.grad(a, weight, retain_graph=True)[0] for a in alignment]
        np.testing.assert_allclose(found[0, rows], -torch.stack(exact).diag(), rtol=1e-3, atol=1e-6)


def test_a_rows_weight_pulls_its_own_views_together(model, trainer, data):
    found = Metagradient(trainer, 10, LENGTH, n_passes=12)([model], data, None, 5)["metagradient"]
    assert (found > 0).mean() > 0.7


@pytest.mark.parametrize("method", [SimCLR(projection_dim=3), VICReg(projection_dim=8)])
def test_a_model_stays_as_it_was(method, data):
    trainer = trainer_of(method)
    ((_, (model,)),) = trainer.fit_many(data, np.ones((1, 12), bool), [3])
    model.module.train()
    before, state = torch.get_rng_state(), model.state()
    first = Metagradient(trainer, n_steps=3, n_passes=4)([model], data, None, 3)["metagradient"]
    assert all(m.training for m in model.module.modules())
    after = model.state()
    assert all(np.array_equal(state[k], after[k]) for k in state)
    assert all(not w.grad_fn for w in model.module.parameters())
    with torch.no_grad():  # as a caller may have it
        again = Metagradient(trainer, n_steps=3, n_passes=4)([model], data, None, 3)
    np.testing.assert_array_equal(first, again["metagradient"])
    assert torch.equal(before, torch.get_rng_state())
    assert np.isfinite(first).all()
    assert first.std() > 0


def test_bad_parameters_are_refused(model, trainer, data):
    for bad, message in (
        ({"n_steps": 0}, "n_steps must be an int of at least 1"),
        ({"length": 0}, "length must be a number above 0"),
        ({"n_passes": 0}, "n_passes must be an int of at least 1"),
        ({"batch_size": 1}, "batch_size must be an int of at least 2"),
        ({"at": 0}, "at must be a number above 0 and at most 1"),
        ({"n_views": 1}, "n_views must be an int of at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            Metagradient(trainer, **bad)
    with pytest.raises(ValueError, match="needs 2 rows"):
        Metagradient(trainer)([model], data.take([0]), None, 0)
