"""Figures of encoders on tasks of language understanding.

Scores are shares (0..1) in the tables, hundredths in the figures.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdlib.charts.style import errors, legend_below, log_ticks, mark, need, panels, percent, title


def quality(table: pd.DataFrame, *, seeds: int) -> Figure:
    """The score of every encoder on every task with its interval, a panel a task.

    Args:
        table: ``task``, ``metric``, ``encoder``, ``score``, ``low``, ``high``, ``megaflops`` (a
            text's, written beside it); one metric a task.
        seeds: how many the numbers are means over.
    """
    need(table, ["task", "metric", "encoder", "score", "low", "high", "megaflops"], "quality")
    tasks, encoders = (list(dict.fromkeys(table[name])) for name in ("task", "encoder"))
    figure, axes = panels(len(tasks), 1, height=1.0 + len(tasks) * (0.75 + 0.24 * len(encoders)))
    for one, task in zip(axes, tasks, strict=True):
        of = table[table["task"] == task].set_index("encoder")
        for place, encoder in enumerate(encoders):
            look, row = mark(place), of.loc[[encoder]]
            one.errorbar(
                row["score"],
                [place],
                xerr=errors(row, "score"),
                marker=look.marker,
                color=look.color,
                linestyle="",
                capsize=3,
            )
            one.annotate(
                f"{100 * row['score'].iloc[0]:.1f}",
                (row["score"].iloc[0], place),
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
        one.set_yticks(range(len(encoders)), encoders)
        one.set_ylim(len(encoders) - 0.4, -0.9)
        cost = one.secondary_yaxis("right")
        cost.set_yticks(
            range(len(encoders)),
            [f"{of.loc[encoder, 'megaflops']:,.0f} MFLOP" for encoder in encoders],
            fontsize=9,
        )
        percent(one.xaxis)
        one.set_title(
            (
                f"{task}: {of['metric'].iloc[0]} ({100 * one.get_xlim()[0]:.0f} to "
                f"{100 * one.get_xlim()[1]:.0f})"
            ),
            fontsize=12,
        )
    title(figure, "Score by encoder, and operations a text", seeds)
    return figure


def differences(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Paired differences in points with their intervals over texts (thick) and over seeds (thin), a
    panel a question; hollow: not resolved.

    Args:
        table: ``task``, ``encoder``, ``against``, ``difference``, ``low``, ``high``, ``seeds_low``,
            ``seeds_high``, ``resolved``.
        seeds: how many the numbers are means over.
    """
    need(
        table,
        [
            "task",
            "encoder",
            "against",
            "difference",
            "low",
            "high",
            "seeds_low",
            "seeds_high",
            "resolved",
        ],
        "differences",
    )
    pairs = list(dict.fromkeys(zip(table["encoder"], table["against"])))
    tasks = list(dict.fromkeys(table["task"]))
    figure, axes = panels(
        len(pairs), 1, height=1.2 + len(pairs) * (0.55 + 0.27 * len(tasks)), sharex=True
    )
    of_texts, of_seeds = (
        table[columns].abs().max().max()
        for columns in (["low", "high"], ["seeds_low", "seeds_high"])
    )
    reach = 1.1 * max(
        of_texts, min(3 * of_texts, of_seeds if pd.notna(of_seeds) else 0), 0.01
    )  # of two seeds the interval is as wide as the world
    for place, (one, (encoder, against)) in enumerate(zip(axes, pairs, strict=True)):
        of = table[(table["encoder"] == encoder) & (table["against"] == against)].set_index("task")
        for row, task in enumerate(tasks):
            _difference(one, row, of.loc[task], mark(place).color, mark(place).marker)
        one.axvline(0, color="black", linewidth=1)
        one.set_yticks(range(len(tasks)), tasks)
        one.set_ylim(len(tasks) - 0.5, -0.5)
        one.set_title(f"{encoder} minus {against}", fontsize=12)
        one.set_xlim(-reach, reach)
        percent(one.xaxis)
    axes[-1].set_xlabel(
        "points; thick: over texts, thin: over seeds; hollow: not resolved", fontsize=10
    )
    title(figure, "Forgotten or gained?", seeds)
    return figure


def _difference(axes: Axes, place: int, row: pd.Series, color: str, marker: str) -> None:
    if pd.notna(row["seeds_low"]):
        axes.plot(
            [row["seeds_low"], row["seeds_high"]],
            [place] * 2,
            color=color,
            linewidth=1,
            marker="|",
            markersize=6,
        )
    axes.plot([row["low"], row["high"]], [place] * 2, color=color, linewidth=3.5)
    axes.plot(
        row["difference"],
        place,
        marker=marker,
        color=color,
        markerfacecolor=color if row["resolved"] else "white",
        linestyle="",
    )


def sizes(table: pd.DataFrame, *, seeds: int) -> Figure:
    """The score by number of training texts, a panel a task.

    ``table``: ``task``, ``encoder``, ``size``, ``score``.
    """
    need(table, ["task", "encoder", "size", "score"], "sizes")
    tasks = list(dict.fromkeys(table["task"]))
    figure, axes = panels(len(tasks), 1, height=1.0 + 2.4 * len(tasks))
    for one, task in zip(axes, tasks, strict=True):
        of = table[table["task"] == task]
        for place, encoder in enumerate(dict.fromkeys(of["encoder"])):
            line, look = of[of["encoder"] == encoder].sort_values("size"), mark(place)
            one.plot(
                line["size"],
                line["score"],
                color=look.color,
                marker=look.marker,
                linestyle=look.line,
                label=encoder,
            )
        log_ticks(one, of["size"])
        percent(one.yaxis)
        one.set_title(task, fontsize=12)
    axes[-1].set_xlabel("training texts (log scale)")
    legend_below(figure, axes[0], 4)
    title(figure, "Score by number of training texts", seeds)
    return figure
