"""Barlow Twins, VICReg, LeJEPA: losses against literal transcriptions and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, trapezoid
from torch import nn

from sslmemo.methods import BarlowTwins, LeJEPA, VICReg
from sslmemo.methods.barlow_twins import barlow_twins_loss
from sslmemo.methods.lejepa import epps_pulley, lejepa_loss
from sslmemo.methods.vicreg import vicreg_loss


def naive_barlow_twins(z1, z2, lambd):
    """Equations 1 and 2 of the Barlow Twins paper, on centred projections."""
    z1, z2 = z1 - z1.mean(0), z2 - z2.mean(0)
    loss = 0.0
    for i in range(z1.shape[1]):
        for j in range(z1.shape[1]):
            above = sum(z1[b, i] * z2[b, j] for b in range(len(z1)))
            below = math.sqrt(sum(z1[:, i] ** 2)) * math.sqrt(sum(z2[:, j] ** 2))
            c = above / below
            loss += (1 - c) ** 2 if i == j else lambd * c**2
    return loss


def naive_vicreg(z1, z2, sim_coeff, std_coeff, cov_coeff):
    """Equations 1 to 6 of the VICReg paper, the invariance a mean over dimensions."""
    n, d = z1.shape

    def variance(z):
        return sum(max(0, 1 - math.sqrt(z[:, j].var(ddof=1) + 1e-4)) for j in range(d)) / d

    def covariance(z):
        mean = sum(z[i] for i in range(n)) / n
        c = sum(np.outer(z[i] - mean, z[i] - mean) for i in range(n)) / (n - 1)
        return sum(c[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d

    invariance = sum(np.sum((z1[i] - z2[i]) ** 2) for i in range(n)) / n / d
    return (
        sim_coeff * invariance
        + std_coeff * (variance(z1) + variance(z2))
        + cov_coeff * (covariance(z1) + covariance(z2))
    )


def naive_sigreg(x, directions, n_points=17, t_max=5.0):
    """Algorithm 1 of the LeJEPA paper: complex exponentials, both signs of t."""
    t = np.linspace(-t_max, t_max, n_points)
    phi = np.exp(-0.5 * t**2)
    statistics = []
    for direction in directions.T:
        ecf = np.mean([np.exp(1j * (row @ direction) * t) for row in x], axis=0)
        statistics.append(len(x) * trapezoid(np.abs(ecf - phi) ** 2 * phi, t))
    return np.mean(statistics)


def naive_lejepa(z, directions, lambd):
    """Algorithm 2 of the LeJEPA paper, all views global."""
    centre = sum(z) / len(z)
    prediction = np.mean([(centre - view) ** 2 for view in z])
    sigreg = np.mean([naive_sigreg(view, directions) for view in z])
    return (1 - lambd) * prediction + lambd * sigreg


def closed_epps_pulley(x):
    """The statistic's integral over the whole line, by hand."""
    n = len(x)
    pairs = sum(math.exp(-((a - b) ** 2) / 2) for a in x for b in x) / n**2
    singles = sum(math.exp(-(a**2) / 4) for a in x) / n
    return n * (
        math.sqrt(2 * math.pi) * pairs
        - 2 * math.sqrt(math.pi) * singles
        + math.sqrt(2 * math.pi / 3)
    )


def column(x):
    return torch.as_tensor(x, dtype=torch.float64)[:, None]


@pytest.fixture
def z():
    """Projections (2b, d) of 8 samples in 5 dimensions, far from standardised."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, 5)) @ rng.standard_normal((5, 5)) * 0.4 + rng.standard_normal(5)


@pytest.fixture
def directions():
    return LeJEPA(n_slices=7, projection_dim=5).draws(torch.Generator().manual_seed(0), 8, (4,))[
        "directions"
    ]


def swapped(z):
    return torch.tensor(np.concatenate([z[8:], z[:8]]))


# Barlow Twins


@pytest.mark.parametrize("lambd", [0.0, 0.005, 1.0])
def test_barlow_twins_equals_the_papers_equation(z, lambd):
    loss, _ = barlow_twins_loss(torch.tensor(1000 * z), lambd)  # a spread that dwarfs EPS
    np.testing.assert_allclose(loss, naive_barlow_twins(z[:8], z[8:], lambd), rtol=1e-8)


def test_barlow_twins_per_row_is_the_invariance_before_squaring(z):
    z = torch.tensor(1000 * z)
    per_row = barlow_twins_loss(z, 0.1)[1]
    correlations = [np.corrcoef(z[:8, i], z[8:, i])[0, 1] for i in range(5)]
    np.testing.assert_allclose(per_row.mean(), sum(1 - c for c in correlations), rtol=1e-8)
    standard = [(v - v.mean(0)) / v.std(0, correction=0) for v in (z[:8], z[8:])]
    third = ((standard[0][3] - standard[1][3]) ** 2).sum() / 2
    np.testing.assert_allclose(per_row[3], third, rtol=1e-8)


def test_barlow_twins_of_equal_uncorrelated_views_is_0_and_of_opposite_ones_4_a_dimension():
    hadamard = np.array([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1.0]])  # columns orthogonal
    same = torch.tensor(1000 * np.concatenate([hadamard, hadamard]))
    opposite = torch.tensor(1000 * np.concatenate([hadamard, -hadamard]))
    np.testing.assert_allclose(barlow_twins_loss(same, 1.0)[0], 0, atol=1e-12)
    np.testing.assert_allclose(barlow_twins_loss(opposite, 1.0)[0], 3 * 4, rtol=1e-8)


def test_barlow_twins_forgets_scale_and_shift_and_survives_a_constant_dimension(z):
    moved = torch.tensor(1e4 * z * np.array([1, 2, 3, 4, 5.0]) - 7)
    np.testing.assert_allclose(
        barlow_twins_loss(moved, 0.1)[0],
        barlow_twins_loss(torch.tensor(1e4 * z), 0.1)[0],
        rtol=1e-7,
    )
    flat = torch.tensor(z)
    flat[:, 2] = 3.0
    flat.requires_grad_()
    loss, per_row = barlow_twins_loss(flat, 0.1)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(per_row).all()
    assert torch.isfinite(flat.grad).all()


# VICReg


@pytest.mark.parametrize("weights", [(25, 25, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_vicreg_equals_the_papers_equations(z, weights):
    loss, per_row = vicreg_loss(torch.tensor(z), *weights)
    np.testing.assert_allclose(loss, naive_vicreg(z[:8], z[8:], *weights), rtol=1e-10)
    np.testing.assert_allclose(per_row, np.mean((z[:8] - z[8:]) ** 2, axis=1), rtol=1e-10)


def test_vicreg_of_a_collapse_is_its_variance_term():
    loss, per_row = vicreg_loss(torch.ones(10, 4, dtype=torch.float64), 25, 25, 1)
    np.testing.assert_allclose(loss, 25 * 2 * (1 - math.sqrt(1e-4)), rtol=1e-12)
    assert not per_row.any()


def test_vicreg_of_equal_uncorrelated_spread_out_views_is_0():
    hadamard = torch.tensor([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1.0]]).double()
    assert vicreg_loss(torch.cat([hadamard, hadamard]), 25, 25, 1)[0] == 0


def test_both_losses_are_symmetric_in_the_views(z):
    for loss in (lambda v: barlow_twins_loss(v, 0.1), lambda v: vicreg_loss(v, 25, 25, 1)):
        for a, b in zip(loss(torch.tensor(z)), loss(swapped(z)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)


# LeJEPA


@pytest.mark.parametrize("lambd", [0.0, 0.05, 1.0])
def test_lejepa_equals_the_papers_algorithms(z, directions, lambd):
    views = torch.tensor(z).unflatten(0, (2, 8))
    loss, per_row = lejepa_loss(views, directions, lambd, 17, 5.0)
    expected = naive_lejepa(views.numpy(), directions.double().numpy(), lambd)
    np.testing.assert_allclose(loss, expected, rtol=1e-10)
    np.testing.assert_allclose(per_row, np.mean((z[:8] - z[8:]) ** 2, axis=1) / 4, rtol=1e-10)


def test_lejepa_takes_any_number_of_views_in_any_order(z, directions):
    views = torch.tensor(np.stack([z[:8], z[8:], z[8:] ** 2]))
    loss, per_row = lejepa_loss(views, directions, 0.3, 17, 5.0)
    expected = naive_lejepa(views.numpy(), directions.double().numpy(), 0.3)
    np.testing.assert_allclose(loss, expected, rtol=1e-10)
    other, other_rows = lejepa_loss(views[[2, 0, 1]], directions, 0.3, 17, 5.0)
    np.testing.assert_allclose(other, loss, rtol=1e-10)
    np.testing.assert_allclose(other_rows, per_row, rtol=1e-10)


@pytest.mark.parametrize(
    "x",
    [
        np.array([0.3]),
        np.zeros(4),
        np.array([-1.0, 1.0]),
        np.linspace(-2, 2, 9),
        np.random.default_rng(1).standard_normal(30),
    ],
    ids=["one", "collapsed", "two", "uniform", "normal"],
)
def test_epps_pulley_equals_its_closed_form_and_adaptive_quadrature(x):
    def integrand(t):
        phi = math.exp(-t * t / 2)
        return abs(np.exp(1j * t * x).mean() - phi) ** 2 * phi

    exact = closed_epps_pulley(x)
    np.testing.assert_allclose(len(x) * quad(integrand, -40, 40)[0], exact, rtol=1e-6)
    fine = epps_pulley(column(x), 401, 12.0)
    np.testing.assert_allclose(fine, [exact], rtol=1e-10)
    coarse = epps_pulley(column(x), 17, 5.0)  # the paper's rule
    np.testing.assert_allclose(coarse, [exact], rtol=1e-4)


def test_epps_pulley_of_a_point_mass_grows_with_its_size():
    """b (sqrt(2 pi) - 2 sqrt(pi) + sqrt(2 pi / 3)) for b equal numbers at 0."""
    each = math.sqrt(2 * math.pi) - 2 * math.sqrt(math.pi) + math.sqrt(2 * math.pi / 3)
    for b in (10, 1000):
        got = epps_pulley(torch.zeros(b, 1, dtype=torch.float64), 17, 5.0)
        np.testing.assert_allclose(got, [b * each], rtol=1e-5)


def test_epps_pulley_prefers_the_normal_distribution():
    rng = np.random.default_rng(0)
    b, m = 500, 200
    normal = rng.standard_normal((b, m))
    others = {
        "collapsed": 0.01 * normal,
        "wide": 3 * normal,
        "shifted": normal + 1,
        "heavy-tailed": rng.standard_cauchy((b, m)),
        "two-valued": rng.choice([-1.0, 1.0], (b, m)),
    }
    null = epps_pulley(torch.tensor(normal), 17, 5.0)
    expected = math.sqrt(2 * math.pi) - math.sqrt(
        2 * math.pi / 3
    )  # the integral of (1 - phi^2) phi
    error = null.std().item() / math.sqrt(m)
    assert abs(null.mean().item() - expected) < 4 * error
    for name, x in others.items():
        assert epps_pulley(torch.tensor(x), 17, 5.0).min() > 5 * null.mean(), name


def test_sigreg_sees_a_collapsed_dimension_and_correlation():
    """Marginals along the axes alone would not see the correlation."""
    rng = np.random.default_rng(0)
    d = 8
    draws = LeJEPA(projection_dim=d).draws(torch.Generator().manual_seed(0), 0, ())
    normal = rng.standard_normal((2, 500, d))
    flat = normal * (np.arange(d) > 1)
    correlated = math.sqrt(0.5) * (normal + normal[..., [1, 0, 3, 2, 5, 4, 7, 6]])

    def sigreg(views):
        return lejepa_loss(torch.tensor(views), draws["directions"], 1.0, 17, 5.0)[0]

    assert sigreg(flat) > 3 * sigreg(normal)
    assert sigreg(correlated) > 3 * sigreg(normal)


def test_directions_are_unit_reproducible_and_isotropic():
    method = LeJEPA(n_slices=5000, projection_dim=6)
    a, b, c = (
        method.draws(torch.Generator().manual_seed(s), 10, (4,))["directions"] for s in (1, 1, 2)
    )
    assert a.shape == (6, 5000)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    np.testing.assert_allclose(a.norm(dim=0), 1, rtol=1e-5)
    np.testing.assert_allclose(a @ a.T / 5000, np.eye(6) / 6, atol=0.015)


# all three


def losses_of(directions):
    return {
        "barlow_twins": lambda v: barlow_twins_loss(v, 0.1),
        "vicreg": lambda v: vicreg_loss(v, 25.0, 25.0, 1.0),
        "lejepa": lambda v: lejepa_loss(v.unflatten(0, (2, 8)), directions, 0.05, 17, 5.0),
    }


def test_gradients(z, directions):
    leaf = torch.tensor(z, requires_grad=True)
    for loss in losses_of(directions).values():
        assert torch.autograd.gradcheck(loss, (leaf,))


@pytest.mark.parametrize("name", ["barlow_twins", "vicreg", "lejepa"])
def test_half_precision_is_computed_in_float32(z, directions, name):
    loss = losses_of(directions)[name]
    half = torch.tensor(z).bfloat16()
    expected = loss(half.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        alone = loss(half)
        stacked = torch.vmap(loss)(half.expand(2, -1, -1))
    for a, s, e in zip(alone, stacked, expected, strict=True):
        assert a.dtype == s.dtype == torch.float32
        assert torch.equal(a, e)
        np.testing.assert_allclose(s, e.expand_as(s), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (BarlowTwins(lambd=-1), "lambd must be a number of at least 0, got -1"),
        (BarlowTwins(hidden_dim=0), "hidden_dim must be an int of at least 1, got 0"),
        (BarlowTwins(projection_dim=0), "projection_dim must be an int of at least 1, got 0"),
        (VICReg(sim_coeff=-1), "sim_coeff must be a number of at least 0, got -1"),
        (VICReg(std_coeff=-1), "std_coeff must be a number of at least 0, got -1"),
        (VICReg(cov_coeff=-1), "cov_coeff must be a number of at least 0, got -1"),
        (VICReg(hidden_dim=0), "hidden_dim must be an int of at least 1, got 0"),
        (VICReg(projection_dim=0), "projection_dim must be an int of at least 1, got 0"),
        (LeJEPA(lambd=1.5), "lambd must be a number of at least 0 and at most 1, got 1.5"),
        (LeJEPA(n_slices=0), "n_slices must be an int of at least 1, got 0"),
        (LeJEPA(n_points=1), "n_points must be an int of at least 3, got 1"),
        (LeJEPA(n_points=16), "n_points must be odd, got 16: use 17"),
        (LeJEPA(t_max=0), "t_max must be a number above 0, got 0"),
        (LeJEPA(hidden_dim=0), "hidden_dim must be an int of at least 1, got 0"),
        (LeJEPA(projection_dim=0), "projection_dim must be an int of at least 1, got 0"),
    ],
)
def test_wrong_parameters_are_refused(method, message):
    with pytest.raises(ValueError, match=message):
        method.build(nn.Identity(), 4)
