"""Collects what references and students say of the test texts."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.special import softmax
from torch import Tensor, nn

from gdlib.compare import baselines
from gdlib.compare.results import Results, of_classifiers
from gdlib.core.store import Artifact
from gdlib.networks import students
from gdlib.sources.corpora import Part
from gdlib.sources.splits import Splits


def once(file: Path, make: Callable[[], tuple[dict[str, Tensor], dict[str, str]]]) -> Path:
    """What ``make`` gives, tensors and a header, in a safetensors file, unless it is there already.

    The file is written aside and renamed: a run that was killed trains no finished student twice,
    and several processes may work in one folder.
    """
    if not file.exists():
        tensors, header = make()
        aside = file.with_suffix(f".{os.getpid()}")
        save_file(tensors, aside, header)
        aside.rename(file)
    return file


@dataclass
class Trials:
    """Collects what references and students say of the test texts.

    Args:
        columns: the columns that all rows share (corpus, labels_per_class, seed).
        test: the test part.
        teacher_probabilities: *Shape:* ``[texts, classes]``.
    """

    columns: dict[str, Any]
    test: Part
    teacher_probabilities: np.ndarray
    rows: list[dict[str, Any]] = field(default_factory=list)
    said: list[np.ndarray] = field(default_factory=list)

    def references(self, splits: Splits, teacher: nn.Module, teacher_steps: int) -> None:
        """The baselines, trained on the whole labelled budget, and the teacher itself."""
        same = {"student_seed": -1, "size": 0}
        for name in baselines.BASELINES:
            model = baselines.build(name, splits.labelled.texts, splits.labelled.labels)
            probabilities = baselines.predict(model, self.test.texts, len(splits.labels))
            self.count(
                probabilities,
                student="",
                arm=name,
                parameters=baselines.parameters(model),
                steps=0,
                **same,
            )
        size = students.parameters(teacher)
        self.count(
            self.teacher_probabilities,
            student="",
            arm="teacher",
            parameters=size,
            steps=teacher_steps,
            **same,
        )

    def student(self, made: Artifact, **columns: Any) -> None:
        """One trained student, from its artifact."""
        with safe_open(made / "test.safetensors", "np") as file:
            logits, header = file.get_tensor("logits"), file.metadata()
        numbers = {name: int(header[name]) for name in ("parameters", "steps")}
        self.count(softmax(logits.astype(np.float64), axis=-1), **columns, **numbers)

    def results(self) -> Results:
        """All of it, in the order in which it was counted."""
        items = pd.DataFrame({"gold": self.test.labels})
        return of_classifiers(self.rows, self.said, items, self.teacher_probabilities)

    def count(self, probabilities: np.ndarray, **more: Any) -> None:
        """One row, from class probabilities of the test texts. *Shape:* ``[texts, classes]``."""
        self.rows.append(self.columns | more)
        self.said.append(np.asarray(probabilities))
