"""Counts and shares: bars, histograms, matrices.

The columns of a table are those of :func:`gdlib.charts.style.complete`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from gdlib.charts.style import complete, finish, panels, percent_ticks, series_marks
from gdlib.charts.words import described, read_off


def bars(
    table: pd.DataFrame,
    *,
    title: str,
    label: str = "",
    row: str = "arm",
    percent: bool = False,
) -> Figure:
    """Bars from zero: beside each other where a row has several arms.

    Args:
        table: ``arm``, ``value`` and optional columns. With a ``note``, which stands at the end of
            its bar, there are no ticks.
        title: of the figure.
        label: of the axis of values.
        row: the column that names the rows, by default one for each arm.
        percent: whether the values are shares.
    """
    table = complete(table, "bars", row)
    looks, rows = series_marks(table, None), list(table[row].unique())
    names, arms = list(table["panel"].unique()), list(looks)
    own_rows = row == "arm"
    columns, thick = min(len(names), 3), 0.36 if own_rows else 0.25 + 0.12 * len(arms)
    height = 0.7 + -(-len(names) // columns) * (0.8 + thick * len(rows))
    figure, axes_of = panels(names, height, columns, sharey=True)
    for name, axes in axes_of.items():
        part = table[table["panel"] == name].assign(row=lambda part: part[row])
        wide = part.pivot(index="row", columns="arm").loc[rows]
        colors = {arm: look.color for arm, look in looks.items()}
        style = {"width": 0.8, "edgecolor": "white", "legend": False, "ylabel": ""}
        values = wide["value"][arms]
        values.plot.barh(ax=axes, stacked=own_rows, color=colors, **style)
        for arm, drawn in zip(arms, axes.containers, strict=True):
            plt.setp(drawn.patches, hatch=looks[arm].hatch)
            drawn.set_label("_" if own_rows else arm)
            axes.bar_label(drawn, wide["note"][arm].fillna(""), padding=4, fontsize=11)
        axes.grid(axis="y", visible=False)
        if percent:
            percent_ticks(axes.xaxis)
        if (part["note"] != "").any():
            axes.set(xlim=(0, 1.5 * max(part["value"].max(), 1e-9)), xticks=[])
            axes.spines["bottom"].set_visible(False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(label)
    seen = read_off(table, ("panel", row, "arm"), percent)
    return finish(figure, title, described(f"Bars, {label}" if label else "Bars", seen))


def histogram(values_of: Mapping[str, ArrayLike], *, title: str, label: str) -> Figure:
    """Shares of texts by a measured value, a line for each set of texts.

    Args:
        values_of: a number per text, by what the texts are, such as generated and real.
        title: of the figure.
        label: what is measured.
    """
    values_of = {name: np.asarray(values) for name, values in values_of.items()}
    table = pd.DataFrame({"arm": list(values_of), "value": 0.0})
    looks = series_marks(complete(table, "histogram"), None)
    sets = [values for values in values_of.values() if values.size]
    longest = max((float(np.quantile(values, 0.99)) for values in sets), default=0.0)
    whole = all((values == values.round()).all() for values in sets)
    step = max(round(longest / 30), 1) if whole else max(longest, 0.1) / 30  # or bars would comb
    edges = np.arange(0, longest + 2 * step, step) - (step / 2 if whole else 0)
    figure, axes_of = panels([""], 3.7)
    axes = axes_of[""]
    for name, values in values_of.items():
        look = looks[name]
        axes.hist(
            np.minimum(values, edges[-1]),
            edges,
            weights=np.full(values.shape, 1 / max(values.size, 1)),
            histtype="step",
            color=look.color,
            linestyle=look.line,
            linewidth=2,
            label=name,
        )
    axes.set_xlabel(f"{label}\n(the largest 1 % stand in the last bin)")
    axes.set_ylabel("% of texts")
    percent_ticks(axes.yaxis)
    seen = [
        f"{name}, half of them up to {np.median(values):.3g}, nine in ten up to "
        f"{np.quantile(values, 0.9):.3g}"
        for name, values in values_of.items()
        if values.size
    ]
    return finish(figure, title, described(f"Histogram, {label}", seen))


def matrix(
    table: pd.DataFrame,
    *,
    title: str,
    rows: str,
    columns: str,
    seeds: int | None = None,
    panel: str = "panel",
    digits: int = 0,
    bold: str = "",
) -> Figure:
    """Shares in percent by row and column, darker where they are greater, the diagonal in bold.

    Args:
        table: ``value`` and the columns that ``rows``, ``columns`` and ``panel`` name.
        title: of the figure.
        rows: the column of the rows, and what they are.
        columns: the column of the columns, and what they are.
        seeds: how many seeds the values are means over.
        panel: the column that divides the table into panels.
        digits: behind the point.
        bold: the column that says of a cell whether it is in bold; none: the diagonal is.
    """
    strong = table[bold] if bold else table[rows] == table[columns]
    table = table.assign(arm=table.get("arm", table[rows]), strong=strong)
    table = complete(table, "matrix", rows, columns, panel)
    down, across = list(table[rows].unique()), list(table[columns].unique())
    names, many = list(table[panel].unique()), len(across) > 8
    abreast = min(len(names), 2)
    step = 0.36 if many else 0.55 if abreast == 2 else 1.0
    touching = abreast == 2 and sum(map(len, across)) > 22  # names beside each other, level
    slant = 90 if many else 20 if touching else 0
    height = 0.8 + -(-len(names) // abreast) * (0.9 + step * len(down))
    figure, axes_of = panels(names, height, abreast)
    for name, axes in axes_of.items():
        inside = table[table[panel] == name]
        values, heavy = (
            inside.pivot(index=rows, columns=columns, values=name).loc[down, across]
            for name in ("value", "strong")
        )
        axes.imshow(values, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        for i, j in np.argwhere(values.to_numpy() >= 0.005):
            axes.text(
                j,
                i,
                f"{100 * values.iloc[i, j]:.{digits}f}",
                ha="center",
                va="center",
                color="white" if values.iloc[i, j] > 0.5 else "black",
                fontsize=9 if many else 12,
                fontweight="bold" if heavy.iloc[i, j] else "normal",
            )
        axes.set_xticks(range(len(across)), across, rotation=slant, fontsize=10)
        axes.set_yticks(range(len(down)), down, fontsize=10)
        axes.tick_params(length=0)
        axes.grid(visible=False)
    figure.supxlabel(columns, fontsize=11)
    figure.supylabel(rows, fontsize=11)
    seen = read_off(table[table["strong"]], (panel, rows, columns), percent=True)
    kind = f"Matrix, {rows} down, {columns} across, in %; of its bold cells"
    return finish(figure, title, described(kind, seen), seeds)
