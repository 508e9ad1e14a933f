"""The one vocabulary of columns that tables of comparisons have and charts read.

A table of arms has one row per panel and arm, a table of differences one row per panel and
question. Values are stored as they are measured, shares in 0..1 and losses in nats: percent and
digits are a matter of the chart or the report.

``panel``: the facet that a row belongs to: a student, corpus, task, test set or domain; empty for
what belongs to all of them, such as a teacher or baseline that students are read against.
``arm``: the label of a row: an arm, method, encoder or detector.
``mark``: the family that a marker and a color are chosen by, where it is not the arm itself.
``size``: how many texts, labels or instances, where a table sweeps over them.
``value``: the score, averaged over the units of replication, or the difference of two scores.
``low``, ``high``: its 95% interval over items (texts, sentences, instances).
``seeds_low``, ``seeds_high``: its 95% interval over seeds; NaN where there is one.
``left``, ``right``: the two arms of a difference, which is left minus right.
``question``: the same in words, ``left minus right``.
``p``: of a difference, by swapping the two arms' answers.
``resolved``: whether a difference is: zero lies outside both intervals, and there are two seeds or
more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gdlib.compare import stats
from gdlib.compare.results import Choice, Results
from gdlib.compare.scores import Score

RESAMPLES = 1999  # of each of a hundred differences
MANY = 9999  # of a score, and of the answers to what a study is about

TEACHER = "teacher"
"""The arm of a study's teacher."""

Pairs = Sequence[tuple[str, str]]
"""Arms whose difference is asked for: the left one minus the right one."""


@dataclass(frozen=True)
class Comparison:
    """What a study asks of its results, and the tables that answer it.

    Args:
        score: what arms are compared by.
        panel: the column of the results' table that makes panels, if any.
        questions: the differences that a study is about; those whose arms were run are answered.
        means: further columns of the results' table, shown as means over an arm's models.
        against: of every arm, the difference to these, in words: title of the column to arm.
        teacher: the arm whose share every other retains.
        beside: further scores whose differences are told in words: title to score.
        unit: what words of differences are in, ``points`` or ``nats``.
        resamples: of the items, for the intervals of :meth:`arms`.
    """

    score: Score
    panel: str = ""
    questions: Pairs = ()
    means: Sequence[str] = ()
    against: Mapping[str, str] = field(default_factory=dict)
    teacher: str = TEACHER
    beside: Mapping[str, Score] = field(default_factory=dict)
    unit: str = "points"
    resamples: int = MANY

    def arms(self, results: Results, *, pooled: bool = False) -> pd.DataFrame:
        """The score of every arm with its intervals, in the order of the results.

        ``pooled``: averaged over the panels.
        """
        rows = []
        for panel, arm in self._arms(results, pooled):
            choice = self._choice(results, panel, arm, pooled)
            of_arm = results.rows(**choice)
            found = stats.interval(results.sample(self.score, choice), resamples=self.resamples)
            means = {name: of_arm[name].mean() for name in self.means}
            rows.append({"panel": panel, "arm": arm} | found.columns() | means)
        counts = [name for name in self.means if pd.api.types.is_integer_dtype(results.table[name])]
        table = pd.DataFrame(rows)
        return table.round({name: 0 for name in counts}).astype({name: int for name in counts})

    def overview(self, results: Results, only: Sequence[str] = ()) -> pd.DataFrame:
        """:meth:`arms` with ``retention`` (the share of the teacher's score) and the differences to
        some arms in words.

        ``only``: the arms shown, beside what belongs to every panel; none named: all.
        """
        table = self.arms(results)
        if only:
            table = table[table["arm"].isin(only) | (table["panel"] == "")]
        teacher = table.loc[table["arm"] == self.teacher, "value"].mean()
        table = table.assign(retention=table["value"] / (teacher or float("nan")))
        for title, right in self.against.items():
            words = []
            for panel, arm in zip(table["panel"], table["arm"]):
                known = right != arm and results.has(**self._choice(results, panel, right))
                words.append(
                    self._difference(results, panel, arm, right).describe() if known else ""
                )
            if any(words):
                table[title] = words
        return table.reset_index(drop=True)

    def differences(
        self,
        results: Results,
        pairs: Pairs | None = None,
        *,
        pooled: bool = False,
        resamples: int = RESAMPLES,
    ) -> pd.DataFrame:
        """The paired differences that a study is about, or those of some pairs, in every panel.

        ``words`` is a difference with its interval over items as a text.

        Args:
            results: over seeds.
            pairs: those asked; None: the study's questions.
            pooled: averaged over the panels: one answer for the study.
            resamples: of the items.
        """
        panels = dict.fromkeys(panel for panel, _ in self._arms(results, pooled))
        run = set(results.table["arm"])
        rows = []
        for panel in [panel for panel in panels if panel] or [""]:
            for left, right in self.questions if pairs is None else pairs:
                if not {left, right} <= run:
                    continue
                asked = (results, panel, left, right, pooled, resamples)
                row = difference_row(panel, left, right, self._difference(*asked), self.unit)
                for title, score in self.beside.items():
                    row[title] = self._difference(*asked, score).describe()
                rows.append(row)
        return pd.DataFrame(rows)

    def sweep(self, results: Mapping[int, Results], *, pooled: bool = False) -> pd.DataFrame:
        """:meth:`arms` by the ``size`` that each of several results was made with."""
        tables = [self.arms(one, pooled=pooled).assign(size=size) for size, one in results.items()]
        return pd.concat(tables, ignore_index=True)

    def _arms(self, results: Results, pooled: bool = False) -> list[tuple[str, str]]:
        table = results.table
        panels = table[self.panel] if self.panel and not pooled else [""] * len(table)
        return list(dict.fromkeys(zip(panels, table["arm"])))

    def _choice(self, results: Results, panel: str, arm: str, pooled: bool = False) -> Choice:
        """The rows of an arm in a panel or, if it has none there, of the one for all panels."""
        if not self.panel or pooled:
            return {"arm": arm}
        choice = {self.panel: panel, "arm": arm}
        return choice if results.has(**choice) else {self.panel: "", "arm": arm}

    def _difference(
        self,
        results: Results,
        panel: str,
        left: str,
        right: str,
        pooled: bool = False,
        resamples: int = RESAMPLES,
        score: Score | None = None,
    ) -> stats.Difference:
        sides = (self._choice(results, panel, arm, pooled) for arm in (left, right))
        return stats.difference(results.sample(score or self.score, *sides), resamples=resamples)


def difference_row(
    panel: str, left: str, right: str, found: stats.Difference, unit: str = "points"
) -> dict[str, Any]:
    """A row of a table of differences."""
    question = {"panel": panel, "question": f"{left} minus {right}", "left": left, "right": right}
    return question | found.columns() | {"words": found.describe(unit)}


def sentences(differences: pd.DataFrame) -> Iterator[str]:
    """Every difference as a line of Markdown."""
    for row in differences.to_dict("records"):
        where = f", {row['panel']}" if row["panel"] else ""
        yield f"**{row['left']}** minus **{row['right']}**{where}: {row['words']}."


def headline(
    overview: pd.DataFrame, main: str, numbers: Mapping[str, str]
) -> Iterator[tuple[str, float, str]]:
    """Key numbers as (name, value, unit): scores, and what the main arm retains and saves.

    Args:
        overview: of a :class:`Comparison` whose ``means`` have ``parameters``.
        main: the arm that a study is about, of the panel where it scores best.
        numbers: name to arm whose score it is; those that were not run are left out.
    """
    best = overview.sort_values("value").drop_duplicates("arm", keep="last").set_index("arm")
    for name, arm in numbers.items():
        if arm in best.index:
            yield name, float(best.loc[arm, "value"]), "share"
    yield "retention", float(best.loc[main, "retention"]), "share"
    fewer = best.loc[TEACHER, "parameters"] / best.loc[main, "parameters"]
    yield "times fewer parameters", float(fewer), "x"
