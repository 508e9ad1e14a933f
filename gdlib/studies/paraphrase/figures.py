"""Figures of paraphrase detection.

F1 is a share (0..1) in the tables and percent in the figures.
"""

from collections.abc import Sequence
from html import escape
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from gdlib.charts.style import errors, legend_below, mark, need, panels, percent, title

CHANCE = 0.5


def matrix(table: pd.DataFrame, *, seeds: int, domain: str) -> Figure:
    """F1 by spinner trained on (rows) and tested on (columns), a panel a detector.

    ``table``: ``detector``, ``trained``, ``tested``, ``f1``.
    """
    need(table, ["detector", "trained", "tested", "f1"], "matrix")
    names, tools = list(dict.fromkeys(table["detector"])), list(dict.fromkeys(table["trained"]))
    rows = -(-len(names) // 2)
    figure, axes = panels(rows, 2, height=0.8 + rows * (0.9 + 0.55 * len(tools)))
    for one, name in zip(axes, names):
        of = (
            table[table["detector"] == name]
            .pivot(index="trained", columns="tested", values="f1")
            .loc[tools, tools]
        )
        one.imshow(of, cmap="Greys", vmin=0.3, vmax=1.25, aspect="auto")
        for i, j in product(range(len(tools)), repeat=2):
            one.text(
                j,
                i,
                f"{100 * of.iloc[i, j]:.1f}",
                ha="center",
                va="center",
                fontsize=13,
                fontweight="bold" if i == j else "normal",
            )
        one.set_xticks(range(len(tools)), tools, fontsize=10)
        one.set_yticks(range(len(tools)), tools, fontsize=10)
        one.tick_params(length=0)
        one.grid(visible=False)
        one.set_title(name, fontsize=12)
    for one in axes[len(names) :]:
        one.set_axis_off()
    figure.supxlabel("tested on the paraphrases of", fontsize=11)
    figure.supylabel("trained on those of", fontsize=11)
    title(figure, f"F1 in %, {domain}: in-tool in bold", seeds)
    return figure


def domains(table: pd.DataFrame, *, seeds: int) -> Figure:
    """F1 in-tool and cross-tool with intervals, a panel a domain.

    ``table``: ``domain``, ``detector``, ``tool``, ``f1``, ``low``, ``high``.
    """
    need(table, ["domain", "detector", "tool", "f1", "low", "high"], "domains")
    shown, names, tools = (
        list(dict.fromkeys(table[column])) for column in ("domain", "detector", "tool")
    )
    figure, axes = panels(
        len(shown), 1, height=1.4 + len(shown) * (0.6 + 0.42 * len(names)), sharex=True
    )
    for one, domain in zip(axes, shown, strict=True):
        for number, tool in enumerate(tools):
            of, look = (
                table[(table["domain"] == domain) & (table["tool"] == tool)]
                .set_index("detector")
                .loc[names],
                mark(number),
            )
            places = [place + 0.3 * (number - (len(tools) - 1) / 2) for place in range(len(names))]
            one.errorbar(
                of["f1"],
                places,
                xerr=errors(of, "f1"),
                marker=look.marker,
                color=look.color,
                linestyle="",
                capsize=3,
                label=tool,
            )
        one.axvline(CHANCE, color="black", linestyle=":", linewidth=1.3)
        one.set_yticks(range(len(names)), names)
        one.set_ylim(len(names) - 0.5, -0.5)
        one.set_title(f"{domain} (trained on)" if domain == shown[0] else domain, fontsize=12)
        percent(one.xaxis)
    low, high = axes[-1].get_xlim()
    axes[-1].set_xlabel(f"F1 in % (axis: {100 * low:.0f} to {100 * high:.0f}; dotted: 50)")
    legend_below(figure, axes[0], 2)
    title(figure, "F1 by domain, in-tool and cross-tool", seeds)
    return figure


def differences(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Paired differences with intervals over texts.

    ``table``: ``detector``, ``against``, ``tool``, ``where``, ``difference``, ``low``, ``high``,
    ``resolved``.
    """
    need(
        table,
        ["detector", "against", "tool", "where", "difference", "low", "high", "resolved"],
        "differences",
    )
    pairs = list(dict.fromkeys(zip(table["detector"], table["against"])))
    kinds = list(dict.fromkeys(zip(table["tool"], table["where"])))
    figure, axes = panels(
        len(pairs), 1, height=1.2 + len(pairs) * (0.5 + 0.3 * len(kinds)), sharex=True
    )
    for one, (detector, against) in zip(axes, pairs, strict=True):
        of = table[(table["detector"] == detector) & (table["against"] == against)]
        for place, row in enumerate(of.to_dict("records")):
            look, span = (
                mark(kinds.index((row["tool"], row["where"]))),
                [[row["difference"] - row["low"]], [row["high"] - row["difference"]]],
            )
            filled = look.color if row["resolved"] else "white"
            one.errorbar(
                row["difference"],
                place,
                xerr=span,
                marker=look.marker,
                color=look.color,
                markerfacecolor=filled,
                capsize=3,
            )
        one.axvline(0, color="black", linewidth=1)
        one.set_yticks(range(len(of)), of["tool"] + ", " + of["where"], fontsize=10)
        one.set_ylim(len(of) - 0.5, -0.5)
        one.set_title(f"{detector} minus {against}", fontsize=12)
        percent(one.xaxis)
    axes[-1].set_xlabel("points of F1 (filled: resolved)")
    title(figure, "Paired differences", seeds)
    return figure


def side_by_side(heading: str, originals: Sequence[str], spun: dict[str, Sequence[str]]) -> str:
    """Originals beside what spinners made of them as an HTML table, changed words marked; every
    text is escaped.
    """

    def marked(text: str, original: str) -> str:
        pairs = zip(text.split(), original.split(), strict=True)
        return " ".join(
            f"<mark>{escape(word)}</mark>" if word != before else escape(word)
            for word, before in pairs
        )

    head = "".join(f"<th>{escape(name)}</th>" for name in ("original", *spun))
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align: left; vertical-align: top">{cell}</td>'
            for cell in (escape(text), *(marked(of[i], text) for of in spun.values()))
        )
        + "</tr>"
        for i, text in enumerate(originals)
    )
    return (
        f'<h4>{escape(heading)}</h4><table class="tex2jax_ignore '
        f'mathjax_ignore"><tr>{head}</tr>{rows}</table>'
    )
