"""Floor 3. Results of arms on a test part, and the tables that compare them over seeds with paired intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from gdlib import metrics, stats


@dataclass(frozen=True)
class Results:
    """What every arm said of every test text.

    Args:
        table: one row a trained student (or baseline, or teacher): corpus, labels_per_class, seed, student_seed,
            student, arm, size, accuracy, macro_f1, agreement, ece, parameters, steps.
        predicted: class indices. *Shape:* ``[rows, texts]``.
        confidence: probability of the predicted class. *Shape:* ``[rows, texts]``.
        gold: *Shape:* ``[texts]``.
    """

    table: pd.DataFrame
    predicted: np.ndarray
    confidence: np.ndarray
    gold: np.ndarray

    def save(self, folder: Path) -> None:
        self.table.to_parquet(folder / "results.parquet", index=False)
        tensors = {"predicted": self.predicted, "confidence": self.confidence, "gold": self.gold}
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "results.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "Results":
        return cls(pd.read_parquet(folder / "results.parquet"), **load_file(folder / "results.safetensors"))

    @classmethod
    def stack(cls, results: Sequence["Results"]) -> "Results":
        """The results of several seeds over the same test texts.

        Raises:
            ValueError: the test texts' gold labels differ: they are not the same texts.
        """
        if any(not np.array_equal(results[0].gold, other.gold) for other in results[1:]):
            raise ValueError("results of different test parts can't be compared text by text")
        tables = pd.concat([r.table for r in results], ignore_index=True)
        predicted, confidence = (np.concatenate([getattr(r, name) for r in results]) for name in ("predicted", "confidence"))
        return cls(tables, predicted, confidence, results[0].gold)

    @property
    def correct(self) -> np.ndarray:
        """*Shape:* ``[rows, texts]``, float 0/1."""
        return (self.predicted == self.gold).astype(np.float64)

    def units(self, student: str, arm: str) -> np.ndarray:
        """Per-text scores of an arm, one row a unit of randomness, in a fixed order. *Shape:* ``[units, texts]``.

        With several seeds (splits, teachers, samples) a unit is a seed, and its student seeds are averaged; with one
        seed it is a student seed. The teacher and baselines have one row a seed; see :func:`paired`.
        """
        rows = self.table[(self.table["student"] == student) & (self.table["arm"] == arm)]
        if rows.empty:
            raise KeyError(f"no results of {student}, {arm}")
        correct = self.correct
        if self.table["seed"].nunique() > 1:
            return np.stack([correct[group.index].mean(axis=0) for _, group in rows.groupby("seed")])
        return correct[rows.sort_values("student_seed").index]

    def paired(self, one: tuple[str, str], other: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """Units of two arms side by side; what has one row (a teacher, a baseline) meets every student seed of its seed."""
        a, b = self.units(*one), self.units(*other)
        units = max(len(a), len(b))
        return (np.repeat(a, units, axis=0) if len(a) == 1 else a), (np.repeat(b, units, axis=0) if len(b) == 1 else b)

    def difference(self, one: tuple[str, str], other: tuple[str, str], resamples: int = 9999) -> stats.Difference:
        """Accuracy of ``one`` minus that of ``other`` (each a student and an arm), paired."""
        return stats.paired_difference(*self.paired(one, other), resamples=resamples)

    def arms(self) -> list[tuple[str, str]]:
        """Every (student, arm), in the order of the table."""
        return list(dict.fromkeys(zip(self.table["student"], self.table["arm"])))


def row(gold: np.ndarray, probabilities: np.ndarray, teacher: np.ndarray, classes: int, **columns: Any) -> dict[str, Any]:
    """One row of the results table from class probabilities ``[texts, classes]`` and the teacher's predictions ``[texts]``."""
    predicted, confidence = probabilities.argmax(axis=-1), probabilities.max(axis=-1)
    return columns | {
        "accuracy": metrics.accuracy(gold, predicted),
        "macro_f1": metrics.macro_f1(gold, predicted, classes),
        "agreement": metrics.agreement(predicted, teacher),
        "ece": metrics.expected_calibration_error(confidence, predicted == gold),
    }


OVERVIEW_RESAMPLES = 1999  # a table of a hundred intervals; the study's questions get all 9,999
REFERENCES = {"majority": "baseline", "tfidf-lr": "baseline", "teacher": "teacher"}


def arms_table(results: Results) -> pd.DataFrame:
    """Every arm over seeds: means, the accuracy's interval, retention, and the paired differences.

    Columns: student, arm, size, accuracy, low, high, macro_f1, retention (accuracy over the teacher's), agreement, ece,
    parameters, ``minus labels`` (this arm minus the same student on labels only), ``minus tfidf-lr``, ``minus teacher``:
    each as text with its interval, "not resolved" said where it is.
    """
    teacher = results.units("teacher", "teacher").mean()
    rows = []
    for student, arm in results.arms():
        of = results.table[(results.table["student"] == student) & (results.table["arm"] == arm)]
        interval = stats.mean_interval(results.units(student, arm))
        entry = {"student": student, "arm": arm, "size": int(round(of["size"].mean()))}
        entry |= {"accuracy": interval.mean, "low": interval.low, "high": interval.high}
        entry |= {"macro_f1": of["macro_f1"].mean(), "retention": interval.mean / teacher}
        entry |= {"agreement": of["agreement"].mean(), "ece": of["ece"].mean(), "parameters": int(of["parameters"].mean())}
        for column, against in (("minus labels", (student, "labelled only")), ("minus tfidf-lr", ("tfidf-lr", "baseline"))):
            known = against in results.arms() and against != (student, arm)
            entry[column] = results.difference((student, arm), against, OVERVIEW_RESAMPLES).describe() if known else ""
        same = student == "teacher"
        entry["minus teacher"] = "" if same else results.difference((student, arm), ("teacher", "teacher"), OVERVIEW_RESAMPLES).describe()
        rows.append(entry)
    return pd.DataFrame(rows)


def differences(results: Results, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Paired differences between two arms of the same student, for every student: the questions a study asks.

    Args:
        results: over seeds.
        pairs: (arm, other arm).

    Returns:
        Columns: student, arm, against, difference, low, high, seeds_low, seeds_high, p, resolved, in words.
    """
    students = [s for s in dict.fromkeys(results.table["student"]) if s not in REFERENCES]
    rows = []
    for student in students:
        for arm, against in pairs:
            d = results.difference((student, arm), (student, against))
            row = {"student": student, "arm": arm, "against": against, "difference": d.mean, "low": d.low, "high": d.high}
            row |= {"seeds_low": d.seeds_low, "seeds_high": d.seeds_high, "p": d.p, "resolved": d.resolved, "in words": d.describe()}
            rows.append(row)
    return pd.DataFrame(rows)


def pooled(results: Results, one: str, other: str) -> stats.Difference:
    """Arm ``one`` minus arm ``other``, averaged over all students: one answer for the study."""
    students = [s for s in dict.fromkeys(results.table["student"]) if s not in REFERENCES]
    sides = [results.paired((s, one), (s, other)) for s in students]
    return stats.paired_difference(np.mean([a for a, _ in sides], axis=0), np.mean([b for _, b in sides], axis=0))


def means(results: Results, arms: Sequence[str] | None = None) -> pd.DataFrame:
    """Mean accuracy over seeds with its interval over texts: student, arm, size, accuracy, low, high."""
    rows = []
    for student, arm in results.arms():
        if arms is None or arm in arms or student in REFERENCES:
            of = results.table[(results.table["student"] == student) & (results.table["arm"] == arm)]
            interval = stats.mean_interval(results.units(student, arm))
            row = {"student": student, "arm": arm, "size": of["size"].mean()}
            rows.append(row | {"accuracy": interval.mean, "low": interval.low, "high": interval.high})
    return pd.DataFrame(rows)


def hard_against_soft(results: Results, hard: str, soft: str) -> pd.DataFrame:
    """One row a student: the accuracy of both arms, and the interval of their paired difference (soft minus hard)."""
    rows = []
    for student in dict.fromkeys(results.table["student"]):
        if {(student, hard), (student, soft)} <= set(results.arms()):
            d = results.difference((student, soft), (student, hard))
            accuracy = {kind: results.units(student, arm).mean() for kind, arm in (("hard", hard), ("soft", soft))}
            rows.append({"student": student, **accuracy, "low": d.low, "high": d.high, "in words": d.describe()})
    return pd.DataFrame(rows)
