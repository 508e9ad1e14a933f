"""Figures that compare arms and students, and by one import those of
:mod:`gdlib.charts.data_figures` and :mod:`gdlib.charts.schedules` too.

Accuracies are shares (0..1) in the tables and percent in the figures. An axis need not start at
zero, since these are dots and lines and not bars; it says from where to where it goes. ``seeds`` is
how many seeds a figure speaks for.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from gdlib.charts.data_figures import (
    calibration,
    class_counts,
    confusion,
    diversity,
    entropy_histogram,
    funnel,
    label_distribution,
    learning_curve,
    lengths,
    reliability,
    tfidf_curve,
)
from gdlib.charts.schedules import steps, unfreezing
from gdlib.charts.style import (
    ARMS,
    arm_mark,
    arm_order,
    errors,
    legend_below,
    log_ticks,
    mark,
    need,
    panels,
    percent,
    short,
    title,
    use_style,
)

__all__ = [
    "ARMS", "arm_order", "arms", "calibration", "class_counts", "confusion", "cost_quality", "diversity", "entropy_histogram",
    "funnel", "hard_soft", "label_distribution", "labels_curve", "learning_curve", "lengths", "reliability", "size_curve",
    "steps", "tfidf_curve", "unfreezing", "use_style",
]  # fmt: skip

REFERENCES = ("majority", "tfidf-lr", "teacher")
"""Rows of a table of arms that are no students: lines, not dots."""

_LINES = {"majority": ":", "tfidf-lr": "--", "teacher": "-"}


def arms(table: pd.DataFrame, *, seeds: int, what: str = "Accuracy by arm") -> Figure:
    """Accuracy of every arm with its interval, a panel a student; the references are vertical
    lines.

    Args:
        table: ``student``, ``arm``, ``accuracy``, maybe ``low`` and ``high``; rows whose student is
            one of :data:`REFERENCES` become lines.
        seeds: how many seeds the numbers are means over.
        what: the title.
    """
    need(table, ["student", "arm", "accuracy"], "arms")
    lines, dots = _split(table)
    students, order = list(dict.fromkeys(dots["student"])), arm_order(dots["arm"])
    figure, axes = panels(
        len(students), 1, height=1.5 + len(students) * (0.45 + 0.31 * len(order)), sharex=True
    )
    for one, student in zip(axes, students, strict=True):
        for place, arm in enumerate(order):
            look = arm_mark(arm)
            row = dots[(dots["student"] == student) & (dots["arm"] == arm)]
            one.errorbar(
                row["accuracy"],
                [place] * len(row),
                xerr=errors(row),
                marker=look.marker,
                color=look.color,
                linestyle="",
                capsize=3,
            )
        one.set_yticks(range(len(order)), order)
        one.set_ylim(len(order) - 0.5, -0.5)
        one.set_title(student, fontsize=12)
    _range(axes, dots, lines, vertical=True)
    axes[-1].set_xlabel(_axis_label("accuracy in %", axes[-1].get_xlim(), lines))
    legend_below(figure, axes[0])
    title(figure, what, seeds)
    return figure


def size_curve(
    table: pd.DataFrame,
    references: pd.DataFrame | None = None,
    *,
    seeds: int,
    texts: str = "generated",
) -> Figure:
    """Accuracy by number of generated texts (or others), a panel a student.

    Args:
        table: ``student``, ``size``, ``accuracy``, maybe ``low``, ``high``.
        references: ``student``, ``arm``, ``accuracy``: horizontal lines (labelled only, real
            unlabelled, teacher); a row whose student has no panel (the teacher's, say) is drawn in
            every panel.
        seeds: how many seeds the numbers are means over.
        texts: what is counted.
    """
    need(table, ["student", "size", "accuracy"], "size_curve")
    references = (
        pd.DataFrame(columns=["student", "arm", "accuracy"]) if references is None else references
    )
    students = list(dict.fromkeys(table["student"]))
    figure, axes = panels(1, len(students), height=4.2, sharey=True)
    for one, student in zip(axes, students, strict=True):
        part, look = (
            table[table["student"] == student].sort_values("size"),
            arm_mark("generation-distillation"),
        )
        one.errorbar(
            part["size"],
            part["accuracy"],
            errors(part),
            marker=look.marker,
            color=look.color,
            capsize=3,
            label=f"{texts} texts",
        )
        mine = references[
            (references["student"] == student) | ~references["student"].isin(students)
        ]
        for arm, accuracy in zip(mine["arm"], mine["accuracy"], strict=True):
            look = arm_mark(arm)
            one.axhline(accuracy, color=look.color, linestyle=look.line, label=arm)
        log_ticks(one, part["size"])
        one.tick_params(axis="x", labelrotation=45 if len(students) > 1 and len(part) > 3 else 0)
        one.set_title(student, fontsize=12)
        percent(one.yaxis)
    axes[0].set_ylabel("accuracy in %")
    axes[len(axes) // 2].set_xlabel(f"{texts} texts (log scale)")
    legend_below(figure, axes[0], 2)
    title(figure, f"Does more {texts} text help?", seeds)
    return figure


def labels_curve(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Accuracy by gold labels a class, a line an arm.

    ``table``: ``labels_per_class``, ``arm``, ``accuracy``, maybe ``low``, ``high``.
    """
    need(table, ["labels_per_class", "arm", "accuracy"], "labels_curve")
    figure, (axes,) = panels(height=4.6)
    order = arm_order(table["arm"])
    spread = np.linspace(-1, 1, len(order)) * 0.03 if len(order) > 1 else [0.0]
    for place, arm in enumerate(order):
        part = table[table["arm"] == arm].sort_values("labels_per_class")
        look = arm_mark(arm)
        x = part["labels_per_class"] * (
            1 + spread[place]
        )  # side by side, so that intervals don't hide each other
        line, marker = (
            (_LINES[arm], "") if arm in _LINES else (look.line, look.marker)
        )  # references as in every figure
        axes.errorbar(
            x,
            part["accuracy"],
            errors(part),
            marker=marker,
            linestyle=line,
            color=look.color,
            capsize=3,
            label=arm,
        )
    log_ticks(axes, table["labels_per_class"])
    percent(axes.yaxis)
    axes.set_xlabel("gold labels a class (log scale)")
    axes.set_ylabel(_axis_label("accuracy in %", axes.get_ylim()))
    legend_below(figure, axes, 2)
    title(figure, "Accuracy by number of labels", seeds)
    return figure


def hard_soft(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Hard pseudo-labels against soft ones, pair by pair.

    Args:
        table: ``student`` (or whatever names the pair), ``hard``, ``soft`` (accuracies), maybe
            ``low``, ``high`` (interval of soft minus hard).
        seeds: how many seeds the numbers are means over.
    """
    need(table, ["student", "hard", "soft"], "hard_soft")
    figure, (axes,) = panels(height=1.9 + 0.6 * len(table))
    for place, row in enumerate(table.to_dict("records")):
        first = place == 0
        axes.plot([row["hard"], row["soft"]], [place, place], color="#999999", zorder=1)
        axes.scatter(
            row["hard"],
            place,
            70,
            marker="s",
            facecolor="white",
            edgecolor=mark(1).color,
            linewidth=2,
            label="hard" if first else None,
        )
        axes.scatter(
            row["soft"], place, 70, marker="o", color=mark(0).color, label="soft" if first else None
        )
        between = f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if "low" in row else ""
        where = (row["hard"] + row["soft"]) / 2
        axes.text(
            where,
            place - 0.18,
            f"{100 * (row['soft'] - row['hard']):+.1f}{between}",
            ha="center",
            va="bottom",
            fontsize=11,
        )
    axes.set_yticks(range(len(table)), table["student"])
    axes.set_ylim(len(table) - 0.5, -0.7)
    axes.margins(x=0.25)
    percent(axes.xaxis)
    axes.set_xlabel(_axis_label("accuracy in %", axes.get_xlim()))
    legend_below(figure, axes, 2)
    title(figure, "Hard and soft pseudo-labels", seeds)
    return figure


COSTS = {"latency": "milliseconds a text", "megaflops": "millions of operations a text"}


def cost_quality(table: pd.DataFrame, *, seeds: int, cost: str = "latency") -> Figure:
    """Accuracy by cost of a text; the area of a bubble is the number of parameters.

    Args:
        table: ``name``, the column of the cost, ``accuracy``, ``parameters``; maybe ``low``,
            ``high``.
        seeds: how many seeds the accuracies are means over.
        cost: ``latency`` (milliseconds a text; of one machine) or ``megaflops`` (the same on every
            machine).
    """
    need(table, ["name", cost, "accuracy", "parameters"], "cost_quality")
    figure, (axes,) = panels(height=4.6)
    scale = 1800 / table["parameters"].max()
    for place, row in enumerate(
        table.sort_values("parameters", ascending=False).to_dict("records")
    ):
        area = max(row["parameters"] * scale, 6)
        axes.scatter(
            row[cost],
            row["accuracy"],
            area,
            color=mark(place).color,
            alpha=0.55,
            edgecolor="black",
            linewidth=1,
        )
        if "low" in row:
            axes.plot([row[cost]] * 2, [row["low"], row["high"]], color="black", linewidth=1)
    axes.set_xscale("log")
    axes.margins(0.2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlim(right=axes.get_xlim()[1] * 6)  # room for the names
    _names(axes, table, cost)
    percent(axes.yaxis)
    axes.set_xlabel(f"{COSTS[cost]} (log scale)")
    axes.set_ylabel(_axis_label("accuracy in %", axes.get_ylim()))
    largest = 10 ** math.floor(math.log10(table["parameters"].max()))
    for size in (largest, largest / 10, largest / 100):
        axes.scatter(
            [],
            [],
            max(size * scale, 6),
            color="white",
            edgecolor="black",
            label=f"{short(size)} parameters",
        )
    legend_below(figure, axes)
    title(figure, "Cost and quality", seeds)
    return figure


def _names(axes: Axes, table: pd.DataFrame, cost: str) -> None:
    """Write the names in a column at the right, in the order of the points; a thin line leads to
    each point.
    """
    low, high = axes.get_ylim()
    least = 0.075 * (high - low)
    at = -math.inf
    for row in table.sort_values("accuracy").to_dict("records"):
        at = max(row["accuracy"], at + least)
        axes.annotate(
            row["name"], (row[cost], row["accuracy"]), (table[cost].max() * 3, at), va="center", fontsize=11,
            arrowprops={"arrowstyle": "-", "color": "#777777", "linewidth": 0.8},
        )  # fmt: skip


def _split(table: pd.DataFrame) -> tuple[dict[str, float], pd.DataFrame]:
    """The references (name to accuracy) and the rows of the students."""
    is_line = table["student"].isin(REFERENCES)
    lines = table[is_line].groupby("student")["accuracy"].mean()
    dots = table[~is_line]
    need(dots, ["student"], "arms")
    return {name: float(lines[name]) for name in REFERENCES if name in lines}, dots


def _range(
    axes: list[Axes], dots: pd.DataFrame, lines: dict[str, float], *, vertical: bool
) -> None:
    """One range for all panels, wide enough for dots, intervals and lines; a line far off to the
    low side stays out.
    """
    columns = [name for name in ("accuracy", "low", "high") if name in dots.columns]
    low, high = float(dots[columns].min().min()), float(dots[columns].max().max())
    near = [value for value in lines.values() if value > low - 0.25]
    low, high = min([low, *near]), max([high, *near])
    room = max(0.03 * (high - low), 0.005)
    for one in axes:
        one.set_xlim(max(low - room, 0), min(high + room, 1))
        percent(one.xaxis)
        for name, value in lines.items():
            if value in near:
                one.axvline(value, color="black", linestyle=_LINES[name], linewidth=1.4, label=name)


def _axis_label(
    text: str, limits: tuple[float, float], lines: dict[str, float] | None = None
) -> str:
    """The label of an accuracy axis: says its range if it does not start at zero, and which line is
    off it.
    """
    low, high = limits
    away = "".join(
        f"; {name}: {100 * value:.1f}"
        for name, value in (lines or {}).items()
        if not low <= value <= high
    )
    return f"{text} (axis: {100 * low:.0f} to {100 * high:.0f}{away})" if low > 0 or away else text
