"""Figures of entity F1, a share (0..1) in the tables and percent in the figures.

``silver``: the sentences are made ones, and the title says so. ``options`` are those of the chart.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from gdlib import charts
from gdlib.compare.tables import TEACHER
from gdlib.learn.strategies import STRATEGIES

MARKS = charts.marks_of(STRATEGIES) | {TEACHER: charts.BLACK}


def _options(table: pd.DataFrame, title: str, silver: bool) -> dict[str, Any]:
    """What all figures have; "D1, as long as D4.2" is drawn like D1."""
    return {
        "table": table.assign(mark=table["arm"].str.replace(",.*", "", regex=True)),
        "title": f"{title}, silver text" if silver else title,
        "label": "entity F1 in %",
        "marks": MARKS,
    }


def forest(table: pd.DataFrame, title: str, *, silver: bool, **options: Any) -> Figure:
    """F1 with intervals, row by row."""
    return charts.forest(**_options(table, title, silver), **options)


def lines(table: pd.DataFrame, title: str, *, silver: bool, **options: Any) -> Figure:
    """F1 by a number, on a logarithmic axis."""
    return charts.lines(**_options(table, title, silver), log=True, **options)


def languages(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """F1 by ``language`` of the teacher and of students, the teacher's best ones on top."""
    teacher = table[table["arm"] == TEACHER].sort_values("value", ascending=False, kind="stable")
    rows = table.set_index("language").loc[teacher["language"]].reset_index()
    return forest(rows, "F1 by language", silver=silver, seeds=seeds, row="language")


def sizes(
    table: pd.DataFrame, title: str, x: str, x_label: str, *, seeds: int, silver: bool
) -> Figure:
    """F1 of every ``size`` of student and of the teacher by the column ``x``, a line per ``batch``
    if there is that column.
    """
    names = "batch " + table["batch"].astype(str) if "batch" in table else "students"
    arm = table["size"].where(table["size"] == TEACHER, names)
    once = ~table.duplicated("size")  # beside one of its points
    drawn = table.assign(arm=arm, note=table["size"].where(once, ""))
    of_x = {"x": x, "x_label": x_label}
    return lines(drawn, title, silver=silver, seeds=seeds, references=(TEACHER,), **of_x)
