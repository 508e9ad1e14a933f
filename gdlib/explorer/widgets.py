"""The explorer's widgets, where they stand and which action each calls; what an action does is
:mod:`gdlib.explorer.explorer`'s business.
"""

import os
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import numpy as np
from IPython import get_ipython

from gdlib.explorer.filters import FAR, GENERATED
from gdlib.explorer.frontend import Html, TextMap
from gdlib.explorer.html import looks
from gdlib.explorer.tools import AUTO, GROUPS, Tools, box, button
from gdlib.explorer.view import SampleView

if TYPE_CHECKING:
    from gdlib.explorer.explorer import Explorer

RULES = {
    "kept by the funnel, with my marks": "marks",
    "only the texts marked keep": "keep",
    "the texts shown by the filters": "shown",
}
MARKS = {
    "any": "",
    "marked keep": "keep",
    "marked drop": "drop",
    "with a note": "note",
    "not marked": "unmarked",
}
# What a dot's colour can say: the column of the view's frame.
COLOURS = {
    "teacher's class": "label",
    "student and teacher": "student",
    "real or generated": "source",
}


def live_frontend() -> bool:
    """Whether somebody sits before this kernel: JupyterLab and VS Code say so; papermill and
    nbconvert do not.
    """
    names = getattr(get_ipython(), "user_ns", {})
    return "JPY_SESSION_NAME" in os.environ or "__vsc_ipynb_file__" in names


def labelled(
    indent: int, kind: type[w.Widget], description: str, width: str | None = None, **more: Any
) -> w.Widget:
    """A control after its description, which takes so many pixels."""
    style = {"description_width": f"{indent}px"}
    return kind(description=description, layout=w.Layout(width=width), style=style, **more)


def filter_widgets(view: SampleView) -> dict[str, w.Widget]:
    """The controls of :class:`gdlib.explorer.view.Filters`, by the name of their field."""
    control = partial(labelled, 122)

    def category(description: str, column: str, **more: Any) -> w.Dropdown:
        counted = [(f"{name} ({count:,})", name) for name, count in view.counts(column).items()]
        return control(w.Dropdown, description, options=[("any", ""), *counted], **more)

    def span(description: str, highest: float, step: float, form: str) -> w.FloatRangeSlider:
        scale = {"min": 0.0, "max": highest, "value": (0.0, highest), "step": step}
        return control(w.FloatRangeSlider, description, readout_format=form, **scale)

    groups = [("any", ""), (f"of all groups ({sum(view.groups.values()):,})", -1)]
    first = islice(view.groups.items(), GROUPS)
    groups += [(f"like #{row}: {size:,} texts", row) for row, size in first]
    highest_entropy = float(np.ceil(np.log(max(2, len(view.labels))) * 100) / 100)
    alone = {"disabled": "student" not in view.probabilities}
    return {
        "search": control(w.Text, "Search", placeholder='words, or "a phrase"'),
        "source": category("Texts", "source", value=GENERATED),
        "fate": category("Dropped because", "fate"),
        "label": category("Teacher's class", "label"),
        "guess": category("Student's class", "guess", **alone),
        "student": category("Student", "student", **alone),
        "mark": control(w.Dropdown, "My mark", options=MARKS),
        "confidence": span("Confidence", 1.0, 0.01, ".2f"),
        "entropy": span("Entropy (nats)", highest_entropy, 0.01, ".2f"),
        "words": span("Length (words)", max(view.frame["words"], default=1.0), 1.0, "d"),
        "group": control(w.Dropdown, "Near-duplicates", options=groups),
        "sort": control(w.Dropdown, "Sort by", options=list(view.sorts)),
        "descending": w.Checkbox(description="largest first"),
    }


class Widgets:
    """Every widget of the explorer by name, in :attr:`app` as they stand on the page."""

    def __init__(self, explorer: "Explorer"):
        self.explorer, self.filters = explorer, filter_widgets(explorer.view)
        self.controls, self.map = tuple(self.filters.values()), None
        if explorer.view.placed.any():
            self.map = self.filters["brush"] = TextMap(explorer.view, explorer.act)
        for control in self.filters.values():
            control.observe(explorer.refilter, "value")
        self.unfiltered = {name: control.value for name, control in self.filters.items()}
        self.list, self.summary, self.detail = (Html(explorer.act) for _ in range(3))
        self.count, self.status, self.outcome = w.HTML(), w.HTML(), w.HTML()
        self.tools, self.log = Tools(explorer), w.Output()
        self.page = labelled(40, w.BoundedIntText, "Page", "130px", min=1, max=1)
        self.page.observe(lambda change: explorer.turn(change["new"] - 1 - explorer.page), "value")
        self.advance = w.Checkbox(description="go on after a mark", indent=False, layout=AUTO)
        hint = {"placeholder": "what you see; Enter keeps it", "continuous_update": False}
        self.note = labelled(40, w.Text, "Note", "auto", **hint)
        self.note.observe(lambda change: explorer.write_note(change["new"]), "value")
        self.rule = labelled(60, w.Dropdown, "Train on", "360px", options=RULES)
        self.rule.observe(self.refresh_tools, "value")
        far = self.unfiltered | {"source": "real", "sort": FAR, "descending": True}
        self.buttons = {
            "uncovered": button(
                "Real texts far from every generated one", explorer.set_filters, far
            ),
            "clear": button("Clear filters", explorer.clear_filters, icon="times"),
            "previous_page": button("Previous page", explorer.turn, -1),
            "next_page": button("Next page", explorer.turn, 1),
            "keep": button("Keep", explorer.mark, "keep", icon="check"),
            "drop": button("Drop", explorer.mark, "drop", icon="trash"),
            "unmark": button("Unmark", explorer.mark, ""),
            "previous_text": button("Previous text", explorer.step, -1),
            "next_text": button("Next text", explorer.step, 1),
            "keep_all": button("", explorer.mark_all, "keep"),
            "drop_all": button("", explorer.mark_all, "drop"),
            "undo": button("Undo", explorer.undo, icon="undo"),
            "save": button("Save marks", explorer.save_marks, icon="save", button_style="primary"),
            "train": button("", explorer.train_selection, icon="play", button_style="success"),
        }
        self.app = self._arranged(explorer)

    def refresh_tools(self, _: object = None) -> None:
        """Bring the buttons in line with what can be done now."""
        explorer = self.explorer
        place, left, page = explorer.place(), len(explorer.rows), explorer.page
        # To compare 100,000 marks takes as long as a filter; most of the time it is one table.
        is_one = explorer.marks is explorer.saved
        changed = not is_one and not explorer.marks.equals(explorer.saved)
        # Marks say what a student is to learn from: generated texts.
        is_open = explorer.current is not None and explorer.view.generated[explorer.current]
        chosen = explorer.view.selection(explorer.marks, self.rule.value, explorer.rows)
        # The unselected student has learnt from exactly these: a difference would be noise.
        selected = chosen != explorer.view.unselected
        possible = {
            "previous_page": page > 0,
            "next_page": page + 1 < self.page.max,
            **dict.fromkeys(("keep", "drop", "unmark"), is_open),
            "previous_text": place is not None and place > 0,
            "next_text": place is not None and place + 1 < left,
            **dict.fromkeys(("keep_all", "drop_all"), left),
            "undo": explorer.undoable,
            "save": explorer.path is not None and changed,
            "train": chosen and selected,
        }
        for name, is_possible in possible.items():
            self.buttons[name].disabled = not is_possible
        self.note.disabled = not is_open
        self.buttons["keep_all"].description = f"Keep all {left:,} shown"
        self.buttons["drop_all"].description = f"Drop all {left:,} shown"
        some = f"Train a student on {len(chosen):,} texts"
        every = f"Nothing is selected: all {len(chosen):,} texts, as in the run"
        self.buttons["train"].description = some if selected else every
        self.status.value = looks.status(explorer.marks, changed)

    def _arranged(self, explorer: "Explorer") -> w.Box:
        def line(*widgets: str | w.Widget) -> w.Box:
            return box("wrap", *(self.buttons.get(widget, widget) for widget in widgets))

        above = []
        if self.map is not None:
            colours = labelled(70, w.Dropdown, "Colour by", "260px", options=COLOURS)
            colours.observe(lambda change: self.map.colour_by(change["new"]), "value")
            uncovered = ["uncovered"] if FAR in explorer.view.sorts else []
            above = [line(colours, *uncovered), self.map, self.map.legend]
        paging = line("previous_page", self.page, "next_page")
        listing = w.VBox([*above, line(self.count, "clear"), self.list, paging])
        marking = line("keep", "drop", "unmark", "previous_text", "next_text", self.advance)
        warning = looks.notice(explorer.warning, "warning") if explorer.warning else ""
        training = [line(self.rule, "train"), self.outcome, self.log] if explorer.train else []
        return box(
            "app",
            w.HTML(looks.sheet() + warning),
            box("filters", *self.controls),
            box("main", listing, w.VBox([self.summary, marking, self.note, self.detail])),
            line("keep_all", "drop_all", "undo", "save", self.status),
            self.tools.app,
            *training,
        )
