"""Figures of masked-language-model distillation. Losses are in nats per hidden piece.

Plain MLM is black, single teachers are grey and rules are in colour, in every figure.
"""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from gdlib import charts
from gdlib.charts import Mark
from gdlib.learn.names import RULES
from gdlib.studies.mlm.settings import FREQUENCIES, MORE_TEXTS, PLAIN_ARM

ALONE = "frequencies alone"


def marks(arms: Iterable[str]) -> dict[str, Mark]:
    """How arms are drawn."""
    plain = {PLAIN_ARM: charts.BLACK, MORE_TEXTS: replace(charts.BLACK, marker="+", line="--")}
    known = charts.marks_of([*RULES, FREQUENCIES]) | plain
    teachers = [arm for arm in dict.fromkeys(arms) if arm not in known]
    return known | charts.marks_of(teachers, charts.GREYS)


def by_start(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a panel per start."""
    return table.assign(panel="start: " + table["start"])


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
    names = {"loss": "value", "low": "seeds_low", "high": "seeds_high"}
    table = by_start(table).rename(columns=names)
    columns = table.columns.intersection(["seeds_low", "seeds_high"])
    table[columns] = table[columns].where(table["arm"] == PLAIN_ARM)
    if frequency is not None:
        level = pd.DataFrame({"panel": [""], "arm": [ALONE], "value": [frequency]})
        table = pd.concat([table, level])
    return charts.lines(
        table,
        x=x,
        x_label="step" if x == "step" else "seconds of training",
        title="Convergence",
        label="held-out loss (nats)",
        seeds=seeds,
        marks=marks(table["arm"]) | {ALONE: Mark("#000000", "", ":")},
        references=(ALONE,),
        percent=False,
    )
