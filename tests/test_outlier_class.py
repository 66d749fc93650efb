"""Outlier classes: the plan is what it says, gains are paired, and points near x gain most where planted."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits

from sslmemo import OutlierClassDisplay, SSLEncoder
from sslmemo.experiments import outlier_class, outlier_class_experiment
from sslmemo.pool import run

mpl.use("Agg")

X, Y = load_digits(return_X_y=True)
KEEP = np.isin(Y, (0, 1, 2, 3))
X, Y = (X[KEEP] / 16).astype(np.float32).reshape(-1, 1, 8, 8)[:400], Y[KEEP][:400]
QUICK = {
    "encoder": SSLEncoder(epochs=2, batch_size=16),
    "n_views": 3,
    "random_state": 0,
    "verbose": 0,
}


@pytest.fixture(scope="module")
def made():
    seen = {}

    def watched(plan, trainer, measurements, data, **options):
        done = run(plan, trainer, measurements, data, **options)
        seen.update(plan=plan, values=done.values, measurements=measurements)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlier_class, "run", watched)
        result = outlier_class_experiment(
            X, Y, rare=(0, 2), counts=(1, 3), n_points=2, n_repeats=2, n_common=60, **QUICK
        )
    return result, seen


def test_encoders_differ_by_the_points_alone(made):
    _, seen = made
    plan = seen["plan"]
    member = plan.member.reshape(8, 3, -1)  # two classes, two draws, two repeats; 0, 1 and 3 points
    for i, (none, one, three) in enumerate(member):
        rare = 0 if i < 4 else 2
        assert none.sum() == 60
        assert not (Y[none] == rare).any()
        assert (one & ~none).sum() == 1
        assert (three & ~one).sum() == 2
        assert (none <= one).all()
        assert (one <= three).all()
        assert (Y[three & ~none] == rare).all()
    assert len(set(plan.seed.tolist())) == 8
    assert (plan.seed.reshape(8, 3) == plan.seed.reshape(8, 3)[:, :1]).all()
    np.testing.assert_array_equal(member[0], member[1])  # repeats share rows, not seeds
    assert (member[0] != member[2]).any()


def test_gains_are_differences_to_the_encoder_without(made):
    result, seen = made
    t, plan, down = result.table, seen["plan"], seen["measurements"][1]
    held_out = down.test_rows
    some = (t["class"] == 2) & (t["point"] == 1) & (t["count"] == 3) & (t["repeat"] == 0)
    base = 18  # of the second class's second draw
    test = np.array([np.flatnonzero((row == X).all((1, 2, 3)))[0] for row in held_out.source])
    assert not plan.member[:, test].any()
    members = test[Y[test] == 2]
    alignment = seen["values"]["alignment"]
    expected = (alignment[base] - alignment[base + 2])[members].mean()
    assert t["alignment_gain"][some & (t["where"] == "all")][0] == pytest.approx(expected)
    first = np.flatnonzero(plan.member[base + 1] & ~plan.member[base])[0]
    assert t["memorization"][some][0] == pytest.approx(
        alignment[base, first] - alignment[base + 2, first]
    )
    right = seen["values"]["accuracy"][:, Y[test] == 2]
    assert t["accuracy_gain"][some & (t["where"] == "all")][0] == pytest.approx(
        right[base + 2].mean() - right[base].mean(), abs=1e-6
    )
    distance = np.linalg.norm((X[members] - X[first]).reshape(len(members), -1), axis=1)
    near = members[distance <= np.median(distance)]
    expected = (alignment[base] - alignment[base + 2])[near].mean()
    assert t["alignment_gain"][some & (t["where"] == "near")][0] == pytest.approx(expected)


def test_intervals_are_over_classes(made):
    result, _ = made
    t, s = result.table, result.summary_table()
    some = (t["count"] == 1) & (t["where"] == "near")
    means = [t["alignment_gain"][some & (t["class"] == c)].mean() for c in (0, 2)]
    row = s[(s["count"] == 1) & (s["where"] == "near") & (s["metric"] == "alignment_gain")]
    assert row["p_value"][0] == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert row["n_classes"][0] == 2
    points = result.points_table()
    assert len(points) == 4
    assert "training points of a class" in str(result)
    assert len(result.to_frame()) == len(t)


def test_display(made):
    display = OutlierClassDisplay.from_result(made[0])
    s = made[0].summary_table()
    drawn = display.axes_[0].containers[0].lines[0].get_ydata()
    some = (s["where"] == "all") & (s["metric"] == "alignment_gain")
    np.testing.assert_allclose(drawn, s["mean"][some])
    mpl.pyplot.close("all")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": (0, 1)}, "counts must be"),
        ({"counts": (1, 500)}, "but 500 .*lower counts"),
        ({"n_points": 0}, "n_points must be"),
        ({"rare": (7,)}, "holds classes that y lacks"),
        ({"rare": 3}, r"write \[3\]"),
        ({"counts": 3}, r"write \[3\]"),
        ({"encoder": "mlp"}, "must be an SSLEncoder"),
        ({"test_size": 0.6, "down_size": 0.4}, "lower them"),
        ({"downstream": "linaer"}, "Did you mean 'linear'"),
    ],
)
def test_bad_calls_are_refused(change, message, monkeypatch):
    monkeypatch.setattr(outlier_class, "run", lambda *a, **k: pytest.fail("trained"))
    with pytest.raises((TypeError, ValueError), match=message):
        outlier_class_experiment(X, Y, **{**QUICK, **change})
