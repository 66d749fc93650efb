"""Isolation by depth against the layers computed by hand, for linear, convolutional and token networks."""

import numpy as np
import pytest
import torch
from torch import nn

from sslmemo.data import as_data
from sslmemo.encoders import build_encoder
from sslmemo.encoders.vit import vit_tiny
from sslmemo.measurements import DepthIsolation
from sslmemo.measurements.depth import by_depth
from sslmemo.measurements.isolation import nearest_distances
from sslmemo.protocols import TrainingError
from sslmemo.training.model import TorchModel


class Whole(nn.Module):
    def __init__(self, encoder, projector=None):
        super().__init__()
        self.encoder, self.projector = encoder, projector or nn.Identity()


def model_of(encoder, projector=None):
    return TorchModel(Whole(encoder, projector))


def rows_of(data):
    return data.rows(np.arange(len(data)))


def test_layers_of_an_mlp_by_hand(table):
    torch.manual_seed(0)
    data = as_data(table)
    a, b, c = nn.Linear(5, 7), nn.Linear(7, 6), nn.Linear(6, 4)
    model = model_of(nn.Sequential(a, nn.ReLU(inplace=True), b, nn.Tanh(), c), nn.Linear(4, 3))
    with torch.no_grad():
        first = a(rows_of(data)).relu()
        second = b(first).tanh()
        z = c(second)
        out = model.module.projector(z)
    for layer, expected in (
        ("encoder", [first, second, z]),
        ("projector", [first, second, z, out]),
    ):
        found = by_depth(model, data, 3, layer)
        for one, by_hand in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, by_hand.numpy(), rtol=1e-5, atol=1e-6)
    array = DepthIsolation(n_neighbors=2)([model, model], data, None, 0)["depth_isolation"]
    assert array.shape == (2, 3, len(data))
    expected = [nearest_distances(h.numpy(), 2).mean(1) for h in (first, second, z)]
    np.testing.assert_allclose(array[1], expected, rtol=1e-4, atol=1e-6)
    assert not any(m._forward_pre_hooks for m in model.module.modules())


def test_feature_maps_are_pooled_and_tokens_averaged(digits):
    torch.manual_seed(0)
    data = as_data(digits[0][:40])
    first, second = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 3)
    encoder = nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), nn.Linear(64, 5))
    found = by_depth(model_of(encoder), data, 9)
    with torch.no_grad():
        maps = first(rows_of(data)).relu()
        flat = second(maps).flatten(1)
    tiles = [
        [slice(0, 2), slice(1, 3), slice(3, 5), slice(4, 6)]
    ] * 2  # of 6 x 6, as torch pools them
    pooled = [maps[:, :, i, j].mean((2, 3)) for i in tiles[0] for j in tiles[1]]
    np.testing.assert_allclose(
        found[0], torch.stack(pooled, 2).flatten(1).numpy(), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(found[1], flat.numpy(), rtol=1e-4, atol=1e-6)

    tokens = nn.Sequential(nn.Flatten(2), nn.Linear(64, 6), nn.Unflatten(2, (3, 2)),
                           nn.Flatten(1, 2), nn.Linear(2, 5), nn.Flatten())  # fmt: skip
    found = by_depth(model_of(tokens), data, 9)
    with torch.no_grad():
        hidden = tokens[:4](rows_of(data))  # (b, 3, 2)
    np.testing.assert_allclose(found[0], hidden.mean(1).numpy(), rtol=1e-4, atol=1e-6)


def test_many_layers_are_read_evenly(table):
    torch.manual_seed(0)
    data = as_data(table)
    model = model_of(nn.Sequential(*[nn.Linear(5, 5) for _ in range(10)]))  # nine hidden
    every, some = by_depth(model, data, 9), by_depth(model, data, 3)
    for one, i in zip(some, (0, 4, 8, 9), strict=True):
        np.testing.assert_array_equal(one, every[i])


@pytest.mark.parametrize("encoder", ["mlp", "convnet", "resnet9", "vit"])
def test_every_kind_of_encoder_has_depths(digits, encoder):
    torch.manual_seed(0)
    data = as_data(digits[0][:20])
    module = build_encoder("mlp" if encoder == "vit" else encoder, data.shape)
    if encoder == "vit":
        module = vit_tiny(data.shape, width=32, depth=2, heads=2)
    array = DepthIsolation()([model_of(module)], data, None, 0)["depth_isolation"]
    assert array.shape == (1, 3 if encoder == "mlp" else 4, 20)
    assert (array.std(2) > 0).all()


def test_a_network_of_one_layer_has_its_output_alone(table):
    data = as_data(table)
    model = model_of(nn.Linear(5, 3))
    assert DepthIsolation()([model], data, None, 0)["depth_isolation"].shape == (1, 1, len(data))


def test_bad_parameters_and_networks_are_refused(table):
    with pytest.raises(ValueError, match="n_depths must be"):
        DepthIsolation(n_depths=0)
    with pytest.raises(ValueError, match="n_neighbors must be"):
        DepthIsolation(n_neighbors=0)
    broken = nn.Linear(5, 3)
    nn.init.constant_(broken.weight, torch.nan)
    with pytest.raises(TrainingError, match="not finite"):
        DepthIsolation()([model_of(broken)], as_data(table), None, 0)
