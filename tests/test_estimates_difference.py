import numpy as np
import pytest
from coverage_tables import planted_pool, planted_truth
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone

from sslmemo.designs import Explicit, Plan, Subsample
from sslmemo.estimates import Difference, get_estimate, posterior
from sslmemo.estimates.variance import fit_prior_df, moderate_variance, trigamma_inverse

pytestmark = pytest.mark.filterwarnings("error")


def halves(n_encoders, n, seed=0):
    return Subsample(0.5).draw(n, n_encoders, seed)


def test_paired_standard_error_is_that_of_the_mean():
    plan = halves(12, 15)
    alignment = np.random.default_rng(0).gamma(3, size=(12, 15))
    scores = Difference()({"alignment": alignment}, plan)
    for i in range(15):
        d = []
        for b in range(6):
            pair = alignment[2 * b : 2 * b + 2, i]
            d.append(pair[1] - pair[0] if plan.member[2 * b, i] else pair[0] - pair[1])
        assert_allclose(scores.score[i], np.mean(d))
        assert_allclose(scores.raw_standard_error[i], np.std(d, ddof=1) / np.sqrt(6))
        low, high = stats.ttest_1samp(d, 0).confidence_interval(0.9)
        assert_allclose([a[i] for a in scores.interval(0.9)], [low, high])  # 15 rows: unmoderated
    assert (scores.raw_df == 5).all()
    assert (scores.n_in == 6).all()
    assert (scores.n_out == 6).all()
    assert_array_equal(scores.df, scores.raw_df)
    assert_allclose(scores.out_mean - scores.in_mean, scores.score)


def test_unpaired_standard_error_is_welchs():
    plan = Subsample(0.7, balanced=False).draw(30, 20, 1)
    alignment = np.random.default_rng(0).gamma(3, size=(20, 30))
    scores = Difference()({"alignment": alignment}, plan)
    for i in range(30):
        f, g = alignment[plan.member[:, i], i], alignment[~plan.member[:, i], i]
        if len(f) == 0 or len(g) == 0:
            assert np.isnan(scores.score[i])
        elif len(g) < 2:
            assert np.isnan(scores.raw_standard_error[i])
        else:
            welch = stats.ttest_ind(g, f, equal_var=False)
            assert_allclose(scores.score[i] / scores.raw_standard_error[i], welch.statistic)
            assert_allclose(scores.raw_df[i], welch.df)
        assert (scores.n_in[i], scores.n_out[i]) == (len(f), len(g))


@pytest.mark.parametrize("normalize", [None, "encoder", "relative"])
def test_errors_shrink_as_one_over_the_root_of_the_pool(normalize):
    rng = np.random.default_rng(0)
    truth = planted_truth(rng, 300)
    raw, moderated = [], []
    for n_blocks in (8, 128):
        alignment, plan = planted_pool(rng, truth, n_blocks)
        scores = Difference(normalize)({"alignment": alignment}, plan)
        raw.append(np.sqrt(np.mean(scores.raw_standard_error**2)))
        moderated.append(np.sqrt(np.mean(scores.standard_error**2)))
    assert raw[0] / raw[1] == pytest.approx(4, rel=0.06)
    assert moderated[0] / moderated[1] == pytest.approx(4, rel=0.06)


def test_one_block_has_a_score_and_no_error():
    plan = halves(2, 40)
    by_view = np.random.default_rng(0).gamma(3, size=(2, 40, 5))
    scores = Difference()({"alignment": by_view.mean(2), "alignment_by_view": by_view}, plan)
    assert np.isfinite(scores.score).all()
    assert np.isfinite(scores.view_variance).all()
    assert np.isnan(scores.standard_error).all()
    assert np.isnan(scores.df).all()


def test_no_noise_at_all():
    """A deterministic encoder: identical blocks; nothing warns, the error is zero."""
    plan = halves(8, 60)
    alignment = np.where(plan.member, 0.0, np.linspace(0, 1, 60))
    scores = Difference()({"alignment": alignment}, plan)
    assert_array_equal(scores.score, np.linspace(0, 1, 60))
    assert (scores.standard_error == 0).all()


def test_all_encoders_failed():
    plan = halves(4, 30)
    scores = Difference()({"alignment": np.full((4, 30), np.nan)}, plan)
    assert np.isnan(scores.score).all()
    assert np.isnan(scores.standard_error).all()
    assert not scores.n_in.any()


def test_a_failed_block_is_as_if_never_trained():
    rng = np.random.default_rng(0)
    alignment, plan = planted_pool(rng, planted_truth(rng, 50), 6)
    alignment[3] = np.nan
    failed = Difference()({"alignment": alignment}, plan)
    kept = plan.block != 1
    without = Difference()({"alignment": alignment[kept]}, plan.take([0, 2, 3, 4, 5]))
    for name in ("score", "standard_error", "df", "n_in", "raw_standard_error", "in_mean"):
        assert_array_equal(getattr(failed, name), getattr(without, name))


def view_distances(rng, n_encoders, n, n_views, plan, anchor):
    """Real embeddings on the line, each block with views of its own; -> (by_view, distances)."""
    views = rng.normal(size=(len(plan.blocks), n, n_views))
    z = views[plan.block] * rng.uniform(0.5, 2, size=(n_encoders, n, 1))
    z = z + 0.1 * rng.normal(size=z.shape)
    if anchor == "clean":
        return np.abs(z), None
    distance = np.abs(z[:, :, :, None] - z[:, :, None, :])
    return distance.sum(3) / (n_views - 1), distance


@pytest.mark.parametrize("anchor", ["view", "clean"])
def test_view_variance_is_the_jackknife_of_the_difference(anchor):
    n, n_views, plan = 7, 6, halves(10, 7)
    by_view, distance = view_distances(np.random.default_rng(0), 10, n, n_views, plan, anchor)
    values = {"alignment": by_view.mean(2), "alignment_by_view": by_view}
    found = Difference(anchor=anchor)(values, plan).view_variance
    for i in range(n):
        parts = []
        for b in range(5):
            f = 2 * b if plan.member[2 * b, i] else 2 * b + 1
            g = 4 * b + 1 - f
            deleted = []
            for v in range(n_views):
                rest = [w for w in range(n_views) if w != v]
                if anchor == "clean":
                    alignment = [by_view[t, i, rest].mean() for t in (f, g)]
                else:
                    alignment = [
                        np.mean([distance[t, i, a, c] for a in rest for c in rest if a != c])
                        for t in (f, g)
                    ]
                deleted.append(alignment[1] - alignment[0])
            spread = np.sum((np.array(deleted) - np.mean(deleted)) ** 2)
            parts.append((n_views - 1) / n_views * spread)
        assert_allclose(found[i], np.mean(parts) / 5)


def test_view_variance_is_the_variance_over_fresh_views():
    """Fixed encoders, no other noise: the whole squared error comes from the views.

    The jackknife is biased upwards (Efron and Stein), by a sixth for Gaussian views on a line.
    """
    rng = np.random.default_rng(1)
    n, n_views, plan = 400, 8, halves(16, 400)
    scale = np.where(plan.member, 1.0, 1.5)
    views = rng.normal(size=(8, n, n_views))
    z = views[plan.block] * scale[:, :, None]
    by_view = np.abs(z[:, :, :, None] - z[:, :, None, :]).sum(3) / (n_views - 1)
    scores = Difference()({"alignment": by_view.mean(2), "alignment_by_view": by_view}, plan)
    ratio = scores.view_variance.mean() / np.mean(scores.raw_standard_error**2)
    assert 1.0 < ratio < 1.3


@pytest.mark.parametrize("normalize", ["encoder", "relative", "range"])
def test_view_variance_is_in_the_unit_of_the_score(normalize):
    rng = np.random.default_rng(1)
    plan = halves(16, 100)
    views = rng.gamma(5, size=(8, 100, 6))[plan.block]
    by_view = np.where(plan.member[:, :, None], views**0.7, views)
    found = []
    for scale in (1, 10):
        values = {"alignment": scale * by_view.mean(2), "alignment_by_view": scale * by_view}
        found.append(Difference(normalize, "clean")(values, plan))
    assert_allclose(found[0].view_variance, found[1].view_variance)
    ratio = found[0].view_variance.mean() / np.mean(found[0].raw_standard_error ** 2)
    assert 0.7 < ratio < 1.3


def test_view_variance_with_failed_and_missing_views():
    plan = halves(8, 10)
    by_view = np.random.default_rng(0).gamma(3, size=(8, 10, 4))
    by_view[5] = np.nan
    scores = Difference()({"alignment": by_view.mean(2), "alignment_by_view": by_view}, plan)
    assert np.isfinite(scores.view_variance).all()
    two = by_view[:, :, :2]
    assert (
        Difference()({"alignment": two.mean(2), "alignment_by_view": two}, plan).view_variance
        is None
    )
    with pytest.raises(ValueError, match="alignment_by_view has shape"):
        Difference()({"alignment": two.mean(2), "alignment_by_view": two[:, 1:]}, plan)


def test_moderation_follows_the_trend_and_keeps_scale():
    rng = np.random.default_rng(0)
    score = rng.gamma(1.5, size=2000)
    sigma2 = (0.5 + score) ** 2
    variance = sigma2 * rng.chisquare(3, 2000) / 3
    df = np.full(2000, 3.0)
    moderated, moderated_df = moderate_variance(variance, df, score)
    error = [np.std(np.log(v / sigma2)) for v in (variance, moderated)]
    assert error[1] < 0.65 * error[0]
    for part in np.array_split(np.argsort(score), 5):  # no stratum is scaled up or down
        assert np.mean(moderated[part] / sigma2[part]) == pytest.approx(1, abs=0.12)
    assert_array_equal(moderated_df, 6)  # the prior counts for three degrees at most
    scaled, _ = moderate_variance(100 * variance, df, 10 * score)
    assert_allclose(scaled, 100 * moderated)


def test_moderation_uses_the_level_where_that_predicts_better():
    rng = np.random.default_rng(0)
    level, score = rng.gamma(2, size=1000), rng.normal(size=1000)
    sigma2 = level**2
    variance = sigma2 * rng.chisquare(3, 1000) / 3
    df = np.full(1000, 3.0)
    blind, _ = moderate_variance(variance, df, score)
    sighted, _ = moderate_variance(variance, df, score, level)
    assert np.std(np.log(sighted / sigma2)) < 0.8 * np.std(np.log(blind / sigma2))


def test_moderation_leaves_few_rows_zeros_and_unknowns_alone():
    variance, df, score = np.ones(19), np.full(19, 3.0), np.arange(19.0)
    assert moderate_variance(variance, df, score)[0] is variance
    rng = np.random.default_rng(0)
    variance = rng.chisquare(3, 40)
    variance[:2] = 0, np.nan
    moderated, found_df = moderate_variance(variance, np.full(40, 3.0), rng.normal(size=40))
    assert moderated[0] == 0
    assert np.isnan(moderated[1])
    assert (found_df[:2] == 3).all()
    assert (moderated[2:] != variance[2:]).all()


def test_prior_df_is_recovered():
    for x in (1e-3, 0.3, 2.0, 1e3):
        assert trigamma_inverse(float(stats.loggamma(x).var())) == pytest.approx(x, rel=1e-5)
    rng = np.random.default_rng(0)
    d0, d, n = 8.0, 7.0, 20_000
    log_variance = np.log(rng.chisquare(d, n) / d * d0 / rng.chisquare(d0, n))
    assert fit_prior_df(log_variance.var(), np.full(n, d)) == pytest.approx(d0, rel=0.1)


def test_registry_and_parameters():
    assert isinstance(get_estimate("difference"), Difference)
    custom = Difference("relative")
    assert get_estimate(custom) is custom
    kept = {"normalize": "relative", "anchor": "view", "of": "alignment"}
    assert clone(custom).get_params() == kept
    with pytest.raises(ValueError, match="Did you mean 'difference'"):
        get_estimate("diference")
    for wrong in (Difference, 3, len):
        with pytest.raises(TypeError, match="estimate must be one of difference"):
            get_estimate(wrong)
    plan = halves(2, 3)
    with pytest.raises(ValueError, match="needs 'alignment'"):
        Difference()({"correctness": np.ones((2, 3))}, plan)
    with pytest.raises(ValueError, match="anchor='veiw'"):
        Difference(anchor="veiw")({"alignment": np.ones((2, 3))}, plan)


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    alignment, plan = planted_pool(rng, planted_truth(rng, 80), 4)
    order = rng.permutation(80)
    shuffled = Plan(plan.member[:, order], plan.block, plan.seed)
    a = Difference()({"alignment": alignment}, plan)
    b = Difference()({"alignment": alignment[:, order]}, shuffled)
    assert_array_equal(b.raw_standard_error, a.raw_standard_error[order])
    assert_allclose(b.standard_error, a.standard_error[order])
    assert_allclose(posterior(b).mean, posterior(a).mean[order])


def test_mixed_plan_with_halves_and_lone_encoders():
    member = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1], [0, 1]], bool)
    plan = Explicit(member, block=[0, 0, 1, 1, 2, 3]).draw(2, 6, 0)
    scores = Difference()({"alignment": np.random.default_rng(0).gamma(2, size=(6, 2))}, plan)
    assert np.isfinite(scores.raw_standard_error).all()
    assert_array_equal(scores.n_in, [3, 4])
