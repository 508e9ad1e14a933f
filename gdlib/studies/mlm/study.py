"""Masked-language-model distillation from several teachers, part of study 3: the students of one
run, and what fine-tuning makes of them.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from gdlib.compare.results import Results
from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.learn import mixtures, tensors
from gdlib.learn.loop import trainable_state
from gdlib.learn.losses import DistillationLoss
from gdlib.learn.mixtures import Mixture
from gdlib.networks import mlm_students, students, teacher
from gdlib.networks.mlm_students import StudentPlan
from gdlib.networks.mlm_teachers import MaskedLM
from gdlib.sources import zoo
from gdlib.studies.mlm.settings import PLAIN_ARM, PLAN, SINGLE, START_ARM
from gdlib.studies.mlm.teachers import MaskedTeachers
from gdlib.studies.shared.settings import part_of

STUDENT_KNOBS = (
    *("student_layers", "scratch_hidden", "student_steps", "student_lr", "scratch_lr"),
    *("student_batch", "evaluate_every", "temperature", "hard_weight", "soft_weight"),
    *("max_length", "seed"),
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

    def named(self, arms: Sequence[str]) -> list[str]:
        """Arms by name: ``single teachers`` is an arm each; with one teacher there is nothing to
        combine.
        """
        if len(self.networks) == 1:
            arms = [arm for arm in arms if arm in (SINGLE, PLAIN_ARM)]
        return [name for arm in arms for name in (self.networks if arm == SINGLE else [arm])]

    @derived
    def arms(self) -> list[str]:
        return self.named(self.settings.arms)

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

    def teachers_of(self, arm: str) -> list[str]:
        """The teachers whose predictions an arm needs."""
        if arm in (PLAIN_ARM, START_ARM):
            return []
        return [arm] if arm in self.networks else list(self.networks)

    def lessons(self, arm: str) -> Mixture | None:
        """The mixture of predictions that an arm's students learn; None: hidden pieces alone."""
        if arm == PLAIN_ARM:
            return None
        predictions = self.predictions("student", self.teachers_of(arm))
        return mixtures.mixture(predictions, arm, self.gate if arm == "gate" else None)

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
        return part_of(
            s,
            StudentPlan,
            "student_",
            start=trial.start,
            hidden=s.scratch_hidden,
            lr=s.student_lr if trial.start == "teacher" else s.scratch_lr,
            loss=DistillationLoss("kl", s.temperature, s.hard_weight, s.soft_weight),
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
        cells = product(self.teachers_of(trial.arm), labelled)
        return self.begins_from(trial) | {
            "texts": self.masked["student"],
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
        student, masked = self.new_student(trial), self.masked
        curve, _ = mlm_students.train_student(
            student,
            masked["student"],
            self.lessons(trial.arm),
            masked["held_out"],
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
        self.ask_teachers()
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
        *("tuned_epochs", "tuned_lr", "tuned_scratch_lr", "teacher_batch", *STUDENT_KNOBS),
        needs=("guessed", "labelled_parts", "test_texts"),
        given={"tuned_from": lambda study, trial: study.tuned_from(trial)},
    )
    def tuned_student(self, folder: Path, trial: Trial) -> None:
        """Logits of the test texts, by a student fine-tuned as the teacher is, at its own rate."""
        s = self.settings
        network = self.student_network(trial, folder / "checkpoint-student")
        lr = s.tuned_lr if trial.start == "teacher" else s.tuned_scratch_lr
        given = {"lr": lr, "batch": s.teacher_batch, "seed": self.seed(trial.seed)}
        plan = part_of(s, teacher.TeacherPlan, "tuned_", **given)
        own = folder / "checkpoint-tuned"
        own.mkdir(exist_ok=True)
        history = teacher.fine_tune(network, *self.labelled_parts, plan, own)
        tuned = teacher.Teacher.load(own)
        logits, size = tuned.signals(self.test_texts).logits, students.parameters(tuned.network)
        notes = {"parameters": size, "steps": history.best_step}
        notes["temperature"] = 1  # it is in the head
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
