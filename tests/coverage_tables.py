"""Coverage of intervals by strata, for planted pools and for real ones with held-out blocks.

`coverage_table` plants a truth. On a real pool `held_out_table` estimates from some blocks and
takes the score of the others for the truth, widening every interval by that score's own error.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from sslmemo.designs import Plan
from sslmemo.estimates import Difference, posterior

STRATA = ("all", *(f"d{k}" for k in range(1, 11)), "true5%", "sel5%")
KINDS = ("own", "moderated", "posterior")


def planted_truth(rng, n, shape=1.5):
    """Skewed true scores: 0.02 + 0.05 Gamma(shape)."""
    return 0.02 + 0.05 * rng.gamma(shape, size=n)


def planted_pool(rng, truth, n_blocks, floor=0.02, slope=0.8, scatter=0.0):
    """Alignments and plan of complementary halves; a block's noise is (floor + slope m) normal.

    `scatter` is the standard deviation of log noise that the score does not explain.
    """
    n = len(truth)
    noise = (floor + slope * truth) * np.exp(scatter * rng.normal(size=n))
    level = 0.3 + 0.25 * truth + 0.05 * rng.normal(size=n)
    difference = truth + noise * rng.normal(size=(n_blocks, n))
    centre = level + 0.05 * rng.normal(size=(n_blocks, 1))
    centre = centre + 0.5 * noise * rng.normal(size=(n_blocks, n))
    first_in = rng.random((n_blocks, n)) < 0.5
    side = np.where(first_in, -0.5, 0.5) * difference
    alignment = np.stack([centre + side, centre - side], 1).reshape(2 * n_blocks, n)
    member = np.stack([first_in, ~first_in], 1).reshape(2 * n_blocks, n)
    plan = Plan(member, np.repeat(np.arange(n_blocks), 2), np.arange(n_blocks).astype(np.uint64))
    return alignment, plan


def intervals(scores, level=0.95):
    """Name -> (low, high), of every kind of interval."""
    half = stats.t.ppf((1 + level) / 2, scores.df) * scores.standard_error
    return {
        "own": scores.interval(level),
        "moderated": (scores.score - half, scores.score + half),
        "posterior": posterior(scores).interval(level),
    }


def covered(low, high, centre, truth, truth_error=0.0, truth_df=np.inf, level=0.95):
    """Whether the interval, widened on either side by the truth's own error, holds the truth."""
    own = stats.t.ppf((1 + level) / 2, truth_df) * truth_error
    return (truth >= centre - np.hypot(centre - low, own)) & (
        truth <= centre + np.hypot(high - centre, own)
    )


def coverage_row(hit, truth, score):
    """Shares of hits: overall, by decile of the truth, truly top 5%, selected top 5% (by score)."""
    n = len(hit)
    decile = np.argsort(np.argsort(truth)) * 10 // n
    top = max(1, n // 20)
    strata = [np.ones(n, bool)] + [decile == k for k in range(10)]
    strata += [np.argsort(np.argsort(-truth)) < top, np.argsort(np.argsort(-score)) < top]
    return np.array([hit[s].mean() for s in strata])


def coverage_table(n_blocks, n_replicates=40, n=500, level=0.95, seed=0, shape=1.5, **noise):
    """Coverage of planted truths: kind -> ndarray (len(STRATA),), means over replicates."""
    rows = {kind: [] for kind in KINDS}
    for r in range(n_replicates):
        rng = np.random.default_rng([seed, n_blocks, r])
        truth = planted_truth(rng, n, shape)
        alignment, plan = planted_pool(rng, truth, n_blocks, **noise)
        scores = Difference()({"alignment": alignment}, plan)
        for kind, (low, high) in intervals(scores, level).items():
            hit = (truth >= low) & (truth <= high)
            rows[kind].append(coverage_row(hit, truth, scores.score))
    return {kind: np.mean(r, 0) for kind, r in rows.items()}


def held_out_table(values, plan, n_blocks, n_replicates=10, level=0.95, seed=0, estimate=None):
    """Coverage on a real pool: some blocks estimate, the others are the truth, its error counted.

    Strata of the truth are cut by the held-out scores, which are noisy themselves.
    """
    estimate = estimate or Difference()
    rows = {kind: [] for kind in KINDS}
    for r in range(n_replicates):
        order = np.random.default_rng([seed, r]).permutation(plan.blocks)
        parts = []
        for names in (order[:n_blocks], order[n_blocks:]):
            encoders = np.isin(plan.block, names)
            part = {k: np.asarray(v)[encoders] for k, v in values.items()}
            parts.append(estimate(part, plan.take(names)))
        own, gold = parts
        known = np.isfinite(own.standard_error) & np.isfinite(gold.raw_standard_error)
        for kind, (low, high) in intervals(own, level).items():
            centre = (low + high) / 2 if kind == "posterior" else own.score
            hit = covered(
                low, high, centre, gold.score, gold.raw_standard_error, gold.raw_df, level
            )
            rows[kind].append(coverage_row(hit[known], gold.score[known], own.score[known]))
    return {kind: np.mean(r, 0) for kind, r in rows.items()}


def show(tables):
    """Text of {title: table}."""
    lines = [" " * 22 + " ".join(f"{s:>6}" for s in STRATA)]
    for title, table in tables.items():
        for kind, row in table.items():
            lines.append(f"{title:>11} {kind:>9} " + " ".join(f"{x:6.3f}" for x in row))
    return "\n".join(lines)


if __name__ == "__main__":
    for options in (
        {},
        {"floor": 0.05, "slope": 0.5},
        {"floor": 0.1, "slope": 1.0},
        {"scatter": 0.4},
        {"shape": 0.5},
        {"n": 1000},
    ):
        print(options or "default: floor=.02, slope=.8, n=500")
        print(show({f"{k} blocks": coverage_table(k, **options) for k in (4, 8, 16, 32)}))
