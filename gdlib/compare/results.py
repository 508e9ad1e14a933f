"""What every arm said of every test text, and how arms are paired for a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from gdlib.compare import metrics


@dataclass(frozen=True)
class Results:
    """What every arm said of every test text.

    Args:
        table: one row a trained student (or baseline, or teacher): corpus, labels_per_class, seed,
            student_seed, student, arm, size, accuracy, macro_f1, agreement, ece, parameters, steps.
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
        save_file(
            {name: np.ascontiguousarray(array) for name, array in tensors.items()},
            folder / "results.safetensors",
        )

    @classmethod
    def load(cls, folder: Path) -> "Results":
        return cls(
            pd.read_parquet(folder / "results.parquet"), **load_file(folder / "results.safetensors")
        )

    @classmethod
    def stack(cls, results: Sequence["Results"]) -> "Results":
        """The results of several seeds over the same test texts.

        Raises:
            ValueError: the test texts' gold labels differ: they are not the same texts.
        """
        if any(not np.array_equal(results[0].gold, other.gold) for other in results[1:]):
            raise ValueError("results of different test parts can't be compared text by text")
        tables = pd.concat([r.table for r in results], ignore_index=True)
        predicted, confidence = (
            np.concatenate([getattr(r, name) for r in results])
            for name in ("predicted", "confidence")
        )
        return cls(tables, predicted, confidence, results[0].gold)

    @property
    def correct(self) -> np.ndarray:
        """*Shape:* ``[rows, texts]``, float 0/1."""
        return (self.predicted == self.gold).astype(np.float64)

    def rows(self, student: str, arm: str) -> pd.DataFrame:
        """The rows of an arm in the table; their index is that of ``predicted``.

        Raises:
            KeyError: there are none.
        """
        rows = self.table[(self.table["student"] == student) & (self.table["arm"] == arm)]
        if rows.empty:
            raise KeyError(f"no results of {student}, {arm}")
        return rows

    def units(self, student: str, arm: str) -> np.ndarray:
        """Per-text scores of an arm, one row a unit of randomness, in a fixed order. *Shape:*
        ``[units, texts]``.

        With several seeds (splits, teachers, samples) a unit is a seed, and its student seeds are
        averaged; with one seed it is a student seed. The teacher and baselines have one row a seed;
        see :func:`paired`.
        """
        rows, correct = self.rows(student, arm), self.correct
        if self.table["seed"].nunique() > 1:
            return np.stack(
                [correct[group.index].mean(axis=0) for _, group in rows.groupby("seed")]
            )
        return correct[rows.sort_values("student_seed").index]

    def paired(self, one: tuple[str, str], other: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """Units of two arms side by side; what has one row (a teacher, a baseline) meets every
        student seed of its seed.
        """
        a, b = self.units(*one), self.units(*other)
        units = max(len(a), len(b))
        return (np.repeat(a, units, axis=0) if len(a) == 1 else a), (
            np.repeat(b, units, axis=0) if len(b) == 1 else b
        )

    def arms(self) -> list[tuple[str, str]]:
        """Every (student, arm), in the order of the table."""
        return list(dict.fromkeys(zip(self.table["student"], self.table["arm"])))


def row(
    gold: np.ndarray, probabilities: np.ndarray, teacher: np.ndarray, classes: int, **columns: Any
) -> dict[str, Any]:
    """One row of the results table from class probabilities ``[texts, classes]`` and the teacher's
    predictions ``[texts]``.
    """
    predicted, confidence = probabilities.argmax(axis=-1), probabilities.max(axis=-1)
    return columns | {
        "accuracy": metrics.accuracy(gold, predicted),
        "macro_f1": metrics.macro_f1(gold, predicted, classes),
        "agreement": metrics.agreement(predicted, teacher),
        "ece": metrics.expected_calibration_error(confidence, predicted == gold),
    }
