"""Masked-language-model distillation from several teachers, part of study 3: texts, teachers and
students of one run.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from gdlib.core.code import code_digest
from gdlib.core.errors import BadSetting
from gdlib.core.processes import in_processes
from gdlib.core.settings import digest, subset
from gdlib.core.store import Artifact, Store, texts_digest
from gdlib.learn import mixtures as teachers
from gdlib.learn.loop import seed_everything, trainable_state
from gdlib.learn.losses import DistillationLoss
from gdlib.learn.mixtures import Gate, Kept, Mixture
from gdlib.networks import mlm_students, mlm_teachers, mlm_texts
from gdlib.networks.alignment import align
from gdlib.networks.mlm_students import StudentPlan
from gdlib.networks.mlm_teachers import HeadPlan, MaskedLM, MaskedTeacher, Phase
from gdlib.networks.mlm_texts import Guessed, MaskedTexts
from gdlib.sources import corpora, zoo
from gdlib.studies.mlm.settings import PLAIN_ARM, PLAN, SINGLE, Settings
from gdlib.studies.shared.study import TeachingStudy
from gdlib.studies.shared.trials import once

PARTS = ("head", "choose", "student", "held_out")
CODE = ("gdlib.networks.mlm_texts", "gdlib.networks.mlm_teachers", "gdlib.learn.mixtures")


@dataclass(frozen=True)
class Trial:
    """One student: where it starts, whom it learns from, its seed."""

    start: str
    arm: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.start}-{self.arm.replace('/', '_')}-{self.seed}"


class MLMStudy(TeachingStudy):
    """One run: one draw of texts, all arms, one corpus to fine-tune on
    (:mod:`gdlib.studies.mlm.tuning`).
    """

    settings: Settings
    plan = PLAN

    # ---- texts

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """The texts of the four parts, disjoint, from the training and unlabelled parts of the
        corpora, labels unread.

        None is a test text of its corpus or of the one to fine-tune on; how many labels fine-tuning
        gets changes nothing.
        """
        s, loaded = self.settings, [corpora.load(name) for name in self.settings.mlm_corpora]
        sizes = {part: getattr(s, f"{part}_texts") for part in PARTS}
        recipe = {
            "corpora": [corpus.digest for corpus in loaded],
            "tuned": texts_digest(self.splits.test.texts),
            "sizes": sizes,
        }
        recipe |= {
            "test": s.test_size,
            "each": s.corpus_texts,
            "seed": s.seed,
            "code": code_digest("gdlib.networks.mlm_texts", "gdlib.sources.splits"),
        }

        def build(folder: Path) -> None:
            drawn = mlm_texts.draw(
                loaded, self.splits.test.texts, sizes, s.test_size, s.corpus_texts, s.seed
            )
            (folder / "texts.json").write_text(json.dumps(drawn))

        return self.store.make("mlm-texts", recipe, build).json("texts.json")

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The reference: that of the first teacher."""
        return zoo.tokenizer(zoo.locate(self.settings.mlm_teachers[0]))

    @cached_property
    def guessed(self) -> Guessed:
        """The pieces that may be hidden: frequent ones of the texts that are learnt from."""
        s = self.settings
        return mlm_texts.frequent(
            self.tokenizer,
            self.texts["head"] + self.texts["student"],
            s.max_length,
            s.guessed_pieces,
        )

    @cached_property
    def masked(self) -> dict[str, MaskedTexts]:
        """The four parts, masked; the students' as many times as asked for."""
        s, times = self.settings, {"student": self.settings.maskings}
        return {
            part: mlm_texts.mask_texts(
                self.tokenizer,
                texts,
                s.max_length,
                s.mask_share,
                10 * s.seed + number,
                self.guessed.ids,
                times.get(part, 1),
            )
            for number, (part, texts) in enumerate(self.texts.items())
        }

    # ---- teachers

    @cached_property
    def networks(self) -> dict[str, zoo.Network]:
        """The teachers' networks by name, the reference first."""
        s = self.settings
        if not s.mlm_teachers or len(set(s.mlm_teachers)) < len(s.mlm_teachers):
            raise BadSetting(f"mlm_teachers = {s.mlm_teachers}: expected one or more, each once")
        for knob in ("teacher_bodies", "teacher_depths"):
            if len(getattr(s, knob)) != len(s.mlm_teachers):
                raise BadSetting(
                    f"{knob} = {getattr(s, knob)}: expected one a teacher, {len(s.mlm_teachers)}"
                )
        return {network.name: network for network in map(zoo.locate, s.mlm_teachers)}

    @cached_property
    def ids(self) -> dict[str, torch.Tensor]:
        """Each teacher's ids of the reference's pieces; a teacher with another vocabulary is
        refused.
        """
        first, texts = (
            next(iter(self.networks)),
            [text for part in self.texts.values() for text in part],
        )
        return {
            name: align(self.tokenizer, zoo.tokenizer(network), (first, name), texts)
            for name, network in self.networks.items()
        }

    def head_plan(self, name: str) -> HeadPlan:
        """How a teacher's head, and perhaps its layers, are trained."""
        s = self.settings
        steps = s.body_steps if dict(zip(self.networks, s.teacher_bodies))[name] == "full" else 0
        return HeadPlan(
            Phase(s.head_steps, s.head_lr, s.head_batch),
            Phase(steps, s.body_lr, s.body_batch),
            s.seed,
        )

    def depth(self, name: str) -> int:
        """A teacher's layers; 0: all."""
        return dict(zip(self.networks, self.settings.teacher_depths))[name]

    def head_artifact(self, name: str) -> Artifact | None:
        """What was trained of a teacher; None for one that brings its head."""
        depth = self.depth(name)
        return (
            self._train_head(name, self.head_plan(name), depth)
            if depth or not zoo.has_masked_head(self.networks[name])
            else None
        )

    @cached_property
    def start_artifact(self) -> Artifact:
        """The head of the students that start from the first teacher's lowest layers, fitted to
        these layers as they come.
        """
        first = next(iter(self.networks))
        return self._train_head(
            first,
            replace(self.head_plan(first), body=Phase(0, 0.0, 0)),
            self.settings.student_layers,
        )

    def _train_head(self, name: str, plan: HeadPlan, layers: int) -> Artifact:
        train, choose = self.masked["head"], self.masked["choose"]
        recipe = self._of_teacher(name) | {
            "plan": asdict(plan),
            "layers": layers,
            "train": train.digest,
            "choose": choose.digest,
        }

        def build(folder: Path) -> None:
            seed_everything(plan.seed)  # the new head is drawn when the teacher is loaded
            looks = mlm_teachers.train_head(
                self._load(name, None, layers), train, choose, plan, folder
            )
            looks.to_parquet(folder / "history.parquet", index=False)

        return self.store.make("mlm-head", recipe, build)

    def _of_teacher(self, name: str) -> dict[str, object]:
        ids = digest([self.ids[name].tolist(), self.guessed.ids.tolist()])
        return {"network": self.networks[name].digest, "ids": ids, "code": code_digest(*CODE)}

    def _load(self, name: str, trained: Path | None, layers: int) -> MaskedTeacher:
        return mlm_teachers.load_teacher(
            self.networks[name],
            self.ids[name],
            self.tokenizer.pad_token_id,
            self.guessed,
            trained,
            layers,
        )

    def masked_teacher(self, name: str) -> MaskedTeacher:
        """A teacher, ready to be asked."""
        head = self.head_artifact(name)
        return self._load(name, head.path if head else None, self.depth(name))

    def kept_artifact(self, name: str, part: str) -> Artifact:
        """What a teacher says at the masked positions of a part."""
        head, kept, texts = self.head_artifact(name), self.settings.kept_pieces, self.masked[part]
        recipe = self._of_teacher(name) | {
            "head": head.key if head else "its own",
            "texts": texts.digest,
            "kept": kept,
        }
        return self.store.make(
            "mlm-signals",
            recipe,
            lambda folder: self.masked_teacher(name).keep(texts, kept).save(folder),
        )

    def ask(self) -> None:
        """All that teachers do, heads and labelling, each teacher in a process of its own; else it
        is done when first needed.
        """
        jobs = [(name, part) for name in self.networks for part in PARTS[1:]]
        names = dict.fromkeys(name for name, _ in self.store.missing(self.kept_artifact, jobs))
        with tqdm(
            total=len(names), desc="teachers", unit="teacher", mininterval=2.0, disable=not names
        ) as bar:
            for _ in in_processes(_ask, [(self.settings, self.store.root, name) for name in names]):
                bar.update()

    @cached_property
    def kept(self) -> dict[str, dict[str, Kept]]:
        """What each teacher says at the masked positions, by part and teacher."""
        load = lambda name, part: teachers.load(  # noqa: E731
            self.kept_artifact(name, part).path, len(self.guessed), self.masked[part].digest
        )
        return {part: {name: load(name, part) for name in self.networks} for part in PARTS[1:]}

    @cached_property
    def gate(self) -> Gate:
        """The learnt gate: on the texts that choose, which neither heads nor students are trained
        on.
        """
        return teachers.learn_gate(teachers.evidence_of(list(self.kept["choose"].values())))

    # ---- students

    def named(self, arms: Sequence[str]) -> tuple[str, ...]:
        """Arms by name: ``single teachers`` is an arm each; with one teacher there is nothing to
        combine.
        """
        several = len(self.networks) > 1
        found = [
            (arm,) if arm != SINGLE else tuple(self.networks)
            for arm in arms
            if several or arm in (PLAIN_ARM, SINGLE)
        ]
        return tuple(arm for names in found for arm in names)

    @cached_property
    def arms(self) -> tuple[str, ...]:
        return self.named(self.settings.arms)

    @property
    def trials(self) -> list[Trial]:
        s = self.settings
        return [
            Trial(start, arm, seed)
            for start in s.starts
            for arm in self.arms
            for seed in s.student_seeds
        ]

    def student_plan(self, trial: Trial) -> StudentPlan:
        """How a student starts and learns: arms of one start and seed differ in the loss alone."""
        s = self.settings
        return StudentPlan(
            start=trial.start, layers=s.student_layers, hidden=s.scratch_hidden, steps=s.student_steps,
            lr=s.student_lr if trial.start == "teacher" else s.scratch_lr, batch=s.student_batch, evaluate_every=s.evaluate_every,
            loss=DistillationLoss("kl", s.temperature, s.hard_weight, s.soft_weight),
            seed=int(np.random.SeedSequence([s.seed, trial.seed]).generate_state(1)[0]),
        )  # fmt: skip

    def told(self, arm: str) -> Mixture | None:
        """What an arm's students are told of the masked positions."""
        if arm == PLAIN_ARM:
            return None
        return teachers.mixture(self.kept["student"], arm, self.gate if arm == "gate" else None)

    def new_student(self, trial: Trial) -> MaskedLM:
        """A student at its start."""
        start = None
        if trial.start == "teacher":
            start = self._load(
                next(iter(self.networks)), self.start_artifact.path, self.settings.student_layers
            ).model
        return mlm_students.new_student(
            self.student_plan(trial), start, self.guessed, self.tokenizer, self.settings.max_length
        )

    @cached_property
    def students_artifact(self) -> Artifact:
        s = self.settings
        recipe = {
            "signals": [
                self.kept_artifact(name, part).key
                for name in self.networks
                for part in ("choose", "student")
            ],
            "start": self.start_artifact.key if "teacher" in s.starts else "",
            "held out": self.masked["held_out"].digest,
            "settings": {
                name: value
                for name, value in subset(s, ("students",)).items()
                if not name.startswith("tuned_")
            },
            "kept": sorted(self.named(s.tuned_arms)),
            "seed": s.seed,
            "code": code_digest(*CODE, "gdlib.networks.mlm_students"),
        }
        return self.store.make("mlm-students", recipe, self._train_all)

    def _train_all(self, folder: Path) -> None:
        with tqdm(total=len(self.trials), desc="students", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(
                _train, [(self.settings, self.store.root, folder, trial) for trial in self.trials]
            ):
                bar.update()

    def trained(self, trial: Trial, name: str) -> torch.Tensor:
        """Of a trained student ``losses`` (held-out, summed a text, nats) ``[looks, texts]``,
        ``seconds`` (of training until each look) ``[looks]``, or ``parameters``."""
        with safe_open(self.students_artifact / f"{trial.name}.safetensors", "pt") as file:
            return file.get_tensor(name)

    def seconds(self) -> pd.DataFrame:
        """Seconds of training at every look of every student: start, arm, seed, step, seconds.

        Of this machine.
        """
        return pd.DataFrame(
            asdict(trial) | {"step": step, "seconds": took}
            for trial in self.trials
            for step, took in zip(self.looks, self.trained(trial, "seconds").tolist(), strict=True)
        )

    @property
    def looks(self) -> list[int]:
        """The steps at which the students were looked at."""
        s = self.settings
        return [*range(0, s.student_steps, s.evaluate_every), s.student_steps]


@lru_cache(maxsize=1)
def of_process(settings: Settings, root: Path) -> MLMStudy:
    """The study that a worker works for; its texts and what its teachers say are read once a
    process.
    """
    return MLMStudy(settings, Store(root))


def _ask(settings: Settings, root: Path, name: str) -> None:
    for part in PARTS[1:]:
        of_process(settings, root).kept_artifact(name, part)


def _train(settings: Settings, root: Path, folder: Path, trial: Trial) -> None:
    """Train one student and keep its curve, unless it is there already; the weights of one to be
    fine-tuned too, in half precision.
    """
    study = of_process(settings, root)

    def make() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        student, masked, plan = study.new_student(trial), study.masked, study.student_plan(trial)
        pad_id = study.tokenizer.pad_token_id
        curve, _ = mlm_students.train_student(
            student, masked["student"], study.told(trial.arm), masked["held_out"], pad_id, plan
        )
        found = {
            "losses": torch.from_numpy(np.stack(curve.losses)),
            "seconds": torch.tensor(curve.seconds, dtype=torch.float64),
        }
        found["parameters"] = torch.tensor(sum(p.numel() for p in student.parameters()))
        if trial.arm in study.named(settings.tuned_arms):
            found |= {
                f"weights.{name}": tensor.cpu().half().contiguous()
                for name, tensor in trainable_state(student).items()
            }
        return found, {}

    once(folder / f"{trial.name}.safetensors", make)
