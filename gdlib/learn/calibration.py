"""Temperature scaling: one number makes a network's probabilities as sure as they are right."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

COLDEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T that makes ``softmax(logits / T)`` likeliest on some labelled texts.

    It changes no prediction, only how sure they are (Guo et al. 2017, arXiv 1706.04599, section
    4.2). A student that learnt from softened logits is less sure than it should be: T is then below
    1.

    *Shape:* logits ``[texts, classes]``, labels ``[texts]``.

    Args:
        logits: of texts that the network was not trained on.
        labels: their gold classes.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / np.exp(log_temperature), axis=-1)
        return -log_probabilities[rows, labels].mean()

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
