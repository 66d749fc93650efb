"""Near-duplicates planted among digits: are they found, and what do they do to memorization?

    python -m benchmarks.duplicates

Detection: 20 of 500 rows of scikit-learn's digits get a near-copy (Gaussian noise of 2, 5 or 10% of
the range of grey, or a shift by one pixel); ten draws. Pairs found by `find_near_duplicates` in input
space and among the representations of a SimCLR encoder trained on all rows, against the planted
ones; without copies every pair is false. Beside its threshold that of two views: the median distance
between two augmented views of one row.

Scores: the 16 loneliest of 300 digits get a near-copy (5% noise). One pool of 64 half-split encoders
gives m(x) with the twin in, with it out and jointly; another one, fitted with `groups=`, the joint
score directly. Means over the 32 rows with 95% intervals by block.
"""

import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from sslmemo import MemorizationEstimator, SSLEncoder
from sslmemo.audits import find_near_duplicates, twin_memorization
from sslmemo.augmentations import build_augmentation
from sslmemo.augmentations.views import Views
from sslmemo.data import as_data

from .common import save

N, N_TWINS, DRAWS = 500, 20, 10
KINDS = {"none": None, "noise 2%": 0.02, "noise 5%": 0.05, "noise 10%": 0.1, "shift": "shift"}
RECIPE = {"epochs": 40, "batch_size": 100, "random_state": 0}


def copied(X, rows, kind, rng):
    """X with near-copies of some rows behind it."""
    if kind == "shift":
        copies = np.roll(X[rows], 1, axis=3)
        copies[..., 0] = 0
    else:
        copies = np.clip(X[rows] + kind * rng.standard_normal(X[rows].shape), 0, 1)
    return np.concatenate([X, copies.astype(np.float32)])


def between_views(X, encoder=None):
    """Median distance between two augmented views of a row."""
    data = as_data(X)
    views = Views(build_augmentation("auto", data))
    drawn = np.concatenate([v.numpy() for _, v in views.of_rows(data, 2, seed=0)], axis=1)
    z = [v.reshape(len(X), -1) if encoder is None else encoder.transform(v) for v in drawn]
    if encoder is not None:
        z = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in z]
    return float(np.median(np.linalg.norm(z[0] - z[1], axis=1)))


def detection(X):
    """Precision and recall of the pairs found, summed over the draws."""
    table = []
    for kind, size in KINDS.items():
        counts = {}
        for draw in range(DRAWS):
            rng = np.random.default_rng(draw)
            chosen = rng.permutation(len(X))
            drawn = X[chosen[:N]]
            planted = set()
            if size is not None:
                drawn = copied(drawn, np.arange(N_TWINS), size, rng)
                planted = {(i, N + i) for i in range(N_TWINS)}
            encoder = SSLEncoder(**{**RECIPE, "random_state": draw}).fit(drawn)
            for space, by in (("input", None), ("representation", encoder)):
                rules = {"chance": "auto", "views": between_views(drawn, by)}
                for rule, threshold in rules.items():
                    found = find_near_duplicates(drawn, encoder=by, threshold=threshold)
                    pairs = set(map(tuple, found.pairs.tolist()))
                    total = counts.setdefault((space, rule), np.zeros(3, int))
                    total += [len(pairs & planted), len(pairs), len(planted)]
        for (space, rule), (right, told, truth) in counts.items():
            table.append({
                "part": "detection", "copies": kind, "space": space, "threshold": rule,
                "precision": right / told if told else None, "recall": right / truth if truth else None,
                "false_pairs_a_set": (told - right) / DRAWS, "planted": int(truth), "sets": DRAWS,
            })  # fmt: skip
            print(table[-1], flush=True)
    return table


def mean_of(blocks):
    """Mean score over rows with its 95% t interval by block: blocks (n_blocks, n_rows)."""
    values = blocks.mean(1)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def scores(X):
    """The three scores of planted twins, what groups= says of them, and the plain score."""
    X = X[:300]
    distance = NearestNeighbors(n_neighbors=5).fit(X.reshape(len(X), -1)).kneighbors()[0].mean(1)
    lone = np.argsort(distance)[-16:]
    X = copied(X, lone, 0.05, np.random.default_rng(0))
    pairs = np.stack([lone, 300 + np.arange(16)], 1)
    found = find_near_duplicates(X)
    shared = {**RECIPE, "n_encoders": 64, "n_jobs": -1, "verbose": 0}
    pool = MemorizationEstimator(**shared).fit(X).result_
    told = twin_memorization(pool, np.concatenate([pairs, pairs[:, ::-1]]))
    groups = np.arange(len(X))
    groups[pairs[:, 1]] = lone
    tied = MemorizationEstimator(**{**shared, "random_state": 1}).fit(X, groups=groups).result_
    means = {"plain m(x)": mean_of(pool.scores.blocks[:, pairs.ravel()])}
    for name in ("twin_in", "twin_out", "joint", "hidden"):
        mean = getattr(told, name).mean()
        low, high = mean.interval()
        means[name] = float(mean.score[0]), float(low[0]), float(high[0])
    means["joint by groups="] = mean_of(tied.scores.blocks[:, pairs.ravel()])
    means["all rows"] = mean_of(pool.scores.blocks)
    typical = {
        name: float(np.median(getattr(told, name).standard_error))
        for name in ("twin_in", "twin_out", "joint", "hidden")
    }
    planted = set(map(tuple, pairs.tolist()))
    print("pairs found:", len(planted & set(map(tuple, found.pairs.tolist()))), "of", len(planted))
    table = [
        {"part": "scores", "score": name, "mean": mean, "low": low, "high": high,
         "error_of_a_row": typical.get(name)}
        for name, (mean, low, high) in means.items()
    ]  # fmt: skip
    print(*table, sep="\n", flush=True)
    return table


def main():
    X = (load_digits().data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    save("comparison_duplicates", __doc__.splitlines()[0], scores(X) + detection(X), "full")


if __name__ == "__main__":
    main()
