"""The report: its numbers are the result's, the file stands alone, and no text of the user runs."""

import base64
import dataclasses
import io
import json
import re
import sys
import warnings

import numpy as np
import pytest
from PIL import Image
from report_cases import browser, open_page, simulated
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KDTree

from sslmemo import MemorizationEstimator, MemorizationResult, write_report
from sslmemo.data import Data, Layout
from sslmemo.designs import LeaveOneOut
from sslmemo.experiments import RemovalCurve, agreement
from sslmemo.reporting.content import (
    are_classes,
    collect,
    dots_of_rows,
    duration,
    neighbours,
    per_class,
    trust,
)
from sslmemo.reporting.samples import rows_with_views, samples
from sslmemo.reporting.thumbnails import Pictures, deviating, outlines, sheets
from sslmemo.table import ScoreTable

EVIL = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--",
    "$\\bad$",
    '"><b>&amp;',
    "a" * 300,
)


@pytest.fixture(scope="module")
def report(fitted, digits, tmp_path_factory):
    """A report of the digits: its path and text."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(fitted, digits[0], path, digits[1])
    return path, path.read_text(encoding="utf-8")


def data_of(html):
    """What the page's script reads."""
    return json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])


def opened(uri):
    """Pixels of a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))))


def test_numbers_are_those_of_the_result(report, fitted):
    data = data_of(report[1])
    table = fitted.result_.table()
    assert [*data["columns"]] == [*table.columns]
    for name, values in table.columns.items():
        given = np.array(data["columns"][name], dtype=float)  # None becomes NaN
        np.testing.assert_array_equal(given, values.astype(float), err_msg=name)
    assert data["top_k"] == fitted.result_.default_top_k


def test_words_are_those_of_the_result(report, fitted, digits):
    content = collect(fitted, digits[1])
    assert content["summary"] == fitted.result_.summary()
    assert content["methods"] == fitted.result_.methods_text()
    assert content["readings"]
    assert all(line in fitted.result_.summary() for line in content["readings"])
    cards = {card["name"]: card for card in content["trust"]}
    reliability = fitted.result_.reliability_interval
    assert float(cards["Reliability"]["value"].replace("\N{MINUS SIGN}", "-")) == round(
        reliability.value, 2
    )
    assert f" to {reliability.high:.2f};" in cards["Reliability"]["detail"]
    rank = np.median(fitted.result_.run.values["effective_rank"])
    assert f"effective rank {rank:.3g}" in cards["Collapse"]["detail"]
    changed = {name for name, _, changed in content["parameters"] if changed}
    assert changed == {"n_encoders", "epochs", "verbose", "random_state", "n_views",
                       "keep_encoders"}  # fmt: skip


def test_class_summaries(fitted, digits):
    result, y = fitted.result_, digits[1]
    names, of = np.unique(y, return_inverse=True)
    table = result.table()
    found = per_class(result, names, of)
    assert [f["name"] for f in found] == [str(n) for n in names]
    for f, name in zip(found, names, strict=True):
        mine = y == name
        per_block = result.scores.blocks[:, mine].mean(1)
        assert f["n"] == mine.sum()
        assert f["mean"] == pytest.approx(result.score[mine].mean())
        assert f["standard_error"] == pytest.approx(per_block.std(ddof=1) / len(per_block) ** 0.5)
        assert f["expected_top"] == pytest.approx(table["top_k_probability"][mine].sum())
    assert sum(f["above"] for f in found) == (table["q_value"] < 0.05).sum()


def test_neighbours_are_the_nearest_other_rows():
    z = np.random.default_rng(0).standard_normal((40, 5))
    z[3] = z[17]  # a copy is a neighbour, the row itself is not
    rows, distances = neighbours(z, 4)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    near, index = KDTree(unit).query(unit, k=5)
    for i in range(40):
        expected = [d for d, j in zip(near[i], index[i], strict=True) if j != i][:4]
        np.testing.assert_allclose(distances[i], expected, atol=1e-6)
        assert i not in rows[i]
    assert neighbours(z[:3])[0].shape == (3, 2)


def test_dots_give_back_the_alignments(fitted):
    run = fitted.result_.run
    dots = dots_of_rows(run)
    stored = np.frombuffer(base64.b64decode(dots["values"]), np.uint8).astype(float)
    assert not dots["thinned"]
    start = 0
    for row in range(run.plan.n_samples):
        low, high = dots["low"][row], dots["high"][row]
        for n, use in ((dots["n_in"][row], run.plan.as_f), (dots["n_out"][row], run.plan.as_g)):
            shown = low + stored[start : start + n] / 255 * (high - low)
            exact = run.values["alignment"][use[:, row], row]
            np.testing.assert_allclose(shown, exact, atol=(high - low) / 255)
            start += n
    few = dots_of_rows(run, most=2)
    assert few["thinned"]
    assert set(few["n_in"]) == {2}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.26, "4.3 s"), (59, "59 s"), (75, "1 min 15 s"), (7320, "2 h 2 min"), (3600, "1 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("rank", "spread", "state"), [(30, 0.9, "good"), (1.6, 0.2, "caution"), (1.2, 0.9, "bad")]
)
def test_collapse_is_told_by_rank_and_spread(fitted, rank, spread, state):
    known = {"effective_rank": np.full(8, rank), "spread": np.full(8, spread)}
    run = dataclasses.replace(fitted.result_.run, values={**fitted.result_.run.values, **known})
    cards = {card["name"]: card for card in trust(MemorizationResult(run))}
    assert cards["Collapse"]["state"] == state


def test_one_block_is_called_unknown():
    X = np.random.default_rng(0).random((30, 4))
    cards = {card["name"]: card for card in trust(simulated(X, n_encoders=2).result_)}
    assert cards["Reliability"]["value"] == cards["Standard error"]["value"] == "unknown"
    assert cards["Collapse"]["value"] == "not measured"
    assert "Clearly memorized" not in cards


def test_file_stands_alone(report):
    html = report[1]
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names
    assert not re.findall(r"<(?:link|iframe|object|embed|base)\b", html)
    assert all(s.startswith("#") or s.startswith("data:image/")
               for s in re.findall(r'(?:src|href)="([^"]*)"', html))  # fmt: skip
    assert all(s.startswith(("data:image/", "#")) for s in re.findall(r"url\(([^)]*)\)", html))
    assert "default-src 'none'" in html
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_script_is_the_one_that_the_policy_names(report):
    import hashlib

    script = re.search(r"<script>(.*?)</script>", report[1], re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in report[1]


def test_the_same_fit_gives_the_same_file(report, fitted, digits, tmp_path):
    write_report(fitted, digits[0], tmp_path / "again.html", digits[1])
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == report[1]


@pytest.mark.parametrize("evil", EVIL)
def test_names_of_classes_show_as_text(evil, tmp_path):
    X = np.random.default_rng(0).random((24, 3))
    y = np.array([evil, "plain"] * 12, dtype=object)
    path = tmp_path / "evil.html"
    write_report(simulated(X, y), X, path, title=f"About {evil}")  # y as given to fit
    html = path.read_text(encoding="utf-8")
    assert html.count("<script") == html.count("</script>") == 2
    assert "<img" not in html
    assert "onerror=alert(1)>" not in html
    assert "<b>" not in html
    assert data_of(html)["classes"] == sorted([evil, "plain"])


def test_names_of_columns_show_as_text(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).random((24, 2)), columns=["</script>", "b"])
    write_report(simulated(frame), frame, tmp_path / "t.html")
    html = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert html.count("</script>") == 2
    assert data_of(html)["features"] == ["</script>", "b"]


def test_five_thousand_rows_stay_below_15_mb(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (5000, 3, 32, 32), dtype=np.uint8)  # noise: no picture is larger
    path = tmp_path / "large.html"
    write_report(simulated(X, n_encoders=64), X, path, rng.integers(0, 10, 5000))
    assert path.stat().st_size < 15e6
    html = path.read_text(encoding="utf-8")
    data = data_of(html)
    assert len(data["view_rows"]) == 100
    assert sum(data["thumb"]["lines"]) * data["thumb"]["columns"] >= 5000
    assert html.count("<use") < 5000  # the points of the figure are pixels


def test_sheets_hold_every_picture():
    images = np.random.default_rng(0).integers(0, 256, (1000, 90, 70, 3), dtype=np.uint8)
    images //= 64  # of few colours: PNG would be small, were it not for the pixels
    small = images[:90]
    made = sheets(small, budget=10**9)
    places = made.places()
    assert made.uris[0].startswith("data:image/png")
    pixels = [opened(uri) for uri in made.uris]
    for i in range(90):
        sheet, inside = divmod(i, places["each"])
        y, x = divmod(inside, places["columns"])
        tile = pixels[sheet][y * 90 : (y + 1) * 90, x * 70 : (x + 1) * 70]
        np.testing.assert_array_equal(tile, small[i])
    assert len(sheets(images).uris) == 2
    assert [p.shape[0] // 90 for p in pixels] == places["lines"]


def test_sheets_keep_their_budget():
    images = np.random.default_rng(0).integers(0, 256, (400, 64, 64, 3), dtype=np.uint8)
    made = sheets(images, budget=200_000)
    assert sum(map(len, made.uris)) * 3 / 4 <= 200_000
    assert made.n == 400
    assert made.width < 64


def test_thumbnails_of_colours_grey_and_other_channels():
    rng = np.random.default_rng(0)
    x = rng.random((5, 3, 8, 8))
    pictures = Pictures(5)
    pictures.add(x)
    np.testing.assert_array_equal(pictures.images(), np.moveaxis((x * 255).round(), 1, -1))
    two = Pictures(5)
    two.add(x[:, :2])
    np.testing.assert_array_equal(two.images()[..., 0], (x[:, :2].mean(1) * 255).round())
    clear = Pictures(1)
    clear.add(np.concatenate([x[:1], np.zeros((1, 1, 8, 8))], axis=1))
    assert (clear.images() == 255).all()
    wide = Pictures(1)
    wide.add(np.full((1, 1, 100, 200), 0.5))
    assert wide.images().shape == (1, 48, 96, 1)
    assert (wide.images() == 128).all()


def test_images_beyond_the_unit_range_are_rescaled():
    X = np.linspace(-2, 3, 24 * 64).reshape(24, 1, 8, 8)
    estimator = simulated(X, augmentation=lambda x: x)
    _, page, uris = samples(estimator, estimator._read(X))
    pixels = opened(uris["thumb"][0])
    assert (pixels[:8, :8].min(), pixels.max()) == (0, 255)
    assert page["thumb"]["width"] == 8


def test_table_shows_the_deviating_columns(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 12)) * 10 + 100
    X[7, 5] = 999.5
    estimator = simulated(X)
    kind, page, uris = samples(estimator, estimator._read(X))
    assert (kind, uris) == ("table", {})
    assert page["picked"][7][0] == 5
    assert page["values"][7][0] == 999.5
    z = (X[7, 5] - X[:, 5].mean()) / X[:, 5].std()
    assert page["deviations"][7][0] == pytest.approx(z, abs=0.01)
    assert np.shape(page["view_values"]) == (40, 6, 8)
    donors = {float(f"{v:.4g}") for v in X[:, 5]}  # scarf's views borrow values of other rows
    seen = {view[page["picked"][7].index(5)] for view in page["view_values"][7]}
    assert seen <= donors
    z = np.array([[0.1, -3.0, 2.0]])
    assert deviating(z, 2).tolist() == [[1, 2]]


def test_series_become_outlines():
    t = np.linspace(0, 1, 200)
    series = np.stack([np.stack([t, -t]), np.stack([2 * t, 0 * t])])  # (2, 2, 200)
    lines = outlines(series)
    assert lines.shape == (2, 2, 48)
    np.testing.assert_allclose(lines[0, 0], np.linspace(0, 127.5, 48), atol=0.51)
    assert (lines[1, 0, -1], lines[0, 1, -1], lines[1, 1, 0]) == (255, 0, 255)
    assert outlines(series[..., :1]).shape == (2, 2, 1)
    estimator = simulated(series.reshape(2, -1))
    data = Data(series, Layout((2, 200), (2, 200)))
    estimator._fitted_trainer.views.augmentation = lambda x: x
    kind, page, _ = samples(estimator, data)
    assert kind == "series"
    views = np.frombuffer(base64.b64decode(page["view_lines"]), np.uint8).reshape(2, 6, 2, 48)
    np.testing.assert_array_equal(views[:, 0], lines)  # one scale for both


def test_views_are_of_both_ends():
    score = np.arange(300.0)
    score[299] = np.nan
    assert rows_with_views(score).tolist() == [*range(50), *range(249, 299)]
    assert len(rows_with_views(score[:200])) == 200


def test_removal_and_agreement_are_shown_when_given(fitted, digits, tmp_path):
    cells = [("none", 0.0, 0, "accuracy", 0.9)]
    cells += [(s, 0.2, r, "accuracy", v + r / 100)
              for s, v in (("memorized", 0.8), ("random", 0.85)) for r in (0, 1)]  # fmt: skip
    names = ("strategy", "fraction", "repeat", "metric", "value")
    curve = RemovalCurve(ScoreTable.from_rows(names, cells), {}, "Removal <b>of</b> rows.")
    both = agreement({"one": fitted.result_, "two <b>": fitted.result_})
    path = tmp_path / "r.html"
    write_report(fitted, digits[0], path, removal=curve, agreement=both)
    html = path.read_text(encoding="utf-8")
    assert html.count("<svg ") == 4
    assert 'id="removal"' in html
    assert 'id="agreement"' in html
    assert "<b>" not in html
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_rows_without_score_and_no_labels(tmp_path):
    X = np.random.default_rng(0).random((30, 4))
    estimator = simulated(X)
    estimator.result_.scores.score[3] = np.nan
    write_report(estimator, X, tmp_path / "r.html")
    data = data_of((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert data["columns"]["score"][3] is None
    assert data["classes"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"design": "split"},
        {"design": LeaveOneOut(indices=[3, 5]), "n_encoders": 6},
        {"estimate": "shrinkage", "n_encoders": 8},
        {"n_encoders": 2},
        {"layer": "projector", "normalize": "encoder"},
    ],
    ids=["split", "leave_one_out", "shrinkage", "one block", "normalized"],
)
def test_every_kind_of_fit(changes, digits, tiny, tmp_path):
    X, y = digits[0][:40], digits[1][:40]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one block, of rows without a score
        fit = tiny(**changes).fit(X)
        fit.save(tmp_path / "fit")
        fit = MemorizationEstimator.load(tmp_path / "fit")
    write_report(fit, X, tmp_path / "r.html")
    data = data_of((tmp_path / "r.html").read_text(encoding="utf-8"))
    np.testing.assert_array_equal(np.array(data["columns"]["score"], float), fit.result_.score)
    assert data["class_word"] == ("role" if "split" in changes.values() else "class")
    assert (data["classes"] is None) == (data["class_word"] == "class")
    write_report(fit, X, tmp_path / "r.html", y)
    data = data_of((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert [data["classes"][c] for c in data["class_of"]] == [str(c) for c in y]


def test_early_errors(fitted, digits, tiny, tmp_path, monkeypatch):
    X, y = digits
    path = tmp_path / "r.html"
    with pytest.raises(NotFittedError):
        write_report(tiny(), X, path)
    with pytest.raises(TypeError, match="estimator must be a fitted MemorizationEstimator"):
        write_report(fitted.result_, X, path)
    with pytest.raises(FileNotFoundError, match="folder that does not exist"):
        write_report(fitted, X, tmp_path / "no" / "r.html")
    with pytest.raises(ValueError, match="is a folder"):
        write_report(fitted, X, tmp_path)
    with pytest.raises(ValueError, match="y must have one label for each of the 120 rows"):
        write_report(fitted, X, path, y[:-1])
    for labels in (None, y[:-1]):  # X is told of first
        with pytest.raises(ValueError, match="X has 119 rows, but 120 were fitted"):
            write_report(fitted, X[:-1], path, labels)
    for other in (str(path), path):
        with pytest.raises(TypeError, match=r"got the path '.*order is write_report\(estimator, X"):
            write_report(fitted, other, X)
    with pytest.raises(
        TypeError, match="path must be a str or a path, got a ndarray: the"
    ) as caught:
        write_report(fitted, X, y)
    assert len(str(caught.value)) < 120
    with pytest.raises(ValueError, match="ends with .pdf, but a report is HTML"):
        write_report(fitted, X, tmp_path / "r.pdf")
    with pytest.raises(ValueError, match="y has 120 distinct values for 120 rows: .* Bin it"):
        write_report(fitted, X, path, np.random.default_rng(0).random(120))
    with pytest.raises(ValueError, match="row 0 of X is not that row of fit"):
        write_report(fitted, X[::-1], path)
    with pytest.raises(ValueError, match="120 of 120 rows were not seen in fit"):
        write_report(fitted, 1 - X, path)
    with pytest.raises(TypeError, match="removal must be"):
        write_report(fitted, X, path, removal=3)
    with pytest.raises(TypeError, match="agreement must be an Agreement"):
        write_report(fitted, X, path, agreement=fitted.result_)
    with pytest.raises(ValueError, match="names has 2 entries for 120 rows"):
        write_report(fitted, X, path, names=["a", "b"])
    with pytest.raises(TypeError, match="names must be a str for each row"):
        write_report(fitted, X, path, names=range(120))
    with pytest.raises(TypeError, match="title must be a str"):
        write_report(fitted, X, path, title=3)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(
        ImportError, match=r"jinja2 is not installed: pip install sslmemo\[report\]"
    ):
        write_report(fitted, X, path)
    assert not path.exists()


@pytest.mark.parametrize("name", ["r", "r.htm", "r.HTML"])
def test_endings_of_a_page(name, tmp_path):
    X = np.random.default_rng(0).random((24, 3))
    write_report(simulated(X), X, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("labels", "are"),
    [
        (np.arange(20) / 7, True),  # so few can be shown
        (np.arange(21) / 7, False),
        (np.repeat(np.arange(30) / 7, 9), False),
        (np.repeat(np.arange(30.0), 2), True),
        (np.repeat(np.arange(1000), 3), True),
        (np.array([f"n{i}" for i in range(30)]), False),
        (np.array([f"n{i % 30}" for i in range(60)]), True),
        (np.array([f"n{i % 30}" for i in range(59)]), False),
    ],
)
def test_classes_are_told_from_measurements(labels, are):
    assert are_classes(labels) == are


def test_continuous_labels_of_fit_are_left_out(tmp_path):
    X = np.random.default_rng(0).random((60, 3))
    with pytest.warns(UserWarning, match="the y of fit has 60 distinct values") as seen:
        write_report(simulated(X, X[:, 0]), X, tmp_path / "r.html")
    assert seen[0].filename == __file__
    assert data_of((tmp_path / "r.html").read_text(encoding="utf-8"))["classes"] is None


def test_one_is_singular():
    X = np.random.default_rng(0).random((30, 4))
    cards = {card["name"]: card for card in trust(simulated(X, n_encoders=2).result_)}
    assert cards["Time"]["detail"].startswith("summed over 1 block,")


def test_numbers_of_the_page_have_a_true_minus(tmp_path):
    X = np.random.default_rng(0).random((24, 3))
    estimator = simulated(X, np.arange(24) % 2)
    scores = estimator.result_.scores
    scores.score[:] = -scores.score
    write_report(estimator, X, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    cells = re.findall(r'data-head="Mean score">(.*?)<', html)
    means = [estimator.result_.score[c::2].mean() for c in (0, 1)]
    assert cells == [f"\N{MINUS SIGN}{-m:.3g}" for m in means]


def test_rows_go_by_their_names(fitted, digits, tmp_path):
    names = [f"images/{i}.png" for i in range(len(digits[0]))]
    names[3] = EVIL[0]
    write_report(fitted, digits[0], tmp_path / "r.html", digits[1], names=names)
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert data_of(html)["names"] == names
    assert EVIL[0] not in html
    with browser() as chromium:
        page = open_page(chromium, tmp_path / "r.html").page
        page.fill("#find", "/17.")
        assert page.locator("#grid .cell").count() == 1
        page.click("#grid .cell")
        assert page.inner_text("#sample-h").startswith("images/17.png")
        page.keyboard.press("Escape")
        cells = page.locator("#grid .cell")
        page.fill("#find", "17")  # row 17 first, then the names that hold it
        assert cells.first.get_attribute("data-row") == "17"
        page.fill("#find", "11")
        assert cells.first.get_attribute("data-row") == "11"
        assert cells.count() == sum("11" in name for name in names)
        page.fill("#find", "#11")
        assert cells.evaluate_all("all => all.map(c => c.dataset.row)") == ["11"]
        assert page.inner_text("#count").startswith("Showing 1 of 1 sample that matches")
        page.fill("#find", "#700")  # no row
        assert cells.count() == 0
        page.fill("#find", "<script>")
        assert page.locator("#grid .tag").get_attribute("title") == EVIL[0]
        page.fill("#find", "images/40.png")
        assert page.inner_text("#grid .tag") == f"{digits[1][40]} · 40.png"


def test_opens_in_a_browser(report):
    with browser() as chromium:
        seen = open_page(chromium, report[0])
        assert seen.page.locator("#grid .cell").count() == 60
        assert seen.messages == []
        assert all(url.startswith(("file:", "data:")) for url in seen.requests)
