"""Rules that end a fit early: what they promise, by simulation, and that a stopped fit is a fit."""

import _thread
import threading
import time

import numpy as np
import pytest
from mean_training import MeanTrainer, Norm
from scipy import stats
from sklearn.base import clone

from sslmemo import MemorizationEstimator, MemorizationResult
from sslmemo.data import as_data
from sslmemo.designs import Explicit, LeaveOneOut, Subsample
from sslmemo.estimates import Difference, reliability
from sslmemo.estimates.spending import nominal_levels, sequential_holm
from sslmemo.pool import Finished, Run, run
from sslmemo.rounds import run_in_rounds
from sslmemo.stopping import (
    ReliabilityReached,
    RowsDecided,
    TopKCertain,
    get_stopping,
)

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def simulated(true, n_blocks, noise, seed):
    """A half-split pool whose block differences are the true scores plus normal noise."""
    plan = Subsample().draw(len(true), 2 * n_blocks, entropy=seed)
    rng = np.random.default_rng(seed)
    error = rng.normal(0, noise, (n_blocks, len(true)))[plan.block] * np.where(plan.member, -1, 1)
    alignment = 1 - plan.member * true + error / 2  # (T, n)

    def train(part, max_time):
        kept = np.isin(plan.block, part.blocks)
        return Run(part, {"alignment": alignment[kept]}, {}, np.ones(len(part.seed)))

    return plan, train


def stopped(rule, true, n_blocks, noise, seed):
    plan, train = simulated(true, n_blocks, noise, seed)
    return MemorizationResult(run_in_rounds(plan, train, rule, Difference()))


# the levels


def test_levels_are_the_published_boundaries():
    """gsDesign's and Jennison and Turnbull's numbers for five equal looks, one-sided .025."""
    bounds = stats.norm.isf(nominal_levels(0.025, FIFTHS))
    np.testing.assert_allclose(bounds, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310], atol=2e-4)
    assert nominal_levels(0.05, (1.0,)) == pytest.approx((0.05,), abs=1e-12)


def test_levels_of_the_first_looks_do_not_depend_on_later_ones():
    whole = nominal_levels(0.05, FIFTHS)
    np.testing.assert_allclose(nominal_levels(0.05, FIFTHS[:3]), whole[:3], rtol=1e-9)
    tiny = nominal_levels(0.05 / 1000, (0.1, *FIFTHS))
    assert tiny == tuple(sorted(tiny))
    assert 0 <= tiny[0] < 1e-30


@pytest.mark.parametrize("n_blocks", [8, 16, 32])
def test_five_looks_with_spending_err_about_as_often_as_one(n_blocks):
    """Unadjusted looks err in .10 to .14, spending in at most .055, for 2 points of power."""
    rng, n = np.random.default_rng(n_blocks), 60_000
    noise = rng.standard_normal((n_blocks, n))
    plan = Subsample().draw(2, 2 * n_blocks, entropy=0)
    looks = RowsDecided().schedule(plan)
    levels = np.array(nominal_levels(0.05, tuple(k / n_blocks for k in looks)))[:, None]

    def p_values(x):
        return np.stack([stats.ttest_1samp(x[:k], 0, alternative="greater").pvalue for k in looks])

    null, real = p_values(noise), p_values(noise + 3 / np.sqrt(n_blocks))
    assert (null <= 0.05).any(0).mean() > 0.10
    assert 0.045 < (null <= levels).any(0).mean() < 0.058
    assert (real <= levels).any(0).mean() > (real[-1] <= 0.05).mean() - 0.03


def test_one_look_is_holms_procedure():
    def literal(p, alpha):
        order, rejected = np.argsort(p), np.zeros(len(p), bool)
        for i, row in enumerate(order):
            if p[row] > alpha / (len(p) - i):
                break
            rejected[row] = True
        return rejected

    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.random(8) ** 4
        np.testing.assert_array_equal(sequential_holm(p[None], (1.0,), 0.05), literal(p, 0.05))


def test_a_row_rejected_once_frees_its_level_and_stays_rejected():
    levels = {m: nominal_levels(0.05 / m, (0.5, 1.0)) for m in (1, 2)}
    between = (levels[1][1] + levels[2][1]) / 2
    p = np.array([[levels[2][0], 0.9], [0.9, between]])
    assert sequential_holm(p, (0.5, 1.0), 0.05).tolist() == [True, True]
    assert sequential_holm(p[:, ::-1] * [1, 5], (0.5, 1.0), 0.05).tolist() == [False, False]
    assert not sequential_holm(np.full((2, 3), np.nan), (0.5, 1.0), 0.05).any()


# the rules


def test_several_rows_share_the_error():
    """Three rows at the score, two far above: wrong claims of either kind in at most alpha."""
    rule = RowsDecided([0, 1, 2, 3, 4], min_score=0.1, alpha=0.1, min_blocks=4)
    true = np.r_[0.1, 0.1, 0.1, 0.5, 0.5, np.zeros(5)]
    wrong, found, n = np.zeros(2), 0, 400
    for seed in range(n):
        claims = rule.claims(stopped(rule, true, 15, 0.2, seed))
        wrong += [(claims[:3] > 0).any(), (claims[:3] < 0).any()]
        found += (claims[3:] > 0).sum()
    limit = stats.binom.ppf(0.999, n, 0.11) / n  # .1, and a tenth more for few blocks
    assert (wrong / n <= limit).all()
    assert (wrong / n > 0.03).all()
    assert found == 2 * n


def test_rows_are_decided_early_where_they_are_clear():
    true = np.r_[1.0, -1.0, np.zeros(18)]
    rule = RowsDecided([0, 1], min_score=0.0)
    result = stopped(rule, true, 20, 0.3, seed=0)
    assert rule.claims(result).tolist() == [1, -1]
    note = result.run.config["stopped"]
    assert note["schedule"] == [4, 8, 12, 16, 20]
    assert note["looks"] == [4, 8]
    assert note["n_blocks"] == 8 == len(result.run.plan.seed)
    assert "after 8 of at most 20 blocks: of 2 rows 1 lie above 0 and 1 below" in note["why"]
    undecided = stopped(rule, np.zeros(20), 20, 0.3, seed=0).run.config["stopped"]
    assert undecided["n_blocks"] == 20
    assert undecided["why"].startswith("after all 20 blocks: of 2 rows 0")


def test_the_median_is_the_default_mark():
    rule = RowsDecided([0, 1])
    result = stopped(rule, np.r_[6.0, 4.0, np.full(18, 5.0)], 20, 0.2, seed=0)
    assert rule.claims(result).tolist() == [1, -1]
    assert "the median score" in result.run.config["stopped"]["why"]


def test_claims_need_the_result_of_their_rule():
    true, rule = np.r_[1.0, np.zeros(9)], RowsDecided([0], min_score=0.0)
    a, b = (stopped(rule, true, 8, 0.1, seed) for seed in (0, 1))
    with pytest.raises(ValueError, match="was stopped by RowsDecided"):
        RowsDecided([1], min_score=0.0).claims(a)
    with pytest.raises(ValueError, match="result of one fit"):
        rule.claims(a + b)
    with pytest.raises(ValueError, match="had no rule"):
        rule.claims(stopped(None, true, 8, 0.1, 0))


def test_reliability_stops_at_the_first_look_that_reaches_it():
    true = np.random.default_rng(0).gamma(1.5, 0.05, 300)
    rule = ReliabilityReached(0.8)
    result = stopped(rule, true, 64, 0.15, seed=1)
    n = len(result.run.plan.seed)
    assert n in (16, 23, 32)
    assert result.reliability >= 0.8
    before = [k for k in (4, 6, 8, 11, 16, 23) if k < n]
    for k in before:
        part = result.run.plan.take(range(k))
        alignment = result.run.values["alignment"][: 2 * k]
        shorter = MemorizationResult(Run(part, {"alignment": alignment}, {}, np.ones(k)))
        assert shorter.reliability < 0.8
    assert result.run.config["stopped"]["looks"] == [*before, n]
    low = stopped(ReliabilityReached(0.8, use="low"), true, 64, 0.15, seed=1)
    assert len(low.run.plan.seed) >= n
    assert low.reliability_interval.low >= 0.8


def test_what_stopping_on_reliability_promises_is_true_on_average():
    rng, excess = np.random.default_rng(0), []
    for seed in range(40):
        true = rng.gamma(1.5, 0.05, 200)
        result = stopped(ReliabilityReached(0.8), true, 128, 0.15, seed)
        excess.append(result.reliability - np.corrcoef(result.score, true)[0, 1] ** 2)
    assert abs(np.mean(excess)) < 0.015


def test_the_top_k_is_as_certain_as_said():
    rng, rule = np.random.default_rng(0), TopKCertain(15, probability=0.85)
    right, blocks = [], []
    for seed in range(25):
        true = 0.02 + rng.gamma(1.5, 0.05, 200)
        result = stopped(rule, true, 64, 0.08, seed)
        top = np.argsort(-result.score)[:15]
        right.append(np.isin(top, np.argsort(-true)[:15]).mean())
        blocks.append(len(result.run.plan.seed))
    assert np.mean(right) > 0.85 - 3 * np.std(right) / np.sqrt(25)
    assert 4 < np.median(blocks) < 64
    assert "of the top 15 rows are expected to belong there" in result.run.config["stopped"]["why"]


def test_looks_are_fixed_by_the_plan():
    def looks(rule, n_blocks):
        return rule.schedule(Subsample().draw(40, 2 * n_blocks, entropy=0))

    assert looks(ReliabilityReached(), 40) == (4, 6, 8, 11, 16, 23, 32, 40)
    assert looks(TopKCertain(3), 32) == (4, 6, 8, 11, 16, 23, 32)
    assert looks(ReliabilityReached(min_blocks=2), 9) == (2, 3, 4, 6, 8, 9)
    assert looks(RowsDecided(), 32) == (7, 13, 20, 26, 32)
    assert looks(RowsDecided(), 6) == (4, 5, 6)
    assert looks(RowsDecided(looks=1), 6) == (6,)
    with pytest.raises(ValueError, match=r"min_blocks=4 blocks, but n_encoders=6 are 3 blocks"):
        looks(ReliabilityReached(), 3)


BAD = {
    "a share": (0.0, ValueError, "stop_when must lie strictly between 0 and 1"),
    "a percentage": (80, ValueError, "stop_when must lie strictly"),
    "NaN": (np.nan, ValueError, "stop_when must be a number, got nan"),
    "a flag": (True, TypeError, "stop_when must be None, the reliability"),
    "a word": ("reliability", TypeError, "stop_when must be None"),
    "a class": (RowsDecided, TypeError, "the class RowsDecided: call it"),
    "target": (ReliabilityReached(1.0), ValueError, "target must lie strictly"),
    "use": (ReliabilityReached(use="high"), ValueError, "use must be 'value' or 'low'"),
    "min_blocks": (ReliabilityReached(min_blocks=1), ValueError, "min_blocks must be"),
    "k": (TopKCertain(2.5), TypeError, "k must be an int"),
    "all rows": (TopKCertain(120), ValueError, "smaller than the 120 rows"),
    "probability": (TopKCertain(3, 1.5), ValueError, "probability must lie"),
    "alpha": (RowsDecided(alpha=0), ValueError, "alpha must lie"),
    "looks": (RowsDecided(looks=0), ValueError, "looks must be"),
    "min_score": (RowsDecided(min_score=np.inf), ValueError, "min_score must be"),
    "a mask": (RowsDecided([True, False]), TypeError, "np.flatnonzero"),
    "no rows": (RowsDecided([]), TypeError, "non-empty list of row numbers"),
    "a row twice": (RowsDecided([3, 3]), ValueError, "rows must be distinct"),
    "no such row": (RowsDecided([3, 120]), ValueError, "between 0 and 119, but 120"),
    "too few blocks": (ReliabilityReached(min_blocks=5), ValueError, "raise n_encoders"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rules_are_refused_before_training(tiny, digits, case, monkeypatch):
    import torch

    rule, error, message = BAD[case]
    monkeypatch.setattr(torch.Tensor, "backward", lambda *a, **k: pytest.fail("trained already"))
    with pytest.raises(error, match=message):
        tiny(n_encoders=8, stop_when=rule).fit(digits[0])


def test_rows_without_a_score_cannot_be_decided(tiny, digits):
    est = tiny(design=LeaveOneOut([3, 8]), n_encoders=12, stop_when=RowsDecided([3, 4]))
    with pytest.raises(ValueError, match="row 4 is named in rows, but the leave_one_out design"):
        est.fit(digits[0])


# in rounds


@pytest.fixture
def data(table):
    return as_data(table)


class Until:
    """A rule that stops at a look, and keeps what it saw."""

    def __init__(self, stop, schedule=(2, 3, 5, 8)):
        self.stop, self.fixed, self.seen = stop, schedule, []

    def __repr__(self):
        return f"Until({self.stop})"

    def schedule(self, plan):
        return self.fixed

    def __call__(self, looks, schedule):
        self.seen.append(looks[-1].blocks.shape[0])
        return self.seen[-1] >= self.stop, f"saw {self.seen[-1]}"


def trained(data, plan, rule, trainer, earlier=None, max_time=None, **options):
    finished = Finished()

    def train(part, max_time):
        return run(part, trainer, [Norm()], data, max_time=max_time, finished=finished, **options)

    return run_in_rounds(plan, train, rule, Difference(), earlier, max_time)


def test_rounds_train_every_block_once(data, tmp_path):
    plan = Subsample().draw(len(data), 16, entropy=0)
    rule = Until(5)
    done = trained(data, plan, rule, MeanTrainer(log=tmp_path))
    assert rule.seen == [2, 3, 5]
    assert len(list(tmp_path.iterdir())) == 10
    whole = run(plan, MeanTrainer(), [Norm()], data)
    np.testing.assert_array_equal(done.values["alignment"], whole.values["alignment"][:10])
    np.testing.assert_array_equal(done.plan.member, plan.member[:10])
    assert done.config["stopped"]["why"] == "after 5 of at most 8 blocks: saw 5"


@pytest.mark.parametrize("had", [[0, 1, 3], [0, 1, 2, 3, 4, 5, 6, 7], [4]])
def test_earlier_blocks_are_used_and_kept(data, tmp_path, had):
    plan = Subsample().draw(len(data), 16, entropy=0)
    earlier = run(plan.take(had), MeanTrainer(), [Norm()], data)
    rule = Until(5)
    done = trained(data, plan, rule, MeanTrainer(log=tmp_path), earlier)
    assert rule.seen == [2, 3, 5]
    assert done.plan.blocks.tolist() == sorted({0, 1, 2, 3, 4, *had})
    assert len(list(tmp_path.iterdir())) == 2 * len({0, 1, 2, 3, 4} - set(had))


def test_time_runs_out_between_and_inside_rounds(data):
    plan = Subsample().draw(len(data), 16, entropy=0)
    with pytest.warns(UserWarning, match=r"max_time=0.5 s: \d of 8 blocks were trained") as seen:
        done = trained(data, plan, Until(8), MeanTrainer(pause=0.1), max_time=0.5)
    assert len(seen) == 1
    n = len(done.plan.seed)
    assert n < 8
    assert done.plan.blocks.tolist() == list(range(n))
    note = done.config["stopped"]
    assert note["looks"] == [k for k in (2, 3, 5) if k <= n]
    assert f"after {n} of at most 8 blocks: max_time" in note["why"]


def test_a_failed_block_counts_but_gives_nothing(data):
    plan = Subsample().draw(len(data), 16, entropy=0)
    trainer = MeanTrainer(fail=[plan.seed_of(1)])
    with pytest.warns(UserWarning, match="1 of . blocks failed"):
        done = trained(data, plan, Until(5), trainer, on_error="drop")
    assert len(done.plan.seed) == 5
    assert list(done.failures) == [1]
    assert np.isfinite(MemorizationResult(done).score).all()


# as a parameter


def test_a_stopped_fit_is_the_fit_with_so_many_encoders(tiny, digits):
    X = digits[0]
    est = tiny(n_encoders=32, stop_when=ReliabilityReached(0.01)).fit(X)
    n = len(est.membership_)
    assert 8 <= n < 32
    plain = tiny(n_encoders=n).fit(X)
    for name in ("memorization_scores_", "standard_errors_", "membership_"):
        np.testing.assert_array_equal(getattr(est, name), getattr(plain, name))
    np.testing.assert_array_equal(est.transform(X), plain.transform(X))
    assert est.stopped_.startswith(f"after {n // 2} of at most 16 blocks: reliability 0.")
    assert plain.stopped_ is None
    assert est.stopped_ in est.result_.summary()
    assert "ReliabilityReached(target=0.01)" in est.result_.methods_text()
    assert "stopped" not in plain.result_.summary()
    two = tiny(n_encoders=32, stop_when=0.01, n_jobs=2).fit(X)
    np.testing.assert_array_equal(two.memorization_scores_, est.memorization_scores_)


def test_a_rule_reads_the_unbiased_difference(tiny, digits):
    X, seen = digits[0], []

    class Zero:
        needs = ("alignment",)

        def __call__(self, values, plan):
            scores = Difference()(values, plan)
            return type(scores)(**{**vars(scores), "score": 0 * scores.score})

    class Spy(Until):
        def __call__(self, looks, schedule):
            seen.append(looks[-1].score)
            return True, "seen"

    est = tiny(n_encoders=12, estimate=Zero(), stop_when=Spy(4, (4, 6))).fit(X)
    assert (est.memorization_scores_ == 0).all()
    np.testing.assert_array_equal(seen[0], tiny(n_encoders=8).fit(X).memorization_scores_)


def test_memory_warm_start_and_shards_go_on(tiny, digits, tmp_path):
    X, rule = digits[0], TopKCertain(100, probability=0.5)
    straight = tiny(n_encoders=24, stop_when=rule).fit(X)
    n = len(straight.membership_)
    assert n < 24
    tiny(n_encoders=24, memory=tmp_path).run_shard(X, 0, 2)
    kept = tiny(n_encoders=24, memory=tmp_path, stop_when=rule).fit(X)
    np.testing.assert_array_equal(kept.memorization_scores_, straight.memorization_scores_)
    warm = tiny(n_encoders=4, warm_start=True).fit(X)
    warm.set_params(n_encoders=24, stop_when=rule).fit(X)
    np.testing.assert_array_equal(warm.memorization_scores_, straight.memorization_scores_)
    warm.set_params(stop_when=None).fit(X)
    assert len(warm.membership_) == 24
    assert warm.stopped_ is None
    assert "stopped" not in warm.result_.run.config


def test_an_interrupted_fit_goes_on_to_the_same_end(table):
    class Waits:
        """Waits in the fifth block, in the second round, until it is interrupted."""

        name, at, calls = "waits", (1.0,), 0

        def config(self):
            return {"measurement": "waits"}

        def observer(self, k, n):
            return None

        def __call__(self, models, data, member, seed, observed=None):
            self.calls += 1
            end = time.monotonic() + 60
            while self.calls == 9 and time.monotonic() < end:
                time.sleep(0.01)
            return {}

    options = {"n_encoders": 16, "epochs": 1, "random_state": 0, "verbose": 0}
    options["stop_when"] = RowsDecided([0], min_score=0.0, looks=4, min_blocks=2)
    straight = MemorizationEstimator(**options).fit(table)
    assert len(straight.membership_) >= 12
    est = MemorizationEstimator(**options, warm_start=True, measurements=[Waits()])

    def interrupt():
        while getattr(est, "_finished", None) is None or len(est._finished) < 4:
            time.sleep(0.01)
        time.sleep(0.3)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt, match="4 of 8 blocks are finished"):
        est.fit(table)
    partial = est.partial_result()
    np.testing.assert_array_equal(partial.run.plan.member, straight.membership_[:8])
    est.fit(table)
    np.testing.assert_array_equal(est.memorization_scores_, straight.memorization_scores_)
    assert est.stopped_ == straight.stopped_


def test_max_time_ends_a_fit_with_a_rule(tiny, digits):
    with pytest.warns(UserWarning, match="max_time=1e-06 s: 1 of 8 blocks") as seen:
        est = tiny(n_encoders=16, stop_when=0.8, max_time=1e-6).fit(digits[0])
    assert sum("max_time" in str(w.message) for w in seen) == 1
    assert est.stopped_ == "after 1 of at most 8 blocks: max_time"


@pytest.mark.parametrize(
    "rule",
    [0.05, ReliabilityReached(0.05, "low"), TopKCertain(np.int64(100), 0.5),
     RowsDecided(np.array([2, 5]), min_score=np.float64(0.01)), RowsDecided(range(2, 4))],
    ids=["float", "reliability", "top k", "rows", "range"],
)  # fmt: skip
def test_rules_are_stored(tiny, digits, tmp_path, rule):
    est = tiny(n_encoders=12, stop_when=rule).fit(digits[0])
    est.save(tmp_path / "est")
    est.result_.save(tmp_path / "result")
    loaded = MemorizationEstimator.load(tmp_path / "est")
    result = MemorizationResult.load(tmp_path / "result")
    assert loaded.stopped_ == est.stopped_
    assert type(loaded.stop_when) is type(rule)
    assert result.summary() == est.result_.summary() == loaded.result_.summary()
    if isinstance(rule, RowsDecided):
        assert rule.claims(result).tolist() == rule.claims(est.result_).tolist()
        assert loaded.stop_when.claims(result).shape == (2,)


def test_rules_are_parameters(tiny):
    est = clone(tiny(stop_when=ReliabilityReached()))
    assert est.set_params(stop_when__target=0.7).stop_when.target == 0.7
    assert get_stopping(0.7).get_params() == {"target": 0.7, "use": "value", "min_blocks": 4}
    assert get_stopping(None) is None


def test_an_explicit_plan_is_trained_in_rounds_too(tiny, digits):
    half = np.random.default_rng(0).random((6, 120)).argsort(1) < 60
    member = np.stack([half, ~half], 1).reshape(12, 120)
    design = Explicit(member, block=np.repeat([1, 2, 5, 6, 8, 9], 2))
    est = tiny(design=design, stop_when=TopKCertain(100, probability=0.5)).fit(digits[0])
    assert est.result_.run.plan.blocks.tolist()[:4] == [1, 2, 5, 6]
    assert len(est.membership_) < 12


def test_planning_takes_no_notice(tiny, digits):
    plan = tiny(n_encoders=16, stop_when=ReliabilityReached(min_blocks=6)).plan(digits[0])
    assert plan.pilot.run.plan.n_encoders == 8


# which encoders count


def denoised(design, n_encoders, entropy, X):
    """Scores of ridge regressions on random features that restore noisy rows: exact and fast."""
    plan = design.draw(len(X), n_encoders, entropy)
    loss = np.empty(plan.member.shape)
    for block in plan.blocks:
        rng = np.random.default_rng(plan.seed_of(block))
        weight = rng.standard_normal((X.shape[1], 64)) * 1.5 / np.sqrt(X.shape[1])
        shift = rng.uniform(-0.5, 0.5, 64)
        noisy = X + 0.1 * rng.standard_normal((6, *X.shape))
        features = np.maximum(noisy @ weight + shift, 0)  # (6, n, 64); two train, four measure
        for t in plan.encoders_of(block):
            rows = plan.member[t]
            inside = np.concatenate(features[:2, rows])
            normal = inside.T @ inside + 0.3 * np.eye(64)
            fitted = np.linalg.solve(normal, inside.T @ np.concatenate([X[rows]] * 2))
            loss[t] = ((features[2:] @ fitted - X) ** 2).sum(2).mean(0)
    return Difference()({"alignment": loss}, plan)


def test_balanced_halves_beat_independent_subsets_of_equal_compute(digits):
    X = digits[0].reshape(120, -1)
    gold = denoised(Subsample(0.5), 800, 99, X).score
    designs = [(Subsample(0.5), 28), (Subsample(0.5, balanced=False), 28)]
    designs.append((Subsample(0.7, balanced=False), 20))
    agreement = [
        [np.corrcoef(denoised(d, n, seed, X).score, gold)[0, 1] for seed in range(6)]
        for d, n in designs
    ]
    balanced, independent, larger = np.mean(agreement, axis=1)
    assert balanced > independent + 0.003
    assert independent > larger + 0.02


def test_leave_one_out_pays_for_few_rows_at_most(digits):
    """Even for a learner in closed form, where f and g differ by the row alone."""
    X = digits[0].reshape(120, -1)

    def odds_of_a_block(design, n_encoders):
        blocks = denoised(design, n_encoders, 0, X).blocks
        r = reliability(blocks).value
        return r / (1 - r) / len(blocks)

    alone, half = odds_of_a_block(LeaveOneOut(), 5 * 121), odds_of_a_block(Subsample(0.5), 400)
    assert half < alone
    assert alone / (1 + 6) < half
