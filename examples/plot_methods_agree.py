"""
Do different methods memorize the same digits?
==============================================

Three methods are trained on the same 300 digits. Their scores are compared after the noise of the small pools
is taken out: two noisy rankings of one truth look different, and fits that share their random state
look more alike than they are. Cells of the matrix that these pools can't resolve say so.

Cost: about 2 minutes on 2 cores. Prints the agreement, the overlap of the top rows beside chance and its
noise ceiling, and how much each method memorizes; writes agreement.png and consensus.png into the folder
given as argument, ``methods`` by default. All methods: docs/experiments/methods.md.
"""

import sys
from pathlib import Path

from sklearn.datasets import load_digits

from sslmemo import AgreementDisplay, ConsensusDisplay, MemorizationEstimator
from sslmemo.designs import Subsample
from sslmemo.experiments import overlap, prevalence


def main(folder="methods", methods=("simclr", "vicreg", "byol"), n_encoders=64, epochs=60):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    X, y = load_digits(return_X_y=True)
    X, y = (X[:300] / 16).reshape(-1, 1, 8, 8), y[:300]
    results = {}
    for seed, method in enumerate(methods):
        est = MemorizationEstimator(
            method, design=Subsample(0.25), n_encoders=n_encoders, epochs=epochs, n_jobs=-1,
            memory=folder / "blocks", random_state=seed,
        )  # fmt: skip
        results[method] = est.fit(X, y).result_

    display = AgreementDisplay.from_results(results)
    print(display.agreement.summary())
    top = overlap(results)
    for i, first in enumerate(top.names):
        for j in range(i):
            print(
                f"{first} and {top.names[j]} share {top.observed[i, j]:.0%} of their top {top.k}; chance "
                f"{top.chance:.0%}, noise ceiling {top.ceiling[i, j]:.0%}"
            )
    print(prevalence(results))
    display.figure_.savefig(folder / "agreement.png", dpi=150)
    consensus = ConsensusDisplay.from_results(results, X, cmap="gray_r")
    consensus.figure_.savefig(folder / "consensus.png", dpi=150)
    return display


if __name__ == "__main__":
    main(*sys.argv[1:2])
