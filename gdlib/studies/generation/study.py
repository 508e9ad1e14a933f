"""Study 1, generation-distillation (arXiv 2002.00733): one run of it.

What it shares with other studies (splits, teacher, samples) is in
:mod:`gdlib.studies.shared.writing`; here are its students. What is done with one of them stands in
:mod:`gdlib.studies.generation.one_student`.
"""

from collections.abc import Iterable
from pathlib import Path

import torch

from gdlib.compare.results import Results
from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.learn import tensors
from gdlib.learn.losses import DistillationLoss
from gdlib.networks import distillation, students
from gdlib.networks.arms import ARMS, MAIN_ARM, Arm, arms
from gdlib.networks.contrastive import contrast
from gdlib.networks.distillation import StudentPlan
from gdlib.networks.embeddings import reduced, text_means
from gdlib.networks.lessons import Source, join, transfer_set
from gdlib.networks.students import Student
from gdlib.networks.teacher import Teacher, tokenize
from gdlib.sources import zoo
from gdlib.sources.scraps import scraps
from gdlib.studies.generation.feedback import FEEDBACK, FeedbackStudy, first_round
from gdlib.studies.generation.one_student import STUDENT_KNOBS
from gdlib.studies.generation.settings import PLAN, Settings
from gdlib.studies.shared.settings import part_of
from gdlib.studies.shared.starts import STARTED, EmbeddingStarts
from gdlib.studies.shared.study import Texts
from gdlib.studies.shared.trials import Trials

Lessons = tuple[Source, Source | None]
STATES = "states.safetensors"


class GenerationStudy(FeedbackStudy, EmbeddingStarts):
    """One run of study 1: what every arm of every student makes of the samples."""

    settings: Settings
    plan = PLAN

    # ---- students

    @derived
    def sources(self) -> dict[str, Source]:
        """What students learn from, with the teacher's logits."""
        sources = {"labelled": self.labelled, "generated": self.generated, "real": self.real}
        if any("scraps" in arm.sources for arm in self.arms):
            sources["scraps"] = self.scraps
        return sources

    @derived
    def scraps(self) -> Source:
        """As many texts cut from the labelled ones as were generated, with the teacher's logits."""
        number, seed = len(self.generated), self.settings.seed
        return self.source_of(scraps(self.splits.train.texts, number, seed))

    @property
    def arms(self) -> list[Arm]:
        """The arms that are run."""
        return arms(self.settings.arms, self.settings.sample_divisors)

    @derived
    def lessons(self) -> dict[Arm, Lessons]:
        """The labelled and the other texts of every arm, with what a student learns of them; of
        arms with a second round see :attr:`second_lessons`.
        """
        arms = dict.fromkeys([*self.arms, ARMS[MAIN_ARM], first_round()])
        return {arm: transfer_set(arm, self.sources) for arm in arms if FEEDBACK not in arm.sources}

    @derived
    def second_lessons(self) -> Lessons:
        """Those of the arm with a second round, which is written after its first student: so they
        stand apart, and no other arm's student depends on them.
        """
        return transfer_set(ARMS[FEEDBACK], self.sources | {FEEDBACK: self.feedback})

    def second_lessons_of(self, arms: Iterable[Arm]) -> Lessons | None:
        """:attr:`second_lessons` if one of some arms learns from them."""
        return self.second_lessons if any(FEEDBACK in arm.sources for arm in arms) else None

    def lessons_of(self, arm: Arm) -> Lessons:
        """Those of any arm."""
        return self.second_lessons if FEEDBACK in arm.sources else self.lessons[arm]

    @derived
    def vocabulary(self) -> students.Vocabulary:
        """The pieces every student of the run knows, the same for all arms, so that arms differ in
        their data alone.

        Pieces seen in labelled, generated or real unlabelled texts, never the test's; the
        embeddings take at most half of the parameter budget. Scraps are not counted: they are cut
        from labelled texts, and one more arm must not change the other arms' students.
        """
        tokenizer = self.teacher.tokenizer
        pieces = join([self.labelled, self.generated, self.real]).pieces
        at_most = self.settings.student_parameters // 2 // self.settings.embedding_dim
        return students.Vocabulary.seen(
            pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, at_most
        )

    @property
    def student_plan(self) -> StudentPlan:
        s = self.settings
        return part_of(s, StudentPlan, loss=part_of(s, DistillationLoss, soft=s.soft_loss))

    @property
    def vectors(self) -> torch.Tensor | None:
        """What the students' embeddings start from; None where they are random."""
        return self.vectors_of(self.settings.embedding)

    @artifact(
        "students",
        *("embedding", *STUDENT_KNOBS),
        needs=("trained_teacher", "vocabulary", "held_out", "test_texts", "class_names"),
        given=STARTED
        | {
            "lessons": lambda study, _name, arm, _number: study.lessons.get(arm),
            "second_lessons": lambda study, _name, arm, _number: study.second_lessons_of([arm]),
        },
    )
    def trained_student(self, folder: Path, name: str, arm: Arm, number: int) -> None:
        """A student of an architecture, by an arm and a student seed."""
        student, steps = self.distil(name, self.lessons_of(arm), arm, number)
        self.leave(folder, student, steps)

    def distil(self, name: str, lessons: Lessons, arm: Arm, number: int) -> tuple[Student, int]:
        """One trained student and its best step."""
        plan, seed = self.student_plan, self.seed(number)
        student = distillation.new_student(
            name, len(self.class_names), self.vocabulary, self.vectors, plan, seed
        )
        loss = distillation.loss_of(arm, plan)
        history = distillation.distil(
            student, *lessons, self.held_out, self.vocabulary, loss, plan, seed
        )
        return student, history.best_step

    # ---- what a reader would take instead

    @artifact(
        "teacher",
        *("max_length", "seed"),
        needs=("teacher_network", "splits", "labelled_texts", "test_texts", "class_names"),
    )
    def encoder_states(self, folder: Path, steps: int) -> None:
        """The mean states of the pretrained encoder, of labelled and test texts: after so many
        steps on pairs of the labelled ones (:func:`gdlib.networks.contrastive.contrast`).
        """
        network = zoo.classifier(self.teacher_network, self.class_names)  # its head is not asked
        encoder = Teacher(network, zoo.tokenizer(self.teacher_network), self.settings.max_length)
        texts = {"labelled": self.labelled_texts, "test": self.test_texts}
        if steps:
            labels, padding = self.splits.labelled.labels, encoder.tokenizer.pad_token_id
            rows = tokenize(encoder.tokenizer, self.labelled_texts, self.settings.max_length)
            contrast(network.base_model, rows, labels, padding, steps, self.settings.seed)
        states = {
            name: encoder.signals(part, title=f"states: {name}").means
            for name, part in texts.items()
        }
        size = students.parameters(network.base_model)
        tensors.save(folder / STATES, states, parameters=size)

    @property
    def encoders(self) -> dict[str, int]:
        """The references that read an encoder's states: name to its steps on pairs."""
        steps = self.settings.setfit_steps
        return {"encoder-lr": 0} | ({"setfit": steps} if steps else {})

    @derived
    def labelled_texts(self) -> Texts:
        return Texts(self.splits.labelled.texts)

    def linear_references(self, results: Trials) -> None:
        """Linear models beside the students, on the whole labelled budget: over the mean of a
        text's piece vectors, with as many numbers as a student has, and over the mean states of the
        pretrained encoder, as it is and by SetFit's recipe.
        """
        from gdlib.compare import baselines  # scikit-learn takes a second to import

        labels, classes, found = self.splits.labelled.labels, len(self.class_names), {}
        for name, steps in self.encoders.items():
            states, notes = tensors.load(self.encoder_states(steps) / STATES)
            found[name] = (states["labelled"], states["test"], notes["parameters"])
        vectors = self.vectors
        if vectors is not None:
            table = reduced(vectors, self.settings.embedding_dim)
            texts = self.labelled_texts, self.test_texts
            means = [text_means(table, self.rows(part)) for part in texts]
            found["static-lr"] = (*means, table.numel())
        for name, (train, test, size) in found.items():
            model = baselines.linear(train.numpy(), labels)
            probabilities = baselines.predict(model, test.numpy(), classes)
            results.reference(name, probabilities, size + baselines.parameters(model))

    def trained_students(self) -> list[Artifact]:
        """Every arm of every student and student seed, in the order of :attr:`cells`."""
        return self.make_all("trained_student", self.cells, "students")

    @property
    def cells(self) -> list[tuple[str, Arm, int]]:
        s = self.settings
        return [(n, arm, i) for n in s.students for arm in self.arms for i in s.student_seeds]

    @artifact(
        ("students", "compare"),
        *("corpus", "labels_per_class", "seed", "students", "student_seeds", "arms"),
        *("sample_divisors", "embedding", "embedding_dim", "max_length", "setfit_steps"),
        needs=("splits", "lessons", "trained_teacher", "vocabulary", "class_names")
        + ("labelled_texts", "test_texts"),
        given=STARTED
        | {
            "states": lambda study: [study.encoder_states(n) for n in study.encoders.values()],
            "second_lessons": lambda study: study.second_lessons_of(study.arms),
            "trained": lambda study: study.trained_students(),
            "signals": lambda study: study.teacher_signals(study.test_texts),
        },
    )
    def tested(self, folder: Path) -> None:
        """What students, baselines and the teacher answer on the test part."""
        results = self.references()
        self.linear_references(results)
        for cell, made in zip(self.cells, self.trained_students()):
            name, arm, number = cell
            size = len(self.lessons_of(arm)[1] or ())
            results.student(made, student=name, arm=arm.name, student_seed=number, size=size)
        results.results().save(folder)

    def results(self) -> Results:
        """Every arm of every student and student seed, the baselines and the teacher, on the test
        part.
        """
        return Results.load(self.tested().path)
