"""Figures of word sense disambiguation.

F1 is a share (0..1) in the tables and percent in the figures.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from gdlib.charts.style import (
    Mark,
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

BASELINES = {
    "random": ":",
    "first sense": "--",
    "Lesk": "-.",
    "similarity": (0, (6, 1, 1, 1, 1, 1)),
}
"""Methods without training: lines, not dots."""


def methods(table: pd.DataFrame, *, seeds: int, part: str = "ALL") -> Figure:
    """F1 of every trained method with its interval; what needs no training are vertical lines.

    Args:
        table: ``method``, the column ``part``, ``low``, ``high``.
        seeds: how many the numbers are means over.
        part: the set that is shown.
    """
    need(table, ["method", part, "low", "high"], "methods")
    dots = table[~table["method"].isin(BASELINES)]
    figure, (axes,) = panels(height=1.9 + 0.42 * max(len(dots), 2))
    for place, row in enumerate(dots.to_dict("records")):
        value, low, high, look = row[part], row["low"], row["high"], mark(place)
        axes.errorbar(
            value,
            place,
            xerr=[[max(value - low, 0)], [max(high - value, 0)]],
            marker=look.marker,
            color=look.color,
            capsize=3,
        )
        axes.annotate(
            f"{100 * value:.1f}",
            (value, place),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=11,
        )
    for row in table[table["method"].isin(BASELINES)].to_dict("records"):
        axes.axvline(
            row[part],
            color="black",
            linestyle=BASELINES[row["method"]],
            linewidth=1.3,
            label=f"{row['method']} {100 * row[part]:.1f}",
        )
    axes.set_yticks(range(len(dots)), dots["method"])
    axes.set_ylim(len(dots) - 0.5, -0.7)
    axes.margins(x=0.08)
    percent(axes.xaxis)
    low, high = axes.get_xlim()
    axes.set_xlabel(f"F1 in % (axis: {100 * low:.0f} to {100 * high:.0f})")
    legend_below(figure, axes, 2)
    title(figure, "Which sense is meant?", seeds)
    return figure


def by_pos(table: pd.DataFrame, shown: Sequence[str], *, seeds: int) -> Figure:
    """F1 by part of speech, a panel each.

    ``table``: ``method``, ``pos``, ``instances``, ``f1``, ``low``, ``high``; ``shown``: methods in
    order.
    """
    need(table, ["method", "pos", "instances", "f1", "low", "high"], "by_pos")
    parts = list(dict.fromkeys(table["pos"]))
    figure, axes = panels(
        len(parts), 1, height=1.3 + len(parts) * (0.5 + 0.24 * len(shown)), sharex=True
    )
    for one, pos in zip(axes, parts, strict=True):
        of = table[table["pos"] == pos].set_index("method")
        for place, method in enumerate(shown):
            look = (
                Mark("#777777", "|", "", "")
                if method in BASELINES
                else mark([m for m in shown if m not in BASELINES].index(method))
            )
            one.errorbar(
                of.loc[method, "f1"],
                place,
                xerr=errors(of.loc[[method]], "f1"),
                marker=look.marker,
                color=look.color,
                capsize=3,
            )
        one.set_yticks(range(len(shown)), shown)
        one.set_ylim(len(shown) - 0.5, -0.5)
        one.set_title(f"{pos} ({of['instances'].iloc[0]:,} instances)", fontsize=12)
        percent(one.xaxis)
    low, high = axes[-1].get_xlim()
    axes[-1].set_xlabel(f"F1 in % (axis: {100 * low:.0f} to {100 * high:.0f})")
    title(figure, "F1 by part of speech", seeds)
    return figure


COSTS = {
    "megaflops": "millions of operations an answer",
    "ms an instance": "milliseconds an answer",
}


def cost_f1(
    table: pd.DataFrame, *, seeds: int, cost: str = "megaflops", measure: str = "F1"
) -> Figure:
    """F1 by what an answer costs.

    ``table``: ``method``, the cost's column (of :data:`COSTS`), ``f1``, ``low``, ``high``;
    ``measure``: which F1.
    """
    need(table, ["method", cost, "f1", "low", "high"], "cost_f1")
    figure, (axes,) = panels(height=4.2)
    for place, row in enumerate(table.to_dict("records")):
        look = mark(place)
        span = [[max(row["f1"] - row["low"], 0)], [max(row["high"] - row["f1"], 0)]]
        axes.errorbar(
            row[cost],
            row["f1"],
            span,
            marker=look.marker,
            color=look.color,
            capsize=3,
            label=row["method"],
            linestyle="",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    percent(axes.yaxis)
    axes.set_xlabel(f"{COSTS[cost]} (log scale)")
    axes.set_ylabel(
        f"{measure} in % (axis: {100 * axes.get_ylim()[0]:.0f} to {100 * axes.get_ylim()[1]:.0f})"
    )
    legend_below(figure, axes, 3)
    title(figure, "Cost of an answer", seeds)
    return figure


def sizes(table: pd.DataFrame, *, seeds: int, texts: str = "training instances") -> Figure:
    """F1 by training instances, a line a trained method.

    ``table``: ``size``, ``method``, ``f1``.
    """
    need(table, ["size", "method", "f1"], "sizes")
    figure, (axes,) = panels(height=4.2)
    for place, method in enumerate(m for m in dict.fromkeys(table["method"]) if m not in BASELINES):
        of, look = table[table["method"] == method].sort_values("size"), mark(place)
        axes.plot(
            of["size"],
            of["f1"],
            color=look.color,
            marker=look.marker,
            linestyle=look.line,
            label=method,
        )
    log_ticks(axes, table["size"])
    percent(axes.yaxis)
    axes.set_xlabel(f"{texts} (log scale)")
    axes.set_ylabel(
        f"F1 in % (axis: {100 * axes.get_ylim()[0]:.0f} to {100 * axes.get_ylim()[1]:.0f})"
    )
    legend_below(figure, axes, 3)
    title(figure, f"F1 by number of {texts}", seeds)
    return figure
