"""The floors: no module imports a higher one; nothing imports torchvision."""

import ast
from pathlib import Path

import pytest

import sslmemo

ROOT = Path(sslmemo.__file__).parent
FLOORS = [
    {
        "protocols",
        "randomness",
        "store",
        "identity",
        "distances",
        "encoders",
        "probes",
        "datasets",
        "sources",
        "folders",
        "_compat",
    },
    {"designs", "plans", "estimates", "methods", "augmentations", "data", "stopping"},
    {"pool", "jobs", "merge", "rounds", "persistence", "training", "measurements"},
    {"result", "table", "wording", "cost", "notebook"},
    {
        "estimator",
        "assembly",
        "encoder",
        "contents",
        "export",
        "outside",
        "prefit",
        "scorers",
        "proxies",
        "baselines",
        "audits",
        "localization",
    },
    {"experiments"},
    {"plotting"},
    {"reporting"},
    {"__main__", "cli"},
]
FLOOR_OF = {name: i for i, floor in enumerate(FLOORS) for name in floor}
MODULES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def imports_of(path):
    """Absolute names of all modules that a file imports."""
    package = ["sslmemo", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            head = ".".join([*base, *([node.module] if node.module else [])])
            yield head
            yield from (f"{head}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_imports_a_higher_floor(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "sslmemo" and len(parts) > 1 and parts[1] in FLOOR_OF:
            assert FLOOR_OF[parts[1]] <= FLOOR_OF[own], f"{own} imports {name}"
        assert parts[0] != "torchvision"


def test_the_pool_knows_neither_ssl_nor_alignment():
    names = [n for file in ("pool.py", "jobs.py") for n in imports_of(ROOT / file)]
    ours = {n.split(".")[1] for n in names if n.startswith("sslmemo.")}
    assert ours <= {"protocols", "plans", "store", "identity", "randomness", "jobs", "__version__"}


def test_every_module_has_a_floor():
    names = {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in MODULES}
    assert names <= set(FLOOR_OF)
