"""Intervals and tests of scores: paired, bootstrapped over items, checked against the spread over
seeds.

Two things make a score, or a difference of two, uncertain: which items (texts, sentences) happened
to be in the test set, and which seeds happened to be drawn. So two intervals are given, a BCa
bootstrap over items of the score averaged over seeds (Efron 1987) and Student's t over the seeds'
scores, and a difference is *resolved* only if zero is outside both. With one seed there is only the
first, and nothing is resolved.

What is resampled are indices of items: the score of a resample follows from how often each item is
in it (:mod:`gdlib.compare.scores`).
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from gdlib.compare.scores import MEAN, Score

Array = NDArray[np.float64]
CELLS = 4_000_000  # numbers in memory at once while resampling: 32 MB of float64
DIGITS = 12  # scores that differ beyond these, by the order of summation, are the same


@dataclass(frozen=True)
class Interval:
    """A score with its intervals over items and over the units of replication, which are seeds.

    ``seeds_low`` and ``seeds_high`` are NaN with one unit.
    """

    value: float
    low: float
    high: float
    seeds_low: float
    seeds_high: float
    units: int
    items: int

    def columns(self) -> dict[str, float]:
        """What a table has of it, by the names of :mod:`gdlib.compare.tables`."""
        return {name: getattr(self, name) for name in COLUMNS}

    def describe(self) -> str:
        """``84.2 [83.0, 85.4]``, in points (hundredths)."""
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


COLUMNS = ("value", "low", "high", "seeds_low", "seeds_high")


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference, left minus right, with the p-value of swapping the two sides at random
    items.
    """

    p: float

    @property
    def resolved(self) -> bool:
        """Zero lies outside the interval over items and outside that over two seeds or more."""
        over_seeds = not self.seeds_low <= 0 <= self.seeds_high
        return self.units > 1 and not self.low <= 0 <= self.high and over_seeds

    def columns(self) -> dict[str, float]:
        return super().columns() | {"p": self.p, "resolved": self.resolved}

    def describe(self, unit: str = "points") -> str:
        """``+2.1 [1.0, 3.3] points``, or in ``nats``; what does not hold for both items and seeds
        ends in ``(not resolved)`` or ``(not resolved: one seed)``.
        """
        scale, digits = (100, 1) if unit == "points" else (1, 3)
        value, low, high = (scale * x for x in (self.value, self.low, self.high))
        line = f"{value:+.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] {unit}"
        why = "not resolved" if self.units > 1 else "not resolved: one seed"
        return line if self.resolved else f"{line} ({why})"


@dataclass(frozen=True)
class Sample:
    """Some items, and what the models of one arm, or of two, add for each of them.

    Args:
        score: what is made of it.
        left: in units of replication, of one or more models each, whose scores are averaged.
            *Shape:* ``[items, units, models, sums]``.
        right: the other arm, on the same items; an arm with one unit or model meets all of the
            other's. None: the score of ``left`` itself, no difference.

    Raises:
        ValueError: fewer than two items, sides that do not match, numbers that are not finite.
    """

    score: Score
    left: Array
    right: Array | None = None

    def __post_init__(self) -> None:
        sides = [self.left] if self.right is None else [self.left, self.right]
        shapes = " and ".join(str(side.shape) for side in sides)
        try:
            sides = np.broadcast_arrays(*sides)
        except ValueError:
            sides = []
        if not sides or any(len(side) != len(self.left) for side in sides):
            raise ValueError(
                "a paired comparison needs the same seeds and items on both sides, given "
                f"shapes {shapes}"
            )
        if self.left.ndim != 4 or len(self.left) < 2:
            raise ValueError(
                "expected sums [items, units, models, sums] of at least two items, given "
                f"shape {shapes}"
            )
        if not all(np.isfinite(side).all() for side in sides):
            raise ValueError("expected finite scores, given NaN or infinity among them")
        for name, side in zip(("left", "right"), sides):
            object.__setattr__(self, name, np.ascontiguousarray(side, dtype=np.float64))

    @classmethod
    def of(cls, left: ArrayLike, right: ArrayLike | None = None, score: Score = MEAN) -> "Sample":
        """From a number per unit and item, ``[units, items]``: of one model a unit."""
        sides = (None if side is None else np.asarray(side) for side in (left, right))
        return cls(score, *(None if side is None else side.T[:, :, None, None] for side in sides))

    @property
    def moved(self) -> NDArray[np.intp]:
        """The items at which swapping the two sides changes anything."""
        differences = self.left - self.right
        if self.score.linear:
            differences = differences.mean(axis=(1, 2))
        return np.flatnonzero(
            ~np.isclose(differences, 0, atol=1e-12).reshape(len(self.left), -1).all(axis=1)
        )

    def by_unit(self, weights: Array) -> Array:
        """The score, or the difference, of each unit on resamples that weigh the items.

        *Shape:* ``[resamples, items]`` -> ``[resamples, units]``.
        """
        left = self.score.weighted(self.left, weights).mean(axis=-1)
        if self.right is None:
            return left
        return left - self.score.weighted(self.right, weights).mean(axis=-1)

    def resampled(self, index: NDArray[np.intp]) -> Array:
        """:meth:`by_unit`, averaged, on resamples given by the items' indices, ``[..., drawn]`` ->
        ``[...]``.
        """
        rows, items = index.reshape(-1, index.shape[-1]), len(self.left)
        places = rows + np.arange(len(rows))[:, None] * items
        times = np.bincount(places.ravel(), minlength=len(rows) * items).reshape(-1, items)
        return self.by_unit(times.astype(np.float64)).mean(axis=-1).reshape(index.shape[:-1])

    def swapped(self, keep: NDArray[np.bool_]) -> Array:
        """:meth:`by_unit`, averaged, with the sides swapped at the items that are not kept.

        *Shape:* ``[swaps, items]`` -> ``[swaps]``.
        """
        both = np.concatenate([self.left, self.right])
        there = np.concatenate([keep, ~keep], axis=1).astype(np.float64)
        back = 1 - there
        values = self.score.weighted(both, there) - self.score.weighted(both, back)
        return values.mean(axis=(1, 2))


def interval(*samples: Sample, resamples: int = 1999) -> Interval:
    """The score with its intervals, averaged over the samples, whose items are apart.

    Args:
        samples: with the same units; one, or one per task.
        resamples: bootstrap resamples of the items of each sample.
    """
    by_unit = np.mean([s.by_unit(np.ones((1, len(s.left))))[0] for s in samples], axis=0)
    items = tuple(np.arange(len(sample.left)) for sample in samples)

    def statistic(*indices: NDArray[np.intp], axis: int) -> Array:
        values = sum(sample.resampled(index) for sample, index in zip(samples, indices))
        return np.round(values / len(samples), DIGITS)

    value = float(np.round(by_unit.mean(), DIGITS))
    low, high = bootstrap(items, statistic, 0.95, resamples, 0)
    return Interval(value, low, high, *over_seeds(by_unit), len(by_unit), sum(map(len, items)))


def difference(*samples: Sample, resamples: int = 1999) -> Difference:
    """The paired difference of two arms, averaged over the samples; as :func:`interval`."""
    found = interval(*samples, resamples=resamples)
    moved = [sample.moved for sample in samples]
    ends = np.cumsum([len(rows) for rows in moved])

    def statistic(signs: Array, axis: int) -> Array:
        """The difference with the sides swapped where a sign is negative."""
        flat, values = signs.reshape(-1, signs.shape[-1]), 0.0
        for sample, rows, some in zip(samples, moved, np.split(flat, ends[:-1], axis=1)):
            keep = np.ones((len(flat), len(sample.left)), dtype=bool)
            keep[:, rows] = some > 0
            values = values + sample.swapped(keep)
        return np.round(values / len(samples), DIGITS).reshape(signs.shape[:-1])

    # With one item that differs, either sign is as far from zero.
    p = sign_flip(np.ones(ends[-1]), statistic, resamples, 0) if ends[-1] > 1 else 1.0
    return Difference(**vars(found), p=p)


def mean_interval(
    values: ArrayLike, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Interval:
    """The mean of per-text scores with its interval over texts (and over seeds).

    Args:
        values: per-text scores, such as right (1) or wrong (0). *Shape:* ``[texts]`` or ``[seeds,
            texts]``.
        confidence: of both intervals.
        resamples: bootstrap resamples of the texts.
        seed: of the resampling.
    """
    values = _seeds_by_texts(values)
    over_texts = values.mean(axis=0)
    low, high = bootstrap(over_texts, _mean, confidence, resamples, seed)
    return Interval(
        float(over_texts.mean()),
        low,
        high,
        *over_seeds(values.mean(axis=1), confidence),
        *values.shape,
    )


def statistic_interval(
    by_seed: Callable[[NDArray[np.intp]], NDArray[np.float64]],
    texts: int,
    *,
    confidence: float = 0.95,
    resamples: int = 1999,
    seed: int = 0,
) -> Interval:
    """The intervals of any statistic of some texts, seed by seed, such as the steps until a loss is
    reached.

    Args:
        by_seed: indices of texts, drawn with replacement, ``[..., texts]``, to the statistic of
            every seed, ``[..., seeds]``.
        texts: how many there are.
        confidence, resamples, seed: as in :func:`mean_interval`.
    """
    values = by_seed(np.arange(texts))

    def resampled(index: NDArray[np.intp], axis: int) -> NDArray[np.float64]:
        return by_seed(index).mean(axis=-1)

    low, high = (
        (float(values.mean()),) * 2
        if texts < 2
        else bootstrap(np.arange(texts), resampled, confidence, resamples, seed)
    )
    return Interval(
        float(values.mean()), low, high, *over_seeds(values, confidence), len(values), texts
    )


def paired_difference(
    a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95, resamples: int = 9999, seed: int = 0
) -> Difference:
    """How much better ``a`` scores than ``b`` on the same texts, seed by seed.

    Args:
        a: per-text scores of one arm. *Shape:* ``[texts]`` or ``[seeds, texts]``.
        b: those of the other arm: same shape, same texts, seeds in the same order.
        confidence, resamples, seed: as in :func:`mean_interval`.

    Raises:
        ValueError: shapes that differ, fewer than two texts, or scores that are not finite.
    """
    a, b = _seeds_by_texts(a), _seeds_by_texts(b)
    if a.shape != b.shape:
        raise ValueError(
            "a paired comparison needs the same seeds and texts on both sides, given "
            f"shapes {a.shape} and {b.shape}"
        )
    by_seed = a - b
    over_texts = by_seed.mean(axis=0)
    over_texts[np.isclose(over_texts, 0, atol=1e-12)] = (
        0.0  # averages of thirds and fifths: what cancels is zero
    )
    low, high = bootstrap(over_texts, _mean, confidence, resamples, seed)
    moved = over_texts[
        over_texts != 0
    ]  # flipping the sign of zero changes nothing: leave those texts out of the test
    p = (
        sign_flip(moved, _mean, resamples, seed) if len(moved) > 1 else 1.0
    )  # one text: either sign is as far off
    seeds_low, seeds_high = over_seeds(by_seed.mean(axis=1), confidence)
    return Difference(float(over_texts.mean()), low, high, seeds_low, seeds_high, *a.shape, p)


def paired_metric_difference(
    gold: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    metric: Callable[[Any, Any], Any],
    *,
    confidence: float = 0.95,
    resamples: int = 1999,
    seed: int = 0,
) -> Difference:
    """How much higher any metric of the predictions ``a`` is than that of ``b``: text by text, unit
    by unit, averaged over units.

    Args:
        gold: what is right. *Shape:* ``[texts]``.
        a: what one arm said, in units of randomness, maybe of several models each. *Shape:*
            ``[units, models, texts]``.
        b: what the other said, same shape.
        metric: of what is right and what was said, both ``[..., texts]``, to ``[...]``.
        confidence, resamples, seed: as in :func:`mean_interval`; the units are what the interval
            over seeds is over.
    """
    gold, a, b = np.asarray(gold), np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 3 or gold.shape != a.shape[2:]:
        raise ValueError(
            "expected predictions [units, models, texts], alike on both sides; given "
            f"{a.shape} and {b.shape} for {gold.shape} texts"
        )
    texts = len(gold)

    def by_unit(index: NDArray[np.intp]) -> NDArray[np.float64]:
        return (metric(gold[index], a[..., index]) - metric(gold[index], b[..., index])).mean(
            axis=1
        )

    def resampled(index: NDArray[np.intp], axis: int) -> NDArray[np.float64]:
        return by_unit(index).mean(axis=0)

    def swapped(signs: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        kept, one, other = signs > 0, a[:, :, None], b[:, :, None]
        rows = kept.reshape(-1, texts)
        found = metric(gold, np.where(rows, one, other)) - metric(gold, np.where(rows, other, one))
        return found.mean(axis=(0, 1)).reshape(kept.shape[:-1])

    differences = by_unit(np.arange(texts))
    if np.array_equal(a, b):
        low, high, p = 0.0, 0.0, 1.0
    else:
        low, high = bootstrap(np.arange(texts), resampled, confidence, resamples, seed)
        p = sign_flip(np.ones(texts), swapped, resamples, seed)
    return Difference(
        float(differences.mean()), low, high, *over_seeds(differences, confidence), len(a), texts, p
    )


def metric_interval(
    gold: ArrayLike,
    said: ArrayLike,
    metric: Callable[[Any, Any], Any],
    *,
    confidence: float = 0.95,
    resamples: int = 1999,
    seed: int = 0,
) -> Interval:
    """The mean of any metric over units with its intervals; arguments as in
    :func:`paired_metric_difference`.
    """
    gold, said = np.asarray(gold), np.asarray(said)

    def by_seed(index: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.moveaxis(metric(gold[index], said[..., index]).mean(axis=1), 0, -1)

    return statistic_interval(
        by_seed, len(gold), confidence=confidence, resamples=resamples, seed=seed
    )


def _seeds_by_texts(values: ArrayLike) -> NDArray[np.float64]:
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(
            "expected scores [texts] or [seeds, texts] of at least two texts, given shape "
            f"{values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("expected finite scores, given NaN or infinity among them")
    return values


def _mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.mean(values, axis=axis)


def bootstrap(
    data: tuple[NDArray[Any], ...],
    statistic: Callable[..., Any],
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """BCa interval of a statistic of one or more samples, each resampled by itself.

    Where BCa is not defined, as where no resample differs from another, the percentile interval.
    """
    if not isinstance(data, tuple):
        if np.ptp(data) == 0:
            return float(data[0]), float(data[0])
        data = (data,)
    batch = max(1, CELLS // sum(map(len, data)))
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            # scipy warns when BCa is not defined; the NaN it gives is looked at below
            warnings.simplefilter("ignore")
            interval = stats.bootstrap(
                data,
                statistic,
                n_resamples=resamples,
                batch=batch,
                vectorized=True,
                axis=-1,
                confidence_level=confidence,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(interval).all():
            break
    return float(interval.low), float(interval.high)


def sign_flip(
    data: NDArray[np.float64], statistic: Callable[..., Any], resamples: int, seed: int
) -> float:
    """Two-sided p-value under random signs (exact where there are fewer sign patterns than
    resamples).
    """
    return float(
        stats.permutation_test(
            (data,), statistic, permutation_type="samples", n_resamples=resamples, batch=max(1, CELLS // (8 * len(data))),
            vectorized=True, axis=-1, rng=np.random.default_rng(seed),
        ).pvalue
    )  # fmt: skip


def over_seeds(values: Array, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval over the units' scores; NaN with one, zero width where all agree."""
    if len(values) < 2:
        return math.nan, math.nan
    if np.ptp(values) < 1e-12:
        return float(values.mean()), float(values.mean())
    low, high = stats.t.interval(
        confidence, len(values) - 1, loc=values.mean(), scale=stats.sem(values)
    )
    return float(low), float(high)
