"""Baselines on the same labels: columns where they belong, the number of parameters."""

import numpy as np
import pytest
import tiny
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from gdlib.compare import baselines
from gdlib.core.errors import UnknownName
from gdlib.sources.corpora import Part

LABELS = ("animals", "music", "weather")


def part(number, of=(0, 1, 2)):
    return Part(
        [text for c in of for text in tiny.texts_of(LABELS[c], number, 0)],
        [c for c in of for _ in range(number)],
    )


def test_majority():
    model = baselines.build("majority", ["a", "b", "c"], [2, 2, 1])
    assert baselines.predict(model, ["x", "y"], 4).tolist() == [[0, 0, 1, 0]] * 2
    assert baselines.parameters(model) == 2


@pytest.mark.parametrize("name", ["tfidf-lr", "tfidf-svm"])
@pytest.mark.parametrize("number", [1, 20])
def test_columns_are_label_indices_when_a_class_is_missing(number, name):
    labelled = part(number, of=(0, 2))
    model = baselines.build(name, labelled.texts, labelled.labels)
    found = baselines.predict(model, labelled.texts, 4)
    assert found.shape == (2 * number, 4) and not found[:, [1, 3]].any()
    assert np.allclose(found.sum(1), 1) and (found.argmax(1) == labelled.labels).all()


@pytest.mark.parametrize("name", ["tfidf-lr", "tfidf-svm"])
def test_tfidf_learns_from_words(name):
    train = part(40)
    model = baselines.build(name, train.texts, train.labels)
    test = Part(
        [text for c in LABELS for text in tiny.texts_of(c, 60, 0)[40:]],
        [i // 20 for i in range(60)],
    )
    assert (baselines.predict(model, test.texts, 3).argmax(1) == test.labels).mean() > 0.7
    words = {word for text in train.texts for word in text.split() if len(word) > 1}
    assert set(model[0].vocabulary_) == words
    assert baselines.parameters(model) == 3 * len(words) + 3


def test_an_unknown_baseline_is_refused_with_the_known_ones():
    with pytest.raises(
        UnknownName, match='unknown baseline "svm"; known: majority, tfidf-lr, tfidf-svm'
    ):
        baselines.build("svm", ["a"], [0])


def test_two_classes_have_one_row_of_weights():
    two = part(1, of=(0, 1))
    model = baselines.build("tfidf-lr", two.texts, two.labels)
    assert baselines.parameters(model) == len(model[0].vocabulary_) + 1


def test_the_same_labels_give_the_same_baseline():
    ten = part(10)
    one, other = (
        baselines.predict(baselines.build("tfidf-lr", ten.texts, ten.labels), part(15).texts, 3)
        for _ in range(2)
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_svm_predicts_the_class_of_the_largest_margin(classes):
    train, test = part(20, of=range(classes)), part(30, of=range(classes))
    model = baselines.build("tfidf-svm", train.texts, train.labels)
    words = TfidfVectorizer(sublinear_tf=True).fit(train.texts)
    machine = LinearSVC(random_state=0).fit(words.transform(train.texts), train.labels)
    expected = machine.predict(words.transform(test.texts))
    predicted = baselines.predict(model, test.texts, classes)
    assert (predicted.argmax(axis=1) == expected).all() and len(set(expected)) == classes
    assert np.allclose(predicted.sum(axis=1), 1)


def test_vectors_have_a_linear_reference_of_their_size_that_is_chosen_by_cross_validation():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    vectors = random.normal(size=(120, 5)) + 2.5 * np.eye(5)[labels]
    model = baselines.linear(vectors * 1000 + 7, labels)  # scaled before all else
    assert baselines.parameters(model) == 3 * 5 + 3
    scores = {}
    for c in (0.1, 1.0, 10.0):
        scaled = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
        scores[c] = cross_val_score(scaled, vectors, labels, cv=3).mean()
    assert model[-1].C == max(scores, key=scores.get)
    assert (baselines.predict(model, vectors * 1000 + 7, 3).argmax(axis=1) == labels).mean() > 0.9
