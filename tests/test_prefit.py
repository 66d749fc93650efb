"""memorization_scores: pairs, unequal numbers, refusals."""

import numpy as np
import pytest
import torch

from sslmemo import memorization_scores


@pytest.fixture(scope="module")
def encoders():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [torch.nn.Linear(5, 4).requires_grad_(False) for _ in range(6)]


def test_pairs_share_views_and_give_the_naive_difference(encoders, table):
    seen = []

    def spy(encoder):
        def embed(x):
            seen.append(x)
            return encoder(x)

        return embed

    result = memorization_scores(spy(encoders[0]), spy(encoders[1]), table, random_state=0)
    assert torch.equal(seen[-2], seen[-1])
    inside, outside = result.run.values["alignment"]
    np.testing.assert_allclose(result.score, outside - inside)
    assert np.isnan(result.standard_error).all()


def test_every_pair_reads_fresh_views(encoders, table):
    result = memorization_scores([encoders[0]] * 2, [encoders[1]] * 2, table, random_state=0)
    a, b = result.run.values["alignment"][[0, 2]]
    assert not np.allclose(a, b)
    again = memorization_scores([encoders[0]] * 2, [encoders[1]] * 2, table, random_state=0)
    np.testing.assert_array_equal(result.score, again.score)


def test_texts_claim_no_training(encoders, table):
    result = memorization_scores(encoders[:2], encoders[2:4], table, random_state=0)
    assert "given encoders" in result.summary()
    assert "steps" not in result.methods_text()
    assert "nan" not in result.methods_text()
    assert np.isnan(result.train_size)


def test_unequal_numbers_are_independent(encoders, table):
    result = memorization_scores(encoders[:2], encoders[2:], table, random_state=0)
    A = result.run.values["alignment"]
    np.testing.assert_allclose(result.score, A[2:].mean(0) - A[:2].mean(0))
    welch = np.sqrt(A[2:].var(0, ddof=1) / 4 + A[:2].var(0, ddof=1) / 2)
    np.testing.assert_allclose(result.scores.raw_standard_error, welch, rtol=1e-6)


def test_a_module_in_training_mode_is_measured_in_eval_and_put_back(table):
    module = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout())
    before = module[1].running_mean.clone()
    result = memorization_scores(module, module, table, random_state=0)
    assert module[2].training
    assert torch.equal(before, module[1].running_mean)
    assert (result.score == 0).all()


@pytest.mark.parametrize(
    ("inside", "error", "message"),
    [
        ([], ValueError, "in_encoders is empty"),
        ([3], TypeError, "in_encoders must be callables"),
        (lambda x: x.mean(), ValueError, "finite embeddings"),
        (lambda x: x * torch.nan, ValueError, "finite embeddings"),
    ],
)
def test_refusals(encoders, table, inside, error, message):
    with pytest.raises(error, match=message):
        memorization_scores(inside, encoders[0], table)
