"""What a report says, as plain numbers and texts: no HTML, no pictures.

`collect` reads a fitted estimator and its rows; `write_report` hands what it returns to the template.
"""

from __future__ import annotations

import numpy as np

from ..wording import collapsed_encoders, estimand, has_low_rank

__all__ = ["are_classes", "collect", "dots_of_rows", "neighbours", "per_class", "trust"]

N_NEIGHBOURS = 8
DOTS = 100  # encoders drawn on each side of a row
RELIABLE, NOISE = 0.8, 0.5  # of the reliability, as README says
FEW = 20  # distinct labels that are taken for classes, whatever they are


def collect(estimator, labels=None):
    """Collect everything of a report that needs no row of X.

    Parameters
    ----------
    estimator : MemorizationEstimator
        Fitted.
    labels : ndarray of shape (n_samples,), default=None
        Classes; None is the roles of a split, where there are any.

    Returns
    -------
    dict
        summary, methods, estimand: texts. readings: list of str, what follows from the numbers.
        parameters: list of (name, value, whether it is not the default). trust: see `trust`. classes:
        see `per_class`, None without labels. data: plain JSON for the page's script.
    """
    result = estimator.result_
    word = "class"
    if labels is None and result.run.plan.roles is not None:
        labels, word = result.run.plan.roles, "role"
    names, class_of = (None, None) if labels is None else np.unique(labels, return_inverse=True)
    table = result.table()
    near, distance = neighbours(estimator._representation)
    summary = result.summary()
    return {
        "summary": summary,
        "readings": [s for s in summary.split("\n")[1:] if s and not s.startswith("  ")],
        "methods": result.methods_text(),
        "estimand": estimand(result),
        "parameters": _parameters(estimator),
        "failures": [f"block {b}: {why}" for b, why in result.run.failures.items()],
        "trust": trust(result, table),
        "class_word": word,
        "classes": None if names is None else per_class(result, names, class_of, table),
        "data": {
            "n": len(result),
            "top_k": result.default_top_k,
            "class_word": word,
            "classes": None if names is None else [str(name) for name in names],
            "class_of": None if class_of is None else class_of.tolist(),
            "columns": {name: plain(v) for name, v in table.columns.items()},
            "shrunken": result.scores.unbiased is not None,
            "neighbours": near.tolist(),
            "distances": [[round(d, 3) for d in row] for row in distance.tolist()],
            "dots": dots_of_rows(result.run),
        },
    }


def are_classes(labels):
    """Whether labels group the rows, rather than measure or name each.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Without NaN.

    Returns
    -------
    bool
        False of more than 20 distinct labels if they are fractions, or fewer than two rows each.
    """
    names = np.unique(labels)
    if len(names) <= FEW:
        return True
    fractions = names.dtype.kind == "f" and bool((names != np.round(names)).any())
    return not fractions and 2 * len(names) <= len(labels)


def plain(values):
    """An array as JSON values at full precision, None where it is not finite."""
    if values.dtype.kind != "f":
        return values.tolist()
    return [v if np.isfinite(v) else None for v in values.tolist()]


def trust(result, table=None):
    """Whether the scores can be trusted: one fact a card.

    Parameters
    ----------
    result : MemorizationResult
        What is told of.
    table : ScoreTable, default=None
        Of the result, where it is at hand.

    Returns
    -------
    list of dict
        name, value, detail: str; state: "good", "caution", "bad" or "plain", with `verdict`, its
        words.
    """
    run, scores = result.run, result.scores
    cards = [_reliability(result)]
    errors = scores.standard_error[np.isfinite(scores.standard_error)]
    if len(errors):
        typical = float(np.sqrt(np.mean(errors**2)))
        detail = f"of a score, typically; the true scores spread by {result.true_spread:.2g}"
        low, high = (_signed(end, ".2g") for end in result.noise_band())
        detail += f"; without memorization 95% of scores would lie within {low} to {high}"
        cards.append(_card("Standard error", f"{typical:.2g}", detail))
    else:
        cards.append(
            _card("Standard error", "unknown", "one block has no spread; train at least two, better 16",
                  "caution", "unknown")
        )  # fmt: skip
    cards.append(_collapse(result))
    if np.isfinite(errors).any():
        table = result.table() if table is None else table
        clear = int((table["q_value"] < 0.05).sum())
        sure = int((table["top_k_probability"] > 0.9).sum())
        cards.append(
            _card("Clearly memorized", _counted(clear, "row"), "more than the median row (q < 0.05); "
                  f"{sure} belong{'s' * (sure == 1)} to the top {result.default_top_k} with probability "
                  "above 0.9")
        )  # fmt: skip
    seconds = float(np.nansum(run.seconds))
    failed = f", {len(run.failures)} failed" if run.failures else ""
    blocks = _counted(len(run.plan.seed), "block") + failed
    if seconds:
        detail = f"summed over {blocks}, for {run.plan.n_encoders} encoders"
        cards.append(_card("Time", duration(seconds), detail))
    else:
        cards.append(_card("Encoders", str(run.plan.n_encoders), f"in {blocks}"))
    return cards


def _counted(count, word):
    return f"{count} {word}{'s' * (count != 1)}"


def _card(name, value, detail, state="plain", verdict=""):
    return {"name": name, "value": value, "detail": detail, "state": state, "verdict": verdict}


def _reliability(result):
    interval = result.reliability_interval
    if not np.isfinite(interval.value):
        return _card("Reliability", "unknown", "one block can't tell whether a rerun would agree",
                     "caution", "unknown")  # fmt: skip
    detail = "correlation of the scores with those of an independent rerun"
    if np.isfinite(interval.low):
        ends = (_signed(end, ".2f") for end in (interval.low, interval.high))
        detail = f"95% interval {' to '.join(ends)}; {detail}"
    state, verdict = ("good", "would largely repeat")
    if interval.value < NOISE:
        state, verdict = ("bad", "mostly noise")
    elif interval.value < RELIABLE:
        state, verdict = ("caution", "good for groups of rows")
    if (
        result.scores.prior_mean is not None
    ):  # the score shown is another, and judged in the readings
        state, verdict, detail = "plain", "", f"{detail}; of the unbiased differences"
    return _card("Reliability", _signed(interval.value, ".2f"), detail, state, verdict)


def _signed(value, how):
    """A number with a true minus."""
    return format(value, how).replace("-", "\N{MINUS SIGN}")


def _collapse(result):
    values, n = result.run.values, result.run.plan.n_encoders
    if "effective_rank" not in values:
        return _card("Collapse", "not measured", "no effective rank was measured in this run")
    detail = f"effective rank {np.nanmedian(values['effective_rank']):.3g} (median over encoders)"
    if result.knn_accuracy is not None:
        detail += f"; nearest neighbours give the label of {result.knn_accuracy:.1%} of the rows"
    bad = len(collapsed_encoders(result.run))
    if bad:
        return _card("Collapse", f"{bad} of {n}", "encoders put all rows at one point or on one line: "
                     f"their scores are low for a bad reason; {detail}", "bad", "look closer")  # fmt: skip
    if has_low_rank(result.run):
        why = "representations vary along hardly more than one direction, as if hardly trained"
        return _card("Collapse", "partial?", f"{why}; {detail}", "caution", "look closer")
    return _card("Collapse", "none", detail, "good", f"all {n} encoders healthy")


def duration(seconds):
    """Seconds in words, two units at most: str."""
    seconds = round(seconds) if seconds >= 10 else round(seconds, 1)
    for size, unit, smaller, name in ((3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{seconds:g} s"


def per_class(result, names, class_of, table=None):
    """Summaries of the classes.

    Parameters
    ----------
    result : MemorizationResult
        Of all rows.
    names : ndarray of shape (n_classes,)
        Of the classes.
    class_of : ndarray of int, shape (n_samples,)
        Position of each row's class in `names`.
    table : ScoreTable, default=None
        Of the result, where it is at hand.

    Returns
    -------
    list of dict
        name; n, rows with a score; mean, and its standard_error over blocks (None where unknown): of
        the unbiased differences; above, rows with q < 0.05; expected_top, how many of the top 5% of
        all rows are expected in it, the sum of their probabilities (None where unknown).
    """
    table = result.table() if table is None else table
    score, blocks = result.scores.difference.score, result.scores.blocks
    found = []
    for i, name in enumerate(names):
        rows = np.flatnonzero((class_of == i) & np.isfinite(score))
        mine = blocks[:, rows]
        whole = mine[np.isfinite(mine).any(1)] if len(rows) else mine[:0]
        error = None
        if len(whole) >= 2:
            error = float(np.nanmean(whole, axis=1).std(ddof=1) / np.sqrt(len(whole)))
        top = table["top_k_probability"][rows]
        found.append({
            "name": str(name),
            "n": len(rows),
            "mean": float(score[rows].mean()) if len(rows) else None,
            "standard_error": error,
            "above": int((table["q_value"][rows] < 0.05).sum()),
            "expected_top": float(top.sum()) if len(rows) and np.isfinite(top).all() else None,
        })  # fmt: skip
    return found


def neighbours(representation, k=N_NEIGHBOURS):
    """Nearest rows among unit-normalised representations.

    Parameters
    ----------
    representation : ndarray of shape (n, d)
        Of the rows, without augmentation.
    k : int, default=8
        Neighbours a row; n - 1 where there are fewer.

    Returns
    -------
    rows : ndarray of int, shape (n, k)
        The nearest first, never the row itself.
    distances : ndarray of shape (n, k)
        Euclidean, in [0, 2].
    """
    from sklearn.neighbors import NearestNeighbors

    z = np.asarray(representation, dtype=np.float64)
    z = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    index = NearestNeighbors(n_neighbors=min(k, len(z) - 1), algorithm="brute").fit(z)
    distances, rows = index.kneighbors()
    return rows, distances


def dots_of_rows(run, most=DOTS):
    """Alignments of every row under the encoders that saw it and those that did not.

    Parameters
    ----------
    run : Run
        With the matrix "alignment".
    most : int, default=100
        Encoders a side; of more, evenly spaced ones are taken.

    Returns
    -------
    dict
        n_in, n_out: how many are given of each row; low, high: what 0 and 255 of `values` stand for
        in each row; values: bytes of all rows one after the other, in before out, as base64; thinned:
        whether any were left out.
    """
    import base64

    alignment = run.values["alignment"]
    counts, ends, parts, thinned = [[], []], [[], []], [], False
    for row in range(run.plan.n_samples):
        both = []
        for side, use in enumerate((run.plan.as_f[:, row], run.plan.as_g[:, row])):
            values = alignment[use, row]
            values = values[np.isfinite(values)]
            if len(values) > most:
                values = values[np.linspace(0, len(values) - 1, most).round().astype(int)]
                thinned = True
            counts[side].append(len(values))
            both.append(values)
        values = np.concatenate(both).astype(np.float64)
        low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
        parts.append(np.round((values - low) / ((high - low) or 1.0) * 255).astype(np.uint8))
        for end, value in zip(ends, (low, high), strict=True):
            end.append(float(f"{value:.6g}"))
    return {
        "n_in": counts[0],
        "n_out": counts[1],
        "low": ends[0],
        "high": ends[1],
        "values": base64.b64encode(np.concatenate(parts).tobytes()).decode(),
        "thinned": thinned,
    }


def _parameters(estimator):
    """Parameters of the fit in words, those first that are not the default."""
    defaults = type(estimator)().get_params(deep=False)
    found = []
    for name, value in estimator.get_params(deep=False).items():
        default = defaults[name]
        try:
            changed = value is not default and bool(value != default)
        except (TypeError, ValueError):  # whatever a foreign object compares to
            changed = True
        found.append((name, _short(value), changed))
    return sorted(found, key=lambda p: not p[2])


def _short(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= 160 else text[:157] + "..."
