"""Does removing memorized rows hurt the downstream task more than removing random ones?

`python -m benchmarks.removal PART FOLDER --data MNIST` keeps finished trainings in FOLDER and writes
benchmarks/results/removal_PART.json and, for several fractions, docs/images/removal_PART.png. MNIST is a
folder with the four IDX files; rows come from 20,000 on of the training set, which no default was chosen
on, and the accuracy is that of 5,000 test digits. The primary contrast, named beforehand: memorized minus
random at 50%.

Parts: main (1,000 rows, all orders), small and large (250 and 2,000 rows), short and long (10 and 80
epochs), epochs (equal epochs in place of equal steps), stratified (the same share of every class), planted
(rotated digits as a rare subpopulation of 5%), tiles (of photographs in scikit-image, the class is the
photograph; no `--data`), and cifar10, with `--data` as benchmarks.cifar10 takes it.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from sslmemo import KNNProbe, LinearProbe, MemorizationEstimator, RemovalDisplay
from sslmemo.designs import Subsample
from sslmemo.experiments import removal_experiment

from .alone import read_idx
from .cifar10 import read_cifar10
from .common import rows_of, save

IMAGES = Path(__file__).parents[1] / "docs" / "images"
ALL = ("memorized", "random", "least_memorized", "pixel_isolation", "isolation", "sas", "difficult",
       "self_influence")  # fmt: skip
THREE = ALL[:3]
PARTS = {
    "main": {"n_samples": 1000, "strategies": ALL},
    "small": {"n_samples": 250, "strategies": THREE, "n_replicates": 10},
    "large": {"n_samples": 2000, "strategies": THREE[:2], "fractions": (0.5,)},
    "short": {"n_samples": 1000, "strategies": THREE, "fractions": (0.5,)},
    "long": {"n_samples": 1000, "strategies": THREE[:2], "fractions": (0.5,)},
    "epochs": {
        "n_samples": 1000,
        "strategies": THREE,
        "fractions": (0.3, 0.5, 0.7),
        "equal": "epochs",
    },
    "stratified": {
        "n_samples": 1000,
        "strategies": THREE,
        "fractions": (0.3, 0.5),
        "stratify": True,
    },
    "planted": {"n_samples": 1000, "strategies": THREE, "fractions": (0.05, 0.1, 0.3)},
    "tiles": {"n_samples": 600, "strategies": THREE, "fractions": (0.5,)},
    "cifar10": {"n_samples": 500, "strategies": THREE[:2], "fractions": (0.5,)},
}
RECIPES = {"large": {"n_encoders": 32}, "short": {"epochs": 10}, "long": {"epochs": 80}}
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry", "retina",
               "hubble_deep_field")  # fmt: skip


class NoisyLabels(ClassifierMixin, BaseEstimator):
    """A classifier that is fitted on labels, a share of which is drawn at random."""

    def __init__(self, classifier, share=0.2):
        self.classifier = classifier
        self.share = share

    def fit(self, X, y):
        rng = np.random.default_rng(0)
        y = np.where(rng.random(len(y)) < self.share, rng.permutation(y), y)
        self.classifier_ = clone(self.classifier).fit(X, y)
        return self

    def predict(self, X):
        return self.classifier_.predict(X)


TASKS = {"accuracy": LinearProbe(), "knn": KNNProbe(), "noisy_labels": NoisyLabels(LinearProbe())}


def data_of(part, path):
    """Training rows and labels, test rows and labels, and subpopulations of the test rows."""
    if part == "cifar10":
        return *read_cifar10(path, "train", 5000), *read_cifar10(path, "test", 5000), None
    if part == "tiles":
        X, y = tiles()
        return X[:1200], y[:1200], X[1200:], y[1200:], None
    stop = 35_000 if part == "large" else 25_000
    X, y = (p[20_000:stop] for p in read_idx(path, "train"))
    X_test, y_test = (p[:5000] for p in read_idx(path, "t10k"))
    if part != "planted":
        return X, y, X_test, y_test, None
    X, _ = with_turned(X, 0)
    X_test, turned_test = with_turned(X_test, 1)
    return X, y, X_test, y_test, np.where(turned_test, "turned", "upright")


def tiles(size=32, darkest=20, most=400):
    """Shuffled tiles of colour photographs, but for near-black ones, and the photograph of each."""
    import skimage.data

    X, y = [], []
    for k, name in enumerate(PHOTOGRAPHS):
        picture = getattr(skimage.data, name)()
        h, w = (s // size for s in picture.shape[:2])
        cut = picture[: h * size, : w * size].reshape(h, size, w, size, 3).transpose(0, 2, 4, 1, 3)
        cut = cut.reshape(h * w, 3, size, size)
        cut = cut[cut.mean((1, 2, 3)) >= darkest]
        X.append(np.random.default_rng(k).permutation(cut)[:most])
        y.append(np.full(len(X[-1]), k))
    rows = np.random.default_rng(0).permutation(sum(map(len, X)))
    return np.ascontiguousarray(np.concatenate(X)[rows]), np.concatenate(y)[rows]


def with_turned(X, seed, share=0.05):
    """A random share of the digits turned by a quarter: images and mask."""
    turned = np.random.default_rng(seed).random(len(X)) < share
    X = X.copy()
    X[turned] = np.rot90(X[turned], axes=(2, 3))
    return X, turned


def main(part, folder, path):
    """Run one part, and write its numbers and picture."""
    X, y, X_test, y_test, groups = data_of(part, path)
    options = dict(PARTS[part])
    if groups is not None:
        options["subpopulations"] = groups
    recipe = {"n_encoders": 64, "epochs": 40, **RECIPES.get(part, {})}
    estimator = MemorizationEstimator(
        encoder="mlp", design=Subsample(0.25), batch_size=50, **recipe
    )
    started = time.perf_counter()
    found = removal_experiment(
        X, y, X_test=X_test, y_test=y_test, estimator=estimator, n_jobs=-1, memory=folder,
        random_state=0, **{"n_replicates": 5, "n_repeats": 4, "downstream": TASKS, **options},
    )  # fmt: skip
    print(found, f"{time.perf_counter() - started:.0f} s", sep="\n")
    metrics = list(TASKS)
    metrics += [] if groups is None else [f"accuracy[subpopulation={g}]" for g in np.unique(groups)]
    rows = []
    for metric in metrics:
        rows += rows_of(found.summary_table(metric))
    rows.append({"replicates": len(found.curves), "reliability_mean": float(found.reliability.mean()),
                 "reliability_least": float(found.reliability.min())})  # fmt: skip
    save(f"removal_{part}", __doc__.splitlines()[0], rows, "full")
    if len(options.get("fractions", (0, 0))) < 2:
        return  # one fraction is no curve
    shown = metrics[0] if groups is None else "accuracy[subpopulation=turned]"
    RemovalDisplay.from_result(found, metric=shown).figure_.savefig(
        IMAGES / f"removal_{part}.png", dpi=110
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("folder", help="where finished trainings are kept")
    parser.add_argument("--data", help="MNIST's IDX files, or CIFAR-10")
    args = parser.parse_args()
    main(args.part, args.folder, args.data)
