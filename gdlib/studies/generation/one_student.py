"""One student of study 1 to look at: it answers a text, is packed to take home, or is trained again
on a selection.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from gdlib.compare.scores import ACCURACY
from gdlib.core.store import Artifact
from gdlib.learn import tensors
from gdlib.networks import distillation
from gdlib.networks.arms import ARMS, MAIN_ARM
from gdlib.networks.export import Packed
from gdlib.networks.students import Student
from gdlib.studies.generation.settings import KEPT, Settings
from gdlib.studies.shared.writing import WritingStudy

STUDENT_KNOBS = (
    *("student_parameters", "embedding_dim", "student_dropout", "student_steps", "student_lr"),
    *("student_batch", "evaluate_every", "patience", "soft_loss", "temperature", "hard_weight"),
    *("soft_weight", "max_length", "seed"),
)
"""The knobs by which a student is built, trained and given its texts."""
WIDE = ("vector", "student_logits")  # columns of a row of numbers each, kept as bytes


class OneStudent(WritingStudy):
    """What is done with a single student of a study that trains many."""

    settings: Settings

    def student(self, name: str | None = None, arm: str = MAIN_ARM) -> Student:
        """The student of an arm, of the first student seed and (unless named) architecture."""
        name = name or self.settings.students[0]
        return self.loaded(name, self.shown(name, arm))

    def loaded(self, name: str, made: Artifact) -> Student:
        """A trained student of an architecture, read."""
        student = self.student_plan.build(name, len(self.class_names), self.vocabulary)
        student.load_state_dict(load_file(made / "student.safetensors"))
        return student.eval()

    def shown(self, name: str, arm: str = MAIN_ARM) -> Artifact:
        """The artifact of that student."""
        return self.trained_student(name, ARMS[arm], self.settings.student_seeds[0])

    def packed(self, arm: str = MAIN_ARM) -> Packed:
        """That student as it is exported, with the temperature that calibrates it."""
        name, pieces = self.settings.students[0], len(self.teacher.tokenizer)
        temperature = tensors.load(self.shown(name, arm) / "test.safetensors")[1]["temperature"]
        return Packed(self.student(name, arm), self.vocabulary, temperature, pieces)

    def student_logits(self, texts: Sequence[str], name: str | None = None) -> np.ndarray:
        """The logits of that student on some texts. *Shape:* ``[texts, classes]``."""
        return distillation.predict(self.student(name), self.rows(texts)).numpy()

    def explored_by_student(self) -> pd.DataFrame:
        """:meth:`explored` as one table that can be kept, with the vectors and the logits of that
        student (float16) and the names of the classes.
        """
        table, vectors = self.explored()
        wide = zip(WIDE, (vectors, self.student_logits(table["text"].tolist())), strict=True)
        rows = {name: [row.tobytes() for row in np.float16(values)] for name, values in wide}
        table = table.assign(**rows)
        table.attrs["classes"] = list(self.class_names)
        return table

    def opened(
        self, kept: str = ""
    ) -> tuple[pd.DataFrame, tuple[str, ...], np.ndarray, np.ndarray]:
        """What the explorer is opened with: the texts, the names of the classes, a vector and the
        student's logits of each text. *Shape:* ``[texts, width]`` and ``[texts, classes]``.

        Args:
            kept: the folder in which the stage *students* has left them (a second to read); empty:
                they are worked out.
        """
        table = pd.read_parquet(Path(kept, KEPT)) if kept else self.explored_by_student()
        vectors, logits = (
            np.frombuffer(b"".join(table.pop(name)), np.float16).reshape(len(table), -1)
            for name in WIDE
        )
        return table, tuple(table.attrs["classes"]), np.float32(vectors), np.float32(logits)

    def ask(self, text: str) -> dict[str, np.ndarray]:
        """The logits of "teacher" and "student" (:meth:`student`) for any text. *Shape:*
        ``[classes]`` each.
        """
        teacher = self.teacher.signals([text]).logits[0].numpy()
        return {"teacher": teacher, "student": self.student_logits([text])[0]}

    def train_on(self, indices: Sequence[int]) -> dict[str, Any]:
        """Distil the first student on the labelled texts and a selection of samples, and compare it
        with the main arm's.

        The selection is made by looking, so it is judged on the held-out labelled texts and never
        on the test part.

        Args:
            indices: rows of :meth:`samples`.

        Returns:
            ``texts`` used, ``held_out`` texts judged on, ``accuracy`` with the selection,
            ``baseline_accuracy`` without it.
        """
        name, seed = self.settings.students[0], self.settings.student_seeds[0]
        chosen = self.samples().iloc[list(indices)]
        chosen = chosen[chosen["teacher_label"] >= 0]
        selected = self.source(
            chosen["text"].tolist(), torch.tensor(np.stack(chosen["teacher_logits"]))
        )
        lessons = self.labelled, selected if len(selected) else None
        student, _ = self.distil(name, lessons, ARMS[MAIN_ARM], seed)
        held_out, rows = self.held_out.labels.numpy(), self.vocabulary.rows(self.held_out.pieces)
        accuracy, baseline = (
            ACCURACY.of(held_out, distillation.predict(network, rows).argmax(-1).numpy())
            for network in (student, self.student(name))
        )
        counted = {"texts": len(chosen), "held_out": len(held_out)}
        return counted | {"accuracy": accuracy, "baseline_accuracy": baseline}
