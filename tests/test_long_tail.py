"""The long tail: closed forms against naive sums and simulation, and one small experiment."""

import math
from fractions import Fraction

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from sslmemo import LinearProbe, MemorizationEstimator
from sslmemo.experiments.long_tail import (
    LongTailSimulator,
    long_tail_experiment,
    regularised_variants,
)
from sslmemo.plotting.long_tail import LongTailDisplay
from sslmemo.randomness import derive_seed
from sslmemo.table import ScoreTable
from sslmemo.training.noise import GradientNoise

mpl.use("Agg")


def naive_moment(prior, power, rest):
    return sum(a**power * (1 - a) ** rest for a in prior) / len(prior)


def test_closed_forms_equal_exact_sums():
    n, size = 7, 5
    simulator = LongTailSimulator(size, exponent=1.0, n_samples=n)
    total = sum(Fraction(1, j) for j in range(1, size + 1))
    prior = [Fraction(1, j) / total for j in range(1, size + 1)]
    for count in range(n + 1):
        seen = naive_moment(prior, count, n - count)
        tau = naive_moment(prior, count + 1, n - count) / seen
        number = size * math.comb(n, count) * seen
        assert simulator.tau(count) == pytest.approx(float(tau), rel=1e-12)
        assert simulator.expected_number(count) == pytest.approx(float(number), rel=1e-11)
        assert simulator.marginal_value(count) == pytest.approx(float(tau * number), rel=1e-11)
    counts = np.arange(n + 1)
    assert simulator.expected_number(counts).sum() == pytest.approx(size)
    assert simulator.marginal_value(counts).sum() == pytest.approx(1)
    expected = simulator.tau(1) * 2.5 + simulator.tau(3) * 0.5
    assert simulator.excess_error({1: 2.5, 3: 0.5}) == pytest.approx(expected, rel=1e-12)
    assert simulator.excess_error({}) == 0


def test_nothing_underflows_in_a_large_sample():
    simulator = LongTailSimulator(20_000, exponent=1.2, n_samples=50_000)
    counts = np.array([0, 1, 10, 1_000, 9_000, 50_000])
    tau = simulator.tau(counts)
    assert np.isfinite(tau).all()
    assert (np.diff(tau) > 0).all()  # what was seen more often is more frequent
    head = simulator.frequencies_.max()
    assert tau[-1] == pytest.approx(head)  # at most the largest entry of the list


def test_equal_frequencies_learn_nothing_from_a_count():
    simulator = LongTailSimulator(8, exponent=0, n_samples=20)
    np.testing.assert_allclose(simulator.tau(np.arange(21)), 1 / 8)
    assert simulator.marginal_value(0) == pytest.approx((1 - 1 / 8) ** 20)


def test_tau_is_the_mean_frequency_of_what_was_seen_so_often():
    simulator = LongTailSimulator(50, exponent=1.0, n_samples=100)
    rng, alpha = np.random.default_rng(0), simulator.frequencies_
    counts = rng.multinomial(100, alpha, size=20_000)  # (20000, 50)
    for count in (0, 1, 2, 5):
        mass = ((counts == count) * alpha).sum(1)
        number = (counts == count).sum(1)
        ratio = mass.sum() / number.sum()
        error = np.std(mass - ratio * number) / np.sqrt(len(mass)) / number.mean()
        assert error < 0.01 * ratio  # sharp enough to tell tau from count / n
        assert abs(simulator.tau(count) - ratio) < 4 * error
        spread = number.std() / np.sqrt(len(number))
        assert abs(simulator.expected_number(count) - number.mean()) < 4 * spread
        spread = mass.std() / np.sqrt(len(mass))
        assert abs(simulator.marginal_value(count) - mass.mean()) < 4 * spread


def test_samples_have_the_frequencies_labels_and_spread():
    simulator = LongTailSimulator(12, n_samples=20_000, n_features=6, spread=0.3, n_classes=4)
    X, y, which = simulator.sample(random_state=3)
    assert X.shape == (20_000, 6)
    assert X.dtype == np.float32
    counts = np.bincount(which, minlength=12)
    assert stats.chisquare(counts, 20_000 * simulator.frequencies_).pvalue > 1e-3
    np.testing.assert_array_equal(y, simulator.labels_[which])
    noise = X - simulator.centres_[which]
    assert noise.mean() == pytest.approx(0, abs=5 * 0.3 / np.sqrt(noise.size))
    assert noise.std() == pytest.approx(0.3, rel=5 / np.sqrt(2 * noise.size))
    ratios = np.sort(simulator.frequencies_)[::-1] * np.arange(1, 13)
    np.testing.assert_allclose(ratios, ratios[0])  # Zipf
    again = simulator.sample(random_state=3)
    np.testing.assert_array_equal(X, again[0])
    other = simulator.sample(random_state=4)
    assert (which != other[2]).any()
    assert len(simulator.sample(7)[0]) == 7


def test_a_population_is_its_random_state():
    one, same = LongTailSimulator(30, random_state=1), clone(LongTailSimulator(30, random_state=1))
    other = LongTailSimulator(30, random_state=2)
    for name in ("frequencies_", "labels_", "centres_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert (getattr(one, name) != getattr(other, name)).any()
    tail = LongTailSimulator(4_000, n_classes=5)
    assert stats.chisquare(np.bincount(tail.labels_, minlength=5)).pvalue > 1e-3
    # the order of the frequencies tells neither labels nor positions
    assert abs(np.corrcoef(tail.frequencies_, tail.centres_[:, 0])[0, 1]) < 5 / np.sqrt(4_000)


def error_of(rule, simulator):
    """Probability of error under the true frequencies: one fresh point of every subpopulation."""
    X, y = simulator.points(np.arange(simulator.n_subpopulations), random_state=10**6)
    return simulator.frequencies_ @ (rule.predict(X) != y)


def test_the_theory_predicts_nearest_neighbours_that_memorize_and_that_do_not():
    optimum, excess, fits, refuses = [], [], [], []
    for seed in range(300):
        simulator = LongTailSimulator(
            60, n_samples=60, n_features=12, spread=0.02, n_classes=3, random_state=seed
        )
        X, y, which = simulator.sample(random_state=seed)
        times = np.bincount(which, minlength=60)
        rule = KNeighborsClassifier(n_neighbors=1)
        fits.append(error_of(rule.fit(X, y), simulator))
        often = times[which] >= 3  # the other rule disregards what it saw only once or twice
        refuses.append(error_of(rule.fit(X[often], y[often]), simulator))
        guess = 1 - 1 / 3  # its error where it has nothing near
        wrong = {int(c): guess * (times == c).sum() for c in (1, 2)}
        optimum.append(simulator.optimal_error())
        excess.append(simulator.excess_error(wrong))
    fits, refuses = np.array(fits), np.array(refuses)
    assert np.mean(optimum) == pytest.approx(optimum[0])  # of the prior alone
    assert abs(fits.mean() - optimum[0]) < 4 * stats.sem(fits)
    difference = refuses - fits - excess
    assert abs(difference.mean()) < 4 * stats.sem(difference)
    assert np.mean(excess) > 20 * stats.sem(difference)  # an effect that could not be missed
    expected = (1 - 1 / 3) * simulator.marginal_value([1, 2]).sum()
    assert abs(np.mean(excess) - expected) < 4 * stats.sem(excess)


@pytest.fixture(scope="module")
def experiment():
    simulator = LongTailSimulator(12, n_samples=60, n_features=8, n_classes=3)
    plain = MemorizationEstimator(n_encoders=8, epochs=30, verbose=0)
    variants = regularised_variants(plain)
    del variants["small learning rate"]
    return simulator, variants, long_tail_experiment(simulator, variants, random_state=5)


def test_the_table_holds_what_was_measured(experiment):
    simulator, variants, table = experiment
    assert set(table["variant"]) == {"plain", "early stop", "gradient noise"}
    for name in variants:
        one = table[table["variant"] == name]
        assert (one["count"] * one["n_subpopulations"]).sum() == simulator.n_samples
        assert (np.diff(one["count"]) > 0).all()
        np.testing.assert_allclose(one["tau"], simulator.tau(one["count"]))
        wrong = one["n_subpopulations"] * (1 - one["accuracy"])
        counts = one["count"].tolist()
        total = simulator.excess_error(dict(zip(counts, wrong.tolist(), strict=True)))
        assert one["excess_error"].sum() == pytest.approx(total)
        assert (one["memorization_low"] < one["memorization"]).all()
        assert (one["memorization"] < one["memorization_high"]).all()
        assert np.isnan(one["accuracy_error"][one["n_subpopulations"] == 1]).all()
    plain, early, noisy = (table[table["variant"] == name] for name in variants)
    weight = plain["count"] * plain["n_subpopulations"] / simulator.n_samples
    assert weight @ plain["memorization"] > weight @ early["memorization"]
    assert weight @ plain["memorization"] > weight @ noisy["memorization"]
    rare = plain["count"] <= 2
    assert plain["memorization"][rare].mean() > plain["memorization"][~rare].mean()
    assert plain["accuracy"].mean() > 0.8  # separated subpopulations, chance is 1/3


def test_the_same_numbers_come_from_the_estimator_itself(experiment):
    simulator, variants, table = experiment
    X, y, which = simulator.sample(random_state=derive_seed(5, "long tail", "sample"))
    seed = derive_seed(5, "long tail", "pools") % 2**32
    est = clone(variants["early stop"]).set_params(random_state=seed).fit(X)
    early = table[table["variant"] == "early stop"]
    times = np.bincount(which)[which]  # of each row's subpopulation
    means = [est.memorization_scores_[times == c].mean() for c in early["count"]]
    np.testing.assert_allclose(early["memorization"], means, atol=1e-12)
    by_block = np.array([est.result_.scores.blocks[:, times == c].mean(1) for c in early["count"]])
    half = stats.t.ppf(0.975, 3) * by_block.std(1, ddof=1) / 2  # four blocks
    np.testing.assert_allclose(early["memorization_high"] - early["memorization"], half, rtol=1e-6)

    seen = np.unique(which)
    X_test, y_test = simulator.points(np.repeat(seen, 20), derive_seed(5, "long tail", "test"))
    probes = {None: KNeighborsClassifier(1, metric="cosine"), LinearProbe(): LinearProbe()}
    for probe, same in probes.items():
        scale = StandardScaler().fit(est.transform(X))
        same.fit(scale.transform(est.transform(X)), y)
        right = same.predict(scale.transform(est.transform(X_test))) == y_test
        right = right.reshape(len(seen), 20).mean(1)
        mine = {"early stop": variants["early stop"]}
        again = long_tail_experiment(simulator, mine, probe=probe, random_state=5)
        tested = np.bincount(which)[seen]
        expected = [right[tested == c].mean() for c in again["count"]]
        np.testing.assert_allclose(again["accuracy"], expected, atol=1e-9)
    assert not hasattr(variants["early stop"], "result_")  # clones were fitted
    assert variants["early stop"].random_state is None


def test_the_display_draws_the_table(experiment):
    _, _, table = experiment
    display = LongTailDisplay(table).plot()
    plain = table[table["variant"] == "plain"]
    above, middle, below = display.axes_
    drawn = [c.lines[0] for c in above.containers]
    np.testing.assert_allclose(drawn[0].get_ydata(), plain["memorization"])
    np.testing.assert_allclose(drawn[0].get_xdata(), plain["count"], rtol=0.05)
    np.testing.assert_allclose(middle.containers[0].lines[0].get_ydata(), 1 - plain["accuracy"])
    np.testing.assert_allclose(below.lines[0].get_ydata(), plain["tau"])
    bars = above.containers[0].lines[2][0].get_segments()
    ends = np.array([bar[:, 1] for bar in bars])
    expected = np.stack([plain["memorization_low"], plain["memorization_high"]], axis=1)
    np.testing.assert_allclose(ends, expected)
    labels = [t.get_text() for t in above.get_legend().get_texts()]
    assert labels[0] == f"plain: {plain['excess_error'].sum():.3f}"
    assert [label.split(":")[0] for label in labels] == ["plain", "early stop", "gradient noise"]
    own, axes = mpl.pyplot.subplots(1, 3)
    assert LongTailDisplay(table).plot(axes=axes).figure_ is own
    mpl.pyplot.close("all")


def test_the_display_refuses_other_tables(experiment):
    _, _, table = experiment
    with pytest.raises(TypeError, match="table must be the ScoreTable of long_tail_experiment"):
        LongTailDisplay(3).plot()
    with pytest.raises(ValueError, match="table has no column 'variant'"):
        LongTailDisplay(ScoreTable({"row": [1]})).plot()
    with pytest.raises(ValueError, match="axes must be three Axes, got 1"):
        LongTailDisplay(table).plot(axes=[mpl.pyplot.figure().add_subplot()])
    many = ScoreTable({k: np.concatenate([table[table["variant"] == "plain"][k]] * 7)
                       for k in table.columns if k != "variant"})  # fmt: skip
    named = np.repeat(list("abcdefg"), len(many) // 7)
    with pytest.raises(ValueError, match="table has 7 variants: at most 6"):
        LongTailDisplay(many.with_column("variant", named)).plot()
    mpl.pyplot.close("all")


def test_variants_change_one_thing_each():
    plain = MemorizationEstimator(epochs=50, learning_rate=1e-2)
    variants = regularised_variants(plain, torch_identity(), epochs=0.2, learning_rate=0.5)
    assert list(variants) == [
        "plain", "early stop", "small learning rate", "gradient noise", "strong augmentation",
    ]  # fmt: skip
    assert variants["gradient noise"].gradient_noise.get_params() == GradientNoise().get_params()
    own = regularised_variants(plain, gradient_noise=GradientNoise(multiplier=0.2))
    assert own["gradient noise"].gradient_noise.multiplier == 0.2
    assert variants["early stop"].epochs == pytest.approx(10)
    assert variants["small learning rate"].learning_rate == pytest.approx(5e-3)
    for name, parameter in (
        ("early stop", "epochs"),
        ("small learning rate", "learning_rate"),
        ("gradient noise", "gradient_noise"),
        ("strong augmentation", "augmentation"),
    ):
        params = variants[name].get_params(deep=False)
        assert {k for k, v in plain.get_params().items() if v != params[k]} == {parameter}


def torch_identity():
    from torch import nn

    return nn.Identity()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_subpopulations", 1),
        ("exponent", -1.0),
        ("exponent", np.inf),
        ("n_samples", 0),
        ("n_features", 0),
        ("spread", -0.1),
        ("n_classes", 1),
        ("random_state", -1),
    ],
)
def test_bad_parameters_are_named(parameter, value):
    with pytest.raises(ValueError, match=f"{parameter} must be"):
        LongTailSimulator(**{parameter: value}).sample()


def test_bad_calls_are_named():
    simulator = LongTailSimulator(10, n_samples=20)
    with pytest.raises(TypeError, match="random_state must be an int"):
        LongTailSimulator(10, random_state=None).frequencies_  # noqa: B018
    with pytest.raises(ValueError, match="count must lie between 0 and n_samples=20"):
        simulator.tau(21)
    with pytest.raises(TypeError, match="count must be an int"):
        simulator.marginal_value(1.5)
    with pytest.raises(TypeError, match="must be a dict of count to number"):
        simulator.excess_error([1, 2])
    with pytest.raises(ValueError, match="a count of errors_by_count must be an int of at least 1"):
        simulator.excess_error({0: 1.0})
    with pytest.raises(ValueError, match=r"errors_by_count\[1\] must be a number of at least 0"):
        simulator.excess_error({1: -1.0})
    with pytest.raises(ValueError, match="subpopulation must lie between 0 and 9"):
        simulator.points([10])
    with pytest.raises(TypeError, match="subpopulation must be a list of ints"):
        simulator.points(0.5)
    estimator = MemorizationEstimator(n_encoders=4, epochs=1, verbose=0)
    with pytest.raises(TypeError, match="simulator must be a LongTailSimulator"):
        long_tail_experiment("zipf", {"a": estimator})
    with pytest.raises(TypeError, match="estimators must be a dict"):
        long_tail_experiment(simulator, estimator)
    with pytest.raises(TypeError, match=r"estimators\['a'\] must be a MemorizationEstimator"):
        long_tail_experiment(simulator, {"a": LinearProbe()})
    with pytest.raises(TypeError, match="probe must be a classifier"):
        long_tail_experiment(simulator, {"a": estimator}, probe="linear")
    with pytest.raises(ValueError, match="n_test must be an int of at least 1"):
        long_tail_experiment(simulator, {"a": estimator}, n_test=0)
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1"):
        long_tail_experiment(simulator, {"a": estimator}, level=1.0)
    with pytest.raises(TypeError, match="estimator must be a MemorizationEstimator"):
        regularised_variants("plain")
    with pytest.raises(ValueError, match="epochs must be a number above 0 and at most 1"):
        regularised_variants(estimator, epochs=2.0)
    with pytest.raises(TypeError, match="gradient_noise must be None or .*GradientNoise"):
        regularised_variants(estimator, gradient_noise=1.0)
