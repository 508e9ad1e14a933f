"""Intervals and tests of F1, by resampling the counts that every text adds
(:mod:`gdlib.compare.stats` for all else).

F1 is no mean over texts, so a resample's F1 has to be counted anew. What a text adds to the counts
is kept as numbers, and counting thousands of resamples is then one matrix product.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdlib.compare.metrics import f1_from_counts
from gdlib.compare.stats import Difference, Interval, bootstrap, over_seeds, sign_flip


def paired_f1_difference(
    gold: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    classes: int,
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Difference:
    """How much higher the macro-F1 of the predictions ``a`` is than that of ``b``: macro-F1 a seed,
    averaged over seeds.

    Args:
        gold: class indices. *Shape:* ``[texts]``.
        a: predicted class indices of one arm. *Shape:* ``[texts]`` or ``[seeds, texts]``.
        b: those of the other arm, same shape.
        classes: size of the label set; all classes count.
        confidence, resamples, seed: as in :func:`mean_interval`.
    """
    gold, a, b = np.asarray(gold), np.atleast_2d(a), np.atleast_2d(b)
    if a.shape != b.shape or gold.shape != a.shape[1:]:
        raise ValueError(
            "a paired comparison needs the same seeds and texts on both sides, "
            f"given shapes {a.shape} and {b.shape} for gold labels of shape {gold.shape}"
        )
    counted_a, counted_b = (_countable(gold, predicted, classes) for predicted in (a, b))
    return paired_count_difference(
        counted_a, counted_b, confidence=confidence, resamples=resamples, seed=seed
    )


def paired_count_difference(
    a: NDArray[Any],
    b: NDArray[Any],
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Difference:
    """How much higher the mean F1 over groups is with the counts ``a`` than with ``b``: a seed at a
    time, averaged over seeds.

    A group is a class (macro-F1), or a language whose entities are counted
    (:mod:`gdlib.compare.entities`).

    Args:
        a: what every text adds to *right*, *predicted* and *gold* of every group. *Shape:*
            ``[texts, seeds, 3, groups]``.
        b: the same of the other arm.
        confidence, resamples, seed: as in :func:`mean_interval`.
    """
    texts, seeds, _, groups = _same_counts(a, b)
    counted_a, counted_b = (c.reshape(texts, -1).astype(np.float32) for c in (a, b))
    total = counted_a.sum(axis=0) + counted_b.sum(axis=0)

    def by_seed(counts_a: NDArray[Any], counts_b: NDArray[Any]) -> NDArray[np.float64]:
        return _mean_f1(counts_a, seeds, groups) - _mean_f1(counts_b, seeds, groups)

    def resampled(index: NDArray[np.intp], axis: int) -> NDArray[np.float64]:
        times = _times(index, texts)
        return by_seed(times @ counted_a, times @ counted_b).mean(axis=-1).reshape(index.shape[:-1])

    def flipped(signs: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        kept = (signs.reshape(-1, texts) > 0).astype(np.float32)
        counts_a = kept @ (counted_a - counted_b) + counted_b.sum(axis=0)
        return by_seed(counts_a, total - counts_a).mean(axis=-1).reshape(signs.shape[:-1])

    differences = by_seed(counted_a.sum(axis=0), counted_b.sum(axis=0))[0]
    if np.array_equal(a, b):
        low, high, p = 0.0, 0.0, 1.0
    else:
        low, high = bootstrap(np.arange(texts), resampled, confidence, resamples, seed)
        p = sign_flip(np.ones(texts), flipped, resamples, seed)
    return Difference(
        float(differences.mean()), low, high, *over_seeds(differences, confidence), seeds, texts, p
    )


def count_interval(
    counts: NDArray[Any], *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """The mean F1 over groups, averaged over seeds, with its intervals; counts as in
    :func:`paired_count_difference`.
    """
    texts, seeds, _, groups = _same_counts(counts, counts)
    counted = counts.reshape(texts, -1).astype(np.float32)

    def resampled(index: NDArray[np.intp], axis: int) -> NDArray[np.float64]:
        return (
            _mean_f1(_times(index, texts) @ counted, seeds, groups)
            .mean(axis=-1)
            .reshape(index.shape[:-1])
        )

    by_seed = _mean_f1(counted.sum(axis=0), seeds, groups)[0]
    low, high = bootstrap(np.arange(texts), resampled, confidence, resamples, seed)
    return Interval(
        float(by_seed.mean()), low, high, *over_seeds(by_seed, confidence), seeds, texts
    )


def _mean_f1(counts: NDArray[Any], seeds: int, groups: int) -> NDArray[np.float64]:
    """*Shape:* sums over texts ``[resamples, seeds * 3 * groups]`` -> F1, mean over groups
    ``[resamples, seeds]``.
    """
    return f1_from_counts(
        *np.moveaxis(counts.reshape(-1, seeds, 3, groups).astype(np.float64), 2, 0)
    ).mean(-1)


def _times(index: NDArray[np.intp], texts: int) -> NDArray[np.float32]:
    """How often a resample took every text: indices ``[..., texts]`` -> ``[resamples, texts]``."""
    rows = index.reshape(-1, index.shape[-1])
    places = rows + np.arange(len(rows))[:, None] * texts
    return (
        np.bincount(places.ravel(), minlength=len(rows) * texts)
        .reshape(-1, texts)
        .astype(np.float32)
    )


def _same_counts(a: NDArray[Any], b: NDArray[Any]) -> tuple[int, int, int, int]:
    if a.shape != b.shape or a.ndim != 4 or a.shape[0] < 2 or a.shape[2] != 3:
        raise ValueError(
            "expected counts [texts, seeds, 3, groups], of at least two texts and alike on "
            f"both sides; given {a.shape} and {b.shape}"
        )
    return a.shape


def _countable(
    gold: NDArray[np.intp], predicted: NDArray[np.intp], classes: int
) -> NDArray[np.float32]:
    """Of every text, what it adds to the counts *right*, *predicted*, *gold*: ``[texts, seeds, 3,
    classes]`` of 0 and 1.

    Counting the texts of a resample is then one matrix product; float32 is exact for counts below
    2**24.
    """
    one_hot = np.eye(classes, dtype=np.float32)
    said, true = (
        one_hot[predicted.T],
        np.broadcast_to(one_hot[gold][:, None], (*predicted.T.shape, classes)),
    )
    return np.stack([said * true, said, true], axis=2)
