"""The measurement against oracles: a naive transcription, a closed form, exact zeros."""

import itertools

import numpy as np
import pytest
import torch

from sslmemo import memorization_scores
from sslmemo.augmentations.views import Views
from sslmemo.data import as_data
from sslmemo.distances import DISTANCES
from sslmemo.measurements import Alignment, Quality
from sslmemo.measurements.quality import effective_rank, uniformity
from sslmemo.training.model import TorchModel, evaluating


def noise(sd):
    """Additive Gaussian noise as an augmentation."""
    return lambda x: x + sd * torch.randn_like(x)


class Heads(torch.nn.Module):
    """An encoder and a projector, as every method builds them."""

    def __init__(self, encoder, projector=None):
        super().__init__()
        self.encoder, self.projector = encoder, projector or torch.nn.Identity()


@pytest.fixture(scope="module")
def data():
    return as_data(np.random.default_rng(0).standard_normal((30, 6)))


def model_of(seed, width=4):
    torch.manual_seed(seed)
    return TorchModel(Heads(torch.nn.Linear(6, width), torch.nn.Linear(width, 3)))


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("layer", ["encoder", "projector"])
def test_alignment_equals_two_loops_over_pairs(data, name, layer):
    with torch.random.fork_rng():
        models = [model_of(0), model_of(1)]
    measure = Alignment(noise(0.3), name, n_views=5, layer=layer)
    got = measure(models, data, None, seed=3)
    for index, views in Views(noise(0.3)).of_rows(data, 5, 3):
        for k, model in enumerate(models):
            for i, row in enumerate(index):
                z = model.embed(views[:, i], layer)
                pairs = [
                    float(DISTANCES[name](z[a : a + 1], z[b : b + 1]))
                    for a, b in itertools.combinations(range(5), 2)
                ]
                assert got["alignment"][k, row] == pytest.approx(np.mean(pairs), rel=1e-4)


def test_by_view_holds_each_views_mean_distance(data):
    model = model_of(0)
    measured = Alignment(noise(0.3), "mse", n_views=4)([model], data, None, seed=0)
    views = next(Views(noise(0.3)).of_rows(data, 4, 0))[1]
    z = model.embed(views.flatten(0, 1)).reshape(4, 30, -1)
    for v in range(4):
        others = [float((z[v, 7] - z[u, 7]).square().mean()) for u in range(4) if u != v]
        assert measured["alignment_by_view"][0, 7, v] == pytest.approx(np.mean(others), rel=1e-4)
    np.testing.assert_allclose(
        measured["alignment_by_view"].mean(2), measured["alignment"], rtol=1e-5
    )


def test_clean_anchor_compares_views_with_the_row_itself(data):
    model = model_of(0)
    measured = Alignment(noise(0.3), "mse", n_views=3, anchor="clean")([model], data, None, seed=0)
    views = next(Views(noise(0.3)).of_rows(data, 3, 0))[1]
    clean = model.embed(data.rows(np.arange(30)))
    for v in range(3):
        expected = (model.embed(views[v]) - clean).square().mean(1)
        np.testing.assert_allclose(
            measured["alignment_by_view"][0, :, v], expected.numpy(), rtol=1e-4
        )


def test_linear_encoders_have_the_closed_form():
    """Noise sd s and encoder W: E mean squared distance of two views = 2 s^2 ||W||_F^2 / d_out."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5))
    s, d_out = 0.1, 7
    W, V = rng.standard_normal((2, d_out, 5))
    f = lambda x: x @ torch.tensor(W.T, dtype=torch.float32)  # noqa: E731
    g = lambda x: x @ torch.tensor(V.T, dtype=torch.float32)  # noqa: E731
    result = memorization_scores(
        f, g, X, augmentation=noise(s), distance="mse", n_views=8, random_state=0
    )
    exact = 2 * s**2 * (np.square(V).sum() - np.square(W).sum()) / d_out
    error = result.score.std() / np.sqrt(len(X))
    assert abs(result.mean_score - exact) < 3.5 * error
    assert error < 0.05 * abs(exact)


def test_equal_encoders_score_exactly_zero(data):
    torch.manual_seed(0)
    encoder = torch.nn.Linear(6, 3)
    X = data.array(np.arange(30))
    result = memorization_scores([encoder] * 3, [encoder] * 3, X, random_state=0)
    assert (result.score == 0).all()
    assert (result.standard_error == 0).all()


def test_measuring_changes_nothing(data):
    module = Heads(torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4)))
    module.train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    state = torch.get_rng_state()
    Alignment(noise(0.1))([TorchModel(module)], data, None, seed=0)
    assert module.training
    assert module.encoder[1].training
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_evaluating_restores_mixed_flags():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    module[1].eval()
    with evaluating(module):
        assert not module[0].training
        assert not torch.is_grad_enabled()
    assert module[0].training
    assert not module[1].training


def test_views_replay_and_differ_between_seeds(data):
    draw = lambda seed: torch.cat(  # noqa: E731
        [v for _, v in Views(noise(1.0)).of_rows(data, 2, seed)], 1
    )
    assert torch.equal(draw(5), draw(5))
    assert not torch.equal(draw(5), draw(6))


def test_a_row_outside_draws_views_by_its_content(data):
    views = Views(noise(1.0))
    order = np.array([4, 2, 9])
    again = as_data(data.array(order), reset=False, layout=None)
    again.layout = type(data.layout)(data.shape, data.shape)  # the rows are standardised already
    assert torch.equal(views.of_one(data, 2, 3, 0), views.of_one(again, 1, 3, 0))


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_effective_rank_of_equal_singular_values(rank):
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 8)))[0]
    assert effective_rank(q[:, :rank]) == pytest.approx(rank, rel=1e-3)


def test_uniformity_equals_its_definition():
    z = np.random.default_rng(0).standard_normal((600, 5))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    pairs = [
        np.exp(-2 * np.square(unit[i] - unit[j]).sum())
        for i in range(600)
        for j in range(600)
        if i != j
    ]
    assert uniformity(unit) == pytest.approx(np.log(np.mean(pairs)), rel=1e-9)
    assert uniformity(np.ones((4, 1))) == pytest.approx(0, abs=1e-12)
    assert uniformity(np.array([[1.0], [-1.0]])) == pytest.approx(-8)


def test_quality_sees_a_collapse(data):
    class Point:
        def embed(self, x, layer="encoder"):
            return torch.ones(len(x), 4) + 1e-6 * x[:, :4]

    quality = Quality()([model_of(0), Point()], data, None, 0)
    assert quality["spread"][0] > 0.3
    assert quality["spread"][1] < 1e-3
    assert quality["effective_rank"][1] < 1.01
    assert quality["uniformity"][0] < -0.5
    assert quality["uniformity"][1] > -1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchor": "clear"}, "'view' or 'clean'"),
        ({"n_views": 1}, "at least 2"),
        ({"distance": "euclid"}, "Did you mean"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        Alignment(noise(0.1), **options)
