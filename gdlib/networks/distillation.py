"""How students are trained, on one transfer set or by a strategy of stages, and how they answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor, nn

from gdlib.learn import schedules
from gdlib.learn.batches import Batch, ask, in_batches, pad
from gdlib.learn.loop import Batches, History, Regime, fit, seed_everything
from gdlib.learn.losses import GOLD_ONLY, DistillationLoss, StagedLoss, held_out_score
from gdlib.learn.strategies import Stage, Strategy
from gdlib.networks import students
from gdlib.networks.arms import Arm
from gdlib.networks.embeddings import start_embedding
from gdlib.networks.lessons import Source, join, marked
from gdlib.networks.recurrent import BiLSTM, Projected
from gdlib.networks.students import PAD, Student, Vocabulary


@dataclass(frozen=True, kw_only=True)
class StudentPlan:
    """How a student is built and trained.

    Names as in the study's settings; ``loss`` is that of the soft arms.
    """

    student_parameters: int
    embedding_dim: int
    student_dropout: float
    student_steps: int
    student_lr: float
    student_batch: int
    evaluate_every: int
    patience: int
    loss: DistillationLoss

    def build(self, name: str, classes: int, vocabulary: Vocabulary) -> Student:
        """A student of an architecture (:func:`gdlib.networks.students.build`), as it is drawn."""
        widths = (self.student_parameters, self.embedding_dim, self.student_dropout)
        return students.build(name, len(vocabulary), classes, *widths)


def loss_of(arm: Arm, plan: StudentPlan) -> DistillationLoss:
    """Gold and hard arms learn by cross-entropy alone; soft ones by the plan's mixture."""
    return plan.loss if arm.target == "soft" else GOLD_ONLY


def new_student(
    name: str,
    classes: int,
    vocabulary: Vocabulary,
    vectors: Tensor | None,
    plan: StudentPlan,
    seed: int,
) -> Student:
    """A student at its start, its embedding from vectors of its pieces
    (:func:`gdlib.networks.embeddings.start_embedding`).

    Raises:
        UnknownName: no such architecture.
    """
    seed_everything(seed)
    student = plan.build(name, classes, vocabulary)
    start_embedding(student, vectors)
    return student


def distil(
    student: Student,
    labelled: Source,
    transfer: Source | None,
    held_out: Source,
    vocabulary: Vocabulary,
    loss: DistillationLoss,
    plan: StudentPlan,
    seed: int,
) -> History:
    """Train a student in place; the weights with the lowest held-out score
    (:func:`gdlib.learn.losses.held_out_score`) are kept.

    A quarter of every batch are labelled texts, whatever else there is: so arms with more text see
    the labelled texts no less often than one another.

    Args:
        student: at its start.
        labelled: texts with gold labels.
        transfer: other texts, if any.
        held_out: labelled texts to choose by.
        vocabulary: of the student.
        loss: of the arm.
        plan: with ``evaluate_every = 0`` the last weights are kept, because with few held-out texts
            a choice between neighbouring steps is a throw of dice.
        seed: of order and dropout.
    """
    checks = held_out.in_rows(vocabulary)
    regime = Regime(
        steps=plan.student_steps,
        lr=plan.student_lr,
        evaluate_every=plan.evaluate_every or plan.student_steps,
        patience=plan.patience,
        seed=seed,
    )
    return fit(
        student,
        mixed_batches(labelled, transfer, vocabulary, plan.student_batch, seed),
        lambda model, batch: loss(model(batch["pieces"]), batch["teacher_logits"], batch["labels"]),
        lambda model: held_out_score(predict(model, checks.pieces), checks.labels),
        regime,
    )


def mixed_batches(
    labelled: Source, transfer: Source | None, vocabulary: Vocabulary, size: int, seed: int
) -> Batches:
    """Step number to a batch, a quarter of it labelled texts (:func:`gdlib.learn.schedules.draw`);
    without other texts all of it.
    """
    data = (join([labelled, transfer]) if transfer else labelled).in_rows(vocabulary)
    stage = Stage((), "both" if transfer else "labelled")
    return stage_batches(stage, data, len(labelled), size, seed)


def stage_batches(stage: Stage, data: Source, labelled: int, size: int, seed: int) -> Batches:
    """Step number to a batch as a stage draws it (:func:`gdlib.learn.schedules.draw`).

    ``labelled``: how many texts of the data, the first ones, are the labelled.
    """
    lengths = data.lengths
    drawn = schedules.draw(stage, lengths[:labelled], lengths[labelled:], size, seed)

    def batch(step: int) -> Batch:
        own, others = drawn(step)
        return data.rows([*own, *(row + labelled for row in others)]).batch()

    return batch


def distil_by(
    strategy: Strategy,
    student: BiLSTM,
    loss: StagedLoss,
    labelled: Source,
    transfer: Source,
    held_out: Source,
    regime: Regime,
    batch: int,
    projection: str,
) -> pd.DataFrame:
    """Train a student in place by a strategy; its trace (:func:`gdlib.learn.schedules.run`).

    Args:
        strategy: of :data:`gdlib.learn.strategies.STRATEGIES`, or another.
        student: at its start.
        loss: all three parts with their weights.
        labelled, transfer, held_out: with the teacher's states, in rows of the student's embedding.
        regime: of each phase.
        batch: texts per step.
        projection: from its states to the teacher's, of :data:`gdlib.networks.names.PROJECTIONS`.
    """
    both = join([labelled, transfer])

    def batches(stage: Stage, seed: int) -> Batches:
        data = both.pseudo_labelled() if stage.pseudo_labels else both
        return stage_batches(stage, data, len(labelled), batch, seed)

    checks = [held_out.rows(index).batch() for index in in_batches(held_out.lengths, 128)]
    learner = Projected(student, both.teacher_states.shape[1], projection)
    return schedules.run(learner, strategy, loss, batches, checks, regime)


def predict(student: nn.Module, rows: Sequence[Sequence[int]], batch: int = 256) -> Tensor:
    """Logits of rows of pieces, in their order. *Shape:* ``[texts, classes]``, on the CPU."""

    def inputs(chosen: list[list[int]]) -> Batch:
        return {"pieces": pad(chosen, PAD)}

    return ask(student, rows, inputs, batch=batch, precision="fp32")


def predict_tags(
    student: nn.Module,
    rows: Sequence[Sequence[int]],
    places: Sequence[Sequence[int]],
    batch: int = 128,
) -> np.ndarray:
    """The most likely tag of every item, in order. *Shape:* ``[items]``, int64."""

    def inputs(chosen: list[tuple[list[int], list[int]]]) -> Batch:
        ids, items = zip(*chosen)
        pieces = pad(ids, PAD)
        return {"pieces": pieces, "items": marked(items, pieces)}

    def tags(pieces: Tensor, items: Tensor) -> Tensor:
        return student(pieces).argmax(-1)[items]

    counts = [len(items) for items in places]
    pairs = list(zip(rows, places))
    return ask(student, pairs, inputs, tags, counts=counts, batch=batch, precision="fp32").numpy()
