"""GLUE's metrics (Wang et al. 2018), as functions of many predictions at once, so that they can be
resampled.

Every function takes what is right and what was said, ``[..., texts]`` both (one may lack axes in
front that the other has), and gives ``[...]``. Tests hold them to scikit-learn and scipy.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from gdlib.compare.metrics import f1_from_counts

Metric = Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]


def accuracy(gold: ArrayLike, said: ArrayLike) -> NDArray[np.float64]:
    """Share of the texts whose class is the gold one."""
    return (np.asarray(gold) == said).mean(axis=-1)


def f1(gold: ArrayLike, said: ArrayLike, of: int = 1) -> NDArray[np.float64]:
    """F1 of one class, the second of two: "the same meaning" in MRPC. 0 where it is neither there
    nor said.
    """
    gold, said = np.asarray(gold) == of, np.asarray(said) == of
    return f1_from_counts((gold & said).sum(axis=-1), said.sum(axis=-1), gold.sum(axis=-1))


def macro_f1(gold: ArrayLike, said: ArrayLike) -> NDArray[np.float64]:
    """F1 averaged over the classes that are there, or are said."""
    gold, said = np.asarray(gold), np.asarray(said)
    classes = range(int(max(gold.max(), said.max())) + 1)
    there = sum(
        ((gold == one).any(axis=-1) | (said == one).any(axis=-1)).astype(float) for one in classes
    )
    return sum(f1(gold, said, one) for one in classes) / there


def matthews(gold: ArrayLike, said: ArrayLike) -> NDArray[np.float64]:
    """Matthews' correlation of two classes (CoLA); 0 where all texts are of one class, or all are
    said to be.
    """
    return pearson(np.asarray(gold) == 1, np.asarray(said) == 1)


def pearson(gold: ArrayLike, said: ArrayLike) -> NDArray[np.float64]:
    """Pearson's correlation; 0 where one side is constant."""
    gold, said = np.asarray(gold, dtype=np.float64), np.asarray(said, dtype=np.float64)
    a, b = gold - gold.mean(axis=-1, keepdims=True), said - said.mean(axis=-1, keepdims=True)
    norm = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return np.where(norm > 1e-12, (a * b).sum(axis=-1) / np.maximum(norm, 1e-12), 0.0)


def spearman(gold: ArrayLike, said: ArrayLike) -> NDArray[np.float64]:
    """Spearman's rank correlation."""
    return pearson(rankdata(gold, axis=-1), rankdata(said, axis=-1))


METRICS: Mapping[str, Metric] = {
    "accuracy": accuracy, "F1": f1, "macro-F1": macro_f1, "Matthews": matthews, "Pearson": pearson, "Spearman": spearman,
}  # fmt: skip
OF_TASK = {"cola": ("Matthews", "accuracy"), "mrpc": ("F1", "accuracy"), "qqp": ("F1", "accuracy")}
"""What GLUE measures where it is not accuracy; the first one is what counts."""


def metrics_of(task: str, labels: int) -> tuple[str, ...]:
    """What a task is measured by, the one that counts first.

    ``labels``: number of classes; 0: numbers are to be told.
    """
    named = OF_TASK.get(task.lower()) if labels == 2 else None
    return named or (("accuracy", "macro-F1") if labels else ("Pearson", "Spearman"))
