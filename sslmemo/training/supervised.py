"""Supervised trainers: any classifier of scikit-learn, and torch networks that return logits.

Their models answer `predict` and `probability` of labels, for the rows of a `Data`.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import sys

import numpy as np
import torch
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController
from torch import nn

from ..identity import describe, key_of
from ..protocols import TrainingError
from ..randomness import derive_seed, draws_undone, generator, seeded
from .model import evaluating
from .ssl import handover_steps, one_cycle, row_stream

__all__ = [
    "ClassifierTrainer",
    "NetworkTrainer",
    "default_classifier",
    "digest_as_given",
    "labels_key",
]


def default_classifier():
    """Logistic regression on standardised features: what None stands for."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


class ClassifierTrainer:
    """Fits clones of a scikit-learn classifier to the rows as they were given, flattened.

    Parameters
    ----------
    estimator : classifier
        Never fitted itself. Every parameter named ``random_state``, at any depth, is set from the
        seed, and what the fit draws from NumPy's or torch's global generator comes from it too.
    y : ndarray of shape (n,)
        Label of every row of the data.
    data : Data
        The rows, to tell this trainer's store from that of rows on another scale.

    Notes
    -----
    Rows of one label alone make the classifier that always says it.
    """

    device = "cpu"

    def __init__(self, estimator, y, data):
        self.estimator, self.y = estimator, y
        self._given = digest_as_given(data)

    def config(self):
        """Everything that determines a training beside data, rows and seed, as plain JSON."""
        return {
            "trainer": "classifier",
            "estimator": describe(_with_random_states(self.estimator, lambda name: None)),
            "labels": labels_key(self.y),
            "rows": self._given,  # the data's own fingerprint is that of standardised columns
            "library": _library(self.estimator),
        }

    def probe(self, data):
        """What tells apart classifiers of one description: predictions after every second row."""
        try:
            model = self._fitted(data, np.arange(0, len(data), 2), 0)
        except TrainingError:
            return {}
        known = np.unique(self.y)
        return {"predictions": np.searchsorted(known, model.predict(data))}

    def max_together(self, n_rows):
        """One: classifiers are fitted one after another."""
        return 1

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        """Fit k classifiers, see `sslmemo.protocols.Trainer`; there is one stage, the end."""
        pairs = zip(member, seeds, strict=True)
        models = [self._fitted(data, np.flatnonzero(rows), int(seed)) for rows, seed in pairs]
        for fraction in at:
            yield fraction, models

    def _fitted(self, data, rows, seed):
        X, y = _as_given(data, rows), self.y[rows]
        if (y == y[0]).all():
            return ClassifierModel(DummyClassifier(strategy="most_frequent").fit(X, y), seed)
        estimator = _with_random_states(
            self.estimator, lambda name: derive_seed(seed, "classifier", name) % 2**32
        )
        try:
            with _draws_from(derive_seed(seed, "global draws")), _one_thread():
                estimator.fit(X, y)
        except Exception as error:  # whatever foreign code raises
            raise TrainingError(
                f"{type(estimator).__name__} failed on the {len(y)} training rows of seed {seed} "
                f"({type(error).__name__}: {error})."
            ) from error
        return ClassifierModel(estimator, seed)


class ClassifierModel:
    """A fitted scikit-learn classifier.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    seed : int
        Of its training, and of what it may draw in predicting.
    """

    def __init__(self, estimator, seed):
        self.estimator, self.seed = estimator, seed

    def state(self):
        """Nothing: what was fitted is no set of arrays."""
        return {}

    def predict(self, data):
        """Predicted label of every row: ndarray (n,)."""
        return self._of_all("predict", data)

    def probability(self, data, y):
        """Probability that the label y of every row is given, 0 for a label not seen in training.

        Parameters
        ----------
        data : Data
            Rows.
        y : ndarray of shape (n,)
            Their labels.

        Returns
        -------
        ndarray of float, shape (n,)
            In [0, 1].
        """
        said = self._of_all("predict_proba", data)  # (n, n_seen)
        column = {label: j for j, label in enumerate(self.estimator.classes_.tolist())}
        column = np.array([column.get(label, -1) for label in y.tolist()])
        return np.where(column >= 0, said[np.arange(len(y)), column], 0.0)

    def _of_all(self, method, data):
        say = getattr(self.estimator, method)
        with _draws_from(derive_seed(self.seed, method)), _one_thread():
            return np.concatenate([say(_as_given(data, index)) for index in data.chunks()])


class NetworkTrainer:
    """Trains networks by cross-entropy, AdamW and a one-cycle schedule, all for equally many steps.

    Parameters
    ----------
    network : callable
        Zero-argument factory of a fresh torch module, (b, *shape) -> logits (b, n_labels). Columns of
        logits are labels in sorted order.
    y : ndarray of shape (n,)
        Label of every row of the data.
    steps : int
        Optimizer steps of every network.
    batch_size : int
        Rows a step.
    learning_rate : float
        Peak of the schedule.
    weight_decay : float, default=0.01
        Of AdamW.
    device : str, default="cpu"
        Resolved.
    """

    def __init__(self, network, y, *, steps, batch_size, learning_rate, weight_decay=0.01,
                 device="cpu"):  # fmt: skip
        self.network, self.y = network, y
        self.labels, self._target = np.unique(y, return_inverse=True)
        self.steps, self.batch_size = steps, batch_size
        self.learning_rate, self.weight_decay, self.device = learning_rate, weight_decay, device

    def config(self):
        """Everything that determines a training beside data, rows and seed, as plain JSON."""
        return {
            "trainer": "network",
            "network": describe(self.network),
            "labels": labels_key(self.y),
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "device": torch.device(self.device).type,
        }

    def probe(self, data):
        """What tells apart factories of one name: logits of a few rows under fixed weights."""
        x = data.rows(np.arange(min(4, len(data))))
        return {"logits": NetworkModel(self.build(0).cpu(), self.labels).embed(x).numpy()}

    def max_together(self, n_rows):
        """One: networks are trained one after another."""
        return 1

    def prepare_job(self, number):
        """Take the job's own device, where there are several."""
        if self.device == "cuda":
            torch.cuda.set_device(number % torch.cuda.device_count())

    def build(self, seed):
        """Fresh network, its weights drawn from `seed`."""
        with seeded(derive_seed(seed, "init")):
            return self.network().to(self.device)

    def check(self, data):
        """Try one forward pass before any training.

        Raises
        ------
        TypeError, ValueError
            The factory returns no module, the same weights twice, or no finite logits of all labels.
        """
        with draws_undone():
            try:
                module, again = self.build(0), self.build(1)
                x = data.rows(np.arange(2), self.device)
                with seeded(0), evaluating(module):
                    logits = module(x)
                shape, finite = tuple(logits.shape), bool(torch.isfinite(logits).all())
            except Exception as error:  # whatever foreign code raises
                raise ValueError(
                    f"estimator= failed on 2 rows of shape {data.shape} ({type(error).__name__}: "
                    f"{error}): it must be a zero-argument factory of a torch module of logits."
                ) from error
        if shape != (2, len(self.labels)) or not finite:
            raise ValueError(
                f"estimator= returned shape {shape} for 2 rows: finite logits (2, {len(self.labels)}) "
                "are needed, one for each label of y."
            )
        if {id(p) for p in module.parameters()} & {id(p) for p in again.parameters()}:
            raise ValueError(
                "estimator= returned the same weights twice: the factory must build a new module at "
                "every call, or copy.deepcopy a pretrained one; else g has seen what f saw."
            )

    def fit_many(self, data, member, seeds, *, at=(1.0,), observers=()):
        """Train k networks, see `sslmemo.protocols.Trainer`."""
        stages = [
            self._stages(data, np.flatnonzero(rows), int(seed), at, observers, which)
            for which, (rows, seed) in enumerate(zip(member, seeds, strict=True))
        ]
        for fraction, modules in zip(at, zip(*stages), strict=True):
            yield fraction, [NetworkModel(m, self.labels, self.device) for m in modules]

    def _stages(self, data, rows, seed, at, observers, which):
        """One network at every fraction of its training."""
        module, target = self.build(seed), torch.from_numpy(self._target).to(self.device)
        optimizer, schedule = one_cycle(self, module.parameters())
        stream = row_stream(rows, self.batch_size, generator(seed, "order"))
        handover, stages = handover_steps(at, self.steps), []
        diverged = torch.zeros((), dtype=torch.bool, device=self.device)
        with torch.enable_grad(), seeded(derive_seed(seed, "training"), self.device):  # dropout
            module.train()
            for step in range(self.steps):
                index = next(stream)
                logits = module(data.rows(index, self.device))  # (b, n_labels)
                losses = nn.functional.cross_entropy(logits, target[index], reduction="none")
                optimizer.zero_grad(set_to_none=True)
                losses.mean().backward()
                optimizer.step()
                schedule.step()
                diverged |= ~torch.isfinite(losses.detach()).all()
                for observe in observers:
                    observe(
                        np.array([which]), step, index[None], losses.detach()[None],
                        logits.detach()[None, None],
                    )  # fmt: skip
                done = step + 1 == self.steps
                stages.extend(
                    module if done else copy.deepcopy(module)
                    for _ in range(handover.count(step + 1))
                )
        if diverged:
            raise TrainingError(
                f"the training of seed {seed} diverged (loss not finite within {self.steps} steps): "
                f"lower learning_rate={self.learning_rate}."
            )
        return stages


class NetworkModel:
    """A trained network of logits.

    Parameters
    ----------
    module : torch.nn.Module
        (b, *shape) -> (b, n_labels).
    labels : ndarray of shape (n_labels,)
        Label of each column.
    device : str, default="cpu"
        Where it lies.
    """

    def __init__(self, module, labels, device="cpu"):
        self.module, self.labels, self.device = module, labels, device

    def embed(self, x, layer="encoder"):
        """Logits (b, ...) -> (b, n_labels), in eval mode and without gradients, float32."""
        with evaluating(self.module):
            return self.module(x.to(self.device)).float().to(x.device)

    def state(self):
        """Weights and buffers by name: dict of ndarray."""
        return {k: v.detach().cpu().numpy().copy() for k, v in self.module.state_dict().items()}

    def predict(self, data):
        """Predicted label of every row: ndarray (n,)."""
        return self.labels[self._logits(data).argmax(1).numpy()]

    def probability(self, data, y):
        """Probability that the label y of every row is given: ndarray (n,), see `ClassifierModel`."""
        said = self._logits(data).softmax(1).numpy()
        return said[np.arange(len(y)), np.searchsorted(self.labels, y)]

    def _logits(self, data):
        return torch.cat([self.embed(data.rows(index)) for index in data.chunks(256)])


def digest_as_given(data):
    """Hex digest of the rows as they were given, unscaled, in order."""
    whole = hashlib.blake2b(digest_size=16)
    for index in data.chunks():
        rows = _as_given(data, index)
        whole.update(f"{rows.dtype}{rows.shape}".encode() + np.ascontiguousarray(rows).tobytes())
    return whole.hexdigest()


def labels_key(y):
    """Hash of labels of any kind."""
    labels, codes = np.unique(y, return_inverse=True)
    return key_of(describe(labels.tolist()), codes)


def _as_given(data, index):
    """Rows as they were given, flattened: (b, d)."""
    rows = data.source[index]
    return rows.reshape(len(rows), -1)


def _library(estimator):
    """Versions of scikit-learn and of the package that the classifier's class comes from."""
    packages = sorted({"sklearn", type(estimator).__module__.partition(".")[0]})
    return {p: getattr(sys.modules.get(p), "__version__", None) for p in packages}


def _with_random_states(estimator, state_of):
    """Clone whose parameters `random_state`, at any depth, are set by their names."""
    twin = clone(estimator)
    names = sorted(n for n in twin.get_params() if n.rpartition("__")[2] == "random_state")
    return twin.set_params(**{name: state_of(name) for name in names})


@contextlib.contextmanager
def _draws_from(seed):
    """All global generators from a seed; the caller's are put back."""
    with seeded(seed), draws_undone():
        np.random.seed(seed % 2**32)  # noqa: NPY002
        yield


@functools.cache
def _thread_pools():
    return ThreadpoolController()  # finding the libraries takes milliseconds


def _one_thread():
    """One BLAS and OpenMP thread, so that sums never depend on the number of cores."""
    return _thread_pools().limit(limits=1)
