"""What notebooks show: the picture tells the numbers, text is escaped, nothing raises."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from sslmemo import (
    LabelMemorizationEstimator,
    MemorizationEstimator,
    MemorizationProxy,
    MemorizationResult,
    SSLEncoder,
)
from sslmemo.baselines import DejaVuEstimator
from sslmemo.designs import Subsample
from sslmemo.experiments.contrasts import Frames
from sslmemo.notebook import BARS, HEIGHT, WIDTH, histogram
from sslmemo.pool import Run
from sslmemo.table import ScoreTable

VOID = {"br", "meta", "link", "input", "img", "hr"}


class Balance(HTMLParser):
    """Names of open tags; what is left or closed wrongly is a fault."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def result_of(n=60, blocks=4, seed=0):
    """A result of matrices that were drawn, in which rows differ in memorization."""
    plan = Subsample().draw(n, 2 * blocks, entropy=seed)
    rng = np.random.default_rng(seed)
    effect = rng.gamma(2.0, 0.1, n)
    alignment = rng.normal(1.0, 0.05, plan.member.shape) - effect * plan.member
    return MemorizationResult(Run(plan, {"alignment": alignment}, {}, np.ones(blocks)))


def rects(svg, fill=BARS):
    root = ET.fromstring(svg)
    return [dict(r.attrib.items()) for r in root if r.tag == "rect" and r.get("fill") == fill]


def contrast(one, other):
    """Ratio of relative luminances (WCAG 2)."""

    def luminance(colour):
        c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_bars_are_as_high_as_the_counts():
    scores = np.repeat([0.05, 0.35, 0.95, 0.0, 1.0], [10, 5, 20, 1, 1])
    bars = rects(histogram(scores))
    edges = np.linspace(0, 1, round(WIDTH / (float(bars[0]["width"]) + 1)) + 1)
    counts = np.histogram(scores, edges)[0]
    heights = np.zeros(len(counts))
    for bar in bars:
        heights[int(float(bar["x"]) // (WIDTH / len(counts)))] = float(bar["height"])
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max(), atol=0.01)


def test_the_band_is_where_noise_lies():
    (band,) = rects(histogram(np.linspace(-1, 1, 50), band=(-0.5, 0.25)), "currentColor")
    assert float(band["x"]) == WIDTH / 4
    assert float(band["width"]) == pytest.approx(WIDTH * 3 / 8, abs=0.11)
    assert not rects(histogram(np.linspace(-1, 1, 50), band=(np.nan, np.nan)), "currentColor")
    assert not rects(histogram(np.linspace(1, 2, 50), band=(-0.5, 0.5)), "currentColor")


@pytest.mark.parametrize(
    "scores",
    [[1.0], [0.0, 0.0], [2.0] * 5, [1e300, -1e300], [0, 1e-320], [np.nan, 1.0, 2.0],
     [*[0.0] * 99, 1e6], [1.0, 1.0 + 1e-15]],
)  # fmt: skip
def test_any_scores_have_a_picture(scores):
    bars = rects(histogram(scores))
    assert 1 <= len(bars) <= 40
    for bar in bars:
        assert 0 <= float(bar["x"]) <= WIDTH
        assert 0 < float(bar["height"]) <= HEIGHT


def test_no_scores_are_said():
    assert "No scores" in histogram([np.nan, np.inf])


def test_bars_are_seen_on_light_and_dark():
    assert min(contrast(BARS, "#ffffff"), contrast(BARS, "#111111")) >= 3


def test_a_result_shows_its_numbers():
    result = result_of()
    html = result._repr_html_()
    Balance(html)
    assert "Memorization of 60 of 60 rows" in html
    assert "8 in 4 blocks" in html
    assert f"{result.mean_score:.4g}" in html
    assert f"{result.reliability:.2f} [" in html
    assert result.summary().splitlines()[-1] in html
    assert "script" not in html
    assert "http" not in html
    label = re.search(r'aria-label="([^"]*)"', html)[1]
    assert f"{result.score.max():.3g}" in label


def test_one_block_and_no_scores_are_shown_too():
    html = result_of(blocks=1)._repr_html_()
    assert "unknown" in html
    assert "2 in 1 block &" in html
    run = result_of().run
    run.values["alignment"][:] = np.nan
    assert "No scores" in MemorizationResult(run)._repr_html_()


def test_text_is_escaped():
    result = result_of()
    result.run.config["stopped"] = {"n_blocks": 4, "why": "<script>alert(1)</script>"}
    assert "<script>" not in result._repr_html_()
    assert "&lt;script&gt;" in result._repr_html_()

    class Experiment(Frames):
        def summary_table(self):
            return ScoreTable({"<b>": ["<script>"] * 12, "mean": np.arange(12) / 3})

    html = Experiment()._repr_html_()
    Balance(html)
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert html.count("<tr>") == 12
    assert "... 12 rows" in html
    assert "0.3333" in html


def both_ways(estimator):
    """HTML by scikit-learn's two ways."""
    return estimator._repr_html_(), estimator._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("kind", ["pool", "proxy", "labels", "deja vu"])
def test_fitted_estimators_show_diagram_and_scores(kind, digits, tiny):
    X, y = digits
    if kind == "labels":
        model = LogisticRegression(max_iter=1000)
        est = LabelMemorizationEstimator(model, n_encoders=4, random_state=0, verbose=0)
        X = X.reshape(len(X), -1)
    elif kind == "deja vu":
        est = DejaVuEstimator(n_encoders=4, epochs=1, random_state=0, verbose=0)
    elif kind == "proxy":
        est = MemorizationProxy("isolation", epochs=1, random_state=0)
    else:
        est = tiny(epochs=1)
    for html in both_ways(est):
        assert "sk-top-container" in html
        assert "<svg role" not in html
    est.fit(X, y)
    for html in both_ways(est):
        assert html.count("sk-top-container") >= 1
        assert html.count('<svg role="img"') == 1
        assert html.index("sk-top-container") < html.index('<svg role="img"')
        assert "120" in html[html.index('class="sslmemo"') :]


def test_unfitted_and_without_scores_show_the_diagram_alone():
    for est in (MemorizationEstimator(), SSLEncoder()):
        for html in both_ways(est):
            assert 'class="sslmemo"' not in html


def test_text_display_stays_text(tiny):
    est = tiny()
    est.result_ = result_of()
    with sklearn.config_context(display="text"):
        assert not hasattr(est, "_repr_html_")
        assert list(est._repr_mimebundle_()) == ["text/plain"]


def test_scikit_learn_1_6_is_continued_alike():
    """There both ways call a function, not a method of the estimator."""
    from sslmemo.notebook import FitInNotebook

    class Base:
        def _repr_html_inner(self):
            return "diagram"

        def _repr_mimebundle_(self, **kwargs):
            return {"text/plain": "Base()", "text/html": "diagram"}

    class Fitted(FitInNotebook, Base):
        proxy_scores_ = np.arange(5.0)
        encoder_scores_ = np.zeros((1, 5))

    one, other = Fitted()._repr_html_inner(), Fitted()._repr_mimebundle_()["text/html"]
    assert one == other
    assert one.startswith("diagram<div")
    assert one.count("<svg") == 1
