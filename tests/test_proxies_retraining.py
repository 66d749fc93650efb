"""The kinds that train copies on, through MemorizationProxy."""

import numpy as np
import pytest
import torch

from sslmemo import MemorizationProxy
from sslmemo.data import as_data
from sslmemo.measurements import HoldoutRetraining as Measured
from sslmemo.proxies import HoldoutRetraining, Perturbation, get_kind
from sslmemo.training.recipe import make_trainer

RECIPE = {"encoder": "mlp", "epochs": 2, "batch_size": 20, "learning_rate": 2e-3}


@pytest.mark.parametrize("kind", [HoldoutRetraining(), Perturbation()], ids=repr)
def test_scores_are_what_was_measured(kind):
    name = "holdout_retraining" if isinstance(kind, HoldoutRetraining) else "perturbation"
    assert type(get_kind(name)) is type(kind)
    flat = np.random.default_rng(0).random((2, 5))
    np.testing.assert_array_equal(kind.scores({name: flat}), flat)


def test_copies_go_on_by_the_fits_own_recipe(table):
    """The fit's scores are those of the measurement under a trainer of the same recipe."""
    kind = HoldoutRetraining(n_groups=3, share=0.4, n_repeats=2)
    est = MemorizationProxy(
        kind, **RECIPE, n_views=3, precision="fp32", device="cpu", random_state=0
    )
    est.fit(table)
    data = as_data(table)
    trainer = make_trainer(
        data,
        (60, 60),
        method="simclr",
        augmentation="auto",
        device="cpu",
        precision="fp32",
        **RECIPE,
    )
    by_hand = Measured(trainer, n_groups=3, share=0.4, n_repeats=2, n_views=3)
    seed = est.run_.plan.seed_of(0)
    found = by_hand([est.encoder_.model_], data, None, seed)["holdout_retraining"]
    np.testing.assert_allclose(est.proxy_scores_, found[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["holdout_retraining", "perturbation"])
def test_the_encoder_is_the_one_that_was_trained(digits, kind):
    """Whatever copies do after it, `transform` and the caller's generator know nothing of them."""
    before = torch.get_rng_state()
    options = {"epochs": 2, "n_views": 2, "random_state": 0}
    one, other = (MemorizationProxy(k, **options).fit(digits[0][:40]) for k in (kind, "isolation"))
    np.testing.assert_array_equal(one.transform(digits[0]), other.transform(digits[0]))
    assert torch.equal(before, torch.get_rng_state())
    two = MemorizationProxy(kind, **options, n_encoders=2, n_jobs=2).fit(digits[0][:40])
    np.testing.assert_array_equal(two.encoder_scores_[0], one.proxy_scores_)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        (HoldoutRetraining(n_groups=1), "n_groups must be"),
        (HoldoutRetraining(share=-1), "share must be"),
        (Perturbation(n_copies=1), "n_copies must be"),
        (Perturbation(fraction=0), "fraction must be"),
    ],
    ids=repr,
)
def test_bad_parameters_are_refused_before_any_training(table, kind, match, monkeypatch):
    monkeypatch.setattr("sslmemo.training.ssl.SSLTrainer.fit_many", None)
    with pytest.raises(ValueError, match=match):
        MemorizationProxy(kind, epochs=2).fit(table)


def test_rows_too_few_for_a_part_are_refused():
    with pytest.raises(ValueError, match="1 of 2 are left, but a step needs 2"):
        MemorizationProxy("holdout_retraining", epochs=1).fit(np.eye(2, 3))
