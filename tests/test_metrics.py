"""Metrics against sklearn, against values worked out by hand, and at their edges."""

import math

import pytest

from gdlib.compare import metrics

GOLD, PREDICTED = [0, 0, 1, 1, 2], [0, 1, 1, 1, 0]


def test_calibration_error_by_hand():
    confidence, correct = (
        [0.9, 0.9, 0.3, 1.0],
        [1, 0, 1, 1],
    )  # bins of a half: (0.3 -> 1), (0.9, 0.9, 1.0 -> 2/3)
    assert metrics.expected_calibration_error(confidence, correct, bins=2) == pytest.approx(
        0.25 * 0.7 + 0.75 * abs(2.8 / 3 - 2 / 3)
    )
    table = metrics.reliability(confidence, correct, bins=2)
    assert table["texts"].tolist() == [1, 3]
    assert table["high"].tolist() == [0.5, 1.0]


def test_calibration_leaves_out_empty_bins_and_keeps_confidence_one():
    table = metrics.reliability([1.0, 0.05], [1, 0], bins=10)
    assert table["low"].tolist() == [0.0, 0.9]


def test_distinct_n_by_hand():
    assert metrics.distinct_n(["a b A b", "a b"], 2) == 2 / 4  # ab, ba, ab, ab
    assert metrics.distinct_n(["one"], 2) == 0.0


def test_self_bleu_tells_copies_from_different_texts():
    copies, different = ["a b c d e"] * 3, ["a b c d e", "f g h i j", "k l m n o"]
    assert metrics.self_bleu(copies) == pytest.approx(100)
    assert metrics.self_bleu(different) < 1
    assert math.isnan(metrics.self_bleu(["alone"]))


def test_self_bleu_repeats_for_a_seed():
    texts = [f"word{i} word{i % 7} word{i % 3} end" for i in range(60)]
    assert metrics.self_bleu(texts, sample=20, seed=3) == metrics.self_bleu(
        texts, sample=20, seed=3
    )


def test_diversity_has_every_measure_of_equal_counts():
    found = metrics.diversity(["a b c d", "a b c e", "x y"], sample=3)
    assert set(found) == {"distinct_1", "distinct_2", "distinct_3", "self_bleu", "words"}
    assert found["words"] == pytest.approx(10 / 3)
