"""A forest: dots with their intervals, row by row.

Its axis need not start at zero, since these are dots and not bars; it says from where to where it
goes. The columns of a table are those of :func:`gdlib.charts.style.complete`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdlib.charts.style import (
    Mark,
    dots_and_lines,
    finish,
    panels,
    reference_marks,
    series_marks,
    value_axis,
)
from gdlib.charts.words import described, read_off, written


def forest(
    table: pd.DataFrame,
    *,
    title: str,
    label: str,
    seeds: int | None = None,
    panel: str = "panel",
    row: str = "arm",
    marks: Mapping[str, Mark] | None = None,
    references: Sequence[str] = (),
    percent: bool = True,
    zero: bool = False,
    shared: bool = True,
    numbers: bool = False,
) -> Figure:
    """A dot with its intervals per row, panel by panel; hollow where it is not resolved.

    The interval over items is thick, that over seeds thin.

    Args:
        table: ``arm``, ``value`` and optional columns; a ``note`` stands at the right of its row.
        title: of the figure.
        label: of the axis of values; a second line of it stands below.
        seeds: how many seeds the values are means over.
        panel: the column that divides the rows into panels.
        row: the column that names the rows, such as the language when there are several arms each.
        marks: of some families; see :func:`gdlib.charts.style.series_marks`.
        references: arms that are drawn as vertical lines through all panels. Those far below the
            dots, by 25 points and half of the axis, are named under it instead.
        percent: whether the values are shares.
        zero: whether zero belongs to the range, with a line.
        shared: whether all panels have one range.
        numbers: whether each value is written at the right of its row.
    """
    table, lines = dots_and_lines(table, "forest", references, panel, row)
    looks, rows = series_marks(table, marks), list(table[row].unique())
    places = _places(table, panel, row)
    named = not (table["arm"].eq(table[row]) | table["arm"].eq(table[panel])).all()
    step = 0.42 if (places % 1).any() else 0.31
    if numbers:
        written_out = [f"{written(value, percent)}   " for value in table["value"]]
        table = table.assign(note=(written_out + table["note"]).str.strip())
    names, columns = list(table[panel].unique()), (panel, row, "arm")
    height = 1.6 + len(names) * (0.45 + step * len(rows))
    figure, axes_of = panels(names, height, sharex=shared)
    for name, axes in axes_of.items():
        part = table[table[panel] == name]
        for place, entry in zip(places[part.index], part.to_dict("records"), strict=True):
            arm = entry["arm"]
            _dot(axes, entry, place, looks[arm], label=arm if named else None)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(_limits(table if shared else part, lines, zero, percent))
        away = _draw_lines(axes, lines, marks, percent)
        if zero:
            axes.axvline(0, color="black", linewidth=1)
        if (part["note"] != "").any():
            notes = part.groupby(row)["note"].last().reindex(rows, fill_value="")
            axes.secondary_yaxis("right").set_yticks(range(len(rows)), notes, fontsize=9)
    value_axis(figure, axes_of, "x", "\n".join([label, *away]), percent)
    seen = [value for part in (table, lines) for value in read_off(part, columns, percent)]
    return finish(figure, title, described(f"Dots with intervals, {label}", seen), seeds)


def _places(table: pd.DataFrame, panel: str, row: str) -> pd.Series:
    """Where each entry stands on the axis of rows; entries of one row stand beside each other."""
    rows = pd.Series(pd.factorize(table[row])[0], index=table.index, dtype=float)
    arms, names = pd.factorize(table["arm"])
    if table["low"].isna().all() or not table.duplicated([panel, row]).any():
        return rows
    return rows + 0.6 / len(names) * (arms - (len(names) - 1) / 2)


def _dot(axes: Axes, entry: dict[str, Any], place: float, look: Mark, label: str | None) -> None:
    """A dot with its intervals."""
    low, value, high = entry["low"], entry["value"], entry["high"]
    seeds = [entry["seeds_low"], entry["seeds_high"]]
    axes.plot(seeds, [place] * 2, color=look.color, linewidth=1, marker="|", markersize=6)
    axes.errorbar(
        value,
        place,
        xerr=[[max(value - low, 0)], [max(high - value, 0)]],
        linestyle="",
        marker=look.marker,
        color=look.color,
        markerfacecolor=look.color if entry["resolved"] else "white",
        elinewidth=3,
        label=label,
        clip_on=False,
    )


def _draw_lines(
    axes: Axes, lines: pd.DataFrame, marks: Mapping[str, Mark] | None, percent: bool
) -> list[str]:
    """Vertical lines with their names and values in the legend; those off the axis, in words."""
    looks, away = reference_marks(lines["arm"].unique(), marks), []
    for arm, value in zip(lines["arm"], lines["value"], strict=True):
        text = f"{arm} {written(value, percent)}"
        if value < axes.get_xlim()[0]:
            away.append(text)
        else:
            axes.axvline(value, label=text, linewidth=1.5, **looks[arm].of_line)
    return [f"off the axis: {', '.join(away)}"] if away else []


def _limits(
    table: pd.DataFrame, lines: pd.DataFrame, zero: bool, percent: bool
) -> tuple[float, float]:
    """A range that holds the dots, their intervals over items and the lines near by.

    An interval over seeds widens it to three times its width at most: of two seeds the interval is
    as wide as the world.
    """
    inside = table[["value", "low", "high"]]
    low = min(inside.min().min(), 0 if zero else math.inf)
    high = max([inside.max().max(), 0 if zero else -math.inf, *lines["value"]])
    width = high - low
    ends = [low - width, high + width]
    if percent and not zero:  # shares end at 0 and 1
        ends = [max(ends[0], min(low, 0)), min(ends[1], max(high, 1))]
    wide = table[["seeds_low", "seeds_high"]].clip(*ends)
    near = lines["value"][lines["value"] > low - max(width, 0.25 if percent else 0)]
    low, high = min([low, wide.min().min(), *near]), max(high, wide.max().max())
    room = 0.05 * (high - low) or 0.01
    left = low - room if low < 0 else max(low - room, 0)
    return left, min(high + room, max(high, 1)) if percent else high + room
