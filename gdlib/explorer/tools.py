"""What stands in the tabs below the list: near-duplicates, keyness, the grid of teacher and
student, the quiz, a sentence of one's own, and the export.
"""

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


class Quiz:
    """Which of five texts are real? Rounds are drawn in the same order every time.

    Args:
        view: the texts, generated ones that were kept and real unlabelled ones.
        size: texts per round.
    """

    def __init__(self, view: SampleView, size: int = 5):
        self.parts = [np.flatnonzero(view.kept), np.flatnonzero(view.of("real"))]
        self.size, self.random = size, np.random.default_rng(0)
        self.right = self.asked = 0
        self.draw()

    @property
    def is_possible(self) -> bool:
        """Whether there are enough texts of both kinds."""
        return min(map(len, self.parts)) >= self.size

    def draw(self) -> None:
        """The next round, with at least one text of each kind."""
        self.guesses: dict[int, bool] = {}
        self.truth: dict[int, bool] = {}
        if self.is_possible:
            number = int(self.random.integers(1, self.size))
            generated = self.random.choice(self.parts[0], self.size - number, replace=False)
            real = self.random.choice(self.parts[1], number, replace=False)
            truth = {int(row): row in real for row in [*generated, *real]}
            self.truth = {row: truth[row] for row in self.random.permutation([*truth]).tolist()}

    def guess(self, row: int, is_real: bool) -> None:
        """One text is said to be real, or generated; the first word counts."""
        if row in self.truth and row not in self.guesses:
            self.guesses[row] = is_real
            self.asked += 1
            self.right += is_real == self.truth[row]


class Tools:
    """The tabs; each is brought up to date while it is open."""

    def __init__(self, explorer: "Explorer"):
        self.explorer, self.quiz = explorer, Quiz(explorer.view)
        self.words, self.grid, self.questions, self.answer, self.written = (
            Html(explorer.act) for _ in range(5)
        )
        self.sentence = w.Text(
            placeholder="a sentence of your own, then Enter",
            continuous_update=False,
            layout=w.Layout(width="auto"),
        )
        self.sentence.observe(lambda change: self.say(change["new"]), "value")
        self.pages = {}
        # What takes a while to work out (words) is not what is open at first.
        if self.quiz.is_possible:
            self.pages["Which one is real?"] = self.questions
        if "student" in explorer.view.probabilities:
            self.pages["Teacher and student"] = self.grid
        if explorer.view.groups:
            groups = looks.groups(explorer.view, GROUPS)
            self.pages["Near-duplicates"] = Html(explorer.act, value=groups)
        if not explorer.view.generated.all():
            self.pages["Words"] = self.words
        if explorer.ask is not None:
            self.pages["Type a sentence"] = w.VBox([self.sentence, self.answer])
        if explorer.path is not None:
            self.pages["Export"] = w.VBox([self._exports(), self.written])
        self.app = w.Tab(list(self.pages.values()), titles=list(self.pages))
        self.app.observe(lambda _: self.refresh(), "selected_index")
        self.shown_words: str | None = None

    def _exports(self) -> w.Box:
        buttons = []
        for kind in ("csv", "jsonl", "parquet"):
            made = w.Button(description=f"The texts shown as {kind.upper()}", icon="download")
            made.layout.width = "auto"
            made.on_click(lambda _, kind=kind: self.export(kind))
            buttons.append(made)
        return w.HBox(buttons, layout=w.Layout(flex_flow="wrap"))

    def refresh(self) -> None:
        """Bring the open tab in line with the filters."""
        view, titles = self.explorer.view, [*self.pages]
        title = titles[self.app.selected_index] if self.app.selected_index is not None else ""
        label = self.explorer.filters.label
        if title == "Words" and label != self.shown_words:
            self.words.value, self.shown_words = looks.words(view, label), label
        elif title == "Teacher and student":
            self.grid.value = looks.grid(view, grid(view, self.explorer.rows))
        elif title == "Which one is real?":
            self.questions.value = looks.quiz(view, self.quiz)

    def act(self, content: dict[str, Any]) -> None:
        """A guess, or the wish for another round."""
        if "guess" in content:
            self.quiz.guess(*content["guess"])
        if "draw" in content:
            self.quiz.draw()
        if {"guess", "draw"} & set(content):
            self.refresh()

    def say(self, text: str) -> None:
        """Ask teacher and student about a sentence."""
        if text.strip():
            shares = {name: softmax(logits) for name, logits in self.explorer.ask(text).items()}
            self.answer.value = looks.answer(self.explorer.view.labels, shares)

    def export(self, kind: str) -> Path | None:
        """Write the texts that the filters left, in their order, beside the marks, as "csv",
        "jsonl" or "parquet".
        """
        explorer = self.explorer
        table = exported(explorer.view, explorer.rows, explorer.marks)
        path = explorer.path.with_name(f"{explorer.path.stem}-selection.{kind}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "csv":
                table.to_csv(path, index=False)
            elif kind == "jsonl":
                table.to_json(path, orient="records", lines=True, force_ascii=False)
            else:
                table.to_parquet(path, index=False)
        except OSError as error:
            self.written.value = looks.notice(f"nothing was written: {error}", "warning")
            return None
        self.written.value = looks.notice(f"{len(table):,} texts are in {path}", "soft")
        return path
