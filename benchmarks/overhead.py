"""What does a fit cost beyond training: the import, and starting and ending a pool?"""

import subprocess
import sys
import time

import numpy as np

from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.measurements import Alignment
from sslmemo.pool import run
from sslmemo.training.recipe import make_trainer

from .common import images, seconds

CLAIM = "seconds: importing beyond torch; a fit beyond its blocks, processes cold and warm"

USED = "from sslmemo import MemorizationEstimator"


def import_seconds(code, repeats):
    """Median time that a fresh interpreter takes for some code beyond importing torch."""
    timed = f"import torch, time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    return float(
        np.median(
            [
                float(subprocess.check_output([sys.executable, "-c", timed], text=True))
                for _ in range(repeats)
            ]
        )
    )


def measure(full):
    repeats = 7 if full else 3
    rows = [
        {"what": "import sslmemo", "seconds": import_seconds("import sslmemo", repeats)},
        {"what": USED, "seconds": import_seconds(USED, repeats)},
        {"what": "of which scikit-learn", "seconds": import_seconds(
            "import sklearn.linear_model, sklearn.neighbors, scipy.stats", repeats)},
    ]  # fmt: skip
    data = as_data(images(1000))
    plan = Subsample().draw(1000, 8, entropy=0)
    trainer = make_trainer(
        data, plan.sizes, method="simclr", encoder="mlp", augmentation="auto", epochs=20,
        batch_size=100, learning_rate=1e-3, device="cpu", precision="auto",
    )  # fmt: skip
    alignment = Alignment(trainer.views.augmentation)
    for processes in ("cold", "warm"):
        started = time.perf_counter()
        done = run(plan, trainer, [alignment], data, n_jobs=2)
        beyond = time.perf_counter() - started - done.seconds.sum() / 2
        rows.append({"what": f"fit beyond its blocks, {processes} processes", "seconds": beyond})
    worker = [sys.executable, "-c", "import torch, kornia.augmentation"]
    started = seconds(lambda: subprocess.check_call(worker))
    rows.append({"what": "a worker that imports torch and kornia", "seconds": started})
    return rows
