"""Does the pool train faster than the loop that a researcher writes?

The loop: a `DataLoader`, the same augmentations by kornia called once a view, default AdamW, one
encoder after another on all cores. The pool: the same network, rows, batch and steps, two processes. Timed in
turn, A B A B; the number is the median of paired ratios of encoder-steps a second.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset

from sslmemo.data import as_data
from sslmemo.designs import Subsample
from sslmemo.encoders import build_encoder, output_dim
from sslmemo.pool import run
from sslmemo.training.recipe import make_trainer

from .common import images, in_turn, median_ratio

CLAIM = "encoder-steps a second of the pool (2 processes) over the plain loop's"

CASES = {  # encoder: (shape, batch, steps short, steps full)
    "mlp": ((1, 28, 28), 100, 150, 300),
    "convnet": ((3, 32, 32), 100, 20, 60),
    "resnet18": ((3, 32, 32), 64, 2, 6),
}


def kornia_pipeline(shape):
    """The operations of the presets "digits" and "simclr", as kornia's users write them."""
    import kornia.augmentation as K

    if shape[0] == 1:
        return K.RandomAffine(10.0, translate=(0.07, 0.07), scale=(0.9, 1.1), p=1.0)
    return torch.nn.Sequential(
        K.RandomResizedCrop(shape[1:], scale=(0.2, 1.0), cropping_mode="resample"),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
    )


def plain_loop(X, member, augmentation, encoder, batch, steps, device="cpu"):
    """Train one encoder after another, as most research code does."""
    data = TensorDataset(torch.from_numpy(X))
    for rows in member:
        network = build_encoder(encoder, X.shape[1:])
        d = output_dim(network, X.shape[1:])
        projector = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(d, 64)).to(device)
        network = network.to(device)
        parameters = [*network.parameters(), *projector.parameters()]
        optimizer = torch.optim.AdamW(parameters, 1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps + 1)
        loader = DataLoader(Subset(data, np.flatnonzero(rows)), batch, shuffle=True, drop_last=True)
        done = 0
        while done < steps:
            for (x,) in loader:
                x = x.to(device)
                z = [F.normalize(projector(network(augmentation(x))), dim=1) for _ in range(2)]
                z = torch.cat(z)
                similarity = z @ z.T / 0.2
                itself = torch.eye(2 * batch, dtype=bool, device=device)
                other = torch.arange(2 * batch, device=device).roll(batch)
                loss = F.cross_entropy(similarity.masked_fill(itself, -1e9), other)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                done += 1
                if done == steps:
                    break


def measure(full):
    rows = []
    for encoder, (shape, batch, short, long) in CASES.items():
        steps = long if full else short
        X = images(1000, shape)
        data = as_data(X)
        plan = Subsample().draw(len(data), 4, entropy=0)
        trainer = make_trainer(
            data, plan.sizes, method="simclr", encoder=encoder, augmentation="auto", epochs=60,
            batch_size=batch, learning_rate=1e-3, device="cpu", precision="auto",
        )  # fmt: skip
        trainer.steps = steps
        augmentation = kornia_pipeline(shape)
        # the loop runs two encoders, the pool four: ratios are of encoder-steps
        loop = lambda: plain_loop(X, plan.member[:2], augmentation, encoder, batch, steps)  # noqa: B023, E731
        pool = lambda: run(plan, trainer, [], data, n_jobs=2)  # noqa: B023, E731
        slow, fast = in_turn(loop, pool, repeats=5 if full else 3)
        ratio, low, high = median_ratio([2 * t for t in slow], fast)
        rows.append(
            {
                "encoder": encoder,
                "precision": trainer.precision,
                "batch": batch,
                "steps": steps,
                "loop_ms_a_step": 1e3 * float(np.median(slow)) / (2 * steps),
                "pool_ms_a_step": 1e3 * float(np.median(fast)) / (4 * steps),
                "ratio": ratio,
                "ratio_low": low,
                "ratio_high": high,
                "repeats": len(slow),
            }
        )
    return rows
