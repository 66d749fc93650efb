"""Whatever comes in: scores that keep their promises, or an early refusal in our words."""

import functools
import itertools
import random
import threading
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch
from any_input import (
    BASE,
    FUZZ,
    IMAGES,
    TABLE,
    Rows,
    cases,
    check,
    estimator,
    linear,
    noise,
    refused,
    small,
    untouched,
)
from hypothesis import given, settings
from sklearn.decomposition import PCA
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from sslmemo import (
    MemorizationEstimator,
    MemorizationRankingDisplay,
    ScoreDistributionDisplay,
    SSLEncoder,
    memorization_scores,
)
from sslmemo.augmentations import FeatureCorruption
from sslmemo.designs import Explicit, LeaveOneOut, Split, Subsample
from sslmemo.estimates import Difference
from sslmemo.methods import SimCLR
from sslmemo.protocols import TrainingError


class Endless(IterableDataset):
    def __iter__(self):
        return itertools.repeat(torch.zeros(3))


def spoiled(X, place, value):
    """A copy with one value replaced."""
    X = X.copy()
    X[place] = value
    return X


def frame(**columns):
    return pd.DataFrame(TABLE, columns=list("abc")).assign(**columns)


BAD_ROWS = {
    "None": (None, "X must be an array.*got None"),
    "no rows": (TABLE[:0], "0 sample"),
    "no images": (IMAGES[:0], "0 sample"),
    "images without pixels": (IMAGES[:, :, :0], "0 feature"),
    "a dataset without rows": (Rows(lambda i: TABLE[i], 0), "0 rows: at least 2"),
    "a number": (3.5, "X must be an array"),
    "text": ("rows.csv", "X must be an array.*got 'rows.csv'"),
    "a dict": ({"x": TABLE}, "Pass the array that it holds"),
    "a set": ({1.0, 2.0}, "Pass list"),
    "a generator": ((row for row in TABLE), r"Pass list\(X\)"),
    "a class": (TensorDataset, "Pass an object, not its class"),
    "a loader": (DataLoader(TensorDataset(torch.zeros(4, 3))), "X.dataset"),
    "a stream": (Endless(), "with __len__ and __getitem__"),
    "a lazy frame": (pl.LazyFrame({"a": [1.0]}), r"X\.collect\(\)"),
    "pairs in a list": ([(row, 0) for row in TABLE], "ragged.*Pass the rows alone"),
    "objects": (np.array([[1, "a"], [2, "b"]], object), "no numbers.*could not convert"),
    "objects that are huge": (np.array([[10**400], [1]], object), "no numbers.*too large"),
    "complex": (TABLE * 1j, "Complex data not supported.*magnitudes"),
    "hidden complex": (np.array([[1j, 2], [3, 4]], object), "no numbers"),
    "dates": (np.array([["2020"], ["2021"]], "M8[D]"), "dates or durations"),
    "durations": (np.array([[1], [2]], "m8[s]"), "dates or durations"),
    "records": (np.zeros((4, 2), [("a", float)]), "no numbers"),
    "sparse": (scipy.sparse.csr_array(TABLE), r"sparse.*X\.toarray\(\)"),
    "a sparse tensor": (torch.eye(3).to_sparse(), "sparse.*dense data are required"),
    "a tensor without values": (torch.zeros(4, 3, device="meta"), "can't become an array"),
    "masked": (np.ma.masked_greater(TABLE, 1), "masked values"),
    "a text column": (frame(b=list("xyzxyzxyzxyz")), r"'b' \(.*Encode.*or drop"),
    "a date column": (frame(c=pd.Timestamp("2020")), r"'c' \(datetime64"),
    "a category": (frame(a=pd.Categorical(list("xy") * 6)), r"'a' \(category\)"),
    "a missing category": (frame(a=pd.Series([1, pd.NA] * 6, dtype=object)), r"'a' \(object\)"),
    "missing integers": (frame(a=pd.Series([1, None] * 6, dtype="Int64")), "NaN.*row 1, column 0"),
    "a sparse column": (frame(a=pd.arrays.SparseArray([0.0] * 12)), r"'a' \(Sparse"),
    "polars text": (pl.DataFrame({"a": list("xy"), "b": [1, 2]}), r"'a' \(String\)"),
    "polars dates": (pl.DataFrame({"a": pd.to_datetime(["2020", "2021"])}), r"'a' \(Datetime"),
    "NaN": (spoiled(TABLE, (7, 1), np.nan), "first in row 7, column 1"),
    "infinite": (spoiled(TABLE, (7, 1), np.inf), "first in row 7, column 1"),
    "too large": (np.sign(TABLE) * 1.7e308, "too large"),
    "NaN in an image": (spoiled(IMAGES, 3, np.nan), "row 3:"),
    "1-D": (TABLE[:, 0], "Reshape your data"),
    "a series": (frame()["a"], "Reshape your data"),
    "a dataset of dicts": (
        Rows(lambda i: {"image": TABLE[i]}),
        "X.0. is no row.*tuples that begin",
    ),
    "a dataset of words": (Rows(lambda i: "cat"), "X.0. is no row of numbers but 'cat'"),
    "a dataset of None": (Rows(lambda i: None), "X.0. is no row"),
    "a dataset of labels": (Rows(lambda i: (3, TABLE[i])), r"shape \(\)"),
    "a dataset of nothing": (Rows(lambda i: ()), "X.0. is no row"),
    "a dataset of shapes": (Rows(lambda i: TABLE[0, : 1 + i % 2]), "X.1. has shape.*alike"),
    "half a dataset of bytes": (
        Rows(lambda i: (IMAGES[i] * 255).astype(np.uint8) if i % 2 else IMAGES[i]),
        "X.1. has shape.*uint8.*alike",
    ),
    "a short dataset": (Rows(TABLE.__getitem__, 13), "X.12. raised IndexError"),
    "a broken length": (Rows(TABLE.__getitem__, -1), "dataset without a length"),
    "a dataset that draws": (
        Rows(lambda i: TABLE[i] + np.random.rand()),  # noqa: NPY002
        "other rows when it is read again.*augmentation=",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_refused_in_our_words(case):
    X, message = BAD_ROWS[case]
    refused(lambda: MemorizationEstimator(**BASE).fit(X), message)
    if "generator" not in case:
        refused(lambda: SSLEncoder(epochs=0.5).fit(X), message)
        f = nn.Linear(3, 2)
        refused(lambda: memorization_scores(f, f, X), message)


GOOD_ROWS = {
    "gradients": lambda X: torch.from_numpy(X).requires_grad_(),
    "transposed": lambda X: torch.from_numpy(X.T.copy()).T,
    "negated": lambda X: torch._neg_view(torch.from_numpy(-X)),
    "a list of tensors": lambda X: [torch.tensor(row, requires_grad=True) for row in X],
    "Fortran": np.asfortranarray,
    "backwards": lambda X: X[::-1].copy()[::-1],
    "big-endian": lambda X: X.astype(">f8"),
    "objects": lambda X: X.astype(object),
    "a frame of objects": lambda X: pd.DataFrame(X).astype(object),
    "nullable": lambda X: pd.DataFrame(X).astype("Float64"),
    "polars": lambda X: pl.from_numpy(X),
    "a memoryview": memoryview,
    "a dataset of tuples": lambda X: Rows(lambda i: (X[i], i)),
    "a dataset of lists": lambda X: Rows(lambda i: X[i].tolist()),
    "a collated dataset": lambda X: Rows(lambda i: [torch.tensor(X[i], requires_grad=True), 0]),
    "a tensor dataset": lambda X: TensorDataset(torch.from_numpy(X), torch.zeros(len(X))),
}


@pytest.mark.parametrize("case", GOOD_ROWS)
def test_every_container_gives_the_same_scores(case):
    with untouched():
        got = estimator().fit(GOOD_ROWS[case](TABLE)).memorization_scores_
    np.testing.assert_array_equal(got, estimator().fit(TABLE).memorization_scores_)


def test_low_precision_tensors_and_images_in_three_axes_are_read():
    half = estimator().fit(torch.from_numpy(TABLE).bfloat16())
    assert np.isfinite(half.memorization_scores_).all()
    grey = estimator(IMAGES, image_shape=(4, 4)).fit(IMAGES[:, 0])
    expected = estimator(IMAGES).fit(IMAGES).memorization_scores_
    np.testing.assert_array_equal(grey.memorization_scores_, expected)


def test_cubes_are_read_with_channels_where_they_are():
    cubes = np.random.default_rng(0).random((8, 3, 3, 3))
    first = estimator(cubes).fit(cubes)
    last = estimator(cubes, channels="last").fit(np.moveaxis(cubes, 1, -1))
    np.testing.assert_array_equal(first.memorization_scores_, last.memorization_scores_)


class Own(nn.Module):
    """An augmentation that draws from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        return x + torch.from_numpy(self.rng.standard_normal(x.shape)).float()


class Doubles(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 4).double()

    def forward(self, x):
        return self.inner(x.double())


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))

    def forward(self, x):
        return (x * self.factor).float()


class Fails(nn.Module):
    def forward(self, x):
        if self.training:
            raise RuntimeError("no training mode")
        return x


class HoldsALock:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self):
        return small(3)


class NeedsSizes(nn.Module):
    def __init__(self, sizes):
        super().__init__()


BAD_PARAMETERS = {
    "n_jobs 0": ({"n_jobs": 0}, "n_jobs must not be 0.*-1 all processors"),
    "n_jobs text": ({"n_jobs": "2"}, "n_jobs must be an int"),
    "n_jobs huge": ({"n_jobs": 10**30}, "n_jobs must be an int at most"),
    "n_encoders bool": ({"n_encoders": True}, "n_encoders must be an int"),
    "n_encoders huge": ({"n_encoders": 10**30}, "n_encoders=1000.*lower it"),
    "epochs infinite": ({"epochs": np.inf}, "epochs must be a number above 0 and finite"),
    "epochs huge": ({"epochs": 10**30}, "epochs=1000.*steps an encoder: lower it"),
    "learning_rate infinite": ({"learning_rate": np.inf}, "learning_rate .* finite"),
    "batch_size bool": ({"batch_size": True}, "batch_size must be an int"),
    "design class": ({"design": Subsample}, "design .*the class Subsample: call it"),
    "design matrix": ({"design": np.eye(12)}, "design must be one of"),
    "fraction text": ({"design": Subsample("half")}, "fraction must be a number, got 'half'"),
    "fraction NaN": ({"design": Subsample(np.nan)}, "fraction must be a number, got nan"),
    "balanced text": ({"design": Subsample(balanced="no")}, "balanced must be True or False"),
    "indices mask": (
        {"design": LeaveOneOut(TABLE[:, 0] > 0)},
        r"indices is a boolean mask.*np\.flatnonzero\(mask\)",
    ),
    "indices twice": ({"design": LeaveOneOut([1, 1])}, "indices .*a row is named twice"),
    "indices ragged": ({"design": LeaveOneOut([[1], [1, 2]])}, "indices can't be read"),
    "roles numbers": ({"design": Split(np.arange(12))}, "unknown role 0: the roles are shared"),
    "roles ragged": ({"design": Split([["shared"], []])}, "roles can't be read"),
    "shares text": ({"design": Split(shared="most")}, "shared must be a number, got 'most'"),
    "shares None": ({"design": Split(candidate=None)}, "candidate must be a number"),
    "member text": ({"design": Explicit([["in"] * 12])}, "member must be boolean"),
    "member None": ({"design": Explicit(None)}, "member must be boolean"),
    "member empty": ({"design": Explicit(np.zeros((0, 12)))}, "member has no rows"),
    "block text": ({"design": Explicit(np.eye(12), block=["a"] * 12)}, "block must hold one int"),
    "block length": ({"design": Explicit(np.eye(12), block=[0])}, "block must hold one int"),
    "block negative": ({"design": Explicit(np.eye(12), -np.ones(12, int))}, "block must .*least 0"),
    "contrast": ({"design": Explicit(np.eye(12), contrast=np.full((12, 12), 7))}, "contrast must"),
    "one row to train on": (
        {"design": Subsample(0.1, balanced=False)},
        "smallest training set of the plan has 1 row",
    ),
    "augmentation class": ({"augmentation": Own}, "augmentation .*the class Own: call it"),
    "augmentation of classes": ({"augmentation": FeatureCorruption}, "the class FeatureCorruption"),
    "augmentation fails": (
        {"augmentation": lambda x: x.reshape(1, 2)},
        "augmentation <lambda> failed on a float32 tensor of shape .*RuntimeError",
    ),
    "augmentation of bytes": (
        {"augmentation": lambda x: x.byte()},
        "augmentation returned a .*uint8",
    ),
    "augmentation draws itself": (
        {"augmentation": Own()},
        "augmentation gives other views under the same seed.*not from NumPy",
    ),
    "augmentation draws from NumPy": (
        {"augmentation": lambda x: x + np.random.rand()},  # noqa: NPY002
        "other views under the same seed",
    ),
    "augmentation draws from Python": (
        {"augmentation": lambda x: x + random.random()},
        "other views under the same seed",
    ),
    "augmentation draws once": (
        {"augmentation": lambda x: x + torch.randn(1)},
        "augmentation draws once for a whole batch.*same_on_batch=False",
    ),
    "encoder class": (
        {"encoder": NeedsSizes},
        "encoder=NeedsSizes failed when called without.*partial",
    ),
    "encoder fails": ({"encoder": lambda: 1 / 0}, "encoder=<lambda> failed .*ZeroDivisionError"),
    "encoder list": ({"encoder": nn.ModuleList([small(3)])}, "encoder must be .*factory"),
    "encoder of lists": (
        {"encoder": lambda: nn.ModuleList([small(3)])},
        "encoder ModuleList can't read",
    ),
    "encoder of pairs": (
        {"encoder": lambda: nn.LSTM(3, 4)},
        "encoder must map .* got tuple.*wrap it",
    ),
    "encoder of doubles": (
        {"encoder": Doubles},
        r"encoder Doubles returns torch.float64.*\.float\(\)",
    ),
    "encoder of nothing": ({"encoder": lambda: nn.Linear(3, 4)[:0]}, "encoder=<lambda> failed"),
    "distance class": ({"distance": nn.PairwiseDistance}, "distance .*the class PairwiseDistance"),
    "distance fails": (
        {"distance": lambda a, b: a @ b},
        "distance failed on two embeddings.*Runtime",
    ),
    "distance is a similarity": (
        {"distance": nn.CosineSimilarity()},
        "distance is 1 between equal .* it is a similarity",
    ),
    "distance of equals": (
        {"distance": lambda a, b: torch.acos(1e-6 + nn.functional.cosine_similarity(a, b))},
        "distance returned NaN .* among them equal ones: clamp",
    ),
    "distance learns": (
        {"distance": lambda a, b: ((a - b) * nn.Parameter(torch.ones(8))).norm(dim=1)},
        "distance returned a tensor with gradients",
    ),
    "anchor list": ({"anchor": ["view"]}, "anchor must be"),
    "normalize list": ({"normalize": ["range"]}, "normalize must be a name"),
    "channels": ({"channels": 1}, "channels must be 'first' or 'last', got 1"),
    "image_shape number": ({"image_shape": 3}, r"image_shape must be \(h, w\)"),
    "image_shape text": ({"image_shape": "13"}, r"image_shape must be \(h, w\)"),
    "image_shape parts": ({"image_shape": (1.5, 2)}, r"image_shape must be \(h, w\)"),
    "image_shape endless": ({"image_shape": itertools.count(1)}, r"image_shape must be \(h, w\)"),
    "device None": ({"device": None}, "device must be 'auto'"),
    "device number": ({"device": 0}, "device must be 'auto'"),
    "precision": ({"precision": 16}, "precision must be 'auto', 'fp32' or 'bf16', got 16"),
    "n_views huge": ({"n_views": 10**30}, "n_views must be an int of at least 1 and at most 1024"),
    "keep_encoders text": ({"keep_encoders": "all"}, "keep_encoders must be True or False"),
    "memory number": ({"memory": 3}, "memory must be None or the path of a folder, got 3"),
    "memory empty": ({"memory": ""}, "memory is an empty path"),
    "verbose array": ({"verbose": np.ones(2)}, "verbose must be True, False or an int"),
    "layer list": ({"layer": ["encoder"]}, "layer must be 'encoder' or 'projector'"),
    "temperature text": (
        {"method": SimCLR("hot")},
        "temperature must be a number above 0, got 'hot'",
    ),
    "projection_dim": ({"method": SimCLR(projection_dim=0.5)}, "projection_dim must be an int"),
    "encoder of NaN": (
        {"encoder": lambda: nn.Sequential(small(3), Scaled(np.nan))},
        "the loss of SimCLR is not finite before any training",
    ),
    "encoder draws itself": (
        {"encoder": lambda: nn.Sequential(small(3), Scaled(np.random.rand()))},  # noqa: NPY002
        "encoder has other weights under the same seed",
    ),
    "encoder that only trains": (
        {"encoder": lambda: nn.Sequential(small(3), Fails())},
        "a first step of SimCLR with encoder Sequential .*training mode",
    ),
    "what can't be sent": (
        {"n_jobs": 2, "encoder": HoldsALock()},
        "n_jobs > 1 sends .*can't be pickled.*lock.*n_jobs=1",
    ),
    "estimate class": ({"estimate": Difference}, "estimate must be one of"),
    "method class": ({"method": SimCLR}, "method must be one of"),
}


@pytest.mark.filterwarnings("ignore:.*never in or never out")
@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_bad_parameters_are_refused_before_training(case):
    parameters, message = BAD_PARAMETERS[case]
    refused(lambda: estimator(**parameters).fit(TABLE), message)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(11), r"one entry for each of the 12 rows.*\(11,\)"),
        ([[0], [1, 2]], "groups can't be read"),
        (pd.Series([1, pd.NA] * 6, dtype="Int64"), "no group for 6 rows, first row 1"),
        ([None] * 12, "no group for 12 rows"),
        (np.array([{0}] * 12), "groups must hold plain values"),
        (np.zeros(12), "at least 2 distinct rows or groups, got 1"),
        ("abc", r"one entry for each of the 12 rows, got 'abc'"),
    ],
)
def test_bad_groups_are_refused(groups, message):
    refused(lambda: estimator().fit(TABLE, groups=groups), message, "groups")


@pytest.mark.parametrize("y", [3, np.arange(11), [[1], [1, 2]]])
def test_bad_labels_are_refused(y):
    refused(lambda: estimator().fit(TABLE, y), "y (must have one label|can't be read)")


def test_numpy_scalars_are_numbers():
    plain = estimator(keep_encoders=True).fit(TABLE).memorization_scores_
    numbers = {"n_encoders": np.int64(4), "n_views": np.uint8(2), "epochs": np.float32(0.5),
               "keep_encoders": np.True_, "random_state": np.int8(0), "verbose": np.int64(0)}  # fmt: skip
    np.testing.assert_array_equal(estimator(**numbers).fit(TABLE).memorization_scores_, plain)


def test_a_plan_reads_the_rows_first():
    refused(lambda: estimator().plan(None), "X must be an array")


def test_the_top_set_is_named():
    result = estimator().fit(TABLE).result_
    for top_k, error in ((0, ValueError), (13, ValueError), (2.5, TypeError)):
        with pytest.raises(error, match="top_k must be an int of at least 1 and at most 12"):
            result.table(top_k=top_k)


def test_weights_that_only_the_last_step_spoils_are_no_scores():
    for fit in (estimator(learning_rate=1e30), SSLEncoder(epochs=0.5, learning_rate=1e30)):
        with untouched(), pytest.raises(TrainingError, match="lower learning_rate"):
            fit.fit(TABLE)


def test_mixed_groups_are_read():
    names = np.array([1, "a", 2.5] * 4, dtype=object)
    est = estimator(design=Subsample(0.5)).fit(TABLE, groups=names)
    for name in (1, "a", 2.5):
        rows = est.membership_[:, names == name]
        assert (rows == rows[:, :1]).all()


def from_numpy_generator(shape):
    return torch.from_numpy(np.random.random(shape))  # noqa: NPY002


BAD_ENCODERS = {
    "None": (None, "in_encoders must be callables.*got None"),
    "text": ("f.pt", "in_encoders must be callables.*got 'f.pt'"),
    "a dict": ({"f": linear(0)}, r"pass list\(encoders.values\(\)\)"),
    "a module dict": (nn.ModuleDict({"f": linear(0)}), r"encoders.values\(\)"),
    "an empty module list": (nn.ModuleList(), "in_encoders is empty"),
    "a class": (nn.Flatten, "pass an object of that class"),
    "an estimator": (MemorizationEstimator(), "in_encoders must be .*wrap it"),
    "a transformer": ([PCA()], r"got PCA.*wrap it, lambda x: encoder\.transform"),
    "an unfitted encoder": (SSLEncoder(), "is not fitted"),
    "of tuples": (lambda x: (x, x), r"in_encoders\[0\].*returned a tuple.*encoder\(x\)\[0\]"),
    "of dicts": (lambda x: {"z": x}, "returned a dict"),
    "of complex": (lambda x: x * 1j, "returned torch.complex64"),
    "of maps": (lambda x: x[:, None], r"returned shape \(4, 1, 3\)"),
    "of nothing": (lambda x: x[:, :0], r"returned shape \(4, 0\)"),
    "of other rows": (linear(0, 5), "failed on views of shape.*RuntimeError"),
    "that draws": (lambda x: x + torch.rand_like(x), "eval mode .dropout"),
    "that draws from NumPy": (lambda x: x + from_numpy_generator(x.shape), "called again"),
    "that reads the batch": (lambda x: x - x.mean(0), "beside other rows.*BatchNorm"),
}


@pytest.mark.parametrize("case", BAD_ENCODERS)
def test_bad_encoders_are_refused(case):
    encoders, message = BAD_ENCODERS[case]
    refused(lambda: memorization_scores(encoders, linear(1), TABLE, n_views=2), message)


def test_module_lists_arrays_and_work_in_place_are_read():
    f, g = nn.ModuleList([linear(0), linear(1)]), [linear(2), linear(3)]
    expected = memorization_scores(list(f), g, TABLE, random_state=0)
    with untouched():
        got = memorization_scores(f, g, TABLE, random_state=0)
    np.testing.assert_array_equal(got.score, expected.score)
    spoils = nn.Sequential(nn.ReLU(inplace=True), linear(0))
    clean = nn.Sequential(nn.ReLU(), linear(0))
    arrays = lambda x: clean(x).detach().numpy()[:, ::-1]  # noqa: E731
    for module in (spoils, arrays):
        got = memorization_scores(module, g[0], TABLE, random_state=0).score
        np.testing.assert_allclose(
            got, memorization_scores(clean, g[0], TABLE, random_state=0).score, atol=1e-6
        )


@pytest.mark.parametrize("X", [TABLE * [1, 10, 100] + 5, IMAGES], ids=["table", "images"])
def test_fitted_encoders_are_read_as_in_their_own_fit(X):
    """The f of a pool's own trainer, measured by hand on rows standardised as each was fitted."""
    d = int(np.prod(X.shape[1:]))
    options = {"encoder": functools.partial(small, d), "epochs": 1, "random_state": 0}
    f, g = SSLEncoder(**options).fit(X), SSLEncoder(**options).fit(X[:6])
    got = memorization_scores(f, g, X, n_views=2, augmentation=noise, random_state=0)
    center, scale = (X.mean(0), X.std(0)) if X.ndim == 2 else (0, 1)

    def by_hand(encoder):
        return lambda x: torch.from_numpy(
            encoder.transform((x.double().numpy() * scale + center).astype(np.float64))
        )

    if X.ndim == 4:  # transform would refuse pixels that noise has moved outside [0, 1]
        by_hand = lambda encoder: lambda x: encoder.model_.embed(x)  # noqa: E731
    expected = memorization_scores(
        by_hand(f), by_hand(g), X, n_views=2, augmentation=noise, random_state=0
    )
    np.testing.assert_allclose(got.score, expected.score, atol=1e-5)
    refused(
        lambda: memorization_scores(f, g, X[:, :1, :1] if X.ndim == 4 else X[:, :2]), "fitted on"
    )


def test_displays_name_the_mend():
    est = estimator().fit(TABLE)
    result = est.result_
    for display in (ScoreDistributionDisplay, MemorizationRankingDisplay):
        rest = (TABLE,) if display is MemorizationRankingDisplay else ()
        with pytest.raises(TypeError, match="call from_result"):
            display.from_estimator(result, *rest)
        with pytest.raises(TypeError, match="Call from_estimator"):
            display.from_result(est, *rest)
        with pytest.raises(TypeError, match="a fitted MemorizationEstimator, got None"):
            display.from_estimator(None, *rest)
        with pytest.raises(TypeError, match="must be a MemorizationResult, got 3"):
            display.from_result(3, *rest)
    with pytest.raises(TypeError, match="ax must be matplotlib Axes, got 3"):
        ScoreDistributionDisplay.from_result(result, ax=3, kind="hist")
    with pytest.raises(TypeError, match="kind must be a name"):
        ScoreDistributionDisplay.from_result(result, kind=["hist"])
    with pytest.raises(TypeError, match="y mixes labels.*strings"):
        ScoreDistributionDisplay.from_result(result, np.array([1, "a"] * 6, object))
    with pytest.raises(ValueError, match="y can't be read"):
        ScoreDistributionDisplay.from_result(result, [[1], [1, 2]])
    with pytest.raises(TypeError, match="X must be an array"):
        MemorizationRankingDisplay.from_result(result, None)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SETTINGS = {
    "gradients off": torch.no_grad,
    "NumPy raises": lambda: np.errstate(all="raise"),
    "inference mode": torch.inference_mode,
    "float64": lambda: default_dtype(torch.float64),
    "half precision": lambda: torch.autocast("cpu", torch.bfloat16),
    "another device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("X", [TABLE, IMAGES], ids=["table", "images"])
def test_settings_in_force_change_nothing(kind, X):
    d = X[0].size
    f, g = (nn.Sequential(nn.Flatten(), linear(seed, d)) for seed in (0, 1))

    def numbers():
        est = estimator(X, epochs=3, keep_encoders=True).fit(X)
        new = X[:2] * 0.5
        return (
            est.score_samples(X), est.transform(X), est.alignment(new), est.null_scores(new),
            memorization_scores(f, g, X, random_state=0).score,
        )  # fmt: skip

    plain = numbers()
    with SETTINGS[kind](), untouched():
        got = numbers()
        est = estimator(X).fit(X)
    for one, other in zip(got, plain, strict=True):
        np.testing.assert_array_equal(one, other)
    weights = est.encoder_.model_.module.encoder[1].weight
    assert weights.dtype == torch.float32
    (weights.sum() * 2).backward()  # the encoder can be trained further


@pytest.mark.filterwarnings("ignore")
def test_whatever_comes_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # any word is the name of a folder
    tally = Counter()

    @settings(max_examples=60, **FUZZ)
    @given(cases())
    def run(case):
        check(case, tally)

    run()
    assert sum(n for (_, kind), n in tally.items() if kind == "accepted") >= 10, tally
    assert sum(n for (_, kind), n in tally.items() if kind.startswith("refused")) >= 10, tally
