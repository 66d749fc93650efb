"""Run benchmarks and write their results: `python -m benchmarks short throughput step`."""

import importlib
import sys

from .common import save

NAMES = ("throughput", "step", "overhead", "cost", "scaling", "bank", "gpu")


def main(scale="short", *names):
    if scale not in ("short", "full"):
        sys.exit("usage: python -m benchmarks short|full [name ...]")
    for name in names or NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"{name}: {module.CLAIM}", flush=True)
        rows = module.measure(full=scale == "full")
        for row in rows:
            print("   ", ", ".join(f"{k} {_text(v)}" for k, v in row.items()), flush=True)
        if "skipped" not in rows[0]:
            save(name, module.CLAIM, rows, scale)


def _text(value):
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main(*sys.argv[1:])
