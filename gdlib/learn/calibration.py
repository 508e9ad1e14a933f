"""Temperature scaling: one number makes a network's probabilities as sure as they are right."""

import numpy as np
import scipy
import torch
from numpy.typing import ArrayLike
from torch import nn

COLDEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T that makes ``softmax(logits / T)`` likeliest on some labelled texts.

    It changes no prediction, only how sure they are (Guo et al. 2017, arXiv 1706.04599, section
    4.2). A student that learnt from softened logits is less sure than it should be: T is then below
    1. Where every text is predicted right the likeliest T would be 0, so that targets are smoothed
    by how few texts there are, as Platt (1999) does: of n texts and C classes the gold class has
    (n + 1) / (n + C), and every other one 1 / (n + C).

    *Shape:* logits ``[texts, classes]``, labels ``[texts]``.

    Args:
        logits: of texts that the network was not trained on.
        labels: their gold classes.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    number, classes = logits.shape
    targets = (number * np.eye(classes)[labels] + 1) / (number + classes)

    def loss(log_temperature: float) -> float:
        log_probabilities = scipy.special.log_softmax(logits / np.exp(log_temperature), axis=-1)
        return -(targets * log_probabilities).sum(axis=-1).mean()

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def cool(classifier: nn.Module, temperature: float) -> None:
    """Divide a temperature into the last layer of a head, in place: its logits are divided by it
    from then on.
    """
    *_, last = (module for module in classifier.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        for parameter in last.parameters():
            parameter /= temperature
