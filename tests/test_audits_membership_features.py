"""What EncoderMI and PartCrop read of a row, by literal transcriptions; and the display of an audit."""

import numpy as np
import pytest
import torch
from scipy import stats
from test_audits_membership import pool
from torch import nn

from sslmemo import MemorizationEstimator
from sslmemo.audits import membership_inference
from sslmemo.data import as_data
from sslmemo.measurements import CropResponse, ViewSimilarity
from sslmemo.measurements.membership import crop_energies, sorted_similarities
from sslmemo.plotting import MembershipDisplay
from sslmemo.training.model import TorchModel


class Flat(nn.Module):
    """An encoder that gives the pixels themselves."""

    def __init__(self):
        super().__init__()
        self.encoder, self.projector = nn.Flatten(), nn.Identity()


def test_similarities_of_pairs():
    z = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    found = sorted_similarities(torch.from_numpy(z)).numpy()
    for i in range(3):
        pairs = [
            z[a, i] @ z[b, i] / np.linalg.norm(z[a, i]) / np.linalg.norm(z[b, i])
            for a in range(5) for b in range(a)
        ]  # fmt: skip
        np.testing.assert_allclose(found[i], sorted(pairs)[::-1], rtol=1e-5)


def test_energies_of_crops():
    rng = np.random.default_rng(0)
    whole, parts = rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 4, 3))
    found = crop_energies(torch.from_numpy(whole), torch.from_numpy(parts)).numpy()
    normal = stats.norm.pdf(stats.norm.ppf((np.arange(6) + 0.5) / 6))
    for i in range(2):
        expected = []
        for p in (np.full(6, 1 / 6), normal / normal.sum()):
            energies = []
            for m in range(4):
                response = np.exp(parts[i, m] @ whole[i])
                response /= response.sum()
                energies.append(stats.entropy(p, response))
            expected += sorted(energies)[::-1]
        np.testing.assert_allclose(found[i], expected, rtol=1e-5)


def test_views_that_are_equal_have_similarity_one(digits):
    data = as_data(digits[0][:20])
    found = ViewSimilarity(nn.Identity(), n_views=4)([TorchModel(Flat())], data, None, 0)
    assert found["view_similarity"].shape == (1, 20, 6)
    np.testing.assert_allclose(found["view_similarity"], 1, rtol=1e-5)


def test_quantiles_are_of_the_similarities(digits):
    data, model = as_data(digits[0][:20]), [TorchModel(Flat())]
    whole = ViewSimilarity(n_views=6)(model, data, None, 3)["view_similarity"]
    few = ViewSimilarity(n_views=6, n_quantiles=3)(model, data, None, 3)["view_similarity"]
    np.testing.assert_allclose(
        few, np.quantile(whole, [1, 0.5, 0], axis=2).transpose(1, 2, 0), rtol=1e-5
    )


def test_a_crop_of_the_whole_is_the_image_but_for_its_shape(digits):
    data, model = as_data(digits[0][:20]), [TorchModel(Flat())]
    whole = CropResponse(4, scale=(1.0, 1.0))(model, data, None, 0)["crop_response"]
    small = CropResponse(4, scale=(0.05, 0.1))(model, data, None, 0)["crop_response"]
    assert whole.shape == (1, 20, 4)
    assert (np.diff(whole, axis=2) <= 0).all()
    assert whole.mean() > 0.8 > small.mean()


def test_both_repeat_and_do_not_touch_what_was_measured_before(digits):
    shared = {"n_encoders": 4, "epochs": 2, "n_views": 4, "verbose": 0, "random_state": 0,
              "encoder": "convnet"}  # fmt: skip
    extra = [ViewSimilarity(n_views=3), CropResponse(3, against="map")]
    plain = MemorizationEstimator(**shared).fit(digits[0][:40]).result_
    first, again = (
        MemorizationEstimator(**shared, measurements=extra).fit(digits[0][:40]).result_
        for _ in range(2)
    )
    np.testing.assert_array_equal(plain.score, first.score)
    assert first.run.values["crop_response"].shape == (4, 40, 6)
    for name in ("view_similarity", "crop_response"):
        np.testing.assert_array_equal(first.run.values[name], again.run.values[name])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ViewSimilarity(n_views=1), "n_views"),
        (lambda: ViewSimilarity(n_quantiles=1), "n_quantiles"),
        (lambda: CropResponse(0), "n_crops"),
        (lambda: CropResponse(scale=(0.0, 0.5)), "scale"),
        (lambda: CropResponse(scale=(0.5, 0.2)), "smallest and the largest"),
        (lambda: CropResponse(against="all"), "against must be"),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_tables_have_no_crops(table):
    with pytest.raises(ValueError, match="images"):
        CropResponse()([TorchModel(Flat())], as_data(table), None, 0)


def test_display():
    plt = pytest.importorskip("matplotlib.pyplot")
    audit = membership_inference(pool(n=240, n_encoders=16), ("threshold", "lira_global"))
    display = MembershipDisplay.from_result(audit)
    left, right = display.axes_
    assert left.get_xscale() == left.get_yscale() == "log"
    drawn = {line.get_label(): line for line in left.lines}
    curve = audit.roc("lira_global")
    np.testing.assert_array_equal(drawn["lira global"].get_ydata(), curve["tpr"])
    assert len(left.collections) == 2  # bands
    assert right.get_ylabel() == "members found at 1% FPR"
    chance = left.lines[-1]
    np.testing.assert_array_equal(chance.get_xdata(), chance.get_ydata())
    assert chance.get_zorder() > max(line.get_zorder() for line in left.lines[:-1])
    many = membership_inference(
        pool(n=600, n_encoders=16), ("threshold",), n_bins=60, n_bootstraps=20
    )
    assert len(MembershipDisplay(many).plot().axes_[1].get_xticks()) <= 12
    few = membership_inference(pool(n=60, n_encoders=16), ("threshold",))
    assert MembershipDisplay(few).plot().axes_[1].get_ylabel() == "AUC within the bin"
    none = membership_inference(pool(n=60, n_encoders=8), ("lira_global",))
    assert "too few blocks" in MembershipDisplay(none).plot().axes_[1].texts[0].get_text()
    with pytest.raises(ValueError, match="unknown"):
        MembershipDisplay.from_result(audit, attacks=["lyra"])
    with pytest.raises(TypeError, match="MembershipAudit"):
        MembershipDisplay(3)
    plt.close("all")
