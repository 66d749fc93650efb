"""Do methods, encoders and normalisations memorize the same points?

500 MNIST digits, or 2,000 rows of CIFAR-10; pools of quarters, one `random_state` a fit, so that no two
share memberships or views. Resumable: `python -m benchmarks.agreement methods FOLDER` keeps its
blocks in FOLDER and writes benchmarks/results/agreement_methods.json and docs/images/agreement_methods.png.
Parts: methods, encoders, norms, and cifar10, which needs `--data PATH` as benchmarks.cifar10 does.
"""

import argparse
import functools
import time
from pathlib import Path

import numpy as np

from sslmemo import AgreementDisplay, ConsensusDisplay, MemorizationEstimator
from sslmemo.designs import Subsample
from sslmemo.encoders.mlp import mlp
from sslmemo.encoders.resnet import resnet9
from sslmemo.encoders.vit import vit_tiny
from sslmemo.experiments import agreement, overlap, prevalence
from sslmemo.methods import METHODS

from .cifar10 import read_cifar10
from .common import digits, save

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SHAPE = (1, 28, 28)
SMALL_VIT = functools.partial(vit_tiny, SHAPE, width=64, depth=4, heads=4)

PARTS = {
    "methods": {
        m: {"method": m, **({"encoder": SMALL_VIT} if m == "mae" else {})} for m in METHODS
    },
    "encoders": {
        "mlp": {"encoder": "mlp"},
        "convnet": {"encoder": "convnet"},
        "resnet9 (width 8)": {"encoder": functools.partial(resnet9, SHAPE, width=8)},
        "vit (width 32, depth 3)": {
            "encoder": functools.partial(vit_tiny, SHAPE, width=32, depth=3, heads=2)
        },
    },
    "norms": {
        norm: {"encoder": functools.partial(mlp, SHAPE, norm=norm)}
        for norm in ("batch", "layer", "none")
    },
    "cifar10": {
        m: {"method": m, "encoder": "mlp", "epochs": 60} for m in ("simclr", "swav", "barlow_twins")
    },
}


def data_of(part, path):
    """Images and labels that a part of the grid is fitted on."""
    return read_cifar10(path, "train", 2000) if part == "cifar10" else digits(500, labels=True)


def fit(X, labels, options, seed, folder):
    """One fit of the grid, its blocks kept in the folder: result and seconds of training."""
    est = MemorizationEstimator(
        design=Subsample(0.25), n_encoders=64, batch_size=100, n_jobs=-1, memory=folder,
        random_state=seed, **{"epochs": 100, **options},
    )  # fmt: skip
    est.fit(X, labels)
    return est.result_, float(np.nansum(est.result_.run.seconds))


def main(part, folder, path=None):
    """Fit a part of the grid, and write its numbers and pictures."""
    (X, labels), results, rows = data_of(part, path), {}, []
    for seed, (name, options) in enumerate(PARTS[part].items()):
        started = time.perf_counter()
        results[name], seconds = fit(X, labels, options, seed, folder)
        print(f"{name}: {time.perf_counter() - started:.0f} s", results[name].summary(), sep="\n")
        values = results[name].run.values
        rows.append(
            {
                "fit": name,
                "reliability": results[name].reliability,
                "effective_rank": float(np.median(values["effective_rank"])),
                "knn_accuracy": results[name].knn_accuracy,
                "process_seconds": seconds,
            }
        )
    table = prevalence(results)
    for row, *numbers in zip(
        rows, *(table[c] for c in ("mean", "mean_low", "mean_high", "true_spread")), strict=True
    ):
        row.update(zip(("mean", "mean_low", "mean_high", "true_spread"), numbers, strict=True))
    found, top = agreement(results), overlap(results)
    print(found.summary())
    pairs = found.pairs()
    rows += [
        {name: column[i].item() for name, column in pairs.columns.items()}
        | {
            "top_k": top.k,
            "overlap": float(top.observed[a, b]),
            "chance": top.chance,
            "ceiling": float(top.ceiling[a, b]),
        }
        for i, (a, b) in enumerate(zip(*np.triu_indices(len(results), 1), strict=True))
    ]
    save(f"agreement_{part}", __doc__.splitlines()[0], rows, "full")
    IMAGES.mkdir(exist_ok=True)
    AgreementDisplay(found).plot().figure_.savefig(IMAGES / f"agreement_{part}.png", dpi=110)
    if part != "cifar10":  # its images have no licence to be shown
        consensus = ConsensusDisplay.from_results(results, X, cmap="gray_r")
        consensus.figure_.savefig(IMAGES / f"consensus_{part}.png", dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("folder", help="where finished blocks are kept")
    parser.add_argument("--data", help="CIFAR-10, see benchmarks.cifar10")
    args = parser.parse_args()
    main(args.part, args.folder, args.data)
