"""Any input at all: rows of every kind in every container, parameters of every kind, what must hold."""

import functools
import os
import random
import re
import tempfile
import time
import traceback
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck
from hypothesis import strategies as st
from torch import nn

import sslmemo
from sslmemo import MemorizationEstimator, SSLEncoder, memorization_scores
from sslmemo.designs import LeaveOneOut, Subsample
from sslmemo.protocols import TrainingError
from sslmemo.training.prefit import PrefitTrainer
from sslmemo.training.ssl import SSLTrainer

OURS = os.path.dirname(sslmemo.__file__)
BASE = {"n_encoders": 4, "epochs": 0.5, "n_views": 2, "verbose": 0, "random_state": 0}
TABLE = np.random.default_rng(0).standard_normal((12, 3))
IMAGES = np.random.default_rng(1).random((12, 1, 4, 4)).astype(np.float32)
# what scikit-learn says of shapes and names is said well, and by all its estimators alike
BY_SCIKIT_LEARN = (
    "Expected 2D array|Found array with|features as input|eature names|np.matrix|not fitted yet"
)


def small(d):
    """An encoder for rows of d numbers that trains in a millisecond a step."""
    return nn.Sequential(nn.Flatten(), nn.Linear(d, 8), nn.ReLU(), nn.Linear(8, 8))


def noise(x):
    return x + 0.1 * torch.randn_like(x)


def estimator(X=TABLE, **changes):
    encoder = functools.partial(small, int(np.prod(np.shape(X)[1:])))
    return MemorizationEstimator(**{**BASE, "encoder": encoder, **changes})


def settings_of_the_process():
    legacy = np.random.get_state()  # noqa: NPY002
    return (
        random.getstate(),
        (legacy[1].tobytes(), *legacy[2:]),
        torch.get_rng_state().numpy().tobytes(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )


@contextmanager
def untouched():
    """Global generators, torch's threads, dtype and gradient mode are as before; yields trainings begun."""
    before, started = settings_of_the_process(), []
    with pytest.MonkeyPatch.context() as patch:
        for kind, name in ((SSLTrainer, "_fit_one"), (PrefitTrainer, "fit_many")):
            original = getattr(kind, name)

            def spy(*args, original=original, **kwargs):
                started.append(original)
                return original(*args, **kwargs)

            patch.setattr(kind, name, spy)
        yield started
    assert settings_of_the_process() == before


def is_ours(error):
    """Whether code of ours raised it."""
    return traceback.extract_tb(error.__traceback__)[-1].filename.startswith(OURS)


def check_refusal(error, started, parameter=None):
    """An error of ours (or of scikit-learn, where it is clear), before any training."""
    told = "".join(traceback.format_exception(error))
    assert isinstance(error, (ValueError, TypeError)), told
    assert not started, f"refused after a training: {told}"
    by_us = is_ours(error)
    assert by_us or re.search(BY_SCIKIT_LEARN, str(error)), told
    assert len(str(error)) > 25, told
    assert parameter is None or parameter in str(error), told


def refused(call, message, parameter=None):
    with untouched() as started, pytest.raises((ValueError, TypeError), match=message) as caught:
        call()
    check_refusal(caught.value, started, parameter)


class Rows:
    """A dataset whose items are made by a function of the position."""

    def __init__(self, item, n=12):
        self.item, self.n = item, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.item(i)


def linear(seed, d=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(d, 4)


JUNK = [
    None, True, np.True_, "x", "", "auto", -1, 0, 1, 2, 3, 1.5, 0.5, np.nan, np.inf, -np.inf,
    np.float64(0.5), np.int64(2), np.uint8(2), np.float16(2), np.array(2), np.array([1, 2]), [1],
    [], (), {}, {"a": 1}, object(), int, 10**30, -(2**70), 1j, b"x", len, noise, lambda: 1,
    nn.Identity(), nn.Identity, nn.Linear, nn.ModuleList(), torch.tensor(1.0), torch.zeros(3),
    "cpu", "cuda", "simclr", "mlp", "explicit", "split", "scarf", set(), range(3), ...,
    np.datetime64("2020"), np.random.RandomState(0), np.random.default_rng(0),
]  # fmt: skip
JUNK_FOR = [
    "method", "encoder", "augmentation", "design", "n_encoders", "estimate", "distance", "n_views",
    "anchor", "layer", "normalize", "measurements", "epochs", "batch_size", "learning_rate",
    "gradient_noise", "channels", "image_shape", "keep_encoders", "device", "precision", "n_jobs", "memory",
    "max_time", "stop_when", "on_error", "warm_start", "random_state", "verbose", "y", "groups",
]  # fmt: skip
# whose mend is in the hands of others
PENDING = set()


def junk_for(name):
    """Values for a parameter, without those that would start processes."""
    if name != "n_jobs":
        return JUNK
    return [v for v in JUNK if not (isinstance(v, (int, np.integer)) and v not in (0, 1))]


DTYPES = [
    "f4",
    "f8",
    "f2",
    "i8",
    "i1",
    "u1",
    "?",
    "u8",
    "g",
    ">f4",
    "O",
    "c8",
    "U5",
    "M8[D]",
    "m8[s]",
]


def values(style, shape, seed):
    """Numbers of a style: float64."""
    rng = np.random.default_rng(seed)
    plain = rng.random(shape) if len(shape) > 2 else rng.standard_normal(shape)
    spot = np.zeros(shape, bool)
    if plain.size:
        spot.flat[rng.integers(plain.size)] = True
    return {
        "plain": lambda: plain,
        "bytes": lambda: np.floor(rng.random(shape) * 256),
        "constant": lambda: np.full(shape, 0.5),
        "copies": lambda: np.resize(plain[: max(1, len(plain) // 2)], shape) if shape else plain,
        "one constant column": lambda: (
            np.where(np.arange(shape[-1]) == 0, 0.5, plain) if shape else plain
        ),
        "NaN": lambda: np.where(spot, np.nan, plain),
        "infinite": lambda: np.where(spot, -np.inf, plain),
        "huge": lambda: plain * 1e300,
        "tiny": lambda: plain * 1e-300,
        "far": lambda: plain + 1e9,
    }[style]()


def laid_out(X, layout):
    """The same array in another memory layout."""
    if layout == "Fortran":
        return np.asfortranarray(X)
    if layout == "backwards" and X.ndim:
        return np.ascontiguousarray(X[::-1])[::-1]
    if layout == "every other" and X.ndim:
        return np.repeat(X, 2, axis=0)[::2]
    if layout == "read-only":
        X = X.copy()
        X.flags.writeable = False
        return X
    if layout == "memmap" and X.size and not X.dtype.hasobject:
        with tempfile.TemporaryFile() as file:
            mapped = np.memmap(file, X.dtype, "w+", shape=X.shape)
        mapped[...] = X
        return mapped
    return X


def as_tensor(X, change=lambda t: t):
    if X.dtype.kind not in "biuf" or X.dtype.byteorder == ">" or X.dtype.itemsize > 8:
        return X
    return change(torch.from_numpy(np.array(X, order="C")))


def in_frame(X, **columns):
    if X.ndim != 2:
        return X
    names = {f"c{j}": X[:, j] for j in range(X.shape[1])}
    for name, column in columns.items():
        names[name] = list(column(len(X)))
    return pd.DataFrame(names, index=range(len(X)))


def in_polars(X, change=lambda f: f):
    if (
        X.ndim != 2
        or X.dtype.kind not in "biufO"
        or X.dtype.byteorder == ">"
        or X.dtype.itemsize > 8
    ):
        return X
    return change(pl.DataFrame({f"c{j}": X[:, j].tolist() for j in range(X.shape[1])}))


def rows_of(X, item):
    return Rows(item, len(X)) if X.ndim else X


CONTAINERS = {
    "array": lambda X: X,
    "list": lambda X: X.tolist(),
    "tuple of rows": lambda X: tuple(X) if X.ndim else X,
    "tensor": as_tensor,
    "tensor with gradients": lambda X: as_tensor(
        X, lambda t: t.requires_grad_() if t.is_floating_point() else t
    ),
    "half tensor": lambda X: as_tensor(X, lambda t: t.bfloat16()),
    "strided tensor": lambda X: as_tensor(
        X, lambda t: t.transpose(0, -1).contiguous().transpose(0, -1) if t.ndim else t
    ),
    "sparse tensor": lambda X: as_tensor(X, lambda t: t.to_sparse() if t.ndim else t),
    "frame": in_frame,
    "frame with text": lambda X: in_frame(X, text=lambda n: ["a"] * n),
    "nullable frame": lambda X: in_frame(X).convert_dtypes() if X.ndim == 2 else X,
    "frame with dates": lambda X: in_frame(X, day=lambda n: pd.date_range("2020", periods=n)),
    "polars": in_polars,
    "polars with text": lambda X: in_polars(X, lambda f: f.with_columns(pl.lit("a").alias("t"))),
    "series": lambda X: pd.Series(X[:, 0]) if X.ndim == 2 and X.shape[1] else X,
    "sparse": lambda X: scipy.sparse.csr_array(X) if X.ndim == 2 and X.dtype.kind in "iuf" else X,
    "masked": lambda X: np.ma.masked_array(X, mask=np.zeros(X.shape, bool)),
    "partly masked": lambda X: np.ma.masked_array(X, mask=np.ones(X.shape, bool)),
    "dataset": lambda X: rows_of(X, lambda i: X[i]),
    "dataset of pairs": lambda X: rows_of(X, lambda i: (X[i], 0)),
    "dataset of tensors": lambda X: rows_of(X, lambda i: as_tensor(np.asarray(X[i]))),
    "dataset of dicts": lambda X: rows_of(X, lambda i: {"x": X[i]}),
    "dataset of None": lambda X: rows_of(X, lambda i: None),
    "dataset that fails": lambda X: rows_of(X, lambda i: X[i + 1]),
    "ragged dataset": lambda X: rows_of(X, lambda i: X[i][: i % 2 + 1]),
    "random dataset": lambda X: rows_of(X, lambda i: X[i] + random.random()),
    "generator": lambda X: (row for row in np.atleast_1d(X)),
    "dict": lambda X: {"x": X},
    "None": lambda X: None,
    "junk": lambda X: object(),
}  # fmt: skip


@st.composite
def cases(draw):
    """A call: rows as an array and how to wrap them, parameters, and which of the three is called."""
    pick = lambda *options: draw(st.sampled_from(options))  # noqa: E731
    often = lambda usual, *others: pick(*[usual] * (9 * len(others)), *others)  # noqa: E731
    ndim = pick(*[2] * 8, *[4] * 8, 3, 1, 0, 5)
    sizes = [often(8, 9, 6, 4, 3, 2, 1, 0), *(often(3, 4, 2, 1, 0) for _ in range(4))]
    shape = tuple(sizes[:ndim])
    style = often(
        "plain", "bytes", "constant", "copies", "one constant column", "NaN", "infinite", "huge",
        "tiny", "far",
    )  # fmt: skip
    target = pick("estimator", "estimator", "estimator", "encoder", "scores")
    flat = int(np.prod(shape[1:]))
    parameters = {
        "epochs": pick(0.1, 0.5, 1),
        "batch_size": often(None, 2, 3, 100),
        "channels": often("first", "last"),
        "image_shape": often(None, (1, flat), (flat, 1, 1), (2, 2), (0, 3)),
        "augmentation": pick("auto", noise, "auto", noise, often("weak", "scarf", lambda x: x[:1])),
        "layer": pick("encoder", "projector"),
    }
    if target == "estimator":
        parameters |= {
            "design": often(
                "subsample", "split", LeaveOneOut([0, 1]), Subsample(1 / 3), Subsample(0.7, False)
            ),
            "n_encoders": often(4, 2, 6, 3, 1),
            "normalize": often(None, "encoder", "relative", "range"),
            "anchor": pick("view", "clean"),
            "n_views": often(2, 3, 1),
            "distance": often("euclidean", "mse", nn.PairwiseDistance(), nn.CosineSimilarity()),
        }
        n = shape[0] if shape else 0
        groups = often(None, "pairs", "short", "unknown")
        parameters["groups"] = {
            "pairs": np.arange(n) // 2, "short": np.arange(n + 1), "unknown": np.full(n, np.nan),
        }.get(groups)  # fmt: skip
    if draw(st.integers(0, 5)) == 5:
        name = pick(*[p for p in JUNK_FOR if p not in PENDING])
        if target == "estimator" or name in SSLEncoder().get_params(deep=False):
            parameters[name] = draw(st.sampled_from(junk_for(name)))
    return {
        "rows": (style, shape, draw(st.integers(0, 9))),
        "dtype": often("f8", *DTYPES),
        "layout": often("C", "Fortran", "backwards", "every other", "read-only", "memmap"),
        "container": often("array", *CONTAINERS),
        "target": target,
        "parameters": parameters,
    }


def check(case, tally):
    """Either scores that keep all promises, or a refusal of ours before any training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # casts of NaN
        X = laid_out(values(*case["rows"]).astype(case["dtype"]), case["layout"])
    wrap = CONTAINERS[case["container"]]
    parameters, target = dict(case["parameters"]), case["target"]
    fit = {k: parameters.pop(k) for k in ("y", "groups") if k in parameters}
    wrapped, began = wrap(X), time.monotonic()
    flat = int(np.prod(X.shape[1:]))
    parameters.setdefault("encoder", functools.partial(small, flat))
    with warnings.catch_warnings(record=True) as said, untouched() as started:
        warnings.simplefilter("always")
        try:
            if target == "scores":
                del parameters["encoder"]
                for name in ("epochs", "batch_size", "layer"):
                    del parameters[name]
                keep = {"augmentation", "channels", "image_shape", "random_state"}
                parameters = {k: v for k, v in parameters.items() if k in keep}
                f = nn.Sequential(nn.Flatten(), linear(0, flat))
                g = nn.Sequential(nn.Flatten(), linear(1, flat))
                found = memorization_scores(f, g, wrapped, n_views=2, **parameters)
            elif target == "encoder":
                keep = SSLEncoder().get_params(deep=False)
                parameters = {k: v for k, v in parameters.items() if k in keep}
                found = SSLEncoder(**{"random_state": 0, **parameters}).fit(wrapped)
            else:
                found = MemorizationEstimator(**{**BASE, **parameters}).fit(wrapped, **fit)
        except Exception as error:
            only_training_shows = isinstance(error, TrainingError) or "collapsed" in str(error)
            if only_training_shows and started:
                tally[target, "diverged or collapsed"] += 1
                return
            check_refusal(error, started)
            tally[target, f"refused by {'sslmemo' if is_ours(error) else 'scikit-learn'}"] += 1
            return
        finally:
            assert time.monotonic() - began < 60
            strange = [w for w in said if w.category is not UserWarning]
            assert not strange, strange[0]
        assert started
        tally[target, "accepted"] += 1
        if target != "scores":
            check_rows(found, wrap, X)
    scores = (
        found.score if target == "scores" else getattr(found, "memorization_scores_", np.zeros(0))
    )
    assert not np.isinf(scores).any()
    if np.isnan(scores).any():
        tally[target, "accepted, with NaN"] += 1
        told = any(re.search("get NaN", str(w.message)) for w in said)
        assert told or isinstance(parameters.get("design"), LeaveOneOut)
    if target != "encoder":
        assert scores.shape == (len(X),)


def check_rows(found, wrap, X):
    """Results of rows don't depend on their order or on the rows they come with."""
    order = np.random.default_rng(0).permutation(len(X))
    some = order[: max(1, len(X) // 2)]
    whole = found.transform(wrap(X))
    assert np.isfinite(whole).all()
    # a row's place in a batch may change its last digits
    np.testing.assert_allclose(found.transform(wrap(X[some])), whole[some], atol=1e-5)
    if not hasattr(found, "memorization_scores_"):
        return
    scores, own = found.score_samples(wrap(X)), found.memorization_scores_
    for rows in (order, some):
        np.testing.assert_array_equal(found.score_samples(wrap(X[rows])), scores[rows])
    copies = found._index.copy_of
    single = np.bincount(copies)[copies] == 1
    np.testing.assert_array_equal(scores[single], own[single])


FUZZ = {"derandomize": True, "deadline": None, "database": None, "print_blob": False,
        "suppress_health_check": list(HealthCheck)}  # fmt: skip
