"""How far do definitions of memorization rank the same rows alike, free of the noise of each?

`python -m benchmarks.definitions FOLDER` keeps finished trainings in FOLDER and writes
benchmarks/results/comparison_definitions.json.

300 of scikit-learn's digits, and the 569 rows of load_breast_cancer: a pool of SimCLR encoders on quarters of
the rows; the paper's single pair with 30% candidates; label memorization of a nearest neighbour on
quarters; deja vu of the digits' corners; proxies from one training on all rows; two outlier detectors on
the flat rows. Spearman correlations as they are, and corrected for noise, with 95% intervals that hold for
other rows and other trainings. Every score has trainings of its own. Where a definition stands with
itself, the number is its reliability: the correlation with an independent rerun.
"""

import argparse
import time

from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.neighbors import KNeighborsClassifier

from sslmemo import LabelMemorizationEstimator, MemorizationEstimator
from sslmemo.designs import Split, Subsample
from sslmemo.experiments import compare_definitions
from sslmemo.experiments.noisy_ranks import repeatability

from .common import rows_of, save

QUARTERS = {"design": Subsample(0.25), "n_encoders": 64}
SPLIT = Split(shared=0.4, candidate=0.3, independent=0.3)


def datasets():
    """Rows and labels by name."""
    X, y = load_digits(return_X_y=True)
    yield "digits", (X[:300] / 16).reshape(-1, 1, 8, 8), y[:300]
    yield "breast cancer", *load_breast_cancer(return_X_y=True)


def measure(folder, n_jobs):
    """All pairs of definitions, and each with itself."""
    table = []
    for data, X, y in datasets():
        started = time.perf_counter()
        found = compare_definitions(
            X,
            y,
            estimator=MemorizationEstimator(epochs=60, **QUARTERS),
            label=LabelMemorizationEstimator(KNeighborsClassifier(1), **QUARTERS),
            split=SPLIT,
            n_jobs=n_jobs,
            memory=folder,
            random_state=0,
            verbose=0,
        )
        for name, scores in found.given.items():
            own = repeatability(scores)
            table.append({
                "data": data, "first": name, "second": name, "n_rows": int(scores.known.sum()),
                "spearman": own.value, "low": own.low, "high": own.high,
            })  # fmt: skip
        for row in rows_of(found.table()):
            row.pop("resolved")
            table.append({"data": data, **row})
        print(f"{data}: {time.perf_counter() - started:.0f} s", flush=True)
        print(found.summary(), flush=True)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where finished trainings are kept")
    parser.add_argument("--jobs", type=int, default=None, help="blocks at once")
    args = parser.parse_args()
    save("comparison_definitions", __doc__.splitlines()[0], measure(args.folder, args.jobs), "full")
