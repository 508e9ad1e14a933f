"""The explorer's core without a widget: what the filters leave, the marks, and the nearest labelled
text.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from gdlib.core.errors import BadSetting, unknown
from gdlib.core.store import texts_digest, write_atomically

COLUMNS = ("text", "fate", "teacher_logits", "teacher_label", "confidence", "entropy")
KEPT, IN_TEST = "kept", "in test set"
STUDENT = ("right", "wrong")
MARKS = ("keep", "drop", "note", "unmarked")
RULES = ("marks", "keep", "shown")


@dataclass(frozen=True)
class Filters:
    """What to show and in which order; a filter that is empty or ``None`` lets every text pass.

    Args:
        search: words that must all occur, as they stand, in either case; ``"two words"`` in quotes
            are one phrase.
        fate: what became of the text in the funnel ("kept", "duplicate", ...).
        label: the teacher's class, a position in ``labels``.
        confidence: lowest and highest of the teacher's confidence; a text the teacher never saw
            does not pass.
        entropy: the same for the entropy of its distribution, in nats.
        student: "right" or "wrong", by the teacher's class; a text without one does not pass.
        mark: "keep", "drop", "note" (has one) or "unmarked" (neither mark nor note).
        sort: one of :attr:`SampleView.sorts`; texts without the value come last either way.
        descending: largest first.
    """

    search: str = ""
    fate: str | None = None
    label: int | None = None
    confidence: tuple[float, float] | None = None
    entropy: tuple[float, float] | None = None
    student: str | None = None
    mark: str | None = None
    sort: str = "order generated"
    descending: bool = False


@dataclass
class Marks:
    """What a person thinks of the samples: row to "keep" or "drop", row to note; and the digest of
    those samples.
    """

    samples: str
    verdicts: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)

    def copy(self) -> "Marks":
        return Marks(self.samples, dict(self.verdicts), dict(self.notes))

    def set(self, row: int, verdict: str | None) -> None:
        """Mark a row "keep" or "drop"; ``None`` takes its mark away (the note stays)."""
        if verdict is None:
            self.verdicts.pop(row, None)
        elif verdict in ("keep", "drop"):
            self.verdicts[row] = verdict
        else:
            raise unknown("mark", verdict, ("keep", "drop"))

    def note(self, row: int, text: str) -> None:
        """Set the note of a row; an empty one takes it away."""
        if text.strip():
            self.notes[row] = text.strip()
        else:
            self.notes.pop(row, None)

    def save(self, path: Path) -> None:
        """Write aside and rename.

        A file there that is not about these samples is renamed, never overwritten.
        """
        if path.exists() and load_marks(path, self.samples)[1]:
            kept, number = path.with_suffix(".stale.json"), 1
            while kept.exists():
                kept, number = path.with_suffix(f".stale-{number}.json"), number + 1
            os.rename(path, kept)
        rows = sorted(self.verdicts.keys() | self.notes.keys())
        marks = [
            {"row": row, "mark": self.verdicts.get(row, ""), "note": self.notes.get(row, "")}
            for row in rows
        ]
        write_atomically(
            path,
            json.dumps({"samples": self.samples, "marks": marks}, indent=1, ensure_ascii=False),
        )


def load_marks(path: Path, samples: str, size: int | None = None) -> tuple[Marks, str]:
    """The marks saved for these samples, and what is wrong with the file ("" if nothing; then the
    marks are empty).

    Args:
        path: the file; none there means no marks yet.
        samples: digest of the samples that are looked at (:attr:`SampleView.digest`).
        size: how many there are, so that a row beyond them is noticed.
    """
    marks = Marks(samples)
    if not path.exists():
        return marks, ""
    try:
        saved = json.loads(path.read_text("utf-8"))
        if saved["samples"] != samples:
            return (
                marks,
                (
                    f"the marks in {path} belong to other samples ({saved['samples']}, these "
                    f"are {samples}): not applied"
                ),
            )
        loaded = Marks(samples)
        for entry in saved["marks"]:
            if not 0 <= int(entry["row"]) < (size or np.inf):
                raise ValueError(f"row {entry['row']} of {size}")
            loaded.set(int(entry["row"]), entry["mark"] or None)
            loaded.note(int(entry["row"]), entry["note"])
        return loaded, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return marks, f"the marks in {path} cannot be read ({error!r}): not applied"


class SampleView:
    """The samples of a run as arrays, ready to be filtered and sorted.

    Args:
        table: the samples, one a row: ``text, fate, teacher_logits, teacher_label, confidence,
            entropy``.
        labels: class names, in the order of the logits.
        student_logits: a student's logits for every row.
            *Shape:* ``(texts, classes)``

    Raises:
        BadSetting: a column is missing, or logits have another shape than texts and classes.
    """

    def __init__(
        self, table: pd.DataFrame, labels: Sequence[str], student_logits: np.ndarray | None = None
    ):
        if missing := [name for name in COLUMNS if name not in table]:
            raise BadSetting(
                f"samples table without {', '.join(missing)}; expected the columns "
                f"{', '.join(COLUMNS)}"
            )
        self.labels = tuple(labels)
        self.texts: list[str] = table["text"].tolist()
        self.fates = table["fate"].to_numpy(dtype=object)
        self.teacher_label = table["teacher_label"].to_numpy(dtype=int)
        self.confidence = table["confidence"].to_numpy(dtype=float)
        self.entropy = table["entropy"].to_numpy(dtype=float)
        self.words = np.array([len(text.split()) for text in self.texts], dtype=float)
        self.teacher = self._distribution("teacher_logits", table["teacher_logits"].tolist())
        self.student = (
            None if student_logits is None else self._distribution("student_logits", student_logits)
        )
        self.digest = texts_digest(self.texts)
        self._lowered = [text.lower() for text in self.texts]
        seen = self.teacher_label >= 0
        self.student_label = (
            np.full(len(seen), -1) if self.student is None else self.student.argmax(1)
        )
        self.right = seen & (self.student_label == self.teacher_label)
        self.wrong = seen & ~self.right & (self.student is not None)
        # : A student can learn from a row if the teacher has labelled it; text that is in the test
        # set is out of bounds.
        self.trainable = seen & (self.fates != IN_TEST)
        self.sorts: dict[str, np.ndarray] = {
            "order generated": np.arange(len(seen), dtype=float),
            "teacher's confidence": self.confidence,
            "teacher's entropy": self.entropy,
            "length in words": self.words,
        }
        if (
            self.student is not None
        ):  # half the summed difference: 0 where they agree entirely, 1 where not at all
            self.sorts["distance of student from teacher"] = (
                np.abs(self.teacher - self.student).sum(1) / 2
            )

    def __len__(self) -> int:
        return len(self.texts)

    def _distribution(self, name: str, logits: object) -> np.ndarray:
        """Softmax. *Shape:* ``(texts, classes)``; rows of NaN stay NaN."""
        expected = (len(self.texts), len(self.labels))
        try:
            values = np.asarray(logits, dtype=float)
        except ValueError:  # rows of different lengths
            values = np.empty(0)
        values = values if values.size else values.reshape(-1, expected[1])
        if values.shape != expected:
            raise BadSetting(
                f"{name} of shape {values.shape}; expected {expected}: one row a text, one "
                "column a class"
            )
        shifted = np.exp(values - values.max(axis=1, keepdims=True, initial=-np.inf))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def select(self, filters: Filters, marks: Marks | None = None) -> np.ndarray:
        """The rows that pass every filter, in the asked order (ties in the order generated)."""
        passes = np.ones(len(self), dtype=bool)
        for phrase, word in re.findall(r'"([^"]+)"|(\S+)', filters.search.lower()):
            wanted = phrase or word
            passes &= np.fromiter(
                (wanted in text for text in self._lowered), dtype=bool, count=len(self)
            )
        if filters.fate is not None:
            passes &= self.fates == filters.fate
        if filters.label is not None:
            passes &= self.teacher_label == filters.label
        for span, values in (
            (filters.confidence, self.confidence),
            (filters.entropy, self.entropy),
        ):
            if span is not None:
                passes &= (values >= span[0]) & (values <= span[1])
        if filters.student is not None:
            if filters.student not in STUDENT:
                raise unknown("student filter", filters.student, STUDENT)
            passes &= self.right if filters.student == "right" else self.wrong
        if filters.mark is not None:
            passes &= self._marked(filters.mark, marks or Marks(self.digest))
        if filters.sort not in self.sorts:
            raise unknown("sort", filters.sort, self.sorts)
        rows = np.flatnonzero(passes)
        key = self.sorts[filters.sort][rows]
        return rows[
            np.argsort(-key if filters.descending else key, kind="stable")
        ]  # NaN sorts last in both directions

    def _marked(self, which: str, marks: Marks) -> np.ndarray:
        if which not in MARKS:
            raise unknown("mark filter", which, MARKS)
        rows = [row for row, verdict in marks.verdicts.items() if which in (verdict, "unmarked")]
        rows += list(marks.notes) if which in ("note", "unmarked") else []
        passes = np.zeros(len(self), dtype=bool)
        passes[rows] = True
        return ~passes if which == "unmarked" else passes

    def fate_counts(self, rows: np.ndarray | None = None) -> dict[str, int]:
        """How many of the rows (default: all) met each fate: kept first, then the rest as they come
        in the table.
        """
        known = sorted(dict.fromkeys(self.fates), key=lambda fate: fate != KEPT)
        met = pd.Series(self.fates if rows is None else self.fates[rows]).value_counts()
        return {fate: int(met.get(fate, 0)) for fate in known}

    def label_counts(self, rows: np.ndarray | None = None) -> dict[str, int]:
        """How many of the rows (default: all) the teacher put into each class."""
        given = self.teacher_label if rows is None else self.teacher_label[rows]
        return dict(
            zip(
                self.labels,
                np.bincount(given[given >= 0], minlength=len(self.labels)).tolist(),
                strict=True,
            )
        )

    def selection(self, marks: Marks, rule: str, shown: np.ndarray | None = None) -> list[int]:
        """The rows to train a student on, only those it can and may learn from (:attr:`trainable`).

        Args:
            rule: "marks": what the funnel kept, without rows marked drop, with rows marked keep;
                "keep": only rows marked keep; "shown": the rows in ``shown``, as the filters left
                them.
        """
        if rule not in RULES:
            raise unknown("selection", rule, RULES)
        chosen = np.zeros(len(self), dtype=bool)
        if rule == "marks":
            chosen |= self.fates == KEPT
        if rule == "shown" and shown is not None:
            chosen[shown] = True
        else:
            chosen[[row for row, verdict in marks.verdicts.items() if verdict == "keep"]] = True
            chosen[[row for row, verdict in marks.verdicts.items() if verdict == "drop"]] = False
        return np.flatnonzero(chosen & self.trainable).tolist()

    def examples(self, count: int = 4) -> dict[str, list[int]]:
        """Rows to show where nobody can filter: the best, typical and worst kept ones by the
        teacher's confidence.
        """
        sure = np.flatnonzero((self.fates == KEPT) & np.isfinite(self.confidence))
        order = sure[np.argsort(-self.confidence[sure], kind="stable")].tolist()
        if len(order) < 3 * count:
            count = max(1, len(order) // 3)
        middle = max(0, (len(order) - count) // 2)
        return {
            "best": order[:count],
            "typical": order[middle : middle + count],
            "worst": order[::-1][:count],
        }


class Nearest:
    """Finds the labelled text most like a given one: cosine of TF-IDF over words and word pairs;
    indexed on first use.
    """

    def __init__(self, texts: Sequence[str]):
        self.texts = texts

    @cached_property
    def _index(self) -> tuple | None:
        from sklearn.feature_extraction.text import (
            TfidfVectorizer,
        )  # a second to import: only when somebody looks

        if not any(re.search(r"\w", text) for text in self.texts):
            return None  # not one word to index
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", sublinear_tf=True)
        return vectorizer, vectorizer.fit_transform(self.texts)

    def find(self, text: str) -> tuple[int, float] | None:
        """Position and cosine of the nearest labelled text; ``None`` if none shares a word with it."""
        if self._index is None:
            return None
        vectorizer, matrix = self._index
        cosines = (matrix @ vectorizer.transform([text]).T).toarray().ravel()
        best = int(cosines.argmax())
        return (best, float(cosines[best])) if cosines[best] > 0 else None
