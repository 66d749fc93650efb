"""Sphinx: `make docs` runs the examples and makes their figures, `make docs-quick` does not."""

import os
import sys
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # no bars among what examples print; read when tqdm is imported

import sslmemo
from sslmemo import estimates, experiments

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))  # docstrings.py, gallery.py

project = "sslmemo"
author = "The sslmemo developers"
project_copyright = author
release = version = sslmemo.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "docstrings",
    "gallery",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_ext", "_templates", "gallery/*.py", "gallery/*.ipynb"]
templates_path = ["_templates"]

# Pages: headings can be linked as page.md#heading, as on the web view of the repository.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
highlight_language = "python"

# API. `name` in a docstring is a link where it names something public, else code.
default_role = "py:obj"
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the templates do it, without scikit-learn's inherited ones
numpydoc_xref_param_type = False
# Agreement and agreement would share a file where case does not count.
autosummary_filename_map = {
    f"{module.__name__}.{name}": f"{module.__name__}.{name}-class"
    for module in (estimates, experiments)
    for name in module.__all__
    if name != name.lower() and name.lower() in module.__all__
}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "reset_argv": "gallery.folder_argument",
    "within_subsection_order": "gallery.by_reading_order",
    "capture_repr": (),  # what an example prints, not what its last line is
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    "image_srcset": ["2x"],
}

html_theme = "pydata_sphinx_theme"
html_title = "sslmemo"
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # light or dark as the reader's system
html_sidebars = {
    page: [] for page in ("start", "limits", "glossary", "libraries", "changelog", "contributing")
}
html_theme_options = {
    "show_toc_level": 1,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
}
