"""Explore generated texts in JupyterLab: filter, compare, mark, and train a student on the marked
selection.

::

    table, labels, vectors, logits = study.opened()
    Explorer(table, labels, vectors=vectors, student_logits=logits, train=study.train_on)

This module says what a person can do; what is shown comes from :mod:`gdlib.explorer.view` (numbers)
and :mod:`gdlib.explorer.html` (looks). Filters, order and page live in the kernel, since marking,
stepping and training need them, and one page of texts is sent at a time. (A table that lives in
the browser, itables, told the kernel neither filters nor order, and lost both at every mark.)
Widgets die with their kernel, so a static page is displayed too, hidden while a live widget stands.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, display

from gdlib.core.errors import GdlibError
from gdlib.explorer.filters import Filters
from gdlib.explorer.html import looks, picture
from gdlib.explorer.marks import load_marks, save_marks
from gdlib.explorer.view import SampleView
from gdlib.explorer.widgets import Widgets, live_frontend

PAGE = 8  # texts


class Explorer:
    """Browse, filter, compare and mark the samples of a run. Displays itself at the end of a cell.

    Args:
        table, labels, vectors, student_logits: as :class:`gdlib.explorer.view.SampleView` has them.
        marks_path: JSON file of the marks; read now if it is there.
        train: trains a student on the samples in the given rows; returns at least ``accuracy``,
            ``baseline_accuracy`` (the same student on the unselected texts) and ``texts``.
        ask: the logits of "teacher" and "student" for a text that a person types. *Shape:*
            ``(classes,)`` each
    """

    def __init__(
        self,
        table: pd.DataFrame,
        labels: Sequence[str],
        *,
        vectors: np.ndarray | None = None,
        student_logits: np.ndarray | None = None,
        marks_path: str | os.PathLike[str] | None = None,
        train: Callable[[list[int]], Mapping[str, Any]] | None = None,
        ask: Callable[[str], Mapping[str, np.ndarray]] | None = None,
    ):
        self.view = SampleView(table, labels, student_logits, vectors)
        self.path = None if marks_path is None else Path(marks_path)
        self.train, self.ask = train, ask
        self.marks, self.warning = load_marks(self.path, self.view.digest, len(self.view))
        self.saved = self.marks
        self.results, self.undoable, self._is_setting = [], [], False

    @cached_property
    def ui(self) -> Widgets:
        """The widgets, made when first asked for: in a notebook without a frontend they would only
        leave dead state.
        """
        self.ui = Widgets(self)  # which the refresh asks for
        self.refresh(restart=True)
        return self.ui

    def show(self, live: bool = True) -> None:
        """Display the static page and, before a live frontend, the widget that hides it. The widget
        comes first: it is there within a second, and the page counts the words of all texts.

        Args:
            live: ``False`` shows the static page alone, wherever this runs.
        """
        if live and live_frontend():
            # An export shows nothing in the widget's place.
            display(self.ui.app._repr_mimebundle_() | {"text/html": ""}, raw=True)
        display(HTML(looks.static(self.view, self.marks, self.warning, picture(self.view))))

    def _ipython_display_(self) -> None:
        self.show()

    # ---- what is shown

    @property
    def filters(self) -> Filters:
        """What the filter widgets say; one that stands as it did at first is no filter."""
        values = {name: control.value for name, control in self.ui.filters.items()}
        return Filters(**dict(values.items() - self.ui.unfiltered.items()))

    @property
    def shown(self) -> list[int]:
        """The rows on this page."""
        return self.rows[self.page * PAGE :][:PAGE].tolist()

    def place(self) -> int | None:
        """Where the open text stands among those the filters left."""
        return next(iter(np.flatnonzero(self.rows == self.current).tolist()), None)

    def refresh(self, restart: bool = False) -> None:
        """Bring every widget in line with filters, page, marks and the open text.

        Args:
            restart: turn to the first page and open its first text.
        """
        ui, view, filters = self.ui, self.view, self.filters
        passes, among = view.passes(filters, self.marks), view.of(filters.source)
        self.rows = view.ordered(passes & among, filters)
        if restart:
            self.page, self.current = 0, int(self.rows[0]) if len(self.rows) else None
        pages = max(1, -(-len(self.rows) // PAGE))
        self.page = min(max(self.page, 0), pages - 1)
        with ui.page.hold_trait_notifications():
            ui.page.max, ui.page.value = pages, self.page + 1
        ui.note.value = self.marks["note"].get(self.current, "")
        ui.list.value = looks.lines(view, self.shown, self.marks, self.current)
        ui.count.value = looks.count(among.sum(), self.rows, self.page, pages)
        ui.summary.value = looks.summary(view, self.rows, np.flatnonzero(among))
        ui.detail.value = looks.detail(view, self.current, self.marks)
        if ui.map is not None:
            ui.map.show(passes, self.current)
        ui.tools.refresh()
        ui.refresh_tools()

    # ---- what a person does

    def set_filters(self, values: Mapping[str, Any]) -> None:
        """Set several filters, and filter once."""
        self._is_setting = True
        for name, value in values.items():
            self.ui.filters[name].value = value
        self._is_setting = False
        self.refilter()

    def refilter(self, _: object = None) -> None:
        """Show what the filters leave now, from its first page on."""
        if not self._is_setting:
            self.refresh(restart=True)

    def clear_filters(self) -> None:
        self.set_filters(self.ui.unfiltered)

    def act(self, content: Mapping[str, Any]) -> None:
        """What was clicked in the HTML or on the map: filters (a second click takes one back), a
        text to open, a guess in the quiz or the wish for another round.
        """
        if wanted := content.get("filters"):
            # What was a tuple comes back from the page as a list.
            wanted = {k: tuple(v) if isinstance(v, list) else v for k, v in wanted.items()}
            is_so = all(self.ui.filters[name].value == value for name, value in wanted.items())
            plain = {name: self.ui.unfiltered[name] for name in wanted}
            self.set_filters(plain if is_so else wanted)
        if "open" in content:
            self.open_text(content["open"])
        if "guess" in content:
            self.ui.tools.quiz.guess(*content["guess"])
        if "draw" in content:
            self.ui.tools.quiz.draw()
        self.ui.tools.refresh()

    def open_text(self, row: int) -> None:
        """Open any text, and the page of the list on which it is, if the filters left it."""
        self.current = row
        place = self.place()
        self.page = self.page if place is None else place // PAGE
        self.refresh()

    def turn(self, pages: int) -> None:
        if pages:
            self.page += pages
            self.refresh()

    def step(self, step: int) -> None:
        """To the next or previous text, and to the page it is on."""
        place = self.place()
        if place is not None and 0 <= place + step < len(self.rows):
            self.open_text(int(self.rows[place + step]))
        else:
            self.refresh()

    def _write(self, rows: Any, column: str, value: str) -> None:
        """Write a mark or a note to some rows, so that it can be undone."""
        self.undoable = [*self.undoable[-49:], self.marks]
        self.marks = self.marks.copy()
        self.marks.loc[rows, column] = value

    def mark(self, verdict: str) -> None:
        self._write(self.current, "mark", verdict)
        self.step(1) if self.ui.advance.value else self.refresh()

    def mark_all(self, verdict: str) -> None:
        self._write(self.rows[self.view.generated[self.rows]], "mark", verdict)
        self.refresh()

    def write_note(self, text: str) -> None:
        if text != self.marks["note"].get(self.current, ""):
            self._write(self.current, "note", text.strip())
            self.refresh()

    def undo(self) -> None:
        self.marks = self.undoable.pop()
        self.refresh()

    def save_marks(self) -> None:
        """Write the marks to ``marks_path``; what goes wrong is said beside the button."""
        try:
            save_marks(self.path, self.view.digest, self.marks)
            self.saved = self.marks
            self.ui.refresh_tools()
        except OSError as error:
            self.ui.status.value = looks.notice(f"the marks were not saved: {error}", "warning")

    def train_selection(self) -> None:
        """Train a student on the chosen rows: its progress bars below, then the result beside the
        unselected one.

        A message meant for people is shown as it is; any other error with its traceback, below the
        button. JupyterLab runs this outside the kernel's main thread (where its kernels know
        subshells): ``train`` can set no signal handler.
        """
        ui, problem = self.ui, "see the error below"
        rows = self.view.selection(self.marks, ui.rule.value, self.rows)
        ui.outcome.value = looks.notice(f"Training on {len(rows):,} texts ...", "soft")
        ui.buttons["train"].disabled = True
        ui.log.clear_output()
        with ui.log:
            try:
                self.results.append({"chosen": ui.rule.label, **self.train(rows)})
                problem = ""
                ui.log.clear_output()
            except (GdlibError, KeyboardInterrupt) as error:
                problem = str(error) or "stopped"
        ui.outcome.value = looks.results(self.results, problem)
        ui.refresh_tools()
