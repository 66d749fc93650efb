"""From the user's parameters to a checked trainer, before anything is trained."""

from __future__ import annotations

import numbers

from .._compat import check_in_range
from ..augmentations import build_augmentation
from ..encoders import auto_encoder, check_encoder
from ..methods import get_method
from .noise import check_gradient_noise
from .precision import resolve_device, resolve_precision
from .ssl import SSLTrainer
from .stacked import StackedTrainer

__all__ = ["make_trainer"]

MOST_STEPS = 10**9  # of an encoder: more is a slip, not a training


def make_trainer(data, sizes, *, method, encoder, augmentation, epochs, batch_size,
                 learning_rate, device, precision, gradient_noise=None):  # fmt: skip
    """Build the SSL trainer of a plan and try it once.

    Parameters
    ----------
    data : Data
        The rows.
    sizes : tuple of (float, int)
        Mean and least training size, `Plan.sizes`.
    method, encoder, augmentation, epochs, batch_size, learning_rate, device, precision, gradient_noise
        As in `sslmemo.MemorizationEstimator`.

    Returns
    -------
    SSLTrainer
        All its encoders take max(1, round(epochs * mean training size / batch size)) steps.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter, its value and the mend.
    """
    check_in_range("epochs", epochs, numbers.Real, 0, open_low=True, finite=True)
    check_in_range("learning_rate", learning_rate, numbers.Real, 0, open_low=True, finite=True)
    gradient_noise = check_gradient_noise(gradient_noise)
    mean, smallest = sizes
    if smallest < 2:
        raise ValueError(
            "the smallest training set of the plan has 1 row, and a training needs 2: give more rows "
            "or a design of larger training sets."
        )
    if batch_size is None:
        batch_size = min(256, smallest)
    else:
        check_in_range("batch_size", batch_size, numbers.Integral, 2)
        if batch_size > smallest:
            raise ValueError(
                f"batch_size={batch_size} is larger than the smallest training set of the plan, "
                f"which has {smallest} rows: lower it, or leave batch_size=None."
            )
    steps = float(epochs) * mean / int(batch_size)
    if steps > MOST_STEPS:
        raise ValueError(f"epochs={epochs!r} makes {steps:.1e} steps an encoder: lower it.")
    check_encoder(encoder)
    device = resolve_device(device)
    kind = SSLTrainer if device == "cpu" else StackedTrainer
    trainer = kind(
        get_method(method),
        auto_encoder(data.shape) if isinstance(encoder, str) and encoder == "auto" else encoder,
        build_augmentation(augmentation, data),
        data.shape,
        steps=max(1, round(steps)),
        batch_size=int(batch_size),
        learning_rate=float(learning_rate),
        device=device,
        precision=resolve_precision(precision, device),
        gradient_noise=gradient_noise,
    )
    trainer.check(data)
    return trainer
