"""Floor 4. Masked-language-model distillation from several teachers, part of study 3: one run of it."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file, save_file
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase

from gdlib import corpora, mlm, splits, teacher, teachers, zoo
from gdlib.alignment import align
from gdlib.config import digest, subset
from gdlib.errors import BadCorpus, BadSetting
from gdlib.losses import DistillationLoss
from gdlib.metrics import softmax
from gdlib.mlm import Curve, HeadPlan, MaskedTexts, StudentPlan
from gdlib.mlm_settings import PLAIN_ARM, PLAN, SINGLE, START_ARM, Settings
from gdlib.processes import in_processes
from gdlib.results import Results
from gdlib.store import Artifact, Store, code_digest
from gdlib.study import TeachingStudy
from gdlib.teachers import Gate, Kept, Mixture
from gdlib.trials import Trials

PARTS = ("head", "choose", "student", "held_out")


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
    """One run: one draw of texts, all arms, one corpus to fine-tune on."""

    settings: Settings
    plan = PLAN

    # ---- texts

    @cached_property
    def mlm_texts(self) -> dict[str, list[str]]:
        """The texts of the four parts, disjoint; none is a labelled or a test text of its corpus.

        Raises:
            BadCorpus: the corpora have too few.
        """
        s = self.settings
        found: dict[str, None] = {}
        for name in s.mlm_corpora:
            parts = splits.split(
                corpora.load(name), labels_per_class=s.labels_per_class, validation_share=s.validation_share,
                transfer_size=s.transfer_size, test_size=s.test_size, seed=s.seed,
            )  # fmt: skip
            found.update(dict.fromkeys(parts.transfer.texts))
        sizes = {part: getattr(s, f"{part}_texts") for part in PARTS}
        own = set(map(splits.normalise, (*self.splits.labelled.texts, *self.splits.test.texts)))
        pool = [text for text in found if splits.normalise(text) not in own]
        if len(pool) < sum(sizes.values()):
            wanted = " + ".join(f"{part}_texts {size:,}" for part, size in sizes.items())
            raise BadCorpus(f"{', '.join(s.mlm_corpora)} have {len(pool):,} texts to mask, {wanted} asked for; see also transfer_size")
        order = np.random.default_rng([s.seed, len(pool)]).permutation(len(pool)).tolist()
        ends = np.cumsum([0, *sizes.values()])
        return {part: [pool[i] for i in order[a:b]] for part, a, b in zip(PARTS, ends, ends[1:])}

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The reference: that of the first teacher."""
        return zoo.tokenizer(zoo.locate(self.settings.mlm_teachers[0]))

    @cached_property
    def masked(self) -> dict[str, MaskedTexts]:
        """The four parts, masked; the students' as many times as asked for."""
        s = self.settings
        return {
            part: mlm.mask_texts(
                self.tokenizer, texts, s.max_length, s.mask_share, 10 * s.seed + number, s.maskings if part == "student" else 1
            )
            for number, (part, texts) in enumerate(self.mlm_texts.items())
        }

    # ---- teachers

    @cached_property
    def networks(self) -> dict[str, zoo.Network]:
        """The teachers' networks by name, the reference first."""
        names = self.settings.mlm_teachers
        if not names or len(set(names)) < len(names):
            raise BadSetting(f"mlm_teachers = {names}: expected one or more, each once")
        return {network.name: network for network in map(zoo.locate, names)}

    @cached_property
    def ids(self) -> dict[str, torch.Tensor]:
        """Each teacher's ids of the reference's pieces; a teacher with another vocabulary is refused."""
        first, texts = next(iter(self.networks)), [text for part in self.mlm_texts.values() for text in part]
        return {name: align(self.tokenizer, zoo.tokenizer(network), (first, name), texts) for name, network in self.networks.items()}

    @property
    def head_plan(self) -> HeadPlan:
        s = self.settings
        return HeadPlan(s.head_steps, s.head_lr, s.head_batch, s.teacher_body, s.seed)

    def head_artifact(self, name: str) -> Artifact | None:
        """What was trained of a teacher; None for one that brings its head."""
        network = self.networks[name]
        if zoo.has_masked_head(network):
            return None
        plan, train, choose = self.head_plan, self.masked["head"], self.masked["choose"]
        recipe = {
            "plan": asdict(plan),
            "network": network.digest,
            "ids": digest(self.ids[name].tolist()),
            "train": train.digest,
            "choose": choose.digest,
            "code": code_digest("gdlib.mlm"),
        }

        def build(folder: Path) -> None:
            history = mlm.train_head(network, self.ids[name], self.tokenizer.pad_token_id, train, choose, plan, folder)
            (folder / "history.json").write_text(json.dumps(asdict(history)))

        return self.store.make("mlm-head", recipe, build)

    def masked_teacher(self, name: str) -> mlm.MaskedTeacher:
        """A teacher, ready to be asked."""
        head = self.head_artifact(name)
        return mlm.load_teacher(self.networks[name], self.ids[name], self.tokenizer.pad_token_id, head.path if head else None)

    def kept_artifact(self, name: str, part: str) -> Artifact:
        head = self.head_artifact(name)
        recipe = {
            "teacher": head.key if head else self.networks[name].digest,
            "texts": self.masked[part].digest,
            "kept": self.settings.kept_pieces,
            "code": code_digest("gdlib.mlm", "gdlib.teachers"),
        }
        build = lambda folder: self.masked_teacher(name).keep(self.masked[part], self.settings.kept_pieces).save(folder)  # noqa: E731
        return self.store.make("mlm-signals", recipe, build)

    def kept(self, part: str) -> dict[str, Kept]:
        """What each teacher says at the masked positions of a part; computed once."""
        return {
            name: teachers.load(self.kept_artifact(name, part).path, len(self.tokenizer), self.masked[part].digest) for name in self.networks
        }

    @cached_property
    def gate(self) -> Gate:
        """The learnt gate: on the texts that choose, which neither heads nor students are trained on."""
        return teachers.learn_gate(teachers.evidence_of(list(self.kept("choose").values())))

    # ---- students

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms by name: ``single teachers`` is an arm each; with one teacher there is nothing to combine."""
        return self._named(self.settings.arms)

    def _named(self, arms: tuple[str, ...]) -> tuple[str, ...]:
        several = len(self.networks) > 1
        named = [(arm,) if arm != SINGLE else tuple(self.networks) for arm in arms if several or arm in (PLAIN_ARM, SINGLE)]
        return tuple(arm for names in named for arm in names)

    @property
    def trials(self) -> list[Trial]:
        s = self.settings
        return [Trial(start, arm, seed) for start in s.starts for arm in self.arms for seed in s.student_seeds]

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
        return teachers.mixture(self.kept("student"), arm, self.gate if arm == "gate" else None)

    def new_student(self, trial: Trial) -> mlm.MaskedLM:
        """A student at its start."""
        first = self.masked_teacher(next(iter(self.networks))).model if trial.start == "teacher" else torch.nn.Identity()
        return mlm.new_student(self.student_plan(trial), first, self.tokenizer, self.settings.max_length)

    @cached_property
    def students_artifact(self) -> Artifact:
        s = self.settings
        knobs = {name: value for name, value in subset(s, ("students",)).items() if name != "tuned_arms"}
        recipe = {
            "signals": [self.kept_artifact(name, part).key for name in self.networks for part in ("choose", "student")],
            "held out": self.masked["held_out"].digest,
            "settings": knobs,
            "kept": sorted(self.tuned),
            "seed": s.seed,
            "code": code_digest("gdlib.mlm", "gdlib.teachers"),
        }
        return self.store.make("mlm-students", recipe, self._train_all)

    @property
    def tuned(self) -> set[str]:
        """The arms whose students are fine-tuned on the corpus."""
        return set(self._named(self.settings.tuned_arms)) & set(self.arms)

    def _train_all(self, folder: Path) -> None:
        _ = self.masked_teacher(next(iter(self.networks))), self.kept("student"), self.gate if len(self.networks) > 1 else None
        jobs = [(self.settings, self.store.root, folder, trial) for trial in self.trials]
        with tqdm(total=len(jobs), desc="students", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(_train_one, jobs):
                bar.update()
        rows, losses, seconds = [], {}, []
        for trial in self.trials:
            file = folder / f"checkpoint-{trial.name}.safetensors"
            saved, notes = load_file(file), json.loads(file.with_suffix(".json").read_text("utf-8"))
            losses[trial.name] = saved["losses"]
            rows.append(asdict(trial) | {"parameters": notes["parameters"]})
            seconds += [asdict(trial) | {"step": step, "seconds": took} for step, took in zip(notes["step"], notes["seconds"])]
        pd.DataFrame(rows).to_parquet(folder / "students.parquet", index=False)
        pd.DataFrame(seconds).to_parquet(folder / "seconds.parquet", index=False)
        save_file(losses, folder / "losses.safetensors")

    def students(self) -> pd.DataFrame:
        """Every trained student: start, arm, seed, parameters."""
        return pd.read_parquet(self.students_artifact / "students.parquet")

    def seconds(self) -> pd.DataFrame:
        """Seconds of training at every look of every student: start, arm, seed, step, seconds. Of this machine."""
        return pd.read_parquet(self.students_artifact / "seconds.parquet")

    @cached_property
    def losses(self) -> dict[Trial, np.ndarray]:
        """Held-out loss of every student, summed a text, nats. *Shape:* ``[looks, texts]`` each."""
        saved = load_file(self.students_artifact / "losses.safetensors")
        return {trial: saved[trial.name] for trial in self.trials}

    @property
    def looks(self) -> list[int]:
        """The steps at which the students were looked at."""
        s = self.settings
        return [*range(0, s.student_steps, s.evaluate_every), s.student_steps]

    # ---- fine-tuned on the corpus

    @cached_property
    def tuned_artifact(self) -> Artifact:
        recipe = {
            "students": self.students_artifact.key,
            "teacher": self.teacher_artifact.key,
            "splits": self.splits.digest,
            "code": code_digest("gdlib.trials", "gdlib.baselines", "gdlib.teacher"),
        }
        return self.store.make("mlm-tuned", recipe, self._tune_all)

    @property
    def tunings(self) -> list[Trial]:
        """The students that are fine-tuned: those of the tuned arms, and each start without any masked language modelling."""
        s = self.settings
        arms = (START_ARM, *(arm for arm in self.arms if arm in self.tuned))
        return [Trial(start, arm, seed) for start in s.starts for arm in arms for seed in s.student_seeds]

    def _tune_all(self, folder: Path) -> None:
        s, parts = self.settings, self.splits
        columns = {"corpus": s.corpus, "labels_per_class": s.labels_per_class, "seed": s.seed}
        counted = Trials(columns, parts.test, self.signals(parts.test.texts).probabilities.numpy(), folder)
        counted.references(parts, self.teacher.network, self.teacher_artifact.json("history.json")["best_step"])
        jobs = [(s, self.store.root, folder, trial) for trial in self.tunings]
        with tqdm(total=len(jobs), desc="fine-tuning", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(_tune_one, jobs):
                bar.update()
        for trial in self.tunings:
            file = folder / f"checkpoint-tuned-{trial.name}.safetensors"
            notes = json.loads(file.with_suffix(".json").read_text("utf-8"))
            counted.count(softmax(load_file(file)["logits"]), student=trial.start, arm=trial.arm, student_seed=trial.seed, size=0, **notes)
        counted.results().save(folder)

    def results(self) -> Results:
        """The fine-tuned students, the baselines and a fine-tuned teacher, on the test part of the corpus."""
        return Results.load(self.tuned_artifact.path)

    def network_of(self, trial: Trial, folder: Path) -> zoo.Network:
        """A student's encoder as a network of the zoo, in a folder."""
        student = self.new_student(trial)
        if trial.arm != START_ARM:
            weights = {name: torch.from_numpy(t).float() for name, t in load_file(self.students_artifact / f"{trial.name}.safetensors").items()}
            student.load_state_dict(weights)
        student.encoder.cpu().save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        return zoo.locate(str(folder))


@lru_cache(maxsize=1)
def _study(settings: Settings, root: Path) -> MLMStudy:
    return MLMStudy(settings, Store(root))


def _train_one(settings: Settings, root: Path, folder: Path, trial: Trial) -> None:
    """Train one student and keep its curve, unless it is there already; the weights of one to be fine-tuned too."""
    file = folder / f"checkpoint-{trial.name}.safetensors"
    if file.exists():
        return
    study = _study(settings, root)
    student, masked = study.new_student(trial), study.masked
    curve, _ = mlm.train_student(
        student, masked["student"], study.told(trial.arm), masked["held_out"], study.tokenizer.pad_token_id, study.student_plan(trial)
    )
    if trial.arm in study.tuned:  # in half precision: there are many
        save_file({name: t.cpu().half().numpy() for name, t in student.state_dict().items()}, folder / f"{trial.name}.safetensors")
    _leave(file, {"losses": np.stack(curve.losses)}, _notes(student, curve))


def _notes(student: torch.nn.Module, curve: Curve) -> dict[str, object]:
    return {"parameters": sum(p.numel() for p in student.parameters()), "step": curve.step, "seconds": curve.seconds}


def _tune_one(settings: Settings, root: Path, folder: Path, trial: Trial) -> None:
    """Fine-tune one student as the teacher is, and keep its logits on the test texts, unless they are there already."""
    file = folder / f"checkpoint-tuned-{trial.name}.safetensors"
    if file.exists():
        return
    study, s = _study(settings, root), settings
    seed = int(np.random.SeedSequence([s.seed, trial.seed]).generate_state(1)[0])
    with tempfile.TemporaryDirectory() as held:
        network = study.network_of(trial, Path(held) / "student")
        plan = teacher.TeacherPlan(s.teacher_epochs, s.teacher_lr, s.teacher_batch, s.max_length, seed)
        (Path(held) / "tuned").mkdir()
        parts = study.splits
        history = teacher.fine_tune(network, parts.train, parts.validation, parts.labels, plan, Path(held) / "tuned")
        tuned = teacher.Teacher.load(Path(held) / "tuned")
        logits = tuned.signals(parts.test.texts).logits.numpy()
    notes = {"parameters": sum(p.numel() for p in tuned.network.parameters()), "steps": history.best_step}
    _leave(file, {"logits": logits}, notes)


def _leave(file: Path, tensors: Mapping[str, np.ndarray], notes: Mapping[str, object]) -> None:
    """Write aside and rename, the notes first: where the tensors are, all is there."""
    file.with_suffix(".json").write_text(json.dumps(notes))
    aside = file.with_suffix(".aside")
    save_file(dict(tensors), aside)
    aside.rename(file)
