"""Small real data and tiny settings that the tests share."""

import signal

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sslmemo import MemorizationEstimator

torch.set_num_threads(1)  # networks this small lose time to a second thread
# a suite started in the background of a shell inherits an ignored SIGINT, and interrupts nothing
signal.signal(signal.SIGINT, signal.default_int_handler)

TINY = {"n_encoders": 4, "epochs": 2, "verbose": 0, "random_state": 0, "n_views": 4}


@pytest.fixture(scope="session")
def digits():
    """120 UCI digits as (n, 1, 8, 8) images in [0, 1], with labels."""
    X, y = load_digits(return_X_y=True)
    return (X[:120] / 16).astype(np.float32).reshape(-1, 1, 8, 8), y[:120]


@pytest.fixture(scope="session")
def table():
    """60 rows of 5 correlated columns on different scales."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((60, 5)) @ rng.standard_normal((5, 5)) * [1, 10, 100, 1, 1] + 3


@pytest.fixture
def tiny():
    """Make a MemorizationEstimator that fits in a fraction of a second."""

    def make(**changes):
        return MemorizationEstimator(**{**TINY, **changes})

    return make


@pytest.fixture(scope="session")
def fitted(digits):
    """One estimator with kept encoders, fitted on the digits; read only."""
    return MemorizationEstimator(**{**TINY, "n_encoders": 8}, keep_encoders=True).fit(*digits)
