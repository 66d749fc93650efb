import numpy as np
import pytest
from coverage_tables import planted_pool, planted_truth
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sslmemo.designs import Subsample
from sslmemo.estimates import Difference, posterior
from sslmemo.estimates.prior import ScorePrior, fit_prior, row_weights

pytestmark = pytest.mark.filterwarnings("error")


def scored(seed, n_blocks=8, n=400, **noise):
    rng = np.random.default_rng([seed, n_blocks])
    truth = planted_truth(rng, n)
    alignment, plan = planted_pool(rng, truth, n_blocks, **noise)
    return truth, Difference()({"alignment": alignment}, plan)


def test_weights_are_the_integral_over_the_variance():
    """Normal times scaled inverse chi-square, integrated numerically, against the closed form."""
    theta = np.array([0.0, 0.5, 2.0])
    prior = ScorePrior(np.arange(4.0), theta, np.array([0.5, 0.3, 0.2]), theta + 0.3, 6.0)
    x, s2, d = 0.8, 0.5, 3.0
    v = np.exp(np.linspace(-9, 9, 20001))
    expected = []
    for th, s02, w in zip(theta, prior.variance, prior.weight, strict=True):
        density = stats.invgamma.pdf(v, 3.0, scale=3.0 * s02)  # d0 / 2, d0 s0^2 / 2
        density *= stats.norm.pdf(x, th, np.sqrt(v)) * stats.chi2.pdf(d * s2 / v, d) / v
        expected.append(w * np.sum(density * v))
    found = row_weights(prior, np.array([x]), np.array([s2]), np.array([d]))[0]
    assert_allclose(found, np.array(expected) / sum(expected), rtol=1e-6)


def test_prior_recovers_the_truth():
    truth, scores = scored(0, 8, 4000)
    prior = fit_prior(scores.score, scores.raw_standard_error**2, scores.raw_df)
    assert prior.weight.sum() == pytest.approx(1)
    mean = prior.weight @ prior.theta
    assert mean == pytest.approx(truth.mean(), rel=0.03)
    sd = np.sqrt(prior.weight @ (prior.theta - mean) ** 2)
    assert sd == pytest.approx(truth.std(), rel=0.1)
    assert sd < 0.9 * scores.score.std()
    for m in (0.05, 0.1, 0.2):  # the noise's trend is in the truth, not in the noisy score
        noise = np.sqrt(8 * np.interp(m, prior.theta, prior.variance))
        assert noise == pytest.approx(0.02 + 0.8 * m, rel=0.12)


def test_shrinks_and_takes_back_the_winners_curse():
    for n_blocks in (4, 16):
        bias, error = [], []
        for seed in range(15):
            truth, scores = scored(seed, n_blocks)
            post = posterior(scores)
            top = np.argsort(-scores.score)[:20]
            bias.append([np.mean(x[top] - truth[top]) for x in (scores.score, post.mean)])
            error.append([np.mean((x - truth) ** 2) for x in (scores.score, post.mean)])
        raw, own = np.abs(np.mean(bias, 0))
        assert own < 0.35 * raw
        raw, own = np.mean(error, 0)
        assert own < raw


@pytest.mark.parametrize("n_blocks", [4, 16])
def test_top_k_probability_is_calibrated(n_blocks):
    """Reliability diagram: in every bin the share of truly top rows, within binomial error."""
    told, true = [], []
    for seed in range(25):
        truth, scores = scored(seed, n_blocks)
        told.append(posterior(scores).top_k_probability(20))
        true.append(np.argsort(np.argsort(-truth)) < 20)
        assert told[-1].sum() == pytest.approx(20)
    told, true = np.concatenate(told), np.concatenate(true)
    bins = np.minimum((told * 10).astype(int), 9)
    for b in range(10):
        p, share, n = told[bins == b].mean(), true[bins == b].mean(), np.sum(bins == b)
        assert abs(share - p) < 3 * np.sqrt(p * (1 - p) / n), (b, p, share, n)


def test_rank_intervals_hold_the_true_ranks():
    inside = []
    for seed in range(10):
        truth, scores = scored(seed)
        low, high = posterior(scores).rank_interval(0.9)
        rank = 1 + np.argsort(np.argsort(-truth))
        inside.append([(low <= rank) & (rank <= high)])
        assert (low >= 1).all()
        assert (high <= 400).all()
        assert (low <= high).all()
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)


def test_wider_at_higher_levels_and_the_same_on_every_call():
    _, scores = scored(0)
    post, again = posterior(scores), posterior(scores)
    narrow, wide = post.interval(0.5), post.interval(0.99)
    assert (wide[0] < narrow[0]).all()
    assert (wide[1] > narrow[1]).all()
    assert ((narrow[0] < post.mean + post.standard_deviation) & (narrow[1] > narrow[0])).all()
    assert_array_equal(post.top_k_probability(5), again.top_k_probability(5))
    other = posterior(scores, seed=1).top_k_probability(5)
    assert 0 < np.abs(other - post.top_k_probability(5)).max() < 0.1
    assert (post.top_k_probability(400) == 1).all()


def test_few_rows_get_the_t_interval():
    _, scores = scored(0, 6, 12)
    low, high = posterior(scores).interval(0.9)
    half = stats.t.ppf(0.95, 5) * scores.raw_standard_error
    assert_allclose(low, scores.score - half, atol=0.05 * half.min())
    assert_allclose(high, scores.score + half, atol=0.05 * half.min())


def test_unusable_rows_are_nan_and_change_nothing():
    rng = np.random.default_rng(0)
    truth = planted_truth(rng, 100)
    alignment, plan = planted_pool(rng, truth, 6)
    whole = posterior(Difference()({"alignment": alignment}, plan))
    member = np.hstack([plan.member, np.ones((12, 3), bool)])
    wide = type(plan)(member, plan.block, plan.seed)
    more = posterior(Difference()({"alignment": np.hstack([alignment, np.ones((12, 3))])}, wide))
    assert np.isnan(more.mean[100:]).all()
    assert np.isnan(more.rank_interval()[0][100:]).all()
    assert_allclose(more.mean[:100], whole.mean)
    assert_array_equal(more.top_k_probability(9)[:100], whole.top_k_probability(9))


def test_one_block_has_no_posterior():
    plan = Subsample(0.5).draw(30, 2, 0)
    scores = Difference()({"alignment": np.random.default_rng(0).gamma(2, size=(2, 30))}, plan)
    post = posterior(scores)
    assert post.prior is None
    for answer in (post.mean, *post.interval(), post.top_k_probability(3), *post.rank_interval()):
        assert np.isnan(answer).all()


def test_nearly_noise_free_and_constant_pools():
    rng = np.random.default_rng(0)
    truth = np.append(planted_truth(rng, 99), 50.0)  # and one row far out
    for noise in (1e-9, 1e-3):
        alignment, plan = planted_pool(rng, truth, 4, floor=noise, slope=0.0)
        post = posterior(Difference()({"alignment": alignment}, plan))
        assert post.top_k_probability(1)[-1] == 1
        assert_allclose(post.mean[-1], 50, rtol=0.1)
    alignment, plan = planted_pool(rng, np.full(50, 0.1), 4, floor=0.05, slope=0.0)
    post = posterior(Difference()({"alignment": alignment}, plan))
    assert np.isfinite(post.mean).all()


def test_parameters_are_checked():
    post = posterior(scored(0)[1])
    with pytest.raises(ValueError, match="k must be an int of at least 1 and at most 400"):
        post.top_k_probability(401)
    with pytest.raises(TypeError, match="k must be an int"):
        post.top_k_probability(0.1)
    for call in (post.interval, post.rank_interval):
        with pytest.raises(ValueError, match="level"):
            call(95)
