"""Scraps of labelled texts: of every kind, none twice, the same for the same seed."""

from hypothesis import given
from hypothesis import strategies as st

from gdlib.sources.parts import normalise
from gdlib.sources.scraps import scraps

TEXTS = ["the old man rows home", "a small bird sings at dawn", "rain falls on the quiet town"]


def test_scraps_by_kind_are_made_of_the_words_of_the_texts():
    words = {word for text in TEXTS for word in text.split()}
    made = scraps(TEXTS, 60, seed=0)
    assert len(made) == 60
    assert all(set(text.split()) <= words for text in made)
    assert sum(len(text.split()) == 1 for text in made) >= 5  # words
    assert sum(text in " / ".join(TEXTS) and len(text.split()) > 2 for text in made) >= 5  # crops
    halves = {tuple(text.split()[: -(-len(text.split()) // 2)]) for text in TEXTS}
    spliced = [
        text for text in made if tuple(text.split()[:3]) in halves and text not in " / ".join(TEXTS)
    ]
    assert len(spliced) >= 3


@given(
    st.lists(st.text("ab c", max_size=12), max_size=4),
    st.integers(0, 30),
    st.integers(0, 5),
)
def test_none_is_empty_none_twice_none_a_given_text_and_a_smaller_number_is_the_beginning(
    texts, number, seed
):
    made = scraps(texts, number, seed)
    keys = [normalise(text) for text in made]
    assert len(made) <= number and all(keys) and len(set(keys)) == len(keys)
    assert not set(keys) & {normalise(text) for text in texts}
    assert scraps(texts, number // 2, seed) == made[: number // 2]
