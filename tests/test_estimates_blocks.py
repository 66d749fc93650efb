import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sslmemo.designs import Explicit, LeaveOneOut, Split, Subsample
from sslmemo.estimates import block_differences, block_means
from sslmemo.estimates.blocks import divide_by_encoder_mean

pytestmark = pytest.mark.filterwarnings("error")
DESIGNS = {
    "halves": (Subsample(0.5), 12),
    "quarters": (Subsample(0.25), 12),
    "partition": (Subsample(0.75), 12),
    "independent": (Subsample(0.7, balanced=False), 12),
    "leave-one-out": (LeaveOneOut([0, 3, 7]), 12),
    "split": (Split(), 12),
}
NORMALIZE = (None, "encoder", "relative", "range")


def drawn(name, n=23, seed=3):
    design, n_encoders = DESIGNS[name]
    plan = design.draw(n, n_encoders, seed)
    rng = np.random.default_rng(seed)
    return rng.gamma(4.0, 0.1, size=(n_encoders, n)), plan


def naive_means(alignment, plan):
    """Two loops, literally."""
    inside = np.full((len(plan.blocks), plan.n_samples), np.nan)
    outside = inside.copy()
    for b, block in enumerate(plan.blocks):
        encoders = [t for t in range(plan.n_encoders) if plan.block[t] == block]
        used = plan.as_f | plan.as_g
        if any(np.isnan(alignment[t][used[t]]).any() for t in encoders):
            continue
        for i in range(plan.n_samples):
            f = [alignment[t, i] for t in encoders if plan.as_f[t, i]]
            g = [alignment[t, i] for t in encoders if plan.as_g[t, i]]
            if f:
                inside[b, i] = sum(f) / len(f)
            if g:
                outside[b, i] = sum(g) / len(g)
    return inside, outside


def naive_score(inside, outside, normalize):
    scores = []
    for i in range(inside.shape[1]):
        f = [x for x in inside[:, i] if not np.isnan(x)]
        g = [x for x in outside[:, i] if not np.isnan(x)]
        if not f or not g:
            scores.append(np.nan)
            continue
        f, g = sum(f) / len(f), sum(g) / len(g)
        scores.append((g - f) / (g + f) if normalize == "relative" else g - f)
    scores = np.array(scores)
    if normalize == "range":
        scores = scores / (np.nanmax(scores) - np.nanmin(scores))
    return scores


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("name", DESIGNS)
def test_against_two_loops(name, normalize):
    alignment, plan = drawn(name)
    alignment[5] = np.nan  # a failed encoder
    if normalize == "encoder":
        expected = alignment / np.array([[sum(row) / len(row)] for row in alignment])
        alignment, mean = divide_by_encoder_mean(alignment)
        assert_allclose(alignment, expected)
        assert np.isnan(mean[5])
    inside, outside = naive_means(alignment, plan)
    means = block_means(alignment, plan)
    assert_allclose(means.inside, inside)
    assert_allclose(means.outside, outside)
    values = block_differences(means, normalize)
    used = ~(np.isnan(inside) & np.isnan(outside))
    score = naive_score(inside, outside, normalize)
    assert_array_equal(np.isnan(values), ~used | np.isnan(score))
    known = ~np.isnan(score)
    assert_allclose(np.nanmean(values[:, known], axis=0), score[known], atol=1e-12)
    if normalize in (None, "encoder"):
        paired = means.paired & known
        assert_array_equal(values[:, paired], (means.outside - means.inside)[:, paired])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_failed_encoder_drops_its_block_only(bad):
    alignment, plan = drawn("quarters")
    whole = block_means(alignment, plan)
    alignment[6, 2] = bad
    part = block_means(alignment, plan)
    assert np.isnan(part.inside[1]).all()
    assert not part.n_outside[1].any()
    assert_array_equal(part.inside[[0, 2]], whole.inside[[0, 2]])


def test_unused_entries_may_be_nan():
    alignment, plan = drawn("leave-one-out")
    alignment[~(plan.as_f | plan.as_g)] = np.nan
    means = block_means(alignment, plan)
    assert np.isfinite(means.inside[:, [0, 3, 7]]).all()
    assert np.isnan(block_differences(means)[:, 1]).all()


@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("name", ["halves", "quarters", "independent", "split"])
def test_identical_pools_score_exactly_zero(name, normalize):
    alignment, plan = drawn(name)
    alignment[:] = alignment[0]
    if normalize == "encoder":
        alignment, _ = divide_by_encoder_mean(alignment)
    values = block_differences(block_means(alignment, plan), normalize)
    assert (values[np.isfinite(values)] == 0).all()


def test_rows_never_in_or_never_out_have_no_value():
    member = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 1]], bool)
    plan = Explicit(member).draw(3, 4, 0)
    values = block_differences(block_means(np.ones((4, 3)), plan))
    assert np.isnan(values[:, 1]).all()
    assert np.isfinite(values[:, [0, 2]]).all()


def test_relative_is_the_delta_method():
    """A block's value moves with its means as the score does, up to second order."""
    alignment, plan = drawn("halves")
    means = block_means(alignment, plan)
    values = block_differences(means, "relative")
    eps, k = 1e-6, len(plan.blocks)
    for encoder in range(4):
        moved = alignment.copy()
        moved[encoder] += eps
        change = block_differences(block_means(moved, plan), "relative").mean(0) - values.mean(0)
        f, g = means.inside.mean(0), means.outside.mean(0)
        slope = np.where(plan.as_f[encoder], -2 * g, 2 * f) / (f + g) ** 2 / k
        assert_allclose(change / eps, slope, rtol=1e-4)
    f, g = means.inside, means.outside
    expected = 2 * (f.mean(0) * (g - g.mean(0)) - g.mean(0) * (f - f.mean(0)))
    expected /= (f.mean(0) + g.mean(0)) ** 2
    assert_allclose(values - values.mean(0), expected, atol=1e-12)


def test_collapsed_rows_are_zero_under_relative():
    alignment, plan = drawn("halves")
    alignment[:, 4] = 0
    assert (block_differences(block_means(alignment, plan), "relative")[:, 4] == 0).all()


def test_errors_name_parameter_and_mend():
    alignment, plan = drawn("halves")
    with pytest.raises(ValueError, match="alignment has shape"):
        block_means(alignment[:, :5], plan)
    with pytest.raises(ValueError, match="normalize='rnage'.*Did you mean 'range'"):
        block_differences(block_means(alignment, plan), "rnage")
    alignment[3] = 0
    with pytest.raises(ValueError, match="encoder 3 .collapsed.*normalize=None"):
        divide_by_encoder_mean(alignment)
