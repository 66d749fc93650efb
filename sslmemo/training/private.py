"""Differentially private training (DP-SGD): every row's gradient is clipped alone, then noise is added.

Clipping, noise and accounting are those of Opacus, an extra: ``pip install sslmemo[privacy]``.
"""

from __future__ import annotations

import contextlib
import numbers
import warnings

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch.func import functional_call, grad, vmap

from .._compat import check_choice, check_in_range, shown
from ..randomness import derive_seed

__all__ = ["PrivateTraining", "RowGradients", "privacy_of", "quiet"]

HELD = 2**25  # gradient values held at once; fixed, so that numbers never depend on memory
LARGE_EPSILON = 100.0  # from here on "prv" grows slow, then overflows; "rdp" is a bound as well


class PrivateTraining(BaseEstimator):
    """DP-SGD: clip the gradient of every row alone, sum, and add Gaussian noise to the sum.

    Every step takes each row of an encoder's training set with probability q = batch_size / n_rows, on
    its own. With g_i the gradient of row i's loss (all its views, all weights of encoder and heads
    together), the optimizer sees

        (sum of g_i min(1, clip / |g_i|) + N(0, (multiplier * clip)^2 I)) / batch_size.

    Pass it as ``gradient_noise=``; `privacy_of` states the epsilon of the encoders of a fit.

    Parameters
    ----------
    clip : float, default=1.0
        Largest L2 norm of a row's gradient; above 0. Elsewhere called ``max_grad_norm``.
    multiplier : float, default=1.0
        Standard deviation of the sum's noise, in units of `clip`; at least 0. Elsewhere called
        ``noise_multiplier``. 0 only clips, and epsilon is infinite.
    delta : float, default=1e-5
        Of the (epsilon, delta) that are stated, in (0, 1); below 1 / n_rows, or the statement is empty.
    accountant : {"prv", "rdp"}, default="prv"
        Opacus' accountant: ``"prv"`` composes numerically (Gopi et al., 2021), ``"rdp"`` by Renyi
        orders (Mironov, 2017), which is looser and faster. Where ``"rdp"`` finds an epsilon of 100 and
        more, it is taken at any rate.

    Notes
    -----
    What is stated: the weights of one encoder, with those of its heads, as a function of its training
    set, are (epsilon, delta)-differentially private. Neighbouring training sets differ by one row that is
    added or removed, `batch_size` and the probability q held fixed; n_rows, the number of rows, is
    public. The momentum networks of BYOL and the steps of AdamW are computed from private
    gradients alone, so they cost nothing.

    What is not:

    - A pool. Encoders released together spend more than one alone, and those of one block share their
      seed, and with it their noise: the difference of two cancels it. The epsilon of one encoder
      doesn't hold for two.
    - The scores. Memorization of a row is a difference between encoders that saw it and those that did
      not: it tells about the very row. So do all measurements of a pool.
    - Encoders whose seed is known. Noise and batches are drawn from `random_state` by a generator that is
      not cryptographic: who knows the seed subtracts the noise. A result holds the seeds: give away
      weights alone, and leave ``random_state=None`` for them, which asks the operating system.
    - Copies. Rows that are alike count as many rows: the statement is for one of them.
    - What was chosen by looking at the rows, as `clip` and the learning rate often are, and rounding of
      floating-point noise (Mironov, 2012).

    Only for losses that are a mean over rows: `MAE`, and `BYOL` or `SimSiam` as `LayerNormed`. BatchNorm
    and contrastive losses such as NT-Xent couple the rows of a batch, queues and centres keep what they
    saw, the standardisation of a table and ``"scarf"`` read all rows: each is refused, for a
    stated epsilon would be false. `sslmemo.training.noise.GradientNoise` takes those methods, without an
    epsilon.

    Trainings compute in float32 at any `precision`, and one after another on a GPU, too. `Presentations` and
    other observers see batches of random size, and no empty ones.

    References
    ----------
    Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang, Deep learning with differential
    privacy, CCS 2016 (arXiv:1607.00133), algorithm 1. Yousefpour et al., Opacus: user-friendly differential
    privacy library in PyTorch, 2021 (arXiv:2109.12298). Gopi, Lee and Wutschitz, Numerical composition of
    differential privacy, NeurIPS 2021 (arXiv:2106.02848). Mironov, Renyi differential privacy, CSF 2017
    (arXiv:1702.07476).

    Examples
    --------
    >>> from sslmemo import MemorizationEstimator
    >>> from sslmemo.training.private import PrivateTraining
    >>> est = MemorizationEstimator(
    ...     method="mae", encoder="vit_tiny", gradient_noise=PrivateTraining(multiplier=1.0)
    ... )
    """

    def __init__(self, clip=1.0, multiplier=1.0, delta=1e-5, accountant="prv"):
        self.clip = clip
        self.multiplier = multiplier
        self.delta = delta
        self.accountant = accountant

    @classmethod
    def for_epsilon(
        cls, epsilon, n_rows, batch_size, steps, *, clip=1.0, delta=1e-5, accountant="prv"
    ):
        """Find the least noise that keeps to an epsilon.

        Parameters
        ----------
        epsilon : float
            Most that one encoder may spend; above 0.
        n_rows, batch_size, steps : int
            As for `epsilon`.
        clip, delta : float
            Of the object returned.
        accountant : {"prv", "rdp"}, default="prv"
            Of the object returned.

        Returns
        -------
        PrivateTraining
            Spends at most `epsilon`, and by Opacus' tolerance of 0.01 hardly less.

        Raises
        ------
        TypeError, ValueError
            A parameter is out of its range, or no noise is large enough.
        """
        check_in_range("epsilon", epsilon, numbers.Real, 0, open_low=True, finite=True)
        made = cls(clip, 1.0, delta, accountant)
        made.check()
        from opacus.accountants.utils import get_noise_multiplier

        rate = made._sample_rate(n_rows, batch_size, steps)
        with quiet():
            found = get_noise_multiplier(
                target_epsilon=float(epsilon),
                target_delta=float(delta),
                sample_rate=rate,
                steps=int(steps),
                accountant=accountant,
            )
        return made.set_params(multiplier=float(found))

    def check(self):
        """Refuse bad parameters, and a machine without Opacus.

        Raises
        ------
        TypeError, ValueError
            `clip`, `multiplier`, `delta` or `accountant` is out of its range.
        ImportError
            Opacus is not installed.
        """
        of = "{} of gradient_noise".format
        check_in_range(of("clip"), self.clip, numbers.Real, 0, open_low=True, finite=True)
        check_in_range(of("multiplier"), self.multiplier, numbers.Real, 0, finite=True)
        check_in_range(of("delta"), self.delta, numbers.Real, 0, open_low=True)
        if self.delta >= 1:
            raise ValueError(f"delta of gradient_noise must be below 1, got {self.delta!r}.")
        check_choice(of("accountant"), self.accountant, ("prv", "rdp"))
        try:
            import opacus  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "PrivateTraining needs Opacus, which is an extra: pip install sslmemo[privacy]."
            ) from error

    def epsilon(self, n_rows, batch_size, steps):
        """What one encoder spends.

        Parameters
        ----------
        n_rows : int
            Rows of its training set.
        batch_size : int
            Rows expected in a step, at most `n_rows`.
        steps : int
            Of its training.

        Returns
        -------
        float
            Epsilon at `delta`, an upper bound; infinite without noise.

        Raises
        ------
        TypeError, ValueError
            A number is out of its range, or `delta` is not below ``1 / n_rows``.
        """
        self.check()
        rate = self._sample_rate(n_rows, batch_size, steps)
        if self.multiplier == 0:
            return float("inf")
        spent = self._spent("rdp", rate, steps)
        if self.accountant == "prv" and spent < LARGE_EPSILON:
            spent = self._spent("prv", rate, steps)
        return spent

    def _spent(self, accountant, rate, steps):
        from opacus.accountants import create_accountant

        accountant = create_accountant(accountant)
        accountant.history = [(float(self.multiplier), rate, int(steps))]
        with quiet():
            return float(accountant.get_epsilon(delta=float(self.delta)))

    def _sample_rate(self, n_rows, batch_size, steps):
        check_in_range("n_rows", n_rows, numbers.Integral, 1)
        check_in_range("batch_size", batch_size, numbers.Integral, 1, n_rows)
        check_in_range("steps", steps, numbers.Integral, 1)
        self.check_delta(n_rows)
        return batch_size / n_rows

    def check_delta(self, n_rows):
        """Refuse a delta that says nothing about so many rows.

        Parameters
        ----------
        n_rows : int
            Rows trained on.

        Raises
        ------
        ValueError
            `delta` is not below ``1 / n_rows``.
        """
        if self.delta * n_rows >= 1:
            raise ValueError(
                f"delta={self.delta!r} is not below 1 / n_rows = {1 / n_rows:.3g}: publishing a random row "
                "as it is would keep to it. Lower delta."
            )

    def batches(self, rows, batch_size, rng):
        """Endless batches by Poisson sampling: each row is in each of them on its own.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Training rows, at least `batch_size`.
        batch_size : int
            Rows expected in a batch.
        rng : numpy.random.Generator
            Of the draws.

        Yields
        ------
        ndarray of int, shape (b,)
            b is binomial, 0 included.
        """
        while True:
            yield rows[rng.random(len(rows)) < batch_size / len(rows)]

    def perturb_(self, gradients, seeds, step, batch_size):
        """Refuse: the gradient of a batch has no rows any more.

        Parameters
        ----------
        gradients : list of tensor
            As for `GradientNoise.perturb_`, and so are the others.
        seeds : sequence of int
            Of the encoders.
        step : int
            Number of the step.
        batch_size : int
            Rows in the batch.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "PrivateTraining clips the gradients of single rows, and whatever asked for this has that of "
            "a batch: use sslmemo.training.noise.GradientNoise with it, which states no epsilon."
        )


@contextlib.contextmanager
def quiet():
    """Without the accountants' warnings: of log(0) where q is 1, and of orders a bound is not tight at."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class RowGradients:
    """A module whose call also leaves the private gradient of the step in its parameters.

    Parameters
    ----------
    module : torch.nn.Module
        As `Method.build` returns it.
    optimizer : torch.optim.Optimizer
        Of its parameters; it isn't stepped here.
    private : PrivateTraining
        Clip and noise.
    batch_size : int
        Rows expected in a step, the divisor.
    seed : int
        Of the encoder.
    """

    def __init__(self, module, optimizer, private, batch_size, seed):
        from opacus.optimizers import DPOptimizer

        self.module = module
        self.trained = {k: p for k, p in module.named_parameters() if p.requires_grad}
        device = next(iter(self.trained.values())).device
        rng = torch.Generator(device).manual_seed(derive_seed(seed, "private noise") % 2**63)
        self.optimizer = DPOptimizer(
            optimizer,
            noise_multiplier=float(private.multiplier),
            max_grad_norm=float(private.clip),
            expected_batch_size=batch_size,
            generator=rng,
        )
        self.together = max(1, HELD // sum(p.numel() for p in self.trained.values()))

    def __call__(self, views, draws, progress):
        """Loss, loss of each row and representations, as of the module; gradients in ``p.grad``.

        Parameters
        ----------
        views : tensor of shape (V, b, *shape)
            b may be 0: the gradient is noise alone.
        draws : dict of str to tensor
            Each of shape (b, ...).
        progress : float
            Share of the training done.

        Returns
        -------
        (tensor (), tensor (b,), tensor (V, b, d))
            Loss and representations are 0 and of length 0 where b is 0.
        """
        parts = []
        starts = range(0, max(1, views.shape[1]), self.together)
        for start in starts:
            part = slice(start, start + self.together)
            drawn = {name: draw[part] for name, draw in draws.items()}
            gradients, *told = self._of_rows(views[:, part], drawn, progress)
            parts.append(told)
            self.optimizer.zero_grad(set_to_none=True)
            for name, p in self.trained.items():
                p.grad_sample = gradients[name]
            self.optimizer.signal_skip_step(start != starts[-1])  # noise comes once, with the last
            self.optimizer.pre_step()
        for p in self.trained.values():
            p.grad_sample = None
        per_row, z = torch.cat([p for p, _ in parts]), torch.cat([z for _, z in parts], 1)
        return per_row.sum() / max(1, len(per_row)), per_row, z

    def _of_rows(self, views, draws, progress):
        """Gradient of each row alone, by name (b, ...), its loss (b,), representations (V, b, d)."""
        trained = {k: p.detach() for k, p in self.trained.items()}
        if not views.shape[1]:
            empty = {k: p.new_zeros(0, *p.shape) for k, p in trained.items()}
            return empty, views.new_zeros(0), views.new_zeros(len(views), 0, 0)
        fixed = {k: p.detach() for k, p in self.module.named_parameters() if k not in trained}
        fixed |= dict(self.module.named_buffers())

        def loss(trained, views, draws):  # (V, *shape)
            one = {name: draw[None] for name, draw in draws.items()}
            mean, _, z = functional_call(
                self.module, {**trained, **fixed}, (views[:, None], one, progress)
            )
            return mean, (mean, z[:, 0])

        of_each = vmap(grad(loss, has_aux=True), (None, 1, 0), randomness="different")
        gradients, (per_row, z) = of_each(trained, views, draws)
        return gradients, per_row, z.transpose(0, 1)


def privacy_of(result):
    """State what one encoder of a fit spends of its training rows' privacy.

    Parameters
    ----------
    result : MemorizationResult, fitted MemorizationEstimator or Run
        Of the fit.

    Returns
    -------
    dict or None
        ``"epsilon"``, that of the smallest training set, and what it comes from: ``"delta"``, ``"clip"``,
        ``"multiplier"``, ``"accountant"``, ``"n_rows"``, ``"batch_size"`` and ``"steps"``. None for a fit
        without `PrivateTraining`. Not for several encoders, nor for scores: see there.

    Raises
    ------
    NotFittedError
        `result` is an estimator that was not fitted.
    TypeError
        `result` holds no run.
    ValueError
        `delta` is not below ``1 / n_rows``.
    """
    run = _run_of(result)
    trainer = run.config.get("trainer", {})
    name, parameters = trainer.get("gradient_noise") or (None, None)
    if name != f"{PrivateTraining.__module__}.{PrivateTraining.__qualname__}":
        return None
    sizes = {
        "n_rows": int(run.plan.sizes[1]),
        "batch_size": trainer["batch_size"],
        "steps": trainer["steps"],
    }
    return {"epsilon": PrivateTraining(**parameters).epsilon(**sizes), **parameters, **sizes}


def _run_of(result):
    """The run of a result, a fitted estimator, or itself."""
    from ..pool import Run  # trains by this module

    if hasattr(result, "fit") and not isinstance(result, type):
        check_is_fitted(result)
    run = getattr(result, "result_", result)
    run = getattr(run, "run", run)
    if not isinstance(run, Run):
        raise TypeError(
            "result must be a MemorizationResult, a fitted MemorizationEstimator or a Run, got "
            f"{shown(result)}."
        )
    return run
