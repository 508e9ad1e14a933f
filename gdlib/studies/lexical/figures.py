"""Figures of word sense disambiguation: F1, a share (0..1) in the tables, percent in the figures.

``seeds``: how many seeds the numbers are means over.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from gdlib import charts
from gdlib.charts import Mark
from gdlib.studies.lexical.baselines import BASELINES

COSTS = {
    "megaflops": "millions of operations an answer",
    "ms an instance": "milliseconds an answer",
}


def methods(table: pd.DataFrame, *, seeds: int) -> Figure:
    """F1 on all test sets of every trained method; what needs no training are lines."""
    return charts.forest(
        table,
        title="Which sense is meant?",
        label="F1 in %",
        seeds=seeds,
        references=BASELINES,
        numbers=True,
    )


def by_pos(table: pd.DataFrame, shown: Sequence[str], *, seeds: int) -> Figure:
    """F1 by part of speech (``pos``), a panel each; ``shown``: the methods in order."""
    panel = [f"{row.pos} ({row.instances:,} instances)" for row in table.itertuples()]
    table = table.assign(panel=panel, place=table["arm"].map(list(shown).index))
    return charts.forest(
        table.sort_values("place", kind="stable"),
        title="F1 by part of speech",
        label="F1 in %",
        seeds=seeds,
        marks=dict.fromkeys(BASELINES, Mark("#777777", "o", "")),
    )


def cost_f1(
    table: pd.DataFrame, *, seeds: int, cost: str = "megaflops", measure: str = "F1"
) -> Figure:
    """F1 by what an answer costs, a column of :data:`COSTS`; ``measure``: which F1."""
    return charts.lines(
        table,
        x=cost,
        x_label=COSTS[cost],
        title="Cost of an answer",
        label=f"{measure} in %",
        seeds=seeds,
        log=True,
    )


def sizes(table: pd.DataFrame, *, seeds: int, texts: str = "training instances") -> Figure:
    """F1 by number of training instances (``size``), a line per trained method."""
    return charts.lines(
        table[~table["arm"].isin(BASELINES)],
        x="size",
        x_label=texts,
        title=f"F1 by number of {texts}",
        label="F1 in %",
        seeds=seeds,
        log=True,
    )
