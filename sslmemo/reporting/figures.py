"""Displays as SVG that is part of a page: text stays text, colours follow the page's theme."""

from __future__ import annotations

import io
import re

import numpy as np

from ..plotting import AgreementDisplay, RemovalDisplay, ScoreDistributionDisplay
from ..plotting._common import (
    BAND,
    BLUE,
    GREEN,
    HAIRLINE,
    INK,
    MAX_GROUPS,
    MUTED,
    ORANGE,
    SKY,
    VERMILLION,
)

__all__ = ["agreement_svg", "distribution_svg", "removal_svg", "svg_of"]

THEMED = {
    INK: "ink", "#000000": "ink", MUTED: "muted", BAND: "band", HAIRLINE: "line", "#FFFFFF": "surface",
    "#CCCCCC": "line", BLUE: "blue", SKY: "sky", VERMILLION: "vermillion", GREEN: "green",
    ORANGE: "orange",
}  # fmt: skip
MANY = 1500  # points beyond which they become pixels: a browser draws ten thousand shapes slowly
LONGEST = 24  # characters of a class name in a figure
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "sslmemo", "font.size": 10}


def distribution_svg(result, labels=None):
    """Distribution of the scores, by class where there are labels and not too many.

    Parameters
    ----------
    result : MemorizationResult
        With at least one score.
    labels : ndarray of shape (n_samples,), default=None
        Classes.

    Returns
    -------
    str
        Two svg elements, which stand side by side or, on a narrow screen, one below the other.
    """
    if labels is not None:
        labels = _short_names(labels)
    groups = labels is not None or result.run.plan.roles is not None
    n_groups = 1 if labels is None else len(np.unique(labels))
    with _style(parse_math=labels is None):  # a class may be named $x
        height = max(3.9, 0.36 * n_groups + 1.2) if groups else 3.9
        panels = []
        for kind in ("sorted", "hist"):
            figure, axes = _figure(1, 1, (5.2, height))
            ScoreDistributionDisplay.from_result(result, labels, kind=kind, ax=axes)
            axes.set_title("")  # the page has a heading
            if kind == "sorted" and len(result) > MANY:
                for artist in [*axes.lines, *axes.collections]:
                    artist.set_rasterized(True)
            panels.append(svg_of(figure, f"distribution-{kind}"))
        return "".join(panels)


def removal_svg(removal):
    """What removing memorized rows does.

    Parameters
    ----------
    removal : RemovalCurve or RemovalExperiment
        See `sslmemo.experiments`.

    Returns
    -------
    str
        An svg element.
    """
    with _style():
        figure, axes = _figure(1, 2, (10.4, 4.2))
        RemovalDisplay.from_result(removal, ax=axes)
        return svg_of(figure, "removal")


def agreement_svg(agreement):
    """How far several fits agree, in colours of its own.

    Parameters
    ----------
    agreement : Agreement
        See `sslmemo.experiments`.

    Returns
    -------
    str
        An svg element, to be shown on white.
    """
    with _style():
        side = 1.6 + 0.86 * len(agreement.names)
        figure, axes = _figure(1, 1, (side + 0.9, side))
        AgreementDisplay(agreement).plot(ax=axes)
        return svg_of(figure, "agreement", themed=False, bbox_inches="tight")  # a wide title


def _style(parse_math=True):
    import matplotlib

    return matplotlib.rc_context({**STYLE, "text.parse_math": parse_math})


def _figure(rows, columns, size):
    from matplotlib.figure import Figure  # not pyplot's: a notebook would show it too

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns)


def svg_of(figure, name, themed=True, **how):
    """A figure as an svg element for the inside of a page.

    Parameters
    ----------
    figure : matplotlib Figure
        What is drawn.
    name : str
        Begins every id, so that the figures of a page don't share any.
    themed : bool, default=True
        Whether known colours become CSS variables ``--fig-ink`` and so on.
    **how : dict
        Further arguments of `savefig`.

    Returns
    -------
    str
        Without declarations and metadata, as wide as there is room for, and hidden from screen
        readers: the page says in words what it shows.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, dpi=150, metadata={"Date": None}, **how)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)  # the texts once more
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    width = re.search(r'<svg[^>]*? (width="([\d.]+)pt")', svg)
    points = float(width[2])
    svg = svg.replace(
        width[1], f'style="min-width:{0.8 * points:.0f}px;max-width:{1.4 * points:.0f}px"', 1
    )
    svg = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    if themed:
        svg = re.sub(r"(?<=: )#[0-9a-f]{6}\b", _variable, svg)
    return svg


def _variable(match):
    name = THEMED.get(match[0].upper())
    return match[0] if name is None else f"var(--fig-{name})"


def _short_names(labels):
    """Labels that fit a figure, as distinct as they were; None for more than it holds."""
    names, of = np.unique(labels, return_inverse=True)
    if len(names) > MAX_GROUPS:
        return None
    texts = [str(name) for name in names]
    if labels.dtype.kind not in "OUS" and max(map(len, texts)) <= LONGEST:
        return labels  # numbers keep their order
    short = [t if len(t) <= LONGEST else t[: LONGEST - 1] + "…" for t in texts]
    if len(set(short)) < len(short):
        short = [f"{i + 1}: {t[: LONGEST - 4]}" for i, t in enumerate(short)]
    return np.array(short)[of]
