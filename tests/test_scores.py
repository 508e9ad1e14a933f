"""Scores against hand-counted values, scikit-learn, scipy and seqeval, whole and resampled."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score as seqeval_f1

from gdlib.compare.scores import ENTITY_F1, SCORES, SENSE_F1, entity_counts, scores_of
from gdlib.core.errors import UnknownName

# Right: 3 of class 1, 3 of class 0; wrong: one each way.
GOLD, PREDICTED = [1, 1, 1, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 1, 0, 1]


def test_by_hand() -> None:
    assert SCORES["accuracy"].of(GOLD, PREDICTED) == 6 / 8
    assert SCORES["F1"].of(GOLD, PREDICTED) == pytest.approx(2 * 3 / (4 + 4))
    macro = (2 / 3 + 2 / 4 + 0) / 3
    assert SCORES["macro-F1"].of([0, 0, 1, 2], [0, 1, 1, 1]) == pytest.approx(macro)
    matthews = (3 * 3 - 1 * 1) / 4**2  # (TP TN - FP FN) / sqrt(4 * 4 * 4 * 4)
    assert SCORES["Matthews"].of(GOLD, PREDICTED) == pytest.approx(matthews)
    assert SCORES["Pearson"].of([1, 2, 3], [1, 2, 4]) == pytest.approx(3 / np.sqrt(2 * 14 / 3))
    spearman = 1 - 6 * 2 / (4 * 15)
    assert SCORES["Spearman"].of([1, 2, 3, 4], [1, 9, 2, 90]) == pytest.approx(spearman)
    assert SCORES["Matthews"].of(GOLD, [1] * 8) == SCORES["Pearson"].of([1, 2], [3, 3]) == 0
    assert SCORES["F1"].of([0, 0], [0, 0]) == 0


def test_a_class_in_neither_gold_nor_predictions_is_left_out_of_macro_f1() -> None:
    models = [[0, 3, 3], [0, 0, 0]]  # class 1 is nowhere; classes 0 to 3 are counted for both
    expected = [sklearn.metrics.f1_score([0, 3, 3], one, average="macro") for one in models]
    scores = SCORES["macro-F1"](models, {"gold": [0, 3, 3]})
    assert scores == pytest.approx(expected) and scores[0] == 1


THEIRS = {
    "accuracy": sklearn.metrics.accuracy_score,
    "balanced accuracy": sklearn.metrics.balanced_accuracy_score,
    "F1": sklearn.metrics.f1_score,
    "macro-F1": lambda gold, predicted: sklearn.metrics.f1_score(gold, predicted, average="macro"),
    "Matthews": sklearn.metrics.matthews_corrcoef,
    "Pearson": lambda *sides: scipy.stats.pearsonr(*sides).statistic,
    "Spearman": lambda *sides: scipy.stats.spearmanr(*sides).statistic,
}


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("seed", range(3))
def test_like_scikit_learn_and_scipy_on_resamples_of_several_models(name: str, seed: int) -> None:
    random, numbers = np.random.default_rng(seed), name in ("Pearson", "Spearman")
    classes = 4 if name in ("macro-F1", "balanced accuracy") else 2
    gold, predicted = (
        random.normal(size=shape).round(1) if numbers else random.integers(classes, size=shape)
        for shape in (40, (3, 40))
    )  # rounded: with ties
    index = random.integers(40, size=(5, 40))
    weights = np.stack([np.bincount(row, minlength=40) for row in index]).astype(float)
    added = np.moveaxis(SCORES[name].added(predicted, {"gold": gold}), 1, 0)
    expected = [[THEIRS[name](gold[row], one[row]) for one in predicted] for row in index]
    np.testing.assert_allclose(SCORES[name].weighted(added, weights), expected, atol=1e-9)


def test_an_unknown_score_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UnknownName, match='unknown score "AUC"; known: accuracy, balanced accuracy, F1'
    ):
        SCORES["AUC"]


def test_what_a_task_is_measured_by() -> None:
    assert scores_of("CoLA", 2) == ("Matthews", "accuracy")
    assert scores_of("mrpc", 2) == ("F1", "accuracy")
    assert scores_of("rte", 2) == scores_of("sick", 3) == ("accuracy", "macro-F1")
    assert scores_of("sick:relatedness", 0) == ("Pearson", "Spearman")


# ---- entities

TAG = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
SENTENCE = st.integers(1, 8).flatmap(
    lambda n: st.tuples(*(st.lists(TAG, min_size=n, max_size=n) for _ in range(2)))
)


def entity_f1(counts: np.ndarray, languages: list[str]) -> float:
    return float(ENTITY_F1(counts[None], {"language": languages})[0])


def test_entities_by_hand() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG"], ["O"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["O", "I-ORG"], ["B-LOC"]]
    counts = entity_counts(gold, predicted)
    # An I- without a beginning before it begins an entity; a shorter span is another entity.
    assert counts.tolist() == [[1, 2, 2], [1, 1, 1], [0, 1, 0]]
    assert entity_f1(counts, ["x", "y", "y"]) == pytest.approx((2 * 1 / 4 + 2 * 1 / 3) / 2)


@given(st.lists(SENTENCE, min_size=1, max_size=12))
def test_entity_f1_is_seqeval_s(pairs: list[tuple[list[str], list[str]]]) -> None:
    gold, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    if any(tag != "O" for row in gold + predicted for tag in row):
        expected = seqeval_f1(gold, predicted, zero_division=0)
        counts = entity_counts(gold, predicted)
        assert entity_f1(counts, ["x"] * len(gold)) == pytest.approx(expected)


def test_a_tag_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="sentence 1: 2 gold tags and 1 predicted"):
        entity_counts([["O"], ["O", "O"]], [["O"], ["O"]])


# ---- senses


def test_sense_f1_is_that_of_precision_and_recall_where_not_all_is_answered() -> None:
    right = np.array([[1.0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    precision, recall = 2 / 3, 2 / 5
    expected = 2 * precision * recall / (precision + recall)
    items = {"candidates": [3, 1, 2, 0, 0]}
    assert SENSE_F1(right, items).tolist() == [pytest.approx(expected), 0]
    assert SENSE_F1(right[:1], {"candidates": [1] * 5})[0] == pytest.approx(0.4)
