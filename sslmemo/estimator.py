"""MemorizationEstimator: which training rows a self-supervised encoder memorized, and how sure that is."""

from __future__ import annotations

import numbers
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ._compat import check_in_range, named
from .cost import measure_cost, pilot_plan
from .data import RowIndex
from .designs import Subsample, get_design
from .encoder import ReadsRows, SSLEncoder
from .estimates import get_estimate
from .estimates.blocks import NORMALIZATIONS
from .measurements import Alignment, Quality
from .measurements.quality import effective_rank
from .pool import run
from .probes import LinearProbe
from .randomness import derive_seed, entropy_of, generator, single_thread
from .result import MemorizationResult

__all__ = ["MemorizationEstimator"]


class MemorizationEstimator(ReadsRows):
    """Memorization of every training row by a self-supervised training algorithm, with errors.

    Trains a pool of encoders by a design, measures the alignment of every row under every encoder
    on views that the encoders of a block share, and reports

        m(x) = E_g E d(g(x'), g(x'')) - E_f E d(f(x'), f(x'')),   x', x'' ~ Aug(x),

    where f was trained with the row and g without it. Higher means more memorized.

    Parameters
    ----------
    method : str or Method, default="simclr"
        Name in, or object of, `sslmemo.methods`, such as ``SimCLR(temperature=0.5)``.
    encoder : str or callable, default="auto"
        ``"mlp"``, ``"convnet"``, ``"resnet18"`` or a zero-argument factory that returns a torch
        module. ``"auto"`` is ``"convnet"`` for colour images of 32 px and more, else ``"mlp"``.
    augmentation : str or callable, default="auto"
        ``"simclr"``, ``"digits"``, ``"weak"`` or ``"strong"`` for images, ``"scarf"`` for tables,
        or a module that maps a batch to a batch of views. ``"auto"`` picks by shape.
    design : str or design, default="subsample"
        ``"subsample"`` (complementary half-splits), ``"leave_one_out"``, ``"split"``, or an object
        of `sslmemo.designs`, such as ``Subsample(fraction=0.25)``, which reaches a reliability
        with about half of the time, at a smaller training size.
    n_encoders : int, default=64
        Number of trainings, a multiple of the design's block.
    estimate : str or estimate, default="difference"
        How matrices become scores, see `sslmemo.estimates`.
    distance : str or callable, default="euclidean"
        ``"euclidean"``, ``"sqeuclidean"``, ``"cosine"``, ``"angular"`` or ``"manhattan"`` between
        unit-normalised embeddings, ``"mse"`` between embeddings as they are, or a callable
        (z1, z2) -> (n,) that gets them as they are.
    n_views : int, default=8
        Views a row; all pairs are used.
    anchor : {"view", "clean"}, default="view"
        ``"clean"`` compares each view with the row itself, as the paper's scripts do.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is measured, and what `transform` returns.
    normalize : {None, "encoder", "relative", "range"}, default=None
        None is the definition. ``"encoder"`` divides each encoder's alignments by their mean over
        rows; ``"relative"`` is (g - f) / (g + f), in [-1, 1]; ``"range"`` divides by the range of
        the scores, as the paper's scripts do: not comparable between runs.
    measurements : sequence of Measurement, default=()
        Further measurements of the same trainings; their arrays are in ``result_.run.values``.
    epochs : float, default=100
        Passes over its training rows, on average over the encoders: all take the same number of
        steps.
    batch_size : int, default=None
        Rows a step; None is min(256, smallest training set).
    learning_rate : float, default=1e-3
        Peak of the one-cycle schedule of AdamW.
    channels : {"first", "last"}, default="first"
        Where an image has its channels; never guessed.
    image_shape : tuple of int, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images.
    keep_encoders : bool, default=False
        Keep all encoders, for `alignment` and `null_scores` of rows that were not trained on.
    device : str, default="auto"
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    precision : {"auto", "fp32", "bf16"}, default="auto"
        ``"auto"`` is bf16 where the processor has tile units for it (AMX) or on a GPU; it is
        recorded in the result.
    n_jobs : int, default=None
        Blocks trained at once, one thread each, by joblib; -1 means all processors. The scores are
        bitwise the same for any number on a CPU.
    memory : str or path, default=None
        Folder in which every finished block is kept, so that a later fit trains only what is missing.
    max_time : float, default=None
        Seconds after which no further block is begun.
    on_error : {"raise", "drop"}, default="raise"
        Whether a failed training ends the fit, or its block is left out with a warning.
    warm_start : bool, default=False
        A further fit of the same rows with a larger `n_encoders` trains only the difference.
    random_state : int, RandomState instance or None, default=None
        The same int gives bitwise the same scores.
    verbose : int, default=1
        1 shows a progress bar.

    Attributes
    ----------
    result_ : MemorizationResult
        Scores with their errors, tables, texts and the matrices.
    memorization_scores_ : ndarray of shape (n_samples,)
        m(x) of every training row, in the order of X.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors; NaN with one block.
    encoder_ : SSLEncoder
        An f trained on all rows; `transform` uses it.
    membership_ : ndarray of bool, shape (n_encoders, n_samples)
        Who was trained on what.
    n_features_in_ : int
        Numbers in one row.
    layout_ : Layout
        How rows are read.

    See Also
    --------
    memorization_scores : The same for encoders that are trained already.
    SSLEncoder : One encoder.

    Notes
    -----
    With the default design an encoder sees half of the rows, so the scores are memorization at
    size n/2, averaged over the other rows; exact leave-one-out scores are smaller. A table's columns
    are standardised by the statistics of all of X first, for f and g alike.

    References
    ----------
    Wang, Kaleem, Dziedzic, Backes, Papernot and Boenisch, Memorization in self-supervised learning
    improves downstream generalization, ICLR 2024 (arXiv:2401.12233).

    Feldman and Zhang, What neural networks memorize and why, NeurIPS 2020 (arXiv:2008.03703).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sslmemo import MemorizationEstimator
    >>> X, _ = load_iris(return_X_y=True)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # iris holds a row twice
    ...     est = MemorizationEstimator(n_encoders=4, epochs=2, random_state=0, verbose=0).fit(X)
    >>> est.score_samples(X).shape
    (150,)
    """

    def __init__(self, method="simclr", encoder="auto", augmentation="auto", *,
                 design="subsample", n_encoders=64, estimate="difference", distance="euclidean",
                 n_views=8, anchor="view", layer="encoder", normalize=None, measurements=(),
                 epochs=100, batch_size=None, learning_rate=1e-3, channels="first",
                 image_shape=None, keep_encoders=False, device="auto", precision="auto",
                 n_jobs=None, memory=None, max_time=None, on_error="raise", warm_start=False,
                 random_state=None, verbose=1):  # fmt: skip
        self.method = method
        self.encoder = encoder
        self.augmentation = augmentation
        self.design = design
        self.n_encoders = n_encoders
        self.estimate = estimate
        self.distance = distance
        self.n_views = n_views
        self.anchor = anchor
        self.layer = layer
        self.normalize = normalize
        self.measurements = measurements
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.channels = channels
        self.image_shape = image_shape
        self.keep_encoders = keep_encoders
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.memory = memory
        self.max_time = max_time
        self.on_error = on_error
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None, groups=None):
        """Train the pool and score every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n, c, h, w) or (n, h, w, c), or dataset
            Training rows.
        y : array-like of shape (n_samples,), default=None
            Labels; used by `score` alone.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group, such as near-duplicates, are in or out together. By default rows
            of equal content are a group, with a warning.

        Returns
        -------
        self
        """
        estimate = self._check_parameters()
        data = self._read(X, reset=True)
        index = RowIndex(data)
        old = self._previous(data)
        entropy = entropy_of(self.random_state) if old is None else self._entropy

        plan = self._draw_plan(data, index, groups, entropy)
        trainer = self._trainer(data, plan.train_sizes)
        alignment = self._alignment(trainer, data)
        todo = plan if old is None else plan.take(np.setdiff1d(plan.blocks, old.run.plan.blocks))
        result = old
        if len(todo.seed):
            done = run(
                todo,
                trainer,
                [alignment, Quality(layer=self.layer), *self.measurements],
                data,
                n_jobs=self.n_jobs,
                store=self.memory,
                keep_models=self.keep_encoders,
                on_error=self.on_error,
                max_time=self.max_time,
                verbose=self.verbose,
            )
            result = MemorizationResult(done, estimate)
            result = result if old is None else old + result

        encoder = SSLEncoder(
            **{k: v for k, v in self.get_params(deep=False).items() if k in _ENCODER_PARAMETERS}
        )
        self.encoder_ = encoder._fit(data, derive_seed(entropy, "encoder of all rows"))
        self._representation = self.encoder_.represent(data)
        self._n_features_out = self._representation.shape[1]
        self._labels = None if y is None else np.asarray(y)
        self._index, self._entropy = index, entropy
        self._fitted_trainer, self._fitted_alignment = trainer, alignment
        self.result_ = result
        self.membership_ = result.run.plan.member
        self.memorization_scores_ = result.score
        self.standard_errors_ = result.standard_error
        return self

    def score_samples(self, X):
        """Memorization scores of training rows, recognised by content.

        Parameters
        ----------
        X : array-like or dataset
            Rows seen in fit, in any order; a row within 1e-4 of the data's scale of a training row
            counts as that row. Copies of a row get the mean of their scores. After
            ``design="split"`` with `keep_encoders`, any rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            m(x), higher = more memorized; NaN for a row never in or never out.

        Raises
        ------
        ValueError
            A row was not trained on.
        """
        check_is_fitted(self)
        data = self._read(X)
        found = self._index.find(data)
        copies = self._index.copy_of
        total = np.bincount(copies, weights=self.memorization_scores_)
        mean = total / np.bincount(copies)
        scores = np.where(found >= 0, mean[found], np.nan)
        new = np.flatnonzero(found < 0)
        if len(new):
            self._refuse_new_rows(len(new), len(data))
            values = self._measure_new(data, new)
            sides = np.sign(self.result_.run.plan.contrast[:, :1]).repeat(len(new), axis=1)
            scores[new] = self._contrast_scores(values, sides)
        return scores

    def alignment(self, X):
        """Alignment of rows under every encoder of the pool.

        Parameters
        ----------
        X : array-like or dataset
            Rows; those not trained on need ``keep_encoders=True``, draw views of their own and are
            measured one by one.

        Returns
        -------
        ndarray of shape (n_encoders, n_samples)
            Expected distance of two views, in the unit of the distance; lower = closer.
        """
        check_is_fitted(self)
        data = self._read(X)
        found = self._index.find(data)
        first = np.unique(self._index.copy_of, return_index=True)[1]
        values = self.result_.run.values["alignment"][:, first[found]].astype(float)
        new = np.flatnonzero(found < 0)
        if len(new):
            values[:, new] = self._measure_new(data, new)["alignment"]
        return values

    def null_scores(self, X_external, random_state=0):
        """Scores of rows never trained on, under a random training row's pseudo-membership.

        They have mean zero and all noise of a real score: the band to read scores against.

        Parameters
        ----------
        X_external : array-like or dataset
            Rows that were not in fit, of the same kind. Needs ``keep_encoders=True``.
        random_state : int, default=0
            Of the pseudo-memberships.

        Returns
        -------
        ndarray of shape (n_samples,)
            One null score a row.
        """
        check_is_fitted(self)
        data = self._read(X_external)
        if (self._index.find(data) >= 0).any():
            raise ValueError(
                "X_external holds rows that were trained on: their scores are no null."
            )
        values = self._measure_new(data, np.arange(len(data)))
        plan = self.result_.run.plan
        scored = np.flatnonzero(np.isfinite(self.result_.score))
        rng = generator(entropy_of(random_state), "null")
        like = rng.choice(scored, len(data))
        sides = (plan.as_g.astype(np.int8) - plan.as_f)[:, like]
        if plan.design == "split":  # f and g are the same for every row: swap them by block
            flip = rng.choice([-1, 1], (len(plan.seed), len(data)))
            sides = sides * flip[np.searchsorted(plan.blocks, plan.block)].astype(np.int8)
        return self._contrast_scores(values, sides)

    def transform(self, X):
        """Representations by `encoder_`, an f trained on all rows.

        Parameters
        ----------
        X : array-like or dataset
            Any rows of the shape seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_dimensions)
            float64 where X is, else float32.
        """
        check_is_fitted(self)
        z = self.encoder_.represent(self._read(X))
        return z.astype(np.float64) if getattr(X, "dtype", None) == np.float64 else z

    def score(self, X, y=None):
        """How good `encoder_` is, for model selection. Memorization is in `sslmemo.scorers`.

        Parameters
        ----------
        X : array-like or dataset
            Rows, usually held out.
        y : array-like of shape (n_samples,), default=None
            Their labels.

        Returns
        -------
        float
            With labels here and in fit, the accuracy of a `LinearProbe` fitted on fit's rows; else
            the effective rank (RankMe) of the representations of X.
        """
        z = np.asarray(self.transform(X), dtype=np.float32)
        if y is None or self._labels is None:
            return effective_rank(z)
        return LinearProbe().fit(self._representation, self._labels).score(z, y)

    def estimate_cost(self, X, groups=None):
        """Time and memory that `fit` will take, from a few real steps.

        Parameters
        ----------
        X : array-like or dataset
            Training rows.
        groups : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        Cost
            Print it, or read `seconds` and `memory`.
        """
        this = clone(self)
        this._check_parameters()
        data = this._read(X, reset=True)
        plan = this._draw_plan(data, RowIndex(data), groups, 0)
        trainer = this._trainer(data, plan.train_sizes)
        measurements = [
            this._alignment(trainer, data),
            Quality(layer=self.layer),
            *self.measurements,
        ]
        return measure_cost(plan, trainer, measurements, data, self.n_jobs)

    def plan(self, X, reliability=0.8, groups=None):
        """How many encoders a wanted reliability needs, from a pilot of four blocks.

        Parameters
        ----------
        X : array-like or dataset
            Training rows.
        reliability : float, default=0.8
            Wanted, in (0, 1).
        groups : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        PilotPlan
            Blocks, encoders and time, with an interval, which is wide: four blocks say little. With
            `memory` and an int `random_state` the pilot's blocks count in the later fit.
        """
        pilot = clone(self)
        size = get_design(self.design).block_size(len(X))
        pilot.set_params(n_encoders=4 * size, warm_start=False)
        result = pilot.fit(X, groups=groups).result_
        return pilot_plan(result, reliability, self.n_jobs)

    def _check_parameters(self):
        """Refuse bad parameters before the data are read; return the estimate."""
        check_in_range("n_encoders", self.n_encoders, numbers.Integral, 1)
        check_in_range("n_views", self.n_views, numbers.Integral, 1)
        if self.max_time is not None:
            check_in_range("max_time", self.max_time, numbers.Real, 0, open_low=True)
        if self.on_error not in ("raise", "drop"):
            raise ValueError(f"on_error must be 'raise' or 'drop', got {self.on_error!r}.")
        if self.layer not in ("encoder", "projector"):
            raise ValueError(f"layer must be 'encoder' or 'projector', got {self.layer!r}.")
        if self.normalize is not None:
            named(self.normalize, NORMALIZATIONS, "normalize")
        estimate = get_estimate(self.estimate)
        if isinstance(self.estimate, str):
            estimate.set_params(normalize=self.normalize, anchor=self.anchor)
        elif self.normalize is not None:
            raise ValueError(
                f"normalize={self.normalize!r} is a parameter of the estimate here: pass it to "
                f"{type(estimate).__name__}(normalize=...)."
            )
        return estimate

    def _draw_plan(self, data, index, groups, entropy):
        if groups is None and index.duplicates():
            warnings.warn(
                f"{index.duplicates()} rows of X are copies of others; copies are kept in or out "
                "together, as one group. Pass groups= to decide otherwise.",
                stacklevel=3,
            )
            groups = index.copy_of
        design = get_design(self.design)
        plan = design.draw(len(data), self.n_encoders, entropy, groups)
        if plan.contrast is None:
            _warn_unscored(plan, design)
        if len(plan.seed) < 2:
            warnings.warn(
                f"n_encoders={self.n_encoders} is one block of {design!r}: the scores have no "
                "standard error. Two blocks have one, 16 a good one.",
                stacklevel=3,
            )
        return plan

    def _alignment(self, trainer, data):
        alignment = Alignment(
            trainer.views.augmentation, self.distance, self.n_views, self.anchor, self.layer,
            trainer.device,
        )  # fmt: skip
        alignment.check()
        return alignment

    def _previous(self, data):
        """The result to add to, for a warm start on the same rows."""
        if not self.warm_start or not hasattr(self, "result_"):
            return None
        if self.result_.run.config["data"] != data.fingerprint():
            raise ValueError(
                "warm_start=True, but X differs from the rows of the earlier fit: use a new "
                "estimator, or warm_start=False."
            )
        return self.result_

    def _refuse_new_rows(self, n_new, n):
        if self.result_.run.plan.design == "split":
            return
        raise ValueError(
            f"{n_new} of {n} rows were not seen in fit. Memorization is a property of training rows. "
            "For other rows use alignment(X), or null_scores(X) for the noise band. If they are "
            "training rows, an earlier step's fit_transform may differ from its transform."
        )

    def _measure_new(self, data, rows):
        """Measured arrays of rows outside the pool, one row at a time: (n_encoders, n_rows, ...)."""
        if not self.keep_encoders or self.result_.run.models is None:
            raise ValueError(
                "rows that were not trained on need the encoders: fit with keep_encoders=True."
            )
        done, found = self.result_.run, []
        for block in done.plan.blocks:
            states = [done.models[t] for t in done.plan.encoders_of(block)]
            seed = done.plan.seed_of(block)
            if states[0] is None:
                found.append(None)
                continue
            models = [self._fitted_trainer.restore(s) for s in states]
            with single_thread():
                measured = [self._fitted_alignment.of_one(models, data, i, seed) for i in rows]
            found.append({k: np.concatenate([m[k] for m in measured], 1) for k in measured[0]})
        good = next(f for f in found if f is not None)
        sizes = [len(done.plan.encoders_of(b)) for b in done.plan.blocks]
        return {
            k: np.concatenate(
                [
                    np.full((size, *v.shape[1:]), np.nan) if f is None else f[k]
                    for f, size in zip(found, sizes, strict=True)
                ]
            )
            for k, v in good.items()
        }

    def _contrast_scores(self, values, sides):
        """Scores of rows outside the pool, with the encoders' sides given."""
        from .designs import Plan

        plan = self.result_.run.plan
        rows = Plan(np.ones(sides.shape, bool), plan.block, plan.seed, sides.astype(np.int8))
        return self.result_.estimate(values, rows).score


_ENCODER_PARAMETERS = tuple(SSLEncoder().get_params())


def _warn_unscored(plan, design):
    """Say which rows can have no score, and how many encoders would do."""
    lost = int((~plan.member.any(0) | plan.member.all(0)).sum())
    if not lost:
        return
    fraction = design.fraction if isinstance(design, Subsample) else plan.member.mean()
    worst = max(fraction, 1 - fraction)
    enough = int(np.ceil(np.log(0.05 / plan.n_samples) / np.log(worst)))
    warnings.warn(
        f"{lost} rows are never in or never out of a training set and get NaN: with random subsets "
        f"of this size {enough} encoders would cover all rows (probability 0.95), balanced "
        "blocks always do.",
        stacklevel=4,
    )
