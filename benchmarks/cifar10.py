"""CIFAR-10: probes, and the 80/10/10 split of Wang et al. with relative scores.

`python -m benchmarks.cifar10 --data PATH` takes the official binary version (a folder with
data_batch_1.bin to test_batch.bin) or an npz of JPEG images (train_bytes, train_ends, train_labels and the
same for test), whose numbers are marked "JPEG copy". The full protocol wants a GPU:

    python -m benchmarks.cifar10 --data PATH --method simclr --encoder resnet18 --epochs 500 --batch 512
    python -m benchmarks.cifar10 --data PATH --method simclr --encoder resnet9 --epochs 500 --batch 512
    python -m benchmarks.cifar10 --data PATH --method emp_ssl --encoder resnet18 --epochs 30

`--rows`, `--test-rows`, `--width` and `--pairs` make a slice for a CPU. Each call adds its row to
benchmarks/results/cifar10.json: the table holds only what was run. `--memory FOLDER` makes it resumable.
"""

import argparse
import functools
import io
import json
import time
from pathlib import Path

import numpy as np
import torch

from sslmemo import KNNProbe, LinearProbe, MemorizationEstimator
from sslmemo.designs import Split
from sslmemo.encoders import ENCODERS
from sslmemo.methods import METHODS

from .common import RESULTS, probed, save

SHAPE = (3, 32, 32)
PROBES = {"knn": KNNProbe(n_neighbors=200, temperature=0.1), "linear": LinearProbe()}


def read_cifar10(path, part, n=None):
    """The first n images (n, 3, 32, 32) uint8 and labels of "train" or "test"."""
    path = Path(path)
    if path.is_dir():
        names = (
            [f"data_batch_{i}.bin" for i in range(1, 6)] if part == "train" else ["test_batch.bin"]
        )
        raw = np.concatenate([np.fromfile(path / name, np.uint8) for name in names])
        rows = raw.reshape(-1, 3073)[:n]
        return rows[:, 1:].reshape(-1, *SHAPE), rows[:, 0].astype(int)
    from PIL import Image

    with np.load(path) as file:
        data, ends = file[f"{part}_bytes"].tobytes(), file[f"{part}_ends"][:n]
        labels = file[f"{part}_labels"][:n].astype(int)
    starts = np.concatenate([[0], ends[:-1]])
    images = [
        np.asarray(Image.open(io.BytesIO(data[a:b])).convert("RGB"))
        for a, b in zip(starts, ends, strict=True)
    ]
    return np.stack(images).transpose(0, 3, 1, 2).copy(), labels


def split(args, X, recipe):
    """Relative scores (g - f) / (g + f) under the paper's split, each view against the image."""
    roles = np.repeat(["shared", "candidate", "independent"], (np.array([8, 1, 1]) * len(X)) // 10)
    est = MemorizationEstimator(
        design=Split(roles), n_encoders=2 * args.pairs, anchor="clean", n_views=5,
        normalize="relative", n_jobs=args.jobs, memory=args.memory, random_state=0,
        **recipe,
    ).fit(X[: len(roles)])  # fmt: skip
    scores = np.sort(est.result_.score[roles == "candidate"])[::-1]
    shown = max(1, min(50, len(scores) // 10))
    independent = est.result_.score[roles == "independent"].mean()
    return {
        "pairs": args.pairs,
        "candidates": len(scores),
        "candidates_mean": float(scores.mean()),
        "shown": shown,
        "most": float(scores[:shown].mean()),
        "least": float(scores[-shown:].mean()),
        "independent_mean": float(independent),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--method", default="simclr", choices=list(METHODS))
    parser.add_argument("--encoder", default="resnet18", choices=list(ENCODERS))
    parser.add_argument("--width", type=int, help="channels of a residual network's first layers")
    parser.add_argument("--epochs", type=float, default=100)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rows", type=int, help="the first rows of the training set; default all")
    parser.add_argument("--test-rows", type=int)
    parser.add_argument("--seeds", type=int, default=3, help="encoders whose probes are averaged")
    parser.add_argument(
        "--pairs", type=int, default=3, help="f and g of the split; 0 leaves it out"
    )
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--memory", help="folder that keeps finished encoders")
    args = parser.parse_args()

    X, y = read_cifar10(args.data, "train", args.rows)
    X_test, y_test = read_cifar10(args.data, "test", args.test_rows)
    encoder = args.encoder
    if args.width:
        encoder = functools.partial(ENCODERS[encoder], SHAPE, width=args.width)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe = {"method": args.method, "encoder": encoder, "epochs": args.epochs,
              "batch_size": args.batch, "device": device}  # fmt: skip
    started = time.perf_counter()
    row = {
        "method": args.method,
        "encoder": args.encoder + (f" (width {args.width})" if args.width else ""),
        "data": "official" if Path(args.data).is_dir() else "JPEG copy",
        "rows": len(X),
        "test_rows": len(X_test),
        "epochs": args.epochs,
        "batch": args.batch,
        "seeds": args.seeds,
        **probed(
            X,
            y,
            X_test,
            y_test,
            PROBES,
            {**recipe, "augmentation": "simclr"},
            args.seeds,
            n_jobs=args.jobs,
            memory=args.memory,
        ),
        **(split(args, X, recipe) if args.pairs else {}),
        "minutes": (time.perf_counter() - started) / 60,
    }
    print(json.dumps(row, indent=1))
    earlier = RESULTS / "cifar10.json"
    rows = json.loads(earlier.read_text())["rows"] if earlier.exists() else []
    save("cifar10", __doc__.splitlines()[0], [*rows, row], "slice" if args.rows else "full")


if __name__ == "__main__":
    main()
