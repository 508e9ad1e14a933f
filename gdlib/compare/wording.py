"""Values and texts as a report writes them in Markdown.

Texts come from data and from a generator: whatever they hold, they are shown and never interpreted.
"""

import html
import math
import numbers
import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd


def counted(number: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{number} {noun}{'s' * (number > 1)}"


def plain(value: Any) -> str:
    """One cell of a table: three digits after the point, lists in brackets, nothing where there is
    nothing.
    """
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(plain(one) for one in value) + "]"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if value is None or value is pd.NA or (isinstance(value, numbers.Real) and math.isnan(value)):
        return "–"
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
    if isinstance(value, numbers.Real):
        small = value != 0 and abs(value) < 0.001
        return f"{value:.2g}" if small else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"
    return str(value)


def number(value: float | str, unit: str = "") -> str:
    """A key number with its unit; a share as percent."""
    if unit == "share" and isinstance(value, numbers.Real):
        return f"{100 * value:.1f} %"
    return f"{plain(value)} {unit}".rstrip()


def numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers, which are set to the right."""
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def cell(value: Any) -> str:
    """A text for a Markdown table or heading: on one line, every character that Markdown or HTML
    would read escaped.
    """
    flat = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", html.escape(flat, quote=False))


def notag(text: str) -> str:
    """Markdown of ours that may quote data: tags become text, the Markdown stays."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def grid(table: pd.DataFrame, right: Collection[str] = ()) -> str:
    """A table in Markdown.

    Args:
        table: its columns and rows; the index is left out.
        right: columns that are set to the right, besides those that hold numbers.
    """
    columns = [str(name) for name in table.columns]
    sides = ["---:" if name in right or numeric(table[name]) else "---" for name in table.columns]
    rows = [map(plain, row) for row in table.itertuples(index=False, name=None)]
    lines = [map(cell, columns), sides, *(map(cell, row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
