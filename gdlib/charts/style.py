"""How figures look: one style, one mark per series (colour, marker, line, hatch), honest axes.

Every series differs by more than its colour, so that a grey print reads as well. The colours are
those of Okabe and Ito. Figures are narrow and their type is large: they are read on a phone as
well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

WIDTH = 6.4  # inches, of every figure
HATCHES = ("", "///", "...", "xx", "\\\\\\", "++", "**", "oo")

ARMS = (
    "labelled only", "distilled on labelled", "hard labels", "generation-distillation",
    "real unlabelled", "generated + real",
)  # fmt: skip
"""The arms in the order in which every figure and table shows them; ``generated /2``, ``/4`` ...
stand before the whole.
"""


@dataclass(frozen=True)
class Mark:
    """How one series is drawn, in every figure alike."""

    color: str
    marker: str
    line: str
    hatch: str


MARKS = (
    Mark("#0072B2", "o", "-", ""),
    Mark("#D55E00", "s", "--", "///"),
    Mark("#009E73", "^", "-.", "..."),
    Mark("#CC79A7", "D", ":", "xx"),
    Mark("#E69F00", "v", (0, (5, 1)), "\\\\\\"),
    Mark("#56B4E9", "P", (0, (6, 1, 1, 1, 1, 1)), "++"),
    Mark("#777777", "*", (0, (2, 2, 4, 2)), "**"),
    Mark("#000000", "X", (0, (3, 1, 1, 1)), "oo"),
)  # fmt: skip


def mark(place: int) -> Mark:
    """The mark of the series at this place; from the ninth series on they come round again."""
    return MARKS[place % len(MARKS)]


def use_style() -> None:
    """Set matplotlib to the project's style (every figure function does so itself)."""
    plt.style.use(resources.files("gdlib").joinpath("gdlib.mplstyle"))


def panels(
    rows: int = 1, columns: int = 1, height: float = 4.0, **options: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure of the project's width in its style, and its axes in reading order.

    The figure is taken off pyplot's list, so that a notebook shows it once and none stays in
    memory.
    """
    use_style()
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False, **options)
    plt.close(figure)
    return figure, list(axes.flat)


def title(figure: Figure, text: str, seeds: int | None = None) -> None:
    """The figure's title; with ``seeds`` it says over how many the figure speaks, and says so
    loudest when it is one.
    """
    spoken = {None: "", 1: " (ONE seed)"}.get(seeds, f" ({seeds} seeds)")
    figure.suptitle(f"{text}{spoken}", fontsize=13, fontweight="bold", x=0.01, ha="left")


def arm_order(arms: Iterable[str]) -> list[str]:
    """The arms, each once, in the fixed order; generated subsets by growing size, unknown arms last
    as they came.
    """

    def place(arm: str) -> tuple[float, float]:
        if arm in ARMS:
            return ARMS.index(arm), 0
        if arm.startswith("generated /") and arm.removeprefix("generated /").isdigit():
            return ARMS.index("generation-distillation") - 0.5, -int(
                arm.removeprefix("generated /")
            )
        return len(ARMS), 0

    return sorted(dict.fromkeys(arms), key=place)


STRATEGIES = {"D0": 0, "D1": 1, "D2": 2, "D3.1": 5, "D3.2": 3, "D4.1": 6, "D4.2": 4, "hard": 7}
"""The place of each strategy's mark."""


def arm_mark(arm: str) -> Mark:
    """The mark of an arm, the same in every figure; the teacher's is black, subsets are drawn like
    the whole.
    """
    if (strategy := arm.split(",")[0]) in STRATEGIES:
        return mark(STRATEGIES[strategy])
    whole = "generation-distillation" if arm.startswith("generated /") else arm
    return mark(ARMS.index(whole)) if whole in ARMS else MARKS[-1]


def percent(axis: Any) -> None:
    """Write an axis of shares in percent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 2):g}"))


def log_ticks(axes: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis whose ticks are the measured values, and no others."""
    ticks = sorted(set(values))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlim(ticks[0] / 1.25, ticks[-1] * 1.25)


def short(value: float) -> str:
    """A count in few letters: ``950``, ``1.2k``, ``22.7M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def errors(table: pd.DataFrame, value: str = "accuracy") -> np.ndarray | None:
    """The ``low`` and ``high`` columns as matplotlib wants them: distances ``[2, rows]``; None
    where there are no intervals.
    """
    if not {"low", "high"} <= set(table.columns):
        return None
    below, above = table[value] - table["low"], table["high"] - table[value]
    return np.clip(np.nan_to_num(np.array([below, above], dtype=float)), 0, None)


def legend_below(figure: Figure, axes: Axes, columns: int = 3) -> None:
    """One legend for all panels, under them."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def need(table: pd.DataFrame, columns: Sequence[str], figure: str) -> None:
    """Raise if a table lacks a column that the figure draws, or has no row."""
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"figure {figure} needs the columns {', '.join(columns)}; missing: {', '.join(missing)}"
        )
    if not len(table):
        raise ValueError(f"figure {figure} was given a table without rows")
