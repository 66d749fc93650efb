"""Write the tables of docs from benchmarks/results: `python -m benchmarks.render`."""

import itertools
import json
from pathlib import Path

import numpy as np

from .common import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    "performance.md": ["throughput", "step", "overhead", "cost", "scaling", "gpu"],
    "experiments/methods.md": [
        "agreement_methods",
        "agreement_encoders",
        "agreement_norms",
        "alone",
    ],
    "experiments/cifar10.md": ["agreement_cifar10", "cifar10"],
    "experiments/removal.md": [
        "removal_main",
        "removal_small",
        "removal_large",
        "removal_short",
        "removal_long",
        "removal_epochs",
        "removal_stratified",
        "removal_planted",
        "removal_tiles",
        "removal_cifar10",
    ],
    "experiments/generalization.md": [
        "generalization_outlier",
        "generalization_bound",
        "generalization_long_tail",
        "generalization_ablation",
    ],
    "comparison.md": [
        "comparison_definitions",
        "comparison_labels",
        "comparison_deja_vu",
        "comparison_membership",
        "comparison_duplicates",
        "comparison_privacy",
    ],
    "estimators.md": [
        "estimators_digits_mlp",
        "estimators_digits_convnet",
        "estimators_colour",
        "estimators_table",
        "estimators_fractions",
    ],
}
START, END = "<!-- tables: made by python -m benchmarks.render -->", "<!-- end of tables -->"


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


BRIEF = ("estimator", "design", "encoders", "row_epochs", "n_replicates", "spearman_of_ceiling", "low",
         "high", "recall_of_top_5%")  # fmt: skip


def shown(record):
    """Rows for the page; all of them are in the JSON file."""
    rows = record["rows"]
    if record["name"] == "comparison_membership":  # not by tenths of the rows, nor paired gains
        return [
            {k: v for k, v in r.items() if "gain" not in k} for r in rows if r["part"] == "attacks"
        ]
    if record["name"] == "comparison_definitions":  # those with the pool, and repeatabilities
        return [r for r in rows if r["first"] in ("SSL memorization", r["second"])]
    if record["name"].startswith("removal"):  # the first probe's
        return [r for r in rows if r.get("metric", "accuracy").startswith("accuracy")]
    if record["name"].startswith("estimators") and "estimator" in rows[0]:
        reached = [
            {"reaches 0.95 of the ceiling": r["estimator"],
             **{k: r[k] for k in ("design", "row_epochs", "low", "high")}}
            for r in rows
            if "of_ceiling" not in r and "gain" not in r and np.isfinite(r.get("row_epochs") or np.inf)
        ]  # fmt: skip
        return [*agreements(rows), *reached, *(r for r in rows if "interval" in r)]
    return rows


def agreements(rows):
    """Rank correlation over its ceiling and recall of every estimator in one row."""
    rows = [r for r in rows if "of_ceiling" in r]
    recall = {_cell(r): r["value"] for r in rows if r["metric"] == "top_recall"}
    return [
        dict(zip(BRIEF, (*_cell(r), r["row_epochs"], r["n_replicates"], r["of_ceiling"],
                         r["of_ceiling_low"], r["of_ceiling_high"], recall[_cell(r)]), strict=True))
        for r in rows
        if r["metric"] == "spearman"
    ]  # fmt: skip


def _cell(row):
    return row["estimator"], row["design"], row["encoders"]


def table(record):
    """One result as a Markdown section; rows whose first column is another begin another table."""
    lines = [f"### {record['name'].replace('_', ', ')}: {record['claim']}", ""]
    for _, rows in itertools.groupby(shown(record), lambda row: next(iter(row))):
        rows = list(rows)
        columns = list(dict.fromkeys(c for row in rows for c in row))
        lines.append("| " + " | ".join(c.replace("_", " ") for c in columns) + " |")
        lines.append("|" + "---|" * len(columns))
        lines += ["| " + " | ".join(cell(row.get(c)) for c in columns) + " |" for row in rows]
        lines.append("")
    m = record["machine"]
    lines += [f"{m['processor']}, {m['cores']} cores, fast bf16 {m['fast_bf16']}, GPU {m['gpu']}; "
              f"Python {m['python']}, torch {m['torch']}, kornia {m['kornia']}; {record['scale']} run, "
              f"{record['date']}, commit {record['commit']}.", ""]  # fmt: skip
    return "\n".join(lines)


def main():
    for name, results in PAGES.items():
        page = DOCS / name
        files = [f for r in results if (f := RESULTS / f"{r}.json").exists()]
        if not files:
            continue
        head, rest = page.read_text().split(START)
        body = "\n".join(table(json.loads(f.read_text())) for f in files)
        page.write_text(f"{head}{START}\n\n{body}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
