"""MemorizationProxy: which rows one encoder memorized, guessed without training it again."""

from __future__ import annotations

import numbers
from dataclasses import replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import check_choice, check_in_range
from ..assembly import check_pool_parameters
from ..contents import encoder_content, encoder_of
from ..data import RowIndex
from ..designs import Explicit
from ..encoder import ReadsRows, SSLEncoder
from ..measurements import Quality
from ..persistence import check_target, estimator_content, estimator_of, read, write
from ..pool import run
from ..protocols import TrainingError
from ..randomness import entropy_of, usual_torch
from ..training.precision import limit_jobs
from .base import Reading
from .registry import get_kind

__all__ = ["MemorizationProxy"]


class MemorizationProxy(ReadsRows):
    """Scores that stand in for memorization, from one training on all rows or a few.

    No row is ever left out, so these are not m(x), nor in its unit: only their order is meant, and how well
    it agrees with that of m(x) has to be measured on data like yours.

    Parameters
    ----------
    kind : str or Kind, default="depth_isolation"
        ``"depth_isolation"``, ``"isolation"``, ``"input_isolation"``, ``"alignment"``,
        ``"trajectory"``, ``"forgetting"``, ``"loss_sensitivity"``, ``"input_curvature"``,
        ``"gradient_coherence"``, ``"self_influence"``, ``"metagradient"``, ``"unlearning"``,
        ``"holdout_retraining"``, ``"perturbation"`` or ``"accumulated"``, or an object from
        `sslmemo.proxies`, such as ``Isolation(n_neighbors=10)``.
    method : str or Method, default="simclr"
        See `MemorizationEstimator`.
    encoder : str or callable, default="auto"
        A name or a zero-argument factory, see `MemorizationEstimator`.
    augmentation : str or callable, default="auto"
        See `MemorizationEstimator`.
    n_encoders : int, default=1
        Trainings whose scores are averaged; at least 1. Two give standard errors.
    distance : str or callable, default="euclidean"
        See `MemorizationEstimator`; of the kinds alignment, trajectory and accumulated. Those that take
        gradients have the squared Euclidean distance of unit embeddings, which is smooth.
    n_views : int, default=8
        Views a row, where a kind draws some; at least 2.
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is read, and what `transform` returns.
    epochs : float, default=100
        Passes over the rows; above 0.
    batch_size : int or None, default=None
        Rows a step, from 2 to n_samples; None is min(256, n_samples).
    learning_rate : float, default=1e-3
        Peak of the one-cycle schedule of AdamW; above 0.
    gradient_noise : GradientNoise or None, default=None
        See `MemorizationEstimator`.
    channels : {"first", "last"}, default="first"
        Where an image has its channels; never guessed.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` and so on; ``"auto"`` is ``"cuda"`` where there is a
        GPU, else ``"cpu"``.
    precision : {"auto", "fp32", "bf16"}, default="auto"
        Of the training; what is read after it is float32.
    n_jobs : int or None, default=None
        Trainings at once on a CPU, see `MemorizationEstimator`.
    memory : str, path or None, default=None
        Folder in which finished trainings are kept and, by the same rows, parameters and
        `random_state` (an int), found again. Made when it is absent.
    random_state : int, RandomState instance or None, default=None
        Of weights, order and views. The same int, not negative, gives bitwise the same scores on a
        CPU; None draws a fresh seed.
    verbose : int, default=0
        1 shows a progress bar, 0 nothing.

    Attributes
    ----------
    proxy_scores_ : ndarray of shape (n_samples,)
        Score of every training row, in the order of X; higher = more memorized. The unit is the
        kind's.
    standard_errors_ : ndarray of shape (n_samples,)
        Of the mean over trainings: of the proxy's own noise, not of its distance from m(x). NaN
        with one encoder.
    encoder_scores_ : ndarray of shape (n_encoders, n_samples)
        Scores by each training.
    run_ : Run
        What was measured, ``run_.values``.
    kind_ : Kind
        The kind used.
    encoder_ : SSLEncoder
        The first of the trainings; `transform` uses it.
    n_features_in_ : int
        Numbers in one row.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only when X has names that are all strings.
    layout_ : Layout
        How rows are read.

    See Also
    --------
    MemorizationEstimator : The thing itself, from many trainings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sslmemo import MemorizationProxy
    >>> X, _ = load_iris(return_X_y=True)
    >>> MemorizationProxy(epochs=2, random_state=0).fit(X).score_samples(X).shape
    (150,)
    """

    def __init__(self, kind="depth_isolation", method="simclr", encoder="auto", augmentation="auto", *,
                 n_encoders=1, distance="euclidean", n_views=8, layer="encoder", epochs=100,
                 batch_size=None, learning_rate=1e-3, gradient_noise=None, channels="first",
                 image_shape=None, device="auto", precision="auto", n_jobs=None, memory=None,
                 random_state=None, verbose=0):  # fmt: skip
        self.kind = kind
        self.method = method
        self.encoder = encoder
        self.augmentation = augmentation
        self.n_encoders = n_encoders
        self.distance = distance
        self.n_views = n_views
        self.layer = layer
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.gradient_noise = gradient_noise
        self.channels = channels
        self.image_shape = image_shape
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @usual_torch()
    def fit(self, X, y=None):
        """Train on all rows and score each.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n, c, h, w) or (n, h, w, c), or dataset
            Training rows, at least 2, as for `MemorizationEstimator`. A copy of a row is another row
            to every kind: the two lie close to each other, and each is seen through the other.
        y : None
            Ignored: the training is self-supervised.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            Before any training: a parameter is wrong or does not suit X, or X has bad values. The
            message names the value and the mend.
        TrainingError
            A loss or a score was not finite, or the kind can't be read from this method.
        """
        kind = self._check_parameters()
        data = self._read(X, reset=True)
        member = np.ones((self.n_encoders, len(data)), bool)
        plan = Explicit(member).draw(len(data), self.n_encoders, entropy_of(self.random_state))
        trainer = self._trainer(data, plan.sizes)
        reading = Reading(
            trainer.views.augmentation, self.distance, self.n_views, self.layer, trainer.device,
            trainer.method.n_views, trainer,
        )  # fmt: skip
        measurements = kind.measurements(reading)
        for m in measurements:
            getattr(m, "check", lambda: None)()
        done = run(
            plan, trainer, [*measurements, Quality(layer=self.layer)], data,
            n_jobs=limit_jobs(self.n_jobs, trainer.device), store=self.memory, keep_models=True,
            verbose=self.verbose,
        )  # fmt: skip
        scores = np.asarray(kind.scores(done.values), dtype=float)  # (n_encoders, n)
        if not np.isfinite(scores).all():
            encoder, row = np.argwhere(~np.isfinite(scores))[0]
            raise TrainingError(
                f"kind={self.kind!r} gives row {row} under encoder {encoder} no finite score: its last "
                "steps diverged (lower learning_rate), or the encoder gives NaN there."
            )
        self.kind_, self.encoder_scores_ = kind, scores
        self.proxy_scores_ = scores.mean(0)
        self.standard_errors_ = np.full(len(data), np.nan)
        if self.n_encoders > 1:
            self.standard_errors_ = scores.std(0, ddof=1) / np.sqrt(self.n_encoders)
        self.encoder_ = self._encoder_of(done, trainer, data)
        self._n_features_out = self.encoder_._n_features_out
        self.run_, self._index = replace(done, models=None), RowIndex(data)
        return self

    def _encoder_of(self, done, trainer, data):
        """The first training as an SSLEncoder."""
        mine = self.get_params(deep=False)
        shared = {k: v for k, v in mine.items() if k in SSLEncoder().get_params(deep=False)}
        encoder = SSLEncoder(**shared)
        encoder.model_ = trainer.restore(done.models[0])
        encoder.effective_rank_ = float(done.values["effective_rank"][0])
        encoder.layout_, encoder.n_features_in_ = self.layout_, self.n_features_in_
        encoder._n_features_out = encoder.model_.embed(data.rows([0]), self.layer).shape[1]
        return encoder

    @usual_torch()
    def score_samples(self, X):
        """Scores of training rows, recognised by content.

        Parameters
        ----------
        X : array-like or dataset
            Rows seen in fit, in any order. A row within 1e-4 of a training row (root mean squared
            difference, in standard deviations of the data) counts as that row. Copies of a row get
            the mean of their scores.

        Returns
        -------
        ndarray of shape (n_samples,)
            Higher = more memorized.

        Raises
        ------
        ValueError
            A row was not seen in fit, or has another shape.
        """
        check_is_fitted(self, "proxy_scores_")
        found = self._index.find_all(self._read(X))
        return self._index.mean_of_copies(self.proxy_scores_)[found]

    @usual_torch()
    def transform(self, X):
        """Represent rows by `encoder_`, the first of the trainings.

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
        check_is_fitted(self, "proxy_scores_")
        return self._represented(self.encoder_, X)

    def save(self, path):
        """Write the fitted estimator to one checksummed file, without pickle.

        Parameters
        ----------
        path : str or path
            File to write, in a folder that exists; a file that is there is replaced.

        Raises
        ------
        TypeError, ValueError
            `path` is no path or a folder, or `method` or `encoder` was changed since fit.
        FileNotFoundError
            The folder of `path` does not exist.

        Notes
        -----
        Training rows are not stored. Kinds that are objects, callables and objects of classes of your
        own are not either, but must be given to `load`.
        """
        check_is_fitted(self, "proxy_scores_")
        check_target(path)
        content = estimator_content(self, {"encoder_", "kind_"})
        write(path, "MemorizationProxy", {**content, "encoder": encoder_content(self.encoder_)})

    @classmethod
    def load(cls, path, **foreign):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path
            File to read.
        **foreign : dict
            Parameters that could not be stored, such as ``kind=Isolation(n_neighbors=10)``: the same
            ones.

        Returns
        -------
        MemorizationProxy
            Fitted, with the same scores and, on the same machine, bitwise the same representations.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        TypeError, ValueError
            `path` is no path, or the file no saved MemorizationProxy, or torn or altered; or a foreign
            parameter is missing or not the one that was saved.
        """
        content = read(path, "MemorizationProxy")
        self = estimator_of(cls, content, foreign)
        own = {k: v for k, v in foreign.items() if k in content["encoder"]["foreign"]}
        self.encoder_ = encoder_of(SSLEncoder, content["encoder"], own)
        self.kind_ = get_kind(self.kind)
        return self

    def _check_parameters(self):
        """Refuse bad parameters before the data are read; return the kind."""
        check_pool_parameters(self)
        check_in_range("n_views", self.n_views, numbers.Integral, 2)
        check_choice("layer", self.layer, ("encoder", "projector"))
        return get_kind(self.kind)
