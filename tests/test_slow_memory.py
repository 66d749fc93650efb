"""Rows on disk are never copied whole: 100,000 colour images fit a process of 1.5 GB."""

import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow

CODE = """
import resource, sys
import numpy as np
import torch
from sslmemo import MemorizationEstimator

class Small(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(48, 16))

X = np.memmap(sys.argv[1], np.uint8, "r", shape=(100_000, 3, 32, 32))
est = MemorizationEstimator(
    encoder=Small, augmentation="weak", n_encoders=4, epochs=0.05, n_views=2, random_state=0,
    verbose=0,
).fit(X)
assert np.isfinite(est.score_samples(X[:1000])).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_a_memmap_is_not_materialised(tmp_path):
    path = tmp_path / "rows"
    rows = np.memmap(path, np.uint8, "w+", shape=(100_000, 3, 32, 32))
    rng = np.random.default_rng(0)
    for start in range(0, 100_000, 10_000):
        rows[start : start + 10_000] = rng.integers(0, 256, (10_000, 3, 32, 32), np.uint8)
    rows.flush()
    out = subprocess.run(
        [sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True
    )
    gigabytes = float(out.stdout.split()[-1])
    print(f"\npeak of a fit of 100,000 colour images on disk: {gigabytes:.2f} GiB")
    assert gigabytes < 1.5
