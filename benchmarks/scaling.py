"""How does the time of a pool grow with rows, encoders, epochs and processes?

Each size is timed against the next in one run; the slope is that of log time over log size, by least
squares: 1 is linear. The mlp on random 28 x 28 images, block seconds summed over processes.
"""

import time

import numpy as np

from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.measurements import Alignment
from sslmemo.pool import run
from sslmemo.training.recipe import make_trainer

from .common import images

CLAIM = "log-log slope of a pool's time over rows, encoders, epochs and processes"

BASE = {"rows": 500, "encoders": 8, "epochs": 10, "processes": 2}
SHORT = {"rows": (250, 500, 1000, 2000), "encoders": (4, 8, 16), "epochs": (5, 10, 20),
         "processes": (1, 2)}  # fmt: skip
FULL = {"rows": (250, 500, 1000, 2000, 4000, 8000), "encoders": (8, 16, 32, 64, 128),
        "epochs": (5, 10, 20, 40, 80), "processes": (1, 2)}  # fmt: skip


def timed(rows, encoders, epochs, processes):
    """Wall-clock seconds of a pool, processes already running."""
    data = as_data(images(rows))
    plan = Subsample().draw(rows, encoders, entropy=0)
    trainer = make_trainer(
        data, plan.sizes, method="simclr", encoder="mlp", augmentation="auto", epochs=epochs,
        batch_size=100, learning_rate=1e-3, device="cpu", precision="auto",
    )  # fmt: skip
    measure = Alignment(trainer.views.augmentation)
    started = time.perf_counter()
    run(plan, trainer, [measure], data, n_jobs=processes)
    return time.perf_counter() - started


def measure(full):
    timed(**BASE)  # starts the processes
    rows = []
    for what, sizes in (FULL if full else SHORT).items():
        repeats = [[timed(**{**BASE, what: s}) for s in sizes] for _ in range(3)]
        seconds = np.median(repeats, 0)
        slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        rows.append(
            {
                "over": what,
                "sizes": " ".join(map(str, sizes)),
                "seconds": " ".join(f"{s:.2f}" for s in seconds),
                "slope": slope,
            }
        )
    return rows
