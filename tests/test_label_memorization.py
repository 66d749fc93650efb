"""LabelMemorizationEstimator against closed forms of leave-one-out, and as a citizen of scikit-learn."""

import pickle
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from sslmemo import LabelMemorizationEstimator, MemorizationResult
from sslmemo.data import as_data
from sslmemo.designs import Explicit, Split, Subsample
from sslmemo.estimates import Difference, Shrinkage
from sslmemo.measurements import Correctness
from sslmemo.protocols import Measurement, TrainingError
from sslmemo.randomness import derive_seed, seeded
from sslmemo.training.supervised import ClassifierTrainer, NetworkTrainer

NEAREST = KNeighborsClassifier(n_neighbors=1)
ONE_BLOCK = pytest.mark.filterwarnings("ignore:.*one block:UserWarning")


def label_estimator(estimator=None, **changes):
    return LabelMemorizationEstimator(
        estimator, **{"n_encoders": 8, "verbose": 0, "random_state": 0, **changes}
    )


@pytest.fixture(scope="module")
def rows():
    """90 digits of five classes, every seventh with a wrong label."""
    X, y = load_digits(n_class=5, return_X_y=True)
    X, y = X[:90], y[:90].copy()
    y[::7] = (y[::7] + 2) % 5
    return X, y


class Logged(ClassifierMixin, BaseEstimator):
    """A nearest-neighbour classifier that leaves a file for every fit."""

    def __init__(self, log, n_neighbors=1, fail_below=0):
        self.log = log
        self.n_neighbors = n_neighbors
        self.fail_below = fail_below

    def fit(self, X, y):
        (Path(self.log) / str(time.monotonic_ns())).touch()
        if X[:, 2].sum() < self.fail_below:
            raise ValueError("too little ink")
        self.inner_ = KNeighborsClassifier(self.n_neighbors).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)


def weighting(power):
    """A function of a neighbour's distance; all have one name."""

    def weights(distance):
        return (1 + distance) ** -power

    return weights


class Net(nn.Sequential):
    """A network of logits with dropout, for five classes of 8 x 8 digits."""

    def __init__(self, dropout=0.0, n_classes=5):
        super().__init__(
            nn.Flatten(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(64, n_classes),
        )


# ---- closed forms


@ONE_BLOCK
def test_leave_one_out_of_the_nearest_neighbour(rows):
    X, y = rows
    est = label_estimator(NEAREST, design="leave_one_out", n_encoders=91).fit(X, y)
    distance = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    wrong_without = y[distance.argmin(1)] != y  # f has the row itself at distance 0: always right
    assert 5 < wrong_without.sum() < 60
    np.testing.assert_array_equal(est.memorization_scores_, wrong_without)
    assert np.isnan(est.standard_errors_).all()


@ONE_BLOCK
@pytest.mark.parametrize("n_class", [2, 5])
def test_leave_one_out_of_ridge_regression(n_class):
    X, y = load_digits(n_class=n_class, return_X_y=True)
    X, y, alpha = X[:70], y[:70].copy(), 30.0
    y[::6] = (y[::6] + 1) % n_class
    est = label_estimator(RidgeClassifier(alpha), design="leave_one_out", n_encoders=71).fit(X, y)

    Z = np.hstack([np.ones((70, 1)), X])  # (n, 1 + d), intercept not penalised
    penalty = alpha * np.diag([0.0] + [1.0] * 64)
    H = Z @ np.linalg.solve(Z.T @ Z + penalty, Z.T)
    Y = LabelBinarizer(neg_label=-1).fit_transform(y)  # (n, 1) or (n, n_class)
    inside = H @ Y
    outside = Y - (Y - inside) / (1 - np.diag(H))[:, None]

    def said(f):
        return (f[:, 0] > 0).astype(int) if n_class == 2 else f.argmax(1)

    expected = (said(outside) != y).astype(float) - (said(inside) != y)
    assert {0.0, 1.0} <= set(expected)
    np.testing.assert_array_equal(est.memorization_scores_, expected)


@ONE_BLOCK
def test_influence_of_the_nearest_neighbour(rows):
    X, y = rows[0][:60], rows[1][:60]
    X_test, y_test = rows[0][60:], rows[1][60:]
    est = label_estimator(NEAREST, design="leave_one_out", n_encoders=61)
    influence = est.fit(X, y, X_test=X_test, y_test=y_test).influence()
    order = np.linalg.norm(X_test[:, None] - X[None], axis=2).argsort(1)
    expected = np.zeros((30, 60))
    first, second = order[:, 0], order[:, 1]  # only the nearest row changes a prediction
    expected[np.arange(30), first] = (y[first] == y_test) * 1.0 - (y[second] == y_test)
    assert {-1.0, 1.0} <= set(expected.ravel())
    np.testing.assert_array_equal(influence, expected)


def test_a_row_that_alone_has_its_class_is_memorized_by_definition(rows):
    X, y = rows[0], np.where(np.arange(90) == 4, 9, rows[1])
    with pytest.warns(UserWarning, match=r"1 classes of y have one row \(\[9\]\)"):
        est = label_estimator(NEAREST).fit(X, y)
    assert est.memorization_scores_[4] == 1


# ---- a literal loop over clones


@pytest.mark.parametrize(
    "design", [Subsample(), Subsample(0.25), Subsample(0.7, balanced=False)], ids=str
)
@pytest.mark.parametrize("outcome", ["label", "probability"])
def test_a_literal_loop_gives_the_same_scores(rows, design, outcome):
    X, y = rows
    forest = RandomForestClassifier(5)
    model = make_pipeline(StandardScaler(), forest)
    est = label_estimator(model, design=design, outcome=outcome, n_encoders=12).fit(X, y)
    plan = est.result_.run.plan
    loss = np.empty(plan.member.shape)
    for t, member in enumerate(plan.member):
        name = "randomforestclassifier__random_state"
        seed = derive_seed(plan.seed_of(plan.block[t]), "classifier", name) % 2**32
        g = clone(model).set_params(**{name: seed}).fit(X[member], y[member])
        if outcome == "label":
            loss[t] = g.predict(X) != y
        else:
            loss[t] = 1 - g.predict_proba(X)[np.arange(90), np.searchsorted(g.classes_, y)]
    np.testing.assert_allclose(est.result_.run.values["misclassified"], loss, atol=1e-6)
    inside = np.nanmean(np.where(plan.member, loss, np.nan), 0)
    outside = np.nanmean(np.where(plan.member, np.nan, loss), 0)
    np.testing.assert_allclose(est.memorization_scores_, outside - inside, atol=1e-6)
    assert forest.random_state is None
    assert not hasattr(forest, "estimators_")


def test_influence_by_hand_with_errors(rows):
    X, y = rows[0][:60], rows[1][:60]
    est = label_estimator(NEAREST, n_encoders=12).fit(
        X, y, X_test=rows[0][60:], y_test=rows[1][60:]
    )
    influence, error = est.influence(return_std=True)
    right = 1 - est.result_.run.values["test_misclassified"]  # (12, 30)
    member = est.membership_
    in_each = [
        [right[2 * b + (not member[2 * b, 7]), j] - right[2 * b + member[2 * b, 7], j]
         for b in range(6)]
        for j in range(30)
    ]  # fmt: skip
    np.testing.assert_allclose(influence[:, 7], np.mean(in_each, 1), atol=1e-6)
    np.testing.assert_allclose(error[:, 7], np.std(in_each, 1, ddof=1) / np.sqrt(6), atol=1e-6)
    # and it changes nothing about the scores
    np.testing.assert_array_equal(
        label_estimator(NEAREST, n_encoders=12).fit(X, y).memorization_scores_,
        est.memorization_scores_,
    )


def test_a_class_that_a_training_set_misses_has_probability_0(rows):
    X, y = rows[0], np.where(rows[1] == 4, "rare", "usual")
    member = np.ones((2, 90), bool)
    member[1, y == "rare"] = False  # and then one class is left
    est = label_estimator(
        LogisticRegression(max_iter=5000), design=Explicit(member, block=[0, 0]),
        outcome="probability",
    )  # fmt: skip
    with pytest.warns(UserWarning, match="rows are never in or never out|one block"):
        est.fit(X, y)
    error = est.result_.run.values["misclassified"]
    np.testing.assert_array_equal(error[1], y == "rare")
    assert error[0].max() < 0.5
    assert (est.memorization_scores_[y == "rare"] > 0.5).all()


# ---- networks


def test_full_batch_network_against_a_plain_loop(rows):
    X, y = rows
    est = label_estimator(
        Net, n_encoders=4, epochs=15, batch_size=45, outcome="probability", device="cpu"
    ).fit(X, y)
    plan = est.result_.run.plan
    deviation = X.std(0)
    Z = (X - X.mean(0)) / np.where(deviation > 0, deviation, 1)
    Z = torch.from_numpy(Z.astype(np.float32))
    for t, member in enumerate(plan.member):
        with seeded(derive_seed(plan.seed_of(plan.block[t]), "init")):
            net = Net()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=16)
        for _ in range(15):
            loss = nn.functional.cross_entropy(net(Z[member]), torch.from_numpy(y[member]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        expected = 1 - net(Z).softmax(1)[np.arange(90), y].detach().numpy()
        np.testing.assert_allclose(est.result_.run.values["misclassified"][t], expected, atol=1e-4)


def test_networks_memorize_wrong_labels_and_leave_the_generator_alone(rows):
    X, y = rows[0].reshape(-1, 8, 8, 1) / 16, rows[1]
    options = {"channels": "last", "epochs": 80, "batch_size": 15, "learning_rate": 1e-2}
    before = torch.get_rng_state()
    est = label_estimator(partial(Net, dropout=0.2), n_encoders=8, **options).fit(X, y)
    assert torch.equal(before, torch.get_rng_state())
    wrong = np.arange(90) % 7 == 0
    assert est.memorization_scores_[wrong].mean() > 0.7
    assert est.memorization_scores_[~wrong].mean() < 0.4
    again = clone(est).fit(X, y)
    np.testing.assert_array_equal(again.memorization_scores_, est.memorization_scores_)


def test_stages_and_observers_of_a_network(rows):
    data, seen = as_data(rows[0]), []
    trainer = NetworkTrainer(Net, rows[1], steps=6, batch_size=10, learning_rate=1e-3)
    stages = list(
        trainer.fit_many(
            data,
            np.ones((2, 90), bool),
            [3, 3],
            at=(0.5, 1.0),
            observers=[lambda *args: seen.append(args)],
        )
    )
    assert [fraction for fraction, _ in stages] == [0.5, 1.0]
    half, whole = stages[0][1][0].state(), stages[1][1][0].state()
    assert not np.array_equal(half["1.weight"], whole["1.weight"])
    np.testing.assert_array_equal(whole["1.weight"], stages[1][1][1].state()["1.weight"])
    which, step, index, loss, z = seen[7]
    assert (which.tolist(), step) == ([1], 1)
    assert (index.shape, loss.shape, z.shape) == ((1, 10), (1, 10), (1, 1, 10, 5))


def test_a_diverging_network_is_one_blocks_failure(rows):
    est = label_estimator(Net, learning_rate=1e30, n_encoders=4, epochs=5)
    with pytest.raises(TrainingError, match="lower learning_rate=1e"):
        est.fit(*rows)


ONE_NET = Net()


@pytest.mark.parametrize(
    ("factory", "match"),
    [
        (partial(Net, n_classes=3), r"finite logits \(2, 5\)"),
        (lambda: nn.Linear(3, 5), "failed on 2 rows of shape"),
        (dict, "failed on 2 rows of shape"),
        (lambda: ONE_NET, "the same weights twice"),
    ],
)
def test_bad_factories_fail_before_training(rows, factory, match):
    with pytest.raises(ValueError, match=match):
        label_estimator(factory).fit(*rows)


# ---- seeds, store, jobs


def test_number_of_jobs_does_not_matter(rows):
    for model in (None, RandomForestClassifier(5), Net):
        est = label_estimator(model, epochs=2)
        one = est.fit(*rows).result_.run.values["misclassified"]
        two = clone(est).set_params(n_jobs=2).fit(*rows).result_.run.values["misclassified"]
        np.testing.assert_array_equal(one, two)
        if model is not None:
            other = clone(est).set_params(random_state=1).fit(*rows)
            assert not np.array_equal(one, other.result_.run.values["misclassified"])


def test_draws_from_global_generators_are_seeded_and_undone(rows):
    splits = KFold(3, shuffle=True)  # draws from NumPy's global generator
    model = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3, 5]}, cv=splits)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = label_estimator(model).fit(*rows)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    two = label_estimator(model).fit(*rows)
    np.testing.assert_array_equal(one.memorization_scores_, two.memorization_scores_)


def test_the_store_is_resumed_and_tells_fits_apart(rows, tmp_path):
    X, y = rows
    log, store = tmp_path / "log", tmp_path / "store"
    log.mkdir()

    def fits(X, y, n_encoders=4, n_neighbors=1, **test):
        before = len(list(log.iterdir()))
        est = label_estimator(Logged(str(log), n_neighbors), n_encoders=n_encoders, memory=store)
        est.fit(X, y, **test)
        probe = 1  # one fit tells whether two classifiers of one description behave alike
        return len(list(log.iterdir())) - before - probe, est

    assert fits(X, y)[0] == 4
    count, resumed = fits(X, y, n_encoders=8)
    assert count == 4
    assert fits(X, y, n_encoders=8)[0] == 0
    np.testing.assert_array_equal(
        resumed.memorization_scores_, label_estimator(NEAREST).fit(X, y).memorization_scores_
    )
    assert fits(X, np.roll(y, 1))[0] == 4
    assert fits(X * np.linspace(1, 2, 64), y)[0] == 4  # other rows, but the same once standardised
    assert fits(X, y, n_neighbors=3)[0] == 4
    assert fits(X, y, X_test=X[:20] + 1, y_test=y[:20])[0] == 4
    assert fits(X, y, X_test=X[:20] + 1, y_test=y[:20])[0] == 0
    assert fits(X, y, X_test=X[:20] + 2, y_test=y[:20])[0] == 4
    assert fits(X, y, X_test=X[:20] + 2, y_test=y[1:21])[0] == 4


def test_what_enters_the_key_of_a_store(rows):
    X, y = rows
    data, rescaled = as_data(X), as_data(X * np.linspace(1, 2, 64))
    assert data.layout.shape == rescaled.layout.shape

    def key(estimator=NEAREST, y=y, data=data):
        return ClassifierTrainer(estimator, y, data).config()

    assert key() == key(clone(NEAREST))
    assert key(RandomForestClassifier(random_state=0)) == key(RandomForestClassifier())
    others = [
        key(data=rescaled),
        key(y=np.roll(y, 1)),
        key(y=y + 1),
        key(KNeighborsClassifier(3)),
        key(make_pipeline(StandardScaler(), NEAREST)),
        key(make_pipeline(StandardScaler(with_std=False), NEAREST)),
    ]
    for i, other in enumerate(others):
        assert all(other != another for another in [key(), *others[:i]]), i
    assert key()["library"] == {"sklearn": sklearn.__version__}

    network = NetworkTrainer(Net, y, steps=2, batch_size=4, learning_rate=0.1).config()
    for change in ({"steps": 3}, {"batch_size": 5}, {"learning_rate": 0.2}):
        trainer = NetworkTrainer(
            Net, y, **{"steps": 2, "batch_size": 4, "learning_rate": 0.1} | change
        )
        assert trainer.config() != network
    assert Correctness(y, rows=data).config() != Correctness(y, rows=rescaled).config()
    assert Correctness(y).config() != Correctness(y, probability=True).config()


def test_functions_of_one_name_are_told_apart_by_behaviour(rows, tmp_path):
    fits = []
    for power in (0.0, 20.0):
        model = KNeighborsClassifier(20, weights=weighting(power))
        fits.append(label_estimator(model, memory=tmp_path).fit(*rows))
    a, b = (est.result_.run for est in fits)
    assert a.config["trainer"] == b.config["trainer"]
    assert not np.array_equal(a.values["misclassified"], b.values["misclassified"])


def test_a_failed_fit_names_its_cause_and_can_be_dropped(rows, tmp_path):
    X, y = rows
    ink = [X[m, 2].sum() for m in label_estimator(NEAREST).fit(X, y).membership_]
    model = Logged(str(tmp_path), fail_below=(min(ink) + sorted(ink)[1]) / 2)
    with pytest.raises(
        TrainingError, match=r"Logged failed on the 45 training rows.*too little ink"
    ):
        label_estimator(model).fit(X, y)
    with pytest.warns(UserWarning, match="1 of 4 blocks failed"):
        est = label_estimator(model, on_error="drop").fit(X, y)
    assert np.isfinite(est.memorization_scores_).all()
    assert len(est.result_.run.failures) == 1


def test_max_time_keeps_whole_blocks(rows):
    with pytest.warns(UserWarning, match="of 4 blocks were trained|one block"):
        est = label_estimator(NEAREST, max_time=1e-9).fit(*rows)
    assert len(est.membership_) == 2


# ---- a citizen of scikit-learn


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([LabelMemorizationEstimator(GaussianNB(), n_encoders=4, verbose=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_default_pipeline_clone_pickle_and_result(rows, tmp_path):
    X, y = rows
    est = label_estimator().fit(X, y)
    assert repr(label_estimator(NEAREST)).startswith(
        "LabelMemorizationEstimator(estimator=KNeighborsClassifier(n_neighbors=1)"
    )
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(est)).score_samples(X), est.score_samples(X)
    )
    pipe = make_pipeline(StandardScaler(), label_estimator(NEAREST))
    scores = clone(pipe).set_params(labelmemorizationestimator__n_encoders=4).fit(X, y)
    assert scores.score_samples(X[:7]).shape == (7,)
    assert clone(pipe).get_params()["labelmemorizationestimator__estimator__n_neighbors"] == 1

    assert isinstance(est.result_, MemorizationResult)
    assert est.result_.reliability > 0.3
    table = est.result_.table()
    np.testing.assert_array_equal(table["score"], est.memorization_scores_)
    est.result_.save(tmp_path / "labels")
    loaded = MemorizationResult.load(tmp_path / "labels")
    np.testing.assert_array_equal(loaded.score, est.memorization_scores_)
    np.testing.assert_array_equal(est.classes_, np.arange(5))
    assert isinstance(Correctness(y), Measurement)


def test_wrong_labels_come_first(rows):
    est = label_estimator(n_encoders=32, design=Subsample(0.25)).fit(*rows)
    assert np.isin(est.memorization_scores_.argsort()[-8:] % 7, 0).mean() > 0.8


def test_copies_are_tied_and_told_apart_by_label(rows):
    X = np.vstack([rows[0], rows[0][:3]])
    y = np.append(rows[1], (rows[1][:3] + 1) % 5)
    with pytest.warns(UserWarning, match="3 rows of X are copies"):
        est = label_estimator().fit(X, y)
    assert (est.membership_[:, :3] == est.membership_[:, 90:]).all()
    scores = est.memorization_scores_
    assert not np.array_equal(scores[:3], scores[90:])
    np.testing.assert_array_equal(est.score_samples(X, y), scores)
    np.testing.assert_allclose(est.score_samples(X[:3]), (scores[:3] + scores[90:]) / 2)
    order = np.random.default_rng(0).permutation(93)
    np.testing.assert_array_equal(est.score_samples(X[order], y[order]), scores[order])
    with pytest.raises(ValueError, match="row 0 was not seen in fit with the label"):
        est.score_samples(X[5:6], (y[5:6] + 1) % 5)
    with pytest.raises(ValueError, match="row 0 was not seen in fit with the label 77"):
        est.score_samples(X[5:6], [77])
    with pytest.raises(ValueError, match="1 of 1 rows were not seen in fit"):
        est.score_samples(X[:1] + 1)


@pytest.mark.parametrize("labels", ["strings", "objects", "booleans", "floats"])
def test_labels_of_any_kind(rows, labels):
    X, y = rows
    kinds = {
        "strings": np.array(list("abcde"))[y], "objects": np.array(list("abcde"), object)[y],
        "booleans": y > 1, "floats": y.astype(float),
    }  # fmt: skip
    other = y > 1 if labels == "booleans" else y
    for model in (NEAREST, partial(Net, n_classes=len(np.unique(other)))):
        one = label_estimator(model, epochs=3).fit(X, kinds[labels])
        two = label_estimator(model, epochs=3).fit(X, other.astype(int))
        np.testing.assert_array_equal(one.memorization_scores_, two.memorization_scores_)


def test_roles_and_groups(rows):
    groups = np.arange(90) // 2
    est = label_estimator(NEAREST).fit(*rows, groups=groups)
    assert (est.membership_[:, ::2] == est.membership_[:, 1::2]).all()
    roles = np.full(90, "shared", dtype="<U11")
    roles[::14], roles[7::14] = "candidate", "independent"  # all of them with wrong labels
    est = label_estimator(NEAREST, design=Split(roles)).fit(*rows)
    score = est.memorization_scores_
    assert score[roles == "candidate"].mean() > 0 > score[roles == "independent"].mean()


@pytest.mark.parametrize(
    ("changes", "kind", "match"),
    [
        ({"estimator": Ridge()}, TypeError, r"Ridge\(\) is a regressor.*RidgeClassifier"),
        ({"estimator": KMeans()}, TypeError, "no classifier by scikit-learn's tags"),
        ({"estimator": KNeighborsClassifier}, TypeError, r"is a class: pass an object"),
        ({"estimator": nn.Linear(64, 5)}, TypeError, "pass a factory"),
        ({"estimator": "logistic"}, TypeError, "must be a scikit-learn classifier or a zero-arg"),
        ({"estimator": SVC(), "outcome": "probability"}, TypeError, "needs predict_proba.*wrap it"),
        ({"outcome": "loss"}, ValueError, "outcome must be 'label' or 'probability', got 'loss'"),
        ({"estimate": "shrinkage"}, ValueError, "estimate='shrinkage' is unknown"),
        ({"estimate": Difference()}, ValueError, r"reads 'alignment'.*Difference\(of='miscl"),
        ({"estimate": Shrinkage()}, ValueError, r"reads 'alignment'"),
        ({"n_encoders": 7}, ValueError, "n_encoders=7 is no multiple"),
        ({"n_encoders": 0}, ValueError, "n_encoders must be"),
        ({"design": "halves"}, ValueError, "design='halves' is unknown"),
        ({"n_jobs": 0}, ValueError, "n_jobs must not be 0"),
        ({"memory": 3}, TypeError, "memory must be"),
        ({"on_error": "ignore"}, ValueError, "on_error must be"),
        ({"max_time": 0}, ValueError, "max_time must be"),
        ({"random_state": -1}, ValueError, "random_state must not be negative"),
        ({"estimator": Net, "epochs": 0}, ValueError, "epochs must be"),
        ({"estimator": Net, "batch_size": 46}, ValueError, "batch_size=46 is larger"),
        ({"estimator": Net, "learning_rate": np.nan}, ValueError, "learning_rate must be"),
        ({"estimator": Net, "device": "tpu"}, ValueError, "device='tpu'"),
    ],
)
def test_bad_parameters_fail_before_training(rows, changes, kind, match):
    with pytest.raises(kind, match=match):
        label_estimator(**changes).fit(*rows)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.zeros(89), r"y must have one label for each of the 90 rows, got shape \(89,\)"),
        (np.zeros(90), "y has the one class"),
        (np.arange(90), "each of the 90 classes of y has one row"),
        (np.linspace(0, 1, 90), "continuous"),
        (np.arange(90.0), "each of the 90 classes of y has one row"),
        (np.where(np.arange(90) == 3, np.nan, 1.0), r"y holds NaN for 1 of 90 rows, first row 3"),
        (np.zeros((90, 2)), r"got shape \(90, 2\)"),
        (None, "requires y to be passed, but the target y is None"),
    ],
)
def test_bad_labels_fail_before_training(rows, y, match):
    with pytest.raises(ValueError, match=match):
        label_estimator().fit(rows[0], y)


def test_bad_test_rows_and_unfitted_use(rows):
    X, y = rows
    with pytest.raises(ValueError, match="X_test and y_test go together"):
        label_estimator().fit(X, y, X_test=X)
    with pytest.raises(ValueError, match="y_test has the label 9, which y lacks"):
        label_estimator().fit(X, y, X_test=X[:3], y_test=[0, 9, 1])
    with pytest.raises(ValueError, match="y_test must have one label for each of the 3 rows"):
        label_estimator().fit(X, y, X_test=X[:3], y_test=[0, 1])
    with pytest.raises(ValueError, match="64 features"):
        label_estimator().fit(X, y, X_test=X[:3, :5], y_test=[0, 1, 2])
    with pytest.raises(ValueError, match="influence needs test rows"):
        label_estimator(NEAREST).fit(X, y).influence()
    with pytest.raises(NotFittedError):
        label_estimator().score_samples(X)
