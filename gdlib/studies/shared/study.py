"""What studies of classifiers begin with: a corpus, its splits, a teacher and its signals.

A study is one run: one corpus, one seed. Each method gives the finished thing and makes it if it is
not in the store, with whatever it needs; so a notebook can be opened and executed on its own, and
the pipeline merely executes them in an order in which nothing waits. Recipes say what made an
artifact and not which study asked for it: two studies with the same settings share one teacher and
one set of samples.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from gdlib.core.artifacts import artifact, derived
from gdlib.core.processes import together
from gdlib.core.store import texts_digest
from gdlib.core.study import Study
from gdlib.learn import tensors
from gdlib.learn.calibration import fit_temperature
from gdlib.networks import signals, students, teacher
from gdlib.networks.distillation import predict
from gdlib.networks.lessons import Source
from gdlib.sources import corpora, splits, zoo
from gdlib.sources.splits import Splits
from gdlib.studies.shared.settings import TeachingSettings, part_of
from gdlib.studies.shared.trials import Trials


class Texts(tuple[str, ...]):
    """Texts as they stand in a recipe: by their digest."""

    @cached_property
    def digest(self) -> str:
        return texts_digest(self)


class TeachingStudy(Study):
    """Corpus, splits, teacher, signals."""

    settings: TeachingSettings

    # ---- corpus

    @derived
    def corpus(self) -> corpora.Corpus:
        return corpora.load(self.settings.corpus)

    @derived
    def splits(self) -> Splits:
        """Labelled (train and held-out), transfer and test parts, disjoint."""
        return self.split()

    def split(self, **changes: int) -> Splits:
        """The corpus divided by the study's settings, or with changes of some."""
        s = self.settings
        names = ("labels_per_class", "validation_share", "transfer_size", "test_size", "seed")
        return splits.split(self.corpus, **{name: getattr(s, name) for name in names} | changes)

    @derived
    def labelled_parts(self) -> tuple[corpora.Part, corpora.Part, tuple[str, ...]]:
        """What teacher and generator are fine-tuned on, which is all that they know of the splits:
        the training and the held-out part of the labelled texts, and the names of the classes.
        """
        parts = self.splits
        return parts.train, parts.validation, parts.labels

    @derived
    def class_names(self) -> tuple[str, ...]:
        return self.splits.labels

    # ---- teacher

    @derived
    def teacher_network(self) -> zoo.Network:
        """The pretrained encoder."""
        return zoo.locate(self.settings.teacher)

    @artifact(
        "teacher",
        *(
            "teacher_epochs",
            "teacher_least_steps",
            "teacher_lr",
            "teacher_batch",
            "max_length",
            "seed",
        ),
        needs=("teacher_network", "labelled_parts"),
    )
    def trained_teacher(self, folder: Path) -> None:
        """The encoder fine-tuned on the labelled part."""
        plan = part_of(self.settings, teacher.TeacherPlan, "teacher_")
        together(teacher.fine_tune, self.teacher_network, *self.labelled_parts, plan, folder)

    @derived
    def teacher(self) -> teacher.Teacher:
        return teacher.Teacher.load(self.trained_teacher().path)

    @artifact("teacher", "teacher_layers", "teacher_pooling", needs=("trained_teacher",))
    def teacher_signals(self, folder: Path, texts: Texts) -> None:
        """The teacher's logits, and states where asked for, on some texts."""
        s = self.settings
        self.teacher.signals(texts, s.teacher_layers, pooling=s.teacher_pooling).save(folder)

    def signals(self, texts: Sequence[str]) -> signals.Signals:
        """The teacher's signals for some texts; computed once and kept."""
        return signals.load(self.teacher_signals(Texts(texts)).path, self.splits.labels, texts)

    def references(self) -> Trials:
        """The baselines, trained on all labelled texts, and the teacher, on the test part."""
        from gdlib.compare import baselines  # scikit-learn takes a second to import

        s, parts = self.settings, self.splits
        columns: dict[str, Any] = {"corpus": s.corpus, "labels_per_class": s.labels_per_class}
        logits = self.signals(parts.test.texts).logits.numpy()
        trials = Trials(columns | {"seed": s.seed}, parts.test, logits)
        steps = self.trained_teacher().json("history.json")["best_step"]
        few, texts = parts.labelled, parts.test.texts
        asked = (few.texts, few.labels, texts, len(parts.labels))
        answers = self.kept(baselines.answers, *asked, given=parts)
        trials.references(answers, self.teacher.network, steps)
        return trials

    # ---- students

    def leave(self, folder: Path, student: nn.Module, steps: int) -> None:
        """Leave a trained student in a folder: its weights, its logits of the test texts, and the
        temperature that calibrates it on the held-out texts.
        """
        held_out = self.held_out
        checks = predict(student, self.vocabulary.rows(held_out.pieces))
        notes = {
            "steps": steps,
            "parameters": students.parameters(student),
            "temperature": fit_temperature(checks, held_out.labels),
        }
        save_file(student.state_dict(), folder / "student.safetensors")
        logits = predict(student, self.rows(self.test_texts))
        tensors.save(folder / "test.safetensors", {"logits": logits}, **notes)

    # ---- texts as students read them

    @derived
    def test_texts(self) -> Texts:
        return Texts(self.splits.test.texts)

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts in the teacher's word pieces."""
        return students.encode(self.teacher.tokenizer, texts, self.settings.max_length)

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as students read them: rows of their vocabulary."""
        return self.vocabulary.rows(self.encoded(texts))

    def source(
        self, texts: list[str], logits: torch.Tensor, labels: list[int] | None = None
    ) -> Source:
        """Texts with the teacher's logits, and gold labels where there are any."""
        labels = [-1] * len(texts) if labels is None else labels
        return Source(self.encoded(texts), logits, torch.tensor(labels))

    def source_of(self, texts: list[str], labels: list[int] | None = None) -> Source:
        """The same, with the teacher's logits as they are kept."""
        return self.source(texts, self.signals(texts).logits, labels)

    @derived
    def labelled(self) -> Source:
        """The labelled texts that students may learn from."""
        return self.source_of(self.splits.train.texts, self.splits.train.labels)

    @derived
    def held_out(self) -> Source:
        """The held-out labelled texts: what stopping and choosing look at."""
        return self.source_of(self.splits.validation.texts, self.splits.validation.labels)

    @derived
    def real(self) -> Source:
        """The real unlabelled texts."""
        return self.source_of(self.splits.transfer.texts)
