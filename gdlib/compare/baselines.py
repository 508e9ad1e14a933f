"""Baselines without a neural network, on the same few labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from gdlib.core.registry import Registry


class Margins(LinearSVC):
    """A linear support vector machine whose probabilities are the softmax of its margins: in the
    right order, and not calibrated.
    """

    def predict_proba(self, vectors: np.ndarray) -> np.ndarray:
        """*Shape:* ``[texts, classes]``."""
        margins = self.decision_function(vectors)
        both = margins if margins.ndim == 2 else np.stack([-margins, margins], axis=1)
        return softmax(both, axis=1)


BASELINES = Registry("baseline")
BASELINES.add(
    "majority",
    DummyClassifier(strategy="most_frequent"),
    "always the most frequent class",
)
BASELINES.add(
    "tfidf-lr",
    make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)),
    "TF-IDF of words + logistic regression",
)
BASELINES.add(
    "tfidf-svm",
    make_pipeline(TfidfVectorizer(sublinear_tf=True), Margins(random_state=0)),
    "TF-IDF of words + linear SVM",
)
"""Of the regression: single words and C = 10 did best among {single words, pairs too} x
{1, 10, 100} on unlabelled parts of the embedded corpora (not test). Of the SVM nothing was chosen:
C = 1."""

Model = DummyClassifier | Pipeline


def build(name: str, texts: Sequence[str], labels: Sequence[int]) -> Model:
    """A baseline fitted on labelled texts.

    It stops on nothing, so it learns from the whole labelled budget, the held-out part included.

    Raises:
        UnknownName: no such baseline.
    """
    return clone(BASELINES[name]).fit(texts, labels)


def answers(
    labelled: Sequence[str], labels: Sequence[int], texts: Sequence[str], classes: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What every baseline answers: their probabilities, one after the other, a column per class,
    and the ``name`` and ``parameters`` of each.
    """
    models = {name: build(name, labelled, labels) for name in BASELINES}
    found = np.concatenate([predict(model, texts, classes) for model in models.values()])
    sizes = pd.DataFrame({"name": [*models], "parameters": [*map(parameters, models.values())]})
    return pd.DataFrame(found, columns=[*map(str, range(classes))]), sizes


def linear(vectors: np.ndarray, labels: Sequence[int]) -> Pipeline:
    """Logistic regression on vectors of labelled texts, its C chosen by cross-validation on them.

    *Shape:* ``[texts, width]``.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    choices = {"logisticregression__C": [0.1, 1.0, 10.0]}
    return GridSearchCV(model, choices, cv=3).fit(vectors, labels).best_estimator_


def predict(model: Model, texts: Sequence[str] | np.ndarray, classes: int) -> np.ndarray:
    """Probabilities in the order of the label indices, of texts or their vectors. *Shape:*
    ``[texts, classes]``.
    """
    probabilities = np.zeros((len(texts), classes))
    probabilities[:, model.classes_] = model.predict_proba(texts)
    return probabilities


def parameters(model: Model) -> int:
    """Learned numbers: the weights and biases of the linear model, the class priors of the majority
    baseline.
    """
    if isinstance(model, Pipeline):
        return int(model[-1].coef_.size + model[-1].intercept_.size)
    return len(model.classes_)
