"""Recurrent students that learn from a teacher by a strategy of stages (XtremeDistil)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from safetensors.torch import load_model

from gdlib.learn.loop import Regime, seed_everything
from gdlib.learn.losses import StagedLoss
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import students
from gdlib.networks.costs import costs
from gdlib.networks.distillation import distil_by
from gdlib.networks.embeddings import start_embedding
from gdlib.networks.lessons import Source
from gdlib.networks.recurrent import BiLSTM
from gdlib.studies.shared.knobs import StagedSettings
from gdlib.studies.shared.starts import EmbeddingStarts

LENGTH = 32  # pieces per query
STAGED_KNOBS = (
    *("hard_weight", "representation_weight", "soft_weight", "representation"),
    *("student_dropout", "student_lr", "student_batch", "evaluate_every", "seed"),
)
"""The knobs that :meth:`StagedStudents.new_bilstm` and :meth:`StagedStudents.train_staged` read."""


class StagedStudents(EmbeddingStarts):
    """Builds and trains BiLSTMs.

    The study has a method ``new_student(arm, seed)``, and an artifact ``trained_student`` whose
    first argument is the arm.
    """

    settings: StagedSettings

    def new_bilstm(
        self,
        classes: int,
        hidden_dim: int,
        embedding_dim: int,
        embedding: str,
        pooling: str,
        seed: int,
    ) -> BiLSTM:
        """A student at its start."""
        seed_everything(seed)
        vocabulary, dropout = self.vocabulary, self.settings.student_dropout
        student = BiLSTM(len(vocabulary), classes, hidden_dim, embedding_dim, dropout, pooling)
        start_embedding(student, self.vectors_of(embedding))
        return student

    def student(self, *cell: Any) -> BiLSTM:
        """A trained student, by the arguments of its artifact ``trained_student``."""
        student = self.new_student(cell[0], 0)
        load_model(student, self.trained_student(*cell) / "student.safetensors")
        return student.eval()

    def costs(
        self, arms: Mapping[str, Any], texts: Sequence[str]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Sizes and times of the teacher and of a student of each arm, by the paper's protocol
        (queries of 32 pieces, one thread): the two tables of :func:`gdlib.networks.costs.costs`,
        measured once for the same networks and texts.

        What a student has learnt plays no part in its time, so that they are new ones.
        """
        networks = {name: self.new_student(arm, 0) for name, arm in arms.items()}
        sizes = {name: students.parameters(network) for name, network in networks.items()}
        decide = [self.settings.teacher, self.vocabulary, arms, sizes, list(texts)]
        asked = (self.teacher, self.vocabulary, networks, texts)
        return self.kept(costs, *asked, given=decide, repeats=1, length=LENGTH)

    def train_staged(
        self,
        student: BiLSTM,
        strategy: str,
        parts: Iterable[Source],
        *,
        steps: int,
        patience: int,
        projection: str,
        seed: int,
    ) -> pd.DataFrame:
        """Train a student in place.

        Args:
            student: at its start.
            strategy: of :data:`gdlib.learn.strategies.STRATEGIES`.
            parts: the labelled, the transfer and the held-out texts, in rows of its embedding.
            steps: of a turn, at most.
            patience: looks without a better held-out score that end a turn; 0: never.
            projection: of :data:`gdlib.networks.names.PROJECTIONS`.
            seed: of order and dropout.

        Returns:
            The trace of the training (:func:`gdlib.learn.schedules.run`).
        """
        s = self.settings
        loss = StagedLoss(s.hard_weight, s.representation_weight, s.soft_weight, s.representation)
        regime = Regime(
            steps,
            s.student_lr,
            evaluate_every=s.evaluate_every,
            patience=patience,
            seed=seed,
            decay="cosine",
        )
        return distil_by(
            STRATEGIES[strategy], student, loss, *parts, regime, s.student_batch, projection
        )
