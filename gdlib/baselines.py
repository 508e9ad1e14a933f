"""Floor 3. Baselines without a neural network, on the same few labels."""

from collections.abc import Sequence

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline

from gdlib.corpora import Part

BASELINES = {"majority": "always the most frequent class", "tfidf-lr": "TF-IDF of words and word pairs + logistic regression"}


def build(name: str, labelled: Part) -> DummyClassifier | Pipeline | GridSearchCV:
    """A fitted baseline.

    It stops on nothing, so it learns from the whole labelled budget, the held-out part included. The strength of
    ``tfidf-lr``'s regularisation is chosen by cross-validation within the labelled texts.
    """
    if name == "majority":
        return DummyClassifier(strategy="most_frequent").fit(labelled.texts, labelled.labels)
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    folds = min(5, int(np.bincount(labelled.labels).min()))
    if folds < 2:
        return model.fit(labelled.texts, labelled.labels)
    cut = StratifiedKFold(folds, shuffle=True, random_state=0)
    return GridSearchCV(model, {"logisticregression__C": [1, 10, 100]}, cv=cut).fit(labelled.texts, labelled.labels)


def predict(model: DummyClassifier | Pipeline | GridSearchCV, texts: Sequence[str], classes: int) -> np.ndarray:
    """Probabilities in the order of the label indices. *Shape:* ``[texts, classes]``."""
    out = np.zeros((len(texts), classes))
    out[:, model.classes_] = model.predict_proba(list(texts))
    return out


def parameters(model: DummyClassifier | Pipeline | GridSearchCV) -> int:
    """Learned numbers: the weights and biases of the linear model, the class priors of the majority baseline."""
    fitted = getattr(model, "best_estimator_", model)
    if isinstance(fitted, Pipeline):
        linear = fitted[-1]
        return int(linear.coef_.size + linear.intercept_.size)
    return len(fitted.classes_)
