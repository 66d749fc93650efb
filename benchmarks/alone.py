"""Is each method worth anything: probes of one encoder trained on 5,000 digits?

`python -m benchmarks.alone FOLDER`: the folder holds MNIST's four IDX files. Rows 10,000 to 14,999 of the
training set, which no default was chosen on, train encoder and probes; all 10,000 test digits are
held out. Three seeds a method, the convnet, 10 epochs; MAE a small transformer and 60 epochs, for it learns
slowly. Writes benchmarks/results/alone.json.
"""

import functools
import sys
import time
from pathlib import Path

import numpy as np

from sslmemo import KNNProbe, LinearProbe
from sslmemo.encoders.vit import vit_tiny
from sslmemo.methods import METHODS

from .common import accuracies, probed, save

SHAPE = (1, 28, 28)
SMALL_VIT = functools.partial(vit_tiny, SHAPE, width=64, depth=4, heads=4)
PROBES = {"knn": KNNProbe(), "linear": LinearProbe()}


def read_idx(folder, part):
    """Images (n, 1, 28, 28) in [0, 1] and labels of "train" or "t10k"."""
    folder = Path(folder)
    images = np.frombuffer((folder / f"{part}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    labels = np.frombuffer((folder / f"{part}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    return images.reshape(-1, *SHAPE), labels.astype(int)


def main(folder, n=5000, epochs=10, n_seeds=3, n_test=None):
    """Measure all methods, a random convnet, a random transformer and the pixels."""
    X, y = (part[10_000 : 10_000 + int(n)] for part in read_idx(folder, "train"))
    X_test, y_test = (part[:n_test] for part in read_idx(folder, "t10k"))
    rows = [
        {
            "representation": "pixels",
            "epochs": None,
            "effective_rank": None,
            **of_pixels(X, y, X_test, y_test),
        }
    ]
    recipe = {"augmentation": "digits", "batch_size": 256}
    for method, encoder in [
        ("random convnet", "convnet"),
        ("random transformer", SMALL_VIT),
        *((m, SMALL_VIT if m == "mae" else "convnet") for m in METHODS),
    ]:
        passes = float(epochs) * (6 if method == "mae" else 1)
        own = {**recipe, "method": method, "encoder": encoder, "epochs": passes}
        started = time.perf_counter()
        if method.startswith("random"):  # a step at a rate of nothing leaves the weights as drawn
            passes = 0.0
            own |= {"method": "simclr", "epochs": 1e-9, "learning_rate": 1e-12}
        found = probed(X, y, X_test, y_test, PROBES, own, int(n_seeds))
        rows.append({"representation": method, "epochs": passes, **found})
        print(rows[-1], f"{time.perf_counter() - started:.0f} s", flush=True)
    save("alone", __doc__.splitlines()[0], rows, "full" if n_test is None else "short")


def of_pixels(X, y, X_test, y_test):
    """The probes on raw pixels."""
    flat, flat_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    right = {n: (p.fit(flat, y).predict(flat_test) == y_test)[None] for n, p in PROBES.items()}
    return accuracies(right, PROBES)


if __name__ == "__main__":
    main(*sys.argv[1:])
