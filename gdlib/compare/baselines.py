"""Baselines without a neural network, on the same few labels."""

from collections.abc import Sequence

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from gdlib.core.errors import unknown

BASELINES = {
    "majority": "always the most frequent class",
    "tfidf-lr": "TF-IDF of words + logistic regression",
}


def build(name: str, texts: Sequence[str], labels: Sequence[int]) -> DummyClassifier | Pipeline:
    """A baseline fitted on labelled texts.

    It stops on nothing, so it learns from the whole labelled budget, the held-out part included.
    Single words and C = 10 did best among {single words, pairs too} x {1, 10, 100} on unlabelled
    parts of the embedded corpora (not test).

    Raises:
        UnknownName: no such baseline.
    """
    if name == "majority":
        return DummyClassifier(strategy="most_frequent").fit(texts, labels)
    if name == "tfidf-lr":
        model = make_pipeline(
            TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
        )
        return model.fit(texts, labels)
    raise unknown("baseline", name, BASELINES)


def predict(model: DummyClassifier | Pipeline, texts: Sequence[str], classes: int) -> np.ndarray:
    """Probabilities in the order of the label indices. *Shape:* ``[texts, classes]``."""
    out = np.zeros((len(texts), classes))
    out[:, model.classes_] = model.predict_proba(list(texts))
    return out


def parameters(model: DummyClassifier | Pipeline) -> int:
    """Learned numbers: the weights and biases of the linear model, the class priors of the majority
    baseline.
    """
    if isinstance(model, Pipeline):
        return int(model[-1].coef_.size + model[-1].intercept_.size)
    return len(model.classes_)
