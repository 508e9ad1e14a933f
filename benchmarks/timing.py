"""Contestants in turns, the median of all rounds, and the share of the machine's peak.

What else the machine does meets every contestant alike, because each round asks all of them, one
after the other. So ratios of one run can be compared, and times of two runs cannot.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from gdlib.networks import costs

MORE_IS_BETTER = ("texts/s", "tokens/s", "steps/s", "GFLOP/s", "% right")
"""Units of which more is better; of times and sizes less is."""
COLUMNS = (
    *("row", "ours", "against", "unit", "our value", "its value", "ratio"),
    *("our % of peak", "its % of peak", "our peak MB", "its peak MB"),
    *("our number", "its number", "note"),
)
SIDE = 2048

Lines = list[dict[str, Any]]
"""Of the table: a value for each of the :data:`COLUMNS`, as far as there is one."""
Call = Callable[[int], float]
"""Number of the round, from 0, to what was measured, in the unit of the row."""


@dataclass(frozen=True)
class Work:
    """Floating-point operations of one item of the row (a text, a token, a call).

    Args:
        operations: a multiply-add counts as two; padding does not count.
        precision: of the products, ``"fp32"`` or ``"bf16"``.
    """

    operations: float
    precision: str


@dataclass(frozen=True)
class Missing:
    """A contestant that cannot be measured here, and why."""

    why: str


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes, in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rate(count: int, call: Callable[[], Any]) -> Call:
    """A contestant that works on so many items: items per second."""
    return lambda _: count / seconds(call)


def in_turns(calls: Mapping[str, Call | Missing], rounds: int) -> dict[str, float]:
    """The median over the rounds of what each contestant reaches; NaN of one that is missing."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            found[name].append(np.nan if isinstance(call, Missing) else call(number))
    return {name: float(np.median(values)) for name, values in found.items()}


def compare(
    row: str,
    unit: str,
    calls: Mapping[str, Call | Missing],
    *,
    rounds: int,
    ours: int = 1,
    work: Mapping[str, Work] | None = None,
    threads: int | None = None,
) -> Lines:
    """Lines of the table: each of ours against each of the others.

    Args:
        row: its name.
        unit: of what is measured, ``"s"``, ``"ms"``, ``"MB"`` or one of :data:`MORE_IS_BETTER`.
        calls: the contestants by name, ours first.
        rounds: how often each is measured.
        ours: how many of the contestants are ours.
        work: operations of an item by contestant, where they are known.
        threads: that the products may use; torch's number unless given.
    """
    medians, names = in_turns(calls, rounds), list(calls)
    threads = threads or torch.get_num_threads()
    shares = {
        name: share_of_peak(one, medians[name], unit, threads) for name, one in (work or {}).items()
    }
    missing = {name: call.why for name, call in calls.items() if isinstance(call, Missing)}
    return [
        line(row, unit, (mine, medians[mine]), (other, medians[other]))
        | {"our % of peak": shares.get(mine), "its % of peak": shares.get(other)}
        | {"note": missing.get(other, missing.get(mine, ""))}
        for mine in names[:ours]
        for other in names[ours:]
    ]


def line(row: str, unit: str, ours: tuple[str, float], its: tuple[str, float]) -> dict[str, Any]:
    """One line of the table; the ratio is above 1 where ours is the better."""
    (mine, value), (other, against) = ours, its
    ratio = value / against if unit in MORE_IS_BETTER else against / value
    return dict(zip(COLUMNS, (row, mine, other, unit, value, against, ratio)))


def share_of_peak(work: Work, value: float, unit: str, threads: int) -> float:
    """How much of the machine's peak a contestant reaches, in percent."""
    items = {"s": 1 / value, "ms": 1000 / value}.get(unit, value)
    return 100 * work.operations * items / peak(work.precision, threads)


@cache
def peak(precision: str, threads: int) -> float:
    """Operations per second of a product of two square matrices with :data:`SIDE` rows: the best
    of ten, since a peak is what the machine can do.
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    left, right = torch.randn(2, SIDE, SIDE).to(dtype)
    with costs.threads(threads):
        return 2 * SIDE**3 / min(seconds(partial(torch.mm, left, right)) for _ in range(10))
