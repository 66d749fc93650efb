"""Distances against NumPy, in their ranges, and steady in float32."""

import numpy as np
import pytest
import torch

from sslmemo.distances import DISTANCES, check_distance, get_distance


def naive(name, a, b):
    u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return {
        "euclidean": np.sqrt(sum((x - y) ** 2 for x, y in zip(u, v))),
        "sqeuclidean": sum((x - y) ** 2 for x, y in zip(u, v)),
        "cosine": 1 - sum(x * y for x, y in zip(u, v)),
        "angular": np.arccos(np.clip(u @ v, -1, 1)) / np.pi,
        "manhattan": sum(abs(x - y) for x, y in zip(u, v)),
        "mse": np.mean([(x - y) ** 2 for x, y in zip(a, b)]),
    }[name]


@pytest.mark.parametrize("name", DISTANCES)
def test_distance_equals_its_formula(name):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 7, 5))
    got = get_distance(name)(torch.tensor(a), torch.tensor(b)).numpy()
    np.testing.assert_allclose(got, [naive(name, x, y) for x, y in zip(a, b)], rtol=1e-9)


@pytest.mark.parametrize("name", DISTANCES)
def test_zero_for_equal_and_finite_for_zero_vectors(name):
    z = torch.randn(4, 3)
    assert DISTANCES[name](z, z).abs().max() == 0
    assert torch.isfinite(DISTANCES[name](torch.zeros(2, 3), torch.randn(2, 3))).all()


def test_small_distances_keep_their_digits_in_float32():
    z = torch.randn(100, 64, dtype=torch.float64)
    other = z + 1e-5 * torch.randn_like(z)
    exact = DISTANCES["euclidean"](z, other)
    single = DISTANCES["euclidean"](z.float(), other.float())
    assert ((single - exact).abs() / exact).max() < 0.02


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        (lambda a, b: (a - b).norm(), r"returned \(\)"),
        (lambda a, b: (a - b).norm(dim=1) * torch.nan, "NaN"),
        (lambda a, b: 1.0, "float"),
    ],
)
def test_a_wrong_distance_is_refused(distance, message):
    with pytest.raises(ValueError, match=message):
        check_distance(distance, torch.randn(5, 3), torch.randn(5, 3))


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'euclidean'"):
        get_distance("euclidian")
    with pytest.raises(TypeError, match="callable"):
        get_distance(3)
