"""Values and texts as a report writes them in Markdown, and tables as people read them.

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

HEADERS = {
    "balanced_accuracy": "balanced accuracy",
    "calibrated_ece": "calibration error, calibrated",
    **{f"distinct_{n}": f"distinct-{n}" for n in (1, 2, 3)},
    "ece": "calibration error",
    "embedding_dim": "embedding dimensions",
    "hidden_dim": "hidden dimensions",
    "labels_per_class": "labels per class",
    "macro_f1": "macro-F1",
    "megaflops": "million operations",
    "model_seeds": "model seeds",
    "panel": "for",
    "seeds": "over seeds",
    "self_bleu": "self-BLEU",
    "student_seed": "student seed",
    "words": "words per text",
}
"""Columns whose header is not their name."""
SHARES = (
    *("balanced_accuracy", "macro_f1", "agreement", "ece", "calibrated_ece", "retention"),
    *("changed", "found", "spared"),  # of paraphrases
    *("held-out", "with held-out"),  # of word senses, as the next
    *("semeval2013", "semeval2015", "senseval2", "senseval3"),
)
"""Columns beside a share that are shares too."""
WIDE = 12  # columns: more of them, over a few rows, are read better as rows
SPOKEN = ("left", "right", "value", "low", "high", "seeds_low", "seeds_high", "resolved")
"""Columns of a table of differences that its ``words`` or its ``question`` say."""


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
        return f"{int(value):,}"
    if isinstance(value, numbers.Real):
        small = value != 0 and abs(value) < 0.001
        return f"{value:.2g}" if small else f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"
    return str(value)


def number(value: float | str, unit: str = "") -> str:
    """A key number with its unit and four digits; a share as percent, ``x`` as so many times."""
    if unit == "share" and isinstance(value, numbers.Real):
        return f"{value:.1%}"
    if unit == "x":
        return f"{value:,.0f}×" if abs(value) >= 10 else f"{value:.1f}×"
    short = isinstance(value, float) and 1 <= abs(value) < 10_000
    return f"{value:.4g} {unit}".rstrip() if short else f"{plain(value)} {unit}".rstrip()


def numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers, written out or not, which are set to the right."""
    if pd.api.types.is_numeric_dtype(column):
        return not pd.api.types.is_bool_dtype(column)
    written = [isinstance(value, str) and re.fullmatch(r"[\d,.]+|–", value) for value in column]
    return bool(written) and all(written)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table of arms or of differences (:mod:`gdlib.compare.tables`) as people read it; of any
    other the headers alone change, and one of few rows and many columns is turned.

    A value and its 95% interval are one cell, in percent where all values are shares, and so is the
    interval over seeds. Of a difference the words stand for all of that. What answers the question
    comes first; a column with nothing in it goes, and one that names the same panel throughout.
    """
    shown, titles, names = table, dict(HEADERS), set(table.columns)
    if {"left", "right", "words"} <= names:
        unit = ", points" if table["words"].str.contains("] points", regex=False).all() else ""
        titles["words"] = "difference" + unit
        shown = _in_order(shown.drop(columns=[*SPOKEN], errors="ignore"))
    elif {"arm", "value", "low", "high"} <= names:
        share = bool((table[["value", "low", "high"]].abs().max() <= 1).all())
        titles["value"] = "% [95% interval]" if share else "value [95% interval]"
        shown = _in_order(_with_intervals(table, share))
        for name in shown.columns.intersection(SHARES if share else ()):
            shown = shown.assign(**{name: table[name].map("{:.1%}".format).replace("nan%", "–")})
    headers = [titles.get(name, name) for name in shown.columns]
    many = shown is table and len(headers) > WIDE and len(table) <= len(headers) / 3
    shown = shown.set_axis(headers, axis=1) if len(set(headers)) == len(headers) else shown
    return _turned(shown) if many and table.iloc[:, 0].is_unique else shown


def _turned(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its columns as rows: its first column names what were its rows."""
    names, *columns = [column.map(plain).tolist() for _, column in table.items()]
    rows = [[title, *values] for title, values in zip(table.columns[1:], columns)]
    return pd.DataFrame(rows, columns=["", *names])


def _with_intervals(table: pd.DataFrame, share: bool) -> pd.DataFrame:
    """The values as texts with their intervals; ``seeds`` is the one over seeds."""
    scale, digits = (100, 1) if share else (1, 3)

    def written(value: float) -> str:
        return f"{scale * value:.{digits}f}"

    def intervals(low: str, high: str) -> list[str]:
        pairs = zip(table.get(low, np.nan * table["value"]), table.get(high, table["value"]))
        return ["" if np.isnan(a) else f"[{written(a)}, {written(b)}]" for a, b in pairs]

    around = zip(map(written, table["value"]), intervals("low", "high"))
    shown = table.drop(columns=["low", "high", "seeds_low", "seeds_high"], errors="ignore")
    values = [" ".join(pair).strip() for pair in around]
    return shown.assign(value=values, seeds=intervals("seeds_low", "seeds_high"))


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The table with what answers the question first, without columns that say nothing, and without
    the unit in every cell of differences in points.
    """
    first = ("arm", "question", "panel", "value", "seeds", "words", "minus", "retention")
    places = {name: name.split(" ")[0] for name in table.columns}
    place = {k: first.index(v) if v in first else len(first) for k, v in places.items()}
    kept = [
        name
        for name in sorted(place, key=place.get)
        if not (table[name].isna() | (table[name] == "")).all()
        and (name != "panel" or table[name].replace("", np.nan).nunique() > 1)
    ]
    return table[kept].replace(r"\] points", "]", regex=True)


def cell(value: Any) -> str:
    """A text for a Markdown table or heading: on one line, every character that Markdown, HTML or
    a formula would read escaped, none that colours a terminal or turns the direction of text.
    """
    flat = " ".join(re.sub(UNSEEN, " ", str(value)).split())
    return re.sub(r"([\\`*_\[\]|~#!$])", r"\\\1", html.escape(flat, quote=False))


UNSEEN = "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def notag(text: str) -> str:
    """Markdown of ours that may quote data: tags and formulas become text, the Markdown stays; no
    character colours a terminal or turns the direction of text.
    """
    seen = re.sub(rf"(?!\n){UNSEEN}", " ", text)
    return seen.replace("&", "&amp;").replace("<", "&lt;").replace("$", "\\$")


def linked(text: str) -> str:
    """The same, with its papers as links."""
    return re.sub(r"arXiv (\d{4}\.\d{5})", r"[\g<0>](https://arxiv.org/abs/\1)", notag(text))


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
