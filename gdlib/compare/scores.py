"""Scores of models, each a function of what the items add up to.

What every item (a text, sentence or instance) adds to a few sums is counted once. The score of any
resample of the items then follows from a matrix product of how often the resample draws each item
with what it adds, so thousands of resamples of many models are cheap (:mod:`gdlib.compare.stats`).
Tests hold the scores to scikit-learn, scipy and seqeval.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdlib.core.registry import Registry

Array = NDArray[np.float64]
Items = Mapping[str, ArrayLike]
Tags = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Score:
    """A score of models on the same items.

    Args:
        added: from outputs of models ``[models, items, ...]`` and a table of the items to what each
            item adds to some sums, ``[models, items, sums]``.
        of_means: from means over items ``[..., sums]`` to the score ``[...]``. None: the score is
            itself the mean of the one number that items add.
        of_ranks: whether ``of_means`` takes ranks among the items drawn, in place of the numbers.
    """

    added: Callable[[NDArray, Items], Array]
    of_means: Callable[[Array], Array] | None = None
    of_ranks: bool = False

    def __call__(self, outputs: ArrayLike, items: Items) -> Array:
        """The score of every model.

        *Shape:* outputs ``[models, items, ...]`` -> ``[models]``.
        """
        added = np.moveaxis(self.added(np.asarray(outputs), items), 1, 0)
        return self.weighted(added, np.ones((1, len(added))))[0]

    def of(self, gold: ArrayLike, predicted: ArrayLike) -> float:
        """The score of one model's predictions, ``[items]`` as gold."""
        return float(self(np.asarray(predicted)[None], {"gold": gold})[0])

    def weighted(self, added: Array, weights: Array) -> Array:
        """The score on resamples of the items, as many of each item as its weight says.

        *Shape:* added ``[items, ..., sums]``, weights ``[resamples, items]`` -> ``[resamples,
        ...]``.
        """
        total = weights.sum(axis=1)
        if self.of_ranks:
            return _of_ranks(added, weights / total[:, None])
        means = np.tensordot(weights, added, 1) / total.reshape(-1, *[1] * (added.ndim - 1))
        return self.of_means(means) if self.of_means else means[..., 0]


def mean_f1(counts: Array) -> Array:
    """F1 averaged over classes or groups, those left out that are in neither gold nor predictions.

    As scikit-learn's ``f1_score(average="macro")`` does; 0 where there is no group at all.

    *Shape:* ``[..., 3 * groups]``: of all groups those right, then those predicted, then gold.
    """
    right, predicted, gold = _by_group(counts)
    return _mean_share(2 * right, predicted + gold)


def mean_recall(counts: Array) -> Array:
    """Share of each class that is found, averaged over the classes in gold; shaped as for
    :func:`mean_f1`. scikit-learn's ``balanced_accuracy_score``: all classes weigh alike, however
    many items each has.
    """
    right, _, gold = _by_group(counts)
    return _mean_share(right, gold)


def _by_group(counts: Array) -> Array:
    return np.moveaxis(counts.reshape(*counts.shape[:-1], 3, -1), -2, 0)


def _mean_share(part: Array, whole: Array) -> Array:
    """``part / whole`` averaged over the groups that are there at all; 0 where none is."""
    present = whole > 0
    shares = part / np.where(present, whole, 1.0)
    return shares.sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)


def correlation(moments: Array) -> Array:
    """Pearson's correlation; 0 where one side is constant.

    *Shape:* means of x, y, x squared, y squared and x times y, ``[..., 5]`` -> ``[...]``.
    """
    x, y, xx, yy, xy = np.moveaxis(moments, -1, 0)
    norm = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
    return np.where(norm > 1e-12, (xy - x * y) / np.maximum(norm, 1e-12), 0.0)


def _of_ranks(added: Array, share: Array) -> Array:
    """Spearman's correlation: Pearson's of the ranks among the items drawn, ties averaged.

    A drawn item's rank is, but for a constant, the weight of the smaller ones and half that of
    the equal ones. *Shape:* added ``[items, ..., 2]``, share of each item in each resample
    ``[resamples, items]`` -> ``[resamples, ...]``.
    """
    scores = []
    for pair in added.reshape(len(added), -1, 2).transpose(1, 2, 0):
        x, y = (_ranks(side, share) for side in pair)
        moments = [(share * product).sum(axis=1) for product in (x, y, x * x, y * y, x * y)]
        scores.append(correlation(np.stack(moments, axis=-1)))
    return np.stack(scores, axis=-1).reshape(len(share), *added.shape[1:-1])


def _ranks(side: Array, share: Array) -> Array:
    """Of every item the weight of the smaller ones and half that of the equal ones.

    *Shape:* ``[items]``, ``[resamples, items]`` -> ``[resamples, items]``.
    """
    _, group = np.unique(side, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    equal = np.add.reduceat(share[:, order], starts, axis=1)
    return (equal.cumsum(axis=1) - equal / 2)[:, group]


def _is_right(outputs: NDArray, items: Items) -> Array:
    return (outputs == np.asarray(items["gold"]))[..., None].astype(np.float64)


def _as_given(outputs: NDArray, _: Items) -> Array:
    return outputs[..., None].astype(np.float64)


def class_counts(outputs: NDArray, gold: ArrayLike, classes: Sequence[int]) -> Array:
    """What every item adds to *right*, *predicted* and *gold* of some classes.

    *Shape:* predicted classes ``[models, items]`` -> ``[models, items, 3 * classes]`` of 0 and 1.
    """
    predicted = outputs[..., None] == np.asarray(classes)
    gold = np.broadcast_to(np.asarray(gold)[:, None] == np.asarray(classes), predicted.shape)
    return np.concatenate([predicted & gold, predicted, gold], axis=-1).astype(np.float64)


def _every_class(outputs: NDArray, items: Items) -> Array:
    classes = int(max(np.max(items["gold"]), outputs.max())) + 1
    return class_counts(outputs, items["gold"], range(classes))


def _second_class(outputs: NDArray, items: Items) -> Array:
    return class_counts(outputs, items["gold"], [1])


def _pairs(outputs: NDArray, items: Items) -> Array:
    gold = np.asarray(items["gold"], dtype=np.float64)
    return np.stack(np.broadcast_arrays(gold, outputs.astype(np.float64)), axis=-1)


def _moments(outputs: NDArray, items: Items) -> Array:
    gold, predicted = np.moveaxis(_pairs(outputs, items), -1, 0)
    x, y = gold - gold.mean(), predicted - predicted.mean()  # small sums lose no digits
    return np.stack([x, y, x * x, y * y, x * y], axis=-1)


def _class_moments(outputs: NDArray, items: Items) -> Array:
    return _moments(outputs == 1, {"gold": np.asarray(items["gold"]) == 1})


def entity_counts(gold: Tags, predicted: Tags) -> NDArray[np.int16]:
    """Of every sentence: entities *right*, *predicted* and *gold*. *Shape:* ``[sentences, 3]``.

    An entity is right if its kind, its beginning and its end are. A predicted ``I-`` without a
    beginning before it begins an entity (conlleval; read by ``seqeval``).

    Raises:
        ValueError: a sentence whose tags are not as many as the gold ones.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    rows = []
    for number, (true, tags) in enumerate(zip(gold, predicted, strict=True)):
        if len(true) != len(tags):
            raise ValueError(f"sentence {number}: {len(true)} gold tags and {len(tags)} predicted")
        entities, tagged = (set(get_entities(list(side))) for side in (true, tags))
        rows.append((len(entities & tagged), len(tagged), len(entities)))
    return np.array(rows, dtype=np.int16).reshape(-1, 3)


def _by_language(outputs: NDArray, items: Items) -> Array:
    """Counts ``[models, sentences, 3]`` spread over languages: ``[models, sentences, 3 *
    languages]``.
    """
    languages = np.asarray(items["language"])
    belongs = languages[:, None] == np.unique(languages)
    spread = outputs[..., None] * belongs[:, None, :]
    return spread.reshape(*outputs.shape[:2], -1).astype(np.float64)


def _answers(outputs: NDArray, items: Items) -> Array:
    """Right answers, answers (an instance without a candidate has none) and instances."""
    right = outputs.astype(np.float64)
    answered = np.asarray(items["candidates"]) > 0
    return np.stack(np.broadcast_arrays(right, answered, 1.0), axis=-1)


MEAN = Score(_as_given)
"""Of a number per item, such as a loss."""

ACCURACY = Score(_is_right)
BALANCED = Score(_every_class, mean_recall)
MACRO_F1 = Score(_every_class, mean_f1)
ENTITY_F1 = Score(_by_language, mean_f1)
SENSE_F1 = Score(_answers, mean_f1)

SCORES = Registry("score")
SCORES.add("accuracy", ACCURACY, "share of items whose class is the gold one")
SCORES.add("balanced accuracy", BALANCED, "share of each gold class that is found, averaged")
SCORES.add("F1", Score(_second_class, mean_f1), "F1 of the second of two classes")
SCORES.add("macro-F1", MACRO_F1, "F1, averaged over classes in gold or predictions")
SCORES.add("Matthews", Score(_class_moments, correlation), "Matthews' correlation of two classes")
SCORES.add("Pearson", Score(_moments, correlation), "Pearson's correlation")
SCORES.add("Spearman", Score(_pairs, correlation, of_ranks=True), "Spearman's rank correlation")
SCORES.add("entity F1", ENTITY_F1, "F1 of entities by language, averaged over languages")
SCORES.add("sense F1", SENSE_F1, "F1 of answers, of which there may be none to an instance")
"""Accuracy and correlations are GLUE's (Wang et al. 2018), entity F1 is XtremeDistil's (arXiv
2004.05686), sense F1 that of Raganato et al. (2017), where right answers are counted against
answers (precision) and instances (recall)."""

OF_TASK = {"cola": ("Matthews", "accuracy"), "mrpc": ("F1", "accuracy"), "qqp": ("F1", "accuracy")}
"""What GLUE measures where it is not accuracy; the first one is what counts."""


def scores_of(task: str, labels: int) -> tuple[str, ...]:
    """The names of the scores of a task, the one that counts first.

    ``labels``: number of classes; 0: the targets are numbers.
    """
    named = OF_TASK.get(task.lower()) if labels == 2 else None
    return named or (("accuracy", "macro-F1") if labels else ("Pearson", "Spearman"))
