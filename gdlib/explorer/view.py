"""The explorer's core without a widget: what the filters leave, what a student is trained on, and
counts of what there is.
"""

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import softmax

from gdlib.compare.keyness import words_in
from gdlib.core.errors import BadSetting
from gdlib.core.store import texts_digest
from gdlib.explorer.filters import GENERATED, IN_TEST, KEPT, SORTS, SOURCES, STUDENT, Filters
from gdlib.explorer.marks import marked, no_marks

COUNTED = 20_000  # texts whose words are counted: more say the same and take seconds
COLUMNS = ("text", "fate", "teacher_logits", "teacher_label", "confidence", "entropy")
# Okabe and Ito's colours, which colour-blind readers tell apart, then tints of them.
PALETTE = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a900", "#7f7f7f"),
    *("#6a51a3", "#a65628", "#66c2a5", "#e7298a", "#1b4f72", "#a1d99b", "#fb9a99", "#4d4d4d"),
)
UNSEEN = "#bbbbbb"


class SampleView:
    """The samples of a run, alone or among real texts, ready to be filtered and sorted.

    Args:
        table: the texts, one per row: ``text, fate, teacher_logits, teacher_label, confidence,
            entropy``, and for a map ``source, x, y, distance``, for near-duplicates ``group`` (see
            :meth:`gdlib.studies.shared.writing.WritingStudy.explored`); ``gold``, the number of the
            true class or -1, where it is known. Without ``source`` all are generated.
        labels: class names, in the order of the logits.
        student_logits: a student's logits for every row. *Shape:* ``(texts, classes)``
        vectors: a vector of length one for every row, of zeros where there is none. *Shape:*
            ``(texts, width)``

    Raises:
        BadSetting: a column is missing, or logits or vectors have another shape than texts and
            classes.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        labels: Sequence[str],
        student_logits: np.ndarray | None = None,
        vectors: np.ndarray | None = None,
    ):
        if missing := [name for name in COLUMNS if name not in table]:
            raise BadSetting(
                f"samples table without {', '.join(missing)}; expected the columns "
                f"{', '.join(COLUMNS)}"
            )
        if vectors is not None and len(vectors) != len(table):
            raise BadSetting(f"{len(vectors)} vectors for {len(table)} texts; expected as many")
        table = table.reset_index(drop=True)
        self.labels, self.vectors = tuple(labels), vectors
        self.texts: list[str] = table["text"].tolist()
        self.teacher_label = table["teacher_label"].to_numpy(dtype=int)
        self.gold = table.get("gold", pd.Series(-1, table.index)).to_numpy(dtype=int)
        teacher = self._probabilities("teacher_logits", table["teacher_logits"].tolist())
        self.probabilities = {"teacher": teacher}  # *Shape:* (texts, classes)
        self.agreement, distance = np.full(len(self), None), np.nan
        self.student_label = np.full(len(self), -1)
        if student_logits is not None:
            student = self._probabilities("student_logits", student_logits)
            self.probabilities["student"] = student
            self.student_label = student.argmax(1)
            agrees = np.where(self.student_label == self.teacher_label, *STUDENT)
            self.agreement = np.where(self.teacher_label < 0, None, agrees)
            # From 0, where the two agree entirely, to 1, where they share no class at all.
            distance = np.abs(teacher - student).sum(1) / 2
        group = table.get("group", pd.Series(-1, table.index)).to_numpy(dtype=int)
        sizes = pd.Series(group[group >= 0]).value_counts()  # the largest first
        self.groups = sizes[sizes > 1].to_dict()  # the first row of each group to its size
        alike = np.array([self.groups.get(first, 0) for first in group])
        fates = sorted(dict.fromkeys(table["fate"].dropna()), key=lambda fate: fate != KEPT)
        self.frame = pd.DataFrame(
            {
                # What can be exported.
                "row": range(len(self)),
                "source": pd.Categorical(table.get("source", [GENERATED] * len(self)), SOURCES),
                "fate": pd.Categorical(table["fate"], fates),
                "label": pd.Categorical.from_codes(self.teacher_label, self.labels),
                "guess": pd.Categorical.from_codes(self.student_label, self.labels),
                **{name: table[name] for name in ("confidence", "entropy")},
                **{name: table.get(name, np.nan) for name in ("x", "y", "distance")},
                # What else is filtered and sorted by.
                "student": pd.Categorical(self.agreement, STUDENT),
                "words": [float(len(text.split())) for text in self.texts],
                "gap": distance,
                "group": group,
                # By the size of the group, and within that group by group.
                "alike": np.where(alike > 0, alike + 1 - group / len(self), np.nan),
            }
        )
        self.generated = (self.frame["source"] == GENERATED).to_numpy()
        # Marks are about the generated texts: others beside them make no difference.
        self.digest = texts_digest(np.array(self.texts, dtype=object)[self.generated].tolist())
        self.kept = (self.frame["fate"] == KEPT).to_numpy()
        # A student can learn from a row that the teacher has labelled; text of the test set is out
        # of bounds.
        may = self.generated & (self.frame["fate"] != IN_TEST).to_numpy()
        self.trainable = may & (self.teacher_label >= 0)
        # By what there is nothing to sort by is not offered.
        self.sorts = {
            name: by for name, by in SORTS.items() if by == "row" or self.frame[by].notna().any()
        }
        self._lowered = [text.lower() for text in self.texts]

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def placed(self) -> np.ndarray:
        """Which texts have a place on a map. *Shape:* ``(texts,)``, boolean."""
        return self.frame["x"].notna().to_numpy()

    def _probabilities(self, name: str, logits: object) -> np.ndarray:
        """Softmax. *Shape:* ``(texts, classes)``; rows of NaN stay NaN."""
        expected = (len(self), len(self.labels))
        values = np.asarray(logits, dtype=float)
        values = values if values.size else values.reshape(-1, len(self.labels))
        if values.shape != expected:
            raise BadSetting(
                f"{name} of shape {values.shape}; expected {expected}: one row per text, one "
                "column per class"
            )
        return softmax(values, axis=1)

    def shares(self, row: int) -> dict[str, np.ndarray]:
        """The probabilities of one text by "teacher" and "student". *Shape:* ``(classes,)`` each"""
        return {kind: values[row] for kind, values in self.probabilities.items()}

    def of(self, source: str) -> np.ndarray:
        """Which texts are of a source, or of any (""). *Shape:* ``(texts,)``, boolean."""
        return (self.frame["source"] == source).to_numpy() | (not source)

    def coloured(self, column: str) -> tuple[np.ndarray, list[str], list[str]]:
        """The number of each text's colour on the map, the colours, and what each means: the kinds
        of a column, then that a text has none. *Shape:* ``[texts]``, uint8.
        """
        values = self.frame[column].cat
        kinds = [str(kind) for kind in values.categories]
        codes = np.where(values.codes < 0, len(kinds), values.codes)
        has_none = len(kinds) in codes[self.placed]
        colours = [PALETTE[k % len(PALETTE)] for k in range(len(kinds))]
        return codes.astype(np.uint8), [*colours, UNSEEN], [*kinds, *["none"] * has_none]

    def passes(self, filters: Filters, marks: pd.DataFrame) -> np.ndarray:
        """Which texts pass every filter but that of the source, which a map shows by itself.
        *Shape:* ``(texts,)``, boolean.
        """
        passes = np.ones(len(self), dtype=bool)
        for phrase, word in re.findall(r'"([^"]+)"|(\S+)', filters.search.lower()):
            query = phrase or word
            passes &= np.array([query in text for text in self._lowered], dtype=bool)
        for column in ("fate", "label", "guess", "student"):
            if category := getattr(filters, column):
                passes &= self.frame[column] == category
        for column in ("confidence", "entropy", "words"):
            if limits := getattr(filters, column):
                passes &= self.frame[column].between(*limits)
        if filters.brush:
            left, low, right, high = filters.brush
            passes &= self.frame["x"].between(left, right) & self.frame["y"].between(low, high)
        if filters.group is not None:
            group = self.frame["group"]
            passes &= group.isin(self.groups) if filters.group < 0 else group == filters.group
        if filters.mark:
            passes &= marked(marks, filters.mark)
        return np.asarray(passes)

    def ordered(self, passes: np.ndarray, filters: Filters) -> np.ndarray:
        """The rows that pass, in the order asked for (ties as they were generated)."""
        values = self.frame.loc[passes, self.sorts[filters.sort]]
        return values.sort_values(ascending=not filters.descending, kind="stable").index.to_numpy()

    def select(self, filters: Filters, marks: pd.DataFrame) -> np.ndarray:
        """The rows that pass every filter, in the order asked for."""
        return self.ordered(self.passes(filters, marks) & self.of(filters.source), filters)

    def counts(self, column: str, rows: np.ndarray | None = None) -> dict[str, int]:
        """How many of the rows (default: all) are of each "source", "fate" (kept first), teacher's
        "label", student's class ("guess") or "student" agreement.
        """
        values = self.frame[column].iloc[slice(None) if rows is None else rows]
        return values.value_counts(sort=False).to_dict()

    def selection(
        self, marks: pd.DataFrame, rule: str, shown: np.ndarray | None = None
    ) -> list[int]:
        """The rows to train a student on, only those it can and may learn from (:attr:`trainable`).

        Args:
            rule: "marks": what the funnel kept, without rows marked drop, with rows marked keep;
                "keep": only rows marked keep; "shown": the rows in ``shown``, as the filters left
                them.
        """
        if rule == "shown":
            chosen = np.isin(self.frame["row"], shown)
        else:
            kept = (rule == "marks") & self.kept
            chosen = (kept | marked(marks, "keep")) & ~marked(marks, "drop")
        return np.flatnonzero(chosen & self.trainable).tolist()

    @cached_property
    def unselected(self) -> list[int]:
        """The rows that a run trains its students on when nobody selects."""
        return self.selection(no_marks(len(self)), "marks")

    def examples(self, count: int = 4) -> dict[str, list[int]]:
        """Rows to show where nobody can filter: the best, typical and worst kept ones by the
        teacher's confidence.
        """
        kept = self.frame.loc[self.kept, "confidence"].dropna()
        order = kept.sort_values(ascending=False, kind="stable").index.tolist()
        count = min(count, max(1, len(order) // 3))
        middle = max(0, (len(order) - count) // 2)
        typical = order[middle : middle + count]
        return {"best": order[:count], "typical": typical, "worst": order[::-1][:count]}

    @cached_property
    def word_counts(self) -> tuple:
        """The rows of :data:`COUNTED` texts at most, evenly spread over all; their words, and how
        often each has each (:func:`words_in`).
        """
        rows = np.unique(np.linspace(0, len(self) - 1, min(len(self), COUNTED)).astype(int))
        return rows, *words_in([self.texts[row] for row in rows])
