"""How figures look: one style, one mark per series (colour, marker, line, hatch), honest axes.

Every series differs by more than its colour, so that a grey print reads as well. The colours are
those of Okabe and Ito. Figures are narrow and their type is large: they are read on a phone as
well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from gdlib.charts.words import Described, short

WIDTH = 6.4  # inches, of every figure


@dataclass(frozen=True)
class Mark:
    """How one series is drawn, in every figure alike."""

    color: str
    marker: str
    line: str | tuple
    hatch: str = ""

    @property
    def of_line(self) -> dict[str, Any]:
        """As matplotlib's lines take it, without the marker."""
        return {"color": self.color, "linestyle": self.line}


MARKS = (
    Mark("#0072B2", "o", "-", ""),
    Mark("#D55E00", "s", "--", "///"),
    Mark("#009E73", "^", "-.", "..."),
    Mark("#CC79A7", "D", ":", "xx"),
    Mark("#E69F00", "v", (0, (5, 1)), "\\\\\\"),
    Mark("#56B4E9", "P", (0, (6, 1, 1, 1, 1, 1)), "++"),
    Mark("#882255", "*", (0, (2, 2, 4, 2)), "**"),
    Mark("#8C6D31", "X", (0, (3, 1, 1, 1)), "oo"),
)
"""One per series, none grey or black; from the ninth series on they come round again."""

BLACK = Mark("#000000", "X", "-")
"""For what the others are measured against: a teacher, training without one."""

GREYS = (
    Mark("#555555", "<", (0, (5, 1))),
    Mark("#999999", ">", (0, (2, 1))),
    Mark("#777777", "d", (0, (1, 1))),
    Mark("#BBBBBB", "h", (0, (5, 1, 1, 1))),
)
"""For parts of a whole that is drawn in colour."""


def marks_of(names: Iterable[str], palette: Sequence[Mark] = MARKS) -> dict[str, Mark]:
    """A mark for each name, in their order."""
    return {name: palette[place % len(palette)] for place, name in enumerate(names)}


def series_marks(table: pd.DataFrame, marks: Mapping[str, Mark] | None) -> dict[str, Mark]:
    """The mark of each arm of a completed table.

    An arm wears the mark of its family (the column ``mark``). Families that ``marks`` does not name
    take the marks that are left over, in the order in which they appear.
    """
    known = dict(marks or {})
    left_over = [mark for mark in MARKS if mark not in known.values()] or MARKS
    unknown = [family for family in table["mark"].unique() if family not in known]
    known |= marks_of(unknown, left_over)
    return dict(zip(table["arm"], table["mark"].map(known), strict=True))


def reference_marks(names: Sequence[str], marks: Mapping[str, Mark] | None) -> dict[str, Mark]:
    """The marks of reference lines: as ``marks`` says, or black in various dashes."""
    black = [Mark("#000000", "", line) for line in ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))]
    return marks_of(names, black) | dict(marks or {})


OPTIONAL = {
    "panel": "", "low": np.nan, "high": np.nan, "seeds_low": np.nan, "seeds_high": np.nan,
    "resolved": True, "note": "", "event": "", "chosen": False,
}  # fmt: skip


def complete(table: pd.DataFrame, figure: str, *required: str) -> pd.DataFrame:
    """The table with every column that charts read.

    Columns of :mod:`gdlib.compare.tables`: ``arm`` (or ``question``), ``panel``, ``value``,
    ``low``, ``high``, ``seeds_low``, ``seeds_high``, ``resolved`` and ``mark``; ``note`` is a text
    beside a row or a point.

    Args:
        table: some of the columns; what is missing gets a value that draws nothing.
        figure: the name of the chart, for the error.
        required: further columns that must be there.

    Raises:
        ValueError: if a column is missing that the chart cannot do without, or there is no row.
    """
    if "arm" not in table and "question" in table:
        table = table.assign(arm=table["question"])
    table = table.assign(**{name: value for name, value in OPTIONAL.items() if name not in table})
    columns = ["arm", "value", *required]
    if missing := [name for name in columns if name not in table]:
        raise ValueError(
            f"figure {figure} needs the columns {', '.join(columns)}; missing: {', '.join(missing)}"
        )
    if not len(table):
        raise ValueError(f"figure {figure} was given a table without rows")
    table = table.reset_index(drop=True)
    return table if "mark" in table else table.assign(mark=table["arm"])


def dots_and_lines(
    table: pd.DataFrame, figure: str, references: Sequence[str], *required: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The completed table without the arms that are references, and these alone."""
    whole = complete(table, figure, *required)
    is_line = whole["arm"].isin(references)
    return complete(whole[~is_line], figure), whole[is_line]


def use_style() -> None:
    """Set matplotlib to the project's style (every figure function does so itself)."""
    plt.style.use(resources.files("gdlib").joinpath("gdlib.mplstyle"))


class Steady(ConstrainedLayoutEngine):
    """A layout that gives the same bytes each time: its solver's last bits hang on addresses in
    memory, and a file's identifiers are made of all bits.
    """

    def execute(self, fig: Figure) -> None:
        super().execute(fig)
        for axes in fig.axes:
            axes.set_position(np.round(axes.get_position(original=True).bounds, 6))
            axes.set_in_layout(True)  # a place that is set takes axes out of the layout


def panels(
    titles: Iterable[str], height: float, columns: int = 1, **options: Any
) -> tuple[Described, dict[str, Axes]]:
    """A figure of the project's width and style with one panel per title.

    Args:
        titles: of the panels.
        height: of the whole figure in inches.
        columns: how many panels stand side by side.
        options: for ``matplotlib.pyplot.subplots``.

    Returns:
        The figure and the axes by title. The figure is taken off pyplot's list, so that a notebook
        shows it once and none stays in memory.
    """
    use_style()
    titles = list(titles)
    rows = -(-len(titles) // columns)
    options |= {"figsize": (WIDTH, height), "squeeze": False}
    options |= {"FigureClass": Described, "layout": Steady()}
    figure, grid = plt.subplots(rows, columns, **options)
    plt.close(figure)
    for axes in list(grid.flat)[len(titles) :]:
        axes.set_axis_off()
    for name, axes in zip(titles, grid.flat, strict=False):
        axes.set_title(name, fontsize=12)
    return figure, dict(zip(titles, grid.flat, strict=False))


def finish(figure: Described, title: str, seen: str, seeds: int | None = None) -> Figure:
    """Give a figure its title, one legend for all panels, under them, and its words: the title and
    what is ``seen`` (:func:`gdlib.charts.words.described`).

    With ``seeds`` the title says over how many seeds the figure speaks, and says so loudest when it
    is one.
    """
    over = {None: "", 1: " (ONE seed)"}.get(seeds, f" ({seeds} seeds)")
    figure.words = f"{title}{over}. {seen}"
    words = fill(f"{title}{over}", 56)  # as wide as the figure
    figure.suptitle(words, fontsize=13, fontweight="bold", x=0.01, ha="left")
    handles = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        columns = max(1, min(4, 72 // (8 + max(map(len, handles)))))
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns)
    return figure


def percent_ticks(axis: Axis) -> None:
    """Write an axis of shares in percent."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 2):g}"))


def value_axis(
    figure: Figure, axes_of: Mapping[str, Axes], which: str, label: str, percent: bool
) -> None:
    """Label the axis of values, and say its range where it does not start at zero.

    The range stands in the label, or with each panel's title where the panels differ in it.

    Args:
        figure: that holds the panels.
        axes_of: the panels by title, drawn and their ranges set.
        which: ``x`` or ``y``.
        label: of the axis; only an ``x`` axis has room for a second line.
        percent: whether the values are shares, to be written in percent.
    """
    ranges = {}
    for name, axes in axes_of.items():
        low, high = getattr(axes, f"get_{which}lim")()
        if percent:
            percent_ticks(getattr(axes, f"{which}axis"))
            low, high = round(100 * low), round(100 * high)
        ranges[name] = f" (axis: {low:.3g} to {high:.3g})" if low > 0 else ""
    alike = len(set(ranges.values())) == 1
    for name, axes in axes_of.items():
        axes.set_title(name if alike else name + ranges[name], fontsize=12)
    first, *more = label.split("\n")
    lines = [first + (ranges[name] if alike else ""), *more]
    if which == "x":  # from the right: under the names of rows is room for a long one
        axes.set_xlabel("\n".join(fill(line, 64) for line in lines), loc="right")
    else:
        figure.supylabel("\n".join(lines), fontsize=12)


def log_axis(axes: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis; its ticks are the values, where these are counts that lie apart."""
    ticks = np.unique(np.asarray(values, dtype=float))
    counts = (ticks == ticks.round()).all() and (ticks[1:] > 1.4 * ticks[:-1]).all()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks) if counts else LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlim(ticks[0] / 1.4, ticks[-1] * 1.4)
