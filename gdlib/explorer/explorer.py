"""Explore generated texts in JupyterLab: filter, compare, mark, and train a student on the marked
selection.

::

    Explorer(study.samples(), splits.labels, splits.train, marks_path=path, train=study.train_on)

This module says what a person can do; what is shown comes from :mod:`gdlib.explorer.view` (numbers)
and :mod:`gdlib.explorer.html` (looks). Filters, order and page live in the kernel, since marking,
stepping and training need them, and one page of texts is sent at a time: a hundred thousand open in
two seconds. (A table that lives in the browser, itables, took 40, told the kernel neither filters
nor order, and lost both at every mark.) Widgets die with their kernel, so a static page is
displayed too, hidden for as long as the live widget stands.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from IPython.display import HTML, display

from gdlib.core.errors import GdlibError
from gdlib.explorer.html import looks
from gdlib.explorer.marks import load_marks, save_marks
from gdlib.explorer.view import Filters, SampleView
from gdlib.explorer.widgets import Widgets, live_frontend

if TYPE_CHECKING:
    from gdlib.sources.splits import Part


class Explorer:
    """Browse, filter, compare and mark the samples of a run. Displays itself at the end of a cell.

    Args:
        table: the samples (see :class:`gdlib.explorer.view.SampleView`).
        labels: class names.
        labelled: the labelled texts the generator was trained on, among which the nearest one is
            looked up.
        student_logits: a student's logits for every sample. *Shape:* ``(texts, classes)``
        marks_path: JSON file of the marks; read now if it is there.
        train: trains a student on the samples in the given rows; returns at least ``accuracy``,
            ``baseline_accuracy`` (the same student on the unselected texts) and ``texts``.
        page_size: texts per page.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        labels: Sequence[str],
        labelled: "Part",
        *,
        student_logits: np.ndarray | None = None,
        marks_path: str | os.PathLike[str] | None = None,
        train: Callable[[list[int]], Mapping[str, Any]] | None = None,
        page_size: int = 8,
    ):
        self.view = SampleView(table, labels, labelled, student_logits)
        self.path = None if marks_path is None else Path(marks_path)
        self.train, self.page_size = train, page_size
        self.marks, self.warning = load_marks(self.path, self.view.digest, len(self.view))
        self.saved = self.marks
        self.results: list[Mapping[str, Any]] = []
        self._undo: list[pd.DataFrame] = []
        self._ui: Widgets | None = None

    @property
    def ui(self) -> Widgets:
        """The widgets, made when first asked for: in a notebook without a frontend they would only
        leave dead state.
        """
        if self._ui is None:
            self._ui = Widgets(self)
            self.refresh(restart=True)
        return self._ui

    def show(self, live: bool = True) -> None:
        """Display the static page and, before a live frontend, the widget that hides it.

        Args:
            live: ``False`` shows the static page alone, wherever this runs.
        """
        display(HTML(looks.static(self.view, self.marks, self.warning)))
        if live and live_frontend():
            # An export shows nothing in the widget's place.
            display(self.ui.app._repr_mimebundle_() | {"text/html": ""}, raw=True)

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
        start = self.page * self.page_size
        return self.rows[start : start + self.page_size].tolist()

    def _place(self) -> int | None:
        """Where the open text stands among those the filters left."""
        places = np.flatnonzero(self.rows == self.current)
        return int(places[0]) if len(places) else None

    def refresh(self, restart: bool = False) -> None:
        """Bring every widget in line with filters, page, marks and the open text.

        Args:
            restart: turn to the first page and open its first text.
        """
        ui, view = self.ui, self.view
        self.rows = view.select(self.filters, self.marks)
        if restart:
            self.page, self.current = 0, int(self.rows[0]) if len(self.rows) else None
        pages = max(1, -(-len(self.rows) // self.page_size))
        self.page = min(max(self.page, 0), pages - 1)
        for line, row in zip_longest(ui.lines, self.shown):
            line.show(row, looks.line(view, row, self.marks), current=row == self.current)
        with ui.page.hold_trait_notifications():
            ui.page.max, ui.page.value = pages, self.page + 1
        ui.note.value = self.marks["note"].get(self.current, "")
        ui.count.value = looks.count(view, self.rows, self.page, pages)
        ui.summary.value = looks.summary(view, self.rows)
        ui.detail.value = looks.detail(view, self.current, self.marks)
        self.refresh_tools()

    def refresh_tools(self, _: object = None) -> None:
        """Bring the buttons in line with what can be done now."""
        ui, place, left = self.ui, self._place(), len(self.rows)
        is_open, changed = self.current is not None, not self.marks.equals(self.saved)
        chosen = self.view.selection(self.marks, ui.rule.value, self.rows)
        # The unselected student has learnt from exactly these: a difference would be noise.
        selected = chosen != self.view.unselected
        ui.enable(
            previous_page=self.page > 0,
            next_page=self.page + 1 < ui.page.max,
            keep=is_open,
            drop=is_open,
            unmark=is_open,
            previous_text=place is not None and place > 0,
            next_text=place is not None and place + 1 < left,
            keep_all=left,
            drop_all=left,
            undo=self._undo,
            save=self.path is not None and changed,
            train=chosen and selected,
        )
        ui.note.disabled = not is_open
        ui.buttons["keep_all"].description = f"Keep all {left:,} shown"
        ui.buttons["drop_all"].description = f"Drop all {left:,} shown"
        ui.buttons["train"].description = (
            f"Train a student on {len(chosen):,} texts"
            if selected
            else f"Nothing is selected: all {len(chosen):,} texts, as in the run"
        )
        ui.status.value = looks.status(self.marks, changed)

    # ---- what a person does

    def clear_filters(self) -> None:
        for name, value in self.ui.unfiltered.items():
            self.ui.filters[name].value = value

    def turn_to(self, page: int) -> None:
        if page != self.page:
            self.page = page
            self.refresh()

    def turn(self, pages: int) -> None:
        self.turn_to(self.page + pages)

    def open(self, line: int) -> None:
        self.current = self.shown[line]
        self.refresh()

    def step(self, step: int) -> None:
        """To the next or previous text, and to the page it is on."""
        place = self._place()
        if place is not None and 0 <= place + step < len(self.rows):
            self.current, self.page = int(self.rows[place + step]), (place + step) // self.page_size
        self.refresh()

    def _write(self, rows: Any, column: str, value: str) -> None:
        """Write a mark or a note to some rows, so that it can be undone."""
        self._undo = [*self._undo[-49:], self.marks]
        self.marks = self.marks.copy()
        self.marks.loc[rows, column] = value

    def mark(self, verdict: str) -> None:
        self._write(self.current, "mark", verdict)
        self.step(1) if self.ui.advance.value else self.refresh()

    def mark_all(self, verdict: str) -> None:
        self._write(self.rows, "mark", verdict)
        self.refresh()

    def write_note(self, text: str) -> None:
        if text != self.marks["note"].get(self.current, ""):
            self._write(self.current, "note", text.strip())
            self.refresh()

    def undo(self) -> None:
        self.marks = self._undo.pop()
        self.refresh()

    def save_marks(self) -> None:
        """Write the marks to ``marks_path``; what goes wrong is said beside the button."""
        try:
            save_marks(self.path, self.view.digest, self.marks)
            self.saved = self.marks
            self.refresh_tools()
        except OSError as error:
            self.ui.status.value = looks.notice(f"the marks were not saved: {error}", "warning")

    def train_selection(self) -> None:
        """Train a student on the chosen rows: its progress bars below, then the result beside the
        unselected one.

        A message meant for people is shown as it is; any other error with its traceback, below the
        button. JupyterLab runs this outside the kernel's main thread (where its kernels know
        subshells): ``train`` can set no signal handler.
        """
        ui = self.ui
        rows = self.view.selection(self.marks, ui.rule.value, self.rows)
        ui.outcome.value = looks.training(len(rows))
        ui.enable(train=False)
        ui.log.clear_output()
        problem = "see the error below"
        with ui.log:
            try:
                self.results.append({"chosen": ui.rule.label, **self.train(rows)})
                problem = ""
                ui.log.clear_output()
            except (GdlibError, KeyboardInterrupt) as error:
                problem = str(error) or "stopped"
        ui.outcome.value = looks.results(self.results, problem)
        self.refresh_tools()
