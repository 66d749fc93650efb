"""Membership attacks: literal transcriptions, closed forms, nulls, leaks, and the errors of their ROCs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sslmemo import MemorizationEstimator
from sslmemo.audits import (
    ATTACKS,
    RMIA,
    Attack,
    BaVarIA,
    ClassifierAttack,
    LiRA,
    membership_inference,
)
from sslmemo.audits.membership_attacks import nig_prior
from sslmemo.audits.membership_roc import clustered, found_share, roc, row_weights, thresholds_at
from sslmemo.designs import Split, Subsample
from sslmemo.estimates import Difference
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

FITTED = [n for n, a in ATTACKS.items() if not isinstance(a, ClassifierAttack)]


def pool(n=300, n_encoders=24, drop=0.1, noise=0.1, fraction=0.5, shared=0.0, seed=0, plan=None):
    """A run whose alignments are Gaussian around each row's own means inside and outside."""
    rng = np.random.default_rng(seed)
    plan = plan or Subsample(fraction).draw(n, n_encoders, entropy=seed)
    n = plan.n_samples
    level = rng.normal(1.0, 0.3, n)
    drop = rng.exponential(drop, n) if np.isscalar(drop) and drop else np.broadcast_to(drop, n)
    own = rng.normal(0, noise, plan.member.shape)
    mates = rng.normal(0, shared, (len(plan.seed), n))[np.searchsorted(plan.blocks, plan.block)]
    alignment = level + own + mates - drop * plan.member
    return Run(plan, {"alignment": alignment}, {}, np.ones(len(plan.seed)))


def literal(run, score):
    """Score every cell by two loops; `score(a, inside, outside)` sees one row's alignments."""
    a, plan = run.values["alignment"], run.plan
    found = np.empty(a.shape)
    for t in range(plan.n_encoders):
        others = np.flatnonzero(plan.block != plan.block[t])
        for i in range(plan.n_samples):
            inside = [a[s, i] for s in others if plan.member[s, i]]
            outside = [a[s, i] for s in others if not plan.member[s, i]]
            found[t, i] = score(a[t, i], np.array(inside), np.array(outside))
    return found


def gaussian(x, mean, variance):
    return -0.5 * np.log(2 * np.pi * variance) - (x - mean) ** 2 / (2 * variance)


def test_lira_is_its_literal_transcription():
    run = pool(n=12, n_encoders=10)
    online = literal(
        run,
        lambda a, inn, out: (
            gaussian(a, inn.mean(), inn.var(ddof=1)) - gaussian(a, out.mean(), out.var(ddof=1))
        ),
    )
    np.testing.assert_allclose(LiRA().scores(run.values, run.plan), online)
    offline = literal(
        run, lambda a, inn, out: -np.log(stats.norm.cdf((a - out.mean()) / out.std(ddof=1)))
    )
    np.testing.assert_allclose(LiRA(offline=True).scores(run.values, run.plan), offline, atol=1e-12)


def test_global_variance_is_pooled_around_each_rows_mean():
    run = pool(n=9, n_encoders=8)
    a, plan = run.values["alignment"], run.plan
    t = 3
    others = plan.block != plan.block[t]
    sides = []
    for member in (True, False):
        rows = [a[others & (plan.member[:, i] == member), i] for i in range(9)]
        pooled = sum(((r - r.mean()) ** 2).sum() for r in rows) / sum(len(r) - 1 for r in rows)
        sides.append(gaussian(a[t], np.array([r.mean() for r in rows]), pooled))
    found = LiRA(variance="global").scores(run.values, plan)[t]
    np.testing.assert_allclose(found, sides[0] - sides[1])


@pytest.mark.parametrize(
    ("offline", "a", "gamma"), [(False, 1.0, 1.0), (True, 1.0, 1.3), (True, 0.4, 0.8)]
)
def test_rmia_is_its_literal_transcription(offline, a, gamma):
    run = pool(n=15, n_encoders=8)
    values, plan = run.values["alignment"], run.plan
    found = RMIA(gamma=gamma, offline=offline, a=a).scores(run.values, plan)
    for t in range(8):
        others = plan.block != plan.block[t]
        pooled = []
        for member in (True, False):
            rows = [values[others & (plan.member[:, i] == member), i] for i in range(15)]
            pooled.append(
                sum(((r - r.mean()) ** 2).sum() for r in rows) / sum(len(r) - 1 for r in rows)
            )
        tau = np.sqrt(pooled[1] if offline else np.mean(pooled))
        p = np.exp(-values / tau)
        ratio = np.empty(15)
        for i in range(15):
            inn = p[others & plan.member[:, i], i].mean()
            out = p[others & ~plan.member[:, i], i].mean()
            reference = ((1 + a) * out + (1 - a)) / 2 if offline else (inn + out) / 2
            ratio[i] = p[t, i] / reference
        for i in range(15):
            beaten = [ratio[i] / ratio[z] >= gamma for z in range(15) if z != i]
            assert found[t, i] == pytest.approx(np.mean(beaten))


def test_bavaria_is_the_conjugate_update():
    run = pool(n=30, n_encoders=8)
    a, plan = run.values["alignment"], run.plan
    found = BaVarIA().scores(run.values, plan)
    t = 2
    others = plan.block != plan.block[t]
    sides = []
    for member in (True, False):
        rows = [a[others & (plan.member[:, i] == member), i] for i in range(30)]
        n = np.array([len(r) for r in rows])
        mean = np.array([r.mean() for r in rows])
        squares = np.array([((r - r.mean()) ** 2).sum() for r in rows])
        m0, k0, d0, s0 = nig_prior(n, mean, squares)
        # the joint density of a row's alignments and a new one over that of the former (numerical integral
        # over the variance; the mean is integrated in closed form)
        side = []
        for i, r in enumerate(rows):
            both = np.append(r, a[t, i])
            side.append(_log_evidence(both, m0, k0, d0, s0) - _log_evidence(r, m0, k0, d0, s0))
        sides.append(np.array(side))
    np.testing.assert_allclose(found[t], sides[0] - sides[1], rtol=1e-5, atol=1e-5)


def _log_evidence(x, m0, k0, d0, s0):
    """Log of the marginal density under the prior, by a sum over a fine grid of variances."""
    logs = np.linspace(np.log(s0) - 12, np.log(s0) + 12, 6001)
    variance = np.exp(logs)
    n, rest = (
        len(x),
        ((x - x.mean()) ** 2).sum() + len(x) * k0 / (len(x) + k0) * (x.mean() - m0) ** 2,
    )
    given = -n / 2 * np.log(2 * np.pi * variance) + np.log(k0 / (k0 + n)) / 2 - rest / 2 / variance
    prior = stats.invgamma(d0 / 2, scale=d0 * s0 / 2).logpdf(variance) + logs
    return np.logaddexp.reduce(given + prior) + np.log(logs[1] - logs[0])


def test_the_prior_is_found_again():
    rng = np.random.default_rng(0)
    m0, k0, d0, s0 = 1.0, 0.2, 8.0, 0.04
    variance = d0 * s0 / rng.chisquare(d0, 20_000)
    x = rng.normal(rng.normal(m0, np.sqrt(variance / k0)), np.sqrt(variance), (6, 20_000))
    found = nig_prior(np.full(20_000, 6), x.mean(0), x.var(0) * 6)
    np.testing.assert_allclose(found, (m0, k0, d0, s0), rtol=0.08)


def test_few_shadows_gain_by_the_prior():
    run = pool(n=1500, n_encoders=8, drop=0.15)
    t = membership_inference(run, ("lira", "bavaria"), n_bootstraps=50).table()
    assert t["auc_low"][1] > t["auc_high"][0]


def test_many_shadows_reach_the_closed_form_of_two_gaussians():
    """Every row's drop is d noise deviations: the best AUC is Phi(d / sqrt 2)."""
    run = pool(n=400, n_encoders=160, drop=np.full(400, 0.15), noise=0.1)
    t = membership_inference(run, ("lira_global", "lira_offline"), n_bootstraps=50).table()
    best = stats.norm.cdf(1.5 / np.sqrt(2))
    assert t["auc"][0] == pytest.approx(best, abs=0.01)
    # the second highest of 200 non-members is exceeded with a probability that is Beta(2, 199)
    tpr = stats.beta(2, 199).expect(lambda f: stats.norm.cdf(1.5 + stats.norm.ppf(f)))
    assert t["tpr_at_0.01"][0] == pytest.approx(tpr, abs=0.012)
    assert t["auc"][1] == pytest.approx(best, abs=0.015)


@pytest.mark.parametrize("shared", [0.0, 0.2])
def test_without_memorization_every_attack_is_chance(shared):
    run = pool(n=600, n_encoders=24, drop=0.0, shared=shared, seed=1)
    audit = membership_inference(run, FITTED, n_bootstraps=60, n_bins=2)
    t = audit.table(level=0.999)
    assert (t["auc_low"] < 0.5).all()
    assert (t["auc_high"] > 0.5).all()
    assert (t["tpr_at_0.01_low"] < 0.0105).all()
    assert (t["tpr_at_0.01_high"] > 0.0095).all()
    np.testing.assert_allclose(t["tpr_at_0.01"], 0.01, atol=0.004)


class Counting(Attack):
    """Calls members the rows that few of the other encoders were trained on."""

    def _score(self, target, shadows, inside, outside):
        return np.broadcast_to(-inside.sum(0).astype(float), target.shape)


def test_leaving_only_the_encoder_out_leaks_and_leaving_its_block_out_does_not():
    run = pool(n=200, n_encoders=16, drop=0.0, shared=0.3)
    alone = replace(run.plan, block=np.arange(16), seed=np.arange(16, dtype=np.uint64))
    ours = membership_inference(run, {"count": Counting(), "lira": LiRA()}).table()
    leaky = membership_inference(
        replace(run, plan=alone), {"count": Counting(), "lira": LiRA()}
    ).table()
    assert leaky["auc"][0] == 1.0  # who is in one encoder more is in this one once less
    assert leaky["auc_high"][1] < 0.4  # its partner has the same noise, on the other side
    assert ours["auc"][0] == 0.5
    assert ours["auc_low"][1] < 0.5 < ours["auc_high"][1]


def test_bins_are_of_blocks_that_the_attack_does_not_see():
    """Without memorization, m(x) of the attack's own blocks would make the top bin look attackable."""
    run = pool(n=600, n_encoders=24, drop=0.0)
    t = membership_inference(run, ("threshold", "lira")).by_score(level=0.999)
    assert len(t) == 20
    assert ((t["auc_low"] < 0.5) & (t["auc_high"] > 0.5)).all()
    own = run.values["alignment"]
    m = (np.where(run.plan.member, np.nan, own)).T
    score = np.nanmean(m, 1) - np.nanmean(np.where(run.plan.member, own, np.nan).T, 1)
    top = np.argsort(score)[-60:]
    leaky = roc_auc_score(run.plan.member[:, top].ravel(), -own[:, top].ravel())
    assert leaky > max(0.55, t["auc"].max())


def test_success_grows_with_m():
    t = membership_inference(pool(n=800, n_encoders=32), ("lira_global",)).by_score("lira_global")
    assert t["auc"][-1] > 0.9 > t["auc"][0]
    assert t["found"][-1] > 0.5
    assert stats.spearmanr(t["bin"], t["auc"])[0] > 0.9
    assert (np.diff(t["score"]) > 0).all()


def test_roc_and_its_weights():
    rng = np.random.default_rng(0)
    member = rng.random(60) < 0.4
    score = np.round(rng.normal(0, 1, 60) + member, 1)  # with ties
    counts = rng.integers(1, 4, 60)
    weights = np.stack([np.ones(60), counts])
    rates = np.array([0.1, 0.25])
    auc, tpr = roc(score, member, weights, rates)
    assert auc[0] == pytest.approx(roc_auc_score(member, score))
    assert auc[1] == pytest.approx(roc_auc_score(member, score, sample_weight=counts))
    others = np.sort(score[~member])[::-1]
    n = len(others)
    points = [
        (0, 0.0),
        *((j / (n + 1), np.mean(score[member] > others[j - 1])) for j in range(1, n + 1)),
    ]
    np.testing.assert_allclose(tpr[0], np.interp(rates, *zip(*points, (1, 1.0))))
    repeated = roc(np.repeat(score, 3), np.repeat(member, 3), np.ones((1, 180)), rates)[1][0]
    np.testing.assert_allclose(tpr[0], repeated, atol=0.05)
    for j, rate in enumerate(rates):
        share = found_share(score, member, weights, thresholds_at(score, member, rate))
        assert share[0] == pytest.approx(tpr[0, j])


@pytest.mark.parametrize(("n", "rate"), [(130, 0.01), (1000, 0.001)])
def test_rates_are_those_of_a_fresh_non_member(n, rate):
    """A useless attack finds the rate itself, not a grain of the empirical curve more."""
    rng = np.random.default_rng(0)
    member = np.arange(2 * n) < n
    found = [
        roc(rng.random(2 * n), member, np.ones((1, 2 * n)), np.array([rate]))[1]
        for _ in range(1500)
    ]
    error = np.std(found, ddof=1) / np.sqrt(1500)
    assert np.mean(found) == pytest.approx(rate, abs=3.5 * error)
    assert error < 0.1 * rate


def test_coverage_of_the_intervals():
    """95% intervals of the AUC hold what 80 pools have on average, with row, block and cell noise."""

    def one(seed):
        rng = np.random.default_rng(seed)
        run = pool(n=100, n_encoders=16, drop=0.05, seed=seed)
        block = 0.1 * rng.standard_normal(8)[run.plan.block]  # some blocks memorize more
        run.values["alignment"] -= np.maximum(block, 0)[:, None] * run.plan.member
        curve = membership_inference(
            run, ("threshold", "lira_global"), n_bootstraps=40, n_bins=1
        ).curves
        return [(c["auc"].value, *c["auc"].rate_interval()) for c in curves(curve)]

    def curves(found):
        return found["threshold"], found["lira_global"]

    drawn = np.array([one(seed) for seed in range(80)])  # (80, 2, 3)
    truth = drawn[:, :, 0].mean(0)
    covered = ((drawn[:, :, 1] < truth) & (truth < drawn[:, :, 2])).mean(0)
    assert (covered > 0.89).all(), covered
    half = (drawn[:, :, 2] - drawn[:, :, 1]).mean(0) / 2
    assert (half < 1.5 * 2.36 * drawn[:, :, 0].std(0, ddof=1)).all()  # t of 7 degrees of freedom


def test_errors_count_rows_and_blocks():
    rng = np.random.default_rng(0)
    weights = row_weights(np.arange(400) // 2, 300, 0)
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])
    weights = row_weights(np.arange(400), 300, 0)

    def of(values):  # the weighted mean of every encoder
        per = (weights @ values.T) / weights.sum(1, keepdims=True)
        return float(clustered(per, np.repeat(np.arange(20), 2), 400).standard_error)

    rows, blocks = rng.normal(0, 1, 400), np.repeat(rng.normal(0, 1, 20), 2)
    cells = rng.normal(0, 1, (40, 400))
    assert of(rows + 0 * cells) == pytest.approx(1 / 20, rel=0.15)
    assert of(blocks[:, None] + 0 * cells) == pytest.approx(
        blocks.std(ddof=1) / np.sqrt(20), rel=0.1
    )
    assert of(cells) == pytest.approx(1 / np.sqrt(16_000), rel=0.5)
    both = of(rows + blocks[:, None] + cells)
    assert both == pytest.approx(np.hypot(1 / 20, blocks[::2].std(ddof=1) / np.sqrt(20)), rel=0.15)


def test_a_tenth_of_a_percent_needs_a_thousand_non_members():
    few = membership_inference(pool(n=1300, n_encoders=8), ("lira_global",), n_bootstraps=20)
    assert np.isnan(few.table()["tpr_at_0.001"][0])
    assert "1000 non-members" in few.unresolved[0.001]
    assert "1000 non-members" in few.summary()
    assert few.roc("lira_global")["fpr"][0] >= 1 / 650
    many = membership_inference(
        pool(n=1340, n_encoders=16, fraction=0.25), ("lira_global",), n_bootstraps=20
    )
    assert not many.unresolved
    assert 0 < many.table()["tpr_at_0.001"][0] < many.table()["tpr_at_0.01"][0]


def test_gains_are_paired():
    t = membership_inference(pool(), ("threshold", "lira_global")).table()
    assert t["auc_gain"][1] == pytest.approx(t["auc"][1] - t["auc"][0])
    assert np.isnan(t["auc_gain"][0])
    width = {k: t[f"{k}_high"] - t[f"{k}_low"] for k in ("auc", "auc_gain")}
    assert width["auc_gain"][1] < np.hypot(*width["auc"])


def test_failed_blocks_and_groups_and_other_designs():
    run = pool(n=120, n_encoders=16)
    run.values["alignment"][3] = np.nan
    assert membership_inference(run, ("lira",)).plan.n_encoders == 14
    groups = np.arange(120) // 3
    plan = Subsample().draw(120, 16, entropy=0, groups=groups)
    audit = membership_inference(pool(plan=plan, drop=0.2), ("lira",))
    single = membership_inference(pool(plan=replace(plan, groups=None), drop=0.2), ("lira",))
    assert audit.table()["auc"] == single.table()["auc"]
    plan = Split().draw(150, 12, entropy=0)
    audit = membership_inference(pool(plan=plan, drop=0.3), ("lira_global",))
    assert audit.table()["auc"][0] > 0.8
    assert np.isnan(audit.scores["lira_global"][:, plan.roles == "shared"]).all()


def test_order_of_rows_does_not_matter():
    run = pool(n=150)
    order = np.random.default_rng(1).permutation(150)
    turned = replace(
        run,
        plan=replace(run.plan, member=run.plan.member[:, order]),
        values={"alignment": run.values["alignment"][:, order]},
    )
    for name in FITTED:
        a, b = (ATTACKS[name].scores(r.values, r.plan) for r in (run, turned))
        np.testing.assert_allclose(a[:, order], b, rtol=1e-7, atol=1e-9, err_msg=name)


def test_classifiers_see_other_blocks_only():
    run = pool(n=200, n_encoders=12, drop=0.0)
    plan, rng = run.plan, np.random.default_rng(0)
    signal = rng.normal(size=(12, 200, 3)) + 0.8 * plan.member[:, :, None]
    # a feature that tells the members of one block only, the other way round
    signal[plan.block == 2, :, 0] -= 30 * plan.member[plan.block == 2]
    run.values["view_similarity"] = signal
    attack = ClassifierAttack("view_similarity", LogisticRegression(), n_shadows=4)
    found = attack.scores(run.values, plan)
    t = 0  # block 0 is attacked by blocks 1 and 2
    shadows = np.isin(plan.block, [1, 2])
    model = LogisticRegression().fit(signal[shadows].reshape(-1, 3), plan.member[shadows].ravel())
    np.testing.assert_allclose(found[t], model.decision_function(signal[t]), rtol=1e-6)
    audit = membership_inference(run)
    assert list(audit.curves)[-1] == "encodermi"


def test_attacks_on_a_trained_pool(digits):
    from sslmemo.measurements import CropResponse, ViewSimilarity

    estimator = MemorizationEstimator(
        "simclr", "mlp", n_encoders=6, epochs=2, n_views=4, verbose=0, random_state=0,
        measurements=[ViewSimilarity(n_views=4), CropResponse(n_crops=5)],
    ).fit(digits[0])  # fmt: skip
    audit = membership_inference(estimator, tuple(ATTACKS), n_bootstraps=20)
    assert list(audit.curves) == list(ATTACKS)
    assert all(0 < auc < 1 for auc in audit.table()["auc"])
    assert audit.bins is None
    with pytest.raises(ValueError, match="raise n_encoders"):
        audit.by_score()
    assert "not told: success by m(x)" in audit.summary()
    assert repr(audit).startswith("MembershipAudit(threshold")


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"attacks": ("lyra",)}, ValueError, "Did you mean 'lira'"),
        ({"attacks": "lira"}, TypeError, "sequence of names"),
        ({"attacks": ()}, ValueError, "attacks is empty"),
        ({"attacks": {"own": 3}}, TypeError, "must be an Attack"),
        ({"attacks": ("encodermi",)}, ValueError, "ViewSimilarity"),
        ({"n_bins": 0}, ValueError, "n_bins"),
        ({"n_bins": 11}, ValueError, "n_bins must be at most 10 with 40 rows, 10 a bin, got 11"),
        ({"n_bootstraps": 2}, ValueError, "n_bootstraps"),
        ({"attacks": {"own": LiRA(variance="both")}}, ValueError, "variance must be"),
        ({"attacks": {"own": RMIA(gamma=0)}}, ValueError, "gamma"),
        ({"attacks": {"own": BaVarIA(predictive="u")}}, ValueError, "predictive must be"),
        ({"attacks": {"own": ClassifierAttack("alignment")}}, ValueError, "reads features"),
    ],
)  # fmt: skip
def test_bad_requests_are_named(change, kind, message):
    with pytest.raises(kind, match=message):
        membership_inference(pool(n=40, n_encoders=8), **change)


@pytest.mark.parametrize("name", [n for n in FITTED if n != "threshold"])
def test_encoders_that_all_agree_are_refused(name):
    run = pool(n=20, n_encoders=8)
    run.values["alignment"][:] = np.linspace(1, 2, 20)
    with pytest.raises(ValueError, match="that differ"):
        membership_inference(run, (name,))


def test_a_row_without_spread_is_left_to_its_means():
    run = pool(n=50, n_encoders=12)
    run.values["alignment"][:, 7] = 1.0
    for name in FITTED:
        scores = ATTACKS[name].scores(run.values, run.plan)
        assert np.isfinite(scores).all(), name


def test_too_little_is_said():
    with pytest.raises(ValueError, match="at least 3 blocks"):
        membership_inference(pool(n_encoders=4))
    with pytest.raises(TypeError, match="MemorizationResult"):
        membership_inference([1])
    with pytest.raises(NotFittedError):
        membership_inference(MemorizationEstimator())
    run = pool(n_encoders=8)
    labels = Run(run.plan, {"correctness": run.values["alignment"]}, {}, run.seconds)
    with pytest.raises(
        ValueError, match="holds 'correctness': pass a fitted MemorizationEstimator"
    ):
        membership_inference(MemorizationResult(labels, Difference(of="correctness")))


def test_more_bins_need_rows():
    audit = membership_inference(
        pool(n=300, n_encoders=16), ("threshold",), n_bins=30, n_bootstraps=20
    )
    assert audit.by_score()["bin"].tolist() == list(range(1, 31))
    with pytest.raises(ValueError, match="at most 30 with 300 rows"):
        membership_inference(pool(n=300, n_encoders=16), ("threshold",), n_bins=31)
    audit = membership_inference(pool(n_encoders=8), ("lira_global",))
    with pytest.raises(ValueError, match="unknown"):
        audit.roc("rmia")
