"""Cost against agreement: simulated pools whose true scores, noise and ceilings are known."""

import itertools
import json

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats

from sslmemo import CostAgreementDisplay, MemorizationEstimator, MemorizationProxy
from sslmemo.designs import Subsample
from sslmemo.estimates import Difference
from sslmemo.experiments import (
    Proxy,
    compare_estimators,
    compare_on_pools,
    load_pool,
    save_pool,
)
from sslmemo.experiments.ceiling import METRICS, Reference
from sslmemo.experiments.comparison import _crossing
from sslmemo.persistence import pack, unpack
from sslmemo.pool import Run
from sslmemo.result import MemorizationResult

mpl.use("Agg")
N = 400


def pool(truth, n_encoders, noise, entropy, fraction=0.5, config=None, isolation=None):
    """A run whose block differences are the truth plus normal noise of the given deviation."""
    plan = Subsample(fraction).draw(len(truth), n_encoders, entropy)
    size = n_encoders // len(plan.seed)
    rng = np.random.default_rng([entropy, 7])
    gap = np.repeat(truth + noise * rng.standard_normal((len(plan.seed), len(truth))), size, 0)
    values = {"alignment": 5.0 + np.where(plan.member, -gap / 2, gap / 2)}
    return Run(plan, values, config or {}, np.full(len(plan.seed), 3.0))


@pytest.fixture(scope="module")
def truth():
    return np.random.default_rng(0).standard_normal(N)


@pytest.fixture(scope="module")
def comparison(truth):
    return compare_on_pools(
        pool(truth, 60, 2.0, 1),
        pool(truth, 160, 2.0, 2),
        {"difference": "difference", "per encoder": Difference(normalize="encoder")},
        n_encoders=(2, 8),
        epochs=10,
    )


def test_agreement_over_its_ceiling_is_the_correlation_with_the_true_scores(comparison, truth):
    spread = np.std(truth, ddof=1)
    for metric in ("pearson", "spearman"):
        table = comparison.summary_table(metric)
        for i in np.flatnonzero(table["estimator"] == "difference"):
            blocks = table["encoders"][i] // 2
            r = spread / np.sqrt(spread**2 + 4 / blocks)  # with the true scores, over any pool
            # of normal pairs: Pearson, Annals of Eugenics 1907
            exact = r if metric == "pearson" else 6 / np.pi * np.arcsin(r / 2)
            assert table["of_ceiling"][i] == pytest.approx(exact, abs=0.02)
            assert table["of_ceiling_low"][i] < exact < table["of_ceiling_high"][i]
    assert comparison.ceilings["pearson"][0] == pytest.approx(
        spread / np.sqrt(spread**2 + 4 / 30), abs=0.01
    )


def test_half_of_a_truth_agrees_with_the_other_by_its_reliability(truth):
    whole = pool(truth, 80, 2.0, 3)
    halves = [
        Run(whole.plan.take(b), {"alignment": whole.values["alignment"][np.isin(whole.plan.block, b)]},
            {}, np.ones(20))
        for b in (np.arange(20), np.arange(20, 40))
    ]  # fmt: skip
    found = compare_on_pools(halves[0], halves[1], ["difference"], n_encoders=[40], epochs=1)
    other = MemorizationResult(halves[1]).reliability
    table = found.summary_table("pearson")
    assert table["of_ceiling"][0] == pytest.approx(np.sqrt(other), abs=0.03)
    assert table["n_replicates"][0] == 1
    assert np.isnan(table["low"][0])  # one replicate has no interval
    with pytest.raises(ValueError, match="blocks in common"):
        compare_on_pools(whole, halves[0], n_encoders=[40], epochs=1)


def test_values_equal_a_literal_loop(truth):
    reference, source = pool(truth, 20, 1.0, 4), pool(truth, 26, 2.0, 5)
    found = compare_on_pools(reference, source, ["difference"], n_encoders=[8], top=0.1, epochs=1)
    table, score, k = found.table, MemorizationResult(reference).score, N // 10
    assert len(table) == 3  # 13 blocks give three groups of four
    used = []
    for replicate in range(3):
        blocks = source.plan.blocks[4 * replicate : 4 * replicate + 4]
        used += blocks.tolist()
        out = source.values["alignment"][np.isin(source.plan.block, blocks)]
        member = source.plan.member[np.isin(source.plan.block, blocks)]
        estimate = [
            np.mean([out[t, i] for t in range(8) if not member[t, i]])
            - np.mean([out[t, i] for t in range(8) if member[t, i]])
            for i in range(N)
        ]
        assert table["spearman"][replicate] == pytest.approx(stats.spearmanr(estimate, score)[0])
        assert table["pearson"][replicate] == pytest.approx(stats.pearsonr(estimate, score)[0])
        best = sorted(range(N), key=lambda i: -score[i])[:k]
        guess = sorted(range(N), key=lambda i: -estimate[i])[:k]
        assert table["top_recall"][replicate] == len(set(best) & set(guess)) / k
    assert len(set(used)) == len(used) == 12


def test_costs_by_hand(truth):
    config = {"trainer": {"steps": 30, "batch_size": 50}}  # 200 rows each: 7.5 epochs
    found = compare_on_pools(
        pool(truth, 40, 1.0, 6),
        {
            "half": pool(truth, 16, 2.0, 7, config=config),
            "quarter": pool(truth, 16, 2.0, 8, 0.25, config=config),
        },
        ["difference"],
        n_encoders={"half": [4, 8], "quarter": [4]},
    )
    table = found.summary_table("pearson")
    assert table["encoders"].tolist() == [4, 8, 4]
    assert table["encoder_epochs"].tolist() == [30.0, 60.0, 60.0]
    assert table["row_epochs"].tolist() == [6000.0, 12000.0, 6000.0]  # encoders x steps x batch
    assert table["fraction"].tolist() == [0.5, 0.5, 0.25]
    assert table["seconds"].tolist() == [6.0, 12.0, 3.0]
    assert table["n_replicates"].tolist() == [4, 2, 4]


@pytest.mark.parametrize("skewed", [False, True])
def test_ceilings_are_what_the_true_scores_reach(truth, skewed):
    """Also where scores are skewed and noise grows with them, as it does in measured pools."""
    noise = 1.5
    if skewed:
        truth = np.random.default_rng(2).gamma(1.0, 1.0, N)
        noise = 0.5 + truth
    reached, ceilings = [], []
    for entropy in range(8):
        reference = Reference(MemorizationResult(pool(truth, 64, noise, 100 + entropy)), 0.05)
        found = reference.agreement(truth[None])
        reached.append([found[m][0, 0] for m in METRICS])
        ceilings.append([reference.ceilings[m][0] for m in METRICS])
    off = np.mean(ceilings, axis=0) - np.mean(reached, axis=0)
    assert np.abs(off[:2]).max() < 0.015
    assert abs(off[2]) < 0.06  # a single recall moves in steps of 0.05
    assert np.mean(reached, axis=0)[2] < 0.9


@pytest.fixture(scope="module")
def repeated():
    """Two dozen comparisons, each with pools of its own."""
    rows = np.random.default_rng(1).standard_normal(150)
    return [
        compare_on_pools(
            pool(rows, 48, 2.0, 200 + entropy),
            pool(rows, 32, 2.0, 400 + entropy),
            {"difference": "difference", "halved": _halved},
            n_encoders=[4],
            epochs=1,
        )
        for entropy in range(24)
    ]


@pytest.mark.parametrize("metric", ["spearman", "pearson", "top_recall"])
def test_intervals_cover_other_pools(repeated, metric):
    tables = [c.summary_table(metric) for c in repeated]
    value, low, high = (np.array([t[n][0] for t in tables]) for n in ("value", "low", "high"))
    assert np.mean((low <= value.mean()) & (value.mean() <= high)) >= 0.8
    width = np.mean(high - low) / (2 * stats.t.ppf(0.975, 15))
    assert 0.7 < width / np.std(value) < 1.6  # neither far too wide nor too narrow
    gains = [c.gains(metric=metric) for c in repeated]
    gain, low, high = (np.array([g[n][0] for g in gains]) for n in ("gain", "low", "high"))
    assert gain.mean() < 0
    assert np.mean((low <= gain.mean()) & (gain.mean() <= high)) >= 0.8


def _halved(values, plan):
    """The difference from the first half of the blocks."""
    blocks = plan.blocks[: len(plan.blocks) // 2]
    keep = np.isin(plan.block, blocks)
    return Difference()({"alignment": values["alignment"][keep]}, plan.take(blocks)).score


def test_gains_are_paired(comparison, truth):
    table = comparison.gains(metric="pearson")
    assert set(table["estimator"]) == {"per encoder"}
    assert table["encoders"].tolist() == [2, 8]
    mine, base = (
        next(c for c in comparison.cells if c.encoders == 8 and c.estimator == name)
        for name in ("per encoder", "difference")
    )
    each = (mine.values["pearson"] - base.values["pearson"])[:, 0] / comparison.ceilings["pearson"][
        0
    ]
    assert table["gain"][1] == pytest.approx(each.mean())
    assert table["wins"][1] == np.mean(each > 0)
    whole = comparison.summary_table("pearson")
    width = (table["high"] - table["low"])[1]
    assert width < 0.3 * (whole["of_ceiling_high"] - whole["of_ceiling_low"])[1]
    with pytest.raises(ValueError, match="over='nothing' was not compared"):
        comparison.gains("nothing")


def test_proxies_stand_beside_the_estimates(truth):
    rng = np.random.default_rng(9)
    found = compare_on_pools(
        pool(truth, 40, 2.0, 10),
        pool(truth, 40, 2.0, 11),
        ["difference"],
        n_encoders=[4],
        epochs=1,
        proxies={
            "noisy": Proxy(truth + rng.standard_normal((6, N)), encoders=1, row_epochs=4000.0),
            "of the data": Proxy(truth, encoders=0, row_epochs=0.0),
        },
    )
    table = found.summary_table("pearson")
    assert table["design"].tolist() == ["half", "proxy", "proxy"]
    assert table["encoder_epochs"][1] == 10
    assert table["of_ceiling"][1] == pytest.approx(np.sqrt(0.5), abs=0.03)
    assert table["of_ceiling"][2] == pytest.approx(1, abs=0.02)
    assert (
        table["of_ceiling_low"][2] < 1 < table["of_ceiling_high"][2]
    )  # from the truth's noise alone
    assert "noisy (proxy), encoders: 1, row-epochs: 4e+03, replicates: 6; Spearman" in repr(found)
    recall = found.summary_table("top_recall")
    assert found.ceilings["top_recall"][0] < 0.9  # so that divided and undivided differ in print
    for line, share in zip(repr(found).splitlines()[1:-1], recall["of_ceiling"], strict=True):
        assert line.endswith(f"recall of the top {found.top_k} {share:.2f}")
    assert repr(found).endswith("summary_frame()")


def test_rows_without_a_score_count_as_average(truth):
    reference = Reference(MemorizationResult(pool(truth, 40, 1.0, 12)), 0.05)
    holes = truth.copy()
    holes[::2] = np.nan
    filled = np.where(np.isfinite(holes), holes, np.nanmean(holes))
    found = reference.agreement([holes, filled])
    for values in found.values():
        np.testing.assert_allclose(values[0], values[1])
    assert reference.agreement([np.zeros(N)])["pearson"][0, 0] == 0


def test_cost_to_reach_a_share_of_the_ceiling(comparison):
    cost, value = np.array([100.0, 400.0, 1600.0]), np.array([0.5, 0.7, 0.9])
    assert _crossing(cost, value, 0.8) == pytest.approx(800)  # half way between, by the logarithm
    assert _crossing(cost, value, 0.4) == 100
    assert _crossing(cost, value, 0.95) == np.inf
    table = comparison.cost_to_reach(0.6, "pearson")
    assert (table["low"] <= table["row_epochs"]).all()
    assert (table["row_epochs"] <= table["high"]).all()
    low, high = 2 * 200 * 10, 8 * 200 * 10
    assert ((low < table["row_epochs"]) & (table["row_epochs"] < high)).all()


def test_bad_calls_are_named(truth):
    large, small = pool(truth, 20, 1.0, 13), pool(truth, 8, 1.0, 14)
    cases = [
        ({"n_encoders": [3]}, ValueError, "no multiple of the block"),
        ({"n_encoders": [16]}, ValueError, "more than the 8 encoders"),
        ({"n_encoders": 4}, TypeError, "n_encoders"),
        ({"n_encoders": {"quarter": [4]}}, ValueError, "sizes for 'quarter', but none for source"),
        ({"epochs": None, "n_encoders": [4]}, ValueError, "pass epochs="),
        ({"estimates": []}, ValueError, "estimates is empty"),
        ({"estimates": "difference"}, TypeError, "a dict or a list"),
        ({"estimates": ["diference"]}, ValueError, "Did you mean 'difference'"),
        ({"top": 0.0}, ValueError, "top must be"),
        ({"proxies": ["isolation"]}, TypeError, "proxies must be a dict by name"),
        ({"proxies": {"difference": Proxy(truth, 0, 0.0)}}, ValueError, "the name of an estimate"),
        (
            {"estimates": {"short": lambda v, p: np.zeros(9)}, "n_encoders": [4]},
            ValueError,
            r"estimates\['short'\] returned scores of shape \(9,\).*\(400,\)",
        ),
        ({"proxies": {"p": truth}, "n_encoders": [4]}, TypeError, "must be a Proxy"),
        (
            {"proxies": {"p": Proxy(truth[:9], 1, 1.0)}, "n_encoders": [4]},
            ValueError,
            r"give \(n_replicates, 400\)",
        ),
    ]
    for changes, kind, message in cases:
        with pytest.raises(kind, match=message):
            compare_on_pools(large, small, **{"epochs": 1, "estimates": ["difference"], **changes})
    with pytest.raises(ValueError, match="other rows"):
        compare_on_pools(large, pool(truth[:100], 8, 1.0, 14), n_encoders=[4], epochs=1)
    with pytest.raises(TypeError, match="a Run or a MemorizationResult"):
        compare_on_pools(large, "pool", n_encoders=[4], epochs=1)
    with pytest.raises(ValueError, match="nothing to agree with"):
        compare_on_pools(pool(0 * truth, 2, 1.0, 27), small, n_encoders=[4], epochs=1)
    with pytest.warns(UserWarning, match="below 0.5"):
        compare_on_pools(pool(truth, 4, 3.0, 15), small, ["difference"], n_encoders=[4], epochs=1)
    with pytest.raises(TypeError, match="must be a MemorizationEstimator"):
        compare_estimators(np.zeros((4, 2)), estimator="simclr")
    with pytest.raises(TypeError, match="parameters random_state and epochs"):
        compare_estimators(truth[:, None], proxies={"p": Difference()})


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"proxies": {"a": MemorizationProxy("isolaton")}},
            ValueError,
            r"proxies\['a'\] can't be fitted.*Did you mean 'isolation'",
        ),
        ({"proxies": {"a": MemorizationProxy(epochs=0)}}, ValueError, r"epochs of proxies\['a'\]"),
        ({"proxies": {"a": MemorizationProxy}}, TypeError, r"proxies\['a'\] must be a Proxy"),
        ({"proxies": {"a": Proxy(np.zeros(9), 0, 0.0)}}, ValueError, r"give \(n_replicates, 40\)"),
        ({"proxies": ["isolation"]}, TypeError, r"proxies must be a dict.*got \['isolation'\]"),
        ({"proxies": {"shrinkage": MemorizationProxy()}}, ValueError, "rename it"),
        ({"designs": ["quarter"]}, TypeError, r"designs must be a dict.*got \['quarter'\]"),
        ({"truth_encoders": 6}, ValueError, "truth_encoders=6 makes 3 blocks.*at least 8"),
        (
            {"estimator": MemorizationEstimator(stop_when=0.8)},
            ValueError,
            "stop_when=0.8.*set stop_when=None",
        ),
    ],
)
def test_bad_calls_are_refused_before_any_training(monkeypatch, changes, kind, message):
    monkeypatch.setattr(MemorizationEstimator, "fit", lambda *a, **k: pytest.fail("trained"))
    with pytest.raises(kind, match=message):
        compare_estimators(np.zeros((40, 3)), **changes)


def test_the_defaults_train_as_many_encoders_as_the_docstring_says(truth, monkeypatch):
    trained = []

    def fit(self, X, groups=None):
        trained.append(self.n_encoders)
        config = {"trainer": {"steps": 100, "batch_size": 200}}
        self.result_ = MemorizationResult(
            pool(truth, self.n_encoders, 1.0, 30 + len(trained), config=config)
        )
        return self

    monkeypatch.setattr(MemorizationEstimator, "fit", fit)
    found = compare_estimators(truth[:, None], estimates=["difference"])
    assert trained == [256, 20 * 32]
    assert "256 + 20 x 32 = 896" in compare_estimators.__doc__
    assert sum(trained) == 896
    assert [c.n_replicates for c in found.cells] == [160, 80, 40, 20]


@pytest.mark.filterwarnings("ignore:the truth has a reliability")
def test_it_trains_its_pools(digits, tmp_path, monkeypatch):
    recipe = MemorizationEstimator(encoder="mlp", epochs=10, n_views=4, batch_size=8)
    fits = []
    fit = MemorizationEstimator.fit
    monkeypatch.setattr(
        MemorizationEstimator, "fit", lambda s, *a, **k: fits.append(s) or fit(s, *a, **k)
    )
    found = compare_estimators(
        digits[0][:60],
        estimator=recipe,
        truth_encoders=12,
        n_encoders={"half": [2, 4], "quarter": [4]},
        n_splits=2,
        designs={"quarter": Subsample(0.25)},
        proxies={"isolation": MemorizationProxy(n_encoders=2, epochs=2)},
        memory=tmp_path,
        random_state=0,
        verbose=0,
    )
    table = found.summary_table("spearman")
    assert table["estimator"].tolist()[:3] == ["difference", "per encoder", "shrinkage"]
    assert table["design"].tolist() == ["half"] * 6 + ["quarter"] * 3 + ["proxy"]
    assert table["n_replicates"].tolist() == [4] * 3 + [2] * 7
    assert len({e.random_state for e in fits}) == len(fits) == 3
    assert [e.n_encoders for e in fits] == [12, 8, 8]
    assert "isolation" not in fits[0].result_.run.values  # the truth is read by the difference
    assert "isolation" in fits[1].result_.run.values
    np.testing.assert_allclose(table["row_epochs"][:3], 2 * 30 * 10, rtol=0.05)  # whole steps
    np.testing.assert_allclose(table["row_epochs"][6:9], 4 * 15 * 10, rtol=0.08)
    assert table["row_epochs"][9] == 2 * 2 * 60
    assert table["seconds"][9] > 0
    assert np.isfinite(table["value"]).all()
    assert found.truth.run is fits[0].result_.run  # to be kept by save_pool
    assert list(found.sources) == ["half", "quarter"]


@pytest.mark.parametrize("metric", ["spearman", "top_recall"])
def test_the_display_draws_the_table(truth, metric):
    found = compare_on_pools(
        pool(truth, 40, 1.0, 16),
        {"half": pool(truth, 16, 2.0, 17), "quarter": pool(truth, 16, 2.0, 18, 0.25)},
        ["difference"],
        n_encoders=[4, 8],
        epochs=20,
        proxies={"one": Proxy(np.stack([truth, -truth]), 1, 8000.0), "none": Proxy(truth, 0, 0.0)},
    )
    display = CostAgreementDisplay.from_result(found, metric=metric)
    table, ax = found.summary_table(metric), display.ax_
    drawn = {c.get_label(): c.lines[0] for c in ax.containers}
    assert list(drawn) == ["difference, half", "difference, quarter", "one"]
    for name, rows in (("difference, half", [0, 1]), ("difference, quarter", [2, 3])):
        x, y = drawn[name].get_data()
        np.testing.assert_allclose(x, table["row_epochs"][rows], rtol=0.05)  # side by side
        np.testing.assert_allclose(y, table["of_ceiling"][rows])
    bars = ax.containers[0].lines[2][0].get_segments()[0]
    np.testing.assert_allclose(
        bars[:, 1], [table["of_ceiling_low"][0], table["of_ceiling_high"][0]]
    )
    assert ax.get_xscale() == "log"
    level = {
        line.get_label(): line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 2
    }
    assert level["none"] == pytest.approx(table["of_ceiling"][5])
    assert ax.get_ylim()[1] > 1
    legend = [t.get_text() for t in display.figure_.legends[0].get_texts()]
    assert legend == [*drawn, "none"]
    _check_no_overlap(display)
    own = mpl.pyplot.figure().subplots()
    assert CostAgreementDisplay(found).plot(ax=own).ax_ is own
    mpl.pyplot.close("all")
    with pytest.raises(ValueError, match="metric must be"):
        CostAgreementDisplay(found).plot(metric="kendall")
    with pytest.raises(TypeError, match="must be an EstimatorComparison"):
        CostAgreementDisplay("table")


def _check_no_overlap(display):
    """No two tick labels of the x axis, and no two texts of the figure's margin, cover each other."""
    figure, ax = display.figure_, display.ax_
    figure.canvas.draw()
    boxes = [
        t.get_window_extent() for t in ax.get_xticklabels() if t.get_text() and t.get_visible()
    ]
    low, high = ax.get_window_extent().intervalx
    boxes = sorted((b for b in boxes if low <= (b.x0 + b.x1) / 2 <= high), key=lambda b: b.x0)
    assert len(boxes) >= 2
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
    legend = figure.legends[0].get_window_extent()
    label = ax.xaxis.label.get_window_extent()
    assert not legend.overlaps(label)
    assert not label.overlaps(boxes[0])
    assert ax.yaxis.label.get_window_extent().y1 <= figure.bbox.y1


def test_a_truth_of_256_encoders_and_300_rows_is_a_small_file(tmp_path):
    rng = np.random.default_rng(0)
    scores = 0.03 * rng.standard_normal(300)
    run = pool(scores, 256, 0.06, 19, config={"trainer": {"steps": 100, "batch_size": 100}})
    run.values["alignment"] -= 4.2  # between 0.5 and 1, as measured ones are
    run.values["isolation"] = rng.uniform(0, 0.2, (256, 300)).astype(np.float32)
    run.values["alignment_by_view"] = np.zeros((256, 300, 8), np.float32)
    path = tmp_path / "truth.pool"
    save_pool(run, path)
    assert path.stat().st_size < 180_000
    save_pool(MemorizationResult(run), path, values=["alignment", "isolation"])
    assert path.stat().st_size < 340_000
    found, exact = load_pool(path), MemorizationResult(run)
    assert set(found.run.values) == {"alignment", "isolation"}
    np.testing.assert_array_equal(found.run.plan.member, run.plan.member)
    np.testing.assert_array_equal(found.run.plan.seed, run.plan.seed)
    assert found.run.config == run.config
    assert found.run.values["alignment"].dtype == float
    # rounding is far below the noise: a twentieth of a standard error of the score
    assert np.max(np.abs(found.score - exact.score) / exact.standard_error) < 0.05
    assert stats.spearmanr(found.score, exact.score)[0] > 0.9999
    with pytest.raises(ValueError, match="was not measured. There are: 'alignment'"):
        save_pool(run, path, values=["isolated"])
    run.values["isolation"][0, 0] = 1e6
    with pytest.raises(ValueError, match="too large for dtype='float16': use 'float32'"):
        save_pool(run, path, values=["isolation"])
    with pytest.raises(TypeError, match="must be a Run"):
        save_pool("pool", path)
    with pytest.raises(TypeError, match="path must be the path of a file.*got 5"):
        save_pool(run, 5)
    with pytest.raises(TypeError, match="path must be the path of a file.*got 5"):
        load_pool(5)
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="torn or altered"):
        load_pool(path)


def test_a_loaded_pool_shrinks_by_the_features_that_were_kept(truth, tmp_path):
    run, path = pool(truth, 16, 2.0, 28), tmp_path / "small.pool"
    noise = np.random.default_rng(3).standard_normal(run.plan.member.shape)
    run.values["isolation"] = truth + 0.3 * noise
    shrunken = MemorizationResult(run, "shrinkage")
    save_pool(shrunken, path)
    assert isinstance(load_pool(path).estimate, Difference)
    bare = MemorizationResult(load_pool(path).run, "shrinkage").score
    save_pool(shrunken, path, values=["isolation"], dtype="float64")
    whole = MemorizationResult(load_pool(path).run, "shrinkage").score
    np.testing.assert_allclose(whole, shrunken.score)
    assert np.corrcoef(bare, truth)[0, 1] < np.corrcoef(whole, truth)[0, 1] - 0.05


@pytest.mark.parametrize("shape", [(9, 31), (65,), (3, 5, 7), (0, 4), (2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_boolean_arrays_are_stored_as_bits(shape, order):
    value = np.asarray(np.random.default_rng(0).random(shape) < 0.4, order=order)
    arrays = {}
    packed = json.loads(json.dumps(pack(value, arrays, "value")))
    found = unpack(packed, arrays)
    np.testing.assert_array_equal(found, value)
    assert found.dtype == bool
    assert found.shape == shape
    if value.size > 64:
        assert sum(a.nbytes for a in arrays.values()) == -(-value.size // 8)
