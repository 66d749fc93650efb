"""membership_inference(): who was trained on what, asked of the pool that measured memorization."""

from __future__ import annotations

import numbers

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import check_in_range, named, shown
from ..estimates import Difference
from ..pool import Run
from ..randomness import entropy_of
from ..result import MemorizationResult
from .membership_attacks import ATTACKS, Attack
from .membership_audit import GRID, RATES, MembershipAudit
from .membership_roc import clustered, found_share, roc, row_weights, thresholds_at

__all__ = ["membership_inference"]

USUAL = ("threshold", "lira", "lira_global", "lira_offline", "rmia", "bavaria")
ONE_ENCODER = ("encodermi", "partcrop")
PLAIN = "threshold"
LEAST_BLOCKS = 3
N_BINS, LEAST_ROWS = 10, 10  # bins by default; rows in each of more bins


def membership_inference(result, attacks=None, *, n_bins=N_BINS, n_bootstraps=100, random_state=0):
    """Attack every encoder of a pool by the others, and say how well.

    Nothing is trained: the pool's encoders are targets and shadow encoders in turn. An attack on an encoder
    is fitted without the encoder's whole block, whose memberships complement its own. Every encoder has a
    ROC of its own, over its members and non-members; what is reported is their mean. Thresholds have their
    false-positive rate on a fresh non-member, see `sslmemo.audits.membership_roc.roc`. Errors cluster by
    block and by row (by group, where rows are grouped).

    For success by m(x) the blocks are cut into two halves. Rows are binned by the m(x) of one half, and
    encoders of the other are attacked by encoders of that other; then the halves change places.

    Parameters
    ----------
    result : MemorizationResult, fitted MemorizationEstimator or Run
        With the matrix "alignment", which pools of labels lack, and what else the attacks need: three
        blocks at least (6 encoders in pairs), six for success by m(x), and for a true-positive rate at
        1% (0.1%) false positives 100 (1,000) rows that are not trained on, of every encoder.
    attacks : sequence of str, or dict of str to Attack, default=None
        Names in `sslmemo.audits.ATTACKS`, or attacks of your own under their names. None is
        ``"threshold"``, ``"lira"``, ``"lira_global"``, ``"lira_offline"``, ``"rmia"`` and ``"bavaria"``,
        and ``"encodermi"`` and ``"partcrop"`` where the run holds what `ViewSimilarity` and `CropResponse`
        measure. Gains are against ``"threshold"``.
    n_bins : int, default=10
        Bins of m(x), of equally many rows; at least 1. More than 10 need 10 rows each.
    n_bootstraps : int, default=100
        Draws behind the errors; at least 20.
    random_state : int, RandomState instance or None, default=0
        Of the draws.

    Returns
    -------
    MembershipAudit

    Raises
    ------
    NotFittedError
        `result` is an estimator that was not fitted.
    TypeError
        `result` holds no run, or an attack is none.
    ValueError
        An attack or a matrix is unknown, the run holds no alignments, `n_bins` is too many, there are fewer
        than three blocks without a failure, or no encoder has members and non-members that every attack can
        score.

    See Also
    --------
    epsilon_lower_bound : What independent trials of an attack say of differential privacy.

    References
    ----------
    Carlini et al., Membership inference attacks from first principles, IEEE S&P 2022 (arXiv:2112.03570).

    Examples
    --------
    >>> import numpy as np
    >>> from sslmemo.designs import Subsample
    >>> from sslmemo.pool import Run
    >>> plan = Subsample().draw(200, 16, entropy=0)
    >>> rng = np.random.default_rng(0)
    >>> alignment = rng.normal(1.0, 0.1, plan.member.shape) - 0.2 * plan.member
    >>> audit = membership_inference(Run(plan, {"alignment": alignment}, {}, np.ones(8)))
    >>> float(audit.table()["auc"][0]) > 0.85
    True
    """
    check_in_range("n_bins", n_bins, numbers.Integral, 1)
    check_in_range("n_bootstraps", n_bootstraps, numbers.Integral, 20)
    run = _run_of(result)
    most = max(N_BINS, run.plan.n_samples // LEAST_ROWS)
    if n_bins > most:
        raise ValueError(
            f"n_bins must be at most {most} with {run.plan.n_samples} rows, {LEAST_ROWS} a bin, got {n_bins}."
        )
    attacks = _attacks_of(attacks, run.values)
    plan, values = _finished(run, attacks)
    scores = {name: attack.scores(values, plan) for name, attack in attacks.items()}
    weights = row_weights(
        np.arange(plan.n_samples) if plan.groups is None else plan.groups,
        n_bootstraps,
        entropy_of(random_state),
    )
    curves, least = _curves(scores, plan, weights)
    bins, why = _bins(attacks, values, plan, weights, n_bins)
    return MembershipAudit(scores, plan, least, curves, bins, why)


def _run_of(result):
    """The run of a result, a fitted estimator, or itself."""
    if hasattr(result, "fit") and not isinstance(result, type):
        check_is_fitted(result)
    result = getattr(result, "result_", result)
    run = result.run if isinstance(result, MemorizationResult) else result
    if not isinstance(run, Run):
        raise TypeError(
            "result must be a MemorizationResult, a fitted MemorizationEstimator or a Run, got "
            f"{shown(result)}."
        )
    if "alignment" not in run.values:
        raise ValueError(
            "membership_inference reads alignments, and the run holds "
            f"{', '.join(map(repr, run.values))}: pass a fitted MemorizationEstimator, or its result."
        )
    return run


def _attacks_of(attacks, values):
    """Attacks by name, checked against what the run holds."""
    if attacks is None:
        attacks = [*USUAL, *(a for a in ONE_ENCODER if ATTACKS[a].of in values)]
    if isinstance(attacks, (str, Attack)):
        raise TypeError(f"attacks must be a sequence of names or a dict, got {shown(attacks)}.")
    if not isinstance(attacks, dict):
        attacks = {name: named(name, ATTACKS, "attacks") for name in attacks}
    if not attacks:
        raise ValueError(f"attacks is empty: name some of {', '.join(ATTACKS)}.")
    for name, attack in attacks.items():
        if not isinstance(attack, Attack):
            raise TypeError(f"attacks[{name!r}] must be an Attack, got {shown(attack)}.")
        for needed in attack.needs:
            if needed not in values:
                raise ValueError(
                    f"attack {name!r} needs {needed!r}, but the run holds {', '.join(values)}: fit with "
                    "measurements=[...] that give it (ViewSimilarity, CropResponse)."
                )
    return attacks


def _finished(run, attacks):
    """Plan and matrices of the blocks in which no encoder failed."""
    plan = run.plan
    needed = {n for a in attacks.values() for n in a.needs} | {"alignment"}
    bad = np.zeros(plan.n_encoders, bool)
    for name in needed & run.values.keys():
        finite = np.isfinite(run.values[name])
        bad |= ~finite.reshape(len(finite), -1).all(1)
    good = np.setdiff1d(plan.blocks, plan.block[bad])
    if len(good) < LEAST_BLOCKS:
        raise ValueError(
            f"membership_inference needs at least {LEAST_BLOCKS} blocks without a failure, one to attack "
            f"and two to attack it by; the run has {len(good)}: raise n_encoders."
        )
    keep = np.isin(plan.block, good)
    return plan.take(good), {n: run.values[n][keep] for n in needed & run.values.keys()}


def _cells(scores, plan):
    """Pairs of encoder and row that all attacks score, of encoders that have both kinds: (T, n)."""
    cells = np.all([np.isfinite(s) for s in scores.values()], axis=0)
    both = (cells & plan.member).any(1) & (cells & ~plan.member).any(1)
    return cells & both[:, None]


def _curves(scores, plan, weights):
    """Clustered ROC of every attack, and the least number of non-members of an encoder."""
    cells = _cells(scores, plan)
    targets = np.flatnonzero(cells.any(1))
    if not len(targets):
        raise ValueError(
            "no encoder has both members and non-members that every attack can score: a row needs two "
            "encoders with it and two without it in other blocks, that differ; raise n_encoders."
        )
    block, rates = plan.block[targets], np.append(GRID, RATES)
    raw = {}
    for name, score in scores.items():
        parts = [
            roc(score[t, cells[t]], plan.member[t, cells[t]], weights[:, cells[t]], rates)
            for t in targets
        ]
        raw[name] = np.stack([p[0] for p in parts], 1), np.stack([p[1] for p in parts], 1)
    n_rows, curves = int(cells.any(0).sum()), {}
    for name, (auc, tpr) in raw.items():
        curves[name] = {
            "auc": clustered(auc, block, n_rows),
            "tpr": clustered(tpr[:, :, : len(GRID)], block, n_rows),
            "low": clustered(tpr[:, :, len(GRID) :], block, n_rows),
        }
        if PLAIN in raw and name != PLAIN:
            plain_auc, plain_tpr = raw[PLAIN]
            curves[name]["auc_gain"] = clustered(auc - plain_auc, block, n_rows)
            gain = tpr[:, :, len(GRID) :] - plain_tpr[:, :, len(GRID) :]
            curves[name]["low_gain"] = clustered(gain, block, n_rows)
    return curves, int((cells & ~plan.member)[targets].sum(1).min())


def _bins(attacks, values, plan, weights, n_bins):
    """Success by m(x), whose blocks have no part in the attack; or None and the reason."""
    halves = plan.blocks[::2], plan.blocks[1::2]
    if min(map(len, halves)) < LEAST_BLOCKS:
        return None, (
            f"Success by m(x) needs two halves of at least {LEAST_BLOCKS} blocks, one for m(x) and one for "
            f"the attack; there are {len(plan.blocks)} blocks: raise n_encoders."
        )
    scores = {name: np.full(plan.member.shape, np.nan) for name in attacks}
    which = np.full(plan.member.shape, -1)
    means = np.zeros((2, n_bins))
    for i in (0, 1):
        ours, theirs = (np.isin(plan.block, halves[j]) for j in (i, 1 - i))
        m = Difference()({"alignment": values["alignment"][theirs]}, plan.take(halves[1 - i])).score
        known = np.isfinite(m)
        rank = np.argsort(np.argsort(np.where(known, m, np.inf)))
        place = np.where(known, rank * n_bins // max(known.sum(), 1), -1)
        which[ours] = place
        means[i] = [m[place == b].mean() if (place == b).any() else np.nan for b in range(n_bins)]
        own = {name: v[ours] for name, v in values.items()}
        for name, attack in attacks.items():
            scores[name][ours] = attack.scores(own, plan.take(halves[i]))
    cells = _cells(scores, plan)
    return [
        {"attack": name, "bin": b + 1, "score": float(means[:, b].mean()), **cell}
        for name, score in scores.items()
        for b, cell in enumerate(_by_bin(score, cells, which, plan, weights, n_bins))
    ], ""


def _by_bin(score, cells, which, plan, weights, n_bins):
    """Clustered AUC and share of found members in every bin."""
    shape = (n_bins, len(weights), plan.n_encoders)
    auc, found = np.full(shape, np.nan), np.full(shape, np.nan)
    for t in np.flatnonzero(cells.any(1)):
        all_own = score[t, cells[t]], plan.member[t, cells[t]]
        resolved = (~all_own[1]).sum() * RATES[0] >= 1
        thresholds = thresholds_at(*all_own, RATES[0])
        for b in range(n_bins):
            rows = cells[t] & (which[t] == b)
            member = plan.member[t, rows]
            if member.any() and not member.all():
                auc[b, :, t] = roc(score[t, rows], member, weights[:, rows], np.ones(1))[0]
            if member.any() and resolved:
                found[b, :, t] = found_share(score[t, rows], member, weights[:, rows], thresholds)
    n_rows = max(1, int(cells.any(0).sum() // n_bins))
    return [
        {"auc": clustered(auc[b], plan.block, n_rows), "found": clustered(found[b], plan.block, n_rows)}
        for b in range(n_bins)
    ]  # fmt: skip
