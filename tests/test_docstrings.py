"""Every public name has a numpydoc docstring; importing the package is cheap and lazy."""

import inspect
import subprocess
import sys

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import sslmemo
from sslmemo import (
    audits,
    baselines,
    designs,
    estimates,
    experiments,
    measurements,
    methods,
    proxies,
    scorers,
    stopping,
)

PUBLIC = [f"sslmemo.{name}" for name in sslmemo.__all__]
PUBLIC += [f"sslmemo.designs.{d.__name__}" for d in designs.DESIGNS.values()]
PUBLIC += [f"sslmemo.methods.{m.__name__}" for m in methods.METHODS.values()]
PUBLIC += [f"sslmemo.proxies.{name}" for name in proxies.__all__ if name != "PROXIES"]
PUBLIC += [f"sslmemo.estimates.{e.__name__}" for e in estimates.ESTIMATES.values()]
PUBLIC += ["sslmemo.methods.LayerNormed"]
PUBLIC += [
    f"sslmemo.training.{name}"
    for name in ("noise.GradientNoise", "private.PrivateTraining", "private.privacy_of")
]
PUBLIC += ["sslmemo.estimates.Scores", "sslmemo.estimates.held_out_correlation"]
PUBLIC += [
    f"sslmemo.{module.__name__.split('.')[1]}.{name}"
    for module in (audits, baselines, experiments, measurements, scorers, stopping)
    for name in module.__all__
    if not name.isupper()
]
# EX01, SA01, ES01: examples, see-also and extended summaries are written where they help;
# GL01: summaries begin on the opening line; PR01, PR06, RT03, SS05, SS06: house style
IGNORED = {"EX01", "SA01", "ES01", "GL01", "GL02", "GL03", "GL08", "PR01", "PR06", "RT03", "SS05"}
IGNORED |= {"SS06", "RT02", "YD01", "PR02", "SA04"}
PROTOCOL = {"config", "observer", "probe", "check", "of_one"}  # see sslmemo.protocols.Measurement


def named(name):
    """What a public name stands for; some modules are named like their main function."""
    thing = sslmemo
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


def members(name):
    """The name itself, and the public methods that its class defines."""
    thing = named(name)
    yield name
    if inspect.isclass(thing):
        for method, function in vars(thing).items():
            told_elsewhere = method in PROTOCOL and "measurements" in name
            if not (method.startswith("_") or told_elsewhere) and inspect.isfunction(function):
                yield f"{name}.{method}"


@pytest.mark.parametrize("name", sorted({m for p in PUBLIC for m in members(p)}))
def test_docstrings_follow_numpydoc(name):
    thing = named(name)
    assert inspect.getdoc(thing), f"{name} has no docstring"
    report = validate(get_doc_object(thing))
    errors = [e for e in report["errors"] if e[0] not in IGNORED]
    assert not errors, f"{name}: {errors}"


def test_init_parameters_are_documented():
    for name in (
        "LabelMemorizationEstimator",
        "MemorizationEstimator",
        "MemorizationProxy",
        "SSLEncoder",
        "LinearProbe",
        "KNNProbe",
    ):
        kind = getattr(sslmemo, name)
        for parameter in inspect.signature(kind).parameters:
            assert f"{parameter} :" in kind.__doc__ or f"{parameter}," in kind.__doc__, parameter


def test_importing_is_lazy():
    code = (
        "import sys, sslmemo; "
        "heavy = {'torch', 'sklearn', 'kornia', 'matplotlib', 'pandas', 'torchvision'}; "
        "print(*(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_all_public_names_exist():
    for name in sslmemo.__all__:
        assert getattr(sslmemo, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sslmemo.nothing
    assert set(sslmemo.__all__) <= set(dir(sslmemo))
