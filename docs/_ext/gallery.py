"""The gallery: what sphinx-gallery asks of conf.py by name, and links from pages to it."""

import re
from pathlib import Path

READING_ORDER = [
    "plot_mnist_ranking",
    "plot_intuition_1d",
    "plot_tabular",
    "plot_pipeline",
    "plot_prefit",
    "plot_own_method",
]  # the others follow by name


def folder_argument(gallery_conf, script_vars):
    """The folder that an example writes into: inside docs/_build, never beside the example."""
    folder = Path(gallery_conf["src_dir"]) / "_build" / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    return [str(folder / Path(script_vars["src_file"]).stem.removeprefix("plot_"))]


def by_reading_order(filename):
    """Sort key of an example's file name."""
    name = Path(filename).stem
    known = name in READING_ORDER
    return (not known, READING_ORDER.index(name) if known else 0, name)


def link_to_gallery(app, docname, source):
    """Links to an example's source, right on the web view of the repository, lead to its page."""
    source[0] = re.sub(r"\]\([./]*examples/(plot_\w+)\.py\)", r"](/gallery/\1.rst)", source[0])


def setup(app):
    """As an extension."""
    app.connect("source-read", link_to_gallery)
    return {"parallel_read_safe": True, "version": "1"}
