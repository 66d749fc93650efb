"""Derivatives of a row's alignment against loops over rows: in weights, in inputs, and by unlearning."""

import numpy as np
import pytest
import torch
from torch import nn

from sslmemo._compat import check_at
from sslmemo.augmentations.views import Views
from sslmemo.data import as_data
from sslmemo.distances import sqeuclidean
from sslmemo.measurements import (
    GradientShare,
    InputCurvature,
    InputGradient,
    SelfInfluence,
    Unlearning,
)
from sslmemo.measurements.gradients import squared_alignment
from sslmemo.measurements.unlearning import groups_of, own_minus_others
from sslmemo.randomness import derive_seed
from sslmemo.training.model import TorchModel

N_VIEWS = 3


def noise(x):
    return x + 0.5 * torch.randn_like(x)


class Smooth(nn.Module):
    """A small smooth network with BatchNorm, a frozen layer and a projector."""

    def __init__(self):
        super().__init__()
        frozen = nn.Linear(5, 6)
        frozen.requires_grad_(False)
        self.encoder = nn.Sequential(frozen, nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4))
        self.projector = nn.Sequential(nn.Tanh(), nn.Linear(4, 3))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    module = Smooth()
    module.encoder(torch.randn(100, 5) * 2 + 1)  # statistics of their own
    return TorchModel(module)


@pytest.fixture(scope="module")
def data():
    return as_data(np.random.default_rng(0).standard_normal((12, 5)))


def views_of(data, seed=7):
    """All views (V, n, d), as a measurement of this seed draws them."""
    return torch.cat([v for _, v in Views(noise).of_rows(data, N_VIEWS, seed)], dim=1)


def literal_alignment(network, x):
    """Mean squared distance over all pairs of the views x (V, d) of one row."""
    z = network(x)
    z = z / z.norm(dim=1, keepdim=True)
    pairs = [(z[i] - z[j]).square().sum() for i in range(len(z)) for j in range(i)]
    return sum(pairs) / len(pairs)


def network_of(model, layer):
    model.module.eval()
    if layer == "encoder":
        return model.module.encoder
    return nn.Sequential(model.module.encoder, model.module.projector)


def literal_gradients(model, data, layer="encoder", seed=7):
    """Gradient of each row's alignment in the trained weights, flat: (n, p)."""
    network, found = network_of(model, layer), []
    for x in views_of(data, seed).unbind(1):
        weights = [w for w in network.parameters() if w.requires_grad]
        gradient = torch.autograd.grad(literal_alignment(network, x), weights)
        found.append(torch.cat([g.flatten() for g in gradient]))
    return torch.stack(found).double().numpy()


def test_squared_alignment_is_the_mean_over_pairs():
    z = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0))
    pairs = [sqeuclidean(z[i], z[j]) for i in range(5) for j in range(i)]
    torch.testing.assert_close(squared_alignment(z), torch.stack(pairs).mean(0))
    assert squared_alignment(z[:1].expand(4, 4, 3)).abs().max() < 1e-6


@pytest.mark.parametrize("layer", ["encoder", "projector"])
def test_self_influence_is_the_squared_norm_of_each_gradient(model, data, layer):
    found = SelfInfluence(noise, N_VIEWS, layer)([model], data, None, 7)["self_influence"]
    g = literal_gradients(model, data, layer)
    assert found.shape == (1, 12)
    np.testing.assert_allclose(found[0], np.square(g).sum(1), rtol=1e-4)


def test_gradient_share_is_what_others_get_over_the_own(model, data, monkeypatch):
    g = literal_gradients(model, data)
    expected = [g[i] @ np.delete(g, i, axis=0).mean(0) / (g[i] @ g[i]) for i in range(len(g))]
    whole = GradientShare(noise, N_VIEWS)([model], data, None, 7)["gradient_share"][0]
    np.testing.assert_allclose(whole, expected, rtol=1e-3, atol=1e-5)
    monkeypatch.setattr("sslmemo.measurements.gradients.HELD", 100)  # two rows at a time
    parts = GradientShare(noise, N_VIEWS)([model], data, None, 7)["gradient_share"][0]
    np.testing.assert_allclose(parts, whole, rtol=1e-3, atol=1e-5)


def test_rows_without_a_gradient_share_nothing(model, data):
    found = GradientShare(lambda x: x.clone(), 2)([model], data, None, 7)["gradient_share"]
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_input_gradient_is_that_of_all_views_of_a_row(model, data):
    found = InputGradient(noise, N_VIEWS)([model], data, None, 7)["input_gradient"][0]
    network = network_of(model, "encoder")
    for i, x in enumerate(views_of(data).unbind(1)):
        x = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(literal_alignment(network, x), x)
        assert found[i] == pytest.approx(float(g.norm()), rel=1e-4)


def test_input_curvature_is_the_trace_of_the_squared_hessian(model, data):
    found = InputCurvature(noise, N_VIEWS, n_probes=3000, step=1e-2)([model], data, None, 7)
    network = network_of(model, "encoder")
    for i, x in enumerate(views_of(data).unbind(1)):
        hessian = torch.autograd.functional.hessian(
            lambda flat, x=x: literal_alignment(network, flat.reshape(x.shape)), x.flatten()
        )
        # the signs' variance is at most 2 tr(H^4); 3,000 draws leave less than a tenth
        assert found["input_curvature"][0, i] == pytest.approx(
            float(hessian.square().sum()), rel=0.1
        )


def test_a_small_step_of_unlearning_is_a_product_of_gradients(model, data):
    """A step goes along the group's gradient, as far as asked; to first order a row rises by <step, g_i>."""
    measure = Unlearning(noise, n_groups=3, n_steps=1, length=1e-3, n_repeats=1, n_views=N_VIEWS)
    group = groups_of(12, 3, np.random.default_rng(0))
    trained = [w for w in network_of(model, "encoder").parameters() if w.requires_grad]
    start = torch.cat([w.detach().flatten() for w in trained]).double().numpy()
    moves = np.empty((3, len(start)))
    for k in range(3):
        rows = data.take(np.flatnonzero(group == k))
        own = literal_gradients(model, rows, seed=derive_seed(7, "ascent")).sum(0)
        pushed = measure._pushed(model, data, np.flatnonzero(group == k), 7).module.encoder
        after = [w.detach().flatten() for w in pushed.parameters() if w.requires_grad]
        moves[k] = torch.cat(after).double().numpy() - start
        expected = 1e-3 * np.linalg.norm(start) * own / np.linalg.norm(own)
        np.testing.assert_allclose(moves[k], expected, atol=1e-2 * np.abs(expected).max())
    rises = measure._rises(model, data, group, 7)
    expected = moves @ literal_gradients(model, data).T
    np.testing.assert_allclose(rises, expected, atol=0.05 * np.abs(expected).max())


def test_own_minus_others_by_hand():
    rises = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]])
    found = own_minus_others(rises, np.array([0, 1, 2]))
    np.testing.assert_allclose(found, [1 - 5.5, 5 - 5, 10 - 4.5])


def test_groups_are_even_and_random():
    group = groups_of(23, 5, np.random.default_rng(0))
    assert sorted(np.bincount(group)) == [4, 4, 5, 5, 5]
    assert len(np.unique(groups_of(3, 10, np.random.default_rng(0)))) == 3
    assert not np.array_equal(group, groups_of(23, 5, np.random.default_rng(1)))


@pytest.mark.parametrize(
    "kind", [SelfInfluence, GradientShare, InputGradient, InputCurvature, Unlearning]
)
def test_a_model_stays_as_it_was(model, data, kind):
    model.module.train()
    before = model.state()
    first = kind(noise, n_views=2)([model], data, None, 3)[kind.name]
    assert model.module.encoder[1].training
    after = model.state()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert all(w.grad is None for w in model.module.parameters())
    with torch.no_grad():  # as a caller may have it
        again = kind(noise, n_views=2)([model], data, None, 3)[kind.name]
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    assert first.std() > 0


def test_bad_parameters_are_refused():
    with pytest.raises(ValueError, match="n_views must be an int of at least 2"):
        SelfInfluence(noise, n_views=1)
    with pytest.raises(ValueError, match="step must be a number above 0"):
        InputCurvature(noise, step=0)
    with pytest.raises(ValueError, match="n_groups must be"):
        Unlearning(noise, n_groups=1)
    with pytest.raises(ValueError, match="ascending fractions"):
        check_at((0.5, 0.5))
    with pytest.raises(ValueError, match="at must be a number above 0 and at most 1"):
        check_at((0.0, 1.0))
    with pytest.raises(ValueError, match="ascending fractions"):
        check_at(())
    assert check_at(1) == (1.0,)
