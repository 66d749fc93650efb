"""The report in a real browser: it filters, sorts, opens, asks for nothing and can be read by all."""

import csv

import numpy as np
import pytest
from report_cases import browser, open_page, simulated
from sklearn.datasets import load_digits

from sslmemo import write_report

pytestmark = pytest.mark.slow
NAMES = np.array(["<script>alert(1)</script>", "plain, with a comma", "x" * 80])


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A report of 300 digits in three classes: path, result, class of every row."""
    X, _ = load_digits(return_X_y=True)
    X = (X[:300] / 16).reshape(-1, 1, 8, 8)
    of = np.random.default_rng(0).integers(0, 3, 300)
    estimator = simulated(X)
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(estimator, X, path, NAMES[of])
    return path, estimator.result_, of


@pytest.fixture
def seen(chromium, case):
    """The report, opened; nothing may be logged or asked for while a test uses it."""
    opened = open_page(chromium, case[0])
    yield opened
    assert opened.messages == []
    assert all(url.startswith(("file:", "data:")) for url in opened.requests)
    opened.page.context.close()


def rows(page, where="#grid"):
    return [int(r) for r in page.locator(f"{where} .cell").evaluate_all(
        "cells => cells.map(c => c.dataset.row)")]  # fmt: skip


def test_sorts(seen, case):
    table = case[1].table()
    best = np.argsort(-table["score"], kind="stable")
    assert rows(seen.page) == best[:60].tolist()
    assert rows(seen.page, "#most") == best[:12].tolist()
    assert rows(seen.page, "#least") == best[::-1][:12].tolist()
    seen.page.select_option("#sort", "-score")
    assert rows(seen.page) == best[::-1][:60].tolist()
    seen.page.select_option("#sort", "-row")
    assert rows(seen.page) == list(range(60))
    seen.page.select_option("#sort", "standard_error")
    assert rows(seen.page)[:5] == np.argsort(-table["standard_error"])[:5].tolist()
    seen.page.select_option("#sort", "top_k_probability")
    shown = table["top_k_probability"][rows(seen.page)]
    assert (np.diff(shown) <= 0).all()


def test_filters(seen, case):
    table, of = case[1].table(), case[2]
    page = seen.page
    page.select_option("#class", label=NAMES[0])
    mine = np.flatnonzero(of == 0)
    assert set(rows(page)) <= set(mine.tolist())
    assert f"of {len(mine)} samples that match" in page.inner_text("#count")
    page.fill("#low", "0.1")
    page.fill("#high", "0.15")
    score = table["score"]
    kept = [i for i in mine if 0.1 <= score[i] <= 0.15]
    while page.locator("#more").is_visible():
        page.click("#more")
    assert sorted(rows(page)) == kept
    page.click("text=Reset")
    page.wait_for_function("document.querySelectorAll('#grid .cell').length == 60")
    page.fill("#sure", "0.9")
    assert set(rows(page)) == set(np.flatnonzero(table["top_k_probability"] >= 0.9).tolist())
    page.fill("#sure", "")
    page.fill("#find", "123")
    assert rows(page) == [123]
    page.fill("#find", "7000")
    assert "No sample matches" in page.inner_text("#count")
    assert page.inner_text("#grid") == ""


def test_more_samples_come_with_the_keyboard(seen):
    page = seen.page
    page.focus("#more")
    page.keyboard.press("Enter")
    assert len(rows(page)) == 120
    focused = "document.activeElement.dataset.row"
    assert page.evaluate(focused) == str(rows(page)[60])
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == str(rows(page)[61])
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) != str(rows(page)[61])


def test_a_class_of_the_table_is_shown(seen, case):
    seen.page.locator("button[data-class]").nth(1).click()
    name = np.unique(NAMES)[1]
    mine = set(np.flatnonzero(NAMES[case[2]] == name).tolist())
    assert set(rows(seen.page)) <= mine
    assert seen.page.evaluate("document.activeElement.id") == "class"


def test_a_sample_opens_and_closes(seen, case):
    page, table = seen.page, case[1].table()
    cell = page.locator("#grid .cell").nth(2)
    row = int(cell.get_attribute("data-row"))
    cell.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    assert dialog.is_visible()
    text = dialog.inner_text()
    assert f"Row {row}" in text
    assert f"{table['score'][row]:.3f}" in text
    assert f"{table['posterior_low'][row]:.3f} to" in text
    assert dialog.locator(".grid .cell").count() == 8
    near = dialog.locator(".cell").first.get_attribute("data-row")
    plan = case[1].run.plan
    assert dialog.locator("circle.f").count() == plan.as_f[:, row].sum()
    assert dialog.locator("circle.g").count() == plan.as_g[:, row].sum()
    for _ in range(40):  # the focus stays in the dialog (or the browser's own bar)
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    dialog.locator(".cell").first.click()
    assert f"Row {near}" in page.inner_text("#sample-h")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.dataset.row") == str(row)


def test_the_list_is_walked_in_the_dialog(seen):
    page = seen.page
    order = rows(page)
    page.locator("#grid .cell").first.click()
    assert page.locator("#previous").is_disabled()
    page.click("#next")
    assert page.inner_text("#sample-h").startswith(f"Row {order[1]}\nclass ")
    page.click("#previous")
    assert page.inner_text("#sample-h").startswith(f"Row {order[0]}\nclass ")
    page.click("#close")
    assert not page.locator("dialog").is_visible()


def test_downloaded_csv_is_the_table(seen, case):
    with seen.page.expect_download() as download:
        seen.page.click("#csv")
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        names, *lines = csv.reader(file)
    table = case[1].table().with_column("class", NAMES[case[2]])
    assert names == [*table.columns]
    columns = dict(zip(names, zip(*lines, strict=True), strict=True))
    assert list(columns.pop("class")) == NAMES[case[2]].tolist()
    for name, values in columns.items():
        np.testing.assert_array_equal(np.array(values, float), table[name].astype(float))


def test_theme_is_switched(seen):
    colour = "getComputedStyle(document.body).backgroundColor"
    light = seen.page.evaluate(colour)
    seen.page.click("text=Dark theme")
    dark = seen.page.evaluate(colour)
    assert sum(map(int, dark[4:-1].split(","))) < 120 < sum(map(int, light[4:-1].split(",")))
    seen.page.click("text=Light theme")
    assert seen.page.evaluate(colour) == light


def faults(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [
        (v["id"], [n["target"] for n in v["nodes"]][:3])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(chromium, case, scheme, width):
    page = open_page(chromium, case[0], scheme, width, 844).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for details in page.locator("summary").all():
        details.click()
    assert faults(page) == []
    page.locator("#grid .cell").first.click()
    assert faults(page) == []
    assert page.locator("dialog").evaluate("d => d.scrollWidth <= d.clientWidth")
    page.context.close()


def test_a_phone_shows_everything(chromium, tmp_path):
    X, y = load_digits(return_X_y=True)
    X = (X[:60] / 16).reshape(-1, 1, 8, 8)
    names = [f"folder/{i}_{'long' * 40}.png" for i in range(60)]
    path = tmp_path / "phone.html"
    write_report(simulated(X), X, path, y[:60], names=names)
    page = open_page(chromium, path, width=390, height=844).page
    inside = """all => all.every(e => {
        const box = e.getBoundingClientRect();
        return box.width > 0 && box.left >= 0 && box.right <= innerWidth;
    })"""
    for what in ("nav a", "#classes td", "#classes tbody button", ".panels svg"):
        found = page.locator(what)
        assert found.count() >= 2
        assert found.evaluate_all(inside), what
    boxes = (
        page.locator(".panels svg")
        .nth(1)
        .locator("text")
        .evaluate_all(
            """all => all.map(e => [e.textContent, e.getBoundingClientRect()])
            .map(([text, b]) => [text, b.left, b.right, b.top, b.bottom])"""
        )
    )
    assert {"class (rows)", "memorization score m(x); line = mean"} <= {box[0] for box in boxes}
    for i, (text, left, right, top, bottom) in enumerate(boxes):
        for other, *its in boxes[:i]:
            apart = left > its[1] or its[0] > right or top > its[3] - 3 or its[2] > bottom - 3
            assert apart, (text, other)
    heads = "all => all.map(e => getComputedStyle(e, '::before').content)"
    assert page.locator("#classes tr:first-child td").evaluate_all(heads)[1] == '"Mean score"'
    page.locator("#grid .cell").first.click()
    row = int(page.locator("#grid .cell").first.get_attribute("data-row"))
    facts = page.locator("#body dd")
    assert facts.nth(0).inner_text() == names[row]
    assert facts.evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth)")
    assert page.locator("#sample-h .of").inner_text() == f"class {y[row]}"
    assert page.locator("#sample-h .of").is_visible()
    assert page.locator(".dialog-head").bounding_box()["height"] < 120
    page.context.close()


def test_a_table_passes_too(chromium, tmp_path):
    X = np.random.default_rng(0).standard_normal((60, 9))
    write_report(simulated(X), X, tmp_path / "t.html")
    for width in (1280, 390):
        seen = open_page(chromium, tmp_path / "t.html", width=width)
        seen.page.locator("#most .cell").first.click()
        assert seen.page.locator("dialog table").count() == 2
        assert "-" not in seen.page.inner_text("dialog tbody")
        assert "\N{MINUS SIGN}" in seen.page.inner_text("dialog tbody")
        assert faults(seen.page) == []
        assert seen.messages == []


def test_five_thousand_rows_open_and_sort_in_two_seconds(chromium, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (5000, 3, 32, 32), dtype=np.uint8)
    path = tmp_path / "large.html"
    write_report(simulated(X, n_encoders=64), X, path, rng.integers(0, 10, 5000))
    seen = open_page(chromium, path)
    clock = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    assert 0 < seen.page.evaluate(clock) < 2000
    took = seen.page.evaluate(
        """() => new Promise(done => {
            const start = performance.now(), sort = document.getElementById("sort");
            sort.value = "-score";
            sort.dispatchEvent(new Event("input", { bubbles: true }));
            requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
        })"""
    )
    assert took < 2000
    print(f"opened in {seen.page.evaluate(clock):.0f} ms, sorted in {took:.0f} ms")
    seen.page.locator("#grid .cell").first.click()
    assert seen.page.locator("dialog .views li").count() == 6
    assert seen.messages == []
