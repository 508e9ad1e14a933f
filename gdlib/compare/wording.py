"""Values and texts as a report writes them, safe for HTML and for Markdown.

Texts come from data and from a generator: whatever they hold, they are shown and never interpreted.
"""

import html
import math
import numbers
import re
from typing import Any

import numpy as np
import pandas as pd
from markdown_it import MarkdownIt
from markupsafe import Markup

_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .disable(["image", "html_block", "html_inline"])
)


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


def markdown(text: str) -> Markup:
    """Markdown as HTML, without raw HTML, images, or links that run something."""
    return Markup(_MARKDOWN.render(text))  # markdown-it escapes what it does not itself write


def line(text: str) -> Markup:
    """One line of Markdown (a caption) as HTML."""
    return Markup(_MARKDOWN.renderInline(text))
