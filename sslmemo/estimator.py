"""MemorizationEstimator: which training rows an encoder memorized, and how sure that is."""

from __future__ import annotations

import numbers

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ._compat import check_choice, check_flag, check_in_range
from .assembly import assemble, check_pool_parameters
from .contents import check_behaviour, encoder_of, pool_content, rebuild
from .cost import measure_cost, pilot_plan
from .designs import get_design
from .encoder import ReadsRows, SSLEncoder
from .estimates import configured
from .measurements.quality import effective_rank
from .merge import merge_runs
from .outside import measure_outside, pseudo_sides, score_outside
from .persistence import check_target, estimator_of, read, write
from .pool import Finished, run, stored
from .probes import LinearProbe
from .probes.knn import cross_validated
from .protocols import Measurement
from .randomness import derive_seed, entropy_of, generator, usual_torch
from .result import MemorizationResult
from .rounds import run_in_rounds
from .sources import check_labels
from .stopping import get_stopping
from .training.precision import limit_jobs

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
        ``"simclr"``, ``"moco"``, ``"byol"``, ``"simsiam"``, ``"barlow_twins"``, ``"vicreg"``,
        ``"swav"``, ``"dino"``, ``"emp_ssl"``, ``"mae"`` or ``"lejepa"``, or an object from
        `sslmemo.methods`, such as ``SimCLR(temperature=0.5)``.
    encoder : str or callable, default="auto"
        ``"mlp"``; for images ``"convnet"``, ``"resnet9"``, ``"resnet18"``, ``"resnet34"``,
        ``"resnet50"``, ``"vit_tiny"`` or ``"vit_small"``; or a zero-argument factory that returns a
        fresh torch module, (b, *shape) -> (b, d). ``"auto"`` is ``"convnet"`` for images
        of three channels and at least 32 x 32 px, else ``"mlp"``.
    augmentation : str or callable, default="auto"
        ``"simclr"``, ``"digits"``, ``"weak"`` or ``"strong"`` for images, ``"scarf"`` for tables,
        or a module that maps a batch to a batch of views of the same shape, drawing from torch's
        global generator. ``"auto"`` is ``"scarf"`` for tables, ``"simclr"`` for images of three
        channels, ``"digits"`` for others.
    design : str or design, default="subsample"
        ``"subsample"`` (complementary half-splits), ``"leave_one_out"``, ``"split"``, or an object
        of `sslmemo.designs`, such as ``Subsample(fraction=0.25)``, which often reaches a
        reliability in less time, at a smaller training size.
    n_encoders : int, default=64
        Number of trainings, a multiple of the design's block; one more makes `encoder_`. Two
        blocks give standard errors, 16 good ones. An `Explicit` design brings its own number. With
        `stop_when` it is the most.
    stop_when : float, rule or None, default=None
        Train in rounds, and no further than needed: a number in (0, 1) is the reliability to reach;
        or a rule of `sslmemo.stopping`, such as ``TopKCertain(20)``. The rounds depend on neither
        time nor `n_jobs`. Rules read the unbiased difference, whatever `estimate` is; one that is not
        met trains all, and `stopped_` says so. None trains all. `plan` and `run_shard` take no notice.
    estimate : str or estimate, default="difference"
        How matrices become scores, see `sslmemo.estimates`. An object goes by `normalize` and
        `anchor` of its own: give it the `anchor` given here.
    distance : str or callable, default="euclidean"
        ``"euclidean"`` (in [0, 2]), ``"sqeuclidean"`` ([0, 4]), ``"cosine"`` ([0, 2]),
        ``"angular"`` ([0, 1]) or ``"manhattan"`` ([0, 2 sqrt(d)]) between unit-normalised
        embeddings, ``"mse"`` between embeddings as they are, or a callable (z1, z2) -> (b,) that
        gets them as they are, (b, d) each. Scores have its unit.
    n_views : int, default=8
        Views a row, of which all pairs are used; at least 2, or 1 with ``anchor="clean"``.
    anchor : {"view", "clean"}, default="view"
        ``"clean"`` compares each view with the row itself, as the paper's scripts do.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is measured, and what `transform` returns.
    normalize : {None, "encoder", "relative", "range"}, default=None
        None is the definition. ``"encoder"`` divides each encoder's alignments by their mean over
        rows, which must not be 0; ``"relative"`` is (g - f) / (g + f), in [-1, 1]; ``"range"``
        divides by the range of the scores, as the paper's scripts do: not comparable between runs.
    measurements : sequence of Measurement, default=()
        Further measurements of the same trainings, see `sslmemo.protocols.Measurement`; their
        arrays are in ``result_.run.values``.
    epochs : float, default=100
        Passes over its training rows, on average over the encoders; above 0. All take the same
        number of steps, at least one.
    batch_size : int or None, default=None
        Rows a step, from 1 to the size of the smallest training set; None is the smaller of that
        and 256.
    learning_rate : float, default=1e-3
        Peak of the one-cycle schedule of AdamW; above 0.
    gradient_noise : GradientNoise, PrivateTraining or None, default=None
        Clips the gradient of every step and adds noise to it, see
        `sslmemo.training.noise.GradientNoise`, which gives no privacy guarantee;
        `sslmemo.training.private.PrivateTraining` (``pip install sslmemo[privacy]``) clips that of every
        row, and states an epsilon; None does neither.
    channels : {"first", "last"}, default="first"
        Where an image has its channels; never guessed.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images.
    keep_encoders : bool, default=False
        Keep the weights of all encoders, for `alignment` and `null_scores` of rows that were not
        trained on.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` and so on; ``"auto"`` is ``"cuda"`` where there is a
        GPU, else ``"cpu"``.
    precision : {"auto", "fp32", "bf16"}, default="auto"
        ``"auto"`` is bf16 where the processor has tile units for it (AMX) or on a GPU, else fp32;
        it is recorded in the result.
    n_jobs : int or None, default=None
        Blocks trained at once on a CPU, one thread each, by joblib; None means 1 unless in a
        `joblib.parallel_config`, -1 all processors. The scores are bitwise the same for any number
        on a CPU.
    memory : str, path or None, default=None
        Folder in which every finished block is kept, so that a later fit of the same rows, recipe
        and `random_state` (an int) trains only what is missing. Made when it is absent.
    max_time : float or None, default=None
        Seconds for the pool, above 0: no block but the first ones is begun that would, by the time
        those took, end later. If blocks are missing then, a warning says how many.
    on_error : {"raise", "drop"}, default="raise"
        Whether a training that diverged ends the fit, or its block is left out with a warning.
    warm_start : bool, default=False
        A further fit of the same rows with a larger `n_encoders` trains only the difference. No
        other parameter may change between the two.
    random_state : int, RandomState instance or None, default=None
        Of the design, the trainings and the views. The same int, not negative, gives bitwise the
        same scores on a CPU; None draws a fresh seed.
    verbose : int, default=1
        1 shows a progress bar over the encoders, 0 nothing.

    Attributes
    ----------
    result_ : MemorizationResult
        Scores with their errors, tables, texts and the matrices.
    memorization_scores_ : ndarray of shape (n_samples,)
        m(x) of every training row, in the order of X and the unit of the distance; NaN for a row
        never in or never out.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors, moderated by the other rows; NaN with one block.
    encoder_ : SSLEncoder
        An f trained on all rows; `transform` uses it.
    membership_ : ndarray of bool, shape (n_encoders, n_samples)
        Who was trained on what; fewer encoders than asked for after `max_time` or `stop_when`.
    stopped_ : str or None
        After how many blocks the training ended and why; None without `stop_when`.
    n_features_in_ : int
        Numbers in one row.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only when X has names that are all strings.
    layout_ : Layout
        How rows are read.

    See Also
    --------
    memorization_scores : The same for encoders that are trained already.
    SSLEncoder : One encoder.

    Notes
    -----
    With the default design an encoder sees half of the rows, so the scores are memorization at
    size n/2, averaged over the other rows; exact leave-one-out scores are smaller. A table's
    columns are standardised by the statistics of all of X first, for f and g alike.

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
                 design="subsample", n_encoders=64, stop_when=None, estimate="difference",
                 distance="euclidean", n_views=8, anchor="view", layer="encoder", normalize=None,
                 measurements=(), epochs=100, batch_size=None, learning_rate=1e-3,
                 gradient_noise=None, channels="first", image_shape=None, keep_encoders=False,
                 device="auto", precision="auto", n_jobs=None, memory=None, max_time=None,
                 on_error="raise", warm_start=False, random_state=None, verbose=1):  # fmt: skip
        self.method = method
        self.encoder = encoder
        self.augmentation = augmentation
        self.design = design
        self.n_encoders = n_encoders
        self.stop_when = stop_when
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
        self.gradient_noise = gradient_noise
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

    @usual_torch()
    def fit(self, X, y=None, groups=None):
        """Train the pool and score every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n, c, h, w) or (n, h, w, c), or dataset
            Training rows, at least 2. A dataset has ``__len__`` and ``__getitem__``; its items are
            rows, or tuples that begin with one. Images are uint8 or floats in [0, 1], or of any
            range with an augmentation of your own.
        y : array-like of shape (n_samples,), default=None
            Labels; used by `score` alone.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group, such as near-duplicates, are in or out together. By default rows
            of equal content are a group, with a warning. ``Explicit(member)`` and ``Split(roles)``
            say themselves who is in, and take no notice of groups.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            Before any training: a parameter is wrong or does not suit X; X is text, ragged,
            constant, a series or not finite; images lie outside [0, 1]; a warm start has other
            rows. The message names the value and the mend.
        TrainingError
            A loss was not finite and ``on_error="raise"``, or every block failed.

        Warns
        -----
        UserWarning
            Rows are copies of others, some can have no score, there is one block only, or blocks
            are missing.
        """
        estimate = self._check_parameters()
        data = self._read(X, reset=True)
        y = None if y is None else check_labels(y, len(data))
        earlier = self._so_far() if self.warm_start else None
        entropy = entropy_of(self.random_state) if earlier is None else self._entropy
        parts = assemble(self, data, groups, entropy)
        if earlier is not None:
            parts.check_same(earlier)
        self._entropy, self._earlier, self._finished = entropy, earlier, Finished()
        try:
            done = run_in_rounds(
                parts.plan,
                lambda plan, max_time: self._run(plan, parts, self._finished, max_time),
                get_stopping(self.stop_when),
                estimate,
                earlier,
                self.max_time,
            )
            result = MemorizationResult(done, estimate)
            mine = self.get_params(deep=False)
            encoder = SSLEncoder(**{k: v for k, v in mine.items() if k in _ENCODER_PARAMETERS})
            encoder.verbose = 0  # one training more: no bar of its own
            encoder._fit(data, derive_seed(entropy, "encoder of all rows"))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._how_to_go_on(len(parts.plan.seed))) from None
        self.encoder_ = encoder
        self._representation = self.encoder_.represent(data)
        self._n_features_out = self._representation.shape[1]
        self._labels = y
        result.knn_accuracy = cross_validated(self._representation, y)
        self._index = parts.index
        self._fitted_trainer, self._fitted_alignment = parts.trainer, parts.measurements[0]
        self._earlier = self._finished = None
        self.result_ = result
        self.stopped_ = done.config.get("stopped", {}).get("why")
        self.membership_ = result.run.plan.member
        self.memorization_scores_ = result.score
        self.standard_errors_ = result.standard_error
        return self

    def _run(self, plan, parts, finished, max_time):
        return run(
            plan,
            parts.trainer,
            parts.measurements,
            parts.data,
            n_jobs=limit_jobs(self.n_jobs, parts.trainer.device),
            store=self.memory,
            keep_models=bool(self.keep_encoders),
            on_error=self.on_error,
            max_time=max_time,
            verbose=self.verbose,
            finished=finished,
        )

    def _so_far(self):
        """Run of all finished blocks: of the fit that goes on or was interrupted, else of the last."""
        finished = getattr(self, "_finished", None)
        if finished is None:
            return self.result_.run if hasattr(self, "result_") else None
        new, earlier = finished.run(), self._earlier
        if new is None or earlier is None:
            return earlier if new is None else new
        return merge_runs(earlier, new)

    def _how_to_go_on(self, n_blocks):
        run = self._so_far()
        done = 0 if run is None else len(run.plan.seed)
        how = "fit again with warm_start=True to train the rest only"
        if self.memory is not None and self.random_state is not None:
            how = f"fit again to train the rest only: they are in memory={str(self.memory)!r}"
        said = f"{done} of {n_blocks} blocks are finished."
        return f"{said} partial_result() gives their scores; {how}." if done else said

    @usual_torch()
    def partial_result(self, X=None, groups=None):
        """Scores from the blocks finished so far: while `fit` runs, or after it was interrupted.

        Parameters
        ----------
        X : array-like or dataset, default=None
            Without it, the blocks of this object's own fit count (asked from another thread, say,
            or after Ctrl-C). With it, those that any fit of the same rows and parameters has
            written to `memory`, on this machine or another; nothing is trained.
        groups : array-like of shape (n_samples,), default=None
            As in `fit`; read with X only.

        Returns
        -------
        MemorizationResult
            Of the finished blocks; after a whole `fit`, that of `result_`.

        Raises
        ------
        ValueError
            No block is finished yet; or X is given without `memory` and an int `random_state`.
        """
        estimate = self._check_parameters()
        if X is None:
            done = self._so_far()
        elif self.memory is None or self.random_state is None:
            raise ValueError(
                "partial_result(X) reads blocks from memory= by random_state=: set both, as in the "
                f"fit that goes on. They are {self.memory!r} and {self.random_state!r}."
            )
        else:
            this = clone(self)
            parts = assemble(this, this._read(X, reset=True), groups, entropy_of(self.random_state))
            done = stored(
                parts.plan, parts.trainer, parts.measurements, parts.data, self.memory,
                bool(self.keep_encoders),
            )  # fmt: skip
        if done is None:
            raise ValueError("no block is finished yet, so there is no partial result.")
        return MemorizationResult(done, estimate)

    @usual_torch()
    def run_shard(self, X, i, k, groups=None):
        """Train the i-th of k parts of the pool and nothing else: one task of a job array.

        Results of all parts add up to the whole: ``sum(results)``. With one `memory` on a shared
        file system a later `fit` reads all parts and trains what is missing.

        Parameters
        ----------
        X : array-like or dataset
            Training rows, the same for every part.
        i : int
            Which part, from 0 to k - 1.
        k : int
            Number of parts, at most that of blocks.
        groups : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        MemorizationResult
            Of the part's blocks; `save` it. The estimator stays unfitted.

        Raises
        ------
        TypeError, ValueError, TrainingError
            As in `fit`; a ValueError too for a part that there is not, or without an int
            `random_state`, by which the parts know each other.
        """
        if self.random_state is None:
            raise ValueError("run_shard needs random_state=an int, the same for every part.")
        this = clone(self)
        estimate = this._check_parameters()
        data = this._read(X, reset=True)
        parts = assemble(this, data, groups, entropy_of(self.random_state))
        done = this._run(parts.plan.shard(i, k), parts, Finished(), self.max_time)
        return MemorizationResult(done, estimate)

    @usual_torch()
    def score_samples(self, X):
        """Memorization scores of training rows, recognised by content.

        Parameters
        ----------
        X : array-like or dataset
            Rows seen in fit, in any order. A row within 1e-4 of a training row (root mean squared
            difference, in standard deviations of the data) counts as that row. Copies of a row get
            the mean of their scores. After ``design="split"`` with `keep_encoders`, any rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Scores m(x) in the unit of the distance, higher = more memorized; NaN for a row never
            in or never out.

        Raises
        ------
        ValueError
            A row was not seen in fit, or has another shape.
        """
        check_is_fitted(self, "result_")
        data = self._read(X)
        found = self._index.find(data)
        mean = self._index.mean_of_copies(self.memorization_scores_)
        scores = np.where(found >= 0, mean[found], np.nan)
        new = np.flatnonzero(found < 0)
        if len(new):
            self._refuse_new_rows(len(new), len(data))
            sides = self.result_.run.plan.contrast[:, :1].repeat(len(new), axis=1)
            scores[new] = score_outside(self.result_, self._measure_outside(data, new), sides)
        return scores

    @usual_torch()
    def alignment(self, X):
        """Alignment of rows under every encoder of the pool.

        Parameters
        ----------
        X : array-like or dataset
            Rows; those not seen in fit need ``keep_encoders=True``, draw views of their own and are
            measured one by one.

        Returns
        -------
        ndarray of shape (n_encoders, n_samples)
            Mean distance over pairs of views, in the unit of the distance; lower = closer. NaN for
            an encoder that failed.

        Raises
        ------
        ValueError
            A row was not seen in fit and the encoders were not kept, or it has another shape.
        """
        check_is_fitted(self, "result_")
        data = self._read(X)
        found = self._index.find(data)
        first = np.unique(self._index.copy_of, return_index=True)[1]
        values = self.result_.run.values["alignment"][:, first[found]].astype(float)
        new = np.flatnonzero(found < 0)
        if len(new):
            values[:, new] = self._measure_outside(data, new)["alignment"]
        return values

    @usual_torch()
    def null_scores(self, X_external, random_state=0):
        """Scores of rows never trained on, under a random training row's pseudo-membership.

        They have mean zero and all noise of a real score: the band to read scores against.

        Parameters
        ----------
        X_external : array-like or dataset
            Rows that were not in fit, of the same kind. Needs ``keep_encoders=True``.
        random_state : int, RandomState instance or None, default=0
            Of the pseudo-memberships.

        Returns
        -------
        ndarray of shape (n_samples,)
            One null score a row, in the unit of the scores.

        Raises
        ------
        ValueError
            A row was seen in fit or has another shape, or the encoders were not kept.
        """
        check_is_fitted(self, "result_")
        data = self._read(X_external)
        if (self._index.find(data) >= 0).any():
            raise ValueError(
                "X_external holds rows that were trained on: their scores are no null."
            )
        result, rng = self.result_, generator(entropy_of(random_state), "null")
        sides = pseudo_sides(result.run.plan, result.score, len(data), rng)
        return score_outside(result, self._measure_outside(data, np.arange(len(data))), sides)

    @usual_torch()
    def transform(self, X):
        """Represent rows by `encoder_`, an f trained on all rows.

        Parameters
        ----------
        X : array-like or dataset
            Any rows of the shape seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_dimensions)
            Of dtype float64 where X is a float64 array, else float32; without augmentation.

        Raises
        ------
        ValueError
            X has rows of another shape or bad values.
        """
        check_is_fitted(self, "result_")
        return self._represented(self.encoder_, X)

    @usual_torch()
    def score(self, X, y=None):
        """Tell how good `encoder_` is, for model selection. Memorization is in `sslmemo.scorers`.

        Parameters
        ----------
        X : array-like or dataset
            Rows, usually held out.
        y : array-like of shape (n_samples,), default=None
            Their labels.

        Returns
        -------
        float
            With labels here and in fit, the accuracy, in [0, 1], of a `LinearProbe` fitted on fit's
            rows; else the effective rank (RankMe) of the representations of X, from 1 to their
            length.
        """
        z = np.asarray(self.transform(X), dtype=np.float32)
        if y is None or self._labels is None:
            return effective_rank(z)
        return LinearProbe().fit(self._representation, self._labels).score(z, y)

    @usual_torch()
    def estimate_cost(self, X, groups=None):
        """Predict the time and memory that `fit` will take, from a few real steps.

        What `memory`, `warm_start`, `max_time` and `stop_when` would save is not counted.

        Parameters
        ----------
        X : array-like or dataset
            Training rows.
        groups : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        Cost
            Print it, or read `seconds` and `memory` (bytes), see `sslmemo.cost.Cost`.

        Raises
        ------
        TypeError, ValueError
            As in `fit`.
        """
        this = clone(self)
        this._check_parameters()
        parts = assemble(this, this._read(X, reset=True), groups, 0)
        jobs = limit_jobs(self.n_jobs, parts.trainer.device)
        return measure_cost(parts.plan, parts.trainer, parts.measurements, parts.data, jobs)

    @usual_torch()
    def plan(self, X, reliability=0.8, groups=None):
        """Plan how many encoders a wanted reliability needs, from a pilot of four blocks.

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
            Blocks, encoders and seconds, with an interval, which is wide: four blocks say little,
            see `sslmemo.cost.PilotPlan`. With `memory` and an int `random_state` the pilot's blocks
            count in the later fit.

        Raises
        ------
        TypeError, ValueError, TrainingError
            As in `fit`; a ValueError too for a reliability outside (0, 1).
        """
        if not (isinstance(reliability, numbers.Real) and 0 < reliability < 1):
            raise ValueError(f"reliability must lie strictly between 0 and 1, got {reliability!r}.")
        pilot = clone(self)
        size = get_design(self.design).block_size(len(pilot._read(X, reset=True)))
        pilot.set_params(n_encoders=4 * size, stop_when=None, warm_start=False)
        result = pilot.fit(X, groups=groups).result_
        return pilot_plan(result, reliability, self.n_jobs)

    def save(self, path):
        """Write the fitted estimator to one checksummed file, without pickle.

        Parameters
        ----------
        path : str or path
            File to write, in a folder that exists; a file that is there is replaced.

        Raises
        ------
        ValueError
            `path` is a folder; what `method`, `encoder`, `augmentation`, `distance`, `estimate` or
            `gradient_noise` say was changed since fit; or labels can't be stored.
        FileNotFoundError
            The folder of `path` does not exist.

        Notes
        -----
        Callables and objects of classes of your own are not stored, but must be given to `load`.
        Training rows are not stored, but for the reference rows of a table's augmentation. Kept
        encoders are.
        """
        check_is_fitted(self, "result_")
        check_target(path)
        write(path, "MemorizationEstimator", pool_content(self))

    @classmethod
    def load(cls, path, **foreign):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path
            File to read.
        **foreign : dict
            Parameters that could not be stored, such as ``encoder=my_factory``: the same ones.

        Returns
        -------
        MemorizationEstimator
            Fitted; on the same machine everything it returns is bitwise what it was. Without the
            GPU of its fit, new rows draw their views on the CPU, where they are others.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is no saved MemorizationEstimator, or was torn or altered; or a foreign
            parameter is missing or not the one that was saved.

        Warns
        -----
        UserWarning
            The augmentation draws other views than when it was saved.
        """
        content = read(path, "MemorizationEstimator")
        self = estimator_of(cls, content, foreign)
        own = {k: v for k, v in foreign.items() if k in content["encoder"]["foreign"]}
        self.encoder_ = encoder_of(SSLEncoder, content["encoder"], own)
        self._fitted_trainer, self._fitted_alignment = rebuild(self, content)
        check_behaviour(self._fitted_trainer, self._fitted_alignment, content["behaviour"])
        self._earlier = self._finished = None
        if content["so_far"] is not None:  # saved after an interrupted fit
            (self._earlier,), self._finished = content["so_far"], Finished()
        estimate = configured(self.estimate, self.normalize, self.anchor)
        self.result_ = MemorizationResult(content["run"], estimate)
        self.result_.knn_accuracy = content["knn_accuracy"]
        self.membership_ = self.result_.run.plan.member
        self.memorization_scores_ = self.result_.score
        self.standard_errors_ = self.result_.standard_error
        return self

    def _check_parameters(self):
        """Refuse bad parameters before the data are read; return the estimate."""
        check_pool_parameters(self)
        check_in_range("n_views", self.n_views, numbers.Integral, 1)
        check_choice("layer", self.layer, ("encoder", "projector"))
        check_choice("anchor", self.anchor, ("view", "clean"))
        check_flag("keep_encoders", self.keep_encoders)
        check_flag("warm_start", self.warm_start)
        get_stopping(self.stop_when)
        if not isinstance(self.measurements, (list, tuple)) or not all(
            isinstance(m, Measurement) for m in self.measurements
        ):
            raise TypeError(
                f"measurements must be a sequence of measurements, got {self.measurements!r}."
            )
        return configured(self.estimate, self.normalize, self.anchor)

    def _measure_outside(self, data, rows):
        run = self.result_.run
        return measure_outside(run, self._fitted_trainer, self._fitted_alignment, data, rows)

    def _refuse_new_rows(self, n_new, n):
        if self.result_.run.plan.design == "split":
            return
        raise ValueError(
            f"{n_new} of {n} rows were not seen in fit. Memorization is a property of training "
            "rows. For other rows use alignment(X), or null_scores(X) for the noise band. If they "
            "are training rows, an earlier step's fit_transform may differ from its transform, as "
            "that of PCA does with its randomized solver."
        )


_ENCODER_PARAMETERS = tuple(SSLEncoder().get_params())
