"""SimCLR's loss against a slow, literal transcription; methods by name."""

import numpy as np
import pytest
import torch

from sslmemo.methods import SimCLR, get_method
from sslmemo.methods.simclr import nt_xent


def naive_nt_xent(z, temperature):
    """Algorithm 1 of the SimCLR paper, pair by pair."""
    b = len(z) // 2
    z = [row / np.linalg.norm(row) for row in z]

    def term(i, j):
        others = [np.exp(z[i] @ z[k] / temperature) for k in range(2 * b) if k != i]
        return -np.log(np.exp(z[i] @ z[j] / temperature) / sum(others))

    return np.array([(term(i, i + b) + term(i + b, i)) / 2 for i in range(b)])


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_nt_xent_equals_the_papers_algorithm(temperature):
    z = np.random.default_rng(0).standard_normal((10, 6))
    got = nt_xent(torch.tensor(z), temperature).numpy()
    np.testing.assert_allclose(got, naive_nt_xent(z, temperature), rtol=1e-10)


def test_nt_xent_of_orthogonal_embeddings():
    b = 4
    per_row = nt_xent(torch.eye(2 * b, dtype=torch.float64), 0.7)
    np.testing.assert_allclose(per_row.numpy(), np.log(2 * b - 1), rtol=1e-12)


def test_nt_xent_is_symmetric_in_the_views():
    z = torch.randn(8, 5, dtype=torch.float64)
    swapped = torch.cat([z[4:], z[:4]])
    np.testing.assert_allclose(nt_xent(z, 0.2).numpy(), nt_xent(swapped, 0.2).numpy(), rtol=1e-12)


def test_nt_xent_gradient():
    z = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: nt_xent(t, 0.3), (z,))


def test_parameters_follow_scikit_learn():
    assert SimCLR(temperature=0.5).get_params() == {"temperature": 0.5, "projection_dim": 64}
    with pytest.raises(ValueError, match="temperature must be a number above 0"):
        SimCLR(temperature=0).build(torch.nn.Identity(), 4)
    with pytest.raises(ValueError, match="Did you mean 'simclr'"):
        get_method("simlcr")
    with pytest.raises(TypeError, match="object from sslmemo.methods"):
        get_method(SimCLR)
