"""Figures of encoders on tasks of language understanding.

Scores are shares (0..1) in the tables and hundredths in the figures. ``seeds``: how many seeds the
numbers are means over.
"""

import pandas as pd
from matplotlib.figure import Figure

from gdlib import charts


def _values(table: pd.DataFrame) -> pd.DataFrame:
    """The table in the vocabulary of charts."""
    columns = {"task": "panel", "encoder": "arm", "score": "value", "difference": "value"}
    return table.rename(columns=columns)


def quality(table: pd.DataFrame, *, seeds: int) -> Figure:
    """The score of every encoder by each task's ``metric``, and the ``megaflops`` of a text."""
    table = _values(table)
    return charts.forest(
        table.assign(
            panel=table["panel"] + ": " + table["metric"],
            note=table["megaflops"].map("{:,.0f} MFLOP".format),
        ),
        title="Score by encoder, and operations a text",
        label="score in hundredths",
        seeds=seeds,
        shared=False,
        numbers=True,
    )


def differences(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Paired differences of two encoders by task, a panel per question."""
    table = _values(table)
    if "question" not in table:
        table = table.assign(arm=table["arm"] + " minus " + table["against"])
    return charts.forest(
        table.assign(question=table["arm"]),
        title="Forgotten or gained?",
        label="points; thick: over texts, thin: over seeds; hollow: not resolved",
        seeds=seeds,
        panel="question",
        row="panel",
        zero=True,
    )


def sizes(table: pd.DataFrame, *, seeds: int) -> Figure:
    """The score by number of training texts (``size``), a panel per task."""
    return charts.lines(
        _values(table),
        x="size",
        x_label="training texts",
        title="Score by number of training texts",
        label="score in hundredths",
        seeds=seeds,
        log=True,
    )
