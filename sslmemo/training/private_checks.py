"""What private training refuses: losses, networks, views and tables in which rows meet."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from ..methods import LayerNormed, get_method
from ..methods.layer_normed import BATCH_NORM
from .private import quiet

__all__ = ["check_private"]

TRIED_IN_EVAL = (BATCH_NORM, nn.modules.dropout._DropoutNd)
MEND = (
    "Use method='mae', or LayerNormed('byol') or LayerNormed('simsiam') of sslmemo.methods; or, "
    "without an epsilon, sslmemo.training.noise.GradientNoise."
)


def check_private(trainer, data):
    """Refuse trainings of which a stated epsilon would be false.

    The gradient of a row is computed with the row alone in its batch, so what couples rows in the loss
    alone would train another method; what couples them elsewhere would leak.

    Parameters
    ----------
    trainer : SSLTrainer
        Whose method, encoder and augmentation are tried on three rows.
    data : Data
        The rows.

    Raises
    ------
    ValueError
        Rows meet in the loss, a buffer, BatchNorm, the augmentation or the standardisation; or `delta` is
        not below one over the number of rows.
    """
    trainer.gradient_noise.check_delta(len(data))
    name, views = _kind(trainer.method), _check_views(trainer, data)
    module = trainer.build(0).train()
    for part in module.modules():
        if isinstance(part, TRIED_IN_EVAL):  # BatchNorm is refused below: first, the loss itself
            part.eval()
    weights = {k: p.detach() for k, p in module.named_parameters()}
    draws = trainer._draws(0, 0, views.shape[1])

    def loss(views, draws):
        buffers = {k: b.clone() for k, b in module.named_buffers()}
        value = functional_call(module, {**weights, **buffers}, (views, draws, 0.0))[0]
        before = dict(module.named_buffers())
        return float(value), [k for k, b in buffers.items() if not torch.equal(b, before[k])]

    whole, fed = loss(views, draws)
    per_row = all(d.shape[:1] == views.shape[1:2] for d in draws.values())
    if not (per_row and np.isclose(whole, _mean_alone(loss, views, draws), rtol=1e-3, atol=1e-4)):
        raise ValueError(
            f"gradient_noise=PrivateTraining(...) needs a loss that is a mean over rows, and that of {name} "
            "couples the rows of a batch: a row has no gradient of its own to clip, and a stated epsilon "
            f"would be false. {MEND}"
        )
    if fed:
        raise ValueError(
            f"gradient_noise=PrivateTraining(...) adds no noise to buffers, and {name} with encoder "
            f"{type(module.encoder).__name__} writes what it saw of the rows to {', '.join(fed)}: a stated "
            f"epsilon would be false. {MEND}"
        )
    found = [k for k, m in module.named_modules() if isinstance(m, BATCH_NORM)]
    if found:
        raise ValueError(
            f"gradient_noise=PrivateTraining(...) can't train BatchNorm, which couples the rows of a batch "
            f"and keeps their statistics: {name} with encoder {type(module.encoder).__name__} has it in "
            f"{', '.join(found)}. Put LayerNorm in its place by method="
            f"sslmemo.methods.LayerNormed({name}())."
        )


def _kind(method):
    inner = get_method(method.method) if isinstance(method, LayerNormed) else method
    return type(inner).__name__


def _mean_alone(loss, views, draws):
    """Mean loss of rows that are each alone in their batch; NaN where that is impossible."""
    with quiet():  # a variance of one row, say, warns
        try:
            alone = [
                loss(views[:, i : i + 1], {k: d[i : i + 1] for k, d in draws.items()})[0]
                for i in range(views.shape[1])
            ]
        except Exception:  # whatever foreign code raises
            return np.nan
    return np.mean(alone)


def _check_views(trainer, data):
    """Views of three rows; refuses views that tell about other rows."""
    if data.layout.center is not None:
        raise ValueError(
            "gradient_noise=PrivateTraining(...) can't take a table: its columns are standardised by means "
            "and deviations of all rows, which no noise covers. Scale them by constants that come from "
            "elsewhere, and pass X as images of shape (n, 1, 1, d)."
        )
    augmentation, n_views = trainer.views.augmentation, trainer.method.n_views
    x = data.rows(np.arange(3) % len(data), trainer.device)
    changed = torch.cat([x[:1], 1 - x[1:]])
    views, other = (trainer.views.draw(rows, n_views, 0) for rows in (x, changed))
    reads = hasattr(augmentation, "fit_reference")
    if reads or not torch.allclose(views[:, 0], other[:, 0], rtol=1e-4, atol=1e-5):
        raise ValueError(
            f"gradient_noise=PrivateTraining(...) needs views that are made of their own row alone, and "
            f"augmentation {type(augmentation).__name__} puts values of other rows into them: pass another "
            "one."
        )
    return views
