"""GLUE's metrics against hand-computed values, scikit-learn and scipy; their paired intervals."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from gdlib.compare import stats
from gdlib.compare.task_metrics import METRICS, metrics_of

GOLD, SAID = (
    [1, 1, 1, 0, 0, 0, 0, 1],
    [1, 1, 0, 0, 0, 1, 0, 1],
)  # right: 3 of class 1, 3 of class 0; wrong: one each way


def test_by_hand() -> None:
    assert METRICS["accuracy"](GOLD, SAID) == 6 / 8
    assert METRICS["F1"](GOLD, SAID) == pytest.approx(2 * 3 / (4 + 4))
    assert METRICS["macro-F1"]([0, 0, 1, 2], [0, 1, 1, 1]) == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)
    assert METRICS["Matthews"](GOLD, SAID) == pytest.approx(
        (3 * 3 - 1 * 1) / 4**2
    )  # (TP TN - FP FN) / sqrt(4 * 4 * 4 * 4)
    assert METRICS["Pearson"]([1, 2, 3], [1, 2, 4]) == pytest.approx(3 / np.sqrt(2 * 14 / 3))
    assert METRICS["Spearman"]([1, 2, 3, 4], [1, 9, 2, 90]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert (
        METRICS["Matthews"](GOLD, [1] * 8)
        == METRICS["Pearson"]([1, 2], [3, 3])
        == METRICS["F1"]([0, 0], [0, 0])
        == 0
    )


@pytest.mark.parametrize("seed", range(5))
def test_like_scikit_learn_and_scipy_also_many_at_a_time(seed: int) -> None:
    random = np.random.default_rng(seed)
    gold, said = random.integers(2, size=(3, 40)), random.integers(2, size=(4, 3, 40))
    theirs = {
        "accuracy": sklearn.metrics.accuracy_score,
        "F1": sklearn.metrics.f1_score,
        "Matthews": sklearn.metrics.matthews_corrcoef,
    }
    for name, their in theirs.items():
        np.testing.assert_allclose(
            METRICS[name](gold, said),
            [[their(g, s) for g, s in zip(gold, one)] for one in said],
            atol=1e-12,
        )
    gold3, said3 = (
        gold + random.integers(2, size=gold.shape),
        said + random.integers(2, size=said.shape),
    )
    macro = [
        [sklearn.metrics.f1_score(g, s, average="macro") for g, s in zip(gold3, one)]
        for one in said3
    ]
    np.testing.assert_allclose(METRICS["macro-F1"](gold3, said3), macro)
    x, y = random.normal(size=30).round(1), random.normal(size=30).round(1)  # rounded: with ties
    assert METRICS["Pearson"](x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    assert METRICS["Spearman"](x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)


def test_what_a_task_is_measured_by() -> None:
    assert metrics_of("CoLA", 2) == ("Matthews", "accuracy") and metrics_of("mrpc", 2) == (
        "F1",
        "accuracy",
    )
    assert metrics_of("rte", 2) == metrics_of("sick", 3) == ("accuracy", "macro-F1") and metrics_of(
        "sick:relatedness", 0
    ) == ("Pearson", "Spearman")


def test_the_paired_difference_of_a_mean_is_that_of_accuracy() -> None:
    random = np.random.default_rng(0)
    gold = random.integers(2, size=80)
    a, b = (np.where(random.random((3, 1, 80)) < share, gold, 1 - gold) for share in (0.9, 0.6))
    ours = stats.paired_metric_difference(gold, a, b, METRICS["accuracy"], resamples=4999)
    known = stats.paired_difference((a == gold)[:, 0], (b == gold)[:, 0], resamples=4999)
    for name in ("value", "low", "high", "seeds_low", "seeds_high"):
        assert getattr(ours, name) == pytest.approx(getattr(known, name), abs=0.01), name
    assert ours.p < 0.01 and ours.resolved and ours.units == 3
    interval, mean = (
        stats.metric_interval(gold, a, METRICS["accuracy"]),
        stats.mean_interval((a == gold)[:, 0]),
    )
    assert (interval.value, interval.seeds_low) == pytest.approx(
        (mean.value, mean.seeds_low)
    ) and interval.low == pytest.approx(mean.low, abs=0.01)


def test_the_paired_difference_of_matthews_is_over_units_and_symmetric() -> None:
    random = np.random.default_rng(1)
    gold = random.integers(2, size=60)
    a, b = (np.where(random.random((2, 2, 60)) < share, gold, 1 - gold) for share in (0.85, 0.7))
    there, back = (
        stats.paired_metric_difference(gold, *pair, METRICS["Matthews"], resamples=499)
        for pair in ((a, b), (b, a))
    )
    by_unit = [
        np.mean([sklearn.metrics.matthews_corrcoef(gold, m) for m in a[u]])
        - np.mean([sklearn.metrics.matthews_corrcoef(gold, m) for m in b[u]])
        for u in (0, 1)
    ]
    assert there.value == pytest.approx(np.mean(by_unit)) == pytest.approx(-back.value)
    assert there.low < there.value < there.high and there.p == pytest.approx(back.p)
    none = stats.paired_metric_difference(gold, a, a, METRICS["Matthews"])
    assert (none.value, none.low, none.high, none.p, none.resolved) == (0, 0, 0, 1, False)
    with pytest.raises(ValueError, match=r"expected predictions \[units, models, texts\]"):
        stats.paired_metric_difference(gold, a[0], b[0], METRICS["Matthews"])
