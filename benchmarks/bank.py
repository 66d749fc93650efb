"""May a block draw its training views once and pick from them, or must they be fresh?

400 digits, mlp, half-splits. Pools with the same plan, weights and measuring views, whose training views
are fresh or picked from a bank of 8, 16 or 32 a row; Spearman correlation with an independent pool
with fresh views, and its difference from the fresh pool's with a delete-one-block standard error.
"""

import numpy as np
from scipy.stats import spearmanr

from sslmemo.augmentations import build_augmentation
from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.estimates import Difference, reliability
from sslmemo.measurements import Alignment
from sslmemo.pool import run
from sslmemo.training.recipe import make_trainer

from .common import digits

CLAIM = "agreement of pools with banks of training views with a fresh reference pool"


def pool(data, entropy, n_blocks, bank, precision="fp32"):
    """Block values of a pool."""
    augmentation = build_augmentation("auto", data)
    plan = Subsample().draw(len(data), 2 * n_blocks, entropy)
    trainer = make_trainer(
        data, plan.sizes, method="simclr", encoder="mlp", augmentation=augmentation, epochs=60,
        batch_size=100, learning_rate=1e-3, device="cpu", precision=precision,
    )  # fmt: skip
    trainer.bank = bank
    done = run(plan, trainer, [Alignment(augmentation)], data, n_jobs=2)
    return Difference()(done.values, plan).blocks


def jackknife(values):
    """Standard error from delete-one values."""
    values = np.asarray(values)
    return float(np.sqrt((len(values) - 1) * values.var()))


def measure(full):
    data = as_data(digits(400))
    truth = pool(data, 0, 128 if full else 64, 0).mean(0)
    n_blocks = 32 if full else 16
    rows, fresh = [], None
    for bank, precision in ((0, "fp32"), (0, "bf16"), (8, "fp32"), (16, "fp32"), (32, "fp32")):
        blocks = pool(data, 1, n_blocks, bank, precision)
        fresh = blocks if fresh is None else fresh

        def rho(values, left_out=None):
            kept = values if left_out is None else np.delete(values, left_out, 0)
            return spearmanr(kept.mean(0), truth).statistic

        deleted = [rho(blocks, k) - rho(fresh, k) for k in range(n_blocks)]
        rows.append(
            {
                "bank": bank or "fresh",
                "precision": precision,
                "spearman": float(rho(blocks)),
                "minus_fresh": float(rho(blocks) - rho(fresh)),
                "standard_error": jackknife(deleted),
                "mean_score": float(blocks.mean()),
                "reliability": float(reliability(blocks)),
            }
        )
    return rows
