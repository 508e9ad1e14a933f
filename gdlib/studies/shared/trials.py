"""Collects what references and students predict of the test texts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open
from scipy.special import softmax
from torch import nn

from gdlib.compare import baselines
from gdlib.compare.results import Results, of_classifiers
from gdlib.core.store import Artifact
from gdlib.networks import students
from gdlib.sources.corpora import Part
from gdlib.sources.splits import Splits


@dataclass
class Trials:
    """Collects what references and students predict of the test texts.

    Args:
        columns: the columns that all rows share (corpus, labels_per_class, seed).
        test: the test part.
        teacher: its probabilities. *Shape:* ``[texts, classes]``.
    """

    columns: dict[str, Any]
    test: Part
    teacher: np.ndarray
    rows: list[dict[str, Any]] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)

    def references(self, splits: Splits, teacher: nn.Module, teacher_steps: int) -> None:
        """The baselines, trained on the whole labelled budget, and the teacher itself."""
        labelled, texts = splits.labelled, self.test.texts
        shared = {"student": "", "student_seed": -1, "size": 0}
        for name in baselines.BASELINES:
            model = baselines.build(name, labelled.texts, labelled.labels)
            probabilities = baselines.predict(model, texts, len(splits.labels))
            size = baselines.parameters(model)
            self.count(probabilities, arm=name, parameters=size, steps=0, **shared)
        size = students.parameters(teacher)
        self.count(self.teacher, arm="teacher", parameters=size, steps=teacher_steps, **shared)

    def student(self, made: Artifact, **columns: Any) -> None:
        """One trained student, from its artifact."""
        with safe_open(made / "test.safetensors", "np") as file:
            logits, header = file.get_tensor("logits"), file.metadata()
        numbers = {name: int(header[name]) for name in ("parameters", "steps")}
        self.count(softmax(logits.astype(np.float64), axis=-1), **columns, **numbers)

    def count(self, probabilities: np.ndarray, **columns: Any) -> None:
        """One row, from class probabilities of the test texts. *Shape:* ``[texts, classes]``."""
        self.rows.append(self.columns | columns)
        self.probabilities.append(probabilities)

    def results(self) -> Results:
        """All of it, in the order in which it was counted."""
        items = pd.DataFrame({"gold": self.test.labels})
        return of_classifiers(self.rows, self.probabilities, items, self.teacher)
