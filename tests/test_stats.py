"""Intervals and tests against scipy called directly, against laws, and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import f1_score

from gdlib.compare import f1_stats, stats

QUICK = {"resamples": 999}


def scores(seeds: int, texts: int, share: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((seeds, texts)) < share).astype(float)


def mean(values, axis):
    return np.mean(values, axis=axis)


def test_the_interval_over_texts_is_scipys_bca():
    a, b = scores(3, 200, 0.8, 1), scores(3, 200, 0.7, 2)
    found = stats.paired_difference(a, b)
    over_texts = (a - b).mean(axis=0)
    expected = scipy_stats.bootstrap(
        (over_texts,), mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    )
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)
    assert found.mean == pytest.approx(over_texts.mean())
    assert (found.seeds, found.texts) == (3, 200)


def test_the_interval_over_seeds_is_students_t():
    a, b = scores(4, 100, 0.8, 1), scores(4, 100, 0.7, 2)
    found = stats.paired_difference(a, b, confidence=0.9, **QUICK)
    expected = scipy_stats.ttest_1samp((a - b).mean(axis=1), 0).confidence_interval(0.9)
    assert (found.seeds_low, found.seeds_high) == pytest.approx(tuple(expected))


def test_p_is_exact_where_the_sign_patterns_can_be_counted():
    a, b = (
        np.array([1.0, 1, 1, 1, 1, 0, 1, 0]),
        np.array([0.0, 0, 0, 0, 0, 0, 1, 1]),
    )  # 5 for, 1 against, 2 ties
    assert stats.paired_difference(a, b, **QUICK).p == pytest.approx(
        scipy_stats.binomtest(5, 6).pvalue
    )


def test_p_is_scipys_sign_flip():
    a, b = scores(1, 60, 0.8, 3), scores(1, 60, 0.6, 4)
    moved = (a - b)[0][(a - b)[0] != 0]
    expected = scipy_stats.permutation_test(
        (moved,), mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(0)
    )
    assert stats.paired_difference(a, b).p == pytest.approx(expected.pvalue)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(2, 40), st.integers(0, 10_000))
def test_swapping_the_sides_swaps_the_interval(seeds, texts, seed):
    a, b = scores(seeds, texts, 0.7, seed), scores(seeds, texts, 0.6, seed + 1)
    one, other = (
        stats.paired_difference(a, b, resamples=199),
        stats.paired_difference(b, a, resamples=199),
    )
    assert one.mean == pytest.approx(-other.mean)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert one.p == pytest.approx(other.p)
    assert one.resolved == other.resolved
    assert one.low - 1e-9 <= one.mean <= one.high + 1e-9
    if seeds > 1:
        assert (one.seeds_low, one.seeds_high) == pytest.approx(
            (-other.seeds_high, -other.seeds_low)
        )


def test_nothing_to_tell_apart_has_no_width_and_is_not_resolved():
    found = stats.paired_difference(np.ones((2, 30)), np.ones((2, 30)), **QUICK)
    assert (found.mean, found.low, found.high, found.p, found.resolved) == (0, 0, 0, 1, False)
    assert found.describe() == "+0.0 [0.0, 0.0] points (not resolved)"


def test_a_difference_of_every_text_has_no_width_and_is_resolved():
    found = stats.paired_difference(np.ones((2, 30)), np.zeros((2, 30)), **QUICK)
    assert (found.low, found.high, found.seeds_low, found.seeds_high, found.resolved) == (
        1,
        1,
        1,
        1,
        True,
    )


def test_averages_that_cancel_count_as_zero():
    a, b = (
        np.array([[0.1, 1], [0.2, 1]]),
        np.array([[0.3, 1], [0.0, 1]]),
    )  # 0.1 + 0.2 - 0.3 is not zero in floats
    found = stats.paired_difference(a, b, **QUICK)
    assert (found.low, found.high, found.p) == (0, 0, 1)


def test_a_single_text_proves_nothing():
    assert stats.paired_difference([1.0, 0, 0], [0.0, 0, 0], **QUICK).p == 1


def test_seeds_that_disagree_leave_a_difference_unresolved():
    a, b = np.zeros((3, 300)), np.zeros((3, 300))
    a[0, :200] = 1  # one lucky seed carries all of it: clear over texts, not over seeds
    found = stats.paired_difference(a, b, **QUICK)
    assert found.low > 0
    assert found.seeds_low < 0
    assert not found.resolved
    assert stats.paired_difference(a[0], b[0], **QUICK).resolved


def test_one_seed_has_no_interval_over_seeds():
    found = stats.paired_difference(scores(1, 50, 0.9, 1), scores(1, 50, 0.2, 2), **QUICK)
    assert (found.seeds_low, found.seeds_high, found.seeds) == (None, None, 1)
    assert found.resolved
    assert "not resolved" not in found.describe()


def test_describe_writes_points():
    found = stats.Difference(0.021, 0.01, 0.0329, 0.005, 0.04, 5, 2000, 0.001)
    assert found.describe() == "+2.1 [1.0, 3.3] points"
    assert stats.Interval(0.842, 0.83, 0.854, None, None, 1, 100).describe() == "84.2 [83.0, 85.4]"


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((2, 5)), np.ones((3, 5)), "same seeds and texts on both sides"),
        ([1.0], [0.0], "at least two texts"),
        ([1.0, np.nan], [0.0, 1.0], "expected finite scores"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        stats.paired_difference(a, b)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, covered, runs = np.random.default_rng(0), 0, 300
    for _ in range(runs):
        both = rng.random((2, 150)) < np.array([[0.75], [0.65]])
        found = stats.paired_difference(*both.astype(float), resamples=399)
        covered += found.low <= 0.10 <= found.high
    assert (
        0.90 <= covered / runs <= 0.985
    )  # 95 % give or take three standard errors and the small sample


def test_mean_interval_is_scipys_and_never_narrower_than_nothing():
    values = scores(2, 120, 0.6, 5)
    found = stats.mean_interval(values)
    expected = scipy_stats.bootstrap(
        (values.mean(axis=0),), mean, method="BCa", rng=np.random.default_rng(0)
    )
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval))
    assert stats.mean_interval(np.ones(20)).describe() == "100.0 [100.0, 100.0]"


def labels(seeds: int, texts: int, share: float, gold: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((seeds, texts)) < share, gold, rng.integers(0, 4, (seeds, texts)))


def test_f1_difference_equals_resampling_with_sklearn():
    gold = np.random.default_rng(0).integers(0, 4, 60)
    a, b = labels(2, 60, 0.8, gold, 1), labels(2, 60, 0.5, gold, 2)

    def statistic(index):
        f1 = [
            [
                f1_score(gold[index], one[index], labels=range(4), average="macro", zero_division=0)
                for one in side
            ]
            for side in (a, b)
        ]
        return np.mean(f1[0]) - np.mean(f1[1])

    expected = scipy_stats.bootstrap(
        (np.arange(60),),
        statistic,
        n_resamples=99,
        vectorized=False,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    found = f1_stats.paired_f1_difference(gold, a, b, 4, resamples=99)
    assert found.mean == pytest.approx(statistic(np.arange(60)))
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)


def test_f1_difference_turns_with_its_sides_and_vanishes_on_equals():
    gold = np.random.default_rng(0).integers(0, 4, 80)
    a, b = labels(2, 80, 0.8, gold, 1), labels(2, 80, 0.5, gold, 2)
    one, other = (
        f1_stats.paired_f1_difference(gold, a, b, 4, **QUICK),
        f1_stats.paired_f1_difference(gold, b, a, 4, **QUICK),
    )
    assert (one.low, one.high, one.p) == pytest.approx((-other.high, -other.low, other.p), abs=1e-9)
    assert one.p < 0.05
    same = f1_stats.paired_f1_difference(gold, a, a, 4, **QUICK)
    assert (same.mean, same.low, same.high, same.p, same.resolved) == (0, 0, 0, 1, False)


def test_f1_p_is_not_small_for_two_equally_good_sides():
    gold = np.random.default_rng(0).integers(0, 4, 200)
    found = f1_stats.paired_f1_difference(
        gold, labels(1, 200, 0.6, gold, 1), labels(1, 200, 0.6, gold, 2), 4, **QUICK
    )
    assert found.p > 0.05
    assert not found.resolved


def test_f1_refuses_gold_of_another_length():
    with pytest.raises(ValueError, match="for gold labels of shape"):
        f1_stats.paired_f1_difference([0, 1, 2], [0, 1], [0, 1], 3)
