"""Displays hold the right rows in the right order, and draw them the right way up."""

import copy
import subprocess
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

from sslmemo import MemorizationEstimator, MemorizationResult
from sslmemo.data import Layout
from sslmemo.designs import Split, Subsample
from sslmemo.plotting import MemorizationRankingDisplay, ScoreDistributionDisplay
from sslmemo.pool import Run

pytestmark = pytest.mark.filterwarnings("error")
N = 60


def make_result(n=N, n_encoders=8, design=None, unscored=()):
    """Scores that rise with a known permutation of the rows, with noise."""
    plan = (design or Subsample()).draw(n, n_encoders, entropy=0)
    rng = np.random.default_rng(0)
    alignment = rng.normal(1.0, 0.05, plan.member.shape)
    alignment -= plan.member * rng.permutation(n) / n
    if len(unscored):
        contrast = np.where(plan.member, -1, 1).astype(np.int8)
        contrast[:, list(unscored)] = 0
        plan = replace(plan, contrast=contrast)
    return MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(len(plan.seed))))


def make_images(n=N, c=1, h=6, w=4):
    """(n, c, h, w) in [0, 1], no two alike."""
    return np.random.default_rng(1).random((n, c, h, w)).astype(np.float32)


@pytest.fixture(scope="module")
def result():
    return make_result()


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def top(score, rows, k):
    """The k rows of the highest score, ascending: the slow and literal way."""
    return sorted(rows, key=lambda i: score[i])[-k:]


def test_ranking_shows_both_ends_of_every_class(result):
    y = np.arange(N) % 3
    display = MemorizationRankingDisplay.from_result(result, make_images(), y, classes=[2, 0], k=4)
    assert list(display.classes) == [2, 0]
    for band, label in enumerate([2, 0]):
        mine = np.flatnonzero(y == label)
        ends = display.rows[display.bands == band].reshape(2, 4)
        assert ends[1].tolist() == top(result.score, mine, 4)
        assert ends[0].tolist() == top(-result.score, mine, 4)[::-1]
    assert display.most.tolist() == ([False] * 4 + [True] * 4) * 2
    assert display.between.tolist() == [12, 12]
    np.testing.assert_array_equal(display.scores, result.score[display.rows])
    np.testing.assert_array_equal(display.standard_errors, result.standard_error[display.rows])
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["2", "0"]


def test_ranking_without_classes_is_one_band(result):
    display = MemorizationRankingDisplay.from_result(result, make_images(), k=3)
    order = np.argsort(result.score)
    assert display.rows.tolist() == [*order[:3], *order[-3:]]
    assert display.classes is None
    assert display.between.tolist() == [N - 6]


def test_least_memorized_is_drawn_left_and_upright(result):
    display = MemorizationRankingDisplay.from_result(result, make_images(), k=3)
    left = [image.get_extent()[0] for image in display.ax_.images]
    assert left == sorted(left)
    assert left[3] - left[2] > 1.5  # the gap
    for image, shown in zip(display.ax_.images, display.images, strict=True):
        np.testing.assert_array_equal(image.get_array(), shown)
        _, _, bottom, upper = image.get_extent()
        to_screen = display.ax_.transData.transform
        assert image.origin == "upper"
        assert to_screen((0, upper))[1] > to_screen((0, bottom))[1]


def test_small_class_is_shown_whole(result):
    y = np.where(np.arange(N) < 5, "few", "many")
    display = MemorizationRankingDisplay.from_result(result, make_images(), y, classes="few", k=8)
    assert display.rows.tolist() == top(result.score, range(5), 5)
    assert display.most.tolist() == [False, False, False, True, True]
    assert display.between.tolist() == [0]


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("layout", ["first", "last", "flat", "flat last", "tensor", "dataset"])
def test_every_layout_shows_the_same_images(result, c, layout):
    X = make_images(c=c)
    expected = np.moveaxis(X, 1, -1)
    last = np.ascontiguousarray(expected)
    options = {
        "first": (X, {}),
        "last": (last, {"channels": "last"}),
        "flat": (X.reshape(N, -1), {"image_shape": (c, 6, 4)}),
        "flat last": (last.reshape(N, -1), {"channels": "last", "image_shape": (6, 4, c)}),
        "tensor": (torch.from_numpy(X), {}),
        "dataset": (Counting(X), {}),
    }
    X, keywords = options[layout]
    display = MemorizationRankingDisplay.from_result(result, X, k=5, **keywords)
    expected = expected[display.rows]
    np.testing.assert_array_equal(display.images, expected[..., 0] if c == 1 else expected)


class Counting:
    """A dataset of (image, label) that remembers what was read."""

    def __init__(self, X):
        self.X, self.read = X, []

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        self.read.append(i)
        return self.X[i], 0


def test_only_shown_rows_are_read(result):
    data = Counting(make_images())
    display = MemorizationRankingDisplay.from_result(result, data, k=2)
    assert data.read == display.rows.tolist()


def test_values_are_brought_into_the_unit_interval(result):
    X = make_images()
    as_bytes = (X * 255).astype(np.uint8)
    display = MemorizationRankingDisplay.from_result(result, as_bytes, k=2)
    np.testing.assert_allclose(display.images, as_bytes[display.rows, 0] / 255, rtol=1e-6)
    display = MemorizationRankingDisplay.from_result(result, X * 7 - 2, k=2)
    assert display.images.min() == 0
    assert display.images.max() == 1


def test_rows_without_a_score_are_left_out():
    lost = [3, 17, 40]
    result = make_result(unscored=lost)
    ranking = MemorizationRankingDisplay.from_result(result, make_images(), k=30)
    scores = ScoreDistributionDisplay.from_result(result)
    for rows in (ranking.rows, scores.rows):
        assert sorted(rows) == [i for i in range(N) if i not in lost]
    with pytest.raises(ValueError, match="no row of class 1 has a score"):
        MemorizationRankingDisplay.from_result(result, make_images(), np.isin(range(N), lost) * 1,
                                               classes=[1])  # fmt: skip


def test_captions_are_scaled_for_tiny_scores(result):
    scores = np.array([-0.00001, 2e-5, 3e-5])
    display = MemorizationRankingDisplay(
        images=make_images(3)[:, 0], rows=np.arange(3), scores=scores, standard_errors=scores / 10,
        bands=np.zeros(3, int), most=np.array([False, True, True]), between=np.array([0]),
        k=2, title="t",
    ).plot()  # fmt: skip
    texts = [t.get_text() for t in display.ax_.texts]
    assert "\N{MINUS SIGN}1.00" in texts
    assert display.ax_.get_title(loc="left") == "t, in units of $10^{-5}$"


def test_one_block_draws_without_errors():
    result = make_result(n_encoders=2)
    ranking = MemorizationRankingDisplay.from_result(result, make_images(), k=2)
    assert not any("±" in t.get_text() for t in ranking.ax_.texts)
    assert "±" not in ranking.title
    display = ScoreDistributionDisplay.from_result(result)
    assert np.isnan(display.noise_band).all()
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones((N, 9))}, "ScoreDistributionDisplay"),
        ({"X": make_images(N - 1)}, "59 rows, but the result scores 60"),
        ({"X": make_images(c=2)}, "2 channels"),
        ({"y": np.zeros(N - 1)}, "one label for each of the 60 rows"),
        ({"classes": [1]}, "classes need y"),
        ({"y": np.arange(N) % 2, "classes": [5]}, "no row of class 5 .* 0, 1"),
        ({"y": np.arange(N)}, "60 classes are more"),
        ({"k": 0}, "k must be an int of at least 1"),
    ],
)
def test_ranking_refuses(result, change, message):
    arguments = {"X": make_images(), **change}
    with pytest.raises(ValueError, match=message):
        MemorizationRankingDisplay.from_result(result, **arguments)


def test_distribution_holds_sorted_scores(result):
    display = ScoreDistributionDisplay.from_result(result)
    low, high = result.interval()
    np.testing.assert_array_equal(display.scores, np.sort(result.score))
    np.testing.assert_array_equal(result.score[display.rows], display.scores)
    np.testing.assert_array_equal(display.low, low[display.rows])
    np.testing.assert_array_equal(display.high, high[display.rows])
    assert display.noise_band == result.noise_band()
    assert display.groups is None
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in display.axes_]
    score = "memorization score m(x)"
    assert labels == [("rows, sorted by score", score), (score, "rows")]
    assert f"reliability {result.reliability:.2f}" in display.figure_.get_suptitle()


def test_distribution_groups_by_role_unless_classes_are_given():
    roles = np.repeat(["external", "independent", "candidate", "shared"], 15)
    result = make_result(design=Split(roles=roles))
    display = ScoreDistributionDisplay.from_result(result)
    assert display.group_kind == "role"
    assert [m.split()[0] for m in display.group_names] == [
        "shared", "candidate", "independent", "external",
    ]  # fmt: skip
    order = np.array(["shared", "candidate", "independent", "external"])
    np.testing.assert_array_equal(order[display.groups], roles[display.rows])

    y = np.array(["b", "a"])[np.arange(N) % 2]
    display = ScoreDistributionDisplay.from_result(result, y)
    assert (display.group_kind, display.group_names) == ("class", ["a", "b"])
    np.testing.assert_array_equal(np.array(["a", "b"])[display.groups], y[display.rows])


@pytest.mark.parametrize("n_classes", [2, 12])
@pytest.mark.parametrize("kind", ["sorted", "hist", "both"])
def test_kinds_draw_on_given_axes(result, kind, n_classes):
    n = 2 if kind == "both" else 1
    figure, axes = plt.subplots(1, n)
    display = ScoreDistributionDisplay.from_result(
        result, np.arange(N) % n_classes, kind=kind, ax=axes
    )
    assert display.axes_.tolist() == np.atleast_1d(axes).tolist()
    assert display.figure_ is figure
    assert display.plot(kind=kind) is display
    assert display.figure_ is not figure
    display.figure_.canvas.draw()


def test_distribution_refuses(result):
    draw = ScoreDistributionDisplay.from_result
    with pytest.raises(ValueError, match="kind='box' is unknown"):
        draw(result, kind="box")
    with pytest.raises(ValueError, match=r"draws 2 panel\(s\), but ax holds 1"):
        draw(result, ax=plt.subplots()[1])
    with pytest.raises(ValueError, match="60 distinct values"):
        draw(result, np.random.default_rng(0).random(N))
    with pytest.raises(ValueError, match="no row has a score"):
        draw(make_result(unscored=range(N)))


def test_ranking_draws_on_given_axes(result):
    figure, axes = plt.subplots(1, 2)
    display = MemorizationRankingDisplay.from_result(result, make_images(), k=2, ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].images
    assert display.plot() is display
    assert display.figure_ is not figure


@pytest.mark.parametrize("k", [1, 2, 8])
def test_no_text_is_cut_off_or_overlaps(result, k):
    names = np.array(["a rather long class name", "b"])[np.arange(N) % 2]
    display = MemorizationRankingDisplay.from_result(result, make_images(), names, k=k)
    display.figure_.canvas.draw()
    whole = display.figure_.bbox
    texts = [*display.ax_.texts, *display.ax_.get_yticklabels(), display.ax_.title]
    texts = [t for t in [*texts, display.ax_._left_title] if t.get_text()]
    boxes = [t.get_window_extent() for t in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert whole.x0 <= box.x0, text
        assert box.x1 <= whole.x1, text
        assert whole.y0 <= box.y0, text
        assert box.y1 <= whole.y1, text
    for i, box in enumerate(boxes):
        for j in range(i):
            assert not box.shrunk(0.8, 0.8).overlaps(boxes[j]), (texts[i], texts[j])


@pytest.fixture(scope="module")
def fitted():
    X = make_images(12, h=4, w=4).reshape(12, -1)
    est = MemorizationEstimator(
        n_encoders=4, epochs=1, encoder="mlp", image_shape=(4, 4), random_state=0, verbose=0
    )
    return est.fit(X), X


def test_from_estimator(fitted):
    est, X = fitted
    y = np.arange(12) % 2
    display = MemorizationRankingDisplay.from_estimator(est, X, y, k=2)
    np.testing.assert_array_equal(display.images, X.reshape(12, 4, 4)[display.rows])
    np.testing.assert_array_equal(display.scores, est.memorization_scores_[display.rows])
    scores = ScoreDistributionDisplay.from_estimator(est, y)
    np.testing.assert_array_equal(scores.scores, np.sort(est.memorization_scores_))


def test_from_estimator_refuses_another_order(fitted):
    est, X = fitted
    with pytest.raises(ValueError, match="pass the X of fit, in its order"):
        MemorizationRankingDisplay.from_estimator(est, X[::-1], k=2)


def test_from_estimator_refuses_tables_and_what_has_no_result(fitted):
    est, X = fitted
    table = copy.copy(est)
    table.layout_ = Layout(shape=(16,), stored=(16,))
    with pytest.raises(ValueError, match="no image: use ScoreDistributionDisplay"):
        MemorizationRankingDisplay.from_estimator(table, X)
    from sklearn.linear_model import Ridge

    with pytest.raises(TypeError, match="Ridge has no result_"):
        ScoreDistributionDisplay.from_estimator(Ridge().fit(X, X[:, 0]))


def test_import_leaves_matplotlib_alone_and_its_absence_is_explained():
    code = """
import sys
import sslmemo.plotting
assert "matplotlib" not in sys.modules
sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = None
import numpy as np
display = sslmemo.plotting.ScoreDistributionDisplay(
    rows=np.arange(2), scores=np.ones(2), low=np.ones(2), high=np.ones(2), noise_band=(0, 0)
)
try:
    display.plot()
except ImportError as error:
    assert "sslmemo[plot]" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)
