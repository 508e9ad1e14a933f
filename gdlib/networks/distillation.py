"""What students learn from, and how they are trained on it: in one go, or by a strategy of stages."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gdlib.learn import schedules
from gdlib.learn.batches import Batch, ask, batches_by_length, ends, in_batches, pad, spans
from gdlib.learn.loop import History, Regime, fit, seed_everything
from gdlib.learn.losses import DistillationLoss, StagedLoss, held_out_score
from gdlib.learn.strategies import Stage, Strategy
from gdlib.networks import students
from gdlib.networks.arms import Arm
from gdlib.networks.recurrent import BiLSTM, Projected
from gdlib.networks.students import PAD, Student, Vocabulary


@dataclass(frozen=True)
class Source:
    """Texts a student may learn from. An *item* of the losses is a text or, of sentences with tags,
    the first piece of a token.

    Args:
        pieces: of every text, without special tokens: the teacher's ids, or rows of the student's
            embedding.
        teacher_logits: *Shape:* ``[items, classes]``.
        labels: gold labels, or -1 where there is none. *Shape:* ``[items]``.
        teacher_states: of one layer, where they are wanted, any float type. *Shape:* ``[items,
            width]``.
        places: of every sentence the places of its items; None: every text is one item.
    """

    pieces: list[list[int]]
    teacher_logits: Tensor
    labels: Tensor
    teacher_states: Tensor | None = None
    places: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def digest(self) -> str:
        """Over pieces, places, labels and what the teacher predicts."""
        found = hashlib.sha256(json.dumps([self.pieces, self.places]).encode())
        for tensor in (self.teacher_logits, self.labels, self.teacher_states):
            if tensor is not None:
                found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.pieces]

    @cached_property
    def _ends(self) -> np.ndarray:
        return ends([len(row) for row in self.places])

    def head(self, number: int) -> "Source":
        """The first so many texts."""
        return self.rows(range(len(self))[:number])

    def rows(self, index: Sequence[int]) -> "Source":
        """Some of the texts, in the order given."""
        index = list(index)
        items = index if self.places is None else spans(self._ends, index)
        return Source(
            [self.pieces[i] for i in index],
            self.teacher_logits[items],
            self.labels[items],
            None if self.teacher_states is None else self.teacher_states[items],
            None if self.places is None else [self.places[i] for i in index],
        )

    def in_rows(self, vocabulary: Vocabulary) -> "Source":
        """With rows of a student's embedding in place of the teacher's ids."""
        return replace(self, pieces=vocabulary.rows(self.pieces))

    def pseudo_labelled(self) -> "Source":
        """The teacher's most likely class where there is no gold label."""
        likeliest = self.teacher_logits.argmax(-1)
        return replace(self, labels=torch.where(self.labels < 0, likeliest, self.labels))

    def batch(self) -> Batch:
        """All of it as one batch of :func:`gdlib.learn.schedules.batch_loss`; of tags a place per
        piece, and ``items`` says which count.
        """
        pieces = pad(self.pieces, PAD)
        targets = {"labels": self.labels, "teacher_logits": self.teacher_logits}
        if self.teacher_states is not None:
            targets["teacher_states"] = self.teacher_states.float()
        if self.places is not None:
            items = marked(self.places, pieces)
            spread = {name: _spread(items, flat) for name, flat in targets.items()}
            targets = spread | {"items": items}
        return {"pieces": pieces, **targets}


def marked(places: Sequence[Sequence[int]], ids: Tensor) -> Tensor:
    """True at the given places of every row. *Shape:* of ``ids``, ``[rows, length]``, bool."""
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for row, chosen in zip(mask, places):
        row[chosen] = True
    return mask


def _spread(items: Tensor, flat: Tensor) -> Tensor:
    """*Shape:* items ``[batch, length]`` (bool), flat ``[items, ...]`` -> ``[batch, length, ...]``,
    zero elsewhere.
    """
    out = flat.new_zeros((*items.shape, *flat.shape[1:]))
    out[items] = flat
    return out


def join(sources: Sequence[Source]) -> Source:
    """Several sources as one; it has states, or places, if all of them have."""
    states = [source.teacher_states for source in sources]
    places = [source.places for source in sources]
    return Source(
        [row for source in sources for row in source.pieces],
        torch.cat([source.teacher_logits for source in sources]),
        torch.cat([source.labels for source in sources]),
        None if any(state is None for state in states) else torch.cat(states),
        None if any(place is None for place in places) else sum(places, []),
    )


def transfer_set(arm: Arm, sources: Mapping[str, Source]) -> Source:
    """The texts of an arm. Real text is cut to the number of generated ones, so that arms differ in
    one thing at a time.

    For ``hard`` targets the labels of unlabelled texts are filled in with the teacher's argmax.
    """
    size = len(sources["generated"])
    parts = {
        "labelled": sources["labelled"],
        "generated": sources["generated"].head(-(-size // arm.divisor)),
        "real": sources["real"].head(size),
    }
    chosen = join([parts[name] for name in arm.sources])
    return chosen.pseudo_labelled() if arm.target == "hard" else chosen


@dataclass(frozen=True, kw_only=True)
class StudentPlan:
    """How a student is built and trained.

    Names as in the study's settings; ``loss`` is that of the soft arms.
    """

    student_parameters: int
    embedding: str
    embedding_dim: int
    student_dropout: float
    student_steps: int
    student_lr: float
    student_batch: int
    evaluate_every: int
    patience: int
    loss: DistillationLoss


def loss_of(arm: Arm, plan: StudentPlan) -> DistillationLoss:
    """Gold and hard arms learn by cross-entropy alone; soft ones by the plan's mixture."""
    return plan.loss if arm.target == "soft" else DistillationLoss(hard_weight=1.0, soft_weight=0.0)


def new_student(
    name: str,
    classes: int,
    vocabulary: Vocabulary,
    teacher_embedding: Tensor,
    plan: StudentPlan,
    seed: int,
) -> Student:
    """A student at its start: random, or with the SVD of the teacher's embedding.

    Raises:
        BadSetting: an ``embedding`` other than svd and random.
    """
    seed_everything(seed)
    student = students.build(
        name,
        len(vocabulary),
        classes,
        plan.student_parameters,
        plan.embedding_dim,
        plan.student_dropout,
    )
    students.start_embedding(student, plan.embedding, teacher_embedding, vocabulary)
    return student


def distil(
    student: Student,
    data: Source,
    held_out: Source,
    vocabulary: Vocabulary,
    loss: DistillationLoss,
    plan: StudentPlan,
    seed: int,
) -> History:
    """Train a student in place on a transfer set; the weights with the lowest held-out score
    (:func:`gdlib.learn.losses.held_out_score`) are kept.
    """
    data, checks = data.in_rows(vocabulary), held_out.in_rows(vocabulary)
    order = batches_by_length(data.lengths, plan.student_batch, seed)
    regime = Regime(
        steps=plan.student_steps,
        lr=plan.student_lr,
        evaluate_every=plan.evaluate_every,
        patience=plan.patience,
        seed=seed,
    )
    return fit(
        student,
        lambda step: data.rows(order(step)).batch(),
        lambda model, batch: loss(model(batch["pieces"]), batch["teacher_logits"], batch["labels"]),
        lambda model: held_out_score(predict(model, checks.pieces), checks.labels),
        regime,
        quiet=True,
    )


def distil_by(
    strategy: Strategy,
    student: BiLSTM,
    loss: StagedLoss,
    labelled: Source,
    transfer: Source,
    held_out: Source,
    regime: Regime,
    batch: int,
) -> pd.DataFrame:
    """Train a student in place by a strategy; its trace (:func:`gdlib.learn.schedules.run`).

    Args:
        strategy: of :data:`gdlib.learn.strategies.STRATEGIES`, or another.
        student: at its start.
        loss: all three parts with their weights.
        labelled, transfer, held_out: with the teacher's states, in rows of the student's embedding.
        regime: of each phase.
        batch: texts per step.
    """
    both = join([labelled, transfer])

    def batches(stage: Stage, seed: int) -> Callable[[int], Batch]:
        data = both.pseudo_labelled() if stage.pseudo_labels else both
        drawn = schedules.draw(stage, labelled.lengths, transfer.lengths, batch, seed)

        def at(step: int) -> Batch:
            first, second = drawn(step)
            return data.rows([*first, *(i + len(labelled) for i in second)]).batch()

        return at

    checks = [held_out.rows(index).batch() for index in in_batches(held_out.lengths, 128)]
    learner = Projected(student, both.teacher_states.shape[1])
    return schedules.run(learner, strategy, loss, batches, checks, regime)


def predict(student: nn.Module, rows: Sequence[Sequence[int]], batch: int = 256) -> Tensor:
    """Logits of rows of pieces, in their order. *Shape:* ``[texts, classes]``, on the CPU."""
    return ask(
        student,
        rows,
        lambda chosen: {"pieces": pad(chosen, PAD)},
        batch=batch,
        precision="fp32",
    )


def predict_tags(
    student: nn.Module,
    rows: Sequence[Sequence[int]],
    places: Sequence[Sequence[int]],
    batch: int = 128,
) -> np.ndarray:
    """The most likely tag of every item, in order. *Shape:* ``[items]``."""

    def inputs(chosen: list[tuple[list[int], list[int]]]) -> Batch:
        pieces = pad([row for row, _ in chosen], PAD)
        return {"pieces": pieces, "items": marked([at for _, at in chosen], pieces)}

    tags = ask(
        student,
        list(zip(rows, places)),
        inputs,
        lambda pieces, items: student(pieces).argmax(-1)[items],
        length=lambda row: len(row[0]),
        counts=[len(at) for at in places],
        batch=batch,
        precision="fp32",
    )
    return tags.reshape(-1).numpy().astype(np.int64)
