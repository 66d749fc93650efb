"""Which estimator reaches which agreement with the truth, at what cost?

`python -m benchmarks.estimators PROBLEM FOLDER --data PATH` trains a large pool as the truth and others to
cut small ones from, keeps finished trainings in FOLDER, and writes
benchmarks/results/estimators_PROBLEM.json, docs/images/estimators_PROBLEM.png, and the truth pool with its
recipe and checksum to benchmarks/pools/PROBLEM.sslmemo. With `--pools` it only reads a pool that is
there and says what it holds. `fractions` is no problem but a sweep over training sizes, on MNIST's rows
from 54,000 on.

Problems, named before any estimator was tuned and never used for tuning: digits_mlp and digits_convnet
(PATH is a folder with MNIST's IDX files; rows from 50,000 and 52,000 on of the training set), colour
(CIFAR-10 as benchmarks.cifar10 takes it, rows from 30,000 on), table (breast cancer of scikit-learn).
Tuned on others: MNIST's rows from 45,000 on, and the diabetes table.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sslmemo import CostAgreementDisplay, MemorizationEstimator, MemorizationProxy
from sslmemo.designs import Subsample
from sslmemo.estimates import Difference, Shrinkage, posterior
from sslmemo.estimates.blocks import block_means
from sslmemo.estimates.shrinkage import FEATURES, PENALTIES
from sslmemo.experiments import Proxy, compare_on_pools, fraction_sweep, load_pool, save_pool

from .alone import read_idx
from .cifar10 import read_cifar10
from .common import rows_of, save

IMAGES = Path(__file__).parents[1] / "docs" / "images"
POOLS = Path(__file__).parent / "pools"
ESTIMATES = {
    "difference": Difference(),
    "per encoder": Difference(normalize="encoder"),
    "shrinkage": Shrinkage(),
}
KINDS = ("depth_isolation", "isolation", "input_isolation", "alignment", "self_influence")
N_TRAININGS = 10  # of every proxy
HALF, QUARTER = Subsample(), Subsample(0.25)
FELDMAN_ZHANG = Subsample(0.7, balanced=False)
SOURCES = {  # design, encoders, share of the epochs, sizes to cut
    "halves": (HALF, 160, 1.0, (4, 8, 16, 32)),
    "quarters": (QUARTER, 160, 1.0, (8, 16, 32)),
    "independent 70%": (FELDMAN_ZHANG, 96, 1.0, (8, 16, 32, 48)),
    "halves, half the epochs": (HALF, 160, 0.5, (4, 8, 16, 32)),
}
PROBLEMS = {  # rows, recipe, encoders of the truth, sources
    "digits_mlp": (300, {"encoder": "mlp", "epochs": 60}, 256, tuple(SOURCES)),
    "digits_convnet": (200, {"encoder": "convnet", "epochs": 40}, 192, ("halves",)),
    "colour": (200, {"encoder": "mlp", "epochs": 40}, 192, ("halves",)),
    "table": (300, {"encoder": "mlp", "epochs": 60}, 256, ("halves",)),
}


def rows(problem, path):
    """Rows of a problem."""
    n = PROBLEMS[problem][0]
    if problem == "table":
        from sklearn.datasets import load_breast_cancer

        return load_breast_cancer().data[np.random.default_rng(0).permutation(569)[:n]]
    if problem == "colour":
        return read_cifar10(path, "train", 30_000 + n)[0][30_000:]
    start = {"digits_mlp": 50_000, "digits_convnet": 52_000}[problem]
    return read_idx(path, "train")[0][start : start + n]


def pools(problem, X, folder):
    """The truth, and sources by name: results of fits with seeds of their own."""
    _, recipe, n_truth, names = PROBLEMS[problem]
    common = {"batch_size": 50, "n_jobs": -1, "memory": folder, "estimate": "shrinkage", **recipe}
    wanted = {"truth": (HALF, n_truth, 1.0), **{name: SOURCES[name][:3] for name in names}}
    found = {}
    for seed, (name, (design, n, share)) in enumerate(wanted.items()):
        est = MemorizationEstimator(design=design, n_encoders=n, random_state=seed, **common)
        est.set_params(epochs=share * recipe["epochs"])
        found[name] = est.fit(X).result_
        print(f"{name}: {n} encoders, reliability {found[name].reliability:.3f}", flush=True)
    return found.pop("truth"), found


def from_one_training(kind, X, recipe, folder):
    """Scores by a proxy, each from one encoder of all rows."""
    fits = [
        MemorizationProxy(
            kind, batch_size=50, memory=folder, random_state=s, verbose=0, **recipe
        ).fit(X)
        for s in range(N_TRAININGS)
    ]
    return Proxy(np.stack([f.proxy_scores_ for f in fits]), 1, len(X) * recipe["epochs"])


def main(problem, folder, path):
    """Train the pools of a problem, compare, and write numbers, picture and truth."""
    started = time.perf_counter()
    X, recipe = rows(problem, path), PROBLEMS[problem][1]
    truth, sources = pools(problem, X, folder)
    compared = compare_on_pools(
        truth, sources, ESTIMATES, n_encoders={name: SOURCES[name][3] for name in sources},
        proxies={kind: from_one_training(kind, X, recipe, folder) for kind in KINDS},
    )  # fmt: skip
    print(compared, f"{time.perf_counter() - started:.0f} s", sep="\n")
    found = rows_of(compared.summary_table()) + rows_of(compared.gains())
    found += rows_of(compared.cost_to_reach()) + coverage(truth, sources) + limit(truth, sources)
    save(f"estimators_{problem}", __doc__.splitlines()[0], found, "full")
    display = CostAgreementDisplay.from_result(compared)
    display.figure_.savefig(IMAGES / f"estimators_{problem}.png", dpi=110)
    POOLS.mkdir(exist_ok=True)
    save_pool(truth, POOLS / f"{problem}.sslmemo")


def fractions(folder, path):
    """How scores move with the training size, at equal epochs and at equal steps."""
    X = read_idx(path, "train")[0][54_000:54_200]
    est = MemorizationEstimator(
        encoder="mlp", epochs=40, batch_size=50, n_jobs=-1, memory=folder, verbose=0
    )
    found = []
    for equal in ("epochs", "steps"):
        sweep = fraction_sweep(est, X, n_blocks=16, equal=equal, random_state=0)
        print(sweep, flush=True)
        found += [{"equal": equal, **row} for row in rows_of(sweep.table())]
    save("estimators_fractions", "How do scores move with the training size?", found, "full")


def coverage(truth, sources):
    """How often 95% intervals of small pools of halves hold the truth, by stratum.

    The truth has an error of its own, which is added to each interval's half width in squares.
    """
    plan, values = sources["halves"].run.plan, sources["halves"].run.values
    true, error = truth.unbiased.score, truth.unbiased.scores.raw_standard_error
    most = max(1, round(0.05 * len(true)))
    found = []
    for n_blocks in (4, 8, 16):
        inside = {}
        for start in range(0, len(plan.blocks) - n_blocks + 1, n_blocks):
            part = plan.take(plan.blocks[start : start + n_blocks])
            keep = np.isin(plan.block, part.blocks)
            scores = Shrinkage()({k: v[keep] for k, v in values.items()}, part)
            own = scores.difference
            for name, score, (low, high) in (
                ("own blocks", own.score, scores.interval()),
                ("posterior of the difference", posterior(own).mean, posterior(own).interval()),
                ("shrinkage", scores.score, posterior(scores).interval()),
            ):
                half = np.sqrt(((high - low) / 2) ** 2 + (1.96 * error) ** 2)
                hit = np.abs(true - (low + high) / 2) <= half
                strata = hit, hit[np.argsort(-true)[:most]], hit[np.argsort(-score)[:most]]
                inside.setdefault(name, []).append([s.mean() for s in strata])
        for name, shares in inside.items():
            everywhere, top, picked = np.mean(shares, axis=0)
            found.append({"interval": name, "encoders": 2 * n_blocks, "all_rows": everywhere,
                          "truly_top_5%": top, "picked_top_5%": picked})  # fmt: skip
    return found


def limit(truth, sources):
    """How far the features of shrinkage can tell the truth: Spearman of ceiling of its own regression
    fitted to the truth itself, on features of all encoders, for rows left out."""
    plan, values = sources["halves"].run.plan, sources["halves"].run.values
    columns = []
    for name in ("alignment", *FEATURES):
        means = block_means(values[name], plan)
        columns += [means.inside.mean(0), means.outside.mean(0)]
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    folds = KFold(10, shuffle=True, random_state=0)
    told = cross_val_predict(model, np.stack(columns, 1), truth.unbiased.score, cv=folds)
    rank = spearmanr(told, truth.unbiased.score)[0] / np.sqrt(truth.spearman_reliability)
    return [{"features alone, fitted to the truth": "ridge", "spearman_of_ceiling": rank}]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problem", choices=[*PROBLEMS, "fractions"])
    parser.add_argument("folder", help="where finished trainings are kept")
    parser.add_argument("--data", help="MNIST's IDX files, or CIFAR-10")
    parser.add_argument(
        "--pools", action="store_true", help="read the released pool, train nothing"
    )
    args = parser.parse_args()
    if args.problem == "fractions":
        fractions(args.folder, args.data)
    elif args.pools:
        print(load_pool(POOLS / f"{args.problem}.sslmemo"))
    else:
        main(args.problem, args.folder, args.data)
