"""Figures of entity F1: by language, by strategy, by the number of sentences, by what a tagger
costs.

F1 is a share (0..1) in the tables and percent in the figures. Dots and lines, no bars: an axis need
not start at zero, and says from where to where it goes. ``silver``: the sentences are made ones,
and the title says so.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gdlib.charts.style import (
    errors,
    legend_below,
    log_ticks,
    mark,
    need,
    panels,
    percent,
    short,
    title,
)

TEACHER = {"color": "black", "marker": "X"}


def languages(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """F1 by language, teacher and students: a row a language, the teacher's best ones on top.

    Args:
        table: ``language``, ``arm`` (one of them ``teacher``), ``f1``, maybe ``low`` and ``high``.
        seeds: how many seeds the numbers are means over.
        silver: whether the sentences are made ones.
    """
    need(table, ["language", "arm", "f1"], "languages")
    teacher = table[table["arm"] == "teacher"].set_index("language")["f1"]
    order = teacher.sort_values(ascending=False).index.tolist()
    figure, (axes,) = panels(height=1.9 + 0.36 * len(order))
    for number, arm in enumerate(dict.fromkeys(table["arm"])):
        part = table[table["arm"] == arm].set_index("language").loc[order]
        look = (
            TEACHER
            if arm == "teacher"
            else {"color": mark(number).color, "marker": mark(number).marker}
        )
        axes.errorbar(
            part["f1"],
            range(len(order)),
            xerr=errors(part, "f1"),
            linestyle="",
            capsize=2,
            label=arm,
            **look,
        )
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.grid(axis="y", linewidth=0.5)
    _f1(axes, "x")
    legend_below(figure, axes)
    _title(figure, "F1 by language", seeds, silver)
    return figure


def strategies(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """Mean F1 of every strategy with its interval over sentences, and the teacher's as a line.

    ``table``: ``arm``, ``f1``, ``low``, ``high``.
    """
    need(table, ["arm", "f1", "low", "high"], "strategies")
    dots = table[table["arm"] != "teacher"]
    figure, (axes,) = panels(height=1.7 + 0.36 * len(dots))
    axes.errorbar(
        dots["f1"],
        range(len(dots)),
        xerr=errors(dots, "f1"),
        linestyle="",
        marker="o",
        color=mark(0).color,
        capsize=3,
    )
    axes.set_yticks(range(len(dots)), dots["arm"])
    axes.set_ylim(len(dots) - 0.5, -0.5)
    _teacher_line(axes.axvline, table["f1"][table["arm"] == "teacher"])
    _f1(axes, "x")
    legend_below(figure, axes)
    _title(figure, "F1 by strategy", seeds, silver)
    return figure


def curve(
    table: pd.DataFrame,
    x: str,
    label: str,
    *,
    seeds: int,
    silver: bool,
    lines: pd.DataFrame | None = None,
) -> Figure:
    """F1 by a number (log axis), a line an arm.

    Args:
        table: the column ``x``, ``arm``, ``f1``, maybe ``low``, ``high``.
        x: name of the column.
        label: of the axis.
        lines: ``arm``, ``f1``: horizontal lines to read it against.
    """
    need(table, [x, "arm", "f1"], "curve")
    figure, (axes,) = panels(height=4.4)
    for number, arm in enumerate(dict.fromkeys(table["arm"])):
        part = table[table["arm"] == arm].sort_values(x)
        look = {**TEACHER, "linestyle": "-"} if arm == "teacher" else _look(number)
        axes.errorbar(part[x], part["f1"], errors(part, "f1"), capsize=3, label=arm, **look)
    for number, line in enumerate(
        (lines if lines is not None else table.iloc[:0]).to_dict("records"), 1
    ):
        color, style = (
            ("black", "-") if line["arm"] == "teacher" else (mark(number).color, mark(number).line)
        )
        axes.axhline(line["f1"], color=color, linestyle=style, label=line["arm"])
    log_ticks(axes, table[x])
    axes.set_xlabel(f"{label} (log scale)")
    _f1(axes, "y")
    legend_below(figure, axes)
    _title(figure, f"F1 by {label}", seeds, silver)
    return figure


def compression(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """F1 by how many times fewer parameters a student has than the teacher; each point is a size
    ExH.

    Args:
        table: ``size`` (ExH), ``times fewer``, ``f1``, and the teacher's row (``size`` is
            ``teacher``).
    """
    need(table, ["size", "times fewer", "f1"], "compression")
    return _sizes(
        table,
        "times fewer",
        "times fewer parameters than the teacher",
        "Compression and F1",
        seeds,
        silver,
    )


def speed(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """F1 by how many times faster a student is than the teacher, at batch 1 and 32; ``table``:
    ``size``, ``batch``, ``times faster``, ``f1``.
    """
    need(table, ["size", "batch", "times faster", "f1"], "speed")
    return _sizes(
        table, "times faster", "times faster than the teacher", "Speed and F1", seeds, silver
    )


def _sizes(table: pd.DataFrame, x: str, label: str, what: str, seeds: int, silver: bool) -> Figure:
    figure, (axes,) = panels(height=4.4)
    students = table[table["size"] != "teacher"]
    groups = students.groupby("batch", sort=True) if "batch" in table else [("", students)]
    for number, (batch, part) in enumerate(groups):
        part = part.sort_values(x)
        axes.plot(
            part[x],
            part["f1"],
            **_look(number),
            label=f"batch {batch}" if "batch" in table else None,
        )
        for place, row in enumerate(part.to_dict("records")):
            above = place % 2 == 0
            axes.annotate(row["size"], (row[x], row["f1"]), (0, 9 if above else -9), textcoords="offset points", ha="center",
                          va="bottom" if above else "top", fontsize=10)  # fmt: skip
    axes.set_xscale("log")
    low, high = students[x].min(), students[x].max()
    ticks = [
        n * 10.0**e
        for e in range(-1, 6)
        for n in (1, 2, 5)
        if low / 1.6 <= n * 10.0**e <= high * 1.6
    ]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlim(low / 1.6, high * 1.6)
    axes.margins(y=0.2)
    axes.set_xlabel(f"{label} (log scale)")
    _teacher_line(axes.axhline, table["f1"][table["size"] == "teacher"])
    _f1(axes, "y")
    legend_below(figure, axes)
    _title(figure, what, seeds, silver)
    return figure


def _look(number: int) -> dict[str, Any]:
    look = mark(number)
    return {"color": look.color, "marker": look.marker, "linestyle": look.line}


def _teacher_line(draw: Any, f1: pd.Series) -> None:
    for value in f1.head(1):
        draw(value, color="black", linestyle="-", linewidth=1.4, label="teacher")


def _f1(axes: Axes, which: str) -> None:
    """The axis of F1, in percent; its label says its range if it does not start at zero."""
    axis, (low, high) = (
        (axes.xaxis, axes.get_xlim()) if which == "x" else (axes.yaxis, axes.get_ylim())
    )
    percent(axis)
    axis.set_label_text(
        f"entity F1 in % (axis: {100 * low:.0f} to {100 * high:.0f})"
        if low > 0
        else "entity F1 in %"
    )


def _title(figure: Figure, text: str, seeds: int, silver: bool) -> None:
    title(figure, f"{text}, silver text" if silver else text, seeds)
