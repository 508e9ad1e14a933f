"""The explorer's widgets and where they stand; what they do is :mod:`gdlib.explorer.explorer`'s
business.
"""

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as w
import numpy as np

from gdlib.explorer.html import STYLE as LOOKS
from gdlib.explorer.html import framed
from gdlib.explorer.view import SampleView

RULES = {
    "kept by the funnel, with my marks": "marks",
    "only the texts marked keep": "keep",
    "the texts shown by the filters": "shown",
}
STYLE = """<style>
#main .gdx-static { display: none; }
.gdx-app, .gdx-app .widget-box { overflow: hidden; } .gdx-app .widget-html-content { line-height: 1.45; }
.gdx-app .gdx-filters { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 2px 24px; }
.gdx-app .gdx-filters > * { width: auto; margin: 2px 0; }
.gdx-app .gdx-main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 24px; margin-top: 6px; }
.gdx-app > .gdx-wrap { border-top: 1px solid var(--jp-border-color2, #ccc); }
.gdx-app .gdx-row { position: relative; border-top: 1px solid var(--jp-border-color2, #ccc); }
.gdx-app .gdx-row .widget-html { width: 100%; margin: 0; }
.gdx-app .gdx-row button { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; z-index: 1; opacity: 0; }
.gdx-app .gdx-row:hover { background: #8881; }
.gdx-app .gdx-row.gdx-current { background: #3f83cf22; box-shadow: inset 3px 0 #3f83cf; }
.gdx-app .gdx-row:focus-within { outline: 2px solid #3f83cf; outline-offset: -2px; }
.gdx-app .gdx-wrap { flex-wrap: wrap; align-items: center; gap: 2px 4px; padding: 3px 0; }
.gdx-app [data-mime-type$=stderr], .gdx-app [data-mime-type$=stderr] pre { background: none; }
.gdx-app button:focus-visible, .gdx-app input:focus-visible { outline: 2px solid #3f83cf; outline-offset: -2px; }
.gdx-busy { height: 6px; border-radius: 3px; background: repeating-linear-gradient(90deg, #3f83cf 0 24px, #3f83cf55 24px 48px);
  background-size: 48px; animation: gdx-move 1s linear infinite; } @keyframes gdx-move { to { background-position: 48px; } }
</style>"""


def button(description: str = "", **more: Any) -> w.Button:
    return w.Button(description=description, layout=w.Layout(width="auto"), **more)


def line(*widgets: w.Widget) -> w.Box:
    """Widgets side by side, the last ones below where there is no room."""
    made = w.HBox(list(widgets))
    made.add_class("gdx-wrap")
    return made


class Widgets:
    """Every widget of the explorer by name, in :attr:`app` as they stand on the page.

    Args:
        view: the samples, for the choices and their counts.
        page_size: texts a page.
        warning: said on top.
        trains: with the controls to train a student.
    """

    def __init__(self, view: SampleView, page_size: int, warning: str, trains: bool):
        fates = [(f"{fate} ({count:,})", fate) for fate, count in view.fate_counts().items()]
        classes = [
            (f"{name} ({count:,})", k)
            for k, (name, count) in enumerate(view.label_counts().items())
        ]
        against = [
            (f"right ({view.right.sum():,})", "right"),
            (f"wrong ({view.wrong.sum():,})", "wrong"),
        ]
        marked = [
            ("marked keep", "keep"),
            ("marked drop", "drop"),
            ("with a note", "note"),
            ("not marked", "unmarked"),
        ]
        label = {"style": {"description_width": "122px"}}
        self.search = w.Text(description="Search", placeholder='words, or "a phrase"', **label)
        self.fate = w.Dropdown(
            description="Dropped because", options=[("any", None), *fates], **label
        )
        self.label = w.Dropdown(
            description="Teacher's class", options=[("any", None), *classes], **label
        )
        self.student = w.Dropdown(
            description="Student is", options=[("any", None), *against], **label
        )
        self.student.disabled = view.student is None
        self.mark = w.Dropdown(description="My mark", options=[("any", None), *marked], **label)
        self.confidence = self._span("Confidence", 1.0, **label)
        self.entropy = self._span(
            "Entropy (nats)", np.ceil(np.log(max(2, len(view.labels))) * 100) / 100, **label
        )
        self.sort = w.Dropdown(description="Sort by", options=list(view.sorts), **label)
        self.descending = w.Checkbox(description="largest first", indent=True, **label)
        self.clear = button("Clear filters", icon="times")
        self.choices = (self.fate, self.label, self.student, self.mark, self.sort)
        self.spans = (self.confidence, self.entropy)
        self.filters = (self.search, *self.choices[:-1], *self.spans, self.sort, self.descending)

        self.summary, self.count, self.detail, self.status, self.outcome = (
            w.HTML() for _ in range(5)
        )
        self.lines = [w.HTML() for _ in range(page_size)]
        self.openers = [
            button() for _ in range(page_size)
        ]  # lie over their line, unseen: a click or Enter opens it
        self.slots = [
            w.Box([opener, text]) for opener, text in zip(self.openers, self.lines, strict=True)
        ]
        self.back, self.forth = button("Previous page"), button("Next page")
        narrow = {"layout": w.Layout(width="130px"), "style": {"description_width": "40px"}}
        self.page = w.BoundedIntText(description="Page", min=1, max=1, **narrow)

        self.keep = button("Keep", icon="check", tooltip="mark this text keep")
        self.drop = button("Drop", icon="trash", tooltip="mark this text drop")
        self.unmark = button("Unmark", tooltip="take the mark away")
        self.before, self.after = button("Previous text"), button("Next text")
        self.advance = w.Checkbox(
            description="go on after a mark", indent=False, layout=w.Layout(width="auto")
        )
        wide = {"layout": w.Layout(width="auto"), "style": {"description_width": "40px"}}
        self.note = w.Text(
            description="Note",
            placeholder="what you see; Enter keeps it",
            continuous_update=False,
            **wide,
        )
        self.keep_all, self.drop_all = button(), button()
        self.undo = button("Undo", icon="undo", tooltip="take the last mark or note back")
        self.save = button("Save marks", icon="save", button_style="primary")

        self.rule = w.Dropdown(
            description="Train on", options=list(RULES.items()), style={"description_width": "60px"}
        )
        self.rule.layout.width = "360px"
        self.train = button(icon="play", button_style="success")
        self.log = w.Output()
        self.app = self._arranged(warning, trains)

    @staticmethod
    def _span(description: str, highest: float, **more: Any) -> w.FloatRangeSlider:
        scale = {
            "min": 0.0,
            "max": float(highest),
            "value": (0.0, float(highest)),
            "step": 0.01,
            "readout_format": ".2f",
        }
        return w.FloatRangeSlider(description=description, **scale, **more)

    def _arranged(self, warning: str, trains: bool) -> w.Box:
        style = w.HTML(f"{STYLE}<style>{LOOKS}</style>", layout=w.Layout(display="none"))
        said = [w.HTML(framed(f'<p class="warning">{escape(warning)}</p>'))] if warning else []
        filters = w.Box(list(self.filters))
        listing = w.VBox(
            [line(self.count, self.clear), *self.slots, line(self.back, self.page, self.forth)]
        )
        marking = line(self.keep, self.drop, self.unmark, self.before, self.after, self.advance)
        main = w.Box([listing, w.VBox([marking, self.note, self.detail])])
        tools = line(self.keep_all, self.drop_all, self.undo, self.save, self.status)
        training = [line(self.rule, self.train), self.outcome, self.log] if trains else []
        app = w.VBox([style, *said, filters, self.summary, main, tools, *training])
        for box, name in (
            (app, "app"),
            (filters, "filters"),
            (main, "main"),
            *((slot, "row") for slot in self.slots),
        ):
            box.add_class(f"gdx-{name}")
        return app

    def on_click(self, actions: dict[w.Button, Callable[[], None]]) -> None:
        """What each button does."""
        for widget, action in actions.items():
            widget.on_click(lambda _, action=action: action())
