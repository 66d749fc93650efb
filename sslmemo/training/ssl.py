"""The SSL trainer: one encoder after another, on a CPU core or a GPU.

All encoders take the same number of steps from an endless stream of reshuffled rows of their own,
so that f and g differ by the rows alone.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch

from ..augmentations.views import ViewBank, Views
from ..encoders import build_encoder, output_dim
from ..identity import describe
from ..methods import Method
from ..protocols import TrainingError
from ..randomness import derive_seed, draws_undone, generator, seeded
from .model import TorchModel
from .precision import autocast
from .private import PrivateTraining, RowGradients
from .private_checks import check_private

__all__ = ["SSLTrainer", "handover_steps", "one_cycle", "row_stream"]

CHUNK_VALUES = 2**18  # values of views drawn in one augmentation call; fixed, see `Views.of_rows`


class SSLTrainer:
    """Trains encoders by a self-supervised method.

    Parameters
    ----------
    method : Method
        See `sslmemo.methods`.
    encoder : str or callable
        Name or zero-argument factory.
    augmentation : callable
        As `build_augmentation` returns it.
    shape : tuple of int
        Shape of one sample.
    steps : int
        Optimizer steps of every encoder.
    batch_size : int
        Samples a step.
    learning_rate : float
        Peak of the one-cycle schedule of AdamW.
    weight_decay : float, default=0.01
        Of AdamW.
    device : str, default="cpu"
        Resolved.
    precision : {"fp32", "bf16"}, default="fp32"
        Of forward and backward; weights are float32.
    bank : int, default=0
        Views a row in the bank that a block draws once and picks from; 0 draws fresh views at
        every step.
    gradient_noise : GradientNoise or PrivateTraining, default=None
        What is done to the gradient of every step, or to that of every row; None leaves it as it is.
    """

    def __init__(self, method, encoder, augmentation, shape, *, steps, batch_size, learning_rate,
                 weight_decay=0.01, device="cpu", precision="fp32", bank=0,
                 gradient_noise=None):  # fmt: skip
        self.method, self.encoder, self.shape = method, encoder, tuple(shape)
        self.views = Views(augmentation)
        self.steps, self.batch_size = steps, batch_size
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.gradient_noise = gradient_noise
        # gradients by row don't work under autocast (torch 2.13)
        self.precision = "fp32" if self.is_private else precision
        self.device, self.bank = device, bank
        self._bank = None, None  # the last one drawn, by data and seed: f and g share it
        self.draws_itself = False  # whether a forward pass draws random numbers, see `check`

    def config(self):
        """Everything that determines a training beside data, rows and seed, as plain JSON."""
        config = {
            "trainer": "ssl",
            "method": describe(self.method),
            "encoder": describe(self.encoder),
            "augmentation": describe(self.views.augmentation),
            "shape": list(self.shape),
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "device": torch.device(self.device).type,
            "precision": self.precision,
            "bank": self.bank,
        }
        if self.gradient_noise is not None:  # absent without: keys of stored blocks stay the same
            config["gradient_noise"] = describe(self.gradient_noise)
        return config

    @property
    def is_private(self):
        """Whether rows are clipped one by one, and batches are of random size."""
        return isinstance(self.gradient_noise, PrivateTraining)

    def max_together(self, n_rows):
        """One: encoders are trained one after another."""
        return 1

    def prepare_job(self, number):
        """Take the job's own device, where there are several."""
        if self.device == "cuda":
            torch.cuda.set_device(number % torch.cuda.device_count())

    def build(self, seed):
        """Fresh module of the method, its weights drawn from `seed`."""
        with seeded(derive_seed(seed, "init")):
            encoder = build_encoder(self.encoder, self.shape)
            module = self.method.build(encoder, output_dim(encoder, self.shape))
        images = any(isinstance(m, torch.nn.Conv2d) for m in module.modules())
        if images and not self.is_private:  # vmap over rows knows no pooling of channels_last
            module = module.to(memory_format=torch.channels_last)
        return module.to(self.device)

    def restore(self, state):
        """The model of a `Model.state`, on the CPU."""
        module = self.build(0).cpu()
        module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
        return TorchModel(module.eval())

    def check(self, data):
        """Try one forward pass before any training; finds modules that draw random numbers."""
        self.views.check(data)
        index = np.arange(self.batch_size) % len(data)
        with draws_undone(), seeded(0), torch.no_grad():
            module, again = self.build(0), self.build(0)
            if not _equal_weights(module, again):
                raise ValueError(
                    "encoder has other weights under the same seed: they must be drawn from torch's "
                    "global generator (as torch.nn.init does) or be the same at every call."
                )
            if {id(p) for p in module.parameters()} & {id(p) for p in self.build(1).parameters()}:
                raise ValueError(
                    "encoder returned the same weights twice: the factory must build a new module at "
                    "every call, or copy.deepcopy a pretrained one; else g has seen what f saw."
                )
            before = torch.get_rng_state()
            views = self.views.draw(data.rows(index, self.device), self.method.n_views, 0)
            loss, per_row = self._try(module, views)
            self.draws_itself = not torch.equal(before, torch.get_rng_state())
        if loss.shape != () or per_row.shape != (len(index),):
            raise ValueError(
                f"{type(self.method).__name__} must return a scalar loss and one loss a sample, got "
                f"shapes {tuple(loss.shape)} and {tuple(per_row.shape)} for {len(index)} samples."
            )
        if self.is_private:
            with draws_undone(), seeded(0), torch.no_grad():
                check_private(self, data)

    def _try(self, module, views):
        """Loss of one forward pass in training mode; whatever it raises is a ValueError."""
        name = type(self.method).__name__
        try:
            loss, per_row, _ = module(views, self._draws(0, 0, views.shape[1]), 0.0)
        except Exception as error:
            raise ValueError(
                f"a first step of {name} with encoder {type(module.encoder).__name__} on views of shape "
                f"{tuple(views.shape)} failed ({type(error).__name__}: {error})."
            ) from error
        if not (isinstance(loss, torch.Tensor) and isinstance(per_row, torch.Tensor)):
            raise TypeError(f"{name} must return two tensors, a loss and one loss a sample.")
        if not torch.isfinite(loss).all():
            raise ValueError(
                f"the loss of {name} is not finite before any training: the encoder returns NaN or "
                "infinite values for these rows, or they are too large for it."
            )
        return loss, per_row

    def probe(self, data):
        """What the user's callables do on a fixed batch: tells apart those that share a name."""
        with torch.no_grad():
            views = self.views.draw(data.rows(np.arange(min(4, len(data)))), self.method.n_views, 1)
            module = TorchModel(self.build(1), self.device)
            return {"views": views.numpy(), "embedding": module.embed(views[0]).numpy()}

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        """Train k encoders, see `sslmemo.protocols.Trainer`."""
        stages = [[] for _ in at]
        for which, (rows, seed) in enumerate(zip(member, seeds, strict=True)):
            fitted = self._fit_one(data, np.flatnonzero(rows), int(seed), at, which, observers)
            for stage, module in zip(stages, fitted, strict=True):
                stage.append(TorchModel(module, self.device))
        yield from zip(at, stages, strict=True)

    def _draws(self, seed, step, batch):
        if type(self.method).draws is Method.draws:
            return {}
        rng = torch.Generator(self.device).manual_seed(derive_seed(seed, "draws", step) % 2**63)
        return self.method.draws(rng, batch, self.shape)

    def _fit_one(self, data, rows, seed, at, which, observers):
        """Train one encoder; yields the module at each fraction of `at`, copied but for the last."""
        module = self.build(seed).train()
        optimizer, schedule = self._optimizer(module.parameters())
        private = None
        if self.is_private:
            private = RowGradients(module, optimizer, self.gradient_noise, self.batch_size, seed)
        handover = handover_steps(at, self.steps)
        diverged = torch.zeros((), dtype=torch.bool, device=self.device)
        for step, (index, views) in enumerate(self._batches(data, rows, seed)):
            progress = step / self.steps
            per_row, z, finite = self.update(
                module, optimizer, views, seed, step, progress, private
            )
            schedule.step()
            diverged |= ~finite
            for observe in observers if len(index) else ():  # a private batch may be empty
                observe(
                    np.array([which]), step, index[None], per_row.detach()[None], z.detach()[None]
                )
            if step + 1 in handover:
                if diverged:
                    raise self._divergence(seed, step)
                for _ in range(handover.count(step + 1)):
                    yield module if step + 1 == self.steps else copy.deepcopy(module)

    def update(self, module, optimizer, views, seed, step, progress, private=None):
        """Do one step: the loss, its gradient and the noise on it, the optimizer, the method's own.

        Parameters
        ----------
        module : torch.nn.Module
            In training mode; changed.
        optimizer : torch.optim.Optimizer
            Of its parameters.
        views : tensor of shape (V, b, *shape)
            Of the batch.
        seed, step : int
            Of the method's draws and the noise.
        progress : float
            Fraction of the training that is done, in [0, 1).
        private : RowGradients, default=None
            Computes the loss and sets private gradients.

        Returns
        -------
        per_row : tensor of shape (b,)
        z : tensor of shape (V, b, d)
        finite : tensor of bool, shape ()
            Whether the loss and what was made noisy are.
        """
        with torch.enable_grad():  # the caller may have switched gradients off
            loss, per_row, z = self.forward(private or module, views, seed, step, progress)
            if private is None:
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
        finite = torch.isfinite(loss.detach())
        if self.gradient_noise is not None and private is None:
            own = [p.grad[None] for p in module.parameters() if p.grad is not None]
            finite = finite & self._perturb(own, [seed], step)[0]
        optimizer.step()
        if type(self.method).after_step is not Method.after_step:
            with torch.no_grad():
                self.method.after_step(
                    dict(module.named_parameters()), dict(module.named_buffers()), progress
                )
        return per_row, z, finite

    def _perturb(self, gradients, seeds, step):
        """Clip gradients (k, ...) in place and add noise; whether each encoder's were finite, (k,)."""
        norm = self.gradient_noise.perturb_(gradients, seeds, step, self.batch_size)
        return torch.isfinite(norm)

    def _optimizer(self, parameters):
        return one_cycle(self, parameters)

    def _divergence(self, seed, step):
        what = "loss" if self.gradient_noise is None else "loss or gradient"
        return TrainingError(
            f"the training of seed {seed} diverged ({what} not finite by step {step + 1} of "
            f"{self.steps}): lower learning_rate={self.learning_rate}."
        )

    def forward(self, module, views, seed, step, progress):
        """Loss (), loss of each row (b,) and representations (V, b, d) of the views of one step."""
        draws = self._draws(seed, step, views.shape[1])
        with autocast(self.precision, self.device):
            if not self.draws_itself:
                return module(views, draws, progress)
            with seeded(derive_seed(seed, "forward", step), self.device):
                return module(views, draws, progress)

    def _batches(self, data, rows, seed):
        """Rows (b,) and views (V, b, ...) of every step; several steps share one augmentation call."""
        n_views, b = self.method.n_views, self.batch_size
        together = self._steps_a_draw()
        draw = self.gradient_noise.batches if self.is_private else row_stream
        stream, rng = draw(rows, b, generator(seed, "order")), generator(seed, "bank picks")
        bank = self._bank_of(data, seed) if self.bank else None
        for chunk, start in enumerate(range(0, self.steps, together)):
            batches = [next(stream) for _ in range(min(together, self.steps - start))]
            index = np.concatenate(batches)
            if not len(index):
                views = torch.zeros(n_views, 0, *self.shape, device=self.device)
            elif bank is None:
                x = data.rows(index, self.device)
                views = self.views.draw(x, n_views, derive_seed(seed, "train views", chunk))
            else:
                views = bank.pick(index, n_views, rng)
            yield from zip(batches, views.split([*map(len, batches)], dim=1), strict=True)

    def _steps_a_draw(self):
        """Steps whose views are made in one call, by the shape alone."""
        values = self.method.n_views * self.batch_size * math.prod(self.shape)
        return int(np.clip(CHUNK_VALUES // values, 1, 8))

    def _bank_of(self, data, seed):
        """The bank of a seed, drawn when it is not the last one used."""
        key, bank = self._bank
        if key != (id(data), seed):
            self._bank = bank = None, None  # the old one is freed first
            bank = ViewBank(self.views, data, self.bank, derive_seed(seed, "bank"), self.device)
            self._bank = (id(data), seed), bank
        return bank

    def __getstate__(self):
        return {**self.__dict__, "_bank": (None, None)}  # a bank is drawn again, never sent


def _equal_weights(one, other):
    """Whether two modules have equal parameters and buffers."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(bool(((a == b) | (a.isnan() & b.isnan())).all()) for a, b in pairs)


def one_cycle(trainer, parameters):
    """AdamW and its one-cycle schedule, by a trainer's learning rate, weight decay and steps."""
    optimizer = torch.optim.AdamW(
        parameters, trainer.learning_rate, weight_decay=trainer.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=trainer.learning_rate, total_steps=trainer.steps + 1
    )
    return optimizer, schedule


def handover_steps(at, steps):
    """Number of steps done at each fraction of a training: list of int."""
    return [max(1, round(f * steps)) for f in at]


def row_stream(rows, batch_size, rng):
    """Endless batches from reshuffled rows; no batch holds a row twice.

    Parameters
    ----------
    rows : ndarray of int, shape (n,)
        Training rows, at least `batch_size`.
    batch_size : int
        Rows a batch.
    rng : numpy.random.Generator
        Order of the rows.

    Yields
    ------
    ndarray of int, shape (batch_size,)
    """
    left = rows[:0]
    while True:
        if len(left) < batch_size:
            fresh = rng.permutation(rows)
            seen = np.isin(fresh, left)  # in this very batch already: later in the new round
            left = np.concatenate([left, fresh[~seen], fresh[seen]])
        yield left[:batch_size]
        left = left[batch_size:]
