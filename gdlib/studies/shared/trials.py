"""Collects what references and students predict of the test texts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import scipy
from torch import nn

from gdlib.compare.metrics import expected_calibration_error
from gdlib.compare.results import Results, of_classifiers
from gdlib.core.store import Artifact
from gdlib.learn import tensors
from gdlib.networks import students
from gdlib.sources.corpora import Part

REFERENCE = {"student": "", "student_seed": -1, "size": 0}
"""Columns of models that no student seed or transfer set belongs to."""


@dataclass
class Trials:
    """Collects what references and students predict of the test texts.

    Args:
        columns: the columns that all rows share (corpus, labels_per_class, seed).
        test: the test part.
        teacher: its logits. *Shape:* ``[texts, classes]``.
    """

    columns: dict[str, Any]
    test: Part
    teacher: np.ndarray
    rows: list[dict[str, Any]] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)

    def references(
        self,
        answers: tuple[pd.DataFrame, pd.DataFrame],
        teacher: nn.Module,
        teacher_steps: int,
    ) -> None:
        """The baselines, by their :func:`gdlib.compare.baselines.answers`, and the teacher itself,
        whose temperature is in its head (:func:`gdlib.networks.teacher.learn`).
        """
        probabilities, sizes = answers
        of_each = np.split(probabilities.to_numpy(), len(sizes))
        for (name, size), found in zip(sizes.itertuples(index=False), of_each):
            self.reference(name, found, size)
        columns = REFERENCE | {"parameters": students.parameters(teacher), "steps": teacher_steps}
        self.network(self.teacher, 1.0, arm="teacher", **columns)

    def reference(self, name: str, probabilities: np.ndarray, parameters: int) -> None:
        """A model without a training loop. *Shape:* probabilities ``[texts, classes]``."""
        self.count(probabilities, arm=name, parameters=parameters, steps=0, **REFERENCE)

    def student(self, made: Artifact, **columns: Any) -> None:
        """One trained student, from its artifact."""
        named, notes = tensors.load(made / "test.safetensors")
        self.network(named["logits"].numpy(), **columns, **notes)

    def network(self, logits: np.ndarray, temperature: float, **columns: Any) -> None:
        """A network, as it is and calibrated: ``calibrated_ece`` is the calibration error after its
        logits are divided by a temperature fitted on held-out texts.

        *Shape:* ``[texts, classes]``.
        """
        logits = logits.astype(np.float64)
        calibrated = scipy.special.softmax(logits / temperature, axis=-1).max(axis=-1)
        right = logits.argmax(axis=-1) == np.array(self.test.labels)
        columns["calibrated_ece"] = expected_calibration_error(calibrated, right)
        self.count(scipy.special.softmax(logits, axis=-1), **columns)

    def count(self, probabilities: np.ndarray, **columns: Any) -> None:
        """One row, from class probabilities of the test texts. *Shape:* ``[texts, classes]``."""
        self.rows.append(self.columns | {"calibrated_ece": np.nan} | columns)
        self.probabilities.append(probabilities)

    def results(self) -> Results:
        """All of it, in the order in which it was counted."""
        items = pd.DataFrame({"gold": self.test.labels})
        return of_classifiers(self.rows, self.probabilities, items, self.teacher)
