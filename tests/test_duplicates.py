"""Near-duplicates against brute force."""

from hypothesis import given
from hypothesis import strategies as st

from gdlib.sources.duplicates import NearDuplicates, sharing_runs, shingles, words_of

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8).map(" ".join))


def jaccard(a: frozenset, b: frozenset) -> float:
    return len(a & b) / len(a | b)


@given(TEXTS, TEXTS, st.floats(0.05, 1.0))
def test_near_duplicates_are_those_of_brute_force(known, asked, threshold):
    index = NearDuplicates(threshold, map(words_of, known))
    for text in asked:
        own = shingles(words_of(text))
        nearest = max((jaccard(own, shingles(words_of(other))) for other in known), default=0.0)
        if abs(nearest - threshold) > 1e-9:
            assert index.has(words_of(text)) == (nearest > threshold)


def test_shingles_by_hand():
    assert shingles(words_of("A cat, a dog!")) == {("a", "cat", "a"), ("cat", "a", "dog")}
    assert shingles(words_of("two words")) == {("two", "words")}


@given(TEXTS, TEXTS, st.integers(1, 4))
def test_runs_are_those_of_brute_force(texts, others, length):
    expected = [
        len(text.split()) >= length
        and any(
            f" {' '.join(text.split()[start : start + length])} " in f" {other} "
            for start in range(len(text.split()) - length + 1)
            for other in others
        )
        for text in texts
    ]
    assert sharing_runs(texts, others, length).tolist() == expected
