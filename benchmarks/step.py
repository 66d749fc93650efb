"""Where does a training step's time go, and how near is it to the machine's matrix rate?

One thread. Shares of a step: picking rows and views, forward and backward, optimizer and schedule. The
matrix rate of forward and backward is compared with `torch.mm` at the same shapes.
"""

import time

import numpy as np
import torch

from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.randomness import single_thread
from sslmemo.training.recipe import make_trainer

from .common import images

CLAIM = "share of a step outside forward and backward; matrix rate against torch.mm"

CASES = {"mlp": ((1, 28, 28), 100, 300), "convnet": ((3, 32, 32), 100, 60)}


def breakdown(encoder, shape, batch, steps, bank):
    """Median milliseconds of the parts of a step."""
    data = as_data(images(1000, shape))
    trainer = make_trainer(
        data, Subsample().draw(1000, 2, 0).sizes, method="simclr", encoder=encoder,
        augmentation="auto", epochs=60, batch_size=batch, learning_rate=1e-3, device="cpu",
        precision="auto",
    )  # fmt: skip
    trainer.bank = bank
    whole = trainer.steps
    started = time.perf_counter()
    if trainer.bank:
        trainer._bank_of(data, 0)
    # the bank of a block serves the steps of its two encoders
    bank_ms = 1e3 * (time.perf_counter() - started) / (2 * whole)
    trainer.steps = steps
    module = trainer.build(0).train()
    optimizer = torch.optim.AdamW(module.parameters(), 1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps + 1)
    batches = trainer._batches(data, np.arange(500), 0)
    parts = {"views": [], "forward_backward": [], "optimizer": []}
    for step in range(steps):
        marks = [time.perf_counter()]
        _, views = next(batches)
        marks.append(time.perf_counter())
        loss, _, _ = trainer.forward(module, views, 0, step, step / steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        marks.append(time.perf_counter())
        optimizer.step()
        schedule.step()
        marks.append(time.perf_counter())
        for name, t in zip(parts, np.diff(marks), strict=True):
            parts[name].append(1e3 * t)
    # several steps share one draw of views: a mean, not a median
    found = {"views": float(np.mean(parts["views"])) + bank_ms}
    found.update({k: float(np.median(v)) for k, v in parts.items() if k != "views"})
    return trainer, found


def mlp_rates(batch, milliseconds):
    """GFLOP/s of forward and backward of the mlp, and of torch.mm at its shapes."""
    shapes = [(784, 512), (512, 512), (512, 64), (64, 64)]
    b = 2 * batch
    flops = sum(2 * b * i * o * (2 if k == 0 else 3) for k, (i, o) in enumerate(shapes))
    flops += 3 * 2 * b * b * 64
    spent = 0.0
    for k, (i, o) in enumerate(shapes):
        x, w, y = torch.randn(b, i), torch.randn(i, o), torch.randn(b, o)
        products = [(x, w), (x.T, y)] + ([(y, w.T)] if k else [])
        for left, right in products:
            times = []
            for _ in range(40):
                started = time.perf_counter()
                torch.mm(left, right)
                times.append(time.perf_counter() - started)
            spent += float(np.median(times))
    z = torch.randn(b, 64)
    times = []
    for _ in range(40):
        started = time.perf_counter()
        torch.mm(z, z.T)
        times.append(time.perf_counter() - started)
    spent += 3 * float(np.median(times))
    return flops / milliseconds / 1e6, flops / spent / 1e9


def measure(full):
    rows = []
    with single_thread():
        for encoder, (shape, batch, steps) in CASES.items():
            for kind, bank in (("fresh views", 0), ("a bank of 32", 32)):
                breakdown(encoder, shape, batch, 10, bank)
                trainer, parts = breakdown(encoder, shape, batch, steps * (2 if full else 1), bank)
                total = sum(parts.values())
                row = {
                    "encoder": encoder,
                    "views": kind,
                    "bank": trainer.bank,
                    "views_ms": parts["views"],
                    "forward_backward_ms": parts["forward_backward"],
                    "optimizer_ms": parts["optimizer"],
                    "share_outside": 1 - parts["forward_backward"] / total,
                }
                if encoder == "mlp":
                    ours, mm = mlp_rates(batch, parts["forward_backward"])
                    row.update(gflops=ours, gflops_mm=mm, rate_share=ours / mm)
                rows.append(row)
    return rows
