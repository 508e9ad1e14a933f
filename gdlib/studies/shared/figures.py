"""Figures of students of texts and of the texts they learn from: which table a chart draws, and in
what words.

Accuracies and other shares are 0..1 in the tables and percent in the figures. ``seeds`` is how many
seeds a figure speaks for.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from gdlib import charts
from gdlib.charts import Mark
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks.arms import ARMS, MAIN_ARM
from gdlib.studies.shared import titles

BASELINES = {
    "majority": ":",
    "tfidf-lr": "--",
    "tfidf-svm": (0, (1, 1)),
    "static-lr": "-.",
    "encoder-lr": (0, (6, 1, 1, 1, 1, 1)),
    "setfit": (0, (3, 2)),
    "teacher": "-",
}
"""No students: lines and no dots."""
MARKS = (
    charts.marks_of(ARMS)
    | charts.marks_of(STRATEGIES)
    | {name: Mark("#000000", "", line) for name, line in BASELINES.items()}
)
COSTS = {"latency": "milliseconds per text", "megaflops": "millions of operations per text"}
ACCURACY = "accuracy in %"


def _in_families(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each arm's family (``mark``), its arms next to each other."""
    families = {r"^generated /\d+$": MAIN_ARM, ",.*": ""}  # "D1, as long as D4.2" is drawn like D1
    table = table.assign(mark=table["arm"].replace(families, regex=True)).reset_index(drop=True)
    divisor = table["arm"].str.extract(r"^generated /(\d+)$")[0].astype(float).fillna(1)
    order = table.assign(family=pd.factorize(table["mark"])[0], fewer=-divisor)
    return table.loc[order.sort_values(["family", "fewer"], kind="stable").index]


def arms(table: pd.DataFrame, *, seeds: int, what: str = "Accuracy by arm") -> Figure:
    """Accuracy of every arm with its interval, a panel per student, the baselines as lines."""
    return charts.forest(
        _in_families(table),
        title=titles.arms(table, what),
        label=ACCURACY,
        seeds=seeds,
        marks=MARKS,
        references=tuple(BASELINES),
    )


def differences(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Every paired difference that a study asks for, with its intervals; hollow: not resolved."""
    return charts.forest(
        table.assign(arm=table["question"]),
        title=titles.differences(table),
        label="points of accuracy",
        seeds=seeds,
        marks={question: Mark("#000000", "o", "-") for question in table["question"]},
        zero=True,
    )


def sizes(
    table: pd.DataFrame, references: pd.DataFrame, *, seeds: int, texts: str = "generated"
) -> Figure:
    """Accuracy by number of texts, a panel per student, the references as lines."""
    sweep = table.assign(arm=f"{texts} texts", mark=MAIN_ARM)
    return charts.lines(
        pd.concat([sweep, references.assign(mark=references["arm"])]),
        x="size",
        x_label=f"{texts} texts",
        title=titles.sizes(table, texts),
        label=ACCURACY,
        seeds=seeds,
        marks=MARKS,
        references=references["arm"].tolist(),
        log=True,
    )


def labels(
    table: pd.DataFrame, *, seeds: int, what: str = "Accuracy by number of labels"
) -> Figure:
    """Accuracy by gold labels per class (``size``), a line per arm."""
    return charts.lines(
        table.assign(panel=""),
        x="size",
        x_label="gold labels per class",
        title=what,
        label=ACCURACY,
        seeds=seeds,
        marks=MARKS,
        log=True,
    )


def hard_soft(table: pd.DataFrame, *, seeds: int) -> Figure:
    """Hard pseudo-labels against soft ones.

    Args:
        table: ``panel``, ``hard`` and ``soft`` (accuracies), ``low`` and ``high`` (the interval of
            soft minus hard).
        seeds: how many the numbers are means over.
    """
    points = 100 * table[["low", "high"]].assign(gap=table["soft"] - table["hard"])
    notes = [f"{row.gap:+.1f} [{row.low:.1f}, {row.high:.1f}]" for row in points.itertuples()]
    both = table[["hard", "soft"]].assign(student=table["panel"], note=notes)
    return charts.forest(
        both.melt(["student", "note"], ["soft", "hard"], "arm"),
        title=titles.hard_soft(points),
        label=ACCURACY,
        seeds=seeds,
        row="student",
    )


def cost_quality(table: pd.DataFrame, *, seeds: int, cost: str = "latency") -> Figure:
    """Accuracy by what a text costs, a column of :data:`COSTS`; the legend has ``parameters``."""
    parameters = table["parameters"].map(charts.short)
    return charts.lines(
        table.assign(arm=table["name"] + ": " + parameters + " parameters", panel=""),
        x=cost,
        x_label=COSTS[cost],
        title=titles.cost_quality(table, cost),
        label=ACCURACY,
        seeds=seeds,
        log=True,
    )


def steps(table: pd.DataFrame, *, seeds: int, what: str = "accuracy") -> Figure:
    """Quality by optimisation steps; hollow: a strategy given as many steps as another."""
    table = _in_families(table).assign(panel="")
    table["resolved"] = table["arm"] == table["mark"]
    return charts.lines(
        table,
        x="steps",
        x_label="optimisation steps of the training",
        title=f"Steps and {what}",
        label=f"{what} in %",
        seeds=seeds,
        marks=MARKS,
        references=("teacher",),
        log=True,
    )


def label_shares(labels_of: Mapping[str, ArrayLike], classes: Sequence[str]) -> Figure:
    """Share of texts by the label that the teacher gives, for two sets of texts: the classes of
    which the first has more above, those of which it has fewer below.
    """
    shares = pd.DataFrame(
        {
            name: np.bincount(np.asarray(given), minlength=len(classes)) / max(len(given), 1)
            for name, given in labels_of.items()
        },
        index=classes,
    )
    one, other = shares.columns
    gap = (shares[one] - shares[other]).sort_values(ascending=False, kind="stable")
    rows = shares.loc[gap.index].rename_axis("class").reset_index()
    return charts.forest(
        rows.melt("class", var_name="arm"),
        title=f"Most too often: {gap.index[0]} ({100 * gap.iloc[0]:+.1f} points); "
        f"most too seldom: {gap.index[-1]} ({100 * gap.iloc[-1]:+.1f})",
        label="% of texts by the label that the teacher gives",
        row="class",
    )


def confusion(counts: ArrayLike, labels: Sequence[str]) -> Figure:
    """Of the texts of each gold class the share that was given each label, from the counts."""
    counts = pd.DataFrame(np.asarray(counts, dtype=float), index=labels, columns=labels)
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    right = 100 * np.trace(counts) / max(counts.to_numpy().sum(), 1)
    return charts.matrix(
        shares.rename_axis("gold label").reset_index().melt("gold label", var_name="given label"),
        title=f"{right:.1f} % of the labels are right; % of each gold class",
        rows="gold label",
        columns="given label",
    )
