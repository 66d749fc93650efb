"""
Can an attacker tell who was in the training?
=============================================

The encoders of a pool attack each other: each is asked, for every digit, whether it was trained on it, by
what the encoders of the other blocks say of that digit with and without it. A threshold needs no other
encoder; likelihood ratios do. What a digit's m(x) says of its risk is read by blocks that have no part in the
attack.

Cost: about 1 minute on 2 cores. Prints AUC and true-positive rates with intervals, and success by m(x);
writes membership.png into the folder given as argument, ``membership`` by default.
"""

import sys
from pathlib import Path

from sklearn.datasets import load_digits

from sslmemo import MemorizationEstimator
from sslmemo.audits import membership_inference
from sslmemo.designs import Subsample
from sslmemo.measurements import ViewSimilarity
from sslmemo.plotting import MembershipDisplay


def main(folder="membership", n_encoders=48, epochs=60, n_rows=600):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    X = (load_digits().data[:n_rows] / 16).reshape(-1, 1, 8, 8)

    est = MemorizationEstimator(
        design=Subsample(0.25), n_encoders=n_encoders, epochs=epochs, batch_size=50, n_jobs=-1,
        measurements=[ViewSimilarity()], memory=folder / "trainings", random_state=0,
    ).fit(X)  # fmt: skip
    audit = membership_inference(est)
    print(audit)
    print(audit.by_score("lira_global"))
    shown = [name for name in audit.curves if name != "lira"]
    MembershipDisplay.from_result(audit, attacks=shown).figure_.savefig(
        folder / "membership.png", dpi=150
    )
    return audit


if __name__ == "__main__":
    main(*sys.argv[1:2])
