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
``p``: of a difference, over items and seeds together (:func:`gdlib.compare.stats.p_value`); of one
seed over items alone.
``resolved``: whether a difference is, after Holm's correction for all differences of the table;
never with one seed.
``words``: a difference with its interval over items, and whether it is resolved, as a text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap

import numpy as np
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
        beside: further scores whose differences are told in words: title to score.
        unit: what words of differences are in, ``points`` or ``nats``.
        resamples: of the items, for the intervals of :meth:`arms`.
    """

    score: Score
    panel: str = ""
    questions: Pairs = ()
    means: Sequence[str] = ()
    against: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, Score] = field(default_factory=dict)
    unit: str = "points"
    resamples: int = MANY

    def arms(self, results: Results, *, pooled: bool = False) -> pd.DataFrame:
        """The score of every arm with its intervals, in the order of the results.

        ``pooled``: averaged over the panels.
        """
        if pooled:
            return replace(self, panel="").arms(results)
        rows, asked = [], self._arms(results)
        choices = [self._choice(results, panel, arm) for panel, arm in asked]
        samples = ([results.sample(self.score, choice)] for choice in choices)
        found = stats.intervals(samples, self.resamples)
        for (panel, arm), choice, around in zip(asked, choices, found):
            means = results.rows(**choice)[list(self.means)].mean()
            rows.append({"panel": panel, "arm": arm} | around.columns() | dict(means))
        table, types = pd.DataFrame(rows), results.table.dtypes
        counts = [name for name in self.means if pd.api.types.is_integer_dtype(types[name])]
        return table.round(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, int))

    def overview(self, results: Results, only: Sequence[str] = ()) -> pd.DataFrame:
        """:meth:`arms` with ``retention`` (the share of the teacher's score) and the differences to
        some arms in words.

        ``only``: the arms shown, beside what belongs to every panel; none named: all.
        """
        table = self.arms(results)
        if only:
            table = table[table["arm"].isin(only) | (table["panel"] == "")].reset_index(drop=True)
        teacher = table.loc[table["arm"] == TEACHER, "value"].mean()
        table["retention"] = table["value"] / (teacher or np.nan)
        questions = [
            (panel, arm, right)
            for right in self.against.values()
            for panel, arm in zip(table["panel"], table["arm"])
            if right != arm and results.has(**self._choice(results, panel, right))
        ]
        words = dict(zip(questions, self._answers(results, questions).get("words", ())))
        for title, right in self.against.items():
            arms = zip(table["panel"], table["arm"])
            column = [words.get((panel, arm, right), "") for panel, arm in arms]
            if any(column):
                table[title] = column
        return table

    def differences(
        self,
        results: Results,
        pairs: Pairs | None = None,
        *,
        pooled: bool = False,
        resamples: int = RESAMPLES,
    ) -> pd.DataFrame:
        """The paired differences that a study is about, or those of some pairs, in every panel.

        Args:
            results: over seeds.
            pairs: those asked; None: the study's questions.
            pooled: averaged over the panels: one answer for the study.
            resamples: of the items.
        """
        if pooled:
            alone = replace(self, panel="")
            return alone.differences(results, pairs, resamples=resamples)
        panels = dict.fromkeys(panel for panel, _ in self._arms(results) if panel) or [""]
        pairs, run = self.questions if pairs is None else pairs, set(results.table["arm"])
        questions = [(panel, *pair) for panel in panels for pair in pairs if {*pair} <= run]
        table = self._answers(results, questions, resamples)
        beside = {
            title: self._answers(results, questions, resamples, score)["words"]
            for title, score in self.beside.items()
            if questions
        }
        return table.assign(**beside)

    def sweep(self, results: Mapping[int, Results], *, pooled: bool = False) -> pd.DataFrame:
        """:meth:`arms` by the ``size`` that each of several results was made with."""
        tables = [self.arms(of, pooled=pooled).assign(size=size) for size, of in results.items()]
        return pd.concat(tables, ignore_index=True)

    def _arms(self, results: Results) -> list[tuple[str, str]]:
        table = results.table
        panels = table[self.panel] if self.panel else [""] * len(table)
        return list(dict.fromkeys(zip(panels, table["arm"])))

    def _choice(self, results: Results, panel: str, arm: str) -> Choice:
        """The rows of an arm in a panel or, if it has none there, of the one for all panels."""
        if not self.panel:
            return {"arm": arm}
        choice = {self.panel: panel, "arm": arm}
        return choice if results.has(**choice) else {self.panel: "", "arm": arm}

    def _answers(
        self,
        results: Results,
        questions: Iterable[tuple[str, str, str]],
        resamples: int = RESAMPLES,
        score: Score | None = None,
    ) -> pd.DataFrame:
        """The table of differences for some (panel, left, right)."""

        def sample(panel: str, *pair: str) -> stats.Samples:
            sides = (self._choice(results, panel, arm) for arm in pair)
            return [results.sample(score or self.score, *sides)]

        questions = list(questions)
        found = stats.intervals(starmap(sample, questions), resamples, tested=True)
        rows = [difference_row(*asked, around) for asked, around in zip(questions, found)]
        return decided(pd.DataFrame(rows), self.unit)


def difference_row(
    panel: str, left: str, right: str, around: stats.Difference
) -> dict[str, str | float]:
    """A row of a table of differences, of which :func:`decided` tells which are resolved."""
    question = {"panel": panel, "question": f"{left} minus {right}", "left": left, "right": right}
    return question | around.columns()


def decided(differences: pd.DataFrame, unit: str = "points") -> pd.DataFrame:
    """The table with ``resolved`` and ``words``, where all rows are one family of tests.

    So that among all differences of a table a false one is called resolved in one table out of
    twenty at most, the smallest of n p-values has to be below 0.05 / n, the next one below
    0.05 / (n - 1), and so on until one is not (Holm 1979). Rows of one seed are no tests.

    Args:
        differences: of :func:`difference_row`; of a part of them, or decided before.
        unit: of the words, ``points`` (hundredths) or ``nats``.
    """
    if differences.empty:
        return differences
    p = differences["p"][differences["seeds_low"].notna()].sort_values()
    holm = (p * np.arange(len(p), 0, -1)).cummax().reindex(differences.index)
    table = differences.assign(resolved=holm < stats.LEVEL)
    scale, digits = (100, 1) if unit == "points" else (1, 3)
    words = []
    for row in table.to_dict("records"):
        value, low, high = (scale * row[name] for name in ("value", "low", "high"))
        doubt = " (one seed)" if np.isnan(row["seeds_low"]) else " (not resolved)"
        line = f"{value:+.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] {unit}"
        words.append(line + doubt * (not row["resolved"]))
    return table.assign(words=words)


def sentences(differences: pd.DataFrame) -> Iterator[str]:
    """Every difference as a line of Markdown."""
    for row in differences.to_dict("records"):
        where = f", {row['panel']}" if row["panel"] else ""
        yield f"**{row['left']}** minus **{row['right']}**{where}: {row['words']}."


def headline(
    overview: pd.DataFrame, main: str, numbers: Mapping[str, str], panel: str = ""
) -> Iterator[tuple[str, float, str]]:
    """Key numbers as (name, value, unit): scores, and what the main arm retains and saves.

    Args:
        overview: of a :class:`Comparison` whose ``means`` have ``parameters``.
        main: the arm that a study is about.
        numbers: name to arm whose score it is; those that were not run are left out.
        panel: whose scores, where there are several: one that was chosen before any was seen, since
            the best of them would be chosen on test.
    """
    rows = overview[overview["panel"].isin(["", panel])] if panel else overview
    best = rows.set_index("arm")
    for name, arm in numbers.items():
        if arm in best.index:
            yield name, float(best.loc[arm, "value"]), "share"
    yield "retention", float(best.loc[main, "retention"]), "share"
    fewer = best.loc[TEACHER, "parameters"] / best.loc[main, "parameters"]
    yield "times fewer parameters", float(fewer), "x"
