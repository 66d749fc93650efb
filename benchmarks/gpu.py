"""On one GPU: how much faster is a stack of encoders than the loop that a researcher writes?

The same networks, rows, batch and steps on the same GPU, in turn; the goals are 50 for small networks and 3
for resnet18 at 32 px. Without a GPU it measures nothing and says so. Not yet run on one.
"""

import numpy as np
import torch

from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.pool import run
from sslmemo.training.recipe import make_trainer

from .common import images, in_turn, median_ratio
from .throughput import kornia_pipeline, plain_loop

CLAIM = "encoder-steps a second of a stack over the plain loop's, on one GPU"

CASES = {  # encoder: (shape, batch, encoders in the stack, steps)
    "mlp": ((1, 28, 28), 100, 128, 200),
    "convnet": ((3, 32, 32), 100, 64, 100),
    "resnet18": ((3, 32, 32), 64, 16, 40),
}


def measure(full, device="cuda", cases=CASES):
    if device == "cuda" and not torch.cuda.is_available():
        return [{"skipped": "there is no GPU"}]
    rows = []
    for encoder, (shape, batch, k, steps) in cases.items():
        X = images(1000, shape)
        data = as_data(X)
        plan = Subsample().draw(len(data), k, entropy=0)
        trainer = make_trainer(
            data, plan.sizes, method="simclr", encoder=encoder, augmentation="auto", epochs=60,
            batch_size=batch, learning_rate=1e-3, device=device, precision="auto",
        )  # fmt: skip
        trainer.steps = steps
        augmentation = kornia_pipeline(shape)
        # the loop runs two encoders, the stack k: ratios are of encoder-steps
        loop = lambda: plain_loop(X, plan.member[:2], augmentation, encoder, batch, steps, device)  # noqa: B023, E731
        pool = lambda: run(plan, trainer, [], data)  # noqa: B023, E731
        slow, fast = in_turn(loop, pool, repeats=5 if full else 3)
        ratio, low, high = median_ratio([k / 2 * t for t in slow], fast)
        rows.append(
            {
                "encoder": encoder,
                "precision": trainer.precision,
                "together": trainer.max_together(500),
                "batch": batch,
                "steps": steps,
                "loop_ms_a_step": 1e3 * float(np.median(slow)) / (2 * steps),
                "stack_ms_a_step": 1e3 * float(np.median(fast)) / (k * steps),
                "ratio": ratio,
                "ratio_low": low,
                "ratio_high": high,
            }
        )
    return rows
