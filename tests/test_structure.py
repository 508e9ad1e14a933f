"""The spinner of sentences, clauses and function words: each rule on sentences written by hand, and
what it never touches.
"""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from gdlib.sources import synonyms
from gdlib.sources.structure import PHRASES, opening, rebuilt
from gdlib.sources.words import changed_share, changed_words


def said(text: str) -> str:
    return rebuilt([text], 0)[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # phrases: the longer one first, and the case of what stood there
        ("It rained because of fog, but he slept.", "It rained owing to fog, yet he slept."),
        ("However, nobody came.", "Nevertheless, nobody came."),
        ("They didn't come, and I'm sad.", "They did not come, and I am sad."),
        ("He lives in the city.", "He lives within the city."),
        # what begins or ends inside of a word, or is glued to one, is no place
        ("A butler in theory, a multi-in the-box.", "A butler in theory, a multi-in the-box."),
        # genitives
        ("The dog's tail was short.", "The tail of the dog was short."),
        ("I saw the end of the film.", "I saw the film's end."),
        ("I saw the end of the film industry.", "I saw the end of the film industry."),
        ("He ate the rest of the very old.", "He ate the rest of the quite old."),
        # pairs of one part of speech
        ("Cheap bread and butter.", "Cheap butter and bread."),
        ("It was cold or dark.", "It was dark or cold."),
        ("He sang and music played.", "He sang and music played."),
        ("From Ontario and Maine.", "From Ontario and Maine."),
        ("Bread and butter pudding.", "Bread and butter pudding."),
        # clauses
        ("When the rain came, the team went home.", "The team went home when the rain came."),
        ("The team went home when the rain came.", "When the rain came, the team went home."),
        ("London was quiet when the rain came!", "When the rain came, London was quiet!"),
        ("She was released in 1912.", "In 1912, she was released."),
        ("I went home quickly since it rained.", "Since it rained, I went home quickly."),
        ("When it rained, he slept, and she sang.", "When it rained, he slept, and she sang."),
        # nothing to change
        ("Lightning will strike.", "Lightning will strike."),
        ("", ""),
    ],
)
def test_every_rule_on_a_sentence(before: str, after: str) -> None:
    assert said(before) == after


def test_sentences_after_the_first_turn_round() -> None:
    text = "One came first. Two came later.  Three came\tlast. Four stayed away."
    first, rest = "One came first.", ["Two came later.", "Three came\tlast.", "Four stayed away."]
    turns = {f"{first} {rest[i]}  {rest[i - 2]} {rest[i - 1]}" for i in (1, 2)}
    assert {rebuilt([text], seed)[0] for seed in range(20)} == turns
    assert rebuilt(["Nothing.", text], 3) == rebuilt(["Nothing.", text], 3)
    assert said("One came first. Two came later.") == "One came first. Two came later."


def test_no_sentence_moves_where_the_last_is_cut_off_or_a_name_is_abbreviated() -> None:
    for text in (
        "One came first. Two came later. Three came and",
        "Thomas E. Smith met Mr. Jones of Acme Inc. Monday was cold.",
    ):
        assert said(text) == text


def test_an_opening_ends_with_a_sentence() -> None:
    text = "One came first. Two came later. Three came last."
    assert [opening(text, n) for n in (1, 5, 6, 8, 9)] == [
        "One came first.",
        "One came first.",
        "One came first. Two came later.",
        "One came first. Two came later.",
        text,
    ]


WORDS = (
    "the dog dog's tail of bread and or butter in on but because when while it is didn't cold dark "
    "London very several . , ! 1912 end film again also"
).split()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40), st.integers(0, 3))
def test_content_words_stay(drawn: list[str], seed: int) -> None:
    """Of what no phrase is made of, every word is there as often as before."""
    text = " ".join(drawn)
    made_of = set(re.findall(r"\w+", " ".join([*PHRASES, *PHRASES.values()]).lower()))

    def content(of: str) -> Counter[str]:
        words = re.findall(r"\w+", of.lower())
        return Counter(
            word
            for word in words
            if len(word) > 1 and word not in ENGLISH_STOP_WORDS and word not in made_of
        )

    assert content(rebuilt([text], seed)[0]) == content(text)


def test_what_is_said_for_a_phrase_is_no_phrase() -> None:
    """So that a text spun twice does not come back, but for the one pair that is meant to."""
    assert {*PHRASES.values()} & {*PHRASES} == {"whether", "whether or not"}
    assert all(phrase == phrase.lower() for phrase in PHRASES)


def test_the_likeliest_reading_of_a_word() -> None:
    assert synonyms.reading("movies") == ("movie", "noun")
    assert synonyms.reading("stopped") == ("stop", "verb")
    assert synonyms.reading("xqzzt") is None


def test_changed_words_are_counted_in_both_texts() -> None:
    assert changed_words("a b c d", "a x c y") == [False, True, False, True]
    assert changed_share("a b c d", "a x c y") == 0.5
    assert changed_words("a b c d", "c d a b") == [True, True, False, False]
    assert changed_share("a b", "a x y b") == pytest.approx(1 - 2 * 2 / 6)
    assert (changed_share("", ""), changed_share("", "a"), changed_share("a", "a")) == (0, 1, 0)
