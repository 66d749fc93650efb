"""Docstrings as they are meant: shapes and norms are no markup, formulas keep their layout, names are links.

In a terminal one reads ``(b, *shape)``, ``|g|`` and ``ndarray of shape (n_features_in_,)``, which reST takes
for emphasis, a substitution and a link.
"""

import contextlib
import importlib
import re

from sphinx.util.logging import getLogger

import sslmemo

LOGGER = getLogger(__name__)

CODE = re.compile(r"(``.*?``|`.*?`)")
NAMED = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*) : ")  # a parameter; numpydoc escapes its name
MARKUP = re.compile(r"\*(?=\w)|\||(?<=\w)_(?=[\s,.;:)\]]|$)")


def escape(line):
    """Put a backslash before what is not meant as markup, outside code."""
    name = NAMED.match(line)
    start = name.end() if name else 0
    parts = CODE.split(line[start:])
    parts[::2] = [MARKUP.sub(lambda m: "\\" + m.group(), part) for part in parts[::2]]
    return line[:start] + "".join(parts)


def indent(line):
    """Number of blanks that a line begins with."""
    return len(line) - len(line.lstrip())


def plain_text(app, what, name, obj, options, lines):
    """Escape a docstring in place, examples excepted; indented formulas become literal blocks."""
    said, last, formula, in_example = [], 0, None, False
    for line in lines:
        text = line.strip()
        in_example = text.startswith(">>>") or (in_example and bool(text))
        if text and formula is not None and indent(line) < formula:
            formula = None
        set_off = bool(said) and not said[-1].strip() and indent(line) >= last + 4
        if text and formula is None and not in_example and set_off:
            formula = indent(line)
            said += [" " * last + ".. code-block:: text", ""]
        said.append(line if in_example or formula is not None else escape(line))
        last = indent(line) if text and formula is None else last
    lines[:] = said


def exists(name):
    """Whether a full name can be had from the package."""
    thing, parts = sslmemo, name.split(".")[1:]
    for i, part in enumerate(parts):
        if not hasattr(thing, part):
            with contextlib.suppress(ImportError):
                importlib.import_module(".".join(["sslmemo", *parts[: i + 1]]))
        if not hasattr(thing, part):
            return False
        thing = getattr(thing, part)
    return True


def place_of(name, objects):
    """The one documented class `name`, or None: the top level first, then any module."""
    if not name[:1].isupper():
        return None
    found = [
        known
        for known, entry in objects.items()
        if known.startswith("sslmemo.") and known.endswith(f".{name}") and not entry.aliased
    ]
    top = f"sslmemo.{name}"
    return top if top in found else found[0] if len(found) == 1 else None


def find_name(app, env, node, contnode):
    """Link `Class` and `Class.member` from any module; warn of `sslmemo.` names that there are not."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    if target.startswith("sslmemo.") and not exists(target):
        LOGGER.warning("docstring names %s, which does not exist", target, location=node)
    domain = env.get_domain("py")
    place = place_of(target, domain.objects) or place_of(target.split(".")[0], domain.objects)
    if place is None:
        return None
    page = node.get("refdoc", env.docname)
    return domain.resolve_xref(env, page, app.builder, "obj", place, node, contnode)


def setup(app):
    """Before numpydoc, whose priority is 500."""
    app.connect("autodoc-process-docstring", plain_text, priority=400)
    app.connect("missing-reference", find_name)
    return {"parallel_read_safe": True, "version": "1"}
