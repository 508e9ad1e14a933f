"""Every interval and test of the project: paired, bootstrapped over texts, checked against the
spread over seeds.

Two things make a difference between two arms uncertain: which texts happened to be in the test set,
and which seeds happened to be drawn. So two intervals are given, a BCa bootstrap over texts of the
seed-averaged score (Efron 1987) and Student's t over the seeds' mean differences, and a difference
counts as *resolved* only if zero is outside both.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CELLS = 4_000_000  # numbers in memory at once while resampling: 32 MB of float64


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval over texts and, from two seeds on, over seeds (else
    None).
    """

    mean: float
    low: float
    high: float
    seeds_low: float | None
    seeds_high: float | None
    seeds: int
    texts: int

    def describe(self) -> str:
        """``84.2 [83.0, 85.4]``, in points (hundredths)."""
        return f"{100 * self.mean:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference (first minus second), with the p-value of a sign-flip permutation test
    over texts.
    """

    p: float

    @property
    def resolved(self) -> bool:
        """Zero lies outside the interval over texts and, where there are two seeds or more, outside
        that over seeds too.
        """
        over_seeds = self.seeds_low is None or not self.seeds_low <= 0 <= self.seeds_high
        return not self.low <= 0 <= self.high and over_seeds

    def describe(self) -> str:
        """``+2.1 [1.0, 3.3] points``; what does not hold for both texts and seeds ends in ``(not
        resolved)``.
        """
        line = f"{100 * self.mean:+.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}] points"
        return line if self.resolved else f"{line} (not resolved)"


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
    data: NDArray[Any], statistic: Callable[..., Any], confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    """BCa interval of a statistic.

    Data all equal give a zero-width interval; where BCa is not defined, the percentile one.
    """
    if np.ptp(data) == 0:
        return float(data[0]), float(data[0])
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # scipy warns when BCa is not defined; the NaN it gives is looked at below
            interval = stats.bootstrap(
                (data,), statistic, n_resamples=resamples, batch=max(1, CELLS // len(data)), vectorized=True, axis=-1,
                confidence_level=confidence, method=method, rng=np.random.default_rng(seed),
            ).confidence_interval  # fmt: skip
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
            (data,), statistic, permutation_type="samples", n_resamples=resamples, batch=max(1, CELLS // len(data)),
            vectorized=True, axis=-1, rng=np.random.default_rng(seed),
        ).pvalue
    )  # fmt: skip


def over_seeds(
    means: NDArray[np.float64], confidence: float
) -> tuple[float, float] | tuple[None, None]:
    """Student's t interval over per-seed means; None with one seed, zero width where all seeds
    agree.
    """
    if len(means) < 2:
        return None, None
    if np.ptp(means) < 1e-12:
        return float(means.mean()), float(means.mean())
    low, high = stats.t.interval(
        confidence, len(means) - 1, loc=means.mean(), scale=stats.sem(means)
    )
    return float(low), float(high)
