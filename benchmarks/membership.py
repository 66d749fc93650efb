"""Does a pool tell members from non-members better than a threshold on the loss does?

`python -m benchmarks.membership FOLDER` keeps finished trainings in FOLDER and writes
benchmarks/results/comparison_membership.json. On 2 cores that other work shared it took half an hour.

scikit-learn's digits, SimCLR with the small fully connected encoder: 64 encoders trained on halves of 1,000
rows (complementary pairs), and 32 on quarters of all 1,797, which leave 1,347 non-members, enough to speak of
0.1% FPR. Every encoder is attacked by the encoders of the other blocks.
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits

from sslmemo import MemorizationEstimator
from sslmemo.audits import ATTACKS, membership_inference
from sslmemo.designs import Subsample
from sslmemo.measurements import CropResponse, ViewSimilarity

from .common import rows_of, save

DESIGNS = {"halves": (Subsample(), 1000, 64), "quarters": (Subsample(0.25), 1797, 32)}
RECIPE = {"encoder": "mlp", "epochs": 60, "batch_size": 50, "random_state": 0}


def main(folder):
    """AUC and TPR at low FPR of every attack, and success by m(x), under both designs."""
    X, _ = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    table = []
    for design, (plan, n, n_encoders) in DESIGNS.items():
        started = time.perf_counter()
        result = MemorizationEstimator(
            **RECIPE, design=plan, n_encoders=n_encoders, n_jobs=-1, memory=folder, verbose=0,
            measurements=[ViewSimilarity(), CropResponse()],
        ).fit(X[:n]).result_  # fmt: skip
        trained = time.perf_counter()
        audit = membership_inference(result, tuple(ATTACKS))
        print(design, f"reliability {result.reliability:.2f}, {trained - started:.0f} s training, "
              f"{time.perf_counter() - trained:.0f} s attacks")  # fmt: skip
        print(audit.summary(), flush=True)
        shared = {"design": design, "rows": n, "encoders": n_encoders,
                  "non_members": audit.n_non_members}  # fmt: skip
        table += [{**shared, "part": "attacks", **row} for row in rows_of(audit.table())]
        table += [{**shared, "part": "by m(x)", **row} for row in rows_of(audit.by_score())]
    save("comparison_membership", __doc__.splitlines()[0], table, "full")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where finished trainings are kept")
    main(parser.parse_args().folder)
