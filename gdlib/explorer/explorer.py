"""Explore generated texts in JupyterLab: filter, compare, mark, and train a student on the marked
selection.

::

    Explorer(study.samples(), splits.labels, splits.train, student_logits=logits, marks_path=path, train=study.train_on)

This module says what the widgets do; what they show comes from :mod:`gdlib.explorer.view` (numbers)
and :mod:`gdlib.explorer.html` (looks), what they are from :mod:`gdlib.explorer.widgets`. Widgets
die with their kernel, so a static page is displayed too; the live widget hides it for as long as it
lives.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import HTML, display

from gdlib.core.errors import GdlibError
from gdlib.explorer import html as looks
from gdlib.explorer.view import Filters, Marks, Nearest, SampleView, load_marks
from gdlib.explorer.widgets import RULES, Widgets

if TYPE_CHECKING:
    from gdlib.sources.splits import Part


def live_frontend() -> bool:
    """Whether somebody sits before this kernel: JupyterLab and VS Code say so; papermill and
    nbconvert do not.
    """
    shell = get_ipython()
    return "JPY_SESSION_NAME" in os.environ or (
        shell is not None and "__vsc_ipynb_file__" in shell.user_ns
    )


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
        page_size: texts a page.
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
        self.view = SampleView(table, labels, student_logits)
        self.nearest, self.classes = Nearest(labelled.texts), labelled.labels
        self.path = None if marks_path is None else Path(marks_path)
        self.train, self.page_size = train, page_size
        self.marks, self.warning = Marks(self.view.digest), ""
        if self.path is not None:
            self.marks, self.warning = load_marks(self.path, self.view.digest, len(self.view))
        self.saved = self.marks.copy()
        self.results: list[dict[str, Any]] = []
        self._undo: list[Marks] = []
        self._setting = False  # while widgets are set from here and not by the person
        self._ui: Widgets | None = None

    @property
    def ui(self) -> Widgets:
        """The widgets, made when first asked for: in a notebook without a frontend they would only
        leave dead state.
        """
        if self._ui is None:
            self._ui = Widgets(
                self.view, self.page_size, self.warning, trains=self.train is not None
            )
            self._wire(self._ui)
            self._filter()
        return self._ui

    def show(self, live: bool = True) -> None:
        """Display the static page and, before a live frontend, the widget that hides it.

        Args:
            live: ``False`` shows the static page alone, wherever this runs.
        """
        said = (
            looks.framed(f'<p class="warning">{escape(self.warning)}</p>') if self.warning else ""
        )
        static = looks.static_html(self.view, self.nearest, self.classes, self.marks)
        display(HTML(f'<div class="gdx-static">{said}{static}</div>'))
        if live and live_frontend():
            bundle = self.ui.app._repr_mimebundle_() | {
                "text/html": ""
            }  # an export shows nothing in the widget's place
            display(bundle, raw=True)

    def _ipython_display_(self) -> None:
        self.show()

    def _wire(self, ui: Widgets) -> None:
        for control in ui.filters:
            control.observe(self._filter, "value")
        ui.page.observe(lambda change: self._turn_to(change["new"] - 1), "value")
        ui.note.observe(lambda change: self._noted(change["new"]), "value")
        ui.rule.observe(lambda _: self._refresh_tools(), "value")
        ui.on_click(
            {
                opener: lambda k=k: self._open(self._shown()[k])
                for k, opener in enumerate(ui.openers)
            }
        )
        ui.on_click(
            {ui.clear: self.clear_filters, ui.undo: self._take_back, ui.save: self.save_marks}
        )
        ui.on_click(
            {
                ui.back: lambda: self._turn_to(self.page - 1),
                ui.forth: lambda: self._turn_to(self.page + 1),
            }
        )
        ui.on_click({ui.before: lambda: self._step(-1), ui.after: lambda: self._step(+1)})
        ui.on_click(
            {
                ui.keep: lambda: self._mark("keep"),
                ui.drop: lambda: self._mark("drop"),
                ui.unmark: lambda: self._mark(None),
            }
        )
        ui.on_click(
            {
                ui.keep_all: lambda: self._mark_all("keep"),
                ui.drop_all: lambda: self._mark_all("drop"),
            }
        )
        ui.on_click({ui.train: self.train_selection})

    # ---- showing
    # --------------------------------------------------------------------------------------------------

    @property
    def filters(self) -> Filters:
        """What the filter widgets say; a range over its whole width is no filter."""
        ui = self.ui
        confidence, entropy = (
            None if span.value == (span.min, span.max) else span.value for span in ui.spans
        )
        return Filters(
            search=ui.search.value,
            fate=ui.fate.value,
            label=ui.label.value,
            confidence=confidence,
            entropy=entropy,
            student=ui.student.value,
            mark=ui.mark.value,
            sort=ui.sort.value,
            descending=ui.descending.value,
        )

    @property
    def _pages(self) -> int:
        return max(1, -(-len(self.rows) // self.page_size))

    def _shown(self) -> list[int]:
        start = self.page * self.page_size
        return self.rows[start : start + self.page_size].tolist()

    def _place(self) -> int | None:
        """Where the open text stands among those the filters left."""
        found = np.flatnonzero(self.rows == self.current) if self.current is not None else []
        return int(found[0]) if len(found) else None

    @contextmanager
    def _set(self) -> Iterator[None]:
        self._setting = True
        try:
            yield
        finally:
            self._setting = False

    def _refresh(self) -> None:
        """Bring every widget in line with filters, page, marks and the open text; only one page of
        rows is rendered.
        """
        ui = self.ui
        self.rows = self.view.select(self.filters, self.marks)
        self.page = min(max(self.page, 0), self._pages - 1)
        shown = self._shown()
        for k, (slot, opener, text) in enumerate(zip(ui.slots, ui.openers, ui.lines, strict=True)):
            slot.layout.display = None if k < len(shown) else "none"
            if k < len(shown):
                opener.description = f"Show text {shown[k]}"
                text.value = looks.row_html(self.view, shown[k], self.marks)
                (slot.add_class if shown[k] == self.current else slot.remove_class)("gdx-current")
        with self._set():
            ui.page.max, ui.page.value = self._pages, self.page + 1
            ui.note.value = self.marks.notes.get(self.current, "")
        ui.back.disabled, ui.forth.disabled = self.page == 0, self.page == self._pages - 1
        left = (
            f"<b>{len(self.rows):,}</b> of {len(self.view):,} texts, page {self.page + 1:,} of "
            f"{self._pages:,}"
        )
        ui.count.value = looks.framed(left if len(self.rows) else "No text passes these filters.")
        ui.summary.value = looks.summary_html(self.view, self.rows)
        if self.current is None:
            ui.detail.value = looks.framed('<p class="soft">No text is open.</p>')
        else:
            ui.detail.value = looks.detail_html(
                self.view, self.current, self.nearest, self.classes, self.marks
            )
        self._refresh_tools()

    def _refresh_tools(self) -> None:
        ui, place = self.ui, self._place()
        for control in (ui.keep, ui.drop, ui.unmark, ui.note):
            control.disabled = self.current is None
        for control, verdict in ((ui.keep_all, "Keep"), (ui.drop_all, "Drop")):
            control.description, control.disabled = (
                f"{verdict} all {len(self.rows):,} shown",
                not len(self.rows),
            )
        ui.before.disabled, ui.after.disabled = (
            place in (None, 0),
            place is None or place + 1 == len(self.rows),
        )
        ui.undo.disabled, ui.save.disabled = (
            not self._undo,
            self.path is None or self.marks == self.saved,
        )
        verdicts = list(self.marks.verdicts.values())
        counts = (
            f"keep {verdicts.count('keep'):,} · drop {verdicts.count('drop'):,} · notes "
            f"{len(self.marks.notes):,}"
        )
        ui.status.value = looks.framed(
            counts + ("" if self.marks == self.saved else " · <b>not saved</b>")
        )
        chosen = len(self.view.selection(self.marks, ui.rule.value, self.rows))
        ui.train.description, ui.train.disabled = f"Train a student on {chosen:,} texts", not chosen

    # ---- acting
    # ---------------------------------------------------------------------------------------------------

    def _filter(self, _: Any = None) -> None:
        if not self._setting:
            self.rows, self.page = self.view.select(self.filters, self.marks), 0
            self.current: int | None = int(self.rows[0]) if len(self.rows) else None
            self._refresh()

    def clear_filters(self) -> None:
        with self._set():
            self.ui.search.value, self.ui.descending.value = "", False
            for choice in self.ui.choices:
                choice.index = 0
            for span in self.ui.spans:
                span.value = (span.min, span.max)
        self._filter()

    def _turn_to(self, page: int) -> None:
        if not self._setting:
            self.page = page
            self._refresh()

    def _open(self, row: int) -> None:
        self.current = row
        self._refresh()

    def _step(self, step: int) -> None:
        """To the next or previous text, and to the page it is on."""
        place = self._place()
        if place is not None and 0 <= place + step < len(self.rows):
            self.current, self.page = int(self.rows[place + step]), (place + step) // self.page_size
        self._refresh()

    def _remember(self) -> None:
        self._undo = [*self._undo[-49:], self.marks.copy()]

    def _mark(self, verdict: str | None) -> None:
        self._remember()
        self.marks.set(self.current, verdict)
        self._step(+1) if self.ui.advance.value else self._refresh()

    def _mark_all(self, verdict: str) -> None:
        self._remember()
        for row in self.rows.tolist():
            self.marks.set(row, verdict)
        self._refresh()

    def _noted(self, text: str) -> None:
        if not self._setting:
            self._remember()
            self.marks.note(self.current, text)
            self._refresh()

    def _take_back(self) -> None:
        self.marks = self._undo.pop()
        self._refresh()

    def save_marks(self) -> None:
        """Write the marks to ``marks_path``; what goes wrong is said beside the button."""
        try:
            self.marks.save(self.path)
            self.saved = self.marks.copy()
            self._refresh_tools()
        except OSError as error:
            self.ui.status.value = looks.framed(
                f'<p class="warning">the marks were not saved: {escape(str(error))}</p>'
            )

    def train_selection(self) -> None:
        """Train a student on the chosen rows: its progress bars below, then the result beside the
        unselected one.

        A message meant for people is shown as it is; any other error with its traceback, below the
        button. JupyterLab runs this outside the kernel's main thread (where its kernels know
        subshells): ``train`` can set no signal handler.
        """
        ui, rows = self.ui, self.view.selection(self.marks, self.ui.rule.value, self.rows)
        chosen = next(name for name, rule in RULES.items() if rule == ui.rule.value)
        working = f'<p>Training on {len(rows):,} texts ...</p><div class="gdx-busy"></div>'
        ui.outcome.value, ui.train.disabled = looks.framed(working), True
        ui.log.clear_output()
        said = "see the error below"
        with ui.log:
            try:
                self.results.append({"chosen": chosen, **self.train(rows)})
                said = ""
            except (GdlibError, KeyboardInterrupt) as error:
                said = str(error) or "stopped"
        if not said:
            ui.log.clear_output()
        failed = (
            looks.framed(f'<p class="warning">No student was trained: {escape(said)}.</p>')
            if said
            else ""
        )
        ui.outcome.value = failed + looks.results_html(self.results)
        self._refresh_tools()
