"""What a stage shows: figures, tables and numbers, kept for the report as the notebook displays
them.

::

    out = Products(store, recipe)
    out.figure("learning-curve", fig, "Held-out loss by epoch.")
    out.table("confusion", frame, "Rows: gold; columns: the teacher.")
    out.number("teacher accuracy", 0.79, "share")
    out.timing("labelling", 213.0, "texts/s")  # kept apart from what must be identical
    out.close()  # writes all of it; if the notebook failed before, nothing
"""

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from gdlib.core.scope import KNOB, Scope, Undeclared
from gdlib.core.store import Artifact, Store
from gdlib.core.wording import numeric, plain, readable

INSET = "inset.html"
NO_XML = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
"""Characters that the name of a class may hold and no SVG file."""


class Products:
    """Collects the products of one stage; :meth:`write` writes them as one artifact of kind
    ``products``.

    Args:
        store: where they go.
        recipe: what made them: at least ``study``, ``stage`` and the settings in force.
        scope: notes what the stage reads; a knob that is not among the settings of the recipe is
            refused at the end, since a change of it would leave the products as they are.
    """

    def __init__(self, store: Store, recipe: dict[str, Any], scope: Scope | None = None):
        self.store, self.recipe, self.scope = store, recipe, scope or Scope()
        parts = {"figures": {}, "words": {}, "tables": {}, "numbers": {}, "notes": []}
        self.index: dict[str, Any] = {"abstract": "", **parts}
        self.timings: dict[str, Any] = {"numbers": {}, "figures": {}, "words": {}}
        self._figures: dict[str, Figure] = {}
        self._tables: dict[str, pd.DataFrame] = {}
        self._aside: dict[str, pd.DataFrame] = {}
        self._inset = ""

    def close(self) -> None:
        """The last line of a notebook, which would show what it returns: :meth:`write`."""
        self.write()

    def write(self) -> Artifact:
        """Write everything; what the same recipe left before is replaced.

        Raises:
            Undeclared: the stage has read a knob that does not decide it.
        """
        knobs = {name for sort, name in self.scope.names if sort == KNOB}
        if foreign := sorted(knobs - set(self.recipe.get("settings", knobs))):
            raise Undeclared(
                f"the stage {self.recipe['stage']} reads {', '.join(foreign)}, which neither it "
                "nor a stage that it needs has; it would stay as it is when they change"
            )
        return self.store.make("products", self.recipe, self._write, again=True)

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Show a figure with its caption and keep it (SVG and PNG), with its words, as a chart has
        them (:mod:`gdlib.charts.words`).
        """
        self._figure(self.index, name, figure, caption)

    def timed_figure(self, name: str, figure: Figure, caption: str) -> None:
        """A figure that shows timings: kept with them."""
        self._figure(self.timings, name, figure, caption)

    def _figure(self, index: dict[str, Any], name: str, figure: Figure, caption: str) -> None:
        index["figures"][name] = caption
        index["words"][name] = getattr(figure, "words", "")
        self._figures[name] = figure
        display(figure, _words(caption))
        plt.close(figure)  # or the notebook's backend shows it a second time

    def table(self, name: str, table: pd.DataFrame, caption: str, shown: int = 60) -> None:
        """Show a table with its caption (its first ``shown`` rows) and keep it whole (Parquet and
        JSON). The index is dropped.
        """
        self._tables[name] = table.reset_index(drop=True)
        self.index["tables"][name] = caption
        display(_words(caption), styled(readable(self._tables[name].head(shown))))

    def number(self, name: str, value: float | int | str, unit: str = "") -> None:
        """Keep a key number; the line that a run prints for the stage shows it."""
        self.index["numbers"][name] = {"value": value, "unit": unit}

    def timing(self, name: str, value: float, unit: str = "s") -> None:
        """Keep a timing, apart from everything that must be byte-identical when the stage is run
        again.
        """
        self.timings["numbers"][name] = {"value": value, "unit": unit}

    def note(self, text: str) -> None:
        """A sentence for the report (Markdown), shown in the notebook too."""
        self.index["notes"].append(text)
        display(Markdown(text))

    def abstract(self, text: str) -> None:
        """What the report begins with: the answers in sentences (Markdown)."""
        self.index["abstract"] = text
        display(Markdown(text))

    def inset(self, html: str) -> None:
        """Keep a part of the report's page that is more than Markdown can say. The caller has
        escaped what it quotes; the notebook does not show it, and it is not published.
        """
        self._inset = html

    def aside(self, name: str, table: pd.DataFrame) -> None:
        """Keep a table (Parquet) that neither the notebook nor the report shows."""
        self._aside[name] = table

    def _write(self, folder: Path) -> None:
        for name, figure in self._figures.items():
            drawn = folder / f"{name}.svg"
            figure.savefig(drawn, metadata={"Date": None})
            drawn.write_text(re.sub(NO_XML, " ", drawn.read_text("utf-8")), "utf-8")
            figure.savefig(folder / f"{name}.png", metadata={"Software": None})
        for name, table in self._tables.items():
            table.to_parquet(folder / f"{name}.parquet", index=False)
            table.to_json(folder / f"{name}.json", orient="records", indent=1, force_ascii=False)
        for name, table in self._aside.items():
            table.to_parquet(folder / f"{name}.parquet", index=False)
        for name, content in {"products": self.index, "timings": self.timings}.items():
            text = json.dumps(content, indent=1, ensure_ascii=False)
            (folder / f"{name}.json").write_text(text, "utf-8")
        if self._inset:
            (folder / INSET).write_text(self._inset, "utf-8")


def _words(caption: str) -> Markdown:
    """A caption, which may quote the name of a corpus or of a class: no tag in it is one."""
    return Markdown(f"*{escape(caption, quote=False)}*")


def styled(table: pd.DataFrame) -> Styler:
    """A table for a notebook: no index, values as in the report, texts to the left."""
    texts = [k for k, (_, column) in enumerate(table.items()) if not numeric(column)]
    left = [{"selector": f".col{k}", "props": "text-align: left"} for k in texts]
    shown = table.style.hide(axis="index").format(lambda value: escape(plain(value)))
    return shown.format_index(escape="html", axis=1).set_table_styles(left)


def read_index(artifact: Artifact) -> dict[str, Any]:
    """The captions and numbers of a ``products`` artifact."""
    return artifact.json("products.json")
