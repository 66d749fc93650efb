"""Write the tables of docs from benchmarks/results: `python -m benchmarks.render`."""

import itertools
import json
from pathlib import Path

from .common import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"performance.md": "[!a]*.json", "experiments/methods.md": "agreement_*.json"}
START, END = "<!-- tables: made by python -m benchmarks.render -->", "<!-- end of tables -->"


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def columns_of(row):
    return tuple(row)


def table(record):
    """One result as a Markdown section; rows with other columns begin another table."""
    lines = [f"### {record['name'].replace('_', ', ')}: {record['claim']}", ""]
    if record["name"] in ("step",):  # one table, though some columns are of some rows only
        groups = [(tuple(dict.fromkeys(c for r in record["rows"] for c in r)), record["rows"])]
    else:
        groups = [(k, list(g)) for k, g in itertools.groupby(record["rows"], columns_of)]
    for columns, rows in groups:
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
    for name, pattern in PAGES.items():
        page, files = DOCS / name, sorted(RESULTS.glob(pattern))
        if not files or not page.exists():
            continue
        head, rest = page.read_text().split(START)
        body = "\n".join(table(json.loads(f.read_text())) for f in files)
        page.write_text(f"{head}{START}\n\n{body}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
