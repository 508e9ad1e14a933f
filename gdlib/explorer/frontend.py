"""The two widgets of our own: HTML in which things can be clicked, and the map of texts.

The map is drawn on a plain canvas. Of kept libraries, jupyter-scatter was tried: it draws more
beautifully, but by WebGL, and shows an empty place where a browser has none (remote desktops,
virtual machines); it adds 30 MB and a second to the first view, and has no mark for an open text.
"""

from collections.abc import Callable
from typing import Any

import anywidget
import ipywidgets as w
import numpy as np
import traitlets

from gdlib.core.templates import source
from gdlib.explorer.html import looks
from gdlib.explorer.view import SampleView


class Html(anywidget.AnyWidget):
    """HTML whose parts with ``data-act`` can be clicked: what stands there goes to ``act``."""

    _esm = source("explorer_html.js")
    value = traitlets.Unicode("").tag(sync=True)

    def __init__(self, act: Callable[[dict[str, Any]], None], **given: Any):
        super().__init__(**given)
        self.on_msg(lambda _, content, __: act(content))


class TextMap(anywidget.AnyWidget):
    """The map of a view's texts. As a control among the filters its ``value`` is the brushed
    rectangle (lowest x and y, highest x and y), or nothing.

    Args:
        view: the texts, of which those with a place are drawn.
        act: is given ``{"open": row}`` when a dot is clicked.
    """

    _esm = source("explorer_map.js")
    places, kinds, codes, shown = (traitlets.Bytes().tag(sync=True) for _ in range(4))
    palette = traitlets.List().tag(sync=True)
    current = traitlets.Int(-1).tag(sync=True)
    value = traitlets.Tuple().tag(sync=True)

    def __init__(self, view: SampleView, act: Callable[[dict[str, Any]], None]):
        # Dots are numbered among the texts with a place, which not every row has.
        self.view, self.rows, self.legend = view, np.flatnonzero(view.placed), w.HTML()
        frame = view.frame.iloc[self.rows]
        super().__init__(
            places=frame[["x", "y"]].to_numpy(np.float32).tobytes(),
            kinds=frame["source"].cat.codes.to_numpy(np.uint8).tobytes(),
            shown=bytes(len(self.rows)),
        )
        self.colour_by("label")
        self.on_msg(lambda _, content, __: act({"open": int(self.rows[content["open"]])}))

    def colour_by(self, column: str) -> None:
        """Colour the dots by a column of the view's frame."""
        codes, palette, self.names = self.view.coloured(column)
        with self.hold_sync():
            self.palette, self.codes = palette, codes[self.rows].tobytes()
        self.legend.value = looks.legend(self.names, palette)

    def show(self, passes: np.ndarray, row: int | None) -> None:
        """Show the texts that pass above the others, and mark the open one. *Shape:* ``[texts]``"""
        places = np.flatnonzero(self.rows == row)
        with self.hold_sync():
            self.shown = passes[self.rows].astype(np.uint8).tobytes()
            self.current = int(places[0]) if len(places) else -1
