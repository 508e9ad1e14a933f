"""Arms: what a student learns from.

One arm is one line of data; one function trains a student on it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from gdlib.core.errors import BadSetting, unknown
from gdlib.learn.batches import ask, batches_by_length, pad
from gdlib.learn.loop import History, Regime, fit, seed_everything
from gdlib.learn.losses import DistillationLoss, held_out_score
from gdlib.networks import students
from gdlib.networks.students import Student, Vocabulary


@dataclass(frozen=True)
class Arm:
    """Which texts a student sees, and what it is told about them.

    Args:
        name: as it stands in every table and figure.
        sources: of ``labelled``, ``generated``, ``real`` (unlabelled texts of the corpus).
        target: ``gold`` labels; the teacher's ``soft`` logits; or ``hard``: the teacher's most
            likely class on unlabelled texts, gold on labelled ones.
        divisor: of the generated texts only one in so many is used.
        help: one line.
    """

    name: str = field(metadata={"label": True})
    sources: tuple[str, ...]
    target: str
    divisor: int = 1
    help: str = field(default="", metadata={"label": True})


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(
            "labelled only",
            ("labelled",),
            "gold",
            help="gold labels, no teacher: what the student can do alone",
        ),
        Arm(
            "distilled on labelled",
            ("labelled",),
            "soft",
            help="the teacher's logits on the labelled texts",
        ),
        Arm(
            "generation-distillation",
            ("labelled", "generated"),
            "soft",
            help="the paper's arm: logits on labelled and generated texts",
        ),
        Arm(
            "hard labels",
            ("labelled", "generated"),
            "hard",
            help="the same texts with the teacher's argmax",
        ),
        Arm(
            "real unlabelled",
            ("labelled", "real"),
            "soft",
            help="as many real unlabelled texts: the ceiling",
        ),
        Arm("generated + real", ("labelled", "generated", "real"), "soft", help="both"),
    )
}
MAIN_ARM = "generation-distillation"


def arms(names: Sequence[str], divisors: Sequence[int]) -> list[Arm]:
    """The named arms, then the sweep over the number of generated texts (``generated /k``).

    Raises:
        UnknownName: an arm that is not known.
    """
    for name in names:
        if name not in ARMS:
            raise unknown("arm", name, ARMS)
    main = ARMS[MAIN_ARM]
    sweep = [
        Arm(f"generated /{k}", main.sources, main.target, k, f"one in {k} of the generated texts")
        for k in divisors
    ]
    return [ARMS[name] for name in names] + sweep


@dataclass(frozen=True)
class Source:
    """Texts a student may learn from.

    Args:
        pieces: the teacher's piece ids of every text, without special tokens.
        teacher_logits: *Shape:* ``[texts, classes]``.
        labels: gold labels, or -1 where there is none. *Shape:* ``[texts]``.
        teacher_states: of one layer, where they are asked for. *Shape:* ``[texts, width]``.
    """

    pieces: list[list[int]]
    teacher_logits: Tensor
    labels: Tensor
    teacher_states: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def digest(self) -> str:
        """Over pieces, labels and what the teacher says."""
        found = hashlib.sha256(json.dumps(self.pieces).encode())
        for tensor in (self.teacher_logits, self.labels, self.teacher_states):
            if tensor is not None:
                found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    def head(self, number: int) -> "Source":
        return self.rows(range(len(self))[:number])

    def rows(self, index: Sequence[int]) -> "Source":
        index = list(index)
        states = None if self.teacher_states is None else self.teacher_states[index]
        return Source(
            [self.pieces[i] for i in index], self.teacher_logits[index], self.labels[index], states
        )


def join(sources: Sequence[Source]) -> Source:
    states = [source.teacher_states for source in sources]
    return Source(
        [row for source in sources for row in source.pieces],
        torch.cat([source.teacher_logits for source in sources]),
        torch.cat([source.labels for source in sources]),
        None if any(state is None for state in states) else torch.cat(states),
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
    if arm.target == "hard":
        chosen = Source(
            chosen.pieces,
            chosen.teacher_logits,
            torch.where(chosen.labels < 0, chosen.teacher_logits.argmax(-1), chosen.labels),
        )
    return chosen


@dataclass(frozen=True)
class StudentPlan:
    """How a student is built and trained.

    Names as in the study's settings; ``soft`` is the form of the soft loss.
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
    if plan.embedding == "svd":
        with torch.no_grad():
            student.embedding.weight.copy_(
                students.svd_embedding(teacher_embedding, vocabulary, plan.embedding_dim)
            )
    elif plan.embedding != "random":
        raise BadSetting(f'embedding = "{plan.embedding}"; expected svd or random')
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
    rows = vocabulary.rows(data.pieces)
    order = batches_by_length([len(row) for row in rows], plan.student_batch, seed)

    def batch(step: int) -> dict[str, Tensor]:
        index = order(step)
        return {
            "pieces": pad([rows[i] for i in index], students.PAD),
            "teacher": data.teacher_logits[index],
            "labels": data.labels[index],
        }

    held_out_rows = vocabulary.rows(held_out.pieces)
    regime = Regime(
        steps=plan.student_steps,
        lr=plan.student_lr,
        evaluate_every=plan.evaluate_every,
        patience=plan.patience,
        seed=seed,
    )
    return fit(
        student,
        batch,
        lambda model, b: loss(model(b["pieces"]), b["teacher"], b["labels"]),
        lambda model: held_out_score(predict(model, held_out_rows), held_out.labels),
        regime,
        quiet=True,
    )


def predict(student: nn.Module, rows: Sequence[Sequence[int]], batch: int = 256) -> Tensor:
    """Logits of rows of pieces, in their order. *Shape:* ``[texts, classes]``, on the CPU."""
    return ask(
        student,
        rows,
        lambda chosen: {"pieces": pad(chosen, students.PAD)},
        batch=batch,
        precision="fp32",
    )
