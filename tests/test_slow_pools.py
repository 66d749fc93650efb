"""Long proofs on real pools: coverage, reliability, exact leave-one-out. What they print is in docs/.

One pool of 400 UCI digits with 448 blocks serves the first two: blocks are independent, views included,
so that disjoint sets of blocks are independent pools.
"""

import numpy as np
import pytest
from coverage_tables import held_out_table, show
from scipy import stats
from sklearn.datasets import load_digits

from sslmemo import MemorizationEstimator
from sslmemo.designs import LeaveOneOut, Subsample
from sslmemo.estimates import Difference, reliability

pytestmark = pytest.mark.slow


def digits(n):
    X, y = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))[:n]
    return (X[rows] / 16).astype(np.float32).reshape(-1, 1, 8, 8), y[rows]


@pytest.fixture(scope="module")
def big():
    est = MemorizationEstimator(
        n_encoders=896, epochs=60, batch_size=100, random_state=0, n_jobs=2, verbose=1
    )
    return est.fit(digits(400)[0]).result_.run


def pool_of(run, blocks):
    plan = run.plan.take(blocks)
    keep = np.isin(run.plan.block, blocks)
    return Difference()({"alignment": run.values["alignment"][keep]}, plan)


def test_coverage_on_a_real_pool(big):
    """Held-out blocks are the truth, with their own error counted."""
    values = {"alignment": big.values["alignment"]}
    tables = {
        f"{k} blocks": held_out_table(values, big.plan, k, n_replicates=40) for k in (4, 8, 16, 32)
    }
    print("\n" + show(tables))
    for name, table in tables.items():
        own, picked = table["own"], table["posterior"]
        assert 0.93 <= own[0] <= 0.97, name
        # deciles are cut by held-out scores, which are noisy themselves, so a little slack
        assert (np.abs(own[1:12] - 0.95) < 0.03).all(), (name, own)
        assert 0.92 <= picked[-1] <= 0.98, (name, picked)


def test_reliability_predicts_the_correlation_of_independent_pools(big):
    order = np.random.default_rng(0).permutation(big.plan.blocks)
    for size in (4, 8, 16, 32):
        pools = [pool_of(big, b) for b in order.reshape(-1, size)[:40]]
        predicted = np.mean([float(reliability(p.blocks)) for p in pools])
        pairs = list(zip(pools[::2], pools[1::2], strict=True))[:20]
        seen = [np.corrcoef(a.score, b.score)[0, 1] for a, b in pairs]
        error = np.std(seen, ddof=1) / np.sqrt(len(seen))
        print(
            f"\n{size:3d} blocks: reliability predicts {predicted:.3f}, "
            f"{len(seen)} pairs of independent pools correlate {np.mean(seen):.3f} +- {error:.3f}"
        )
        assert len(seen) >= 7
        if len(seen) >= 10:
            assert abs(predicted - np.mean(seen)) < 0.03


def test_exact_leave_one_out_agrees_with_subsamples():
    X, _ = digits(60)
    options = {"epochs": 80, "batch_size": 25, "n_jobs": 2, "verbose": 0}
    exact = MemorizationEstimator(
        design=LeaveOneOut(), n_encoders=61 * 24, random_state=0, **options
    ).fit(X)
    gold = exact.result_
    ceiling = np.sqrt(max(gold.reliability, 0))
    print(
        f"\nexact leave-one-out, 60 digits, 24 seeds: mean {gold.mean_score:.4f}, "
        f"reliability {gold.reliability:.3f}"
    )
    for fraction in (0.5, 0.9):
        pool = MemorizationEstimator(
            design=Subsample(fraction), n_encoders=200, random_state=1, **options
        ).fit(X)
        r = np.corrcoef(pool.memorization_scores_, gold.score)[0, 1]
        rank = stats.spearmanr(pool.memorization_scores_, gold.score).statistic
        own = np.sqrt(max(pool.result_.reliability, 0))
        p = stats.pearsonr(pool.memorization_scores_, gold.score).pvalue
        print(
            f"fraction {fraction}: mean {pool.result_.mean_score:.4f}, Pearson {r:.3f}, Spearman "
            f"{rank:.3f}, noise ceiling {ceiling * own:.3f}, corrected {r / (ceiling * own):.3f}, "
            f"p {p:.1e}"
        )
        assert p < 0.001
        assert r > 0.4 * ceiling * own
