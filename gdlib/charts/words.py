"""What a figure says: numbers as they are written in it, and all of it in words, for those who do
not see it.
"""

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.figure import Figure

MOST = 16  # values that are read out at most: the tables have all


class Described(Figure):
    """A figure that can be read aloud; :attr:`words` are its alternative text."""

    words = ""

    def __repr__(self) -> str:
        """The words: a notebook keeps them beside the picture."""
        return self.words or super().__repr__()


def described(kind: str, values: Iterable[str]) -> str:
    """A chart in words: what is drawn, and what can be read off, a value after the other."""
    values = list(values)
    more = [f"and {len(values) - MOST:,} more"] if len(values) > MOST else []
    return f"{kind}: {'; '.join(values[:MOST] + more)}."


def read_off(table: pd.DataFrame, columns: Sequence[str], percent: bool) -> list[str]:
    """The value of each row of a table, with its interval, after what it is of.

    Args:
        table: as :func:`gdlib.charts.style.complete` returns it.
        columns: that say what a row is of.
        percent: whether the values are shares.
    """
    found = []
    for row in table.to_dict("records"):
        of = named(str(row[column]) for column in columns)
        ends = [written(row[end], percent) for end in ("low", "high") if row[end] == row[end]]
        interval = [f"[{', '.join(ends)}]"] if len(ends) == 2 else []
        found.append(" ".join(filter(None, [of, written(row["value"], percent), *interval])))
    return found


def named(parts: Iterable[str]) -> str:
    """What a value is of; an empty part is not said, nor is one a second time."""
    return ", ".join(filter(None, dict.fromkeys(parts)))


def short(value: float) -> str:
    """A count in few letters: ``950``, ``1,413``, ``12.7k``, ``22.7M``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, 1e4):
            return f"{value / size:.3g}{letter}"
    if value >= 1e3:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def written(value: float, percent: bool) -> str:
    """A value as it is written beside its dot or line."""
    return f"{100 * value:.1f}" if percent else f"{value:.2f}"
