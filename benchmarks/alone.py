"""Is each method worth anything: probes of one encoder trained on 5,000 digits?

`python -m benchmarks.alone FOLDER`: the folder holds MNIST's four IDX files. Rows 10,000 to 14,999 of the
training set, which no default was chosen on, train encoder and probes; all 10,000 test digits are
held out. Three seeds a method; writes benchmarks/results/alone.json.
"""

import functools
import sys
import time
from pathlib import Path

import numpy as np

from sslmemo import KNNProbe, LinearProbe
from sslmemo.data import as_data
from sslmemo.designs import Explicit
from sslmemo.encoders.vit import vit_tiny
from sslmemo.measurements import Downstream, Quality
from sslmemo.methods import METHODS
from sslmemo.pool import run
from sslmemo.training.model import TorchModel
from sslmemo.training.recipe import make_trainer

from .common import save

SHAPE = (1, 28, 28)
SMALL_VIT = functools.partial(vit_tiny, SHAPE, width=64, depth=4, heads=4)
PROBES = {"knn": KNNProbe(), "linear": LinearProbe()}


def read_idx(folder, part):
    """Images (n, 1, 28, 28) in [0, 1] and labels of "train" or "t10k"."""
    folder = Path(folder)
    images = np.frombuffer((folder / f"{part}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    labels = np.frombuffer((folder / f"{part}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    return images.reshape(-1, *SHAPE), labels.astype(int)


def trainer_of(data, plan, method, encoder, epochs):
    return make_trainer(
        data, plan.sizes, method=method, encoder=encoder, augmentation="digits", epochs=epochs,
        batch_size=256, learning_rate=1e-3, device="cpu", precision="auto",
    )  # fmt: skip


def row(name, values, seconds):
    """Mean and standard deviation over seeds of what a method's encoders reach."""
    found = {"representation": name}
    for probe in PROBES:
        accuracy = values[probe].mean(1)
        found[probe] = float(accuracy.mean())
        found[f"{probe}_sd"] = float(accuracy.std(ddof=1)) if len(accuracy) > 1 else None
    rank = values.get("effective_rank")
    found["effective_rank"] = None if rank is None else float(np.mean(rank))
    found["seconds_an_encoder"] = seconds
    return found


def main(folder, n=5000, epochs=30, n_seeds=3, n_test=None):
    """Measure all methods, a random mlp, a random transformer and the pixels."""
    X, y = (part[10_000 : 10_000 + int(n)] for part in read_idx(folder, "train"))
    X_test, y_test = (part[:n_test] for part in read_idx(folder, "t10k"))
    data, test = as_data(X), as_data(X_test)
    measure = Downstream(PROBES, y, test, y_test)
    plan = Explicit(np.ones((int(n_seeds), len(X)), bool)).draw(len(X), n_seeds, entropy=0)
    flat = {
        name: (p.fit(X.reshape(len(X), -1), y).predict(X_test.reshape(len(X_test), -1)) == y_test)
        for name, p in PROBES.items()
    }
    rows = [row("pixels", {k: v[None] for k, v in flat.items()}, None)]
    for name, encoder in (("mlp", "mlp"), ("transformer", SMALL_VIT)):
        trainer = trainer_of(data, plan, "simclr", encoder, 1)
        models = [TorchModel(trainer.build(int(s)).eval()) for s in plan.seed]
        rows.append(row(f"random {name}", measure(models, data, plan.member, 0), None))
    for method in METHODS:
        encoder = SMALL_VIT if method == "mae" else "mlp"
        trainer = trainer_of(data, plan, method, encoder, float(epochs))
        started = time.perf_counter()
        done = run(plan, trainer, [Quality(), measure], data, n_jobs=-1)
        rows.append(row(method, done.values, float(done.seconds.mean())))
        print(rows[-1], f"{time.perf_counter() - started:.0f} s", flush=True)
    save("alone", __doc__.splitlines()[0], rows, "full" if n_test is None else "short")


if __name__ == "__main__":
    main(*sys.argv[1:])
