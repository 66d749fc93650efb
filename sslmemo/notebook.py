"""What a notebook shows of results and fitted estimators: a picture of the scores and a few words.

The picture is written as SVG by hand, in colours that a light and a dark page bear alike, so that
showing a result needs neither matplotlib nor a script.
"""

from __future__ import annotations

from html import escape

import numpy as np

__all__ = ["FitInNotebook", "ResultInNotebook", "SummaryInNotebook", "histogram"]

BARS = "#2f87c6"  # at least 3 : 1 against white and against #111 (WCAG 1.4.11)
WIDTH, HEIGHT, FOOT = 360, 90, 16  # pixels; the foot holds the numbers under the axis
MOST_BINS = 40
FONT = "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45"


class ResultInNotebook:
    """Shows a `MemorizationResult`: a histogram of its scores, and its summary to unfold."""

    def _repr_html_(self):
        return result_html(self)


class SummaryInNotebook:
    """Shows the `summary_table` of an experiment's result."""

    def _repr_html_(self):
        return table_html(self.summary_table(), type(self).__name__)


class FitInNotebook:
    """Shows scikit-learn's diagram, and below it the scores of a fitted estimator.

    To be named before `BaseEstimator` among the bases. scikit-learn's two ways to ask for HTML don't
    call each other in any release since 1.6, so that each is continued here.
    """

    def _repr_html_inner(self):
        return super()._repr_html_inner() + fit_html(self)

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += fit_html(self)
        return bundle


def fit_html(estimator):
    """HTML of an estimator's scores; an empty str while there are none.

    Parameters
    ----------
    estimator : estimator
        With `result_` or `proxy_scores_` once it is fitted.

    Returns
    -------
    str
    """
    if getattr(estimator, "result_", None) is not None:
        return result_html(estimator.result_)
    scores = getattr(estimator, "proxy_scores_", None)
    if scores is None:
        return ""
    trainings = len(estimator.encoder_scores_)
    facts = {
        "read from": f"{trainings} training{'s' * (trainings != 1)} on all rows",
        "scores": "their order alone is meant, they are not m(x)",
    }
    head = f"Proxy scores of {len(scores)} rows"
    return _box(head, histogram(scores, name="proxy scores"), facts)


def result_html(result):
    """HTML of a result.

    Parameters
    ----------
    result : MemorizationResult
        Also one without any score, or with one block.

    Returns
    -------
    str
        One ``div`` with styles of its own; all text escaped.
    """
    known = np.isfinite(result.score)
    head = f"Memorization of {known.sum()} of {len(result)} rows"
    blocks = len(result.run.plan.seed)
    facts = {"encoders": f"{result.run.plan.n_encoders} in {blocks} block{'s' * (blocks != 1)}"}
    if known.any():
        facts["mean score"] = f"{result.mean_score:.4g}"
        facts["reliability"] = _reliability(result.reliability_interval)
    band = result.noise_band() if known.any() else (np.nan, np.nan)
    if np.isfinite(band).all():
        facts["grey"] = "where noise alone would lie"
    picture = histogram(result.score, band)
    words = (
        f'<details><summary style="cursor:pointer">Summary</summary>'
        f'<pre style="white-space:pre-wrap;margin:4px 0 0">{escape(result.summary())}</pre></details>'
    )
    return _box(head, picture, facts, words)


def _reliability(interval):
    if not np.isfinite(interval.value):
        return "unknown"
    ends = f" [{interval.low:.2f}, {interval.high:.2f}]" if np.isfinite(interval.low) else ""
    return f"{interval.value:.2f}{ends}"


def table_html(table, caption):
    """HTML of the first rows of a table.

    Parameters
    ----------
    table : ScoreTable
        Ten rows are shown.
    caption : str
        What stands above it.

    Returns
    -------
    str
    """
    shown = table[:10]
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in shown.columns)
    lines = [
        "<tr>" + "".join(f"<td>{escape(_cell(v))}</td>" for v in line) + "</tr>"
        for line in zip(*(c.tolist() for c in shown.columns.values()), strict=True)
    ]
    if len(table) > len(shown):
        lines.append(f'<tr><td colspan="{len(shown.columns)}">... {len(table)} rows</td></tr>')
    return (
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def histogram(scores, band=None, name="scores"):
    """Draw a histogram as SVG.

    Parameters
    ----------
    scores : array-like of shape (n,)
        NaN is left out.
    band : (float, float), default=None
        Where scores would lie that noise alone makes: a grey field. NaN draws none.
    name : str, default="scores"
        What a screen reader calls the numbers.

    Returns
    -------
    str
        An ``svg`` element of 360 x 90 pixels; a sentence where no score is finite.
    """
    scores = np.asarray(scores, dtype=float)
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return "<p>No scores.</p>"
    counts, edges = _bins(scores)
    low, high = edges[0], edges[-1]
    floor = HEIGHT - FOOT

    def x(value):
        return float(np.clip((value - low) / (high - low), 0, 1)) * WIDTH

    parts = []
    said = f"Histogram of {len(scores)} {name} from {scores.min():.3g} to {scores.max():.3g}"
    if band is not None and np.isfinite(band).all() and x(band[1]) > x(band[0]):
        said += f"; noise alone would lie from {band[0]:.3g} to {band[1]:.3g}"
        parts.append(
            f'<rect x="{x(band[0]):.1f}" y="0" width="{x(band[1]) - x(band[0]):.1f}" '
            f'height="{floor}" fill="currentColor" fill-opacity="0.13"/>'
        )
    step, unit = WIDTH / len(counts), (floor - 2) / counts.max()
    parts += [
        f'<rect x="{i * step + 0.5:.1f}" y="{floor - k * unit:.1f}" width="{step - 1:.1f}" '
        f'height="{k * unit:.1f}" fill="{BARS}"/>'
        for i, k in enumerate(counts)
        if k
    ]
    parts.append(f'<path d="M0 {floor}.5H{WIDTH}" stroke="currentColor" stroke-opacity="0.5"/>')
    for anchor, place, value in (("start", 0, low), ("end", WIDTH, high)):
        parts.append(
            f'<text x="{place}" y="{HEIGHT - 3}" text-anchor="{anchor}" font-size="11" '
            f'fill="currentColor">{value:.3g}</text>'
        )
    title = escape(said, quote=True)
    return (
        f'<svg role="img" aria-label="{title}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" style="max-width:100%"><title>{title}</title>{"".join(parts)}</svg>'
    )


def _bins(scores):
    """Counts and edges: as many bins as Freedman and Diaconis want, at most 40."""
    low, high = float(scores.min()), float(scores.max())
    if not high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        half = abs(low) / 2 or 0.5  # all alike: one bar in the middle
        return np.array([0, len(scores), 0]), np.linspace(low - half, low + half, 4)
    wanted = np.sqrt(len(scores))  # where half of the scores are one number
    spread = np.subtract(*np.percentile(scores, [75, 25]))
    if spread > 0:
        wanted = np.ceil((high - low) / (2 * spread / len(scores) ** (1 / 3)))
    return np.histogram(scores, bins=int(np.clip(wanted, 1, MOST_BINS)))


def _box(head, picture, facts, more=""):
    """One block: a line, a picture, names with their values, and what can be unfolded."""
    terms = " &middot; ".join(
        f'<span style="opacity:.75">{escape(k)}</span> {escape(v)}' for k, v in facts.items()
    )
    return (
        f'<div class="sslmemo" style="{FONT};max-width:{WIDTH * 2}px;margin:6px 0">'
        f"<div><strong>{escape(head)}</strong></div>{picture}<div>{terms}</div>{more}</div>"
    )
