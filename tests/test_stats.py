"""Intervals and tests against scipy called directly, against laws, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import f1_score, matthews_corrcoef

from gdlib.compare import stats
from gdlib.compare.scores import ENTITY_F1, SCORES, Score
from gdlib.compare.stats import Difference, Interval, Sample, p_value

QUICK = {"resamples": 999}


def right(seeds: int, texts: int, share: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((seeds, texts)) < share).astype(float)


def difference(a, b, resamples=999) -> Difference:
    return stats.difference(Sample.of(a, b), resamples=resamples)


def mean(values, axis):
    return np.mean(values, axis=axis)


def test_the_interval_over_items_is_scipys_bca():
    a, b = right(2, 200, 0.8, 1), right(2, 200, 0.7, 2)
    found = difference(a, b, 9999)
    over_items = (a - b).mean(axis=0)
    expected = scipy_stats.bootstrap(
        (over_items,), mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(0)
    )
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)
    assert found.value == pytest.approx(over_items.mean())


def test_the_interval_over_seeds_is_students_t():
    a, b = right(4, 100, 0.8, 1), right(4, 100, 0.7, 2)
    found = difference(a, b)
    expected = scipy_stats.ttest_1samp((a - b).mean(axis=1), 0).confidence_interval(0.95)
    assert (found.seeds_low, found.seeds_high) == pytest.approx(tuple(expected))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(2, 40), st.integers(0, 10_000))
def test_turning_the_sides_turns_the_interval(seeds, texts, seed):
    a, b = right(seeds, texts, 0.7, seed), right(seeds, texts, 0.6, seed + 1)
    there, back = difference(a, b, 199), difference(b, a, 199)
    assert there.value == pytest.approx(-back.value)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert there.p == pytest.approx(back.p, abs=1e-6)
    assert there.low - 1e-9 <= there.value <= there.high + 1e-9
    if seeds > 1:
        over_seeds = (there.seeds_low, there.seeds_high)
        assert over_seeds == pytest.approx((-back.seeds_high, -back.seeds_low))


def test_nothing_to_tell_apart_has_no_width_and_is_not_resolved():
    found = difference(np.ones((2, 30)), np.ones((2, 30)))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_difference_of_every_item_has_no_width_and_no_doubt():
    found = difference(np.ones((2, 30)), np.zeros((2, 30)))
    assert (found.low, found.high, found.seeds_low, found.seeds_high) == (1, 1, 1, 1)
    assert found.p < 1e-9


def test_averages_that_cancel_count_as_zero():
    # 0.1 + 0.2 - 0.3 is not zero in floats
    found = difference(np.array([[0.1, 1], [0.2, 1]]), np.array([[0.3, 1], [0.0, 1]]))
    assert (found.low, found.high, found.p) == (0, 0, 1)


def test_seeds_that_disagree_leave_a_difference_in_doubt():
    a, b = np.zeros((3, 300)), np.zeros((3, 300))
    a[0, :200] = 1  # one lucky seed carries all of it: clear over items, not over seeds
    found = difference(a, b)
    assert found.low > 0 and found.seeds_low < 0 and found.p > 0.05


def test_one_seed_has_no_interval_over_seeds():
    found = difference(right(1, 50, 0.9, 1), right(1, 50, 0.2, 2))
    assert math.isnan(found.seeds_low) and math.isnan(found.seeds_high)
    assert found.low > 0 and found.p < 0.05  # over items alone


def test_p_of_one_seed_is_that_of_a_z_test_over_items():
    a, b = right(1, 2000, 0.72, 1), right(1, 2000, 0.7, 2)
    gain = (a - b)[0]
    z = gain.mean() / (gain.std(ddof=1) / np.sqrt(len(gain)))
    assert difference(a, b, 9999).p == pytest.approx(2 * scipy_stats.norm.sf(abs(z)), rel=0.05)


def test_p_of_seeds_that_differ_as_wholes_is_that_of_a_t_test():
    """Every item of a seed gains the same, so that items add no doubt."""
    gains = np.array([0.01, 0.03, 0.02, 0.05])
    found = difference(np.repeat(gains[:, None], 50, axis=1), np.zeros((4, 50)))
    assert found.p == pytest.approx(scipy_stats.ttest_1samp(gains, 0).pvalue)


def test_zero_outside_both_intervals_can_lie_inside_the_joint_one():
    # Half widths 0.8 and 0.8 around 1: their root of squares is 1.13.
    assert p_value(Interval(1.0, 0.2, 1.8, 0.2, 1.8), 5) > 0.05
    # 0.6 and 0.79: 0.992. On the side away from zero the widths do not count.
    assert p_value(Interval(1.0, 0.4, 9.0, 0.21, 9.0), 5) < 0.05
    assert p_value(Interval(-1.0, -9.0, -0.4, -9.0, -0.21), 5) < 0.05


@pytest.mark.parametrize("level", [0.001, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("units", [2, 5])
def test_the_p_value_is_the_level_whose_joint_interval_ends_at_zero(level, units):
    """The two intervals are made anew at that level from their standard errors."""
    errors, quantile = (0.3, 0.2), scipy_stats.t(units - 1)
    wide = errors[0] * scipy_stats.norm.ppf(1 - level / 2), errors[1] * quantile.ppf(1 - level / 2)
    value = math.sqrt(wide[0] ** 2 + wide[1] ** 2)
    items, seeds = errors[0] * scipy_stats.norm.ppf(0.975), errors[1] * quantile.ppf(0.975)
    around = Interval(value, value - items, value + items, value - seeds, value + seeds)
    assert p_value(around, units) == pytest.approx(level)


def test_the_joint_interval_covers_a_truth_that_varies_by_item_and_by_seed():
    """Where each of both intervals alone covers too seldom."""
    rng, runs = np.random.default_rng(0), 300
    covered = {"joint": 0, "items": 0}
    for _ in range(runs):
        gain = 0.03 * rng.normal(size=(5, 1)) + 0.4 * rng.normal(size=(1, 150))  # around zero
        found = difference(gain, np.zeros_like(gain), 199)
        covered["joint"] += found.p >= 0.05
        covered["items"] += found.low <= 0 <= found.high
    assert covered["items"] / runs < 0.95 <= covered["joint"] / runs + 0.02


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((2, 5)), np.ones((3, 5)), "same seeds and items on both sides"),
        (np.ones((2, 5)), np.ones((2, 4)), "same seeds and items on both sides"),
        ([[1.0]], [[0.0]], "at least two items"),
        ([[1.0, np.nan]], [[0.0, 1.0]], "expected finite scores"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        difference(a, b)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, covered, runs = np.random.default_rng(0), 0, 300
    for _ in range(runs):
        both = (rng.random((2, 1, 150)) < np.array([[[0.75]], [[0.65]]])).astype(float)
        found = difference(*both, 399)
        covered += found.low <= 0.10 <= found.high
    # 95 % give or take three standard errors and the small sample
    assert 0.90 <= covered / runs <= 0.985


def test_the_interval_of_a_mean_is_scipys_and_never_narrower_than_nothing():
    values = right(2, 120, 0.6, 5)
    found = stats.interval(Sample.of(values), resamples=9999)
    expected = scipy_stats.bootstrap(
        (values.mean(axis=0),), mean, method="BCa", rng=np.random.default_rng(0)
    )
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval))
    alike = stats.interval(Sample.of(np.ones((1, 20))))
    assert (alike.value, alike.low, alike.high) == (1, 1, 1)


# ---- scores that are no means


def sample(score: Score, gold: np.ndarray, *sides: np.ndarray) -> Sample:
    """Of predictions ``[units, models, items]``."""
    added = [
        np.moveaxis(score.added(side.reshape(-1, len(gold)), {"gold": gold}), 1, 0)
        for side in sides
    ]
    return Sample(
        score, *(a.reshape(len(gold), *side.shape[:2], -1) for a, side in zip(added, sides))
    )


def labels(gold: np.ndarray, units: int, models: int, share: float, seed: int) -> np.ndarray:
    rng, shape = np.random.default_rng(seed), (units, models, len(gold))
    return np.where(rng.random(shape) < share, gold, rng.integers(0, gold.max() + 1, shape))


THEIRS = {
    "macro-F1": lambda gold, predicted: f1_score(gold, predicted, average="macro"),
    "Matthews": matthews_corrcoef,
    "Spearman": lambda *sides: scipy_stats.spearmanr(*sides).statistic,
}


@pytest.mark.parametrize("name", THEIRS)
def test_any_score_is_bootstrapped_as_scipy_does_with_scores_made_anew(name):
    classes = 4 if name == "macro-F1" else 2
    gold = np.random.default_rng(0).integers(0, classes, 60)
    a, b = labels(gold, 2, 2, 0.8, 1), labels(gold, 2, 2, 0.5, 2)

    def by_unit(index):
        scores = [
            [[THEIRS[name](gold[index], model[index]) for model in unit] for unit in side]
            for side in (a, b)
        ]
        return np.subtract(*np.mean(scores, axis=2))

    expected = scipy_stats.bootstrap(
        (np.arange(60),),
        lambda index: by_unit(index).mean(),
        n_resamples=99,
        vectorized=False,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    found = stats.difference(sample(SCORES[name], gold, a, b), resamples=99)
    assert found.value == pytest.approx(by_unit(np.arange(60)).mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)
    # The models of a unit are averaged first.
    over_seeds = scipy_stats.ttest_1samp(by_unit(np.arange(60)), 0).confidence_interval(0.95)
    assert (found.seeds_low, found.seeds_high) == pytest.approx(tuple(over_seeds))


@pytest.mark.parametrize("name", THEIRS)
def test_any_difference_turns_with_its_sides_and_vanishes_on_equals(name):
    gold = np.random.default_rng(0).integers(0, 2, 80)
    a, b = labels(gold, 4, 1, 0.9, 1), labels(gold, 4, 1, 0.4, 2)
    there, back = (
        stats.difference(sample(SCORES[name], gold, *pair), resamples=299)
        for pair in ((a, b), (b, a))
    )
    assert (there.low, there.high, there.p) == pytest.approx(
        (-back.high, -back.low, back.p), abs=1e-6
    )
    assert there.p < 0.05
    same = stats.difference(sample(SCORES[name], gold, a, a), resamples=99)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_p_is_not_small_for_two_equally_good_sides():
    gold = np.random.default_rng(0).integers(0, 4, 200)
    sides = labels(gold, 1, 1, 0.6, 1), labels(gold, 1, 1, 0.6, 2)
    found = stats.difference(sample(SCORES["macro-F1"], gold, *sides), **QUICK)
    assert found.p > 0.05


def test_the_interval_of_entity_f1_is_the_spread_over_resampled_sentences():
    """1.96 standard deviations of F1 counted anew on resampled sentences."""
    random = np.random.default_rng(1)
    gold = random.integers(1, 4, 80)
    predicted = np.maximum(gold + random.integers(-1, 2, (3, 80)), 0)
    right = np.maximum(np.minimum(gold, predicted) - random.integers(0, 3, (3, 80)), 0)
    counts = np.stack([right, predicted, np.broadcast_to(gold, right.shape)], axis=-1)
    items = {"language": np.array(["a"] * 50 + ["b"] * 30)}
    added = np.moveaxis(ENTITY_F1.added(counts, items), 1, 0)[:, :, None]
    found = stats.interval(Sample(ENTITY_F1, added), resamples=4999)
    assert found.value == pytest.approx(ENTITY_F1(counts, items).mean())
    drawn = []
    for _ in range(2000):
        rows = random.integers(0, 80, 80)
        drawn.append(ENTITY_F1(counts[:, rows], {"language": items["language"][rows]}).mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.std(drawn), rel=0.1)


def test_what_is_asked_at_once_is_what_each_is_alone(monkeypatch):
    """Bits and all, with a score that no resample changes and samples of other sizes among them."""
    random = np.random.default_rng(0)
    many, more, few = ((random.random((2, n)) < 0.7).astype(float) for n in (90, 90, 40))
    single = [Sample.of(many), Sample.of(many, more), Sample.of(np.ones((2, 90))), Sample.of(few)]
    asked = [*([sample] for sample in single), [Sample.of(few), Sample.of(more)]]
    alone = [stats.interval(*samples, resamples=299) for samples in asked]
    assert stats.intervals(iter(asked), 299) == alone
    tested = stats.intervals(asked, 299, tested=True)
    assert tested == [stats.difference(*samples, resamples=299) for samples in asked]
    monkeypatch.setattr(stats, "HELD", 200)  # of the first two, not of three
    assert stats.intervals(asked, 299) == alone


def test_several_samples_are_averaged_and_resampled_each_by_itself():
    a, b, c = right(3, 90, 0.9, 1), right(3, 90, 0.7, 2), right(3, 40, 0.5, 3)
    found = stats.difference(Sample.of(a, b), Sample.of(1 - c, c), resamples=4999)
    by_unit = ((a - b).mean(axis=1) + (1 - 2 * c).mean(axis=1)) / 2
    assert found.value == pytest.approx(by_unit.mean())
    spread = [np.std((x - y).mean(axis=0)) / np.sqrt(x.shape[1]) for x, y in ((a, b), (1 - c, c))]
    expected = 1.96 * np.hypot(*spread) / 2
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.1)
    assert (found.seeds_low, found.seeds_high) == pytest.approx(stats.over_seeds(by_unit))
