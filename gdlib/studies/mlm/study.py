"""Masked-language-model distillation from several teachers, part of study 3: the students of one
run, and what fine-tuning makes of them.
"""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY
from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.learn import tensors
from gdlib.learn.calibration import fit_temperature
from gdlib.learn.loop import trainable_state
from gdlib.learn.losses import DistillationLoss
from gdlib.networks import mlm_students, students, tuning
from gdlib.networks.mlm_students import StudentPlan
from gdlib.networks.mlm_teachers import MaskedLM
from gdlib.networks.sense_coding import Coder
from gdlib.networks.tuning import TuningPlan
from gdlib.sources import zoo
from gdlib.sources.parts import Part
from gdlib.sources.tasks import Task
from gdlib.studies.mlm.settings import FREQUENCIES, PLAN, START_ARM
from gdlib.studies.mlm.teachers import MaskedTeachers
from gdlib.studies.shared.settings import part_of

STUDENT_KNOBS = (
    *("student_layers", "scratch_hidden", "student_steps", "student_lr", "scratch_lr"),
    *("student_decay", "student_batch", "evaluate_every", "temperature", "hard_weight"),
    *("soft_weight", "max_length", "seed"),
)


class Trial(NamedTuple):
    """One student: where it starts, whom it learns from, its seed."""

    start: str
    arm: str
    seed: int


class MLMStudy(MaskedTeachers):
    """One run: one draw of texts, all arms, one corpus to fine-tune on."""

    plan = PLAN

    # ---- students

    def trials_of(self, arms: Iterable[str]) -> list[Trial]:
        """The students of some arms, from every start and with every seed."""
        s = self.settings
        return [Trial(*each) for each in product(s.starts, arms, s.student_seeds)]

    @property
    def trials(self) -> list[Trial]:
        """All students."""
        return self.trials_of(self.arms)

    @property
    def tuned_trials(self) -> list[Trial]:
        """The students that are fine-tuned: those of the tuned arms, and each start without any
        distillation.
        """
        tuned = self.named(self.settings.tuned_arms)
        return self.trials_of([START_ARM, *(arm for arm in self.arms if arm in tuned)])

    def start_of(self, start: str) -> Artifact | None:
        """The head of students that start from the reference's lowest layers, fitted to these
        layers as they come; None for a start from scratch.
        """
        if start != "teacher":
            return None
        plan = self.head_plan("frozen", self.settings.student_layers)
        return self.trained_head(self.reference, plan)

    def student_plan(self, trial: Trial) -> StudentPlan:
        """How a student starts and learns: arms of one start and seed differ in the loss alone."""
        s = self.settings
        weights = s.hard_weight, s.soft_weight
        if trial.arm == FREQUENCIES:  # no text is behind them: from them alone nothing is learnt
            weights = weights[::-1]
        return part_of(
            s,
            StudentPlan,
            "student_",
            start=trial.start,
            hidden=s.scratch_hidden,
            lr=s.student_lr if trial.start == "teacher" else s.scratch_lr,
            loss=DistillationLoss("kl", s.temperature, *weights),
            seed=self.seed(trial.seed),
        )

    def new_student(self, trial: Trial) -> MaskedLM:
        """A student at its start."""
        plan, head, model = self.student_plan(trial), self.start_of(trial.start), None
        if head:
            model = self.load_masked(self.reference, head, plan.layers).model
        shared = (self.guessed, self.tokenizer, self.settings.max_length)
        return mlm_students.new_student(plan, model, *shared)

    def begins_from(self, trial: Trial) -> dict[str, Any]:
        """What decides a student before it learns, beside the knobs."""
        return self.aligned(self.reference) | {"start": self.start_of(trial.start)}

    def made_from(self, trial: Trial) -> dict[str, Any]:
        """What decides a student beside the knobs."""
        labelled = ["student", "choose"] if trial.arm == "gate" else ["student"]
        cells = product(labelled, self.heads_of(trial.arm))
        return self.begins_from(trial) | {
            "texts": self.texts_of(trial.arm),
            "held out": self.masked["held_out"],
            "predictions": [self.teacher_predictions(*cell) for cell in cells],
        }

    @artifact(
        "students",
        *STUDENT_KNOBS,
        needs=("guessed",),
        given={"made_from": lambda study, trial: study.made_from(trial)},
    )
    def trained_student(self, folder: Path, trial: Trial) -> None:
        """A student's curve, and its weights in half precision.

        The curve: ``losses`` (held-out, summed a text, nats) ``[evaluations, texts]``, ``seconds``
        (of training until each evaluation) ``[evaluations]``, and its ``parameters``.
        """
        student = self.new_student(trial)
        curve, _ = mlm_students.train_student(
            student,
            self.texts_of(trial.arm),
            self.lessons(trial.arm),
            self.masked["held_out"],
            self.tokenizer.pad_token_id,
            self.student_plan(trial),
        )
        trace = {
            "losses": torch.from_numpy(np.stack(curve.losses)),
            "seconds": torch.tensor(curve.seconds, dtype=torch.float64),
            "parameters": torch.tensor(students.parameters(student)),
        }
        save_file(trace, folder / "curve.safetensors")
        weights = trainable_state(student).items()
        half = {name: tensor.cpu().half().contiguous() for name, tensor in weights}
        save_file(half, folder / "weights.safetensors")

    @derived
    def trained_students(self) -> dict[Trial, Artifact]:
        """All students, trained; missing ones several at a time."""
        self.ask_teachers(self.arms)
        cells = [(trial,) for trial in self.trials]
        return dict(zip(self.trials, self.make_all("trained_student", cells, "students")))

    def trained(self, trial: Trial, name: str) -> torch.Tensor:
        """Of a trained student ``losses``, ``seconds`` or ``parameters``; see
        :meth:`trained_student`.
        """
        return load_file(self.trained_students[trial] / "curve.safetensors")[name]

    @property
    def looks(self) -> list[int]:
        """The steps at which the students were evaluated."""
        s = self.settings
        return [*range(0, s.student_steps, s.evaluate_every), s.student_steps]

    # ---- fine-tuning

    def tuned_from(self, trial: Trial) -> Any:
        """The network that is fine-tuned: a trained student, or what it would have started from."""
        return self.begins_from(trial) if trial.arm == START_ARM else self.trained_student(trial)

    @artifact(
        "students",
        *("tuned_epochs", "tuned_least_steps", "tuned_lr", "tuned_scratch_lr", "tuned_pooling"),
        *("teacher_batch", *STUDENT_KNOBS),
        needs=("guessed", "labelled_parts", "test_texts"),
        given={"tuned_from": lambda study, trial: study.tuned_from(trial)},
    )
    def tuned_student(self, folder: Path, trial: Trial) -> None:
        """Logits of the test texts, by a student fine-tuned on the labelled ones."""
        s = self.settings
        network = self.student_network(trial, folder / "checkpoint-student")
        lr = s.tuned_lr if trial.start == "teacher" else s.tuned_scratch_lr
        given = {"lr": lr, "batch": s.teacher_batch, "seed": self.seed(trial.seed)}
        plan = part_of(s, TuningPlan, "tuned_", **given, tuned_layers=0)
        train, held_out, labels = self.labelled_parts
        task = Task(network.name, labels, train, held_out, Part(list(self.test_texts), []))
        tuned, history = tuning.tune(network, task, plan, ACCURACY.of)
        coder = Coder(zoo.tokenizer(network), plan.max_length)
        checks, logits = (
            tuning.logits(tuned, coder, tuning.encode(coder, part))
            for part in (task.held_out, task.test)
        )
        notes = {"parameters": students.parameters(tuned), "steps": history.best_step}
        notes["temperature"] = fit_temperature(checks, torch.tensor(held_out.labels))
        tensors.save(folder / "test.safetensors", {"logits": logits}, **notes)

    def student_network(self, trial: Trial, folder: Path) -> zoo.Network:
        """A student's encoder as a network of the zoo, in a folder."""
        student = self.new_student(trial)
        if trial.arm != START_ARM:
            weights = load_file(self.trained_student(trial) / "weights.safetensors")
            weights = {name: tensor.float() for name, tensor in weights.items()}
            student.load_state_dict(weights, strict=False)  # what is missing never changed
        student.encoder.cpu().save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        return zoo.locate(str(folder))

    def results(self) -> Results:
        """The fine-tuned students, the baselines and a fine-tuned teacher, on the test part of the
        corpus.
        """
        results, _ = self.references(), self.trained_students
        cells = [(trial,) for trial in self.tuned_trials]
        for (trial,), tuned in zip(cells, self.make_all("tuned_student", cells, "fine-tuning")):
            start = f"from {trial.start}"
            results.student(tuned, student=start, arm=trial.arm, student_seed=trial.seed, size=0)
        return results.results()
