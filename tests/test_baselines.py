"""Baselines on the same labels: columns where they belong, the strength of regularisation, the number of parameters."""

import numpy as np
import pytest
import tiny
from sklearn.model_selection import GridSearchCV

from gdlib import baselines
from gdlib.corpora import Part

LABELS = ("animals", "music", "weather")


def part(number, of=(0, 1, 2)):
    return Part([text for c in of for text in tiny.texts_of(LABELS[c], number, 0)], [c for c in of for _ in range(number)])


def test_majority():
    labelled = Part(["a", "b", "c"], [2, 2, 1])
    model = baselines.build("majority", labelled)
    assert baselines.predict(model, ["x", "y"], 4).tolist() == [[0, 0, 1, 0]] * 2
    assert baselines.parameters(model) == 2


@pytest.mark.parametrize("number", [1, 20])
def test_columns_are_label_indices_when_a_class_is_missing(number):
    labelled = part(number, of=(0, 2))
    model = baselines.build("tfidf-lr", labelled)
    found = baselines.predict(model, labelled.texts, 4)
    assert found.shape == (2 * number, 4) and not found[:, [1, 3]].any()
    assert np.allclose(found.sum(1), 1) and (found.argmax(1) == labelled.labels).all()


def test_tfidf_learns_and_chooses_within_the_labelled_texts():
    train = part(40)
    model = baselines.build("tfidf-lr", train)
    assert isinstance(model, GridSearchCV) and model.cv.get_n_splits() == 5
    test = Part([text for c in LABELS for text in tiny.texts_of(c, 60, 0)[40:]], [i // 20 for i in range(60)])
    assert (baselines.predict(model, test.texts, 3).argmax(1) == test.labels).mean() > 0.7
    terms = len(model.best_estimator_[0].vocabulary_)
    assert baselines.parameters(model) == 3 * terms + 3
    few = baselines.build("tfidf-lr", part(1))
    assert not isinstance(few, GridSearchCV)  # one text a class cannot be cross-validated
    assert baselines.parameters(few) == 3 * len(few[0].vocabulary_) + 3


def test_two_classes_have_one_row_of_weights():
    model = baselines.build("tfidf-lr", part(1, of=(0, 1)))
    assert baselines.parameters(model) == len(model[0].vocabulary_) + 1


def test_the_same_labels_give_the_same_baseline():
    one, other = (baselines.predict(baselines.build("tfidf-lr", part(10)), part(15).texts, 3) for _ in range(2))
    assert np.array_equal(one, other)
