"""Study 1, generation-distillation (arXiv 2002.00733): one run of it.

What it shares with other studies (splits, teacher, samples) is in
:mod:`gdlib.studies.shared.study`; here are its students.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from tqdm.auto import tqdm

from gdlib.compare import metrics
from gdlib.compare.results import Results
from gdlib.core.code import code_digest
from gdlib.core.processes import in_processes
from gdlib.core.settings import subset
from gdlib.core.store import Artifact, Store
from gdlib.learn.losses import DistillationLoss
from gdlib.networks import distillation, students
from gdlib.networks.distillation import ARMS, MAIN_ARM, Source, StudentPlan
from gdlib.networks.students import Student
from gdlib.studies.generation.settings import PLAN, Settings
from gdlib.studies.shared.study import WritingStudy
from gdlib.studies.shared.trials import Trials, run_trial


class GenerationStudy(WritingStudy):
    """One run of study 1: what every arm of every student makes of the samples."""

    settings: Settings
    plan = PLAN

    # ---- students

    @cached_property
    def sources(self) -> dict[str, Source]:
        """What students learn from, with the teacher's logits."""
        return {"labelled": self.labelled, "generated": self.generated, "real": self.real}

    @cached_property
    def vocabulary(self) -> students.Vocabulary:
        """The pieces every student of the run knows, the same for all arms, so that arms differ in
        their data alone.

        Pieces seen in labelled, generated or real unlabelled texts, never the test's; the
        embeddings take at most half of the parameter budget.
        """
        tokenizer = self.teacher.tokenizer
        pieces = distillation.join(list(self.sources.values())).pieces
        at_most = self.settings.student_parameters // 2 // self.settings.embedding_dim
        return students.Vocabulary.seen(
            pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, at_most
        )

    @property
    def student_plan(self) -> StudentPlan:
        s = self.settings
        names = {
            name: getattr(s, name) for name in StudentPlan.__dataclass_fields__ if name != "loss"
        }
        return StudentPlan(
            **names, loss=DistillationLoss(s.soft_loss, s.temperature, s.hard_weight, s.soft_weight)
        )

    def distil(
        self, name: str, arm: distillation.Arm, student_seed: int, data: Source | None = None
    ) -> tuple[Student, int]:
        """One trained student and its best step.

        ``data`` stands in for the arm's transfer set (the explorer's selection).
        """
        plan, classes = self.student_plan, len(self.splits.labels)
        seed = int(np.random.SeedSequence([self.settings.seed, student_seed]).generate_state(1)[0])
        student = distillation.new_student(
            name, classes, self.vocabulary, self.teacher.embedding, plan, seed
        )
        data = data or distillation.transfer_set(arm, self.sources)
        loss = distillation.loss_of(arm, plan)
        history = distillation.distil(
            student, data, self.held_out, self.vocabulary, loss, plan, seed
        )
        return student, history.best_step

    @cached_property
    def results_artifact(self) -> Artifact:
        recipe = {
            "samples": self.samples_artifact.key,
            "splits": self.splits.digest,
            "settings": subset(self.settings, ("students",)),
            "code": code_digest("gdlib.studies.shared.trials", "gdlib.compare.baselines"),
        }
        return self.store.make("students", recipe, self._train_all)

    def _train_all(self, folder: Path) -> None:
        s, parts = self.settings, self.splits
        columns = {"corpus": s.corpus, "labels_per_class": s.labels_per_class, "seed": s.seed}
        trials = Trials(
            columns, parts.test, self.signals(parts.test.texts).probabilities.numpy(), folder
        )
        trials.references(
            parts, self.teacher.network, self.teacher_artifact.json("history.json")["best_step"]
        )
        jobs = [
            (n, a, i)
            for n in s.students
            for a in distillation.arms(s.arms, s.sample_divisors)
            for i in s.student_seeds
        ]
        with tqdm(total=len(jobs), desc="students", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(_train_one, [(s, self.store.root, folder, *job) for job in jobs]):
                bar.update()
        for name, arm, seed in jobs:
            size = len(distillation.transfer_set(arm, self.sources)) - len(parts.train)
            trials.student(
                name, arm.name, seed, size, self.test_rows, partial(self.distil, name, arm, seed)
            )
        trials.results().save(folder)

    @cached_property
    def test_rows(self) -> list[list[int]]:
        """The test texts as students read them."""
        return self.vocabulary.rows(
            students.encode(
                self.teacher.tokenizer, self.splits.test.texts, self.settings.max_length
            )
        )

    def results(self) -> Results:
        """Every arm of every student and student seed, the baselines and the teacher, on the test
        part.
        """
        return Results.load(self.results_artifact.path)

    # ---- one student to look at

    def student(self, name: str | None = None) -> Student:
        """The student of the main arm and the first student seed (of the first architecture unless
        named).
        """
        name, plan, classes = (
            name or self.settings.students[0],
            self.student_plan,
            len(self.splits.labels),
        )
        student = students.build(
            name,
            len(self.vocabulary),
            classes,
            plan.student_parameters,
            plan.embedding_dim,
            plan.student_dropout,
        )
        load_model(student, self.results_artifact / f"{name}.safetensors")
        return student.eval()

    def student_logits(self, texts: Sequence[str], name: str | None = None) -> np.ndarray:
        """What that student says of some texts. *Shape:* ``[texts, classes]``."""
        rows = self.vocabulary.rows(
            students.encode(self.teacher.tokenizer, texts, self.settings.max_length)
        )
        return distillation.predict(self.student(name), rows).numpy()

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
        table, name, seed = (
            self.samples(),
            self.settings.students[0],
            self.settings.student_seeds[0],
        )
        chosen = table.iloc[list(indices)]
        chosen = chosen[chosen["teacher_label"] >= 0]
        selected = self.source(
            chosen["text"].tolist(), torch.tensor(np.stack(chosen["teacher_logits"]))
        )
        data = distillation.join([self.sources["labelled"], selected])
        student, _ = self.distil(name, ARMS[MAIN_ARM], seed, data)
        held_out, rows = self.held_out.labels.numpy(), self.vocabulary.rows(self.held_out.pieces)
        accuracy, baseline = (
            metrics.accuracy(held_out, distillation.predict(network, rows).argmax(-1).numpy())
            for network in (student, self.student(name))
        )
        return {
            "texts": len(chosen),
            "held_out": len(held_out),
            "accuracy": accuracy,
            "baseline_accuracy": baseline,
        }


@lru_cache(maxsize=1)
def _study(settings: Settings, root: Path) -> GenerationStudy:
    return GenerationStudy(settings, Store(root))


def _train_one(
    settings: Settings, root: Path, folder: Path, name: str, arm: distillation.Arm, seed: int
) -> None:
    """One trial in a process of its own; the weights of the student to look at (main arm, first
    seed) are kept too.
    """
    study = _study(settings, root)

    def train() -> tuple[Student, int]:
        student, steps = study.distil(name, arm, seed)
        if arm.name == MAIN_ARM and seed == settings.student_seeds[0]:
            save_model(student, folder / f"{name}.safetensors")
        return student, steps

    run_trial(folder, name, arm.name, seed, study.test_rows, train)
