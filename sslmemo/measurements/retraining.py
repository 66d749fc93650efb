"""Retraining: how a row's alignment fares when copies of the encoder train on without it."""

from __future__ import annotations

import copy
import numbers

import numpy as np
import torch

from .._compat import check_in_range
from ..randomness import derive_seed, generator
from ..training.model import TorchModel
from ..training.ssl import row_stream
from .unlearning import Copies, Dealings

__all__ = ["HoldoutRetraining", "Perturbation", "retrained"]


class HoldoutRetraining(Dealings):
    """Rise of a row's alignment when the training goes on without it, beyond that when it goes on with it.

    Rows are dealt at random into `n_groups` groups. For each group a copy of the encoder trains on, see
    `retrained`, on the rows of all *other* groups, and the `squared_alignment` of all rows is read again.
    A row's score is its rise when its own group was left out, minus its mean rise when others were.

    Parameters
    ----------
    trainer : SSLTrainer
        Of the training that goes on: its loss, views, batch size, AdamW and device.
    n_groups : int, default=2
        At least 2; 2 leave out half of the rows at a time. At most one group a row.
    share : float, default=0.5
        Steps of each copy, over those of the training; above 0.
    n_repeats : int, default=4
        Random dealings that are averaged; at least 1. There are n_groups * n_repeats copies.
    n_views : int, default=8
        Views a row that alignment is read on; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.

    Notes
    -----
    The array is ``"holdout_retraining"`` (k, n), in squared distances.

    Holdout retraining is Carlini, Erlingsson and Papernot's (arXiv:1910.13427): a trained classifier is
    fine-tuned on held-out data, and the symmetric divergence between its outputs for a training row
    before and after is the row's score. Here no data are held out of the training, so the rest of the
    rows stands in for them; the alignment stands in for the classifier's output; and the contrast with
    the copies that kept the row is ours. It takes away the part of a rise that going on has for every row.
    """

    name = "holdout_retraining"

    def __init__(self, trainer, n_groups=2, share=0.5, n_repeats=4, n_views=8, layer="encoder"):
        super().__init__(
            trainer.views.augmentation, n_groups, n_repeats, n_views, layer, trainer.device
        )
        check_in_range("share", share, numbers.Real, 0, open_low=True, finite=True)
        self.trainer, self.share = trainer, float(share)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "trainer": self.trainer.config(),
            "n_groups": self.n_groups,
            "share": self.share,
            "n_repeats": self.n_repeats,
            "n_views": self.n_views,
            "layer": self.layer,
        }

    def _pushed(self, model, data, rows, seed, repeat=0):
        """A copy that trained on without some rows; copies of one dealing share their seed."""
        kept = np.setdiff1d(np.arange(len(data)), rows)
        own = derive_seed(seed, "retraining", repeat)
        return retrained(model, data, kept, own, self.trainer, self.share)


class Perturbation(Copies):
    """Variance of a row's alignment over copies of the encoder that trained on, each on another random part.

    Parameters
    ----------
    trainer : SSLTrainer
        Of the training that goes on: its loss, views, batch size, AdamW and device.
    n_copies : int, default=8
        Copies; at least 2.
    fraction : float, default=0.5
        Of the rows that each copy trains on, drawn at random, in (0, 1]; at least two rows are drawn.
    share : float, default=0.5
        Steps of each copy, over those of the training; above 0.
    n_views : int, default=8
        Views a row that alignment is read on; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is aligned.

    Notes
    -----
    The array is ``"perturbation"`` (k, n), the unbiased variance of the `squared_alignment` over the
    copies; its unit is the fourth power of a distance.

    After Daunce (Pan et al., arXiv:2505.23223). Theirs: several fine-tunes of one trained model, each on
    another random part of the rows; and attribution by the covariance of losses over them, of which this
    is the self term. Not taken over: their objective, which also takes a random multiple of each row's
    gradient at the trained weights away from its loss. It asks for a loss that is a mean over rows, which
    those of Barlow Twins, VICReg and others are not. Ours: the alignment in place of the loss, and a
    short training by the method's own loss.
    """

    name = "perturbation"

    def __init__(self, trainer, n_copies=8, fraction=0.5, share=0.5, n_views=8, layer="encoder"):
        super().__init__(trainer.views.augmentation, n_views, layer, trainer.device)
        check_in_range("n_copies", n_copies, numbers.Integral, 2)
        check_in_range("fraction", fraction, numbers.Real, 0, 1, open_low=True)
        check_in_range("share", share, numbers.Real, 0, open_low=True, finite=True)
        self.trainer, self.n_copies = trainer, int(n_copies)
        self.fraction, self.share = float(fraction), float(share)

    def config(self):
        """Everything that determines the numbers beside models, data and seed, as plain JSON."""
        return {
            "measurement": self.name,
            "trainer": self.trainer.config(),
            "n_copies": self.n_copies,
            "fraction": self.fraction,
            "share": self.share,
            "n_views": self.n_views,
            "layer": self.layer,
        }

    def __call__(self, models, data, member, seed, observed=None):
        """Measure the models, see `sslmemo.protocols.Measurement`."""
        found = np.empty((len(models), self.n_copies, len(data)))
        size = min(len(data), max(2, round(self.fraction * len(data))))
        for c in range(self.n_copies):
            part = generator(seed, "part", c).permutation(len(data))[:size]
            own = derive_seed(seed, "perturbation", c)
            for j, model in enumerate(models):
                pushed = retrained(model, data, part, own, self.trainer, self.share)
                found[j, c] = self._alignment(pushed, data, seed)
        return {self.name: found.var(1, ddof=1)}


def retrained(model, data, rows, seed, trainer, share):
    """A copy of a trained model that trains on for a while, on some rows.

    Steps are the training's: its loss, batch size, weight decay and gradient noise, and its method's
    `after_step`. AdamW begins afresh, at the constant rate that was the training's peak, as the trained
    model has brought no moments along; the progress that the method hears of is that of the last step.

    Parameters
    ----------
    model : TorchModel
        Trained; stays as it is.
    data : Data
        All rows.
    rows : ndarray of int, shape (m,)
        Those to train on, at least 2.
    seed : int
        Of order, views and the method's draws.
    trainer : SSLTrainer
        Of the training that goes on.
    share : float
        Steps over those of the training; above 0. At least one step is done.

    Returns
    -------
    TorchModel
        In eval mode.

    Raises
    ------
    ValueError
        There are fewer than 2 rows.
    """
    if len(rows) < 2:
        raise ValueError(
            f"a copy of the encoder was to train on without some rows, and {len(rows)} of {len(data)} "
            "are left, but a step needs 2: give more rows, or a kind that trains no copies."
        )
    module = copy.deepcopy(model.module).train()
    optimizer = torch.optim.AdamW(
        module.parameters(), trainer.learning_rate, weight_decay=trainer.weight_decay, fused=True
    )
    stream = row_stream(rows, min(trainer.batch_size, len(rows)), generator(seed, "order"))
    progress = 1 - 1 / trainer.steps
    for step in range(max(1, round(share * trainer.steps))):
        x = data.rows(next(stream), model.device)
        views = trainer.views.draw(
            x, trainer.method.n_views, derive_seed(seed, "train views", step)
        )
        trainer.update(module, optimizer, views, seed, step, progress)
    return TorchModel(module.eval(), model.device)
