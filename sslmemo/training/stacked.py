"""The stacked trainer: many encoders at once on one device.

Small networks leave a GPU idle: a step of one is over before the next is launched. So the parameters of k
encoders are stacked along a new axis, one vmapped call computes all losses and gradients, and one
fused optimizer steps them all. Rows, losses and gradients of different encoders never meet.
"""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import torch
from torch.func import functional_call, stack_module_state

from ..randomness import derive_seed, generator, seeded
from .model import TorchModel
from .precision import autocast
from .ssl import SSLTrainer, handover_steps, row_stream

__all__ = ["StackedTrainer"]

MEMORY_SHARE = 0.8  # of the free memory that a stack may fill


class StackedTrainer(SSLTrainer):
    """Trains encoders side by side; parameters as for `SSLTrainer`.

    Parameters
    ----------
    *args, **kwargs
        As for `SSLTrainer`.
    limit : int, default=None
        Most encoders in one stack; None asks the device.
    compile : str, default=None
        Backend of `torch.compile` for forward passes, such as "inductor"; a compiler that fails
        leaves them as they are, with a warning. None compiles nothing. What it gains on a GPU has
        not been measured.

    Notes
    -----
    One augmentation call serves all encoders of a step. Its draws depend on which encoders are in
    the stack, so on a GPU scores repeat exactly for one machine and plan, and in distribution
    across machines.
    """

    def __init__(self, *args, limit=None, compile=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.limit, self.compile = limit, compile
        self._fits = None

    def max_together(self, n_rows):
        """Most encoders whose stack fits the device, from the memory of one trained step."""
        if self.is_private:
            return 1
        if self.limit is not None:
            return self.limit
        if self.device == "cpu":
            return 1
        if self._fits is None:
            self._fits = self._probe_memory()
        return self._fits

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        """Train k encoders at once, see `sslmemo.protocols.Trainer`; a stack too large is halved.

        Private trainings, whose batches are of random size, are not stacked.
        """
        if self.is_private:
            yield from super().fit_many(data, member, seeds, at=at, observers=observers)
            return
        try:
            yield from self._fit_stack(data, member, seeds, at, observers)
            return
        except torch.OutOfMemoryError:
            if len(member) == 1 or observers:
                raise
        torch.cuda.empty_cache()
        half = self._fits = self.limit = len(member) // 2
        parts = [
            list(self.fit_many(data, member[i : i + half], seeds[i : i + half], at=at))
            for i in range(0, len(member), half)
        ]
        for stage in zip(*parts, strict=True):
            yield stage[0][0], [model for _, models in stage for model in models]

    def _fit_stack(self, data, member, seeds, at, observers):
        modules = [self.build(int(s)).train() for s in seeds]
        params, buffers = stack_module_state(modules)
        skeleton = copy.deepcopy(modules[0])
        optimizer, schedule = self._optimizer(params.values())

        def forward(p, b, views, draws, progress):
            return functional_call(skeleton, (p, b), (views, draws, progress))

        together = torch.vmap(forward, in_dims=(0, 0, 0, 0, None), randomness="different")
        if self.compile is not None:
            together = _compiled(together, self.compile)
        handover = list(zip(at, handover_steps(at, self.steps), strict=True))
        diverged = torch.zeros(len(seeds), dtype=torch.bool, device=self.device)
        batches = self._stacked_batches(data, member, [int(s) for s in seeds])
        for step, (index, views) in enumerate(batches):
            progress = step / self.steps
            draws = self._stacked_draws(seeds, step, views.shape[2])
            own = seeded(derive_seed(int(seeds[0]), "forward", step), self.device)
            with torch.enable_grad():  # the caller may have switched gradients off
                with own, autocast(self.precision, self.device):
                    loss, per_row, z = together(params, buffers, views, draws, progress)
                optimizer.zero_grad(set_to_none=True)
                loss.sum().backward()  # encoders share no parameter: each gets its own gradient
            if self.gradient_noise is not None:
                grads = [p.grad for p in params.values() if p.grad is not None]
                diverged |= ~self._perturb(grads, [int(s) for s in seeds], step)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                self.method.after_step(params, buffers, progress)
            diverged |= ~torch.isfinite(loss.detach())
            for observe in observers:
                observe(np.arange(len(seeds)), step, index, per_row.detach(), z.detach())
            for fraction in [f for f, last in handover if last == step + 1]:
                if diverged.any():
                    raise self._divergence(int(seeds[int(diverged.nonzero()[0])]), step)
                yield fraction, self._unstacked(skeleton, params, buffers, len(seeds))

    def _unstacked(self, skeleton, params, buffers, k):
        """Models of their own from the stacked tensors."""
        models = []
        for j in range(k):
            module = copy.deepcopy(skeleton)
            state = {name: t[j].detach() for name, t in {**params, **buffers}.items()}
            module.load_state_dict(state)
            models.append(TorchModel(module, self.device))
        return models

    def _stacked_batches(self, data, member, seeds):
        """Rows (k, b) and views (k, V, b, ...) of every step, all encoders in one augmentation call."""
        n_views, b, k = self.method.n_views, self.batch_size, len(seeds)
        streams = [
            row_stream(np.flatnonzero(rows), b, generator(s, "order"))
            for rows, s in zip(member, seeds, strict=True)
        ]
        if self.bank:
            yield from self._banked_batches(data, streams, seeds)
            return
        resident = self._resident(data)
        for step in range(self.steps):
            index = np.stack([next(s) for s in streams])
            if resident is None:
                x = data.rows(index.ravel(), self.device)
            else:
                x = resident[torch.from_numpy(index.ravel()).to(self.device)]
            views = self.views.draw(x, n_views, derive_seed(seeds[0], "train views", step))
            yield index, views.reshape(n_views, k, b, *self.shape).transpose(0, 1)

    def _banked_batches(self, data, streams, seeds):
        """The same from banks, picked as a single training picks, so that both see equal views."""
        n_views = self.method.n_views
        banks = {s: self._bank_of(data, s) for s in dict.fromkeys(seeds)}
        picks = [generator(s, "bank picks") for s in seeds]
        together = self._steps_a_draw()
        for start in range(0, self.steps, together):
            rounds = min(together, self.steps - start)
            index = np.stack([np.stack([next(s) for _ in range(rounds)]) for s in streams])
            views = torch.stack(
                [
                    banks[s].pick(i, n_views, rng)
                    for s, i, rng in zip(seeds, index, picks, strict=True)
                ]
            )  # (k, V, rounds, b, ...)
            for i in range(rounds):
                yield index[:, i], views[:, :, i]

    def _stacked_draws(self, seeds, step, batch):
        draws = [self._draws(int(s), step, batch) for s in seeds]
        return {name: torch.stack([d[name] for d in draws]) for name in draws[0]}

    def _resident(self, data):
        """All rows on the device, where they fill less than a tenth of its free memory."""
        size = 4 * len(data) * math.prod(self.shape)
        if self.device == "cpu" or size > 0.1 * torch.cuda.mem_get_info(self.device)[0]:
            return None
        return torch.cat([data.rows(i, self.device) for i in data.chunks()])

    def _probe_memory(self):
        """Encoders that fit, from the peak memory of one step of a stack of two."""
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        modules = [self.build(s).train() for s in range(2)]
        params, buffers = stack_module_state(modules)
        views = torch.zeros(
            2, self.method.n_views, self.batch_size, *self.shape, device=self.device
        )

        def forward(p, b, v, d):
            return functional_call(modules[0], (p, b), (v, d, 0.0))[0]

        draws = self._stacked_draws([0, 1], 0, self.batch_size)
        with autocast(self.precision, self.device):
            loss = torch.vmap(forward, randomness="different")(params, buffers, views, draws)
        loss.sum().backward()
        # AdamW's two moments come on top of parameters and gradients, and so does their noise
        copies = 2 if self.gradient_noise is None else 3
        extra = copies * sum(p.numel() * p.element_size() for p in params.values())
        each = (torch.cuda.max_memory_allocated(self.device) - before + extra) / 2
        free = torch.cuda.mem_get_info(self.device)[0]
        return max(1, int(MEMORY_SHARE * free / each))


def _compiled(function, backend):
    """Compile a function; from the first failure on it is called as it is."""
    compiled = None

    def call(*arguments):
        nonlocal compiled
        try:
            if compiled is None:
                compiled = torch.compile(function, backend=backend)
            return compiled(*arguments)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # compilers fail in many ways
            if compiled is function:
                raise  # it was not the compiler
            compiled = function
            warnings.warn(
                f"torch.compile failed ({type(error).__name__}): training goes on uncompiled.",
                stacklevel=2,
            )
        return function(*arguments)

    return call
