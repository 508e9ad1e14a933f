"""Titles of figures that say what was found, from the numbers that are drawn.

Accuracies are 0..1 in the tables and percent in the titles. No title picks the best of several: it
speaks of what a study names before it is run, or of all together.
"""

import pandas as pd

from gdlib import charts
from gdlib.networks.arms import MAIN_ARM

ALONE = "labelled only"


def arms(table: pd.DataFrame, what: str) -> str:
    """The main arm beside labels alone, the mean over the students; ``what`` where the table has
    not both.
    """
    students = table[table["panel"] != ""] if "panel" in table else table
    values = students.groupby("arm")["value"].mean()
    if not {MAIN_ARM, ALONE} <= set(values.index):
        return what
    number = students["panel"].nunique() if "panel" in table else 1
    over = f"Mean of {number} students: " if number > 1 else ""
    main, alone = 100 * values[MAIN_ARM], 100 * values[ALONE]
    return f"{over}{main:.1f} with generated texts, {alone:.1f} without"


def differences(table: pd.DataFrame, what: str = "") -> str:
    """How many of the differences are resolved, after the words that say ``what`` differs."""
    number = len(table)
    count = f"{table['resolved'].sum()} of {number} difference{'s'[: number != 1]} resolved"
    return f"{what} {count}".strip()


def sizes(table: pd.DataFrame, texts: str) -> str:
    """Accuracy with the fewest and with the most texts, the mean over the students."""
    values = 100 * table.groupby("size")["value"].mean().sort_index()
    few, many = map(charts.short, (values.index[0], values.index[-1]))
    return f"{values.iloc[0]:.1f} with {few} {texts} texts, {values.iloc[-1]:.1f} with {many}"


def hard_soft(points: pd.DataFrame) -> str:
    """The gaps between soft and hard labels (``gap``, in points), student by student."""
    gaps = ", ".join(f"{gap:+.1f}" for gap in points["gap"])
    return f"Soft labels minus hard ones: {gaps} points"


def cost_quality(table: pd.DataFrame, cost: str) -> str:
    """The cheapest network beside the dearest: how much cheaper, and how much less accurate."""
    if len(table) < 2 or cost not in table:
        return "Cost and quality"
    ordered = table.sort_values(cost)
    cheap, dear = ordered.iloc[0], ordered.iloc[-1]
    times, points = dear[cost] / cheap[cost], 100 * (cheap["value"] - dear["value"])
    return f"{cheap['name']} costs 1/{times:.0f} of {dear['name']}, at {points:+.1f} points"
