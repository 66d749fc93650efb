"""Saved and loaded, an estimator says bitwise what it said; exported, it needs no package of ours."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

import sslmemo.estimator
from sslmemo import MemorizationEstimator, MemorizationProxy, MemorizationResult, SSLEncoder
from sslmemo.augmentations import FeatureCorruption
from sslmemo.data import RowIndex, as_data
from sslmemo.designs import Explicit, LeaveOneOut, Split, Subsample
from sslmemo.encoders import ENCODERS, convnet
from sslmemo.estimates import Difference
from sslmemo.measurements import Quality
from sslmemo.methods import METHODS, SimCLR
from sslmemo.persistence import Unstorable, pack, unpack
from sslmemo.protocols import TrainingError
from sslmemo.proxies import Isolation
from sslmemo.store import write_record

SEEN = 110  # rows of the fixtures that are fitted; the rest is new


def again(thing, tmp_path, **foreign):
    """The thing, saved and loaded."""
    thing.save(tmp_path / "saved")
    return type(thing).load(tmp_path / "saved", **foreign)


def same(a, b):
    """Bitwise equal, NaN included, and of one type."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


def same_estimators(a, b, X, new=None, y=None):
    """Every answer of two fitted estimators is bitwise the same."""
    same(a.score_samples(X[::-1]), b.score_samples(X[::-1]))
    same(a.transform(X), b.transform(X))
    same(a.score(X), b.score(X))
    same(a.score(X, y), b.score(X, y))
    same(a.alignment(X[3:7]), b.alignment(X[3:7]))
    if new is not None:
        same(a.alignment(new), b.alignment(new))
        same(a.null_scores(new), b.null_scores(new))
        same(a.transform(new), b.transform(new))
    for name in ("memorization_scores_", "standard_errors_", "membership_"):
        same(getattr(a, name), getattr(b, name))
    for name, column in a.result_.table().columns.items():
        same(column, b.result_[name])
    assert a.result_.summary() == b.result_.summary()
    assert a.result_.methods_text() == b.result_.methods_text()
    same(a.partial_result().score, b.partial_result().score)
    same(a.get_feature_names_out(), b.get_feature_names_out())
    assert a.n_features_in_ == b.n_features_in_
    assert vars(a).keys() == vars(b).keys()
    assert a.result_.run.config == b.result_.run.config
    assert a.result_.run.plan.nominal == b.result_.run.plan.nominal


@pytest.fixture
def images(digits):
    return digits[0][:SEEN], digits[1][:SEEN], digits[0][SEEN:]


@pytest.fixture(scope="module")
def colour():
    rng = np.random.default_rng(0)
    return rng.random((40, 3, 16, 16)).astype(np.float32)


# What is the same after loading


def test_images_come_back_bitwise(tiny, images, tmp_path):
    X, y, new = images
    est = tiny(keep_encoders=True).fit(X, y)
    loaded = again(est, tmp_path)
    same_estimators(est, loaded, X, new, y)
    assert repr(loaded) == repr(est)
    same_estimators(est, again(loaded, tmp_path), X, new, y)  # and once more


def test_tables_come_back_with_the_rows_their_augmentation_draws_from(tiny, table, tmp_path):
    X, new = table[:50], table[50:]
    est = tiny(keep_encoders=True).fit(X)
    loaded = again(est, tmp_path)
    same_estimators(est, loaded, X, new)
    noise = X + 1e-7 * X.std(0)  # found by projection
    same(est.score_samples(noise), loaded.score_samples(noise))
    same(est.layout_.center, loaded.layout_.center)


def test_reference_rows_survive_when_there_are_fewer_than_training_rows(tiny, table, tmp_path):
    few = FeatureCorruption(rate=0.5, n_reference=7)
    est = tiny(keep_encoders=True, augmentation=few).fit(table[:50])
    loaded = again(est, tmp_path, augmentation=FeatureCorruption(rate=0.5, n_reference=7))
    same_estimators(est, loaded, table[:50], table[50:])
    assert len(loaded._fitted_trainer.views.augmentation.reference) == 7


def test_a_fresh_process_says_the_same(fitted, digits, tmp_path):
    X, new = digits[0], digits[0][:5, :, ::-1].copy()
    fitted.save(tmp_path / "est")
    np.savez(tmp_path / "in.npz", X=X, new=new)
    code = """
import sys, numpy as np
from sslmemo import MemorizationEstimator
est, rows = MemorizationEstimator.load(sys.argv[1]), np.load(sys.argv[2])
np.savez(sys.argv[3], scores=est.score_samples(rows["X"]), z=est.transform(rows["new"]),
         alignment=est.alignment(rows["new"]), null=est.null_scores(rows["new"]))
"""
    out = tmp_path / "out.npz"
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "est", tmp_path / "in.npz", out], check=True
    )
    with np.load(out) as found:
        same(found["scores"], fitted.score_samples(X))
        same(found["z"], fitted.transform(new))
        same(found["alignment"], fitted.alignment(new))
        same(found["null"], fitted.null_scores(new))


def test_a_loaded_estimator_goes_on_by_warm_start(tiny, images, tmp_path):
    X = images[0]
    est = tiny(warm_start=True, keep_encoders=True).fit(X)
    loaded = again(est, tmp_path).set_params(n_encoders=8).fit(X)
    whole = tiny(n_encoders=8, keep_encoders=True).fit(X)
    same(loaded.memorization_scores_, whole.memorization_scores_)
    same(loaded.alignment(images[2]), whole.alignment(images[2]))
    with pytest.raises(ValueError, match="the recipe differs"):
        again(est, tmp_path).set_params(epochs=3, n_encoders=8).fit(X)
    with pytest.raises(ValueError, match="X differs"):
        again(est, tmp_path).set_params(n_encoders=8).fit(X[:-2])


def test_a_random_seed_goes_on_too(tiny, images, tmp_path):
    est = tiny(warm_start=True, random_state=None).fit(images[0])
    loaded = again(est, tmp_path)
    both = [e.set_params(n_encoders=8).fit(images[0]) for e in (est, loaded)]
    same(both[0].memorization_scores_, both[1].memorization_scores_)


def test_an_interrupted_fit_can_be_saved(tiny, images, tmp_path, monkeypatch):
    X = images[0]
    est = tiny(warm_start=True).fit(X).set_params(n_encoders=8)

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sslmemo.estimator.SSLEncoder, "_fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            est.fit(X)
    assert len(est.membership_) == 4
    assert len(est.partial_result().run.plan.member) == 8
    loaded = again(est, tmp_path)
    same(loaded.partial_result().score, est.partial_result().score)
    same(loaded.memorization_scores_, est.memorization_scores_)
    same(loaded.fit(X).memorization_scores_, tiny(n_encoders=8).fit(X).memorization_scores_)
    unfitted = tiny()
    with monkeypatch.context() as patch:
        patch.setattr(sslmemo.estimator.SSLEncoder, "_fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unfitted.fit(X)
    with pytest.raises(NotFittedError):
        unfitted.save(tmp_path / "unfitted")


@pytest.mark.parametrize(
    "parameters",
    [
        {"design": "split", "keep_encoders": True},
        {"design": Subsample(0.25), "method": SimCLR(temperature=0.5), "layer": "projector"},
        {"design": LeaveOneOut([3, 5, 8]), "distance": "angular", "normalize": "relative"},
        {"design": LeaveOneOut(range(3, 6)), "anchor": "clean", "n_views": 1},
        {"estimate": Difference(normalize="range"), "batch_size": 20},
        {"augmentation": "strong", "encoder": "convnet", "epochs": 1.5},
    ],
    ids=lambda p: "-".join(p),
)
def test_designs_estimates_and_other_parameters_come_back(tiny, images, tmp_path, parameters):
    X, y, new = images
    est = tiny(**{"n_encoders": 8, **parameters}).fit(X, y)
    loaded = again(est, tmp_path)
    kept = new if "keep_encoders" in parameters else None
    same_estimators(est, loaded, X, kept, y)
    if kept is not None:
        same(est.score_samples(new), loaded.score_samples(new))
    for name, value in est.get_params().items():
        found = loaded.get_params()[name]
        assert repr(found) == repr(value).replace("range(3, 6)", "[3, 4, 5]"), name


def test_arrays_in_a_design_come_back(tiny, images, tmp_path):
    X = images[0]
    rng = np.random.default_rng(0)
    half = rng.random(SEEN) < 0.5
    est = tiny(design=Explicit(np.stack([half, ~half]), block=[0, 0])).fit
    with pytest.warns(UserWarning, match="one block"):
        est = est(X)
    loaded = again(est, tmp_path)
    same_estimators(est, loaded, X)
    same(loaded.design.member, est.design.member)
    roles = np.array(["candidate", "independent", "shared"], object)[np.arange(SEEN) % 3]
    est = tiny(design=Split(roles)).fit(X)
    loaded = again(est, tmp_path)
    same(loaded.result_.run.plan.roles, est.result_.run.plan.roles)
    assert loaded.design.roles.tolist() == roles.tolist()


def test_groups_failures_and_their_missing_encoders_come_back(tiny, images, tmp_path):
    X, _, new = images
    fails = Fails(int(Subsample().draw(SEEN, 6, entropy=0).seed[1]))
    est = tiny(n_encoders=6, keep_encoders=True, on_error="drop", measurements=[fails])
    with pytest.warns(UserWarning, match="1 of 3 blocks failed"):
        est.fit(X, groups=np.arange(SEEN) // 2)
    loaded = again(est, tmp_path, measurements=[fails])
    same(loaded.alignment(new), est.alignment(new))
    assert np.isnan(est.alignment(new)).any()
    assert loaded.result_.run.failures == est.result_.run.failures
    same(loaded.result_.run.plan.groups, est.result_.run.plan.groups)
    assert [m is None for m in loaded.result_.run.models].count(True) == 2


def test_names_of_columns_string_labels_and_output_come_back(tiny, table, tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(table, columns=list("abcde"))
    y = pandas.Series(np.where(table[:, 0] > 3, "high", "low"), dtype=object)
    est = tiny().fit(X, y).set_output(transform="pandas")
    loaded = again(est, tmp_path)
    same(loaded.feature_names_in_, est.feature_names_in_)
    assert loaded.transform(X).equals(est.transform(X))
    same(loaded.score(X, y), est.score(X, y))
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.transform(X.rename(columns={"a": "z"}))
    est._labels = np.array([{1}, {2}] * 30, object)
    with pytest.raises(ValueError, match=r"labels is or holds a builtins\.set"):
        est.save(tmp_path / "saved")


def test_random_states_and_paths_come_back(table, tmp_path):
    encoder = SSLEncoder(
        epochs=1, random_state=np.random.RandomState(3), memory=tmp_path / "memory"
    ).fit(table)  # fmt: skip
    loaded = again(encoder, tmp_path)
    assert loaded.memory == str(tmp_path / "memory")
    same(loaded.random_state.randint(1000, size=5), encoder.random_state.randint(1000, size=5))


def comes_back(encoder, X, tmp_path):
    """Round trip and torch module of a fitted SSLEncoder."""
    loaded, module = again(encoder, tmp_path), encoder.to_torch()
    same(loaded.transform(X), encoder.transform(X))
    assert loaded.effective_rank_ == encoder.effective_rank_
    assert vars(loaded).keys() == vars(encoder).keys()
    for a, b in zip(loaded.model_.module.parameters(), encoder.model_.module.parameters()):
        assert torch.equal(a, b)
        assert a.stride() == b.stride()
    assert not any(m.training for m in module.modules())
    with torch.no_grad():
        z = module(torch.from_numpy(X))
    np.testing.assert_allclose(z, encoder.transform(X), rtol=1e-5, atol=1e-5)
    return loaded


LARGE = {"resnet34", "resnet50", "vit_small"}  # of the same classes as smaller ones


@pytest.mark.parametrize(
    "network",
    [pytest.param(n, marks=[pytest.mark.slow] if n in LARGE else []) for n in ENCODERS],
)
def test_every_network_comes_back(colour, tmp_path, network):
    X = colour[:8]
    comes_back(SSLEncoder(encoder=network, epochs=1, random_state=0).fit(X), X, tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_comes_back(colour, tmp_path, method):
    network, X = "vit_tiny" if method == "mae" else "mlp", colour[:16]
    encoder = SSLEncoder(method, network, layer="projector", epochs=1, random_state=0).fit(X)
    comes_back(encoder, X, tmp_path)


def test_a_loaded_encoder_fits_again(digits, tmp_path):
    encoder = SSLEncoder(epochs=2, random_state=0).fit(digits[0])
    loaded = again(encoder, tmp_path)
    same(loaded.fit(digits[0]).transform(digits[0]), encoder.transform(digits[0]))


def test_the_encoder_of_a_pool_is_saved_by_itself(fitted, digits, tmp_path):
    loaded = again(fitted.encoder_, tmp_path)
    same(loaded.transform(digits[0]), fitted.transform(digits[0]))


# What can't be stored is asked for again


class Fails(Quality):
    """A measurement that fails in one block."""

    name = "fails"

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def __call__(self, models, data, member, seed, observed=None):
        if seed == self.seed:
            raise TrainingError("no measurement")
        return {"mine": np.zeros(len(models))}


class Blur(nn.Module):
    """A user's augmentation."""

    def __init__(self, strength):
        super().__init__()
        self.strength = strength

    def forward(self, x):
        return x + self.strength * torch.rand_like(x)

    def extra_repr(self):
        return f"strength={self.strength}"


class Mine(SimCLR):
    """A user's method."""


class MyEstimate(Difference):
    """A user's estimate."""


def my_encoder():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh())


class Counts(nn.Module):
    """A user's network that asks for the batch's length, as many do."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(768, 8)

    def forward(self, x):
        return self.linear(x.reshape(len(x), -1))


def my_distance(z1, z2):
    return (z1 - z2).abs().amax(1)


FOREIGN = {
    "encoder": my_encoder,
    "augmentation": Blur(0.1),
    "distance": my_distance,
    "method": Mine(temperature=0.3),
    "estimate": MyEstimate(),
    "measurements": (),
}


@pytest.fixture(scope="module")
def foreign(digits):
    parameters = {"n_encoders": 4, "epochs": 1, "verbose": 0, "random_state": 0, **FOREIGN}
    return MemorizationEstimator(keep_encoders=True, **parameters).fit(digits[0][:SEEN])


GIVEN = {k: v for k, v in FOREIGN.items() if k != "measurements"}


def test_foreign_parameters_are_given_again(foreign, images, tmp_path):
    loaded = again(foreign, tmp_path, **{**GIVEN, "augmentation": Blur(0.1), "method": Mine(0.3)})
    same_estimators(foreign, loaded, images[0], images[2])
    assert loaded.encoder is my_encoder
    inner = {k: GIVEN[k] for k in ("encoder", "augmentation", "method")}
    same(
        again(foreign.encoder_, tmp_path, **inner).transform(images[2]),
        foreign.transform(images[2]),
    )


@pytest.mark.parametrize("name", GIVEN)
def test_a_foreign_parameter_that_is_missing_or_another_is_refused(foreign, tmp_path, name):
    foreign.save(tmp_path / "f")
    fewer = {k: v for k, v in GIVEN.items() if k != name}
    with pytest.raises(
        ValueError, match=rf"{name}= could not be stored.*load\(path, {name}=\.\.\.\)"
    ) as e:
        MemorizationEstimator.load(tmp_path / "f", **fewer)
    assert type(GIVEN[name]).__name__ in str(e.value) or GIVEN[name].__name__ in str(e.value)
    other = {
        "encoder": nn.Identity,
        "augmentation": Blur(0.2),
        "distance": torch.dist,
        "method": Mine(temperature=0.4),
        "estimate": MyEstimate(normalize="range"),
    }
    with pytest.raises(ValueError, match=f"{name}= is .* but what was saved had"):
        MemorizationEstimator.load(tmp_path / "f", **{**GIVEN, name: other[name]})


def test_what_was_stored_is_not_given_again(foreign, fitted, tmp_path):
    fitted.save(tmp_path / "f")
    for name in ("encoder", "no_parameter"):
        with pytest.raises(ValueError, match=f"{name}= can't be given to load.*here none"):
            MemorizationEstimator.load(tmp_path / "f", **{name: my_encoder})
    foreign.save(tmp_path / "f")
    with pytest.raises(
        ValueError, match="here augmentation=, distance=, encoder=, estimate=, method="
    ):
        MemorizationEstimator.load(tmp_path / "f", **GIVEN, epochs=3)


def named_alike(function, name):
    function.__qualname__, function.__module__ = name, __name__
    return function


def test_a_callable_of_the_same_name_and_another_behaviour_is_found(foreign, tmp_path):
    foreign.save(tmp_path / "f")

    def load(**changes):
        return MemorizationEstimator.load(tmp_path / "f", **{**GIVEN, **changes})

    def relu():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU())

    def wide():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Tanh())

    def mean_distance(z1, z2):
        return (z1 - z2).abs().mean(1)

    with pytest.raises(ValueError, match="build another network.*other representations"):
        load(encoder=named_alike(relu, "my_encoder"))
    with pytest.raises(ValueError, match=r"build another network(.|\n)*size mismatch"):
        load(encoder=named_alike(wide, "my_encoder"))
    with pytest.raises(ValueError, match="distance= gives other distances"):
        load(distance=named_alike(mean_distance, "my_distance"))
    blur = Blur(0.1)
    blur.forward = lambda x: x + 0.2 * torch.rand_like(x)
    with pytest.warns(UserWarning, match="draws other views"):
        load(augmentation=blur)


def test_parameters_changed_since_fit_are_refused(tiny, images, tmp_path):
    est = tiny(keep_encoders=True).fit(images[0])
    for changed in (
        {"encoder": "convnet"},
        {"method": SimCLR(temperature=0.5)},
        {"augmentation": "weak"},
        {"distance": "cosine"},
        {"n_views": 3},
        {"layer": "projector"},
        {"normalize": "encoder"},
    ):
        before = {k: est.get_params()[k] for k in changed}
        (name,) = changed
        word = "estimate" if name == "normalize" else name
        with pytest.raises(ValueError, match=rf"^{word}.* changed since fit"):
            est.set_params(**changed).save(tmp_path / "saved")
        est.set_params(**before)
    assert not list(tmp_path.iterdir())
    est.set_params(epochs=50, n_encoders=16, memory="there").save(tmp_path / "saved")
    encoder = SSLEncoder(epochs=1, random_state=0).fit(images[0]).set_params(encoder="convnet")
    with pytest.raises(ValueError, match="method= or encoder= was changed since fit"):
        encoder.save(tmp_path / "saved")


class Reference(nn.Module):
    """An augmentation that learns from the rows, and keeps them under another name."""

    def fit_reference(self, data):
        self.mean = data.rows(np.arange(len(data))).mean(0)

    def forward(self, x):
        return torch.where(torch.rand_like(x) < 0.3, self.mean, x)


def test_an_augmentation_that_can_not_be_fitted_again_is_refused(tiny, table, tmp_path):
    est = tiny(augmentation=Reference()).fit(table)
    with pytest.raises(ValueError, match="Reference has fit_reference, but does not keep"):
        est.save(tmp_path / "saved")


def test_a_gpu_that_is_absent_is_no_hindrance(fitted, digits, tmp_path):
    fitted.save(tmp_path / "saved")
    from sslmemo import persistence

    content = persistence.read(tmp_path / "saved", "MemorizationEstimator")
    content["device"] = "cuda:17"
    content["parameters"]["device"] = content["encoder"]["parameters"]["device"] = "cuda:17"
    persistence.write(tmp_path / "saved", "MemorizationEstimator", content)
    loaded = MemorizationEstimator.load(tmp_path / "saved")
    same(loaded.transform(digits[0]), fitted.transform(digits[0]))
    same(loaded.alignment(digits[0]), fitted.alignment(digits[0]))
    with pytest.raises(ValueError, match="cuda:17"):
        loaded.fit(digits[0])


# Files


@pytest.fixture(scope="module")
def things(fitted):
    return {"est": fitted, "encoder": fitted.encoder_, "result": fitted.result_}


@pytest.mark.parametrize("name", ["est", "encoder", "result"])
def test_a_damaged_file_is_refused(things, tmp_path, name):
    thing, path = things[name], tmp_path / "saved"
    thing.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in [0, 1, 50, len(whole) - 1, *rng.integers(0, len(whole), 5)]:
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=f"no saved {type(thing).__name__}, or it was torn"):
            type(thing).load(path)
    for at in rng.integers(0, len(whole), 20):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(ValueError, match="torn or altered"):
            type(thing).load(path)
    path.write_bytes(pickle.dumps(thing.__class__))
    with pytest.raises(ValueError, match="torn or altered"):
        type(thing).load(path)
    path.write_bytes(whole)
    type(thing).load(path)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ValueError, match="torn or altered"):
        type(thing).load(tmp_path / "link")


@pytest.mark.parametrize("name", ["est", "encoder", "result"])
def test_paths_that_can_not_be(things, tmp_path, name):
    thing = things[name]
    with pytest.raises(ValueError, match="is a folder: name a file in it"):
        thing.save(tmp_path)
    with pytest.raises(ValueError, match="is a folder"):
        type(thing).load(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="a folder that does not exist: make"):
        thing.save(tmp_path / "absent" / "f")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        type(thing).load(tmp_path / "absent")
    (tmp_path / "f").write_text("kept")
    with pytest.raises(FileNotFoundError, match="a folder that does not exist"):
        thing.save(tmp_path / "f" / "in a file")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["kept"]


def test_a_file_of_another_kind_says_so(things, tmp_path):
    things["encoder"].save(tmp_path / "f")
    for kind in (MemorizationEstimator, MemorizationResult):
        with pytest.raises(
            ValueError, match=r"begins as a saved SSLEncoder, which SSLEncoder\.load"
        ):
            kind.load(tmp_path / "f")
    write_record(tmp_path / "f", "0" * 32, {"x": np.arange(3)})
    with pytest.raises(ValueError, match=r"altered\.$"):
        SSLEncoder.load(tmp_path / "f")


def test_a_file_of_a_later_version_says_so(tmp_path):
    packed = {"version": "9.0", "content": {"hologram": ["x", None]}}
    arrays = {"json": np.frombuffer(json.dumps(packed).encode(), np.uint8)}
    write_record(tmp_path / "f", "SSLEncoder", arrays)
    with pytest.raises(ValueError, match=r"written by sslmemo 9\.0.*KeyError"):
        SSLEncoder.load(tmp_path / "f")


def test_unfitted_things_are_not_saved(tiny, tmp_path):
    for thing in (tiny(), SSLEncoder()):
        with pytest.raises(NotFittedError):
            thing.save(tmp_path / "f")
    for method in ("to_torch", "export"):
        with pytest.raises(NotFittedError):
            getattr(SSLEncoder(), method)(*[tmp_path / "f.pt2"][: method == "export"])


def test_nothing_is_pickled(fitted, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("pickle was used")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    again(fitted, tmp_path)
    again(fitted.result_, tmp_path)


def test_results_leave_encoders_out_and_refuse_foreign_estimates(fitted, tmp_path):
    loaded = again(fitted.result_, tmp_path)
    assert loaded.run.models is None
    assert fitted.result_.run.models is not None
    assert loaded.run.plan.sizes == fitted.result_.run.plan.sizes
    with pytest.raises(ValueError, match="foreign estimate MyEstimate can't be saved"):
        MemorizationResult(fitted.result_.run, MyEstimate()).save(tmp_path / "f")


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, -2.5, "text", float("inf"), 2**100, (), [], {}, (1, [2, (3,)]),
        {"a": {1: "b"}, 2: (None,)}, np.arange(6).reshape(2, 3), np.array(1.5, np.float32),
        np.asfortranarray(np.eye(3)), np.array(["x", "long"]), np.array([], bool),
        np.array(["x", 1, None], object), np.array([["x"], ["y"]], object),
        np.array(["2020-01-01"], "datetime64[D]"), Subsample(0.25), SimCLR(0.5),
    ],
    ids=repr,
)  # fmt: skip
def test_values_come_back(value):
    arrays = {}
    packed = json.loads(json.dumps(pack(value, arrays, "value")))
    found = unpack(packed, arrays)
    assert type(found) is type(value)
    assert repr(found) == repr(value)
    assert getattr(found, "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize(
    "value",
    [
        len, object(), [len], {"a": {"b": object()}}, np.array([len], object), np.longdouble(1),
        np.random.default_rng(0), nn.Identity(), MyEstimate(), Subsample, Subsample(fraction=len),
        np.random.RandomState(np.random.PCG64(0)),
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_values_that_are_not_stored(value):
    with pytest.raises(Unstorable, match="^value.* which can't be stored without pickle"):
        pack(value, {}, "value")


def test_row_indices_come_back(digits):
    data = as_data(np.concatenate([digits[0], digits[0][:5]]))
    index, arrays = RowIndex(data), {}
    found = unpack(pack(index, arrays, "index"), arrays)
    assert found._known == index._known
    assert found.duplicates() == index.duplicates() == 5
    near = as_data(digits[0][::-1] + np.float32(1e-6), unit_range=False)
    same(found.find(near), index.find(near))


# Exported


def raw(X, shape):
    """Rows as the module reads them."""
    return torch.from_numpy(np.ascontiguousarray(X, np.float32).reshape(-1, *shape))


def test_modules_of_tables_standardise_inside(table):
    X = (table + [0, 1e4, -1e6, 0, 5]).astype(
        np.float32
    )  # far from zero: float32 would lose digits
    encoder = SSLEncoder(epochs=3, random_state=0).fit(X)
    module = encoder.to_torch()
    expected = encoder.transform(X)
    with torch.no_grad():
        np.testing.assert_allclose(module(raw(X, (5,))), expected, rtol=1e-5, atol=1e-5)
    state = module.state_dict()
    same(state["center"].numpy(), encoder.layout_.center)
    same(state["scale"].numpy(), encoder.layout_.scale)


def test_modules_read_bytes_and_images_of_other_layouts(digits):
    pixels = (digits[0] * 255).astype(np.uint8)
    encoder = SSLEncoder(epochs=1, random_state=0).fit(pixels)
    with torch.no_grad():
        z = encoder.to_torch()(torch.from_numpy(pixels))
    np.testing.assert_allclose(z, encoder.transform(pixels), rtol=1e-5, atol=1e-5)
    last = np.moveaxis(digits[0], 1, -1).copy()
    flat = digits[0].reshape(len(last), -1)
    for X, how in ((last, {"channels": "last"}), (flat, {"image_shape": (8, 8)})):
        encoder = SSLEncoder(epochs=1, random_state=0, **how).fit(X)
        with torch.no_grad():
            z = encoder.to_torch()(raw(digits[0], (1, 8, 8)))
        np.testing.assert_allclose(z, encoder.transform(X), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"shape \(b, 1, 8, 8\), got \(3, 64\)"):
        encoder.to_torch()(torch.zeros(3, 64))


def test_a_module_is_a_copy_that_can_be_saved_and_tuned(fitted, digits, tmp_path):
    X, encoder = digits[0], fitted.encoder_
    before = encoder.transform(X)
    module = encoder.to_torch()
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    module(raw(X, (1, 8, 8))).square().sum().backward()
    assert all(p.grad is not None for p in module.encoder.parameters())
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    same(encoder.transform(X), before)
    module.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    with torch.no_grad():
        np.testing.assert_allclose(module(raw(X, (1, 8, 8))), before, rtol=1e-5, atol=1e-5)


ALONE = """
import sys, numpy as np, torch
for case in sys.argv[1:]:
    module = torch.export.load(case + ".pt2").module()
    x = torch.from_numpy(np.load(case + ".x.npy"))
    parts = [module(x[:1]), module(x[1:3]), module(x[3:])]
    np.save(case + ".z.npy", torch.cat(parts).detach().numpy())
assert "sslmemo" not in sys.modules
assert "sklearn" not in sys.modules
"""


def test_exported_encoders_need_no_package_of_ours(
    fitted, foreign, digits, table, colour, tmp_path
):
    def trained(X, network, **parameters):
        return SSLEncoder(encoder=network, epochs=1, random_state=0, **parameters).fit(X)

    cases = {
        "table": (trained(table, "mlp"), table),
        "image-mlp": (trained(colour, "mlp", layer="projector"), colour),
        "image-convnet": (trained(colour, "convnet"), colour),
        "image-resnet18": (trained(colour, "resnet18"), colour),
        "own-len": (trained(colour, Counts), colour),
        "own": (foreign.encoder_, digits[0]),
        "of-a-loaded-pool": (again(fitted, tmp_path).encoder_, digits[0]),
    }
    for name, (encoder, X) in cases.items():
        encoder.export(tmp_path / f"{name}.pt2")
        np.save(tmp_path / f"{name}.x.npy", X.astype(np.float32))
    paths = [str(tmp_path / name) for name in cases]
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE, *paths], check=True, cwd=tmp_path)
    for name, (encoder, X) in cases.items():
        expected = encoder.transform(X.astype(np.float32))
        found = np.load(tmp_path / f"{name}.z.npy")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_users_export_the_module_themselves(colour):
    encoder = SSLEncoder(encoder=lambda: convnet((3, 16, 16)), epochs=1, random_state=0).fit(colour)
    example = torch.from_numpy(colour[:2])
    program = torch.export.export(
        encoder.to_torch(), (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
    )
    z = program.module()(torch.from_numpy(colour)).detach()
    np.testing.assert_allclose(z, encoder.transform(colour), rtol=1e-5, atol=1e-5)


def test_paths_of_exports(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"must end in '\.pt2'"):
        fitted.encoder_.export(tmp_path / "f.pt")
    with pytest.raises(ValueError, match="is a folder"):
        fitted.encoder_.export(tmp_path)
    with pytest.raises(FileNotFoundError, match="a folder that does not exist"):
        fitted.encoder_.export(tmp_path / "absent" / "f.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["depth_isolation", "trajectory", Isolation(n_neighbors=3)])
def test_a_loaded_proxy_says_what_it_said(images, tmp_path, kind):
    X, _, new = images
    est = MemorizationProxy(kind, n_encoders=2, epochs=2, n_views=2, random_state=0).fit(X)
    foreign = {} if isinstance(kind, str) else {"kind": Isolation(n_neighbors=3)}
    loaded = again(est, tmp_path, **foreign)
    same(est.score_samples(X[::-1]), loaded.score_samples(X[::-1]))
    same(est.standard_errors_, loaded.standard_errors_)
    same(est.transform(new), loaded.transform(new))
    same(est.get_feature_names_out(), loaded.get_feature_names_out())
    assert repr(est) == repr(loaded)
    assert repr(est.kind_) == repr(loaded.kind_)
    assert vars(est).keys() == vars(loaded).keys()
    with pytest.raises(ValueError, match="MemorizationProxy.load reads"):
        MemorizationEstimator.load(tmp_path / "saved")
    with pytest.raises(NotFittedError):
        MemorizationProxy().save(tmp_path / "unfitted")
    if foreign:
        with pytest.raises(ValueError, match="kind= could not be stored"):
            MemorizationProxy.load(tmp_path / "saved")


def test_a_path_that_is_none_is_refused(tiny, images, tmp_path):
    est = tiny().fit(images[0])
    with pytest.raises(TypeError, match="path must be a str or a path, got 5"):
        est.save(5)
    with pytest.raises(TypeError, match="path must be a str or a path, got None"):
        MemorizationEstimator.load(None)
