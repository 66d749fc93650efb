"""A report to open in a browser: one HTML file without network (extra ``[report]``)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import warnings
from importlib import resources
from pathlib import Path

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import shown
from ..estimator import MemorizationEstimator
from ..experiments.agreement import Agreement
from ..experiments.curve import RemovalCurve
from ..experiments.replicates import RemovalExperiment
from ..persistence import check_target
from ..plotting._common import check_kind
from ..randomness import usual_torch
from ..sources import check_labels
from ..store import write_whole

__all__ = ["write_report"]


@usual_torch()
def write_report(estimator, X, path, y=None, *, names=None, title="Memorization report",
                 removal=None, agreement=None):  # fmt: skip
    """Write what a fit found as one HTML file, for whoever curates the data.

    What was run, whether to trust it, the distribution of the scores, and all samples, to be
    filtered, sorted and opened: their intervals, alignments, views and neighbours. The file needs
    no network and forbids itself any; it holds thumbnails (or values) of all rows, so whoever may
    not see the data may not see the report.

    Parameters
    ----------
    estimator : MemorizationEstimator
        Fitted.
    X : array-like or dataset
        The rows of fit, in that order.
    path : str or path
        File to write, such as ``"report.html"``, in a folder that exists; one that is there is
        replaced. Its ending is ``.html``, ``.htm`` or none.
    y : array-like of shape (n_samples,), default=None
        Classes, each of several rows. None is the labels given to fit, else the roles of a split,
        else no classes.
    names : sequence of str of length n_samples, default=None
        What rows are called, such as their files. None calls them by their number.
    title : str, default="Memorization report"
        Heading of the page.
    removal : RemovalCurve or RemovalExperiment, default=None
        To be shown too, see `sslmemo.experiments.removal_curve`.
    agreement : Agreement, default=None
        To be shown too, see `sslmemo.experiments.agreement`.

    Raises
    ------
    TypeError, ValueError
        A parameter is of another kind; X are not the rows of fit in their order; y or names have
        another length; y is continuous; `path` is a folder or ends like another kind of file.
    NotFittedError
        The estimator is not fitted.
    FileNotFoundError
        The folder of `path` does not exist.
    ImportError
        jinja2 or matplotlib is not installed.

    Warns
    -----
    UserWarning
        The labels given to fit are continuous: the report has no classes.

    See Also
    --------
    MemorizationResult.to_csv : The table alone.

    Notes
    -----
    The file grows by 1 to 3 kB a row, thumbnails included, which shrink when there are many. Views
    are shown of all rows of up to 200, else of the 50 most and 50 least memorized; they are fresh
    draws of the augmentation, not those of the training.

    Examples
    --------
    >>> write_report(est, X, "report.html", y)  # doctest: +SKIP
    """
    environment = _environment()
    _check_estimator(estimator)
    _check_order(X, path)
    check_target(path)
    _check_ending(path)
    if not isinstance(title, str):
        raise TypeError(f"title must be a str, got {shown(title)}.")
    if removal is not None:
        check_kind(removal, RemovalCurve, RemovalExperiment, name="removal")
    if agreement is not None:
        check_kind(agreement, Agreement, name="agreement")
    data = _rows_of_fit(estimator, X)
    labels = _checked_classes(estimator, y)
    names = _checked_names(names, len(data))
    html = _page(environment, estimator, data, labels, names, title, removal, agreement)
    write_whole(path, html.encode())


def _environment():
    """jinja2's environment, with autoescape, or an error that names the extra."""
    try:
        import jinja2
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"write_report needs jinja2 and matplotlib, and {error.name} is not installed: "
            "pip install sslmemo[report]."
        ) from error
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _check_estimator(estimator):
    if isinstance(estimator, type) or not isinstance(estimator, MemorizationEstimator):
        hint = ""
        if hasattr(estimator, "steps"):
            hint = " Pass the last step of the Pipeline, with X as the steps before it give it."
        raise TypeError(
            f"estimator must be a fitted MemorizationEstimator, got {shown(estimator)}.{hint}"
        )
    check_is_fitted(estimator, "result_")


def _check_order(X, path):
    """Refuse X and path the other way round, and neither in full."""
    order = "the order is write_report(estimator, X, path, y)"
    if isinstance(X, (str, os.PathLike)):
        raise TypeError(f"X must be the rows of fit, got the path {shown(str(X))}: {order}.")
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a str or a path, got a {type(path).__name__}: {order}.")


def _check_ending(path):
    ending = Path(path).suffix
    if ending.lower() not in ("", ".html", ".htm"):
        raise ValueError(
            f"path={str(path)!r} ends with {ending}, but a report is HTML: let it end with .html."
        )


def _checked_classes(estimator, y):
    """Classes of the rows, or None."""
    from .content import are_classes

    labels = estimator._labels if y is None else check_labels(y, len(estimator.result_))
    if labels is None or are_classes(labels):
        return labels
    said = f"has {len(np.unique(labels))} distinct values for {len(labels)} rows"
    if y is not None:
        raise ValueError(f"y {said}: it must hold classes. Bin it, or leave it out.")
    warnings.warn(f"the y of fit {said}, no classes: the report has none. Pass it binned as y.",
                  stacklevel=4)  # fmt: skip
    return None


def _checked_names(names, n):
    """Names of rows as a list of str; None for None."""
    if names is None:
        return None
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"names must be a str for each row, got {shown(names)}.")
    if len(names) != n:
        raise ValueError(f"names has {len(names)} entries for {n} rows.")
    return [str(name) for name in names]


def _rows_of_fit(estimator, X):
    """X as checked rows; refused in another order, where pictures would stand over foreign scores."""
    data, n = estimator._read(X), len(estimator.result_)
    if len(data) != n:
        raise ValueError(f"X has {len(data)} rows, but {n} were fitted: pass the X of fit.")
    found = estimator._index.find_all(data)
    wrong = np.flatnonzero(found != estimator._index.copy_of)
    if len(wrong):
        raise ValueError(
            f"row {wrong[0]} of X is not that row of fit: pass the X of fit, in its order."
        )
    return data


def _page(environment, estimator, data, labels, names, title, removal, agreement):
    from markupsafe import Markup

    from .. import __version__
    from .content import collect
    from .figures import agreement_svg, distribution_svg, removal_svg
    from .samples import samples

    content = collect(estimator, labels)
    kind, page, sheets = samples(estimator, data)
    scored = bool(np.isfinite(estimator.result_.score).any())
    figures = {
        "distribution": distribution_svg(estimator.result_, labels) if scored else None,
        "removal": None if removal is None else removal_svg(removal),
        "agreement": None if agreement is None else agreement_svg(agreement),
    }
    script = _template("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.from_string(_template("report.html.j2")).render(
        title=title,
        version=__version__,
        kind=kind,
        content=content,
        figures={k: None if v is None else Markup(v) for k, v in figures.items()},
        removal_text=None if removal is None else repr(removal),
        agreement_text=None if agreement is None else repr(agreement),
        n=len(data),
        n_views_rows=len(page["view_rows"]),
        css=Markup(_template("report.css")),
        script=Markup(script),
        script_hash=digest,
        sheets={k: [Markup(u) for u in v] for k, v in sheets.items()},
        named=names is not None,
        data=Markup(_as_script({**content["data"], **page, "kind": kind, "names": names})),
    )


def _as_script(values):
    """JSON that can stand in a script element, whatever its texts hold."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _template(name):
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
