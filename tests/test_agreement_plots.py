"""Agreement and consensus as pictures: what is drawn is what was computed."""

import matplotlib as mpl
import numpy as np
import pytest
from test_agreement import N, pair, planted

from sslmemo import AgreementDisplay, ConsensusDisplay
from sslmemo.experiments import DefinitionComparison, agreement
from sslmemo.experiments.noisy_ranks import NoisyScores, rank_agreement

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close():
    yield
    mpl.pyplot.close("all")


@pytest.fixture(scope="module")
def fits():
    a, b = pair(1, 0.7)
    rng = np.random.default_rng(5)
    noise = planted(0.1 * rng.standard_normal(N), rng.standard_normal((12, N)), 3)
    return {"one": a, "two": b, "noise": noise}


def test_cells_show_the_numbers(fits):
    display = AgreementDisplay.from_results(fits)
    found = agreement(fits)
    texts = {t.get_position(): t.get_text() for t in display.ax_.texts}
    assert texts[0, 0] == f"{found.reliability[0]:.2f}"
    assert texts[1, 0] == f"{found.pearson[0, 1]:.2f}"
    expected = f"{found.corrected[1, 0]:.2f}\n[{found.low[1, 0]:.2f}, {found.high[1, 0]:.2f}]"
    assert texts[0, 1] == expected
    assert texts[0, 2] == "not\nresolved"
    shade = display.ax_.images[0].get_array()
    assert shade[1, 0] == found.corrected[1, 0]
    assert shade.mask[2, 0]
    assert "common noise" in display.ax_.get_title(loc="left")


def test_what_was_computed_is_drawn_too(fits):
    found = agreement(fits)
    comparison = DefinitionComparison({}, {}, found, None)
    expected = [t.get_text() for t in AgreementDisplay.from_results(fits).ax_.texts]
    for given in (found, comparison):
        display = AgreementDisplay.from_results(given)
        assert display.agreement is found
        assert [t.get_text() for t in display.ax_.texts] == expected
    for wrong in (3, "no", np.ones(3)):
        with pytest.raises(TypeError, match="an Agreement or a DefinitionComparison, got"):
            AgreementDisplay.from_results(wrong)


def test_a_constant_score_is_a_dash():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4, 60)) + 2 * rng.standard_normal(60)
    given = {"a": a, "flat": np.zeros(60), "b": a.mean(0)}
    found = rank_agreement({name: NoisyScores.of(s) for name, s in given.items()})
    display = AgreementDisplay.from_results(found)
    texts = {t.get_position(): t.get_text() for t in display.ax_.texts}
    assert {place for place, text in texts.items() if text == "\N{EN DASH}"} == {
        (0, 1), (1, 0), (1, 1), (1, 2), (2, 1)
    }  # fmt: skip
    assert display.ax_.images[0].get_array().mask[1].all()
    assert "may exceed 1 by noise" in display.ax_.get_title(loc="left")


def test_consensus_shows_images_in_order_with_their_ranks():
    rng, X = np.random.default_rng(0), np.random.default_rng(1).random((N, 1, 8, 8), np.float32)
    fits = {}
    for e, name in enumerate("abc"):
        truth = 0.3 * rng.standard_normal(N)
        truth[:5] += np.array([9.0, 8.0, 7.0, 6.0, 5.0])
        fits[name] = planted(truth, 0.3 * rng.standard_normal((8, N)), e)
    display = ConsensusDisplay.from_results(fits, X, k=5, n_shown=7)
    assert display.rows[:5].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(display.images[2], X[2, 0])
    np.testing.assert_array_equal(display.ranks[:, :5], np.tile(np.arange(1, 6), (3, 1)))
    assert [t.get_text() for t in display.ax_.texts[:3]] == ["1", "2", "3"]
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["a", "b", "c"]
    colour = np.random.default_rng(2).random((N, 3, 8, 8), np.float32)
    assert ConsensusDisplay.from_results(fits, colour).images.shape == (12, 8, 8, 3)


def test_bad_calls_are_named(fits):
    with pytest.raises(ValueError, match="X must hold the 300 images"):
        ConsensusDisplay.from_results(fits, np.random.default_rng(0).random((9, 1, 8, 8)))
    with pytest.raises(ValueError, match="X must hold the 300 images"):
        ConsensusDisplay.from_results(fits, np.random.default_rng(0).random((N, 5)))
    with pytest.raises(TypeError, match="agreement must be an Agreement"):
        AgreementDisplay("no").plot()
