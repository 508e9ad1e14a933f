"""Keyness: against draws from the posterior it approximates, and by what it has to be."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gdlib.compare.keyness import PRIOR_WORDS, keyness, words_in


def test_words_are_counted_per_text():
    words, counts = words_in(["The cat's cat, the CAT!", "", "l’été 42 cat"])
    expected = {"the": (2, 0, 0), "cat's": (1, 0, 0), "cat": (2, 0, 1), "l’été": (0, 0, 1)}
    found = dict(zip(words, counts.toarray().T.tolist()))
    assert found == {name: list(each) for name, each in (expected | {"42": (0, 0, 1)}).items()}
    assert words_in(["", "?!"])[1].shape == (2, 0)


def test_z_is_that_of_draws_from_the_posteriors():
    """The counts of a body have a multinomial distribution; with a Dirichlet prior the posterior of
    the words' shares is a Dirichlet distribution too, whose log odds can be drawn.
    """
    own, other = np.array([400, 150, 30, 900, 60]), np.array([250, 260, 30, 1500, 5])
    table = keyness(list("abcde"), own, other).set_index("word").loc[list("abcde")]
    prior = PRIOR_WORDS * (own + other) / (own + other).sum()
    random = np.random.default_rng(0)
    odds = [
        np.log(p / (1 - p)) for p in (random.dirichlet(c + prior, 40_000) for c in (own, other))
    ]
    difference = odds[0] - odds[1]
    assert_allclose(table["log_odds"], difference.mean(axis=0), atol=0.03)
    # The variance leaves out what the other words add (equation 20), little where a word is rare.
    rare = [1, 2, 4]
    z = difference.mean(axis=0) / difference.std(axis=0)
    assert_allclose(table["z"].to_numpy()[rare], z[rare], rtol=0.1, atol=0.05)
    assert_allclose(table["own"], 1e4 * own / own.sum())
    assert_allclose(table["other"], 1e4 * other / other.sum())


def test_order_sign_and_what_rare_words_say():
    own, other = np.array([50, 0, 1, 0, 949]), np.array([0, 50, 0, 0, 950])
    table = keyness(["more", "less", "once", "never", "same"], own, other)
    assert table["word"].tolist() == ["more", "once", "same", "less"], "the largest z first"
    z = table.set_index("word")["z"]
    assert z["more"] == pytest.approx(-z["less"], rel=0.01) and z["more"] > 3
    assert abs(z["once"]) < 1.5 and abs(z["same"]) < 1
    swapped = keyness(["more", "less", "once", "never", "same"], other, own).set_index("word")["z"]
    assert_allclose(swapped[z.index], -z, atol=1e-9)
    for nothing in (np.zeros(2, int), np.array([], int)):
        assert keyness(["x", "y"][: len(nothing)], nothing, nothing).empty
    assert np.isfinite(keyness(["only"], np.array([3]), np.array([0]))["z"]).all()
