"""Write the tables of docs/performance.md from benchmarks/results: `python -m benchmarks.render`."""

import json
from pathlib import Path

from .common import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
START, END = "<!-- tables: made by python -m benchmarks.render -->", "<!-- end of tables -->"


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def table(record):
    """One result as a Markdown section."""
    columns = list(dict.fromkeys(c for row in record["rows"] for c in row))
    lines = [f"### {record['name']}: {record['claim']}", ""]
    lines.append("| " + " | ".join(c.replace("_", " ") for c in columns) + " |")
    lines.append("|" + "---|" * len(columns))
    lines += ["| " + " | ".join(cell(row.get(c)) for c in columns) + " |" for row in record["rows"]]
    m = record["machine"]
    lines += ["", f"{m['processor']}, {m['cores']} cores, fast bf16 {m['fast_bf16']}, GPU {m['gpu']}; "
              f"Python {m['python']}, torch {m['torch']}, kornia {m['kornia']}; {record['scale']} run, "
              f"{record['date']}, commit {record['commit']}.", ""]  # fmt: skip
    return "\n".join(lines)


def main():
    records = [json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))]
    page = PAGE.read_text()
    head, rest = page.split(START)
    tail = rest.split(END)[1]
    body = "\n".join(table(r) for r in records)
    PAGE.write_text(f"{head}{START}\n\n{body}\n{END}{tail}")


if __name__ == "__main__":
    main()
