"""Figures of masked-language-model distillation. Losses are in nats a hidden piece.

Plain MLM is black, single teachers are grey and rules are in colour, in every figure. ``seeds``:
how many seeds the numbers are means over.
"""

import pandas as pd
from matplotlib.figure import Figure

from gdlib import charts
from gdlib.charts import Mark
from gdlib.learn.names import RULES
from gdlib.studies.mlm.settings import PLAIN_ARM

FREQUENCIES = "frequencies alone"


def _values(table: pd.DataFrame) -> pd.DataFrame:
    """The table in the vocabulary of charts."""
    columns = {"loss": "value", "name": "arm", "rule": "arm", "weight": "value"}
    table = table.rename(columns=columns)
    return table.assign(panel="start: " + table["start"]) if "start" in table else table


def _marks(table: pd.DataFrame) -> dict[str, Mark]:
    marks = charts.marks_of(RULES) | {PLAIN_ARM: charts.BLACK}
    teachers = [arm for arm in table["arm"].unique() if arm not in marks]
    return marks | charts.marks_of(teachers, charts.GREYS)


def curves(
    table: pd.DataFrame, *, seeds: int, x: str = "step", frequency: float | None = None
) -> Figure:
    """Held-out loss by ``step`` or ``seconds``, a panel per start.

    Args:
        table: ``start``, ``arm``, ``loss``, the column ``x``; maybe ``low`` and ``high`` over
            seeds, drawn for plain MLM alone.
        seeds: how many the lines are means over.
        x: the column.
        frequency: the loss of one who knows the pieces' frequencies alone: above it nothing of the
            context is used.
    """
    table = _values(table).rename(columns={"low": "seeds_low", "high": "seeds_high"})
    columns = table.columns.intersection(["seeds_low", "seeds_high"])
    table[columns] = table[columns].where(table["arm"] == PLAIN_ARM)
    if frequency is not None:
        level = pd.DataFrame({"panel": [""], "arm": [FREQUENCIES], "value": [frequency]})
        table = pd.concat([table, level])
    return charts.lines(
        table,
        x=x,
        x_label="step" if x == "step" else "seconds of training",
        title="Convergence",
        label="held-out loss (nats)",
        seeds=seeds,
        marks=_marks(table) | {FREQUENCIES: Mark("#000000", "", ":")},
        references=(FREQUENCIES,),
        percent=False,
    )


def gaps(table: pd.DataFrame, *, seeds: int) -> Figure:
    """How far each arm is below (or above) plain MLM at the same step, a panel per start."""
    table = _values(table)
    plain = table[table["arm"] == PLAIN_ARM]
    at = ["panel", "step"]
    both = table.merge(plain[[*at, "value"]], on=at, suffixes=("", "_of_plain"))
    gaps = both[[*at, "arm"]].assign(value=both["value"] - both["value_of_plain"])
    return charts.lines(
        gaps,
        x="step",
        x_label="step",
        title="Held-out loss minus that of plain MLM",
        label="nats (below 0: better)",
        seeds=seeds,
        marks=_marks(table),
        references=(PLAIN_ARM,),
        percent=False,
    )


def steps(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Steps until an arm is as low as plain MLM at its end, a panel per start."""
    table = _values(table).rename(columns={"steps": "value"})
    return charts.forest(
        table.assign(resolved=table["reached"] == table["units"]),
        title="As low as plain MLM at its end",
        label="steps; 95% over texts (thick) and over seeds (thin)\n"
        "hollow: not every seed got there, those count as the last step",
        seeds=seeds,
        marks=_marks(table),
        percent=False,
        zero=True,
    )


def predictors(table: pd.DataFrame) -> Figure:
    """Held-out loss of each teacher and rule as a predictor; hollow where it ``sees gold``."""
    table = _values(table)
    return charts.forest(
        table.assign(resolved=~table["sees gold"].astype(bool)),
        title="Teachers, alone and combined",
        label="held-out loss, nats\nhollow: sees the hidden piece",
        marks=_marks(table),
        percent=False,
        numbers=True,
    )


def weights(table: pd.DataFrame) -> Figure:
    """Mean ``weight`` of each ``teacher`` under each ``rule``."""
    return charts.bars(
        table.rename(columns={"weight": "value", "teacher": "arm"}),
        title="Whom the rules trust",
        label="mean weight in %",
        row="rule",
        percent=True,
        stacked=True,
    )
