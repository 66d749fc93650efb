"""Does the deja vu test find planted memorization, and nothing where there is none?

`python -m benchmarks.deja_vu FOLDER` keeps finished trainings in FOLDER and writes
benchmarks/results/comparison_deja_vu.json; 5 minutes on one busy core.

Digits of 8 x 8 px lie amid canvases of 16 x 16, filled with one random 4 x 4 pattern: another for every
row (only who has seen the row can know its digit by it), one for every class (anybody can), or the same
for all (nobody can). Encoders see crops that link the lower left corner to the digit; once, at one
pattern a row, crops that seldom hold a corner alone. 120 rows in 8 pairs of halves, 600 public rows, 10
voters, ten classes. A line of the result is a condition and a reference: accuracies and their gap with
95% intervals (clustered by block and row) at the most confident share of the rows; and the shares of the
four parts as single pairs see them, with intervals, and pooled. The primary number: the gap at
all rows by two encoders, above 0 for one pattern a row, and 0 within its interval for the same for all.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.datasets import load_digits

from sslmemo.augmentations.geometry import RandomCropFlip, crop
from sslmemo.baselines import DejaVuEstimator

from .common import save

N, N_PUBLIC = 120, 600
RECIPE = {"encoder": "mlp", "n_encoders": 16, "epochs": 100, "batch_size": 30, "learning_rate": 3e-3,
          "n_neighbors": 10, "metric": "cosine", "reference": "classifier", "device": "cpu",
          "public": np.arange(N, N + N_PUBLIC)}  # fmt: skip


class CornerOrRest(torch.nn.Module):
    """Half of the views are the lower left corner, the others boxes of at least 70% of the area."""

    def __init__(self):
        super().__init__()
        self.large = RandomCropFlip(0.7, flip=0.0)

    def forward(self, x):
        b, one = len(x), torch.ones(len(x))
        corner = crop(x, 0 * one, 0.75 * one, 0.25 * one, 0.25 * one, one)
        return torch.where((torch.rand(b) < 0.5)[:, None, None, None], corner, self.large(x))


CONDITIONS = {  # pattern, augmentation
    "one pattern a row": ("row", CornerOrRest),
    "one pattern a class": ("class", CornerOrRest),
    "the same pattern": ("constant", CornerOrRest),
    "one pattern a row, large crops": ("row", lambda: RandomCropFlip(0.5, flip=0.0)),
}


def planted(kind, n, seed=0):
    """Random digits amid canvases of a pattern: images (n, 1, 16, 16) in [0, 1] and labels."""
    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    rows = rng.permutation(len(X))[:n]
    X, y = X[rows].reshape(n, 8, 8) / 16, y[rows]
    pattern = {
        "row": rng.integers(0, 2, (n, 4, 4)),
        "class": rng.integers(0, 2, (10, 4, 4))[y],
        "constant": np.full((n, 4, 4), 0.5),
    }[kind]
    images = np.tile(pattern, (1, 4, 4)).astype(np.float32)
    images[:, 4:12, 4:12] = X
    return images[:, None], y


def deja_vu(folder):
    """Accuracies, gaps and parts of every condition, by both references."""
    table = []
    for condition, (kind, augmentation) in CONDITIONS.items():
        started = time.perf_counter()
        est = DejaVuEstimator(
            augmentation=augmentation(), **RECIPE, memory=folder, random_state=0, verbose=0
        ).fit(*planted(kind, N + N_PUBLIC))
        took = time.perf_counter() - started
        for line in range(len(est.accuracy_)):
            entries = {name: column[line].item() for name, column in est.accuracy_.columns.items()}
            table.append({"condition": condition, **entries})
        parts = est.partition_table()
        for line in range(len(parts)):
            entries = {name: column[line].item() for name, column in parts.columns.items()}
            table.append({"condition": condition, **entries})
        for reference, result in est.results_.items():
            reliability = result.reliability_interval
            table.append({
                "condition": condition, "reference": reference, "reliability": float(reliability),
                "reliability_low": reliability.low, "reliability_high": reliability.high,
            })  # fmt: skip
        print(condition, est.accuracy_, parts, f"{took:.0f} s", sep="\n", flush=True)
    save("comparison_deja_vu", __doc__.splitlines()[0], table, "full")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where finished trainings are kept")
    deja_vu(parser.parse_args().folder)
