"""Every method with every encoder learns, does not collapse, and is read back from its store."""

import copy

import numpy as np
import pytest
import torch
from registry_pairs import PAIRS, SMALL_VIT
from sklearn.datasets import load_digits

from sslmemo.data import as_data
from sslmemo.designs import Explicit
from sslmemo.measurements import Quality
from sslmemo.pool import run
from sslmemo.training.recipe import make_trainer

STEPS = {"dino": 300}  # its teacher follows slowly; all others take 100
RATES = {
    "vit_small": 1e-4,
    "vit_tiny": 1e-4,
}  # 1e-3 is too much for millions of weights and 40 rows


@pytest.fixture(scope="module")
def data():
    X, _ = load_digits(return_X_y=True)
    return as_data((X[:100] / 16).astype(np.float32).reshape(-1, 1, 8, 8))


def tightness(trainer, model, data):
    """Distance of two views of a row, as a share of that of views of two rows."""
    views = trainer.views.draw(data.rows(np.arange(len(data))), 2, 0)
    a, b = (torch.nn.functional.normalize(model.embed(v).double(), dim=1) for v in views)
    return float((a - b).norm(dim=1).mean() / torch.cdist(a, b).mean())


@pytest.mark.parametrize(("method", "encoder"), PAIRS)
def test_every_pair_learns_without_collapse_and_resumes(data, method, encoder, tmp_path):
    trainer = make_trainer(
        data, (100, 100), method=method, encoder=encoder, augmentation="digits",
        epochs=0.4 * STEPS.get(method, 100), batch_size=40, device="cpu", precision="fp32",
        learning_rate=RATES.get(encoder, 1e-3),
    )  # fmt: skip
    losses, member = [], np.ones((1, 100), bool)
    watch = [lambda which, step, rows, loss, z: losses.append(float(loss.mean()))]
    ((_, (model,)),) = trainer.fit_many(data, member, [0], observers=watch)
    assert len(losses) == STEPS.get(method, 100)
    start = trainer.restore(type(model)(trainer.build(0)).state())
    # where the target moves (momentum networks, sharpening) the loss may rise while views close up
    lowered = np.mean(losses[-8:]) < 0.98 * np.mean(losses[:8])
    closer = tightness(trainer, model, data) < 0.95 * tightness(trainer, start, data)
    if method == "dino" and encoder is SMALL_VIT and not (lowered or closer):
        pytest.xfail("a tiny transformer starts with alike outputs; DINO does not part them soon")
    assert lowered or closer

    quality = Quality()([start, model], data, None, 0)
    rank, spread = quality["effective_rank"], quality["spread"]
    # transformers start with a large common offset, which RankMe counts as one direction
    assert rank[1] > (10 if rank[0] > 5 else 0.85 * rank[0])
    assert spread[1] > 0.6 * spread[0]

    plan = Explicit(member).draw(100, 1, entropy=0)
    trainer.steps = 3
    first = run(plan, trainer, [Quality()], data, store=tmp_path, keep_models=True)

    def never(*args, **kwargs):
        raise AssertionError("trained again")

    stopped = copy.copy(trainer)
    stopped.fit_many = never
    again = run(plan, stopped, [Quality()], data, store=tmp_path, keep_models=True)
    x = data.rows(np.arange(4))
    z = trainer.restore(first.models[0]).embed(x)
    assert torch.equal(trainer.restore(again.models[0]).embed(x), z)
