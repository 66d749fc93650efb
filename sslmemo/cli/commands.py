"""The two commands: what a fit costs, and the fit with its table and report."""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .arguments import in_options
from .rows import read

__all__ = ["cost", "score"]

PRINTED = 20
SHOWN = ("score", "standard_error", "posterior_low", "posterior_high", "top_k_probability")


def cost(args):
    """Tell how long `score` would take.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command line.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError, RuntimeError
        See `score`.
    """
    _check_memory(args)
    with _warnings_as_lines():
        rows = _rows(args)
        predicted = _estimator(args).estimate_cost(rows.X)
    most = "At most " if args.until_reliability is not None else ""
    print(f"{most}{predicted}")


def score(args):
    """Score all rows, write the table and the report, print the summary.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command line.

    Raises
    ------
    ValueError, TypeError, OSError
        The input, an option or a file to write is wrong; all but late failures of writing come
        before any training.
    ImportError
        Something that reading images or the report needs is not installed.
    RuntimeError
        A training failed.
    """
    _check_memory(args)
    _check_targets(args)
    with _warnings_as_lines():
        rows = _rows(args)
        if args.top is not None and args.top > len(rows.X):
            raise ValueError(f"top_k must be at most the number of rows, {len(rows.X)}.")
        several = rows.y is not None and len(np.unique(rows.y)) > 1  # one class tells nothing
        est = _estimator(args).fit(rows.X, rows.y if several else None)
        table = _table(est.result_, rows, args.top)
        table.to_csv(args.out)
        _print(args, est.result_, table)
        if args.report is not None:
            _write_report(est, rows, args)


def _check_memory(args):
    if args.memory is not None and Path(args.memory).exists() and not Path(args.memory).is_dir():
        raise NotADirectoryError(f"--memory {args.memory!r} is a file: name a folder.")


def _check_targets(args):
    """Refuse files that can't be written, and a report that can't be made, before any work."""
    targets = [args.out] + [args.report] * (args.report is not None)
    if len({Path(t).resolve() for t in targets}) < len(targets):
        raise ValueError("--out and --report name one file: give them two.")
    for target in targets:
        path = Path(target)
        if path.is_dir():
            raise IsADirectoryError(f"{target!r} is a folder: name a file.")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(path.parent)!r} to write {target!r}.")
        if path.exists() and not args.force:
            raise FileExistsError(f"{target!r} is there already: --force replaces it.")
    if args.report is not None:
        if Path(args.report).suffix.lower() not in ("", ".html", ".htm"):
            raise ValueError(f"--report writes HTML: let {args.report!r} end with .html.")
        for module in ("jinja2", "matplotlib"):
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise ImportError(
                    f'--report needs {module}: pip install "sslmemo[report]".'
                ) from error


def _rows(args):
    rows = read(args)
    needed = math.ceil(2 / args.design)  # two in each training set
    if len(rows.X) < needed:
        found = f"{len(rows.X)} row{'s' * (len(rows.X) != 1)}"
        raise ValueError(
            f"{args.data!r} holds {found}, and at least {needed} are needed with --design {args.design}."
        )
    if not args.quiet:
        notes = list(rows.notes)
        if getattr(args, "report", None) is not None and _classes_of_report(rows) is not rows.y:
            notes.append(
                f"{len(np.unique(rows.y))} classes of {len(rows.X)} rows group nothing: the report "
                "shows none"
            )
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        n_classes = 0 if rows.y is None else len(np.unique(rows.y))
        classes = f", {n_classes} class{'es' * (n_classes != 1)}" if n_classes else ""
        shape = " x ".join(map(str, rows.X.shape[1:]))
        kind = "images of" if rows.X.ndim == 4 else "rows of"
        print(f"{len(rows.X)} {kind} {shape}{classes}", file=sys.stderr)
    return rows


def _classes_of_report(rows):
    """Classes, where they are some: a column of measurements groups nothing."""
    from sslmemo.reporting.content import are_classes

    return rows.y if rows.y is None or are_classes(rows.y) else None


def _estimator(args):
    from sslmemo import MemorizationEstimator
    from sslmemo.designs import Subsample

    return MemorizationEstimator(
        method=args.method,
        encoder=args.encoder,
        design=Subsample(fraction=args.design),
        n_encoders=args.encoders,
        epochs=args.epochs,
        stop_when=args.until_reliability,
        memory=args.memory,
        n_jobs=args.jobs,
        random_state=args.seed,
        verbose=int(not args.quiet),
    )


def _table(result, rows, top_k):
    """The result's table with where each row is from and its class."""
    table = result.table(top_k=top_k)
    if rows.y is not None:
        table = table.with_column("class", rows.y)
    for name, values in rows.origin.items():
        table = table.with_column(name, values)
    return table


def _print(args, result, table):
    if args.quiet:
        return
    print(result.summary())
    shown = PRINTED if args.top is None else args.top
    shown = min(shown, args.top or result.default_top_k)
    size = args.top or result.default_top_k
    known = [name for name in SHOWN if np.isfinite(table[name]).any()]
    about = f" (top_k_probability: of belonging to the top {size})" * (SHOWN[-1] in known)
    print(
        f"\nThe {shown} most memorized rows{about}:"
        if shown > 1
        else f"\nThe most memorized row{about}:"
    )
    heads = [name for name in table.columns if name in ("file", "line", "class")] or ["row"]
    print(_lines(table.sort("score")[:shown], [*heads, *known]))
    if len(known) < len(SHOWN):
        unknown = ", ".join(name for name in SHOWN if name not in known)
        print(f"Unknown from one block of encoders: {unknown}. More --encoders give them.")
    print(f"\nAll {len(table)} rows are in {args.out}.")


def _lines(table, names):
    """A few columns as text, words to the left and numbers to the right."""
    columns = []
    for name in names:
        values = table[name].tolist()
        words = [f"{v:.4g}" if isinstance(v, float) else _printable(str(v)) for v in values]
        width = max(map(len, [name, *words]))
        side = "<" if table[name].dtype.kind in "OU" else ">"
        columns.append([f"{word:{side}{width}}" for word in [name, *words]])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _printable(word):
    """A name without what would move a terminal's cursor."""
    return word if word.isprintable() else ascii(word)


def _write_report(est, rows, args):
    from sslmemo import write_report

    title = f"Memorization of {Path(args.data).resolve().name}"
    names, y = rows.origin.get("file"), _classes_of_report(rows)
    with warnings.catch_warnings():
        if y is None:  # those given to fit group nothing, as was noted
            warnings.filterwarnings("ignore", "the y of fit", UserWarning)
        write_report(est, rows.X, args.report, y=y, names=names, title=title)
    if not args.quiet:
        print(f"The report is {args.report}: open it in a browser.", file=sys.stderr)


@contextmanager
def _warnings_as_lines():
    """Print warnings of the library as lines, without the source code they come from."""

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"warning: {in_options(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield
