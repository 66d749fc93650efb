"""Copies that train on, against loops: the steps themselves, rows left out, variance over random parts."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from sslmemo.data import as_data
from sslmemo.measurements import HoldoutRetraining, Perturbation
from sslmemo.measurements.retraining import retrained
from sslmemo.measurements.unlearning import groups_of
from sslmemo.methods import MoCo, SimCLR
from sslmemo.methods.simclr import nt_xent
from sslmemo.randomness import derive_seed, generator
from sslmemo.training.model import TorchModel
from sslmemo.training.noise import GradientNoise
from sslmemo.training.recipe import make_trainer

N_VIEWS = 3
BOTH = [HoldoutRetraining, Perturbation]


def trainer_of(data, **changes):
    recipe = {"method": SimCLR(), "encoder": "mlp", "augmentation": "auto", "epochs": 4,
              "batch_size": 20, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"}  # fmt: skip
    return make_trainer(data, (len(data), len(data)), **{**recipe, **changes})


def trained(trainer, data, seed=1):
    member = np.ones((1, len(data)), bool)
    return next(trainer.fit_many(data, member, [seed]))[1][0]


@pytest.fixture(scope="module")
def data(table):
    return as_data(table)


@pytest.fixture(scope="module")
def trainer(data):
    return trainer_of(data)


@pytest.fixture(scope="module")
def model(trainer, data):
    return trained(trainer, data)


def small(kind, trainer):
    """A measurement of few and short copies."""
    few = {"n_repeats": 2} if kind is HoldoutRetraining else {"n_copies": 3}
    return kind(trainer, share=0.2, n_views=N_VIEWS, **few)


def literal_steps(trainer, model, data, rows, seed, steps, b=20):
    """The same steps by hand: SimCLR's loss in training mode, and AdamW by its formula."""
    module = copy.deepcopy(model.module).train()
    weights = list(module.parameters())
    mean, square = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    rng, order = generator(seed, "order"), np.array([], int)
    for t in range(1, steps + 1):
        if len(order) < b:
            fresh = rng.permutation(rows)  # those of an unfinished round come first, none twice
            late = [r for r in fresh if r in order]
            order = np.array([*order, *(r for r in fresh if r not in order), *late])
        batch, order = order[:b], order[b:]
        views = trainer.views.draw(data.rows(batch), 2, derive_seed(seed, "train views", t - 1))
        z = module.projector(module.encoder(torch.cat([views[0], views[1]])))
        gradients = torch.autograd.grad(nt_xent(z, 0.2).mean(), weights)
        for w, g, m, v in zip(weights, gradients, mean, square, strict=True):
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g**2)
            w.data *= 1 - 1e-3 * 0.01
            w.data -= 1e-3 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    return TorchModel(module)


def literal_alignment(trainer, model, data, seed=7):
    """Mean squared distance over all pairs of a row's views, row by row: (n,)."""
    views = torch.cat([v for _, v in trainer.views.of_rows(data, N_VIEWS, seed)], dim=1)
    found = []
    for x in views.unbind(1):
        z = model.embed(x)
        z = z / z.norm(dim=1, keepdim=True)
        pairs = [(z[i] - z[j]).square().sum() for i in range(len(z)) for j in range(i)]
        found.append(float(sum(pairs) / len(pairs)))
    return np.array(found)


@pytest.mark.parametrize(("share", "steps"), [(0.01, 1), (0.5, 6)])
def test_a_copy_takes_the_trainings_own_steps(trainer, model, data, share, steps):
    """12 steps in all; 33 rows at batch 20, so that rounds overlap."""
    rows = np.random.default_rng(0).permutation(60)[:33]
    found = retrained(model, data, rows, 5, trainer, share).state()
    expected = literal_steps(trainer, model, data, rows, 5, steps).state()
    start = model.state()
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-3, atol=1e-5, err_msg=name)
    assert np.abs(found["projector.1.weight"] - start["projector.1.weight"]).max() > 5e-4


def test_a_row_left_out_has_no_say(trainer, model, data, table):
    rows = np.delete(np.arange(60), [4, 9])
    other = table.copy()
    other[[4, 9]] = other[[9, 4]]  # the layout stays: columns keep mean and scale
    one, two = (retrained(model, d, rows, 5, trainer, 0.5).state() for d in (data, as_data(other)))
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    with_it = retrained(model, as_data(other), np.arange(60), 5, trainer, 0.5).state()
    assert np.abs(with_it["projector.1.weight"] - one["projector.1.weight"]).max() > 1e-4


def test_holdout_retraining_is_left_out_minus_kept(trainer, model, data):
    measure = HoldoutRetraining(trainer, n_groups=3, share=0.2, n_repeats=2, n_views=N_VIEWS)
    found = measure([model], data, None, 7)["holdout_retraining"]
    expected = np.zeros(60)
    for repeat in range(2):
        group = groups_of(60, 3, generator(7, "groups", repeat))
        seed = derive_seed(7, "retraining", repeat)
        after = np.array(
            [
                literal_alignment(
                    trainer,
                    literal_steps(trainer, model, data, np.flatnonzero(group != g), seed, 2),
                    data,
                )
                for g in range(3)
            ]
        )
        for i in range(60):
            kept = [after[g, i] for g in range(3) if g != group[i]]
            expected[i] += (after[group[i], i] - np.mean(kept)) / 2
    assert found.shape == (1, 60)
    np.testing.assert_allclose(found[0], expected, atol=0.01 * np.abs(expected).max())


def test_perturbation_is_a_variance_over_copies(trainer, model, data):
    measure = Perturbation(trainer, n_copies=3, fraction=0.4, share=0.2, n_views=N_VIEWS)
    found = measure([model], data, None, 7)["perturbation"]
    after = []
    for c in range(3):
        part = generator(7, "part", c).permutation(60)[:24]
        seed = derive_seed(7, "perturbation", c)
        after.append(
            literal_alignment(trainer, literal_steps(trainer, model, data, part, seed, 2), data)
        )
    expected = [sum((a - np.mean(row)) ** 2 for a in row) / 2 for row in np.transpose(after)]
    assert found.shape == (1, 60)
    np.testing.assert_allclose(found[0], expected, atol=0.01 * np.max(expected))


@pytest.mark.parametrize("kind", BOTH)
def test_models_stay_as_they_were_and_seeds_decide(trainer, model, data, kind):
    measure = small(kind, trainer)
    model.module.train()
    before, draws = model.state(), torch.get_rng_state()
    first = measure([model], data, None, 3)[kind.name]
    assert all(m.training for m in model.module.modules())
    after = model.state()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    assert torch.equal(draws, torch.get_rng_state())
    with torch.no_grad():  # as a caller may have it
        again = pickle.loads(pickle.dumps(measure))([model], data, None, 3)[kind.name]
    np.testing.assert_array_equal(first, again)
    other = measure([model], data, None, 4)[kind.name]
    assert not np.allclose(first, other, rtol=0.01)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("kind", BOTH)
def test_models_are_measured_one_by_one(trainer, model, data, kind):
    measure, second = small(kind, trainer), trained(trainer, data, seed=2)
    together = measure([model, second], data, None, 3)[kind.name]
    np.testing.assert_array_equal(together[1], measure([second], data, None, 3)[kind.name][0])


def test_momentum_networks_follow(data):
    trainer = trainer_of(data, method=MoCo())
    model = trained(trainer, data)
    after, before = (
        m.state() for m in (retrained(model, data, np.arange(60), 5, trainer, 0.01), model)
    )
    fixed = {k for k, w in model.module.named_parameters() if not w.requires_grad}
    assert fixed
    assert any(not np.array_equal(after[k], before[k]) for k in fixed)
    assert any(not np.array_equal(after[k], before[k]) for k in before if "queue" in k)


def test_gradient_noise_is_that_of_the_training(data, model):
    """Clipped to almost nothing, gradients move nothing: AdamW's decay alone is left."""
    trainer = trainer_of(data, gradient_noise=GradientNoise(clip=1e-14, multiplier=0.0))
    trainer.weight_decay = 5.0
    found = retrained(model, data, np.arange(60), 5, trainer, 0.5).module
    for new, old in zip(found.parameters(), model.module.parameters(), strict=True):
        torch.testing.assert_close(new, old * (1 - 1e-3 * 5.0) ** 6, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", BOTH)
def test_what_decides_the_numbers_enters_the_config(trainer, data, kind):
    changes = [{}, {"share": 0.3}, {"n_views": 4}, {"layer": "projector"}]
    if kind is HoldoutRetraining:
        changes += [{"n_groups": 3}, {"n_repeats": 5}]
    else:
        changes += [{"n_copies": 5}, {"fraction": 0.3}]
    configs = [repr(kind(trainer, **c).config()) for c in changes]
    configs.append(repr(kind(trainer_of(data, learning_rate=2e-3)).config()))
    assert len(set(configs)) == len(configs)


def test_lone_rows_score_above_crowded_ones():
    """Ten rows apart from all, and five crowds of ten that lie within a tenth of the spread."""
    rng = np.random.default_rng(0)
    crowds = np.repeat(rng.standard_normal((5, 20)), 10, axis=0)
    x = np.concatenate(
        [crowds + 0.1 * rng.standard_normal(crowds.shape), rng.standard_normal((10, 20))]
    )
    data = as_data(x)
    trainer = trainer_of(data, epochs=40)
    model = trained(trainer, data)
    for kind in BOTH:
        rank = rankdata(kind(trainer)([model], data, None, 0)[kind.name][0])
        assert rank[50:].mean() > rank[:50].mean() + 15


def test_bad_parameters_and_too_few_rows_are_refused(trainer, model, data):
    for match, kind, bad in (
        ("n_groups must be", HoldoutRetraining, {"n_groups": 1}),
        ("n_repeats must be", HoldoutRetraining, {"n_repeats": 0}),
        ("share must be", HoldoutRetraining, {"share": 0}),
        ("n_views must be", HoldoutRetraining, {"n_views": 1}),
        ("share must be", Perturbation, {"share": np.inf}),
        ("n_copies must be", Perturbation, {"n_copies": 1}),
        ("fraction must be", Perturbation, {"fraction": 1.5}),
    ):
        with pytest.raises(ValueError, match=match):
            kind(trainer, **bad)
    with pytest.raises(ValueError, match="1 of 60 are left, but a step needs 2"):
        retrained(model, data, np.array([3]), 0, trainer, 0.5)
