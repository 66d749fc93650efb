"""Private training: against a literal loop over rows, Opacus' own numbers, and what it must refuse."""

import builtins
import copy
import functools
import itertools
import math

import numpy as np
import pytest
import torch
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate
from scipy import optimize, stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from test_docstrings import IGNORED
from test_stacked import Doubled, DoubledStack, trainer_of
from torch import nn

from sslmemo import MemorizationEstimator, MemorizationProxy, SSLEncoder
from sslmemo.augmentations import build_augmentation
from sslmemo.data import as_data
from sslmemo.encoders.mlp import mlp
from sslmemo.encoders.vit import vit_tiny
from sslmemo.methods import BYOL, METHODS, LayerNormed, MoCo, SimSiam
from sslmemo.methods.base import Method
from sslmemo.training import private as module_of_it
from sslmemo.training.noise import GradientNoise, check_gradient_noise
from sslmemo.training.private import PrivateTraining, RowGradients, privacy_of
from sslmemo.training.ssl import SSLTrainer, row_stream
from sslmemo.training.stacked import StackedTrainer

pytest.importorskip("opacus")
from opacus.accountants import PRVAccountant, RDPAccountant
from opacus.accountants.utils import get_noise_multiplier

small_mlp = functools.partial(mlp, (1, 8, 8), width=24, out_dim=6, norm="layer")
small_vit = functools.partial(vit_tiny, (1, 8, 8), width=16, depth=1, heads=2)
SEPARABLE = [
    pytest.param("mae", small_vit, id="mae"),
    pytest.param(LayerNormed(BYOL(hidden_dim=16, projection_dim=8)), small_mlp, id="byol"),
    pytest.param(LayerNormed(SimSiam(16, 16)), small_mlp, id="simsiam"),
    pytest.param(LayerNormed(BYOL(hidden_dim=16, projection_dim=8)), "convnet", id="convnet"),
]
no_noise = functools.partial(PrivateTraining, multiplier=0.0)


class PrivateDoubledStack(DoubledStack):
    """In float64 where it trains one after another, too."""

    def _batches(self, data, rows, seed):
        for index, views in super()._batches(data, rows, seed):
            yield index, views.double()


@pytest.fixture(scope="module")
def data(digits):
    return as_data(digits[0][:60])


@pytest.fixture(scope="module")
def member():
    return np.random.default_rng(0).random((2, 60)).argsort(1) < 30


def states(trainer, data, member, seeds=(5, 5), **options):
    return [m.state() for m in next(trainer.fit_many(data, member, seeds, **options))[1]]


def assert_near(found, expected, **tolerance):
    for a, b in zip(found, expected, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name], b[name], err_msg=name, **tolerance)


def moved(module):
    """Weights away from the start, where some gradients vanish."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=rng, dtype=p.dtype))
    return module


def made(data, method, encoder, private, b=7, batch_size=10):
    """A module in float64, its private gradients, and views and draws of a batch of b rows."""
    trainer = trainer_of(Doubled, data, method, encoder, gradient_noise=private)
    module = moved(trainer.build(3)).train()
    optimizer = torch.optim.SGD(module.parameters(), 1.0)
    rows = RowGradients(module, optimizer, private, batch_size, seed=3)
    views = trainer.views.draw(data.rows(np.arange(b)), trainer.method.n_views, 0).double()
    return module, rows, views, trainer._draws(3, 0, b)


def by_hand(module, views, draws, clip):
    """Algorithm 1, a row after another: clipped sum by name, and norms before."""
    module, total, norms = copy.deepcopy(module), {}, []
    for i in range(views.shape[1]):
        module.zero_grad()
        one = {k: d[i : i + 1] for k, d in draws.items()}
        module(views[:, i : i + 1], one, 0.5)[0].backward()
        own = {k: p.grad.clone() for k, p in module.named_parameters() if p.grad is not None}
        norms.append(math.sqrt(sum(float((g**2).sum()) for g in own.values())))
        for k, g in own.items():
            total[k] = total.get(k, 0) + g / max(1.0, norms[-1] / clip)
    return total, np.array(norms)


@pytest.mark.parametrize(("method", "encoder"), SEPARABLE)
@pytest.mark.parametrize("together", [10**9, 3], ids=["at once", "in parts"])
def test_each_row_is_clipped_alone(data, method, encoder, together):
    module, rows, views, draws = made(data, method, encoder, no_noise())
    rows.together = together  # 7 rows in parts of 3: the last is not full
    _, norms = by_hand(module, views, draws, 1.0)
    clip = float(np.median(norms))  # so that some rows are clipped and others are not
    rows.optimizer.max_grad_norm = clip
    expected, _ = by_hand(module, views, draws, clip)
    loss, per_row, z = rows(views, draws, 0.5)
    for name, p in module.named_parameters():
        if name in expected:  # divided by the expected size; Opacus adds 1e-6 to norms
            np.testing.assert_allclose(
                p.grad, expected[name] / 10, rtol=1e-4, atol=1e-7, err_msg=name
            )
        else:
            assert p.grad is None or not p.grad.any()
    whole, each, seen = module(views, draws, 0.5)
    np.testing.assert_allclose(loss.detach(), whole.detach(), rtol=1e-10)
    np.testing.assert_allclose(per_row.detach(), each.detach(), rtol=1e-10)
    np.testing.assert_allclose(z.detach(), seen.detach(), rtol=1e-8, atol=1e-12)


def test_it_computes_in_float32_and_says_so(tiny, digits):
    fit = functools.partial(tiny, method="mae", encoder=small_vit, gradient_noise=PrivateTraining())
    half, full = (fit(precision=p).fit(digits[0]).result_.run for p in ("bf16", "fp32"))
    assert half.config["trainer"] == full.config["trainer"]
    assert half.config["trainer"]["precision"] == "fp32"
    np.testing.assert_array_equal(half.values["alignment"], full.values["alignment"])


@pytest.mark.parametrize("outlier", [1.0, 1e4])
def test_a_row_moves_the_sum_by_its_clip_at_most(data, outlier):
    private = no_noise(clip=0.3)
    module, rows, views, draws = made(data, LayerNormed(BYOL()), lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8)), private, batch_size=1)  # fmt: skip
    trained = [p for p in module.parameters() if p.requires_grad]

    def total(views):
        rows(views, draws, 0.5)
        return torch.cat([p.grad.ravel() for p in trained])

    views[:, 2] *= outlier * torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    _, norms = by_hand(module, views, draws, 0.3)
    added = (total(views) - total(torch.cat([views[:, :2], views[:, 3:]], 1))).norm()
    assert norms[2] > 0.3
    assert 0.29 < added <= 0.3 * (1 + 1e-9)


@pytest.mark.parametrize("b", [0, 7])
def test_the_noise_has_the_stated_deviation_in_a_batch_of_any_size(data, b):
    method, encoder = LayerNormed(BYOL()), functools.partial(mlp, (1, 8, 8), norm="layer")
    added = []
    for multiplier in (0.0, 2.0):
        module, rows, views, draws = made(
            data, method, encoder, PrivateTraining(clip=0.7, multiplier=multiplier), b=b
        )
        loss, per_row, _ = rows(views, draws, 0.5)
        added.append(torch.cat([p.grad.ravel() for p in module.parameters() if p.requires_grad]))
    assert len(per_row) == b
    assert torch.isfinite(loss)
    if b == 0:
        assert not added[0].any()
    noise = (added[1] - added[0]) / (2.0 * 0.7 / 10)
    assert stats.kstest(noise.numpy(), "norm").pvalue > 1e-3
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], len(noise)) / len(noise)
    assert low < float(noise.square().mean()) < high


@pytest.mark.parametrize(("method", "encoder"), SEPARABLE)
@pytest.mark.parametrize("kind", [Doubled, PrivateDoubledStack], ids=["single", "stacked"])
def test_without_noise_and_clipping_it_is_the_ordinary_training(
    data, member, monkeypatch, method, encoder, kind
):
    monkeypatch.setattr(PrivateTraining, "batches", lambda self, *args: row_stream(*args))
    train = functools.partial(trainer_of, data=data, method=method, encoder=encoder, steps=6)
    plain = states(train(Doubled), data, member)
    private = states(train(kind, gradient_noise=no_noise(clip=1e9)), data, member)
    assert_near(private, plain, rtol=0, atol=1e-7)


def test_poisson_batches_have_mean_and_variance_of_the_binomial():
    rows = np.arange(100, 140)
    drawn = PrivateTraining().batches(rows, 5, np.random.default_rng(0))
    batches = list(itertools.islice(drawn, 4000))
    size, q = np.array([len(b) for b in batches]), 5 / 40
    assert abs(size.mean() - 5) < 4 * math.sqrt(40 * q * (1 - q) / 4000)
    assert size.var() == pytest.approx(40 * q * (1 - q), rel=4 * math.sqrt(2 / 4000) * 1.2)
    assert (size == 0).any()
    shown = np.stack([np.isin(rows, b) for b in batches])
    assert all(len(set(b)) == len(b) for b in batches)
    assert np.abs(shown.mean(0) - q).max() < 4.5 * math.sqrt(q * (1 - q) / 4000)
    together = np.corrcoef(shown.T)[~np.eye(40, dtype=bool)]  # rows come and go on their own
    assert np.abs(together).max() < 5.5 / math.sqrt(4000)
    whole = next(PrivateTraining().batches(rows, 40, np.random.default_rng(0)))
    np.testing.assert_array_equal(whole, rows)


def test_the_training_draws_poisson_batches_and_observers_see_them(data, member):
    seen = []
    trainer = trainer_of(
        SSLTrainer, data, "mae", small_vit, steps=40, batch_size=2, gradient_noise=PrivateTraining()
    )
    observe = [lambda *step: seen.append(step)]
    states(trainer, data, member[:1], [5], observers=observe)
    sizes = [rows.shape[1] for _, _, rows, _, _ in seen]
    assert len(set(sizes)) > 2
    assert len(seen) < 40  # some were empty, and are not shown
    for which, _, rows, loss, z in seen:
        assert rows.shape == loss.shape == z.shape[:1] + z.shape[2:3] == (1, rows.shape[1])
        assert member[0][rows].all()
        assert which.tolist() == [0]


@pytest.mark.parametrize("accountant", ["prv", "rdp"])
@pytest.mark.parametrize(
    ("n", "batch", "steps", "multiplier"), [(300, 50, 300, 2.0), (5000, 50, 2000, 0.9)]
)
def test_epsilon_is_that_of_opacus(accountant, n, batch, steps, multiplier):
    own = {"prv": PRVAccountant, "rdp": RDPAccountant}[accountant]()
    for _ in range(steps):
        own.step(noise_multiplier=multiplier, sample_rate=batch / n)
    private = PrivateTraining(multiplier=multiplier, delta=1e-5, accountant=accountant)
    assert private.epsilon(n, batch, steps) == pytest.approx(own.get_epsilon(1e-5), rel=1e-12)


def test_epsilon_of_full_batches_is_that_of_the_gaussian_mechanism():
    """Balle and Wang (2018), theorem 8, for the composition of 10 steps."""
    mu = math.sqrt(10) / 2.0

    def excess(e):
        return (
            stats.norm.cdf(mu / 2 - e / mu) - math.exp(e) * stats.norm.cdf(-mu / 2 - e / mu) - 1e-5
        )

    exact = optimize.brentq(excess, 0, 100)
    found = PrivateTraining(multiplier=2.0).epsilon(60, 60, 10)
    assert exact <= found <= exact + 0.02  # an upper bound, to the accountant's error of 0.01
    assert (
        exact <= PrivateTraining(multiplier=2.0, accountant="rdp").epsilon(60, 60, 10) < 1.1 * exact
    )


def test_epsilon_at_its_ends():
    assert no_noise().epsilon(60, 10, 5) == math.inf
    little, rdp = PrivateTraining(multiplier=0.1), PrivateTraining(multiplier=0.1, accountant="rdp")
    assert math.isfinite(little.epsilon(600, 60, 100))
    assert little.epsilon(600, 60, 100) == rdp.epsilon(600, 60, 100)


def test_the_noise_for_an_epsilon_is_that_of_opacus():
    found = PrivateTraining.for_epsilon(4.0, 300, 50, 300, clip=0.5, delta=1e-4, accountant="rdp")
    assert found.get_params() == {
        "clip": 0.5, "delta": 1e-4, "accountant": "rdp",
        "multiplier": get_noise_multiplier(
            target_epsilon=4.0, target_delta=1e-4, sample_rate=50 / 300, steps=300, accountant="rdp"
        ),
    }  # fmt: skip
    assert 3.98 < found.epsilon(300, 50, 300) <= 4.0
    with pytest.raises(ValueError, match="epsilon must be a number above 0"):
        PrivateTraining.for_epsilon(0, 300, 50, 300)


def test_a_fit_states_its_epsilon(tiny, digits):
    est = tiny(
        method="mae", encoder=small_vit, batch_size=20, gradient_noise=PrivateTraining(delta=1e-3)
    )
    run = est.fit(digits[0]).result_.run
    told, trainer = privacy_of(run), run.config["trainer"]
    smallest = int(run.plan.member.sum(1).min())
    assert told == {
        "epsilon": PrivateTraining(delta=1e-3).epsilon(smallest, 20, trainer["steps"]), "delta": 1e-3,
        "clip": 1.0, "multiplier": 1.0, "accountant": "prv", "n_rows": smallest, "batch_size": 20,
        "steps": trainer["steps"],
    }  # fmt: skip
    for text in (est.result_.methods_text(), est.result_.summary()):
        assert f"({told['epsilon']:.3g}, 0.001)-differential privacy" in text
        assert "these scores are not private" in text
    plain = tiny(gradient_noise=GradientNoise()).fit(digits[0])
    assert privacy_of(plain.result_.run) is None
    assert privacy_of(tiny().fit(digits[0]).result_.run) is None
    assert privacy_of(est) == privacy_of(est.result_) == told
    assert privacy_of(plain) is None
    with pytest.raises(NotFittedError):
        privacy_of(tiny())
    for wrong in (3, PrivateTraining, run.plan, tiny):
        with pytest.raises(TypeError, match="result must be a MemorizationResult, a fitted"):
            privacy_of(wrong)


def test_scores_repeat_for_any_number_of_jobs_and_seeds_tell_apart(tiny, digits):
    fit = functools.partial(tiny, method="mae", encoder=small_vit, gradient_noise=PrivateTraining())
    first = fit().fit(digits[0]).memorization_scores_
    np.testing.assert_array_equal(first, fit(n_jobs=2).fit(digits[0]).memorization_scores_)
    assert (first != fit(random_state=1).fit(digits[0]).memorization_scores_).any()


def test_noise_and_batches_depend_on_the_seed_alone_and_steps_differ(data):
    def noise(seed, steps=1):
        module = trainer_of(Doubled, data, "mae", small_vit, gradient_noise=None).build(0)
        optimizer = torch.optim.SGD(module.parameters(), 1.0)
        rows, drawn = RowGradients(module, optimizer, PrivateTraining(), 10, seed), []
        for _ in range(steps):
            rows(torch.zeros(1, 0, 1, 8, 8).double(), {"noise": torch.zeros(0, 16)}, 0.0)
            drawn.append(torch.cat([p.grad.ravel() for p in module.parameters()]).numpy())
        return drawn

    first, second = noise(1, 2)
    np.testing.assert_array_equal(noise(1)[0], first)
    independent = np.corrcoef([first, second, noise(2)[0]])[~np.eye(3, dtype=bool)]
    assert np.abs(independent).max() < 5 / math.sqrt(len(first))


class WithDropout(nn.Sequential):
    """Draws at random in every forward pass."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5), nn.Linear(16, 8))


def test_dropout_is_no_coupling_and_repeats(tiny, digits):
    est = tiny(method=LayerNormed("byol"), encoder=WithDropout, gradient_noise=PrivateTraining())
    first = est.fit(digits[0]).memorization_scores_
    np.testing.assert_array_equal(clone(est).fit(digits[0]).memorization_scores_, first)


COUPLED = {
    "simclr": "SimCLR couples the rows of a batch", "moco": "MoCo .*to queue",
    "barlow_twins": "BarlowTwins couples", "vicreg": "VICReg couples", "swav": "SwAV couples",
    "dino": "DINO .*to center", "emp_ssl": "EMPSSL couples", "lejepa": "LeJEPA couples",
    "byol": "BYOL .*encoder.2.*LayerNormed.BYOL", "simsiam": "SimSiam .*projector.1.*LayerNormed.SimSiam",
}  # fmt: skip


@pytest.mark.parametrize("encoder", [small_mlp, "mlp"], ids=["layer", "batch"])
@pytest.mark.parametrize("method", METHODS)
def test_what_couples_rows_is_refused_with_the_reason(digits, monkeypatch, method, encoder):
    monkeypatch.setattr(SSLTrainer, "_fit_one", None)
    if method == "mae":
        return
    reason = COUPLED[method]
    if encoder is small_mlp:
        reason = reason.replace("encoder.2", "projector.1")
    est = MemorizationEstimator(method=method, encoder=encoder, gradient_noise=PrivateTraining())
    with pytest.raises(ValueError, match=reason) as caught:
        est.fit(digits[0])
    assert "LayerNormed" in str(caught.value)
    if method not in ("byol", "simsiam"):
        assert "without an epsilon, sslmemo.training.noise.GradientNoise" in str(caught.value)
        with pytest.raises(ValueError, match=COUPLED[method].split()[0]):
            est.set_params(method=LayerNormed(method)).fit(digits[0])


class Centred(Method):
    """A loss of the row alone, on an encoding centred by a running mean of what came before."""

    n_views = 1

    def build(self, encoder, out_dim):
        return _Centred(encoder, out_dim)


class _Centred(nn.Module):
    def __init__(self, encoder, out_dim):
        super().__init__()
        self.encoder, self.projector = encoder, nn.Identity()
        self.register_buffer("running", torch.zeros(out_dim))

    def forward(self, views, draws, progress):
        z = self.encoder(views[0])
        per_row = (z - self.running).square().sum(1)
        self.running.copy_(0.9 * self.running + 0.1 * z.detach().mean(0))
        return per_row.mean(), per_row, z[None]


class Mixed(nn.Module):
    """Views that hold a share of the next row."""

    def forward(self, x):
        return 0.9 * x + 0.1 * x.roll(1, 0) + 0.1 * torch.rand_like(x)


def test_data_fed_buffers_and_mixed_views_are_refused(digits, table):
    fit = functools.partial(
        MemorizationEstimator, method="mae", encoder=small_vit, gradient_noise=PrivateTraining()
    )
    with pytest.raises(ValueError, match="Centred .*writes what it saw of the rows to running"):
        fit(method=Centred(), encoder=small_mlp).fit(digits[0])
    with pytest.raises(ValueError, match="augmentation Mixed puts values of other rows"):
        fit(augmentation=Mixed()).fit(digits[0])
    with pytest.raises(ValueError, match="a table: its columns are standardised"):
        fit(method=LayerNormed("byol"), encoder="mlp").fit(table)
    scarf = build_augmentation("scarf", as_data(table))
    X = np.random.default_rng(0).random((60, 1, 1, 5), dtype=np.float32)
    with pytest.raises(ValueError, match="augmentation .* puts values of other rows"):
        fit(method=LayerNormed("byol"), encoder="mlp", augmentation=FlatScarf(scarf)).fit(X)


class FlatScarf(nn.Module):
    """Corruption of rows in the shape of images by values of stored rows."""

    def __init__(self, scarf):
        super().__init__()
        self.scarf = scarf

    def fit_reference(self, data):
        """Keep what is there."""

    def forward(self, x):
        return self.scarf(x.flatten(1)).reshape(x.shape)


@pytest.mark.parametrize(
    ("given", "count"), [("byol", 3), (SimSiam(16, 16), 4)], ids=["byol", "simsiam"]
)
def test_layer_normed_replaces_each_batch_norm_and_nothing_else(data, given, count):
    before = trainer_of(SSLTrainer, data, given, small_mlp).build(0)
    after = trainer_of(SSLTrainer, data, LayerNormed(given), small_mlp).build(0)
    was, now = dict(before.named_modules()), dict(after.named_modules())
    assert was.keys() == now.keys()
    replaced = [k for k in was if type(was[k]) is not type(now[k])]
    assert len(replaced) == count
    for k in replaced:
        x = torch.randn(5, was[k].num_features)
        expected = nn.functional.layer_norm(x, x.shape[1:], eps=was[k].eps)
        np.testing.assert_allclose(now[k](x).detach(), expected, rtol=1e-5, atol=1e-6)
        grads = [p.requires_grad for p in was[k].parameters()]
        assert [p.requires_grad for p in now[k].parameters()] == grads
    assert clone(LayerNormed(given)).n_views == 2


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (PrivateTraining(clip=0), ValueError, "clip of gradient_noise must be a number above 0"),
        (PrivateTraining(multiplier=-1), ValueError, "multiplier of gradient_noise must be .*at least 0"),
        (PrivateTraining(delta=0), ValueError, "delta of gradient_noise must be a number above 0"),
        (PrivateTraining(delta=1.0), ValueError, "delta of gradient_noise must be below 1"),
        (PrivateTraining(accountant="gdp"), ValueError, "accountant of gradient_noise must be 'prv' or"),
        (PrivateTraining, TypeError, "gradient_noise must be None or .*PrivateTraining"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [MemorizationEstimator, SSLEncoder])
def test_bad_values_are_refused_before_any_training(
    digits, monkeypatch, kind, value, error, message
):
    monkeypatch.setattr(SSLTrainer, "_fit_one", None)
    with pytest.raises(error, match=message):
        kind(method="mae", encoder=small_vit, gradient_noise=value).fit(digits[0])


def test_sizes_and_delta_of_an_epsilon_are_checked(digits):
    with pytest.raises(ValueError, match="delta=0.01 is not below 1 / n_rows = 0.01"):
        PrivateTraining(delta=0.01).epsilon(100, 10, 5)
    with pytest.raises(ValueError, match="delta=0.5 is not below 1 / n_rows"):
        MemorizationEstimator(
            method="mae", encoder=small_vit, gradient_noise=PrivateTraining(delta=0.5)
        ).fit(digits[0])
    for sizes, name in (((0, 1, 1), "n_rows"), ((9, 10, 1), "batch_size"), ((9, 3, 0), "steps")):
        with pytest.raises(ValueError, match=f"^{name} must be an int"):
            PrivateTraining().epsilon(*sizes)


def test_without_opacus_the_error_names_the_extra(digits, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "opacus":
            raise ImportError("No module named 'opacus'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for use in (
        lambda: MemorizationEstimator(method="mae", gradient_noise=PrivateTraining()).fit(
            digits[0]
        ),
        lambda: PrivateTraining().epsilon(60, 10, 5),
    ):
        with pytest.raises(ImportError, match=r"pip install sslmemo\[privacy\]"):
            use()
    MemorizationEstimator(
        encoder="mlp", n_encoders=2, epochs=1, gradient_noise=GradientNoise(), verbose=0, n_views=2
    )._trainer(as_data(digits[0]), (60, 60))


def test_what_the_trainer_gets_is_a_copy_in_plain_numbers():
    given = PrivateTraining(clip=1, multiplier=np.float32(0.5), delta=np.float64(1e-4))
    checked = check_gradient_noise(given)
    assert checked is not given
    assert checked.get_params() == {
        "clip": 1.0,
        "multiplier": 0.5,
        "delta": 1e-4,
        "accountant": "prv",
    }
    assert {type(v) for v in checked.get_params().values()} == {float, str}


def test_a_gradient_of_a_batch_is_not_taken_for_private():
    with pytest.raises(TypeError, match="clips the gradients of single rows"):
        PrivateTraining().perturb_([], [], 0, 1)


def test_encoders_are_not_stacked(data):
    trainer = trainer_of(
        StackedTrainer, data, "mae", small_vit, limit=8, gradient_noise=PrivateTraining()
    )
    assert trainer.max_together(30) == 1


def test_presentations_work_on_batches_of_any_size(digits):
    proxy = MemorizationProxy(
        "forgetting", method=LayerNormed("byol"), encoder=small_mlp, batch_size=4, epochs=12,
        random_state=0, gradient_noise=PrivateTraining(),
    )  # fmt: skip
    assert np.isfinite(proxy.fit(digits[0]).proxy_scores_).all()


PUBLIC = ["PrivateTraining", "RowGradients", "privacy_of"]
PUBLIC += [
    f"PrivateTraining.{m}" for m in ("for_epsilon", "epsilon", "check", "batches", "perturb_")
]


@pytest.mark.parametrize("thing", PUBLIC)
def test_docstrings_follow_numpydoc(thing):
    found = functools.reduce(getattr, thing.split("."), module_of_it)
    assert not [e for e in validate(get_doc_object(found))["errors"] if e[0] not in IGNORED]


def test_moco_without_batch_norm_is_refused_for_its_queue(digits):
    with pytest.raises(ValueError, match="MoCo .*to queue"):
        MemorizationEstimator(
            method=MoCo(), encoder=small_mlp, gradient_noise=PrivateTraining()
        ).fit(digits[0])
