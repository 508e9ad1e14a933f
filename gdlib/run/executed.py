"""Executed notebooks as Markdown, so that their code and what it showed can be read on the web.

Figures and tables that the report has too are taken from there; no image is kept twice. Outputs are
shown as text and never interpreted, as in the report.
"""

import re
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

import pandas as pd
from nbformat import NotebookNode

from gdlib.core.wording import cell, grid, notag
from gdlib.run.live import plain

LONG = 4_000  # characters of one output that are shown
NOTEBOOKS, FIGURES = "notebooks", "../figures"


def as_markdown(
    notebook: NotebookNode, section: Mapping[str, Any], original: str, here: str
) -> tuple[str, dict[str, str]]:
    """An executed notebook as Markdown, and the SVG images that stand in no report.

    Args:
        notebook: as it was executed.
        section: its figures and tables in the report (:func:`gdlib.run.sections.section`).
        original: the notebook's path in the project, which its links are relative to.
        here: the path in the project that the Markdown will have.
    """
    images: dict[str, str] = {}
    shown = {
        _caption(figure["caption"]): f"![{cell(figure['words'])}]({FIGURES}/{figure['file']})"
        for figure in section["figures"]
    } | {_caption(table["caption"]): table["rows"] for table in section["tables"]}
    back = relpath(original, Path(here).parent.as_posix())
    parts = [f"*Executed from [{original}]({back}): prose, code, and what it showed.*"]
    for step in notebook.cells:
        if step.cell_type == "markdown":
            parts.append(_linked(step.source, original, here))
        elif step.source.strip():
            is_solution = "solution" in step.metadata.get("tags", ())
            parts += ["<details><summary>Solution</summary>"] * is_solution
            # Where artifacts are kept is no reader's.
            source = re.sub(r"(?m)^store = .*\n?", "", step.source)
            parts.append(_fenced(source, "python") if source.strip() else "")
            for output in step.outputs:
                parts += _shown(output, shown, images, Path(here).stem)
            parts += ["</details>"] * is_solution
    return "\n\n".join(part for part in parts if part.strip()) + "\n", images


def _shown(
    output: NotebookNode, shown: Mapping[str, str], images: dict[str, str], stem: str
) -> list[str]:
    """What one output showed: of a figure and a table of the report, its caption brings it."""
    if output.output_type == "stream":
        return [_fenced(plain(output.text))] if output.name == "stdout" else []
    data = output.get("data", {})
    if words := data.get("text/markdown"):
        is_caption = words in shown  # which is escaped but for formulas
        return [shown[words], words.replace("$", "\\$")] if is_caption else [notag(words)]
    if image := data.get("image/svg+xml"):
        name = f"{stem}-{len(images) + 1}.svg"
        images[name] = image
        words = data.get("text/plain", "<")  # a chart says what it shows
        return [
            f"![{'a figure of this notebook' if words.startswith('<') else cell(words)}]({name})"
        ]
    if "image/png" in data:  # the next output is its caption
        return []
    text = data.get("text/plain", "")
    if text.startswith("<pandas") and not shown:
        return [_table(data["text/html"])]
    return [] if re.match(r"<(pandas|Figure|IPython)|\w+\(", text) else [_fenced(text)]


def _table(styled: str) -> str:
    """A table in Markdown, from a styled one's HTML."""
    rows = [
        [
            unescape(re.sub("<[^>]*>", "", text))
            for text in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)
        ]
        for row in re.findall(r"<tr>(.*?)</tr>", styled, re.DOTALL)
    ]
    return grid(pd.DataFrame(rows[1:], columns=rows[0]))


def _caption(caption: str) -> str:
    """As :class:`~gdlib.core.products.Products` displays it."""
    return f"*{escape(caption, quote=False)}*"


def _fenced(text: str, language: str = "") -> str:
    cut = text if len(text) <= LONG or language else text[:LONG] + "\n..."
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{cut.rstrip()}\n{fence}"


def _linked(text: str, original: str, here: str) -> str:
    """Links to other files of the project, from where the Markdown lies."""

    def moved(match: re.Match[str]) -> str:
        place = normpath(f"{Path(original).parent.as_posix()}/{match[1]}")
        return f"]({relpath(place, Path(here).parent.as_posix())}{match[2] or ''})"

    return re.sub(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)]*)?\)", moved, text)
