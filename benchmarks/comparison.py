"""What does memorization find that was known before, and what does it not?

`python -m benchmarks.comparison labels FOLDER` keeps finished trainings in FOLDER and writes
benchmarks/results/comparison_labels.json.

labels: a tenth of the labels of scikit-learn's digits are made wrong, and every score is asked for them
by its average precision (`chance` is the mean of that of a random order). Label memorization of three
classifiers by the default design (complementary halves) and by quarters, against Feldman and Zhang's
recipe (independent 70% subsets), 40 trainings each; and memorization by self-supervised encoders, which
see no labels, of the same rows. Ten seeds draw labels and pools anew; differences between designs are
paired by seed. The primary contrast: halves minus independent 70%, for every classifier, on 600 rows.
"""

import argparse
import time

import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier

from sslmemo import LabelMemorizationEstimator, MemorizationEstimator
from sslmemo.designs import Subsample

from .common import save

N_SEEDS, SHARE = 10, 0.1
SIZES = (600, 1797)
CLASSIFIERS = {
    "nearest neighbour": KNeighborsClassifier(1),
    "random forest": RandomForestClassifier(50),
    "logistic regression": None,
}
RECIPE = "independent 70% (Feldman and Zhang)"
DESIGNS = {
    "halves": Subsample(),
    "quarters": Subsample(0.25),
    RECIPE: Subsample(0.7, balanced=False),
}
SSL = {"encoder": "mlp", "n_encoders": 32, "epochs": 30, "batch_size": 50,
       "design": Subsample(0.25)}  # fmt: skip


def planted(y, seed):
    """Labels of which a random tenth is another one, and which those are."""
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(y), bool)
    wrong[rng.permutation(len(y))[: round(SHARE * len(y))]] = True
    return np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y), wrong


def chance(n):
    """Mean average precision of a random order of n rows."""
    k, wrong = np.arange(1, n + 1), round(SHARE * n)
    return float(((1 + (k - 1) * (wrong - 1) / (n - 1)) / k).mean())


def interval(values):
    """Mean of independent values with its 95% t interval."""
    values = np.asarray(values)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def row(n, score, design, precisions, **more):
    """One row of the table."""
    mean, low, high = interval(precisions)
    return {"rows": n, "score": score, "design": design, "average_precision": mean, "low": low,
            "high": high, **more}  # fmt: skip


def labels(folder):
    """Average precision of every score for wrong labels."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    table, shared = [], {"n_jobs": None, "memory": folder, "verbose": 0}
    for n in SIZES:
        drawn = [planted(y[:n], seed) for seed in range(N_SEEDS)]
        for name, classifier in CLASSIFIERS.items():
            precisions = {}
            for design, plan in DESIGNS.items():
                started, results = time.perf_counter(), []
                for seed, (given, _) in enumerate(drawn):
                    estimator = LabelMemorizationEstimator(
                        classifier, design=plan, n_encoders=40, random_state=seed, **shared
                    )
                    results.append(estimator.fit(X[:n], given).result_)
                precisions[design] = [
                    average_precision_score(wrong, result.score)
                    for result, (_, wrong) in zip(results, drawn)
                ]
                fitted = [
                    1 - result.scores.in_mean[wrong].mean()
                    for result, (_, wrong) in zip(results, drawn)
                ]
                table.append(
                    row(
                        n,
                        f"label memorization, {name}",
                        design,
                        precisions[design],
                        chance=chance(n),
                        wrong_labels_fitted=float(np.mean(fitted)),
                        reliability=float(np.mean([r.reliability for r in results])),
                    )
                )
                print(table[-1], f"{time.perf_counter() - started:.0f} s", flush=True)
            for design in ("halves", "quarters"):
                difference = np.subtract(precisions[design], precisions[RECIPE])
                table.append(
                    row(n, f"label memorization, {name}", f"{design} minus {RECIPE}", difference)
                )
                print(table[-1], flush=True)
    n = SIZES[0]
    results = [
        MemorizationEstimator(**SSL, random_state=seed, **shared).fit(X[:n]).result_
        for seed in range(N_SEEDS)
    ]
    precisions = [
        average_precision_score(planted(y[:n], seed)[1], result.score)
        for seed, result in enumerate(results)
    ]
    table.append(
        row(
            n,
            "memorization, SimCLR",
            "quarters",
            precisions,
            chance=chance(n),
            reliability=float(np.mean([r.reliability for r in results])),
        )
    )
    print(table[-1], flush=True)
    save("comparison_labels", __doc__.splitlines()[0], table, "full")


PARTS = {"labels": labels}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("folder", help="where finished trainings are kept")
    args = parser.parse_args()
    PARTS[args.part](args.folder)
