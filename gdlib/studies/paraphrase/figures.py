"""Figures of paraphrase detection: F1, a share (0..1) in the tables and percent in the figures.

``seeds``: how many seeds the numbers are means over.
"""

from collections.abc import Sequence
from html import escape

import pandas as pd
from matplotlib.figure import Figure

from gdlib import charts
from gdlib.charts import Mark

CHANCE = "chance"


def matrix(table: pd.DataFrame, *, seeds: int, domain: str) -> Figure:
    """F1 by spinner trained on (rows) and tested on (columns), a panel per detector."""
    names = {"trained": "trained on those of", "tested": "tested on the paraphrases of"}
    return charts.matrix(
        table.rename(columns=names),
        title=f"F1 in %, {domain}: in-tool in bold",
        rows=names["trained"],
        columns=names["tested"],
        panel="arm",
        seeds=seeds,
        digits=1,
    )


def domains(table: pd.DataFrame, *, seeds: int) -> Figure:
    """F1 in-tool and cross-tool with intervals, a panel per domain; training was in the first."""
    own = table["panel"].iloc[0]
    panel = table["panel"].replace(own, f"{own} (trained on)")
    dots = table.assign(detector=table["arm"], arm=table["tool"], panel=panel)
    return charts.forest(
        pd.concat([dots, pd.DataFrame({"arm": [CHANCE], "value": [0.5]})]),
        title="F1 by domain, in-tool and cross-tool",
        label="F1 in %",
        seeds=seeds,
        row="detector",
        marks={CHANCE: Mark("#000000", "", ":")},
        references=(CHANCE,),
    )


def differences(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Paired differences of F1 by tool and place, a panel per question."""
    return charts.forest(
        table.assign(arm=table["tool"] + ", " + table["where"]),
        title="Paired differences",
        label="points of F1 (filled: resolved)",
        seeds=seeds,
        panel="question",
        zero=True,
    )


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
