"""Figures of schedules: what each stage of a training does, and what a strategy costs in steps."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gdlib.charts.style import arm_mark, legend_below, need, panels, percent, short, title


def unfreezing(traces: pd.DataFrame, unit: str = "texts") -> Figure:
    """The held-out score through every stage of a training, a panel a stage; a line along the foot
    says what learns.

    Args:
        traces: of one training a name, see :func:`gdlib.learn.schedules.run`: ``arm`` and
            ``stage``, ``losses``, ``unfrozen``, ``step``, ``score``, ``kept``. All have the same
            stages; one that never unfreezes is drawn beside for comparison.
        unit: what errors are counted over.
    """
    need(traces, ["arm", "stage", "losses", "unfrozen", "step", "score", "kept"], "unfreezing")
    stages = traces.drop_duplicates("stage").sort_values("stage")
    figure, axes = panels(len(stages), 1, height=1.2 + 2.1 * len(stages))
    for one, (number, losses) in zip(axes, zip(stages["stage"], stages["losses"])):
        part = traces[traces["stage"] == number]
        for name, line in part.groupby("arm", sort=False):
            look, line = arm_mark(name), line.assign(step=line["step"] - line["step"].min())
            one.plot(
                line["step"],
                line["score"],
                color=look.color,
                linestyle=look.line,
                marker=look.marker,
                markersize=4,
                label=name,
            )
            best = line[line["kept"]]
            one.plot(
                best["step"],
                best["score"],
                "o",
                markersize=13,
                fillstyle="none",
                color="black",
                label="kept" if name == part["arm"].iloc[0] else None,
            )
            if (
                line["unfrozen"].nunique() > 2
            ):  # the empty one of the beginning, and more than one layer
                _unfrozen(one, line)
        states = losses == "states"
        if not states:
            percent(one.yaxis)
        one.margins(y=0.2)
        one.set_ylabel("loss on states" if states else f"errors, % of {unit}")
        one.set_title(f"stage {number + 1}: {losses}", fontsize=12)
    axes[-1].set_xlabel("optimisation steps of the stage")
    legend_below(figure, axes[0])
    title(figure, "Held-out score, stage by stage", 1)
    return figure


def _unfrozen(axes: Axes, line: pd.DataFrame) -> None:
    """A vertical line where a layer is let in, with its name."""
    start = line["step"].min()
    for layer, part in line[line["unfrozen"] != ""].groupby("unfrozen", sort=False):
        axes.axvline(start, color="#777777", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"+ {layer}",
            (start, 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            va="top",
            fontsize=10,
        )
        start = part["step"].max()


def steps(
    table: pd.DataFrame, *, seeds: int, quality: str = "accuracy", what: str = "accuracy"
) -> Figure:
    """The quality of every strategy by the optimisation steps it took (log axis); one given more
    steps is drawn like its strategy.

    Args:
        table: ``name``, ``steps``, the column ``quality`` (a share), maybe ``low``, ``high``; the
            row ``teacher`` becomes a line.
        seeds: how many seeds the numbers are means over.
        quality: the column.
        what: it is called on the axis.
    """
    need(table, ["name", "steps", quality], "steps")
    figure, (axes,) = panels(height=5.2)
    dots, teacher = table[table["name"] != "teacher"], table[table["name"] == "teacher"]
    for row in dots.to_dict("records"):
        look = arm_mark(row["name"])
        if "low" in row:
            axes.plot([row["steps"]] * 2, [row["low"], row["high"]], color=look.color, linewidth=1)
        fill = "none" if "," in row["name"] else "full"
        axes.plot(
            row["steps"],
            row[quality],
            look.marker,
            color=look.color,
            markersize=10,
            fillstyle=fill,
            label=row["name"],
        )
    for value in teacher[quality]:
        axes.axhline(value, color="black", linestyle="-", label="teacher")
    axes.set_xscale("log")
    axes.margins(0.1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    percent(axes.yaxis)
    low, high = axes.get_ylim()
    axes.set_ylabel(f"{what} in % (axis: {100 * low:.0f} to {100 * high:.0f})")
    axes.set_xlabel("optimisation steps of the training (log scale)")
    legend_below(figure, axes, 3)
    title(figure, f"Steps and {what}", seeds)
    return figure
