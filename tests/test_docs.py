"""The documentation: links lead somewhere, every public name is in the reference, code on pages runs."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate
from test_docstrings import IGNORED, PROTOCOL

import sslmemo

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = ("_build", "gallery", "generated")  # folders that a build writes
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += sorted(p for p in DOCS.rglob("*.md") if not {*MADE} & {*p.relative_to(DOCS).parts})

LINK = re.compile(r"\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")
FENCE = re.compile(r"(<!-- not run: \S.*? -->\n)?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INTERNAL = {"training"}  # packages whose public parts are documented one by one
PUBLIC_MODULES = ["designs", "distances", "scorers", "stopping"]


def title(page):
    return str(page.relative_to(ROOT))


def anchors(page):
    """Headings as the web view of the repository, and myst_heading_anchors, name them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def dead_links(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for match in LINK.finditer(text):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page if not path else page.parent / path
        if not found.exists() or (anchor and anchor not in anchors(found)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page):
    assert list(dead_links(page)) == []


def test_dead_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A head\n[a](page.md) [b](#a-head) [c](#none) ![d](none.png) [e](https://x.y)\n"
        "```python\nz[0](x)\n```\n"
    )
    assert list(dead_links(page)) == ["#none", "none.png"]


def test_pages_are_in_a_toctree():
    listed = set()
    for page in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]:
        for tree in re.findall(r"toctree\}?\n(.*?)(?=^```|\Z)", page.read_text(), re.M | re.S):
            listed |= {
                (page.parent / line.strip().removesuffix(".md")).resolve()
                for line in tree.splitlines()
                if line.strip()
            }
    pages = {p.with_suffix("").resolve() for p in PAGES if DOCS in p.parents}
    assert pages - listed == {DOCS / "index"}


def documented():
    """What the API reference names: full name -> the thing itself."""
    named = {}
    for page in (DOCS / "api").glob("*.rst"):
        module, in_table = None, False
        for line in page.read_text().splitlines():
            if line.startswith(".. "):
                in_table = line == ".. autosummary::"
            if line.startswith(".. currentmodule:: "):
                module = line.split()[-1]
            elif line.startswith(".. py:data:: ") or (in_table and re.match(r"   \w+$", line)):
                name = line.split()[-1]
                named[f"{module}.{name}"] = getattr(importlib.import_module(module), name)
    return named


def public():
    """Every public name -> the thing itself."""
    modules = PUBLIC_MODULES + [
        m.name for m in pkgutil.iter_modules(sslmemo.__path__) if m.ispkg and m.name not in INTERNAL
    ]
    places = [sslmemo, *(importlib.import_module(f"sslmemo.{name}") for name in modules)]
    return {f"{p.__name__}.{name}": getattr(p, name) for p in places for name in p.__all__}


def test_every_public_name_is_in_the_api_reference():
    known = {id(thing) for thing in documented().values()}
    assert sorted(name for name, thing in public().items() if id(thing) not in known) == []


def test_the_reference_names_nothing_twice():
    names = list(documented())
    things = [id(thing) for thing in documented().values()]
    twice = {n for n, t in zip(names, things, strict=True) if things.count(t) > 1}
    assert not twice


def with_methods(things):
    """Classes and functions of the reference, and the public methods that the classes define."""
    for name, thing in things.items():
        if inspect.isclass(thing) or inspect.isfunction(thing):
            yield name, thing
        if inspect.isclass(thing):
            told_elsewhere = PROTOCOL if "measurements" in name else set()
            for method, function in vars(thing).items():
                private = method.startswith("_") or method in told_elsewhere
                if inspect.isfunction(function) and not private:
                    yield f"{name}.{method}", function


def test_the_reference_follows_numpydoc():
    wrong = {}
    for name, thing in with_methods(documented()):
        assert inspect.getdoc(thing), f"{name} has no docstring"
        errors = validate(get_doc_object(thing))["errors"]
        wrong[name] = [error for error in errors if error[0] not in IGNORED]
    assert {name: errors for name, errors in wrong.items() if errors} == {}


# Sizes at which a page's code runs here; what the page says is left to `make docs` and its readers.
SMALL = [
    (r"\bn_encoders=\d+", "n_encoders=12"),
    (r"\bepochs=\d+", "epochs=2"),
    (r"\bn_repeats=\d+", "n_repeats=2"),
    (r"\bn_jobs=-1", "n_jobs=1"),
]
OF_A_PAGE = {"README.md": [(r"n_encoders=12\b", "n_encoders=12, epochs=2")]}


def blocks(page):
    """Code of a page that is to be run, made small."""
    found = [code for skip, code in FENCE.findall(page.read_text()) if not skip]
    for pattern, small in SMALL:
        found = [re.sub(pattern, small, code) for code in found]
    for pattern, small in OF_A_PAGE.get(page.name, []):
        assert any(re.search(pattern, code) for code in found), f"{page.name}: no {pattern}"
        found = [re.sub(pattern, small, code) for code in found]
    return found


RUN = [page for page in PAGES if blocks(page)]


def test_pages_with_code_are_found():
    assert {"README.md", "docs/guide/errors.md", "docs/tutorials/sklearn.md"} <= {
        title(p) for p in RUN
    }


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive:UserWarning")
@pytest.mark.parametrize("page", RUN, ids=title)
def test_code_on_pages_runs(page, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    try:
        for i, code in enumerate(blocks(page)):
            exec(compile(code, f"{title(page)}, block {i + 1}", "exec"), namespace)
    finally:
        plt.close("all")
