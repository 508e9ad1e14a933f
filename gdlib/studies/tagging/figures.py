"""Figures of entity F1, a share (0..1) in the tables and percent in the figures.

``silver``: the sentences are made ones, and the title says so. ``seeds``: how many seeds the
numbers are means over.
"""

import pandas as pd
from matplotlib.figure import Figure

from gdlib import charts
from gdlib.learn.strategies import STRATEGIES

F1 = "entity F1 in %"
MARKS = charts.marks_of(STRATEGIES) | {"teacher": charts.BLACK}


def _in_families(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each arm's family: "D1, as long as D4.2" is drawn like D1."""
    return table.assign(mark=table["arm"].str.replace(",.*", "", regex=True))


def _title(text: str, silver: bool) -> str:
    return f"{text}, silver text" if silver else text


def languages(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """F1 by ``language`` of the teacher and of students, the teacher's best ones on top."""
    teacher = table[table["arm"] == "teacher"].set_index("language")["value"]
    best_first = {"key": lambda names: -names.map(teacher), "kind": "stable"}
    return charts.forest(
        _in_families(table).sort_values("language", **best_first),
        title=_title("F1 by language", silver),
        label=F1,
        seeds=seeds,
        row="language",
        marks=MARKS,
    )


def strategies(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """Mean F1 of every strategy with its interval over sentences, the teacher's as a line."""
    return charts.forest(
        _in_families(table),
        title=_title("F1 by strategy", silver),
        label=F1,
        seeds=seeds,
        marks=MARKS,
        references=("teacher",),
    )


def curve(
    table: pd.DataFrame,
    label: str,
    *,
    seeds: int,
    silver: bool,
    lines: pd.DataFrame | None = None,
) -> Figure:
    """F1 by ``size``, a line per arm; ``lines``: arms to read it against."""
    levels = [] if lines is None else lines["arm"].tolist()
    return charts.lines(
        _in_families(pd.concat([table, lines])),
        x="size",
        x_label=label,
        title=_title(f"F1 by {label}", silver),
        label=F1,
        seeds=seeds,
        marks=MARKS,
        references=levels,
        log=True,
    )


def compression(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """F1 by how many ``times fewer`` parameters a ``size`` has than the teacher."""
    x_label = "times fewer parameters than the teacher"
    return _sizes(table, "times fewer", x_label, _title("Compression and F1", silver), seeds)


def speed(table: pd.DataFrame, *, seeds: int, silver: bool) -> Figure:
    """F1 by how many ``times faster`` than the teacher a ``size`` is, a line per ``batch``."""
    x_label = "times faster than the teacher"
    return _sizes(table, "times faster", x_label, _title("Speed and F1", silver), seeds)


def _sizes(table: pd.DataFrame, x: str, x_label: str, title: str, seeds: int) -> Figure:
    teacher, students = table["size"] == "teacher", pd.Series("students", table.index)
    batch = "batch " + table["batch"].astype(str) if "batch" in table else students
    return charts.lines(
        table.assign(arm=batch.mask(teacher, "teacher"), note=table["size"]),
        x=x,
        x_label=x_label,
        title=title,
        label=F1,
        seeds=seeds,
        references=("teacher",),
        marks=MARKS,
        log=True,
    )
