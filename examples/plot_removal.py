"""
Does the encoder need what it memorized?
========================================

The encoder is trained again without its most memorized digits, without as many random ones, and without
its least memorized ones; a linear probe on the same labelled digits says what each encoder is worth on
held-out ones. Trainings of one repeat share their seed, so that differences are paired.

Cost: about 90 s on 2 cores. Prints each cell with its interval, which holds for these 500 digits and this
ranking; writes removal.png into the folder given as argument, ``removal`` by default. With one set of 500
digits and four repeats no difference need be resolved: replicates that answer the question for a source
of data are in docs/experiments/removal.md.
"""

import sys
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sslmemo import MemorizationEstimator, RemovalDisplay
from sslmemo.designs import Subsample
from sslmemo.experiments import removal_curve


def main(folder="removal", n_encoders=64, epochs=60, n_repeats=4):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    X, y = load_digits(return_X_y=True)
    X = (X / 16).reshape(-1, 1, 8, 8)
    X, X_test, y, y_test = train_test_split(X, y, train_size=500, random_state=0, stratify=y)

    est = MemorizationEstimator(
        design=Subsample(0.25), n_encoders=n_encoders, epochs=epochs, batch_size=50, n_jobs=-1,
        memory=folder / "trainings", random_state=0,
    ).fit(X, y)  # fmt: skip
    print(f"reliability of the ranking {est.result_.reliability:.2f}")
    curve = removal_curve(
        est, X, y, X_test=X_test, y_test=y_test, fractions=(0.3, 0.5, 0.7), n_repeats=n_repeats,
        n_jobs=-1, memory=folder / "trainings", random_state=0,
    )  # fmt: skip
    print(curve)
    RemovalDisplay.from_result(curve).figure_.savefig(folder / "removal.png", dpi=150)
    return curve


if __name__ == "__main__":
    main(*sys.argv[1:2])
