"""What stands in the tabs below the list: near-duplicates, keyness, the grid of teacher and
student, the quiz, a sentence of one's own, and the export.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as w
import numpy as np
from scipy.special import softmax

from gdlib.explorer.frontend import Html
from gdlib.explorer.html import looks
from gdlib.explorer.measures import exported, grid
from gdlib.explorer.view import SampleView

if TYPE_CHECKING:
    from gdlib.explorer.explorer import Explorer

GROUPS = 50  # of near-duplicates, the largest ones, that can be chosen
ROUND = 5  # texts of the quiz
AUTO = {"width": "auto"}


def button(description: str, action: Callable[..., None], *given: object, **more: Any) -> w.Button:
    """A button as wide as its description, which calls the action with what is given."""
    made = w.Button(description=description, layout=AUTO, **more)
    made.on_click(lambda _: action(*given))
    return made


def box(name: str, *widgets: w.Widget) -> w.Box:
    """Widgets under one class of the style sheet; those under "wrap" stand side by side, the last
    ones below where there is no room.
    """
    made = (w.HBox if name == "wrap" else w.VBox)(widgets)
    made.add_class(f"gdx-{name}")
    return made


class Quiz:
    """Which of five texts are real? Rounds are drawn in the same order every time, of generated
    texts that were kept and of real unlabelled ones, if there are enough of both.
    """

    def __init__(self, view: SampleView):
        self.parts = [np.flatnonzero(view.kept), np.flatnonzero(view.of("real"))]
        self.is_possible = min(map(len, self.parts)) >= ROUND
        self.right, self.asked, self.random = 0, 0, np.random.default_rng(0)
        self.draw()

    def draw(self) -> None:
        """The next round, with at least one text of each kind."""
        self.guesses: dict[int, bool] = {}
        self.truth: dict[int, bool] = {}
        if self.is_possible:
            number = int(self.random.integers(1, ROUND))
            generated = self.random.choice(self.parts[0], ROUND - number, replace=False)
            real = self.random.choice(self.parts[1], number, replace=False)
            rows = self.random.permutation([*generated, *real])
            self.truth = {row: row in real for row in rows.tolist()}

    def guess(self, row: int, is_real: bool) -> None:
        """One text is said to be real, or generated; the first word counts."""
        if row in self.truth and row not in self.guesses:
            self.guesses[row] = is_real
            self.asked += 1
            self.right += is_real == self.truth[row]


class Tools:
    """The tabs; each is brought up to date while it is open."""

    def __init__(self, explorer: "Explorer"):
        self.explorer, view, self.quiz = explorer, explorer.view, Quiz(explorer.view)
        self.words, self.grid, self.questions, self.answer, self.written, groups = (
            Html(explorer.act) for _ in range(6)
        )
        hint = {"placeholder": "a sentence of your own, then Enter", "continuous_update": False}
        self.sentence = w.Text(layout=AUTO, **hint)
        self.sentence.observe(lambda change: self.say(change["new"]), "value")
        files = (
            button(f"The texts shown as {kind}", self.export, kind.lower(), icon="download")
            for kind in ("CSV", "JSONL", "Parquet")
        )
        # What takes a while to work out (words) is not what is open at first.
        tabs = (
            ("Which one is real?", self.questions, self.quiz.is_possible),
            ("Teacher and student", self.grid, "student" in view.probabilities),
            ("Near-duplicates", groups, view.groups),
            ("Words", self.words, not view.generated.all()),
            ("Type a sentence", w.VBox([self.sentence, self.answer]), explorer.ask),
            ("Export", w.VBox([box("wrap", *files), self.written]), explorer.path),
        )
        groups.value = looks.groups(view, GROUPS)
        self.pages = {title: page for title, page, is_there in tabs if is_there}
        self.app = w.Tab(list(self.pages.values()), titles=list(self.pages))
        self.app.observe(lambda _: self.refresh(), "selected_index")

    def refresh(self) -> None:
        """Bring the open tab in line with the filters."""
        view = self.explorer.view
        page = self.app.children[self.app.selected_index] if self.pages else None
        if page is self.words:
            page.value = looks.words(view, self.explorer.filters.label)
        elif page is self.grid:
            page.value = looks.grid(view, grid(view, self.explorer.rows))
        elif page is self.questions:
            page.value = looks.quiz(view, self.quiz)

    def say(self, text: str) -> None:
        """Ask teacher and student about a sentence."""
        if text.strip():
            shares = {name: softmax(logits) for name, logits in self.explorer.ask(text).items()}
            self.answer.value = looks.compared(self.explorer.view.labels, shares)

    def export(self, kind: str) -> Path | None:
        """Write the texts that the filters left, in their order, beside the marks, as "csv",
        "jsonl" or "parquet".
        """
        explorer = self.explorer
        table = exported(explorer.view, explorer.rows, explorer.marks)
        path = explorer.path.with_name(f"{explorer.path.stem}-selection.{kind}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "jsonl":
                table.to_json(path, orient="records", lines=True, force_ascii=False)
            else:
                (table.to_csv if kind == "csv" else table.to_parquet)(path, index=False)
        except OSError as error:
            self.written.value = looks.notice(f"nothing was written: {error}", "warning")
            return None
        self.written.value = looks.notice(f"{len(table):,} texts are in {path}", "soft")
        return path
