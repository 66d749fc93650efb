"""Do methods, encoders and normalisations memorize the same points?

500 MNIST digits, pools of quarters, one `random_state` a fit, so that
no two share memberships or views. Resumable: `python -m benchmarks.agreement methods FOLDER` keeps its
blocks in FOLDER and writes benchmarks/results/agreement_methods.json and docs/images/agreement_methods.png.
Parts: methods, encoders, norms.
"""

import functools
import sys
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
        "vit (width 64)": {"encoder": SMALL_VIT},
    },
    "norms": {
        norm: {"encoder": functools.partial(mlp, SHAPE, norm=norm)}
        for norm in ("batch", "layer", "none")
    },
}


def fit(part, name, seed, folder, n_encoders=64, epochs=100):
    """One fit of the grid, its blocks kept in the folder: result and seconds of training."""
    X, labels = digits(500, labels=True)
    est = MemorizationEstimator(
        design=Subsample(0.25), n_encoders=n_encoders, epochs=epochs, batch_size=100, n_jobs=-1,
        memory=folder, random_state=seed, **PARTS[part][name],
    )  # fmt: skip
    est.fit(X, labels)
    return est.result_, float(np.nansum(est.result_.run.seconds))


def main(part="methods", folder="agreement", *only):
    """Fit a part of the grid (or some of it), and write its numbers and pictures."""
    results, rows = {}, []
    for seed, name in enumerate(PARTS[part]):
        if only and name not in only:
            continue
        started = time.perf_counter()
        results[name], seconds = fit(part, name, seed, folder)
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
    X = digits(500)
    consensus = ConsensusDisplay.from_results(results, X, cmap="gray_r")
    consensus.figure_.savefig(IMAGES / f"consensus_{part}.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
