"""Metrics against sklearn, against values worked out by hand, and at their edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from gdlib.compare import metrics

GOLD, SAID = [0, 0, 1, 1, 2], [0, 1, 1, 1, 0]


def test_accuracy_and_agreement_count_equal_labels():
    assert metrics.accuracy(GOLD, SAID) == 0.6
    assert metrics.agreement(SAID, SAID) == 1.0


@pytest.mark.parametrize(("one", "other"), [([0, 1], [0]), ([], []), ([[0]], [[0]])])
def test_lists_of_different_shape_are_refused(one, other):
    with pytest.raises(
        ValueError, match="expected two non-empty lists of one length, given shapes"
    ):
        metrics.accuracy(one, other)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_f1_and_confusion_equal_sklearn(pairs):
    gold, said = map(np.array, zip(*pairs, strict=True))
    assert metrics.macro_f1(gold, said, 4) == pytest.approx(
        f1_score(gold, said, labels=range(4), average="macro", zero_division=0)
    )
    assert np.array_equal(
        metrics.confusion(gold, said, 4), confusion_matrix(gold, said, labels=range(4))
    )


def test_a_class_that_the_test_set_lacks_counts_in_macro_f1():
    assert metrics.macro_f1([0, 1], [0, 1], 2) == 1.0
    assert metrics.macro_f1([0, 1], [0, 1], 4) == 0.5


def test_softmax_is_safe_and_takes_a_temperature():
    assert metrics.softmax([[1000.0, 1000.0]]).tolist() == [[0.5, 0.5]]
    assert metrics.softmax([math.log(9), 0.0], temperature=2)[0] == pytest.approx(0.75)


def test_entropy_in_nats_of_certain_and_uniform():
    assert metrics.entropy([[1, 0], [0.5, 0.5]]).tolist() == pytest.approx([0, math.log(2)])


def test_brier_by_hand():
    assert metrics.brier([[0.8, 0.2], [0.4, 0.6]], [0, 0]) == pytest.approx((0.08 + 0.72) / 2)


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


def test_length_statistics():
    found = metrics.length_statistics(["a", "a b", "a b c"])
    assert (found["mean"], found["median"]) == (2, 2)
