"""Entity counts and F1 against seqeval's own score and against the statistics of single classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score

from gdlib.compare import f1_stats
from gdlib.compare.entities import by_language, entity_counts, f1_by_language

TAG = st.sampled_from(["O", "B-LOC", "I-LOC", "B-PER", "I-PER"])
SENTENCE = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(TAG, min_size=n, max_size=n), st.lists(TAG, min_size=n, max_size=n)
    )
)


def test_counts_by_hand() -> None:
    gold = [["B-LOC", "I-LOC", "O", "B-PER"], ["O", "O"], ["B-LOC", "B-LOC"]]
    said = [["B-LOC", "I-LOC", "O", "B-LOC"], ["I-PER", "O"], ["B-LOC", "I-LOC"]]
    assert entity_counts(gold, said).tolist() == [[1, 2, 2], [0, 1, 0], [0, 1, 2]]
    assert f1_by_language(entity_counts(gold, said), ["x", "y", "x"]) == {
        "x": 2 * 1 / (3 + 4),
        "y": 0.0,
    }


@given(st.lists(SENTENCE, min_size=1, max_size=12))
def test_f1_is_seqeval_s(pairs: list[tuple[list[str], list[str]]]) -> None:
    gold, said = ([pair[side] for pair in pairs] for side in (0, 1))
    if not any(tag != "O" for row in gold + said for tag in row):
        return
    assert f1_by_language(entity_counts(gold, said), ["x"] * len(gold))["x"] == pytest.approx(
        f1_score(gold, said, zero_division=0)
    )


def test_a_tag_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="sentence 1: 2 gold tags and 1 predicted"):
        entity_counts([["O"], ["O", "O"]], [["O"], ["O"]])


def made(seed: int, shift: int, seeds: int = 3, sentences: int = 80) -> np.ndarray:
    """Counts of some seeds with the same gold entities. *Shape:* ``[seeds, sentences, 3]``."""
    gold = np.random.default_rng(0).integers(1, 4, sentences)
    random = np.random.default_rng(seed)
    predicted = np.maximum(gold + random.integers(-1, 2, (seeds, sentences)), 0)
    right = np.maximum(
        np.minimum(gold, predicted) - random.integers(0, 1 + shift, (seeds, sentences)), 0
    )
    return np.stack([right, predicted, np.broadcast_to(gold, predicted.shape)], axis=-1).astype(
        np.int16
    )


def test_intervals_speak_of_the_mean_over_languages_and_seeds() -> None:
    languages = ["a"] * 50 + ["b"] * 30
    good, bad = made(1, 1), made(2, 3)
    f1 = [
        [np.mean(list(f1_by_language(one, languages).values())) for one in arm]
        for arm in (good, bad)
    ]
    interval = f1_stats.count_interval(by_language(good, languages), resamples=999)
    assert interval.value == pytest.approx(np.mean(f1[0])) and (interval.units, interval.items) == (
        3,
        80,
    )
    assert interval.low < interval.value < interval.high
    # over seeds: Student's t with 2 degrees of freedom, 4.3027 standard errors
    assert interval.seeds_high - interval.value == pytest.approx(
        4.302653 * np.std(f1[0], ddof=1) / np.sqrt(3), rel=1e-5
    )
    d = f1_stats.paired_count_difference(
        by_language(good, languages), by_language(bad, languages), resamples=999
    )
    assert d.value == pytest.approx(np.mean(f1[0]) - np.mean(f1[1])) and d.resolved and d.p < 0.01
    same = f1_stats.paired_count_difference(
        by_language(good, languages), by_language(good, languages), resamples=99
    )
    assert (same.value, same.low, same.high, same.resolved) == (0.0, 0.0, 0.0, False)


def test_the_interval_is_the_bootstrap_over_sentences() -> None:
    """The spread of F1 over resampled sentences, done by hand, is what the interval's width says
    (1.96 standard deviations).
    """
    languages, counts = ["a"] * 50 + ["b"] * 30, made(1, 2)
    random, drawn = np.random.default_rng(5), []
    spread = by_language(counts, languages)
    for _ in range(2000):
        sums = spread[random.integers(0, 80, 80)].sum(axis=0).astype(float)  # [seeds, 3, languages]
        drawn.append((2 * sums[:, 0] / (sums[:, 1] + sums[:, 2])).mean())
    interval = f1_stats.count_interval(spread, resamples=4999)
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * np.std(drawn), rel=0.1)


def test_counts_of_other_shapes_are_refused() -> None:
    one = by_language(made(1, 1), ["a"] * 80)
    with pytest.raises(ValueError, match=r"expected counts \[texts, seeds, 3, groups\]"):
        f1_stats.paired_count_difference(one, one[:, :2])
    with pytest.raises(ValueError, match="expected counts"):
        f1_stats.count_interval(one[:1])
