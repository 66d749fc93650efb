"""DejaVuEstimator: is a row's label inferred from its background by who has seen the row alone?"""

from __future__ import annotations

import numbers
import warnings

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted

from .._compat import check_choice, check_in_range, shown
from ..assembly import check_pool_parameters, draw_plan
from ..data import RowIndex, read_rows
from ..estimates import Difference
from ..measurements import Correctness, DejaVu
from ..measurements.dejavu import CORNERS
from ..notebook import FitInNotebook
from ..plans import Plan
from ..pool import run
from ..randomness import entropy_of, usual_torch
from ..result import MemorizationResult
from ..sources import as_array, check_labels
from ..training.precision import limit_jobs
from ..training.recipe import make_trainer
from ..training.supervised import ClassifierTrainer, default_classifier
from .checks import check_classes
from .deja_vu_inputs import check_public_labels, cut, draw_public, shown_parts
from .deja_vu_reading import ReadsDejaVu
from .deja_vu_reference import beside, check_outside

__all__ = ["DejaVuEstimator"]

ARRAYS = {"label": "deja_vu", "share": "deja_vu_share", "confidence": "deja_vu_entropy"}


class DejaVuEstimator(ReadsDejaVu, FitInNotebook, BaseEstimator):
    """Deja vu memorization of every image by self-supervised encoders, with errors.

    Each row's background is asked for the row's label: its nearest public rows in representation
    space vote. Where an encoder that has seen the row (the target) is right and one that has not (the
    reference) is wrong, the background alone does not tell the label, and the row is memorized. The
    score of a row is the accuracy of its vote under targets minus that under references.

    Parameters
    ----------
    method : str or Method, default="simclr"
        As in `MemorizationEstimator`.
    encoder : str or callable, default="auto"
        As in `MemorizationEstimator`.
    augmentation : str or callable, default="auto"
        As in `MemorizationEstimator`. Only one that cuts boxes of the background's size out of images
        links backgrounds to objects: ``"simclr"`` and ``"strong"`` do, ``"digits"`` does not.
    background : array-like or None, default=None
        What is shown of every row of X. None: a corner. Of shape (n_samples, 4), boxes of the object
        in pixels (left, top, right, bottom; the last two exclusive): the largest rectangle beside it,
        see `min_side`. Of shape (n_samples, h, w), boolean masks of the object: the image with the
        object in the mean colour of its other pixels; the outline can stay visible. What is cut out
        is resized to the image's size.
    crop_fraction : float, default=0.3
        Side of the corner, as a share of the image's sides, in (0, 1].
    corner : str, default="lower left"
        ``"upper left"``, ``"upper right"``, ``"lower left"`` (the paper's), ``"lower right"``, or
        ``"random"``, one drawn for each row.
    min_side : float, default=0.2
        Rows get no score if the rectangle beside their box has a shorter side of under this share of
        the image's shorter side; in (0, 1].
    public : float, array-like of int or (X, y), default=0.25
        Labelled rows that no encoder is trained on: a share of the rows of X to draw, in (0, 1); the
        numbers of some; or a tuple of other rows and their labels.
    n_neighbors : int, default=100
        Public rows that vote, all where there are fewer.
    layer : {"projector", "encoder"}, default="projector"
        Whose output is compared. As in the paper, the projector, which memorizes more.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Of the nearest rows.
    outcome : {"label", "share", "confidence"}, default="label"
        What scores are differences of: whether the vote is right; the share of voters with the row's
        label; or the confidence, minus the entropy of their labels in nats, right or wrong.
    reference : {"encoder", "classifier"}, default="encoder"
        Who tells what the background says by itself: encoders that have not seen the row; or
        classifiers, fitted to the backgrounds of all rows of X, public ones included, that the target
        was not trained on (the one-model test). Both are reported then, see `results_`.
    classifier : classifier or None, default=None
        Of scikit-learn, for ``reference="classifier"``; it reads flattened backgrounds. None is
        logistic regression after standardisation.
    design : str or design, default="subsample"
        Of the rows that are not public, see `MemorizationEstimator`. The default trains pairs on
        halves A and B: each encoder is the target of its half and the reference of the other.
    n_encoders : int, default=64
        Number of trainings, a multiple of the design's block. 2 is the paper's single pair and gives
        no errors.
    epochs : float, default=100
        Passes over the training rows, on average over the encoders; above 0.
    batch_size : int or None, default=None
        Rows a step; None is the smaller of 256 and the smallest training set.
    learning_rate : float, default=1e-3
        Peak of the one-cycle schedule of AdamW; above 0.
    channels : {"first", "last"}, default="first"
        Where an image has its channels; never guessed.
    image_shape : tuple of int or None, default=None
        (h, w), or three sizes in the order of `channels`, if the rows of a matrix are images.
    device : str, default="auto"
        Of encoders, see `MemorizationEstimator`.
    precision : {"auto", "fp32", "bf16"}, default="auto"
        Of encoders, see `MemorizationEstimator`.
    n_jobs : int or None, default=None
        Blocks trained at once on a CPU, see `MemorizationEstimator`.
    memory : str, path or None, default=None
        Folder in which every finished block is kept, see `MemorizationEstimator`.
    max_time : float or None, default=None
        Seconds for the pool of encoders, above 0; classifiers take no notice of it.
    on_error : {"raise", "drop"}, default="raise"
        Whether a training that fails ends the fit, or its block is left out with a warning.
    random_state : int, RandomState instance or None, default=None
        Of the public rows, random corners, design and trainings. The same int, not negative, gives
        the same scores on a CPU.
    verbose : int, default=1
        1 shows a progress bar over the encoders, 0 nothing.

    Attributes
    ----------
    result_ : MemorizationResult
        Scores with their errors and tables, and the matrices, see `sslmemo.measurements.DejaVu`. What
        its tables call alignment is the error of the vote, the share of other voters or the entropy.
    results_ : dict of str to MemorizationResult
        By reference: ``"encoder"`` and, if asked for, ``"classifier"``. ``result_`` is one of them.
    memorization_scores_ : ndarray of shape (n_samples,)
        Deja vu score of every row, in the order of X; in [-1, 1], or nats. NaN for public rows, those
        without enough background, and those never in or never out.
    standard_errors_ : ndarray of shape (n_samples,)
        Their standard errors, moderated by the other rows; NaN with one block, and 0, which is too
        certain, where all blocks agree (``outcome="share"`` has few such rows).
    accuracy_ : ScoreTable
        What `accuracy_table` gives by default.
    partition_ : ndarray of str, shape (n_samples,)
        What `partition` gives by default.
    public_ : ndarray of bool, shape (n_samples,)
        Rows of X that are public.
    membership_ : ndarray of bool, shape (n_encoders, n_samples)
        Who was trained on what.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted, those of public rows included.
    n_features_in_ : int
        Numbers in one row.
    layout_ : Layout
        How rows are read.

    See Also
    --------
    LabelMemorizationEstimator : Memorization of labels by who is trained on them.

    Notes
    -----
    The paper has one pair of encoders, whose votes differ by chance too: what a single pair calls
    memorized and misrepresented is in part this noise, of which both have the same: 7% and 8% of rows
    where all backgrounds were equal. A pool averages it out. Encoders see half of the rows that are
    not public, and scores hold for that size.

    With few rows the gap is slightly below 0 where there is nothing to memorize, perhaps as halves
    differ in how many rows they have of each class: with 80 rows of ten classes and equal backgrounds
    -0.012 on average over 40 pools (standard error 0.004), with 240 rows 0.001 (0.003; 22 pools). The
    95% intervals of `accuracy_` held 0 in all 62, so they are careful.

    The one-model test compares an encoder with another kind of model: its gap is 0 for rows without
    memorization only if the classifier reads backgrounds as well as the vote does. Its rows differ
    reliably even then, as classifiers err on the same rows in every block: a reliability of 0.91 was
    measured where crops link no background to an object and the gap held 0 in its interval.

    References
    ----------
    Meehan, Bordes, Vincent, Chaudhuri and Guo, Do SSL models have deja vu? A case of unintended
    memorization in self-supervised learning, NeurIPS 2023 (arXiv:2304.13850).

    Kokhlikyan, Jayaraman, Bordes, Guo and Chaudhuri, Measuring deja vu memorization efficiently,
    NeurIPS 2024 (arXiv:2504.05651).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sslmemo.baselines import DejaVuEstimator
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> est = DejaVuEstimator(image_shape=(8, 8), n_encoders=4, epochs=2, random_state=0, verbose=0)
    >>> est.fit(X[:100] / 16, y[:100]).score_samples(X[:100] / 16).shape
    (100,)
    """

    def __init__(self, method="simclr", encoder="auto", augmentation="auto", *, background=None,
                 crop_fraction=0.3, corner="lower left", min_side=0.2, public=0.25,
                 n_neighbors=100, layer="projector", metric="euclidean", outcome="label",
                 reference="encoder", classifier=None, design="subsample", n_encoders=64,
                 epochs=100, batch_size=None, learning_rate=1e-3, channels="first",
                 image_shape=None, device="auto", precision="auto", n_jobs=None, memory=None,
                 max_time=None, on_error="raise", random_state=None, verbose=1):  # fmt: skip
        self.method = method
        self.encoder = encoder
        self.augmentation = augmentation
        self.background = background
        self.crop_fraction = crop_fraction
        self.corner = corner
        self.min_side = min_side
        self.public = public
        self.n_neighbors = n_neighbors
        self.layer = layer
        self.metric = metric
        self.outcome = outcome
        self.reference = reference
        self.classifier = classifier
        self.design = design
        self.n_encoders = n_encoders
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.channels = channels
        self.image_shape = image_shape
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.memory = memory
        self.max_time = max_time
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        """Labels are needed; two-, three- and four-dimensional arrays of numbers are read."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    @usual_torch()
    def fit(self, X, y, groups=None):
        """Train the pool and ask every row's background.

        Parameters
        ----------
        X : array-like of shape (n, c, h, w) or (n, h, w, c), a flat matrix, or dataset
            Images, see `MemorizationEstimator`; of a flat matrix `image_shape` must be given.
        y : array-like of shape (n_samples,)
            Their labels: at least two classes, not all of them of one row.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are public, in or out together; by default rows of equal content are a
            group, with a warning.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            Before any training: a parameter is wrong or does not suit X, y are no classes, or X has
            bad values. The message names the value and the mend.
        TrainingError
            A training failed and ``on_error="raise"``, or every block failed.

        Warns
        -----
        UserWarning
            Rows are copies of others, have a label that no public row has, show too little background
            or can have no score; or blocks are missing.
        """
        self._check_parameters()
        data = self._read(X, reset=True)
        if not data.layout.is_image:
            raise ValueError(
                f"deja vu is asked of images, and rows of X have shape {data.shape}: give "
                "(n, c, h, w), or image_shape= if the rows are flattened images."
            )
        if y is None:
            raise ValueError("DejaVuEstimator requires y to be passed, but the target y is None.")
        y, self.classes_ = check_classes(y, len(data))
        index, entropy = RowIndex(data), entropy_of(self.random_state)
        self.public_, public, y_public = self._public(data, y, index, groups, entropy)
        target, votes = np.searchsorted(self.classes_, y), np.searchsorted(self.classes_, y_public)
        check_public_labels(target[~self.public_], votes, self.classes_)
        boxes, masks, usable = shown_parts(
            self.background, data, self.corner, self.crop_fraction, self.min_side, entropy
        )
        plan = self._plan(data, index, groups, usable, entropy)
        asked = np.flatnonzero(plan.contrast.any(0))
        measurement = DejaVu(
            target, asked, cut(data, asked, boxes, masks), public, votes, self.n_neighbors,
            self.layer, self.metric,
        )  # fmt: skip
        trainer = make_trainer(
            data, plan.sizes, method=self.method, encoder=self.encoder,
            augmentation=self.augmentation, epochs=self.epochs, batch_size=self.batch_size,
            learning_rate=self.learning_rate, device=self.device, precision=self.precision,
        )  # fmt: skip
        known = np.flatnonzero(usable)
        if self.reference == "classifier":
            check_outside(plan, known)
        done = run(
            plan, trainer, [measurement], data, n_jobs=limit_jobs(self.n_jobs, trainer.device),
            store=self.memory, on_error=self.on_error, max_time=self.max_time, verbose=self.verbose,
        )  # fmt: skip
        runs = {"encoder": done}
        if self.reference == "classifier":
            crops = cut(data, known, boxes, masks)
            runs["classifier"] = beside(done, self._classified(done.plan, known, crops, y), known)
        estimate = Difference(of=ARRAYS[self.outcome])
        self.results_ = {name: MemorizationResult(r, estimate) for name, r in runs.items()}
        self.result_ = self.results_[self.reference]
        self._index, self.membership_ = index, done.plan.member
        self.memorization_scores_ = self.result_.score
        self.standard_errors_ = self.result_.standard_error
        self.accuracy_, self.partition_ = self.accuracy_table(), self.partition()
        return self

    @usual_torch()
    def score_samples(self, X):
        """Deja vu scores of rows given to fit, recognised by content.

        Parameters
        ----------
        X : array-like or dataset
            Rows seen in fit, in any order; see `MemorizationEstimator.score_samples`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Higher = more memorized; the mean of a row's copies that have a score, NaN without one.

        Raises
        ------
        ValueError
            A row was not seen in fit, or has another shape.
        """
        check_is_fitted(self, "result_")
        found = self._index.find_all(self._read(X))
        return self._index.mean_of_copies(self.memorization_scores_, skip_nan=True)[found]

    def _read(self, X, reset=False):
        return read_rows(self, X, reset, unit_range=isinstance(self.augmentation, str))

    def _public(self, data, y, index, groups, entropy):
        """Which rows of X are public, and all public rows with their labels."""
        given, n = self.public, len(data)
        if isinstance(given, tuple):
            public = self._read(given[0])
            y_public = check_labels(given[1], len(public), "public")
            if (y.dtype.kind in "biuf") != (y_public.dtype.kind in "biuf"):
                raise ValueError(
                    f"public has labels of dtype {y_public.dtype}, but y of {y.dtype}: give both alike."
                )
            copies = int((index.find(public) >= 0).sum())
            self.classes_ = np.unique(np.concatenate([y, y_public]))
            is_public = np.zeros(n, bool)
        else:
            is_public = draw_public(given, index, groups, entropy)
            inside = np.unique(index.copy_of[~is_public])
            copies = int(np.isin(index.copy_of[is_public], inside).sum())
            public, y_public = data.take(np.flatnonzero(is_public)), y[is_public]
        if copies:
            warnings.warn(
                f"{copies} public rows are copies of rows to train on, and vote for them: take them "
                "out of public=.",
                stacklevel=4,
            )
        return is_public, public, y_public

    def _plan(self, data, index, groups, usable, entropy):
        """Plan of all rows: public ones are out of everything, and unscored ones on no side."""
        private, n = np.flatnonzero(~self.public_), len(data)
        if len(private) < 2:
            raise ValueError(f"public={shown(self.public)} leaves {len(private)} rows to train on.")
        part = data if len(private) == n else data.take(private)
        own = index if part is data else RowIndex(part)
        groups = None if groups is None else as_array("groups", groups)[private]
        drawn = draw_plan(self, part, own, groups, entropy)
        # a target has seen the row and a reference has not, whatever a design's contrast says
        f, g = drawn.as_f & drawn.member, drawn.as_g & ~drawn.member
        scored = f.any(0) & g.any(0) & usable[private]
        if not scored.any():
            raise ValueError(
                "no row with a background is in some encoders' training sets and out of others': change "
                "design=, public= or background=."
            )
        member = np.zeros((drawn.n_encoders, n), bool)
        contrast = np.zeros(member.shape, np.int8)
        member[:, private] = drawn.member
        contrast[:, private] = (g.astype(np.int8) - f) * scored
        return Plan(
            member, drawn.block, drawn.seed, contrast, design=drawn.design, nominal=drawn.sizes
        )

    def _classified(self, plan, known, crops, y):
        """Run of the classifiers, each fitted to the backgrounds that its target has not seen."""
        classifier = default_classifier() if self.classifier is None else self.classifier
        measurements = [Correctness(y[known], name="deja_vu")]
        if self.outcome == "share":
            measurements.append(Correctness(y[known], True, name="deja_vu_share"))
        return run(
            Plan(~plan.member[:, known], plan.block, plan.seed),
            ClassifierTrainer(classifier, y[known], crops), measurements, crops,
            n_jobs=limit_jobs(self.n_jobs, "cpu"), store=self.memory, on_error=self.on_error,
        )  # fmt: skip

    def _check_parameters(self):
        """Refuse bad parameters before the data are read."""
        check_pool_parameters(self)
        check_in_range("n_neighbors", self.n_neighbors, numbers.Integral, 1)
        for name in ("crop_fraction", "min_side"):
            check_in_range(name, getattr(self, name), numbers.Real, 0, 1, open_low=True)
        check_choice("corner", self.corner, (*CORNERS, "random"))
        check_choice("layer", self.layer, ("projector", "encoder"))
        check_choice("metric", self.metric, ("euclidean", "cosine"))
        check_choice("outcome", self.outcome, tuple(ARRAYS))
        check_choice("reference", self.reference, ("encoder", "classifier"))
        if isinstance(self.public, numbers.Real) and not 0 < self.public < 1:
            raise ValueError(f"public={self.public!r} must be a share strictly between 0 and 1.")
        if isinstance(self.public, tuple) and len(self.public) != 2:
            raise ValueError(f"public must be a tuple (X, y), got {len(self.public)} entries.")
        own = self.classifier
        if own is not None and not (hasattr(own, "fit") and is_classifier(own)):
            raise TypeError(
                f"classifier must be a scikit-learn classifier, got {shown(self.classifier)}."
            )
        if self.reference == "classifier" and self.outcome == "confidence":
            raise ValueError(
                "outcome='confidence' has no reference='classifier': the entropy of a vote and that of "
                "a classifier's probabilities are on no common scale. Use outcome='share'."
            )
        probable = self.classifier is None or hasattr(self.classifier, "predict_proba")
        if self.reference == "classifier" and self.outcome == "share" and not probable:
            raise TypeError(
                f"outcome='share' needs predict_proba, which classifier={shown(self.classifier)} lacks: "
                "use outcome='label'."
            )
