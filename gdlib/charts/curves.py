"""Values against something that grows: steps, texts, labels, confidence.

The columns of a table are those of :func:`gdlib.charts.style.complete`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdlib.charts.style import (
    Mark,
    dots_and_lines,
    finish,
    log_axis,
    panels,
    reference_marks,
    series_marks,
    value_axis,
)
from gdlib.charts.words import described, named, read_off, short, written


def lines(
    table: pd.DataFrame,
    *,
    x: str,
    x_label: str,
    title: str,
    label: str,
    seeds: int | None = None,
    panel: str = "panel",
    marks: Mapping[str, Mark] | None = None,
    references: Sequence[str] = (),
    percent: bool = True,
    log: bool = False,
    zero: bool = False,
    ring: str = "kept",
) -> Figure:
    """A line per arm, panel by panel; an arm of one point is a dot, hollow if it is not resolved.

    Intervals are over items, or over seeds where there are none; bars on a logarithmic axis, else
    bands.

    Args:
        table: ``arm``, ``value``, the column ``x`` and optional columns. Points with a ``note``
            have that text beside them, those that are ``chosen`` a ring around them; where there
            is an ``event`` stands a vertical line with its name.
        x: the column of what grows.
        x_label: what it is.
        title: of the figure.
        label: of the axis of values.
        seeds: how many seeds the values are means over.
        panel: the column that divides the rows into panels.
        marks: of some families; see :func:`gdlib.charts.style.series_marks`.
        references: arms that are drawn as horizontal lines, through all panels where their own is
            empty.
        percent: whether the values are shares.
        log: whether the axis of ``x`` is logarithmic; its ticks are the measured values.
        zero: whether the axis of values starts at zero.
        ring: what it means to be chosen, for the legend.
    """
    table, levels = dots_and_lines(table, "lines", references, x, panel)
    table = table.assign(x=table[x])
    looks, names = series_marks(table, marks), list(table[panel].unique())
    level_looks = reference_marks(levels["arm"].unique(), marks)
    figure, axes_of = panels(names, 1.9 + 2.7 * len(names), sharex=not log)
    for name, axes in axes_of.items():
        inside = table[table[panel] == name]
        for place, (arm, look) in enumerate(looks.items()):
            part = inside[inside["arm"] == arm].sort_values("x")
            apart = log and 1 < len(part) and 1 < len(looks)
            aside = 1 + 0.03 * (place - (len(looks) - 1) / 2) if apart else 1
            _line(axes, part.assign(x=part["x"] * aside), arm, look, bars=log)
            _remarks(axes, part, ring)
        for entry in levels[levels[panel].isin(["", name])].to_dict("records"):
            arm = entry["arm"]
            axes.axhline(entry["value"], label=arm, linewidth=1.5, **level_looks[arm].of_line)
        if log:
            log_axis(axes, inside["x"])
        if zero:
            axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{x_label} (log scale)" if log else x_label)
    value_axis(figure, axes_of, "y", label, percent)
    seen = [
        f"{named(of)} {_ends(part.sort_values('x'), percent)}".strip()
        for of, part in table.groupby([panel, "arm"], sort=False)
    ] + read_off(levels, (panel, "arm"), percent)
    kind = f"Lines, {label} by {x_label}" if label else f"Lines by {x_label}"
    return finish(figure, title, described(kind, seen), seeds)


def _ends(part: pd.DataFrame, percent: bool) -> str:
    """A line's first and last value in words."""
    first, last = (
        f"{written(value, percent)} at {short(x)}"
        for x, value in part[["x", "value"]].iloc[[0, -1]].to_numpy()
    )
    return first if len(part) == 1 else f"from {first} to {last}"


def _line(axes: Axes, part: pd.DataFrame, arm: str, look: Mark, bars: bool) -> None:
    """The line of an arm, or its dot, with its intervals where it has any."""
    if part.empty:
        return
    style = look.of_line | {"marker": look.marker, "markersize": 5}
    if len(part) == 1:
        fill = look.color if part["resolved"].all() else "white"
        style |= {"linestyle": "", "markersize": 10, "markerfacecolor": fill}
    axes.plot(part["x"], part["value"], label=arm, **style)
    over = "" if part["low"].notna().any() else "seeds_"
    low, high = part[f"{over}low"], part[f"{over}high"]
    if bars:
        axes.vlines(part["x"], low, high, look.color, linewidth=1.5)
    elif low.notna().any():
        label = f"{arm}: 95% over {'seeds' if over else 'items'}"
        band = {"color": look.color, "alpha": 0.12, "linewidth": 0, "label": label}
        axes.fill_between(part["x"], low, high, **band)


def _remarks(axes: Axes, part: pd.DataFrame, ring: str) -> None:
    """Texts beside points, rings around the chosen ones, vertical lines where something happens."""
    if (part["note"] != "").any() or part["chosen"].any():
        axes.margins(y=0.2)
    beside = {"textcoords": "offset points", "fontsize": 10}
    for place, point in enumerate(part.to_dict("records")):
        at, above = (point["x"], point["value"]), place % 2 == 0
        alignment = {"ha": "center", "va": "bottom" if above else "top"}
        if point["note"]:
            axes.annotate(point["note"], at, (0, 9 if above else -9), **beside, **alignment)
        if point["chosen"]:
            circle = {"markersize": 13, "fillstyle": "none", "color": "black", "linestyle": ""}
            axes.plot(*at, "o", label=ring, **circle)
        if point["event"]:
            axes.axvline(point["x"], color="#777777", linewidth=0.8, linestyle=":")
            top = {"xycoords": ("data", "axes fraction"), "va": "top"}
            axes.annotate(point["event"], (point["x"], 0.98), (3, 0), **top, **beside)


def learning_curve(history: pd.DataFrame, *, what: str = "", perplexity: bool = False) -> Figure:
    """Loss in training; the step whose weights count has a ring.

    Args:
        history: ``step``, ``train_loss`` and ``held_out`` (NaN where it was not measured).
        what: was trained.
        perplexity: of a language model, whose loss falls by little: its exponential is drawn.
    """
    losses = {"training": "train_loss", "held out": "held_out"}
    curves = [
        history[["step"]].assign(arm=arm, value=history[column]) for arm, column in losses.items()
    ]
    table = pd.concat(curves).dropna(subset="value").reset_index(drop=True)
    if perplexity:
        table["value"] = np.exp(table["value"])
    held_out = table["value"][table["arm"] == "held out"]
    best = held_out.idxmin() if len(held_out) else None
    ring, found = "", "Training"
    if len(held_out):
        ring = f"chosen: step {table['step'][best]:.0f}"
        found = (
            f"Held-out {'perplexity' if perplexity else 'loss'} falls from {held_out.iloc[0]:.3g}"
        )
        found += f" to {held_out[best]:.3g}"
    return lines(
        table.assign(chosen=table.index == best),
        x="step",
        x_label="step",
        title=f"{what}: {found[0].lower()}{found[1:]}" if what else found,
        label="perplexity" if perplexity else "loss",
        marks={"training": Mark("#999999", "", "-")},
        percent=False,
        zero=not perplexity,
        ring=ring,
    )


def calibration(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Accuracy by confidence of some networks, with the 95% interval of each bin (Wilson), and the
    share of texts at each confidence.

    Args:
        tables: by the network's name, from :func:`gdlib.compare.metrics.reliability`.
    """
    right, share = "right, %", "share of texts, %"
    rows = [pd.DataFrame({"panel": right, "arm": "as sure as right", "x": [0, 1], "value": [0, 1]})]
    for name, table in tables.items():
        of_network = {"arm": name, "x": table["confidence"]}
        texts, accuracy, z = table["texts"], table["accuracy"], 1.96
        middle = (accuracy + z**2 / (2 * texts)) / (1 + z**2 / texts)
        spread = accuracy * (1 - accuracy) / texts + z**2 / (4 * texts**2)
        half = z * spread**0.5 / (1 + z**2 / texts)
        around = {"value": accuracy, "low": middle - half, "high": middle + half}
        rows.append(pd.DataFrame({"panel": right, **of_network, **around}))
        rows.append(pd.DataFrame({"panel": share, **of_network, "value": texts / texts.sum()}))
    table = pd.concat(rows, ignore_index=True)
    return lines(
        table.assign(x=100 * table["x"]),
        x="x",
        x_label="confidence in %",
        title="Confidence and accuracy",
        label="",
        marks={"as sure as right": Mark("#777777", "", "--")},
        zero=True,
    )


def unfreezing(
    traces: pd.DataFrame, *, marks: Mapping[str, Mark] | None = None, unit: str = "texts"
) -> Figure:
    """The held-out score through every stage of a training, a panel each, and what learns when.

    Args:
        traces: of :func:`gdlib.learn.schedules.run`: ``arm``, ``stage``, ``losses``, ``unfrozen``,
            ``step``, ``score``, ``kept``. All arms have the same stages; one that never unfreezes
            is drawn beside for comparison.
        marks: of the arms.
        unit: what errors are counted over.
    """
    states = traces["losses"] == "states"
    score = states.map({True: "loss on states", False: f"errors, % of {unit}"})
    stage = "stage " + (traces["stage"] + 1).astype(str) + ": " + traces["losses"]
    turn = traces.groupby(["arm", "stage"])
    following = turn["unfrozen"].shift(-1, fill_value="")
    gradual = (
        turn["unfrozen"].transform("nunique") > 2
    )  # the beginning's "", and two layers or more
    let_in = gradual & following.ne(traces["unfrozen"]) & following.ne("")
    table = traces.assign(
        panel=stage + ", " + score,
        value=traces["score"].where(states, 100 * traces["score"]),
        step=traces["step"] - turn["step"].transform("min"),
        chosen=traces["kept"],
        event=("+ " + following).where(let_in, ""),
    )
    return lines(
        table.sort_values("stage", kind="stable"),
        x="step",
        x_label="optimisation steps of the stage",
        title="Held-out score, stage by stage",
        label="",
        seeds=1,
        marks=marks,
        percent=False,
    )
