"""Near-duplicates against brute force."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gdlib.sources.duplicates import (
    NearDuplicates,
    near_groups,
    sharing_runs,
    shingles,
    words_of,
)

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8).map(" ".join))


def jaccard(a: frozenset, b: frozenset) -> float:
    return len(a & b) / len(a | b)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.floats(0.05, 1.0))
def test_near_duplicates_are_those_of_brute_force(known, asked, threshold):
    index = NearDuplicates(threshold, map(words_of, known))
    for text in asked:
        own = shingles(words_of(text))
        nearest = max((jaccard(own, shingles(words_of(other))) for other in known), default=0.0)
        if abs(nearest - threshold) > 1e-9:
            assert index.has(words_of(text)) == (nearest > threshold)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.21, 0.51, 0.81, 1.0]))
def test_groups_are_those_of_brute_force(texts, threshold):
    texts = ["", *texts, "..."]  # texts without a word are alone
    groups = near_groups([words_of(text) for text in texts], threshold)
    sets = [shingles(words_of(text)) if words_of(text) else frozenset() for text in texts]
    for place, (own, first) in enumerate(zip(sets, groups, strict=True)):
        firsts = [k for k in range(place) if groups[k] == k and sets[k] and own]
        like = [k for k in firsts if jaccard(own, sets[k]) >= threshold]
        shared = {k: len(own & sets[k]) for k in like}
        assert first == place if not like else shared[first] == max(shared.values())


def test_groups_by_hand():
    texts = ["the cat sat on the mat", "a dog", "The cat sat on the mat!", "cat sat on the mat"]
    words = [words_of(text) for text in texts]
    assert near_groups(words, 0.8) == [0, 1, 0, 3]
    assert near_groups(words, 0.75) == [0, 1, 0, 0]  # three of four 3-grams are shared


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
