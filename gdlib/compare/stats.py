"""Intervals and tests of scores: paired, over items and over seeds.

Two things make a score, or a difference of two, uncertain: which items (texts, sentences) happened
to be in the test set, and which seeds happened to be drawn. The first has a BCa bootstrap over
items of the score averaged over seeds (Efron 1987), the second Student's t over the seeds' scores.
Both are independent, so that the *joint* interval of a difference reaches as far to each side as
the root of the sum of their squares. With one seed there is only the first.

What is resampled are indices of items: the score of a resample follows from how often each item is
in it (:mod:`gdlib.compare.scores`).
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import scipy  # what is taken of it is imported when it is first asked for
from numpy.typing import ArrayLike, NDArray

from gdlib.compare.scores import MEAN, Score

Array = NDArray[np.float64]
CELLS = 4_000_000  # numbers in memory at once while resampling: 32 MB of float64
HELD = 10 * CELLS  # of the scores that are resampled together
DIGITS = 12  # scores that differ beyond these, by the order of summation, are the same
LEVEL = 0.05  # of tests; intervals are of 95%


@dataclass(frozen=True)
class Interval:
    """A score with its intervals over items and over the units of replication, which are seeds.

    The names are columns of :mod:`gdlib.compare.tables`; ``seeds_low`` and ``seeds_high`` are NaN
    with one unit.
    """

    value: float
    low: float
    high: float
    seeds_low: float
    seeds_high: float

    columns = asdict


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference, left minus right.

    ``p`` is the level at which its joint interval over items and seeds, or with one unit that over
    items alone, just reaches zero.
    """

    p: float


class Sample:
    """Some items, and what the models of one arm, or of two, add for each of them.

    Args:
        score: what is made of it.
        sides: the arm or both, in units of replication, of one or more models each, whose scores
            are averaged. An arm with one unit or model meets all of the other's. *Shape:* ``[items,
            units, models, sums]``.

    Raises:
        ValueError: fewer than two items, sides that do not match, numbers that are not finite.
    """

    def __init__(self, score: Score, *sides: Array):
        shapes = " and ".join(str(side.shape) for side in sides)
        try:
            matched = np.broadcast_arrays(*sides)
        except ValueError:
            matched = []
        if not matched or {len(side) for side in sides} != {len(matched[0])}:
            raise ValueError(
                "a paired comparison needs the same seeds and items on both sides, given "
                f"shapes {shapes}"
            )
        if matched[0].ndim != 4 or len(matched[0]) < 2:
            raise ValueError(
                "expected sums [items, units, models, sums] of at least two items, given "
                f"shape {shapes}"
            )
        if not all(np.isfinite(side).all() for side in sides):
            raise ValueError("expected finite scores, given NaN or infinity among them")
        self.score = score
        self.sides = [np.ascontiguousarray(side, dtype=np.float64) for side in matched]

    @classmethod
    def of(cls, *sides: ArrayLike, score: Score = MEAN) -> "Sample":
        """From a number per unit and item, ``[units, items]``: of one model per unit."""
        return cls(score, *(np.asarray(side).T[:, :, None, None] for side in sides))

    def __len__(self) -> int:
        return len(self.sides[0])

    def by_unit(self, weights: Array) -> Array:
        """The score, or the difference, of each unit on resamples that weigh the items.

        *Shape:* ``[resamples, items]`` -> ``[resamples, units]``.
        """
        scores = [self.score.weighted(side, weights).mean(axis=-1) for side in self.sides]
        return scores[0] - scores[1] if len(scores) == 2 else scores[0]


Samples = Sequence[Sample]
"""One sample, or one per task, whose items are apart and whose units are the same."""


def interval(*samples: Sample, resamples: int = 1999) -> Interval:
    """The score with its intervals, averaged over the samples.

    Args:
        samples: :data:`Samples`.
        resamples: bootstrap resamples of the items of each sample.
    """
    return intervals([samples], resamples)[0]


def difference(*samples: Sample, resamples: int = 1999) -> Difference:
    """The paired difference of two arms, averaged over the samples; as :func:`interval`."""
    return intervals([samples], resamples, tested=True)[0]


def intervals(
    asked: Iterable[Samples], resamples: int = 1999, *, tested: bool = False
) -> list[Interval]:
    """:func:`interval`, or :func:`difference` if ``tested``, of each of several: what is drawn of
    as many items is drawn once.
    """
    found = []
    for rows in _alike(asked):
        data = [np.arange(len(sample)) for sample in rows[0]]
        bounds = np.stack(bootstrap(data, partial(_resampled, rows), resamples), axis=-1)
        for samples, (low, high) in zip(rows, bounds.tolist()):
            by_unit = np.mean([s.by_unit(np.ones((1, len(s))))[0] for s in samples], axis=0)
            value = float(np.round(by_unit.mean(), DIGITS))
            around = Interval(value, low, high, *over_seeds(by_unit))
            if tested:
                around = Difference(**around.columns(), p=p_value(around, len(by_unit)))
            found.append(around)
    return found


def _alike(asked: Iterable[Samples]) -> Iterator[list[Samples]]:
    """Those of as many items that follow each other, not too many numbers at a time."""
    rows: list[Samples] = []
    for samples in asked:
        held = sum(side.size for row in rows for sample in row for side in sample.sides)
        if rows and (held > HELD or list(map(len, samples)) != list(map(len, rows[0]))):
            yield rows
            rows = []
        rows.append(samples)
    if rows:
        yield rows


def _resampled(rows: Sequence[Samples], *indices: NDArray[np.intp], **_: int) -> Array:
    """The scores of some samples of as many items, on resamples given by the items' indices.

    *Shape:* ``[..., drawn]`` for each of a row's samples -> ``[rows, ...]``.
    """
    times = [_times(index, len(sample)) for index, sample in zip(indices, rows[0])]
    means = [
        sum(sample.by_unit(each).mean(axis=-1) for sample, each in zip(samples, times))
        for samples in rows
    ]
    means = np.round(np.stack(means) / len(indices), DIGITS)
    return means.reshape(len(rows), *indices[0].shape[:-1])


def _times(index: NDArray[np.intp], items: int) -> Array:
    """How often each item is drawn. *Shape:* ``[..., drawn]`` -> ``[resamples, items]``."""
    rows = index.reshape(-1, index.shape[-1])
    places = rows + np.arange(len(rows))[:, None] * items
    times = np.bincount(places.ravel(), minlength=len(rows) * items).astype(np.float64)
    return times.reshape(-1, items)


def p_value(around: Interval, units: int) -> float:
    """The level at which the joint interval of a difference over items and so many units just
    reaches zero.

    At 5% the joint interval reaches as far towards zero as the root of the sum of the squares of
    both. At another level the interval over items is as wide as a normal distribution's is there,
    that over units as Student's t is.
    """
    if around.value == 0:
        return 1.0
    below = around.value > 0
    widths = [around.value - (around.low if below else around.high)]
    laws = [scipy.stats.norm()]
    if units > 1:
        widths.append(around.value - (around.seeds_low if below else around.seeds_high))
        laws.append(scipy.stats.t(units - 1))

    def beyond_zero(level: float) -> float:
        scales = [law.isf(level / 2) / law.isf(LEVEL / 2) for law in laws]
        return float(np.linalg.norm(np.multiply(widths, scales))) - abs(around.value)

    least = 1e-12  # where all items and units agree, zero is reached at no level
    return scipy.optimize.brentq(beyond_zero, least, 1) if beyond_zero(least) > 0 else least


def bootstrap(
    data: Sequence[NDArray[np.intp]], statistic: Callable[..., Array], resamples: int
) -> tuple[Array, Array]:
    """95% BCa intervals of statistics of one or more samples, each resampled by itself.

    Where BCa is not defined, as where no resample differs from another, the percentile interval.
    *Shape:* ``[statistics]``, low and high.
    """
    low = high = np.array(np.nan)
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            # scipy warns when BCa is not defined; the NaN it gives is looked at below
            warnings.simplefilter("ignore")
            around = scipy.stats.bootstrap(
                data,
                statistic,
                n_resamples=resamples,
                batch=max(1, CELLS // sum(map(len, data))),
                vectorized=True,
                axis=-1,
                method=method,
                rng=np.random.default_rng(0),
            ).confidence_interval
        defined = np.isfinite(low) & np.isfinite(high)
        low, high = np.where(defined, low, around.low), np.where(defined, high, around.high)
        if np.isfinite(low).all() and np.isfinite(high).all():
            break
    return low, high


def over_seeds(values: Array) -> tuple[float, float]:
    """95% Student's t interval over the units' scores; NaN with one, zero width if all agree."""
    if len(values) < 2:
        return math.nan, math.nan
    mean = float(values.mean())
    if np.ptp(values) < 1e-12:
        return mean, mean
    low, high = scipy.stats.t.interval(
        0.95, len(values) - 1, loc=mean, scale=scipy.stats.sem(values)
    )
    return float(low), float(high)
