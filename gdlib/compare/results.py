"""What every model put out of every test item, and how arms are paired for a comparison."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gdlib.compare import metrics
from gdlib.compare.scores import ACCURACY, BALANCED, MACRO_F1, Score
from gdlib.compare.stats import Sample
from gdlib.core.wording import counted

SEEDS = {
    "student_seed": "student seed",
    "model_seed": "model seed",
    "tuning_seed": "fine-tuning seed",
}
"""Columns of the seeds that are drawn within a seed of the study, and what they are called."""

TOGETHER = "drawn together"
"""The column of the items, if there is one, whose equal values say that items are no independent
draws, as the words of one sentence."""

Choice = Mapping[str, Any]
"""Columns of the table and the value that chosen rows have there."""


@dataclass(frozen=True)
class Results:
    """What every model put out of every test item.

    Args:
        table: a row per trained model or reference: its arm, its ``seed`` (of splits and draws),
            one of :data:`SEEDS` (-1 where nothing more is drawn), numbers.
        outputs: what a score is made of: predicted classes or numbers, counts, losses. *Shape:*
            ``[rows, items, ...]``.
        items: a row per item: ``gold`` and what else a score or a choice of items needs.
    """

    table: pd.DataFrame
    outputs: NDArray
    items: pd.DataFrame

    @cached_property
    def digest(self) -> str:
        """As results stand in a recipe: over every number, those of a subclass too."""
        whole = hashlib.sha256()
        for value in (getattr(self, field.name) for field in fields(self)):
            if isinstance(value, pd.DataFrame):
                value = value.to_json(double_precision=15).encode()
            array = isinstance(value, np.ndarray)
            value = np.ascontiguousarray(value).tobytes() if array else value
            whole.update(value if isinstance(value, bytes) else repr(value).encode())
        return whole.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        self.table.to_parquet(folder / "results.parquet", index=False)
        self.items.to_parquet(folder / "items.parquet", index=False)
        np.save(folder / "outputs.npy", self.outputs)

    @classmethod
    def load(cls, folder: Path) -> "Results":
        """What :meth:`save` wrote."""
        table = pd.read_parquet(folder / "results.parquet")
        items = pd.read_parquet(folder / "items.parquet")
        return cls(table, np.load(folder / "outputs.npy"), items)

    @classmethod
    def stack(cls, results: Sequence["Results"]) -> "Results":
        """The results of several seeds on the same test items.

        Raises:
            ValueError: the items differ.
        """
        first, *others = results
        if any(not first.items.equals(other.items) for other in others):
            raise ValueError("results of different test parts can't be compared item by item")
        table = pd.concat([of.table for of in results], ignore_index=True)
        return replace(first, table=table, outputs=np.concatenate([of.outputs for of in results]))

    @classmethod
    def stack_first(cls, results: Sequence["Results"]) -> "Results":
        """The same of seeds with unlike numbers of items: on the first, as many as all have."""
        least = min(len(of.items) for of in results)
        return cls.stack([of.where(np.arange(len(of.items)) < least) for of in results])

    def where(self, chosen: pd.Series | NDArray[np.bool_]) -> "Results":
        """The same on some of the items. *Shape:* ``[items]``, bool."""
        items = self.items[np.asarray(chosen)]
        outputs = self.outputs[:, items.index]
        return replace(self, outputs=outputs, items=items.reset_index(drop=True))

    def only(self, **choice: Any) -> "Results":
        """The same of the rows with these values alone."""
        rows = self.rows(**choice)
        return replace(self, table=rows.reset_index(drop=True), outputs=self.outputs[rows.index])

    def has(self, **choice: Any) -> bool:
        """Whether there are rows with these values."""
        return bool((self.table[list(choice)] == pd.Series(choice)).all(axis=1).any())

    def rows(self, **choice: Any) -> pd.DataFrame:
        """The rows of the table with these values; their index is that of ``outputs``.

        Raises:
            KeyError: there are none.
        """
        rows = self.table[(self.table[list(choice)] == pd.Series(choice)).all(axis=1)]
        if rows.empty:
            raise KeyError(f"no results of {', '.join(map(str, choice.values()))}")
        return rows

    def scores(self, score: Score) -> NDArray[np.float64]:
        """The score of every row. *Shape:* ``[rows]``."""
        return score(self.outputs, self.items)

    # ---- replication

    @property
    def seed_column(self) -> str:
        """The column of :data:`SEEDS` that the table has."""
        return next(name for name in SEEDS if name in self.table)

    @property
    def unit(self) -> str:
        """The column whose values are the units of replication: the seed where there are several,
        since models of one seed share their split, teacher and draws; else that of the models.
        """
        return "seed" if self.table["seed"].nunique() > 1 else self.seed_column

    @property
    def replicates(self) -> int:
        """How many units the intervals over seeds are over."""
        return self._drawn(self.unit)

    def _drawn(self, column: str) -> int:
        seeds = self.table[column]
        return seeds[seeds >= 0].nunique()

    def describe_units(self) -> str:
        """What means are over, and which of it intervals over seeds are over: ``2 seeds x 3 student
        seeds (replicated by seed)``.
        """
        noun = SEEDS[self.seed_column]
        means = f"{counted(self._drawn('seed'), 'seed')} x "
        means += counted(self._drawn(self.seed_column), noun)
        unit = "seed" if self.unit == "seed" else noun
        return f"{means} ({f'replicated by {unit}' if self.replicates > 1 else 'not replicated'})"

    def units(self, **choice: Any) -> NDArray[np.intp]:
        """The rows of an arm by unit of replication: ``[units, models]``, both in a fixed order.

        Raises:
            KeyError: there are none.
            ValueError: units of unlike numbers of models.
        """
        rows = self.rows(**choice)
        order = [self.unit, *(column for column in ("student", self.seed_column) if column in rows)]
        groups = rows.sort_values(list(dict.fromkeys(order)), kind="stable").groupby(self.unit)
        return np.stack([group.index.to_numpy() for _, group in groups])

    def sample(self, score: Score, left: Choice, right: Choice | None = None) -> Sample:
        """What an arm, or each of two, adds for every item, or for all items that are drawn
        together (:data:`TOGETHER`): :mod:`gdlib.compare.stats` takes it.
        """
        rows = [self.units(**choice) for choice in (left, right) if choice is not None]
        outputs = self.outputs[np.concatenate([side.ravel() for side in rows])]
        added = np.moveaxis(score.added(outputs, self.items), 1, 0)
        if TOGETHER in self.items:
            groups = pd.factorize(self.items[TOGETHER])[0]
            sums = np.zeros((groups.max() + 1, *added.shape[1:]))
            np.add.at(sums, groups, added)
            added = sums * (len(sums) / len(added))  # over the mean number of items of a group
        sides = np.split(added, [rows[0].size], axis=1)
        return Sample(
            score, *(side.reshape(len(added), *of.shape, -1) for side, of in zip(sides, rows))
        )


def of_classifiers(
    rows: Sequence[Mapping[str, Any]],
    probabilities: Sequence[NDArray],
    items: pd.DataFrame,
    teacher: NDArray | None = None,
) -> Results:
    """The results of classifiers, with the numbers that are counted of each: ``accuracy``,
    ``balanced_accuracy``, ``macro_f1``, ``agreement`` with the teacher's predictions and ``ece``,
    the calibration error.

    Args:
        rows: what each row of the table says of its model, at least ``arm`` and its seeds.
        probabilities: of classes, per row. *Shape:* ``[items, classes]`` each.
        items: a row per item; ``gold`` is its class.
        teacher: the teacher's probabilities, ``[items, classes]``, if there is one.
    """
    stacked = np.stack(probabilities)
    predicted = stacked.argmax(axis=-1).astype(np.int16)
    right = predicted == items["gold"].to_numpy()
    scores = {"accuracy": ACCURACY, "balanced_accuracy": BALANCED, "macro_f1": MACRO_F1}
    numbers = {name: score(predicted, items) for name, score in scores.items()}
    if teacher is not None:
        numbers["agreement"] = ACCURACY(predicted, {"gold": teacher.argmax(axis=-1)})
    confidence = stacked.max(axis=-1)
    numbers["ece"] = list(map(metrics.expected_calibration_error, confidence, right))
    return Results(pd.DataFrame(rows).assign(**numbers), predicted, items)
