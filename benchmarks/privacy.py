"""What does differentially private training cost, and what does it leave of memorization?

`python -m benchmarks.privacy FOLDER` keeps finished trainings in FOLDER and writes
benchmarks/results/comparison_privacy.json and docs/images/privacy.png. About 8 minutes on 2 cores.

600 rows of scikit-learn's digits, halves, BYOL with LayerNorm in place of BatchNorm, a perceptron as encoder.
Ordinary training against PrivateTraining at several noise multipliers, clip 1, delta 1e-4. Pools share
their seeds, so that rows, initial weights and views are the same at every multiplier; differences from
ordinary training are paired by block. Epsilon is that of one encoder, never of the pool. Accuracy is that
of a linear probe fitted on all 600 rows and read on 600 others. Intervals are 95% t intervals over blocks.
The primary contrast, named beforehand: mean memorization at the largest multiplier minus ordinary training.
"""

import argparse
import functools
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from sslmemo import LinearProbe, MemorizationEstimator
from sslmemo.data import as_data
from sslmemo.encoders.mlp import mlp
from sslmemo.measurements import Downstream
from sslmemo.methods import BYOL, LayerNormed
from sslmemo.training.private import PrivateTraining, privacy_of

from .common import save
from .comparison import interval

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "privacy.png"
N = 600
MULTIPLIERS = (0.0, 0.5, 1.0, 2.0, 4.0)
RECIPE = {
    "method": LayerNormed(BYOL(hidden_dim=64, projection_dim=32)),
    "encoder": functools.partial(mlp, (1, 8, 8), width=128, out_dim=32, norm="layer"),
    "epochs": 40,
    "batch_size": 50,
    "learning_rate": 3e-3,
    "precision": "fp32",
}


def by_block(run, values):
    """Mean of a value (k,) of every encoder within each block."""
    return np.array([values[run.plan.encoders_of(b)].mean() for b in run.plan.blocks])


def curve(folder, n_encoders, multipliers):
    """Mean memorization and accuracy without privacy, and at every multiplier."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    probe = Downstream({"linear": LinearProbe()}, y[:N], as_data(X[N : 2 * N]), y[N : 2 * N])
    table, ordinary = [], None
    for multiplier in (None, *multipliers):
        private = None if multiplier is None else PrivateTraining(1.0, multiplier, delta=1e-4)
        started = time.perf_counter()
        estimator = MemorizationEstimator(
            **RECIPE, gradient_noise=private, n_encoders=n_encoders, measurements=[probe],
            random_state=0, n_jobs=-1, memory=folder, verbose=0,
        )  # fmt: skip
        result = estimator.fit(X[:N]).result_
        found = {
            "memorization": result.scores.blocks.mean(1),
            "accuracy": by_block(result.run, result.run.values["linear"].mean(1)),
        }
        ordinary = found if ordinary is None else ordinary
        row = {"training": "ordinary" if private is None else "private", "multiplier": multiplier}
        row["epsilon"] = None if private is None else privacy_of(result.run)["epsilon"]
        row |= {"encoders": n_encoders, "steps": result.run.config["trainer"]["steps"]}
        for name, values in found.items():
            row[name], row[f"{name}_low"], row[f"{name}_high"] = interval(values)
            row[f"{name}_standard_error"] = float(values.std(ddof=1) / np.sqrt(len(values)))
            if private is not None:
                change = interval(values - ordinary[name])
                row |= dict(
                    zip((f"{name}_change", f"{name}_change_low", f"{name}_change_high"), change)
                )
        row["effective_rank"] = float(np.median(result.run.values["effective_rank"]))
        row["seconds_an_encoder"] = float(result.run.seconds.sum() / n_encoders)
        table.append(row)
        print(row, f"{time.perf_counter() - started:.0f} s", flush=True)
    return table


def shown(epsilon):
    """An epsilon below its multiplier on the axis."""
    return r"$\infty$" if np.isinf(epsilon) else f"{epsilon:.3g}"


def draw(table):
    """Both curves, with their intervals and a line for ordinary training."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    plain, private = table[0], table[1:]
    places = range(len(private))
    for ax, name, label in zip(
        axes, ("memorization", "accuracy"), ("mean memorization", "accuracy of a linear probe")
    ):
        middle = [r[name] for r in private]
        ends = np.abs(
            [[r[name] - r[f"{name}_low"], r[f"{name}_high"] - r[name]] for r in private]
        ).T
        ax.errorbar(places, middle, ends, fmt="o-", capsize=3, color="C0", label="private")
        ax.axhline(plain[name], color="C1", ls="--", label="ordinary")
        ax.axhspan(plain[f"{name}_low"], plain[f"{name}_high"], color="C1", alpha=0.15, lw=0)
        ticks = [f"{r['multiplier']:g}\n{shown(r['epsilon'])}" for r in private]
        ax.set_xticks(places, ticks)
        ax.set_xlabel("noise multiplier, and epsilon of one encoder")
        ax.set_ylabel(label)
        ax.legend(frameon=False)
    figure.savefig(IMAGE, dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where finished trainings are kept")
    parser.add_argument("--n-encoders", type=int, default=10)
    parser.add_argument("--multipliers", type=float, nargs="+", default=MULTIPLIERS)
    args = parser.parse_args()
    rows = curve(args.folder, args.n_encoders, args.multipliers)
    draw(rows)
    save("comparison_privacy", __doc__.splitlines()[0], rows, f"{args.n_encoders} encoders")
