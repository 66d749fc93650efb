"""MemorizationEstimator as a citizen of scikit-learn, and its promises about rows, seeds, errors."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sslmemo import (
    KNNProbe,
    LinearProbe,
    MemorizationEstimator,
    MemorizationResult,
    SSLEncoder,
    scorers,
)
from sslmemo.designs import Explicit, LeaveOneOut, Split, Subsample
from sslmemo.estimates import Difference
from sslmemo.methods import SimCLR

_SHARED = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8))
TINY = {"n_encoders": 4, "epochs": 1, "verbose": 0, "n_views": 2}


@pytest.mark.filterwarnings("ignore::UserWarning")
@parametrize_with_checks(
    [MemorizationEstimator(**TINY), SSLEncoder(epochs=1), LinearProbe(), KNNProbe()]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_scores_are_index_aligned_and_recognised(tiny, digits):
    X, y = digits
    est = tiny().fit(X, y)
    assert est.memorization_scores_.shape == (120,)
    assert np.isfinite(est.memorization_scores_).all()
    order = np.random.default_rng(0).permutation(120)[:50]
    np.testing.assert_array_equal(est.score_samples(X[order]), est.memorization_scores_[order])
    assert est.membership_.shape == (4, 120)
    assert est.transform(X).shape == (120, 64)


def test_the_definition_by_hand(tiny, digits):
    est = tiny().fit(digits[0])
    A, member = est.result_.run.values["alignment"], est.membership_
    for i in (0, 17, 119):
        by_hand = np.mean([a for a, m in zip(A[:, i], member[:, i]) if not m]) - np.mean(
            [a for a, m in zip(A[:, i], member[:, i]) if m]
        )
        assert est.memorization_scores_[i] == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("how", ["two", "threads", "loky"])
def test_the_same_bytes_however_it_is_parallel(tiny, digits, how):
    single = tiny(n_encoders=6).fit(digits[0])
    if how == "two":
        other = tiny(n_encoders=6, n_jobs=2).fit(digits[0])
    else:
        backend = {"threads": "threading", "loky": "loky"}[how]
        with joblib.parallel_config(backend, n_jobs=2):
            other = tiny(n_encoders=6).fit(digits[0])
    np.testing.assert_array_equal(single.memorization_scores_, other.memorization_scores_)
    np.testing.assert_array_equal(single.transform(digits[0]), other.transform(digits[0]))


def test_a_larger_pool_begins_with_the_smaller(tiny, digits):
    small, large = (tiny(n_encoders=k).fit(digits[0]).result_.run for k in (4, 8))
    np.testing.assert_array_equal(small.plan.member, large.plan.member[:4])
    np.testing.assert_array_equal(small.values["alignment"], large.values["alignment"][:4])


def test_the_users_random_state_and_threads_are_untouched(tiny, digits):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    legacy = np.random.get_state
    before = torch.get_rng_state(), legacy()[1].copy(), torch.get_num_threads()
    tiny(random_state=None).fit(digits[0])
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == legacy()[1]).all()
    assert before[2] == torch.get_num_threads()


def test_refitting_and_cloning_give_the_same(tiny, digits):
    est = tiny()
    first = est.fit(digits[0]).memorization_scores_
    np.testing.assert_array_equal(first, est.fit(digits[0]).memorization_scores_)
    np.testing.assert_array_equal(first, clone(est).fit(digits[0]).memorization_scores_)
    assert not np.array_equal(first, tiny(random_state=1).fit(digits[0]).memorization_scores_)


def test_pickling_keeps_everything(fitted, digits):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.score_samples(digits[0]), fitted.memorization_scores_)
    np.testing.assert_array_equal(again.transform(digits[0]), fitted.transform(digits[0]))
    assert again.result_.summary() == fitted.result_.summary()


def test_a_planted_outlier_ranks_first(digits):
    X = digits[0].copy()
    X[7] = np.indices((8, 8)).sum(0) % 2  # a checkerboard among digits
    est = MemorizationEstimator(
        design=Subsample(0.25), n_encoders=24, epochs=60, n_views=8, random_state=0, verbose=0
    ).fit(X)
    assert est.memorization_scores_.argmax() == 7
    assert est.result_.table()["q_value"][7] < 0.05


@pytest.mark.filterwarnings("ignore:.*copies of others")
def test_twins_hide_each_other_unless_tied(digits):
    """A twin left out is still seen through the other; tied by content both are left out."""
    X = np.concatenate([digits[0][:80], digits[0][:20]])
    options = {"design": Subsample(0.5), "n_encoders": 16, "epochs": 60, "random_state": 0}
    tied = MemorizationEstimator(**options, verbose=0).fit(X)
    free = MemorizationEstimator(**options, verbose=0).fit(X, groups=np.arange(100))
    twins = np.r_[:20, 80:100]
    assert tied.memorization_scores_[twins].mean() > 1.5 * free.memorization_scores_[twins].mean()
    copies = tied.score_samples(X)[:20]
    np.testing.assert_allclose(copies, tied.score_samples(X)[80:])
    pairs = np.stack([free.memorization_scores_[:20], free.memorization_scores_[80:]])
    np.testing.assert_allclose(free.score_samples(X)[:20], pairs.mean(0))


def test_copies_are_tied_with_a_warning(tiny, table):
    with pytest.warns(UserWarning, match="1 row of X is a copy of others"):
        est = tiny().fit(np.concatenate([table, table[:1]]))
    assert (est.membership_[:, 0] == est.membership_[:, 60]).all()


def test_unseen_rows_are_refused_by_name(tiny, digits, table):
    est = tiny().fit(digits[0][:60])
    with pytest.raises(
        ValueError, match=r"60 of 120 rows were not seen.*alignment\(X\).*null_scores"
    ):
        est.score_samples(digits[0])
    with pytest.raises(ValueError, match="keep_encoders=True"):
        est.alignment(digits[0])
    with pytest.raises(NotFittedError):
        tiny().score_samples(table)


def test_alignment_of_seen_and_unseen_rows(fitted, digits):
    X = digits[0]
    values = fitted.alignment(X[[5, 2]])
    np.testing.assert_array_equal(values, fitted.result_.run.values["alignment"][:, [5, 2]])
    new = X[:2, :, ::-1].copy()
    mixed = fitted.alignment(np.concatenate([new, X[[5]]]))
    assert mixed.shape == (8, 3)
    np.testing.assert_array_equal(mixed[:, 1:2], fitted.alignment(new[1:]))


def test_null_scores_have_mean_zero_and_the_noise_of_scores(fitted, digits):
    new = np.concatenate([digits[0][:, :, ::-1], digits[0][:, :, :, ::-1]])[:100].copy()
    null = fitted.null_scores(new)
    error = null.std() / np.sqrt(len(null))
    assert abs(null.mean()) < 4 * error
    assert 0.3 < null.std() / np.sqrt(np.mean(fitted.standard_errors_**2)) < 3
    with pytest.raises(ValueError, match="their scores are no null"):
        fitted.null_scores(digits[0])


@pytest.mark.parametrize("normalize", ["encoder", "relative", "range"])
def test_null_scores_are_on_the_scale_of_the_scores(fitted, digits, normalize):
    new = digits[0][:60, :, ::-1].copy()
    plain, again = fitted.null_scores(new), clone(fitted).set_params(normalize=normalize)
    null = again.fit(digits[0]).null_scores(new)
    ratio = np.std(null) / np.std(plain)
    scores = np.std(again.memorization_scores_) / np.std(fitted.memorization_scores_)
    assert ratio == pytest.approx(scores, rel=0.5)


def test_split_scores_any_row(digits):
    X = digits[0]
    roles = np.repeat(["shared", "candidate", "independent"], [60, 30, 30])
    est = MemorizationEstimator(
        design=Split(roles), n_encoders=4, epochs=40, keep_encoders=True, random_state=0, verbose=0
    ).fit(X)
    by_role = [est.memorization_scores_[roles == r].mean() for r in ("candidate", "independent")]
    assert by_role[0] > 0 > by_role[1]
    assert est.score_samples(X[:2, :, ::-1].copy()).shape == (2,)
    assert "role" in est.result_.table().columns
    assert "by role" in est.result_.summary()


def test_leave_one_out_scores_what_was_asked(tiny, digits):
    est = tiny(design=LeaveOneOut([3, 8, 11]), n_encoders=8).fit(digits[0])
    known = np.flatnonzero(np.isfinite(est.memorization_scores_))
    assert known.tolist() == [3, 8, 11]
    assert "exact leave-one-out" in est.result_.summary()


def test_rows_never_in_or_out_are_nan_with_a_warning(tiny, table):
    with pytest.warns(UserWarning, match=r"never in or never out.*\d+ encoders would cover"):
        est = tiny(design=Subsample(0.7, balanced=False), n_encoders=2).fit(table)
    lost = est.membership_.all(0) | ~est.membership_.any(0)
    assert (np.isnan(est.memorization_scores_) == lost).all()


def test_one_block_has_no_standard_error(tiny, digits):
    with pytest.warns(UserWarning, match="no standard error"):
        est = tiny(n_encoders=2).fit(digits[0])
    assert np.isnan(est.standard_errors_).all()
    assert np.isfinite(est.memorization_scores_).all()
    assert "unknown" in est.result_.summary()


def test_warm_start_trains_only_the_difference(tiny, digits):
    X = digits[0]
    est = tiny(warm_start=True).fit(X)
    est.set_params(n_encoders=8).fit(X)
    whole = tiny(n_encoders=8).fit(X)
    np.testing.assert_array_equal(est.memorization_scores_, whole.memorization_scores_)
    with pytest.raises(ValueError, match="X differs"):
        est.fit(X[:100])
    with pytest.raises(ValueError, match="the recipe differs"):
        est.set_params(epochs=3).fit(X)
    relative = est.set_params(epochs=2, normalize="relative").fit(X).memorization_scores_
    expected = whole.set_params(normalize="relative").fit(X).memorization_scores_
    np.testing.assert_array_equal(relative, expected)


def test_memory_gives_the_same_scores(tiny, digits, tmp_path):
    first = tiny(memory=tmp_path).fit(digits[0])
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    again = tiny(memory=tmp_path).fit(digits[0])
    assert files == {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    np.testing.assert_array_equal(first.memorization_scores_, again.memorization_scores_)


def test_memory_tells_callables_of_one_name_apart(tiny, digits, tmp_path):
    def noise(sd):
        return lambda x: x + sd * torch.randn_like(x)

    a = tiny(memory=tmp_path, augmentation=noise(0.1)).fit(digits[0]).memorization_scores_
    b = tiny(memory=tmp_path, augmentation=noise(0.5)).fit(digits[0]).memorization_scores_
    assert not np.array_equal(a, b)
    again = tiny(memory=tmp_path, augmentation=noise(0.1)).fit(digits[0]).memorization_scores_
    np.testing.assert_array_equal(a, again)


def test_pipeline_with_pca_recognises_rows(tiny, digits):
    X = digits[0].reshape(120, -1).astype(np.float64)
    pipe = make_pipeline(PCA(10, random_state=0), tiny()).fit(X)
    order = [4, 90, 4]
    np.testing.assert_array_equal(
        pipe.score_samples(X[order]), pipe[-1].memorization_scores_[order]
    )


def test_search_over_epochs_and_augmentation(tiny, digits):
    X, y = digits
    search = GridSearchCV(
        tiny(), {"epochs": [1, 3], "augmentation": ["digits", "weak"]}, cv=2, error_score="raise"
    ).fit(X, y)
    assert set(search.best_params_) == {"epochs", "augmentation"}
    assert 0.1 < search.best_score_ <= 1
    assert scorers.mean_memorization(search) == search.best_estimator_.result_.mean_score


def test_scorers_beside_a_probe(tiny, digits):
    X, y = digits
    pipe = make_pipeline(PCA(8), tiny())
    scores = cross_validate(
        pipe, X.reshape(120, -1), y, cv=2, error_score="raise",
        scoring={"memorization": scorers.mean_memorization, "reliability": scorers.reliability},
    )  # fmt: skip
    assert np.isfinite(scores["test_memorization"]).all()
    assert (scores["test_reliability"] <= 1).all()
    with pytest.raises(TypeError, match="holds no fitted"):
        scorers.reliability(PCA())


def test_an_encoder_and_a_probe_make_a_classifier(digits):
    X, y = digits
    pipe = make_pipeline(SSLEncoder(random_state=0), LinearProbe())
    search = GridSearchCV(pipe, {"sslencoder__epochs": [1, 30]}, cv=2, error_score="raise")
    assert search.fit(X, y).best_score_ > 0.5


def test_score_is_probe_accuracy_or_rank(tiny, digits):
    X, y = digits
    est = tiny().fit(X[:80], y[:80])
    assert 0 <= est.score(X[80:], y[80:]) <= 1
    assert est.score(X[80:]) > 1
    assert tiny().fit(X[:80]).score(X[80:], y[80:]) > 1


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_and_set_output(tiny, table, frame):
    named = frame({f"c{i}": table[:, i] for i in range(5)})
    est = tiny().set_output(transform="pandas" if frame is pd.DataFrame else "polars").fit(named)
    assert list(est.feature_names_in_) == [f"c{i}" for i in range(5)]
    out = est.transform(named)
    assert isinstance(out, frame)
    assert list(out.columns)[:2] == ["memorizationestimator0", "memorizationestimator1"]
    np.testing.assert_array_equal(est.memorization_scores_, tiny().fit(table).memorization_scores_)


def test_groups_are_routed(tiny, digits):
    X, groups = digits[0], np.arange(120) // 4
    with sklearn.config_context(enable_metadata_routing=True):
        est = tiny().set_fit_request(groups=True)
        pipe = make_pipeline(PCA(6), est).fit(X.reshape(120, -1), groups=groups)
    member = pipe[-1].membership_
    assert (member.reshape(4, 30, 4).min(2) == member.reshape(4, 30, 4).max(2)).all()


def test_cost_is_told_before(tiny, digits):
    est = tiny(n_encoders=8)
    cost = est.estimate_cost(digits[0])
    assert cost.n_blocks == 4
    assert cost.seconds > 0
    assert "8 encoders in 4 blocks" in str(cost)
    assert not hasattr(est, "result_")


def test_plan_tells_how_many_encoders(digits):
    est = MemorizationEstimator(epochs=30, random_state=0, verbose=0, n_views=4)
    plan = est.plan(digits[0], reliability=0.8)
    assert plan.n_encoders == 2 * plan.n_blocks
    assert plan.n_encoders_low <= plan.n_encoders <= plan.n_encoders_high
    assert plan.pilot.run.plan.n_encoders == 8


def test_rows_without_a_group_are_refused(tiny, digits):
    for groups in (np.where(np.arange(120) < 5, np.nan, np.arange(120)), [None] * 120):
        with pytest.raises(ValueError, match="has no group for"):
            tiny().fit(digits[0], groups=groups)


def test_fitting_without_gradients_in_force_works(tiny, digits):
    with torch.no_grad():
        scores = tiny().fit(digits[0]).memorization_scores_
    np.testing.assert_array_equal(scores, tiny().fit(digits[0]).memorization_scores_)


def test_plan_refuses_early(tiny, digits):
    with pytest.raises(ValueError, match="reliability must lie"):
        tiny().plan(digits[0], reliability=2)
    with pytest.raises(ValueError, match="one fixed plan"):
        tiny(design=Explicit(np.eye(120))).plan(digits[0])
    with pytest.raises(ValueError, match="one label for each of the 120 rows"):
        tiny().fit(digits[0], digits[1][:50])


def test_results_save_load_and_add(tiny, digits, tmp_path):
    X = digits[0]
    a, b = (tiny(random_state=s).fit(X).result_ for s in (0, 1))
    both = a + b
    assert both.run.plan.n_encoders == 8
    np.testing.assert_allclose(both.score, (a.score + b.score) / 2)
    both.save(tmp_path / "r")
    loaded = MemorizationResult.load(tmp_path / "r")
    np.testing.assert_array_equal(loaded.score, both.score)
    np.testing.assert_array_equal(loaded.standard_error, both.standard_error)
    assert loaded.summary() == both.summary()
    (tmp_path / "r").write_bytes((tmp_path / "r").read_bytes()[:-1])
    with pytest.raises(ValueError, match="torn or altered"):
        MemorizationResult.load(tmp_path / "r")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        MemorizationResult.load(tmp_path / "absent")
    with pytest.raises(ValueError, match="is a folder"):
        both.save(tmp_path)


def test_tables_sort_slice_and_write(fitted, tmp_path):
    result = fitted.result_
    top = result.top(5)
    assert top["score"].tolist() == sorted(result.score.tolist(), reverse=True)[:5]
    assert result[:3]["row"].tolist() == [0, 1, 2]
    table = result.table(top_k=7)
    assert np.nansum(table["top_k_probability"]) == pytest.approx(7, abs=1e-6)
    table.with_column("label", np.arange(120)).to_csv(tmp_path / "t.csv")
    read = pd.read_csv(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(
        read.drop(columns="label"), result.to_frame(top_k=7), check_dtype=False
    )
    assert result[3]["row"].tolist() == [3]
    with pytest.raises(KeyError, match="no column 'scores'"):
        table["scores"]
    with pytest.raises(ValueError, match="has a column 'score' already"):
        table.with_column("score", result.score)
    with pytest.raises(ValueError, match="k must be"):
        result.table(top_k=0)


def test_texts_say_what_was_done(fitted):
    text = fitted.result_.methods_text()
    for part in ("8 encoders", "4 independent blocks", "mlp", "SimCLR", "euclidean", "torch"):
        assert part in text
    summary = str(fitted.result_)
    for part in ("training size 60 of 120", "reliability", "standard error"):
        assert part in summary


def test_a_collapse_is_said_aloud(fitted):
    from dataclasses import replace

    values = {**fitted.result_.run.values, "spread": np.array([0.001] + [0.9] * 7)}
    assert (
        "1 of 8 encoders collapsed"
        in MemorizationResult(replace(fitted.result_.run, values=values)).summary()
    )


def test_low_rank_and_equal_encoders_are_said_aloud(fitted):
    from dataclasses import replace

    def summary(**values):
        run = replace(fitted.result_.run, values={**fitted.result_.run.values, **values})
        return MemorizationResult(run).summary()

    said = fitted.result_.summary()
    assert "CAUTION" not in said
    assert "WARNING" not in said
    assert "hardly more than one direction (effective rank 1.4)" in summary(
        effective_rank=np.full(8, 1.4), spread=np.full(8, 0.3)
    )
    alike = 0.5 + 1e-6 * np.random.default_rng(0).standard_normal(fitted.membership_.shape)
    assert "f and g are all but the same encoder" in summary(alignment=alike)


def test_no_difference_is_said_aloud(fitted):
    from dataclasses import replace

    noise = np.random.default_rng(0).normal(0.5, 0.01, fitted.membership_.shape)
    result = MemorizationResult(replace(fitted.result_.run, values={"alignment": noise}))
    assert "don't differ beyond noise" in result.summary()


def test_an_explicit_design_and_an_own_distance(tiny, digits):
    member = np.random.default_rng(0).random((8, 120)).argsort(0) < 4
    est = tiny(design=Explicit(member), distance=lambda a, b: (a - b).abs().amax(1)).fit(digits[0])
    assert (est.membership_ == member).all()
    assert np.isfinite(est.standard_errors_).all()


@pytest.mark.parametrize("normalize", ["encoder", "relative", "range"])
def test_normalized_scores(tiny, digits, normalize):
    scores = tiny(normalize=normalize).fit(digits[0]).memorization_scores_
    assert np.isfinite(scores).all()
    if normalize == "relative":
        assert np.abs(scores).max() <= 1
    if normalize == "range":
        assert np.ptp(scores) == pytest.approx(1)


def test_a_larger_pool_begins_with_the_smaller_whatever_the_groups(tiny, digits):
    groups = np.random.default_rng(0).integers(0, 25, 120)
    small, large = (
        tiny(n_encoders=k).fit(digits[0], groups=groups).result_.run for k in (2 + 2, 12)
    )
    np.testing.assert_array_equal(small.values["alignment"], large.values["alignment"][:4])
    assert small.config["trainer"] == large.config["trainer"]


def test_copies_under_given_roles_are_not_said_to_be_tied(tiny, table):
    roles = np.repeat(["shared", "candidate", "independent"], [21, 20, 20])
    with pytest.warns(UserWarning, match="a copy on the other side hides"):
        tiny(design=Split(roles)).fit(np.concatenate([table, table[:1]]))
    with pytest.raises(ValueError, match="are of one group"):
        tiny(design=Split(roles[:60])).fit(table, groups=np.arange(60) // 7)


BAD = {
    "measurements": ({"measurements": 3}, TypeError, "sequence of measurements"),
    "anchor of the estimate": (
        {"anchor": "clean", "estimate": Difference()},
        ValueError,
        "make them equal",
    ),
    "normalize of the estimate": (
        {"normalize": "range", "estimate": Difference()},
        ValueError,
        "Difference.normalize=",
    ),
    "module as encoder": ({"encoder": torch.nn.Linear(64, 3)}, TypeError, "factory"),
    "batch size": ({"batch_size": 61}, ValueError, "smallest training set.*60 rows"),
    "method": ({"method": "simclrr"}, ValueError, "Did you mean 'simclr'"),
    "encoder": ({"encoder": "resnet"}, ValueError, "Known: 'mlp'"),
    "augmentation": ({"augmentation": 3}, TypeError, "augmentation must be"),
    "design": ({"design": "halves"}, ValueError, "design='halves' is unknown"),
    "estimate": ({"estimate": "diff"}, ValueError, "estimate='diff' is unknown"),
    "distance": ({"distance": lambda a, b: a}, ValueError, "one number for each"),
    "anchor": ({"anchor": "x"}, ValueError, "anchor"),
    "layer": ({"layer": "head"}, ValueError, "layer must be"),
    "normalize": ({"normalize": "max"}, ValueError, "normalize"),
    "n_encoders": ({"n_encoders": 0}, ValueError, "at least 1"),
    "shared weights": (
        {"encoder": lambda: _SHARED},
        ValueError,
        "the same weights twice.*deepcopy",
    ),
    "batch of one": ({"batch_size": 1}, ValueError, "batch_size must be"),
    "nobody out": ({"design": Explicit(np.ones((4, 120)))}, ValueError, "nothing to compare"),
    "odd n_encoders": ({"n_encoders": 5}, ValueError, "use 4 or 6"),
    "n_views": ({"n_views": 1}, ValueError, "at least 2"),
    "float n_encoders": ({"n_encoders": 4.0}, TypeError, "must be an int"),
    "epochs": ({"epochs": -1}, ValueError, "epochs must be"),
    "learning rate": ({"learning_rate": 0}, ValueError, "learning_rate must be"),
    "device": ({"device": "cuda:9"}, ValueError, "absent"),
    "on_error": ({"on_error": "ignore"}, ValueError, "'raise' or 'drop'"),
    "max_time": ({"max_time": 0}, ValueError, "max_time must be"),
    "random state": ({"random_state": "x"}, TypeError, "random_state must be"),
    "memory": ({"memory": "/dev/null/x"}, ValueError, "memory"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_are_refused_before_training(tiny, digits, case, monkeypatch):
    changes, error, message = BAD[case]
    monkeypatch.setattr(torch.Tensor, "backward", lambda *a, **k: pytest.fail("trained already"))
    with pytest.raises(error, match=message):
        tiny(**changes).fit(digits[0])


def test_a_plain_method_name_has_no_parameters(tiny):
    with pytest.raises(ValueError, match=r"method=SimCLR\(temperature=...\)"):
        tiny().set_params(method__temperature=0.3)
    est = tiny(method=SimCLR()).set_params(method__temperature=0.3)
    assert est.method.temperature == 0.3


def test_a_divergence_names_its_seed_or_drops_its_block(tiny, digits):
    from sslmemo.protocols import TrainingError

    with pytest.raises(TrainingError, match=r"seed \d+ diverged"):
        tiny(learning_rate=1e30, epochs=20).fit(digits[0])


@pytest.mark.filterwarnings("error")
def test_a_fit_warns_of_nothing(tiny, digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny().fit(digits[0])


@pytest.mark.parametrize("key", ["estimate__features", "design__fraction", "gradient_noise__clip"])
def test_parameters_of_names_and_nothing_are_refused_with_a_mend(key):
    with pytest.raises(ValueError, match=f"{key} can't be set while.*pass an object that has"):
        MemorizationEstimator().set_params(**{key: 1})


def test_labels_without_a_value_are_refused_before_any_training(tiny, table):
    y = np.where(np.arange(len(table)) == 7, np.nan, 1.0)
    est = tiny()
    with pytest.raises(ValueError, match="y holds NaN for 1 of 60 rows, first row 7"):
        est.fit(table, y)
    assert not hasattr(est, "result_")
