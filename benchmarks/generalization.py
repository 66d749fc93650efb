"""Does a memorized point help its class, what does the bound say, and what does the long tail cost?

`python -m benchmarks.generalization PART FOLDER --data MNIST` keeps finished trainings in FOLDER and writes
benchmarks/results/generalization_PART.json and, where there is one, docs/images/generalization_PART.png.
MNIST is a folder with the four IDX files; rows come from 30,000 on of the training set.

Parts: outlier (one to 20 points of a class, ten classes), bound (Huang et al.'s, with all rows and without
the 30% most memorized or random ones), long_tail (a mixture with Zipf frequencies; needs no data), ablation
(one choice of the recipe changed at a time).
"""

import argparse
import functools
import time
from pathlib import Path

import numpy as np

from sslmemo import LongTailDisplay, MemorizationEstimator, OutlierClassDisplay, SSLEncoder
from sslmemo.augmentations.geometry import RandomAffine
from sslmemo.designs import Subsample
from sslmemo.encoders.mlp import mlp
from sslmemo.experiments import (
    LongTailSimulator,
    ablation,
    generalization_bound,
    long_tail_experiment,
    outlier_class_experiment,
    regularised_variants,
)
from sslmemo.experiments.orders import first_of
from sslmemo.methods import SimCLR

from .alone import read_idx
from .common import rows_of, save

IMAGES = Path(__file__).parents[1] / "docs" / "images"
RECIPE = {"encoder": "mlp", "epochs": 40, "batch_size": 50}


def outlier(folder, path):
    """Gains of a class from its first training points."""
    X, y = (p[30_000:32_000] for p in read_idx(path, "train"))
    found = outlier_class_experiment(
        X, y, counts=(1, 5, 20), n_points=3, n_repeats=2, n_common=500, encoder=SSLEncoder(**RECIPE),
        n_jobs=-1, memory=folder, random_state=0,
    )  # fmt: skip
    print(found)
    points = found.points_table()
    display = OutlierClassDisplay.from_result(found)
    display.figure_.savefig(IMAGES / "generalization_outlier.png", dpi=110)
    return rows_of(found.summary_table()) + rows_of(points)


def bound(folder, path):
    """Terms of the bound with all rows, and without some."""
    X, y = (p[33_000:34_000] for p in read_idx(path, "train"))
    X_test, y_test = (p[:2000] for p in read_idx(path, "t10k"))
    est = MemorizationEstimator(
        design=Subsample(0.25), n_jobs=-1, memory=folder, random_state=0, **RECIPE
    ).fit(X, y)
    chance = np.random.default_rng(0).random(len(X))
    rows = []
    for name, order in (("all", None), ("memorized", est.memorization_scores_), ("random", chance)):
        kept = np.ones(len(X), bool) if order is None else ~first_of(order, 0.3)
        for seed in range(4):
            encoder = SSLEncoder(memory=folder, random_state=seed, **RECIPE).fit(X[kept])
            found = generalization_bound(encoder, X, y, X_test=X_test, y_test=y_test)
            weights = found.n_samples
            rows.append(
                {
                    "removed": name,
                    "seed": seed,
                    "conditions_hold": int(found.holds.sum()),
                    "sigma": float(np.average(found.sigma, weights=weights)),
                    "unaligned": float(np.average(found.unaligned, weights=weights)),
                    "least_slack": float(found.slack.min()),
                    "largest_slack": float(found.slack.max()),
                    "error": found.overall_error,
                    "error_test": found.overall_error_test,
                }
            )
            print(rows[-1], flush=True)
    return rows


def long_tail(folder, path):
    """Memorization and error by how often a subpopulation was seen, over five samples."""
    tables = []
    for seed in range(5):
        simulator = LongTailSimulator(
            n_subpopulations=100, n_samples=200, spread=0.6, random_state=seed
        )
        plain = MemorizationEstimator(
            design=Subsample(0.25),
            n_encoders=32,
            epochs=60,
            batch_size=25,
            n_jobs=-1,
            memory=folder,
        )
        table = long_tail_experiment(simulator, regularised_variants(plain), random_state=seed)
        tables += [{"sample": seed, **row} for row in rows_of(table)]
        if seed == 0:
            display = LongTailDisplay(table).plot()
            display.figure_.savefig(IMAGES / "generalization_long_tail.png", dpi=110)
    rows = []
    for variant in dict.fromkeys(r["variant"] for r in tables):
        mine = [r for r in tables if r["variant"] == variant]
        once = [r["memorization"] for r in mine if r["count"] == 1]
        excess = [sum(r["excess_error"] for r in mine if r["sample"] == s) for s in range(5)]
        rows.append(
            {
                "variant": variant,
                "memorization_of_singletons": float(np.mean(once)),
                "memorization_se": float(np.std(once, ddof=1) / 5**0.5),
                "excess_error": float(np.mean(excess)),
                "excess_error_se": float(np.std(excess, ddof=1) / 5**0.5),
            }
        )
        print(rows[-1], flush=True)
    return rows


def choices(folder, path):
    """Scores under other augmentations, lengths, distances, views, widths, temperatures and subsets."""
    X, y = (p[36_000:36_300] for p in read_idx(path, "train"))
    est = MemorizationEstimator(
        design=Subsample(0.25), n_jobs=-1, memory=folder, verbose=0, **{**RECIPE, "batch_size": 25}
    )
    narrow, wide = (functools.partial(mlp, (1, 28, 28), width=w) for w in (128, 1024))
    grid = {
        "augmentation": {
            "5 degrees, 3%": RandomAffine(5.0, translate=0.03, scale=(0.95, 1.05)),
            "20 degrees, 14%": RandomAffine(20.0, translate=0.14, scale=(0.8, 1.2)),
            "crop and brightness": "simclr",
        },
        "epochs": [10, 160],
        "distance": ["sqeuclidean", "cosine"],
        "n_views": [2, 16],
        "encoder": {"width 128": narrow, "width 1024": wide},
        "method": {
            "temperature 0.1": SimCLR(temperature=0.1),
            "temperature 0.5": SimCLR(temperature=0.5),
        },
        "design": {
            "halves, disjoint": Subsample(0.5),
            "three quarters, overlapping": Subsample(0.75),
        },
    }
    found = ablation(est, X, grid, y=y, random_state=0)
    print(found)
    return rows_of(found.table())


PARTS = {"ablation": choices, "outlier": outlier, "bound": bound, "long_tail": long_tail}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("folder", help="where finished trainings are kept")
    parser.add_argument("--data", help="MNIST's IDX files")
    args = parser.parse_args()
    started = time.perf_counter()
    made = PARTS[args.part](args.folder, args.data)
    print(f"{time.perf_counter() - started:.0f} s")
    save(f"generalization_{args.part}", __doc__.splitlines()[0], made, "full")
