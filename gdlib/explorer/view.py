"""The explorer's core without a widget: what the filters leave, what a student is trained on, and
the nearest labelled text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import softmax

from gdlib.core.errors import BadSetting
from gdlib.core.store import texts_digest
from gdlib.explorer.marks import marked, no_marks

if TYPE_CHECKING:
    from gdlib.sources.splits import Part

COLUMNS = ("text", "fate", "teacher_logits", "teacher_label", "confidence", "entropy")
KEPT, IN_TEST = "kept", "in test set"
STUDENT = ("agrees", "differs")


@dataclass(frozen=True)
class Filters:
    """What to show and in which order; an empty filter lets every text pass.

    Args:
        search: words that must all occur, as they stand, in either case; ``"two words"`` in quotes
            are one phrase.
        fate: what became of the text in the funnel ("kept", "duplicate", ...).
        label: name of the teacher's class.
        student: "agrees" or "differs", by the teacher's class; a text without one does not pass.
        mark: "keep", "drop", "note" (has one) or "unmarked" (neither mark nor note).
        confidence: lowest and highest of the teacher's confidence; a text the teacher never saw
            does not pass.
        entropy: the same for the entropy of its distribution, in nats.
        sort: one of :attr:`SampleView.sorts`; texts without the value come last either way.
        descending: largest first.
    """

    search: str = ""
    fate: str = ""
    label: str = ""
    student: str = ""
    mark: str = ""
    confidence: tuple[float, float] | None = None
    entropy: tuple[float, float] | None = None
    sort: str = "order generated"
    descending: bool = False


class SampleView:
    """The samples of a run, ready to be filtered and sorted.

    Args:
        table: the samples, one per row: ``text, fate, teacher_logits, teacher_label, confidence,
            entropy``.
        labels: class names, in the order of the logits.
        labelled: the labelled texts, among which the nearest one to a sample is looked up.
        student_logits: a student's logits for every row. *Shape:* ``(texts, classes)``

    Raises:
        BadSetting: a column is missing, or logits have another shape than texts and classes.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        labels: Sequence[str],
        labelled: "Part",
        student_logits: np.ndarray | None = None,
    ):
        if missing := [name for name in COLUMNS if name not in table]:
            raise BadSetting(
                f"samples table without {', '.join(missing)}; expected the columns "
                f"{', '.join(COLUMNS)}"
            )
        self.labels, self.nearest = tuple(labels), Nearest(labelled, labels)
        self.texts: list[str] = table["text"].tolist()
        self.digest = texts_digest(self.texts)
        self.teacher_label = table["teacher_label"].to_numpy(dtype=int)
        teacher = self._probabilities("teacher_logits", table["teacher_logits"].tolist())
        self.probabilities = {"teacher": teacher}  # *Shape:* (texts, classes)
        self.agreement, distance = np.full(len(self), None), np.nan
        if student_logits is not None:
            student = self._probabilities("student_logits", student_logits)
            self.probabilities["student"] = student
            self.student_label = student.argmax(1)
            agrees = np.where(self.student_label == self.teacher_label, *STUDENT)
            self.agreement = np.where(self.teacher_label < 0, None, agrees)
            # From 0, where the two agree entirely, to 1, where they share no class at all.
            distance = np.abs(teacher - student).sum(1) / 2
        fates = sorted(dict.fromkeys(table["fate"]), key=lambda fate: fate != KEPT)
        self.frame = table[["fate", "confidence", "entropy"]].reset_index(drop=True)
        self.frame = self.frame.assign(
            fate=pd.Categorical(self.frame["fate"], fates),
            label=pd.Categorical.from_codes(self.teacher_label, self.labels),
            student=pd.Categorical(self.agreement, STUDENT),
            words=[float(len(text.split())) for text in self.texts],
            distance=distance,
            generated=range(len(self)),
        )
        self.kept = (self.frame["fate"] == KEPT).to_numpy()
        # A student can learn from a row that the teacher has labelled; text of the test set is out
        # of bounds.
        self.trainable = ((self.teacher_label >= 0) & (self.frame["fate"] != IN_TEST)).to_numpy()
        self.sorts = {
            "order generated": "generated",
            "teacher's confidence": "confidence",
            "teacher's entropy": "entropy",
            "length in words": "words",
        }
        if student_logits is not None:
            self.sorts["distance of student from teacher"] = "distance"
        self._lowered = [text.lower() for text in self.texts]

    def __len__(self) -> int:
        return len(self.texts)

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

    def select(self, filters: Filters, marks: pd.DataFrame) -> np.ndarray:
        """The rows that pass every filter, in the order asked for (ties as they were generated)."""
        passes = np.ones(len(self), dtype=bool)
        for phrase, word in re.findall(r'"([^"]+)"|(\S+)', filters.search.lower()):
            query = phrase or word
            passes &= np.array([query in text for text in self._lowered], dtype=bool)
        for column in ("fate", "label", "student"):
            if category := getattr(filters, column):
                passes &= self.frame[column] == category
        for column in ("confidence", "entropy"):
            if limits := getattr(filters, column):
                passes &= self.frame[column].between(*limits)
        if filters.mark:
            passes &= marked(marks, filters.mark)
        values = self.frame.loc[passes, self.sorts[filters.sort]]
        return values.sort_values(ascending=not filters.descending, kind="stable").index.to_numpy()

    def counts(self, column: str, rows: np.ndarray | None = None) -> dict[str, int]:
        """How many of the rows (default: all) are of each "fate" (kept first), teacher's "label" or
        "student" agreement.
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
            chosen = np.isin(self.frame["generated"], shown)
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


class Nearest:
    """Finds the labelled text most like a given one: cosine of TF-IDF over words and word pairs;
    indexed on first use.

    Args:
        labelled: the labelled texts.
        labels: class names.
    """

    def __init__(self, labelled: "Part", labels: Sequence[str]):
        self.labelled, self.labels = labelled, labels

    @cached_property
    def _index(self) -> tuple | None:
        # A second to import: only when somebody looks.
        from sklearn.feature_extraction.text import TfidfVectorizer

        if not any(re.search(r"\w", text) for text in self.labelled.texts):
            return None
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", sublinear_tf=True)
        return vectorizer, vectorizer.fit_transform(self.labelled.texts)

    def find(self, text: str) -> tuple[str, str, float] | None:
        """The nearest labelled text, its class and the cosine; ``None`` if none shares a word."""
        if self._index is None:
            return None
        vectorizer, matrix = self._index
        cosines = (matrix @ vectorizer.transform([text]).T).toarray().ravel()
        best = int(cosines.argmax())
        if cosines[best] <= 0:
            return None
        label = self.labels[self.labelled.labels[best]]
        return self.labelled.texts[best], label, float(cosines[best])
