"""The generalization bound against a literal transcription, and as the theorem that it is."""

import numpy as np
import pytest
import torch

from sslmemo import MemorizationEstimator, SSLEncoder
from sslmemo.augmentations.views import Views
from sslmemo.data import Layout, as_data
from sslmemo.experiments.bound import generalization_bound
from sslmemo.randomness import derive_seed
from sslmemo.training.model import TorchModel


class Jitter(torch.nn.Module):
    """Adds noise of one size to a row."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x + self.size * torch.randn_like(x)


def linear_encoder(X, weight=None, jitter=0.1):
    """A "fitted" encoder x -> W x of the columns as they are; the identity by default."""
    module = torch.nn.Module()
    d = X.shape[1]
    module.encoder = torch.nn.Linear(d, d, bias=False)
    module.projector = torch.nn.Identity()
    weight = np.eye(d) if weight is None else weight
    with torch.no_grad():
        module.encoder.weight.copy_(torch.as_tensor(weight))
    encoder = SSLEncoder(augmentation=Jitter(jitter))
    encoder.model_, encoder.layout_ = TorchModel(module), Layout((d,), (d,))
    encoder.n_features_in_ = d
    return encoder


def clusters(rng, n=30, d=6, n_classes=3, spread=0.02, outliers=0):
    """Rows around axes; the first `outliers` of each class lie in the next one's cluster."""
    y = np.repeat(np.arange(n_classes), n)
    at = y + (np.arange(len(y)) % n < outliers)
    return np.eye(d)[at % n_classes] + spread * rng.standard_normal((len(y), d)), y


def transcribed(encoder, X, y, n_views, part_of, eps):
    """All terms by loops, for main parts {class: (ball's row, share)} and one eps."""
    data = as_data(X, reset=False, layout=encoder.layout_)
    views, out = Views(encoder.augmentation), []
    seed = derive_seed(0, "bound")
    drawn = np.concatenate(
        [v.numpy().swapaxes(0, 1) for _, v in views.of_rows(data, n_views, seed)]
    )
    every = np.concatenate([data.array(np.arange(len(X)))[:, None], drawn], 1).astype(float)
    weight = encoder.model_.module.encoder.weight.detach().numpy().astype(float)
    f = every @ weight.T
    f /= np.linalg.norm(f, axis=2, keepdims=True)
    mu = np.array([f[y == k, 1:].mean((0, 1)) for k in np.unique(y)])
    spread = np.array([max(np.linalg.norm(a - b) for a in row for b in row) for row in f])
    centers_apart = 1 - min(m @ m for m in mu)
    for k, label in enumerate(np.unique(y)):
        rows = np.flatnonzero(y == label)
        delta, nearest = np.inf, None
        for c in rows:
            far = np.array([np.linalg.norm(every[i] - every[c, 0], axis=1).min() for i in rows])
            radius = np.sort(far)[part_of - 1]
            if 2 * radius < delta:
                delta, part = 2 * radius, rows[far <= radius]
                nearest = [np.linalg.norm(every[i] - every[c, 0], axis=1).argmin() for i in part]
        g = [f[i, v] for i, v in zip(part, nearest, strict=True)]
        jump = max(np.linalg.norm(a - b) for a in g for b in g)
        s = np.mean([i in part and spread[i] <= eps for i in rows])
        a = min(2, 2 * eps + jump)
        rho = 1 - (s * (1 - a**2 / 2) - (1 - s))
        others = max(mu[k] @ mu[j] for j in range(len(mu)) if j != k)
        out.append({
            "sigma": len(part) / len(rows), "delta": delta, "unaligned": np.mean(spread[rows] > eps),
            "jump": jump, "slack": 1 - rho - np.sqrt(2 * rho) - centers_apart / 2 - others,
            "error": np.mean([np.linalg.norm(mu - f[i, 0], axis=1).argmin() != k for i in rows]),
        })  # fmt: skip
    return mu, spread, every, out


def test_every_term_equals_its_transcription():
    rng = np.random.default_rng(0)
    X, y = clusters(rng, n=10, d=4, spread=0.1)
    encoder = linear_encoder(X, np.eye(4) + 0.3 * rng.standard_normal((4, 4)), jitter=0.1)
    eps = 0.3
    probe = generalization_bound(encoder, X, y, n_views=3, eps=eps)
    delta = probe.diameters[:, 13]  # share 0.7 of 10 rows
    mu, _, every, expected = transcribed(encoder, X, y, 3, 7, eps)
    np.testing.assert_allclose(probe.centers, mu, atol=1e-6)
    np.testing.assert_allclose(delta, [e["delta"] for e in expected], rtol=1e-6)
    for k, want in enumerate(expected):
        found = generalization_bound(encoder, X, y, n_views=3, eps=eps, delta=delta[k] + 1e-9)
        for name, value in want.items():
            assert getattr(found, name)[k] == pytest.approx(value, abs=2e-6), name
        # two rows of the part are within delta in d_A, by all pairs of their views
        rows = np.flatnonzero(y == k)
        part = [
            i for i in rows
            if min(np.linalg.norm(every[i] - c, axis=1).min() for c in every[rows, 0]) <= delta[k] / 2
        ]  # fmt: skip
        assert len(part) >= 7
    assert probe.n_views == 3
    assert ((probe.unaligned > 0) & (probe.unaligned < 1)).all()  # eps is no trivial one,
    assert 2 * eps + max(e["jump"] for e in expected) < 2  # and no bound of the distances either


def test_main_parts_have_the_diameter_they_claim():
    rng = np.random.default_rng(1)
    X, y = clusters(rng, n=14, d=4, n_classes=2, spread=0.3)
    encoder = linear_encoder(X, jitter=0.2)
    found = generalization_bound(encoder, X, y, n_views=3)
    *_, every, _ = transcribed(encoder, X, y, 3, 2, 1.0)
    for k in range(2):
        v = every[y == k]
        d = np.linalg.norm(v[:, None, :, None] - v[None, :, None], axis=-1).min((2, 3))
        for share, delta in zip(found.shares, found.diameters[k], strict=True):
            # some set of that share has all pairs within delta: the greedy clique around a row
            best = max(_clique(d <= delta + 1e-9, c) for c in range(len(d)))
            assert best >= np.ceil(share * len(d) - 1e-9)
        level = np.searchsorted(found.shares, found.sigma[k] - 1 / 14, side="right")
        assert found.delta[k] == found.diameters[k, level]
    assert (np.diff(found.diameters, axis=1) >= 0).all()
    np.testing.assert_array_equal(found.concentration(np.inf), [1, 1])
    np.testing.assert_array_equal(found.concentration(-1.0), [0, 0])
    middle = found.diameters[0, 9]
    assert found.concentration(middle)[0] >= 0.5


def _clique(near, first):
    chosen = [first]
    for i in np.argsort(-near.sum(1), kind="stable"):
        if i != first and near[i, chosen].all():
            chosen.append(i)
    return len(chosen)


def test_tight_clusters_are_certified_without_error():
    X, y = clusters(np.random.default_rng(0))
    found = generalization_bound(linear_encoder(X, jitter=0.01), X, y, X_test=X, y_test=y)
    assert found.holds.all()
    np.testing.assert_array_equal(found.sigma, 1)
    np.testing.assert_array_equal(found.unaligned, 0)
    np.testing.assert_array_equal(found.bound, 0)
    assert found.overall_bound == found.overall_error == found.overall_error_test == 0
    assert "holds for 3 of 3" in found.summary()
    assert "at most 0.000" in found.summary()


def test_rows_in_a_foreign_cluster_are_the_bound():
    X, y = clusters(np.random.default_rng(0), n=50, outliers=2)
    found = generalization_bound(linear_encoder(X, jitter=0.005), X, y, n_views=8)
    assert found.holds.all()
    np.testing.assert_allclose(found.error, 0.04)  # 2 of 50
    np.testing.assert_allclose(found.bound, 0.05, atol=0.011)  # sizes go by 5%


def test_measured_error_never_exceeds_what_is_certified():
    silent = informative = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n_classes = rng.integers(2, 5)
        X, y = clusters(
            rng, n=40, d=5, n_classes=n_classes, spread=rng.uniform(0.005, 0.12),
            outliers=rng.integers(0, 3),
        )  # fmt: skip
        weight = np.eye(5) + rng.uniform(0, 0.25) * rng.standard_normal((5, 5))
        encoder = linear_encoder(X, weight, jitter=rng.uniform(0.001, 0.04))
        given = {"eps": None if seed % 3 else 0.3, "delta": 1.0 if seed % 5 == 0 else None}
        found = generalization_bound(encoder, X, y, n_views=4, random_state=seed, **given)
        assert (found.error <= found.certified + 1e-12).all()
        assert found.overall_error <= found.overall_bound + 1e-12
        assert (found.bound[found.holds] <= 1).all()
        silent += (~found.holds).any()
        informative += (found.holds & (found.error > 0)).any()
    assert silent >= 10
    assert informative >= 5


def test_summary_says_when_the_theorem_is_silent():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 5)), np.repeat(["a", "b"], 20)
    found = generalization_bound(linear_encoder(X, jitter=0.5), X, y, n_views=4)
    assert not found.holds.any()
    assert found.overall_bound == 1
    assert "says nothing here" in found.summary()
    assert "condition fails" in found.summary()
    table = found.table()
    assert table["class"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(table["certified"], 1)
    np.testing.assert_array_equal(table["bound"], 1 - found.sigma + found.unaligned)
    assert "n_test" not in table.columns
    assert np.isnan(found.overall_error_test)


def test_held_out_rows_are_measured_with_the_same_centres():
    rng = np.random.default_rng(0)
    X, y = clusters(rng, n=20)
    encoder = linear_encoder(X, jitter=0.01)
    held, label = X[[0, 1, 20, 21]], np.array([0, 1, 1, 1])  # the second is mislabelled
    found = generalization_bound(encoder, X, y, X_test=held, y_test=label, eps=1e-6)
    np.testing.assert_array_equal(found.n_test, [1, 3, 0])
    np.testing.assert_allclose(found.error_test[:2], [0, 1 / 3])
    assert np.isnan(found.error_test[2])
    assert found.overall_error_test == pytest.approx(0.25)
    np.testing.assert_array_equal(found.unaligned_test[:2], 1)
    assert "0.250 on 4 held-out rows" in found.summary()


def test_fitted_estimators_of_both_kinds(digits):
    X, y = digits
    encoder = SSLEncoder(epochs=1, random_state=0).fit(X)
    one = generalization_bound(encoder, X, y, n_views=4)
    two = generalization_bound(encoder, X, y, n_views=4)
    np.testing.assert_array_equal(one.slack, two.slack)
    assert (one.slack != generalization_bound(encoder, X, y, n_views=4, random_state=1).slack).any()
    shell = MemorizationEstimator()
    shell.encoder_, shell.layout_, shell.n_features_in_ = encoder, encoder.layout_, 64
    np.testing.assert_array_equal(generalization_bound(shell, X, y, n_views=4).slack, one.slack)
    z = encoder.transform(X)
    assert one.centers.shape == (10, z.shape[1])


def test_bad_calls_are_named():
    X, y = clusters(np.random.default_rng(0), n=5)
    encoder = linear_encoder(X)
    for bad, match in [
        ({"n_views": 0}, "n_views must be"),
        ({"eps": 3.0}, "eps must be"),
        ({"delta": 0}, "delta must be"),
        ({"X_test": X}, "X_test and y_test come together"),
        ({"X_test": X, "y_test": np.full(len(y), 7)}, "class 7, which y has not"),
        ({"X_test": X, "y_test": y[:3]}, "y_test"),
    ]:
        with pytest.raises(ValueError, match=match):
            generalization_bound(encoder, X, y, **bad)
    with pytest.raises(ValueError, match="y has one class"):
        generalization_bound(encoder, X, np.zeros(len(X)))
    with pytest.raises(TypeError, match="encoder must be a fitted SSLEncoder"):
        generalization_bound(X, X, y)
    with pytest.raises(ValueError, match="not fitted yet"):
        generalization_bound(SSLEncoder(), X, y)
    with pytest.raises(ValueError, match="not fitted yet"):
        generalization_bound(MemorizationEstimator(), X, y)
    with pytest.raises(ValueError, match="zero or to no finite vector"):
        generalization_bound(linear_encoder(X, np.zeros((6, 6))), X, y)
