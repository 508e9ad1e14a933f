"""Figures of masked-language-model distillation.

Losses are in nats a hidden piece; lower is better.
"""

import pandas as pd
from matplotlib.figure import Figure

from gdlib.charts.style import Mark, legend_below, mark, need, panels, title
from gdlib.learn.mixtures import RULES

GREYS = (
    Mark("#555555", "<", (0, (5, 1)), ""),
    Mark("#999999", ">", (0, (2, 1)), ""),
    Mark("#777777", "d", (0, (1, 1)), ""),
)
PLAIN = Mark("#000000", "X", "-", "")


def look_of(arm: str, singles: list[str]) -> Mark:
    """Plain MLM black, single teachers grey, rules in colour; the same in every figure."""
    if arm in RULES:
        return mark(list(RULES).index(arm))
    return GREYS[singles.index(arm) % len(GREYS)] if arm in singles else PLAIN


def _singles(arms: list[str]) -> list[str]:
    return [arm for arm in arms if arm not in RULES and arm != "no teacher"]


def curves(
    table: pd.DataFrame, *, seeds: int, x: str = "step", frequency: float | None = None
) -> Figure:
    """Held-out loss in training, a line an arm, a panel a start.

    Args:
        table: ``start``, ``arm``, ``loss`` and the column ``x``; maybe ``low`` and ``high`` (over
            seeds; drawn for plain MLM alone, as a band).
        seeds: how many the lines are means over.
        x: ``step`` or ``seconds``.
        frequency: loss of one who knows the pieces' frequencies alone, a line: above it nothing of
            the context is used.
    """
    need(table, ["start", "arm", "loss", x], "curves")
    starts, arms = list(dict.fromkeys(table["start"])), list(dict.fromkeys(table["arm"]))
    figure, axes = panels(len(starts), 1, height=1.9 + 3.2 * len(starts))
    for one, start in zip(axes, starts, strict=True):
        for arm in arms:
            part = table[(table["start"] == start) & (table["arm"] == arm)].sort_values(x)
            look = look_of(arm, _singles(arms))
            one.plot(
                part[x],
                part["loss"],
                color=look.color,
                marker=look.marker,
                linestyle=look.line,
                markersize=5,
                label=arm,
            )
            if (
                arm == "no teacher"
                and {"low", "high"} <= set(part.columns)
                and part["low"].notna().all()
            ):
                one.fill_between(
                    part[x],
                    part["low"],
                    part["high"],
                    color="#000000",
                    alpha=0.12,
                    linewidth=0,
                    label="no teacher: 95% over seeds",
                )
        if frequency is not None:
            one.axhline(
                frequency, color="black", linestyle=":", linewidth=1.4, label="frequencies alone"
            )
        one.set_title(f"start: {start}", fontsize=12)
        one.set_ylabel("held-out loss (nats)")
        one.text(
            0.01,
            0.03,
            f"axis from {one.get_ylim()[0]:.1f}",
            transform=one.transAxes,
            va="bottom",
            fontsize=10,
        )
    axes[-1].set_xlabel("step" if x == "step" else "seconds of training")
    legend_below(figure, axes[0], 2)
    title(figure, "Convergence", seeds)
    return figure


def gaps(table: pd.DataFrame, *, seeds: int) -> Figure:
    """How far each arm is below (or above) plain MLM at the same step, a panel a start.

    ``table``: ``start``, ``arm``, ``step``, ``loss``.
    """
    need(table, ["start", "arm", "step", "loss"], "gaps")
    starts, arms = list(dict.fromkeys(table["start"])), list(dict.fromkeys(table["arm"]))
    figure, axes = panels(len(starts), 1, height=1.9 + 2.9 * len(starts), sharex=True)
    for one, start in zip(axes, starts, strict=True):
        losses = table[table["start"] == start].pivot(index="step", columns="arm", values="loss")
        one.axhline(0, color=PLAIN.color, linewidth=1.5, label="no teacher")
        for arm in (arm for arm in arms if arm != "no teacher"):
            look = look_of(arm, _singles(arms))
            gap = losses[arm] - losses["no teacher"]
            one.plot(
                gap.index,
                gap,
                color=look.color,
                marker=look.marker,
                linestyle=look.line,
                markersize=5,
                label=arm,
            )
        one.set_title(f"start: {start}", fontsize=12)
        one.set_ylabel("nats (below 0: better)")
    axes[-1].set_xlabel("step")
    legend_below(figure, axes[0], 2)
    title(figure, "Held-out loss minus that of plain MLM", seeds)
    return figure


def steps(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Steps until an arm is as low as plain MLM at its end, with the interval over seeds (thin) and
    over texts (thick), a panel a start.

    Args:
        table: ``start``, ``arm``, ``steps``, ``low``, ``high``, ``seeds_low``, ``seeds_high``,
            ``reached``, ``units``.
        seeds: how many the dots are means over.
    """
    need(table, ["start", "arm", "steps", "low", "high", "reached", "units"], "steps")
    starts, arms = list(dict.fromkeys(table["start"])), list(dict.fromkeys(table["arm"]))
    figure, axes = panels(
        len(starts), 1, height=1.4 + len(starts) * (0.6 + 0.34 * len(arms)), sharex=True
    )
    for one, start in zip(axes, starts, strict=True):
        part = table[table["start"] == start].set_index("arm")
        for place, arm in enumerate(arms):
            row, look = part.loc[arm], look_of(arm, _singles(arms))
            if pd.notna(row.get("seeds_low")):
                one.plot(
                    [row["seeds_low"], row["seeds_high"]],
                    [place, place],
                    color=look.color,
                    linewidth=1,
                )
            one.plot(
                [row["low"], row["high"]], [place, place], color=look.color, linewidth=4, alpha=0.45
            )
            all_there = row["reached"] == row["units"]
            one.plot(
                row["steps"],
                place,
                marker=look.marker,
                color=look.color,
                markerfacecolor=look.color if all_there else "white",
                linestyle="",
            )
        one.set_yticks(range(len(arms)), arms)
        one.set_ylim(len(arms) - 0.5, -0.5)
        one.set_title(f"start: {start}", fontsize=12)
        one.set_xlim(left=min(0, one.get_xlim()[0]))
    axes[-1].set_xlabel(
        "steps; 95% over texts (thick) and over seeds (thin)\nhollow: not every seed got "
        "there, those count as the last step"
    )
    title(figure, "As low as plain MLM at its end", seeds)
    return figure


def predictors(table: pd.DataFrame) -> Figure:
    """Held-out loss of each teacher and each rule as a predictor; hollow: it looks at the hidden
    piece. ``table``: name, loss, sees gold.
    """
    need(table, ["name", "loss", "sees gold"], "predictors")
    figure, (axes,) = panels(height=1.7 + 0.42 * len(table))
    singles = _singles(list(table["name"]))
    for place, row in enumerate(table.to_dict("records")):
        look = look_of(row["name"], singles)
        face = "white" if row["sees gold"] else look.color
        axes.plot(
            row["loss"],
            place,
            marker=look.marker,
            color=look.color,
            markerfacecolor=face,
            linestyle="",
            markersize=9,
        )
        axes.annotate(
            f"{row['loss']:.2f}",
            (row["loss"], place),
            (0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=11,
        )
    axes.set_yticks(range(len(table)), table["name"])
    axes.set_ylim(len(table) - 0.5, -0.8)
    axes.margins(x=0.12)
    low, high = axes.get_xlim()
    axes.set_xlabel(
        f"held-out loss, nats (axis: {low:.1f} to {high:.1f})\nhollow: sees the hidden piece"
    )
    title(figure, "Teachers, alone and combined")
    return figure


def weights(table: pd.DataFrame) -> Figure:
    """Mean weight of each teacher under each rule, stacked to 100%.

    ``table``: rule, teacher, weight.
    """
    need(table, ["rule", "teacher", "weight"], "weights")
    rules, names = list(dict.fromkeys(table["rule"])), list(dict.fromkeys(table["teacher"]))
    figure, (axes,) = panels(height=1.7 + 0.5 * len(rules))
    shares = table.pivot(index="rule", columns="teacher", values="weight")
    left = pd.Series(0.0, index=rules)
    for place, name in enumerate(names):
        look, part = mark(place), shares.loc[rules, name]
        axes.barh(
            rules,
            100 * part,
            left=100 * left,
            color=look.color,
            hatch=look.hatch,
            edgecolor="white",
            label=name,
        )
        left = left + part
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("mean weight in %")
    legend_below(figure, axes, 2)
    title(figure, "Whom the rules trust")
    return figure
