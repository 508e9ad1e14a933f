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
        names = ("value", "low", "high", "seeds_low", "seeds_high")
        return {name: getattr(self, name) for name in names}

    def describe(self) -> str:
        """``84.2 [83.0, 85.4]``, in points (hundredths)."""
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


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
        sides = [self.left] if self.right is None else [self.left, self.right]
        scores = [self.score.weighted(side, weights).mean(axis=-1) for side in sides]
        return scores[0] - scores[1] if len(scores) == 2 else scores[0]

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
        left = np.concatenate([keep, ~keep], axis=1).astype(np.float64)
        values = self.score.weighted(both, left) - self.score.weighted(both, 1 - left)
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
    low, high = bootstrap(items, statistic, resamples)
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

    p = 1.0  # with one item that differs, either way is as far from zero
    if ends[-1] > 1:
        p = stats.permutation_test(
            (np.ones(ends[-1]),),
            statistic,
            permutation_type="samples",
            n_resamples=resamples,
            batch=max(1, CELLS // (8 * sum(len(sample.left) for sample in samples))),
            vectorized=True,
            axis=-1,
            rng=np.random.default_rng(0),
        ).pvalue
    return Difference(**vars(found), p=float(p))


def bootstrap(
    data: tuple[NDArray[Any], ...], statistic: Callable[..., Any], resamples: int
) -> tuple[float, float]:
    """95% BCa interval of a statistic of one or more samples, each resampled by itself.

    Where BCa is not defined, as where no resample differs from another, the percentile interval.
    """
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            # scipy warns when BCa is not defined; the NaN it gives is looked at below
            warnings.simplefilter("ignore")
            interval = stats.bootstrap(
                data,
                statistic,
                n_resamples=resamples,
                batch=max(1, CELLS // sum(map(len, data))),
                vectorized=True,
                axis=-1,
                method=method,
                rng=np.random.default_rng(0),
            ).confidence_interval
        if np.isfinite(interval).all():
            break
    return float(interval.low), float(interval.high)


def over_seeds(values: Array) -> tuple[float, float]:
    """95% Student's t interval over the units' scores; NaN with one, zero width if all agree."""
    if len(values) < 2:
        return math.nan, math.nan
    if np.ptp(values) < 1e-12:
        return float(values.mean()), float(values.mean())
    mean, error = values.mean(), stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)
