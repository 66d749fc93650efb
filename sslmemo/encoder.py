"""SSLEncoder: one self-supervised encoder as a scikit-learn transformer. A run of one."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._compat import check_choice, check_flag, check_folder
from .contents import encoder_content, encoder_of
from .data import read_rows
from .designs import Explicit
from .export import RowsToRepresentations, write_program
from .measurements import Quality
from .methods import METHODS
from .notebook import FitInNotebook
from .persistence import check_target, read, write
from .pool import run
from .randomness import entropy_of, usual_torch
from .training.recipe import make_trainer

__all__ = ["ReadsRows", "SSLEncoder"]

BATCH = 64  # rows embedded at once by transform


class ReadsRows(FitInNotebook, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What both estimators share: how X is read, and the tags that say so."""

    def __sklearn_tags__(self):
        """Two-, three- and four-dimensional arrays of numbers are read."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags

    def set_params(self, **params):
        """Set parameters; those of a component given by name are refused with the mend.

        Parameters
        ----------
        **params : dict
            By scikit-learn's conventions, ``component__parameter`` included.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            A parameter is unknown, or belongs to a component that is given by name.
        """
        for key in params:
            part, _, inner = key.partition("__")
            value = params.get(part, getattr(self, part, None))
            if inner and not hasattr(value, "get_params"):
                kind = METHODS[value].__name__ if part == "method" and value in METHODS else None
                such = f", such as {part}={kind}({inner}=...)" if kind else ""
                raise ValueError(
                    f"{key} can't be set while {part}={value!r}: pass an object that has the parameter "
                    f"{inner}{such}."
                )
        return super().set_params(**params)

    def _read(self, X, reset=False):
        """X as checked rows; the layout found in fit is kept for later calls."""
        return read_rows(self, X, reset, unit_range=isinstance(self.augmentation, str))

    def _represented(self, encoder, X):
        """Representations of X by an `SSLEncoder`, in float64 where X is a float64 array."""
        z = encoder.represent(self._read(X))
        return z.astype(np.float64) if getattr(X, "dtype", None) == np.float64 else z

    def _trainer(self, data, sizes):
        return make_trainer(
            data,
            sizes,
            method=self.method,
            encoder=self.encoder,
            augmentation=self.augmentation,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            gradient_noise=self.gradient_noise,
            device=self.device,
            precision=self.precision,
        )


class SSLEncoder(ReadsRows):
    """One self-supervised encoder: `fit` trains it, `transform` gives representations.

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
    layer : {"encoder", "projector"}, default="encoder"
        Whose output is the representation.
    epochs : float, default=100
        Passes over the rows; above 0.
    batch_size : int or None, default=None
        Rows a step, from 1 to n_samples; None is min(256, n_samples).
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
    device : str, default="auto"
        Where it is trained: ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` and so on; ``"auto"`` is
        ``"cuda"`` where there is a GPU, else ``"cpu"``. `transform` runs on the CPU.
    precision : {"auto", "fp32", "bf16"}, default="auto"
        Of the training. ``"auto"`` is bf16 where the processor has tile units for it (AMX) or on a
        GPU, else fp32.
    memory : str, path or None, default=None
        Folder in which the trained encoder is kept and, by the same rows, parameters and
        `random_state` (an int), found again. Made when it is absent.
    random_state : int, RandomState instance or None, default=None
        Of weights, order and views. The same int, not negative, gives bitwise the same encoder on
        a CPU; None draws a fresh seed.
    verbose : int, default=0
        1 shows a progress bar, 0 nothing.

    Attributes
    ----------
    model_ : Model
        The trained model: ``model_.module`` is the torch module with `encoder` and `projector`.
    effective_rank_ : float
        RankMe of the representations of at most 2048 evenly spaced training rows, from 1 to their
        length.
    layout_ : Layout
        How rows are read.
    n_features_in_ : int
        Numbers in one row.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns; only when X has names that are all strings.

    See Also
    --------
    MemorizationEstimator : Which rows such an encoder memorizes.
    LinearProbe : What its representations are worth.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sslmemo import LinearProbe, SSLEncoder
    >>> X, y = load_iris(return_X_y=True)
    >>> encoder = SSLEncoder(epochs=2, random_state=0)
    >>> make_pipeline(encoder, LinearProbe()).fit(X, y).predict(X).shape
    (150,)
    """

    def __init__(self, method="simclr", encoder="auto", augmentation="auto", *, layer="encoder",
                 epochs=100, batch_size=None, learning_rate=1e-3, gradient_noise=None,
                 channels="first", image_shape=None, device="auto", precision="auto", memory=None,
                 random_state=None, verbose=0):  # fmt: skip
        self.method = method
        self.encoder = encoder
        self.augmentation = augmentation
        self.layer = layer
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.gradient_noise = gradient_noise
        self.channels = channels
        self.image_shape = image_shape
        self.device = device
        self.precision = precision
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @usual_torch()
    def fit(self, X, y=None):
        """Train the encoder on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n, c, h, w) or (n, h, w, c), or dataset
            Training rows, at least 2. A dataset has ``__len__`` and ``__getitem__``; its items are
            rows, or tuples that begin with one. Images are uint8 or floats in [0, 1], or of any
            range with an augmentation of your own.
        y : None
            Ignored: the training is self-supervised.

        Returns
        -------
        self
            The fitted encoder.

        Raises
        ------
        TypeError, ValueError
            A parameter is wrong or does not suit X, X is text, ragged, constant, a series or not
            finite, or images lie outside [0, 1]. The message names the value and the mend.
        TrainingError
            The loss was not finite.
        """
        check_choice("layer", self.layer, ("encoder", "projector"))
        check_flag("verbose", self.verbose, levels=True)
        check_folder("memory", self.memory)
        return self._fit(self._read(X, reset=True), entropy_of(self.random_state))

    def _fit(self, data, entropy):
        plan = Explicit(np.ones((1, len(data)), bool)).draw(len(data), 1, entropy)
        trainer = self._trainer(data, plan.sizes)
        done = run(
            plan, trainer, [Quality(layer=self.layer)], data, store=self.memory, keep_models=True,
            verbose=self.verbose,
        )  # fmt: skip
        self.model_ = trainer.restore(done.models[0])
        self.effective_rank_ = float(done.values["effective_rank"][0])
        self.layout_ = data.layout
        self.n_features_in_ = int(np.prod(data.shape))
        self._n_features_out = self.model_.embed(data.rows([0]), self.layer).shape[1]
        return self

    @usual_torch()
    def transform(self, X):
        """Represent rows as they are, without augmentation.

        Parameters
        ----------
        X : array-like or dataset
            Rows of the shape seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_dimensions)
            Of dtype float64 where X is a float64 array, else float32.

        Raises
        ------
        ValueError
            X has rows of another shape or bad values.
        """
        check_is_fitted(self)
        return self._represented(self, X)

    @usual_torch()
    def represent(self, data):
        """Represent checked rows, as `transform` does.

        Batches are filled up to one size: sums in another order would make a row's last digits
        depend on the rows it came with.

        Parameters
        ----------
        data : Data
            Rows as `sslmemo.data.as_data` returns them.

        Returns
        -------
        ndarray of float32, shape (n_samples, n_dimensions)
            One representation a row.
        """
        import torch

        x, z = torch.zeros(BATCH, *data.shape), None
        for index in data.chunks(BATCH):
            x[: len(index)] = data.rows(index)
            part = self.model_.embed(x, self.layer).numpy()
            if z is None:
                z = np.empty((len(data), part.shape[1]), part.dtype)
            z[index] = part[: len(index)]
        return z

    @usual_torch()
    def to_torch(self):
        """Give the encoder as a torch module that reads raw rows, for use without this package.

        Returns
        -------
        torch.nn.Module
            In eval mode and on the CPU, with weights of its own: rows (b, *shape) to what
            `transform` returns, (b, n_dimensions) float32, within rounding. Rows are those of X, with
            an image's channels first, (b, c, h, w); a table's columns are standardised inside, and
            uint8 images divided by 255. It can be fine-tuned, and exported by `torch.export`.

        See Also
        --------
        SSLEncoder.export : The same as a file.
        """
        check_is_fitted(self, "model_")
        return RowsToRepresentations(self.model_.module, self.layer, self.layout_)

    @usual_torch()
    def export(self, path):
        """Write what `to_torch` gives for `torch.export.load`, which does not need this package.

        Parameters
        ----------
        path : str or path
            File that ends in ``.pt2``, in a folder that exists; a file that is there is replaced.
            ``torch.export.load(path).module()`` maps float32 rows (b, *shape) to representations
            (b, n_dimensions), for any b of at least 1.

        Raises
        ------
        ValueError
            `path` is a folder or ends otherwise.
        FileNotFoundError
            The folder of `path` does not exist.

        Notes
        -----
        An encoder of your own must suit `torch.export`, whose errors are raised as they are.
        """
        write_program(self.to_torch(), path)

    def save(self, path):
        """Write the fitted encoder to one checksummed file, without pickle.

        Parameters
        ----------
        path : str or path
            File to write, in a folder that exists; a file that is there is replaced.

        Raises
        ------
        ValueError
            `path` is a folder, or `method` or `encoder` was changed since fit.
        FileNotFoundError
            The folder of `path` does not exist.

        Notes
        -----
        Callables and objects of classes of your own are not stored, but must be given to `load`.
        """
        check_is_fitted(self, "model_")
        check_target(path)
        write(path, "SSLEncoder", encoder_content(self))

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
        SSLEncoder
            Fitted, with bitwise the same representations on the same machine.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is no saved SSLEncoder, or was torn or altered; or a foreign parameter is
            missing or not the one that was saved.
        """
        return encoder_of(cls, read(path, "SSLEncoder"), foreign)
