"""Fine-tuning: the encoder goes on training, with labels and a linear head."""

from __future__ import annotations

import copy
import numbers

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from .._compat import check_in_range
from ..randomness import derive_seed, generator, seeded

__all__ = ["FineTuning"]


class FineTuning(BaseEstimator):
    """Evaluator that trains a copy of the encoder and a linear head on labelled rows.

    For ``downstream=`` of the experiments. Not a classifier of representations: it reads the model.

    Parameters
    ----------
    epochs : int, default=20
        Passes over the labelled rows; at least 1.
    batch_size : int, default=64
        Rows a step; at least 2. BatchNorm is in training mode.
    learning_rate : float, default=1e-3
        Peak of AdamW's one-cycle schedule for the head; above 0.
    encoder_rate : float, default=0.1
        The encoder's learning rate over the head's, in [0, 1]; 0 keeps its weights.
    """

    metric = "accuracy"

    def __init__(self, epochs=20, batch_size=64, learning_rate=1e-3, encoder_rate=0.1):
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.encoder_rate = encoder_rate

    def outcome(self, model, fit_rows, y_fit, test_rows, y_test, *, layer="encoder", seed=0):
        """Train on some rows, and tell which test labels are right.

        Parameters
        ----------
        model : TorchModel
            Stays as it is.
        fit_rows : Data
            Labelled rows.
        y_fit : ndarray of shape (n_fit,)
            Their labels.
        test_rows : Data
            Held-out rows.
        y_test : ndarray of shape (n_test,)
            Their labels.
        layer : {"encoder", "projector"}, default="encoder"
            Output that the head reads.
        seed : int, default=0
            Of head and order.

        Returns
        -------
        ndarray of float32, shape (n_test,)
            1 where the predicted label is right, else 0.

        Raises
        ------
        TypeError, ValueError
            A parameter is out of its range.
        """
        check_in_range("epochs", self.epochs, numbers.Integral, 1)
        check_in_range("batch_size", self.batch_size, numbers.Integral, 2)
        check_in_range("learning_rate", self.learning_rate, numbers.Real, 0, open_low=True)
        check_in_range("encoder_rate", self.encoder_rate, numbers.Real, 0, 1)
        labels, target = np.unique(y_fit, return_inverse=True)
        body, head = self._fitted(
            model, fit_rows, torch.from_numpy(target), len(labels), layer, seed
        )
        body.eval()
        with torch.no_grad():
            said = [
                head(body(test_rows.rows(i, model.device))).argmax(1).cpu().numpy()
                for i in test_rows.chunks(256)
            ]
        return (labels[np.concatenate(said)] == y_test).astype(np.float32)

    def _fitted(self, model, rows, target, n_labels, layer, seed):
        body = copy.deepcopy(model.module.encoder)
        if layer == "projector":
            body = nn.Sequential(body, copy.deepcopy(model.module.projector))
        width = model.embed(rows.rows([0]), layer).shape[1]
        with seeded(derive_seed(seed, "head")):
            head = nn.Linear(width, n_labels).to(model.device)
        optimizer = torch.optim.AdamW(
            [
                {"params": body.parameters(), "lr": self.learning_rate * self.encoder_rate},
                {"params": head.parameters(), "lr": self.learning_rate},
            ]
        )
        size = min(self.batch_size, len(rows))
        steps = self.epochs * (len(rows) // size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [g["lr"] for g in optimizer.param_groups], total_steps=steps + 1
        )
        rng = generator(seed, "order of fine-tuning")
        with torch.enable_grad(), seeded(derive_seed(seed, "fine-tuning"), model.device):
            body.train()
            for _ in range(self.epochs):
                order = rng.permutation(len(rows))[: len(rows) // size * size].reshape(-1, size)
                for index in order:
                    said = head(body(rows.rows(index, model.device)))
                    loss = nn.functional.cross_entropy(said, target[index].to(model.device))
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()
                    schedule.step()
        return body, head
