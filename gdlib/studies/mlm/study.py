"""Masked-language-model distillation from several teachers, part of study 3: the students of one
run, and what fine-tuning makes of them.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gdlib.compare.results import Results
from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.learn import mixtures
from gdlib.learn.loop import trainable_state
from gdlib.learn.losses import DistillationLoss
from gdlib.learn.mixtures import Mixture
from gdlib.networks import mlm_students, students, teacher
from gdlib.networks.mlm_students import StudentPlan
from gdlib.networks.mlm_teachers import MaskedLM
from gdlib.sources import zoo
from gdlib.studies.mlm.settings import PLAIN_ARM, PLAN, SINGLE, START_ARM
from gdlib.studies.mlm.teachers import MaskedTeachers

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

    def named(self, arms: Sequence[str]) -> tuple[str, ...]:
        """Arms by name: ``single teachers`` is an arm each; with one teacher there is nothing to
        combine.
        """
        names = []
        for arm in arms:
            if arm == SINGLE:
                names += self.networks
            elif arm == PLAIN_ARM or len(self.networks) > 1:
                names.append(arm)
        return tuple(names)

    @derived
    def arms(self) -> tuple[str, ...]:
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

    def teachers_of(self, arm: str) -> tuple[str, ...]:
        """The teachers whose predictions an arm needs."""
        if arm in (PLAIN_ARM, START_ARM):
            return ()
        return (arm,) if arm in self.networks else tuple(self.networks)

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

    def student_plan(self, start: str, seed: int) -> StudentPlan:
        """How a student starts and learns: arms of one start and seed differ in the loss alone."""
        s = self.settings
        return StudentPlan(
            start=start,
            layers=s.student_layers,
            hidden=s.scratch_hidden,
            steps=s.student_steps,
            lr=s.student_lr if start == "teacher" else s.scratch_lr,
            batch=s.student_batch,
            evaluate_every=s.evaluate_every,
            loss=DistillationLoss("kl", s.temperature, s.hard_weight, s.soft_weight),
            seed=self.seed(seed),
        )

    def new_student(self, start: str, seed: int) -> MaskedLM:
        """A student at its start."""
        plan, head, model = self.student_plan(start, seed), self.start_of(start), None
        if head:
            model = self.load_masked(self.reference, head, plan.layers).model
        return mlm_students.new_student(
            plan, model, self.guessed, self.tokenizer, self.settings.max_length
        )

    def made_from(self, trial: Trial) -> dict[str, Any]:
        """What decides a student beside the knobs."""
        labelled = ["student", *(["choose"] if trial.arm == "gate" else [])]
        return {
            **self.aligned(self.reference),
            "start": self.start_of(trial.start),
            "texts": self.masked["student"],
            "held out": self.masked["held_out"],
            "predictions": [
                self.teacher_predictions(name, part)
                for name, part in product(self.teachers_of(trial.arm), labelled)
            ],
        }

    @artifact(
        "students",
        *STUDENT_KNOBS,
        needs=("guessed",),
        given={"made_from": lambda study, *trial: study.made_from(Trial(*trial))},
    )
    def trained_student(self, folder: Path, start: str, arm: str, seed: int) -> None:
        """A student's curve, and its weights in half precision.

        The curve: ``losses`` (held-out, summed a text, nats) ``[evaluations, texts]``, ``seconds``
        (of training until each evaluation) ``[evaluations]``, and its ``parameters``.
        """
        student, masked = self.new_student(start, seed), self.masked
        curve, _ = mlm_students.train_student(
            student,
            masked["student"],
            self.lessons(arm),
            masked["held_out"],
            self.tokenizer.pad_token_id,
            self.student_plan(start, seed),
        )
        trace = {
            "losses": torch.from_numpy(np.stack(curve.losses)),
            "seconds": torch.tensor(curve.seconds, dtype=torch.float64),
            "parameters": torch.tensor(students.parameters(student)),
        }
        save_file(trace, folder / "curve.safetensors")
        weights = {
            name: tensor.cpu().half().contiguous()
            for name, tensor in trainable_state(student).items()
        }
        save_file(weights, folder / "weights.safetensors")

    @derived
    def trained_students(self) -> dict[Trial, Artifact]:
        """All students, trained; missing ones several at a time."""
        self.ask_teachers()
        return dict(zip(self.trials, self.make_all("trained_student", self.trials, "students")))

    def trained(self, trial: Trial, name: str) -> torch.Tensor:
        """Of a trained student ``losses``, ``seconds`` or ``parameters``; see
        :meth:`trained_student`.
        """
        with safe_open(self.trained_students[trial] / "curve.safetensors", "pt") as file:
            return file.get_tensor(name)

    @property
    def looks(self) -> list[int]:
        """The steps at which the students were evaluated."""
        s = self.settings
        return [*range(0, s.student_steps, s.evaluate_every), s.student_steps]

    # ---- fine-tuning

    def tuned_from(self, trial: Trial) -> Any:
        """The network that is fine-tuned: a trained student, or what it would have started from."""
        if trial.arm == START_ARM:
            return self.aligned(self.reference) | {"start": self.start_of(trial.start)}
        return self.trained_student(*trial)

    @artifact(
        "students",
        *("tuned_epochs", "tuned_lr", "tuned_scratch_lr", "teacher_batch", *STUDENT_KNOBS),
        needs=("guessed", "labelled_parts", "test_texts"),
        given={"tuned_from": lambda study, *trial: study.tuned_from(Trial(*trial))},
    )
    def tuned_student(self, folder: Path, start: str, arm: str, seed: int) -> None:
        """Logits of the test texts, by a student fine-tuned as the teacher is, at its own rate."""
        s, parts = self.settings, self.labelled_parts
        lr = s.tuned_lr if start == "teacher" else s.tuned_scratch_lr
        network = self.student_network(Trial(start, arm, seed), folder / "checkpoint-student")
        plan = teacher.TeacherPlan(
            epochs=s.tuned_epochs,
            lr=lr,
            batch=s.teacher_batch,
            max_length=s.max_length,
            seed=self.seed(seed),
        )
        own = folder / "checkpoint-tuned"
        own.mkdir(exist_ok=True)
        history = teacher.fine_tune(network, *parts, plan, own)
        tuned = teacher.Teacher.load(own)
        numbers = {"parameters": students.parameters(tuned.network), "steps": history.best_step}
        save_file(
            {"logits": tuned.signals(self.test_texts).logits},
            folder / "test.safetensors",
            {name: str(number) for name, number in numbers.items()},
        )

    def student_network(self, trial: Trial, folder: Path) -> zoo.Network:
        """A student's encoder as a network of the zoo, in a folder."""
        student = self.new_student(trial.start, trial.seed)
        if trial.arm != START_ARM:
            weights = load_file(self.trained_student(*trial) / "weights.safetensors")
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
        made = self.make_all("tuned_student", self.tuned_trials, "fine-tuning")
        for (start, arm, seed), tuned in zip(self.tuned_trials, made):
            results.student(tuned, student=f"from {start}", arm=arm, student_seed=seed, size=0)
        return results.results()
