"""The students of masked-language-model distillation, fine-tuned on a labelled corpus, beside
baselines and a fine-tuned teacher.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from scipy.special import softmax
from tqdm.auto import tqdm

from gdlib.compare.results import Results
from gdlib.core.code import code_digest
from gdlib.core.processes import in_processes
from gdlib.core.settings import subset
from gdlib.core.store import Artifact
from gdlib.networks import teacher
from gdlib.sources import zoo
from gdlib.studies.mlm.settings import START_ARM, Settings
from gdlib.studies.mlm.study import MLMStudy, Trial, of_process
from gdlib.studies.shared.trials import Trials, once


def trials(study: MLMStudy) -> list[Trial]:
    """The students that are fine-tuned: those of the tuned arms, and each start without any
    distillation.
    """
    s = study.settings
    arms = (START_ARM, *(arm for arm in study.arms if arm in study.named(s.tuned_arms)))
    return [
        Trial(start, arm, seed) for start in s.starts for arm in arms for seed in s.student_seeds
    ]


def artifact(study: MLMStudy) -> Artifact:
    """The fine-tuned students' results; made if they are not in the store."""
    s = study.settings
    recipe = {
        "students": study.students_artifact.key,
        "teacher": study.trained_teacher().key,
        "splits": study.splits.digest,
        "settings": {
            name: value
            for name, value in subset(s, ("students",)).items()
            if name.startswith("tuned_")
        },
        "code": code_digest(
            "gdlib.studies.mlm.tuning",
            "gdlib.studies.shared.trials",
            "gdlib.compare.baselines",
            "gdlib.networks.teacher",
        ),
    }

    def build(folder: Path) -> None:
        parts, asked = study.splits, trials(study)
        columns = {"corpus": s.corpus, "labels_per_class": s.labels_per_class, "seed": s.seed}
        counted = Trials(
            columns, parts.test, study.signals(parts.test.texts).probabilities.numpy(), folder
        )
        counted.references(
            parts, study.teacher.network, study.trained_teacher().json("history.json")["best_step"]
        )
        with tqdm(total=len(asked), desc="fine-tuning", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(_tune, [(s, study.store.root, folder, trial) for trial in asked]):
                bar.update()
        for trial in asked:
            with safe_open(_file(folder, trial), "np") as saved:
                logits, header = (
                    saved.get_tensor("logits"),
                    {name: int(value) for name, value in saved.metadata().items()},
                )
            counted.count(
                softmax(logits.astype(np.float64), axis=-1),
                student=f"from {trial.start}",
                arm=trial.arm,
                student_seed=trial.seed,
                size=0,
                **header,
            )
        counted.results().save(folder)

    return study.store.make("mlm-tuned", recipe, build)


def results(study: MLMStudy) -> Results:
    """The fine-tuned students, the baselines and a fine-tuned teacher, on the test part of the
    corpus.
    """
    return Results.load(artifact(study).path)


def _file(folder: Path, trial: Trial) -> Path:
    return folder / f"checkpoint-tuned-{trial.name}.safetensors"


def network_of(study: MLMStudy, trial: Trial, folder: Path) -> zoo.Network:
    """A student's encoder as a network of the zoo, in a folder."""
    student = study.new_student(trial)
    if trial.arm != START_ARM:
        with safe_open(study.students_artifact / f"{trial.name}.safetensors", "pt") as saved:
            weights = {
                name.removeprefix("weights."): saved.get_tensor(name).float()
                for name in saved.keys()
                if name.startswith("weights.")
            }
        student.load_state_dict(weights, strict=False)  # what is not there never changed
    student.encoder.cpu().save_pretrained(folder)
    study.tokenizer.save_pretrained(folder)
    return zoo.locate(str(folder))


def _tune(settings: Settings, root: Path, folder: Path, trial: Trial) -> None:
    """Fine-tune one student as the teacher is, at a rate of its own, and keep its logits on the
    test texts, unless they are there already.
    """
    study, s = of_process(settings, root), settings

    def make() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        seed = int(np.random.SeedSequence([s.seed, trial.seed]).generate_state(1)[0])
        with tempfile.TemporaryDirectory() as held:
            network, there = network_of(study, trial, Path(held) / "student"), Path(held) / "tuned"
            there.mkdir()
            lr = s.tuned_lr if trial.start == "teacher" else s.tuned_scratch_lr
            plan, parts = (
                teacher.TeacherPlan(s.tuned_epochs, lr, s.teacher_batch, s.max_length, seed),
                study.splits,
            )
            history = teacher.fine_tune(
                network, parts.train, parts.validation, parts.labels, plan, there
            )
            tuned = teacher.Teacher.load(there)
            logits = tuned.signals(parts.test.texts).logits
        return {"logits": logits}, {
            "parameters": str(sum(p.numel() for p in tuned.network.parameters())),
            "steps": str(history.best_step),
        }

    once(_file(folder, trial), make)
