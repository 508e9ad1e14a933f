"""Study 2, tagging in many languages (arXiv 2004.05686): one run of it, one corpus and one seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, load_model, save_model
from tqdm.auto import tqdm

from gdlib.compare.entities import entity_counts, f1_by_language
from gdlib.compare.tagging_results import TEACHER, TaggedResults
from gdlib.core.code import code_digest
from gdlib.core.errors import BadSetting
from gdlib.core.processes import in_processes, together
from gdlib.core.settings import digest, subset
from gdlib.core.store import Artifact, Store
from gdlib.learn import schedules
from gdlib.learn.loop import Regime, seed_everything
from gdlib.learn.losses import StagedLoss
from gdlib.networks import signals, students
from gdlib.networks import tagger as tagging
from gdlib.networks.recurrent import BiLSTM
from gdlib.networks.tagger import Encoded, TaggedSource
from gdlib.networks.teacher import TeacherPlan
from gdlib.sources import tagged, tagged_splits, zoo
from gdlib.sources.tagged import Sentences
from gdlib.studies.shared.study import Study
from gdlib.studies.shared.trials import once
from gdlib.studies.tagging.settings import PLAN, Settings


@dataclass(frozen=True)
class Trial:
    """One student to train.

    Args:
        arm: as it stands in every table and figure.
        strategy: its name.
        steps: of a turn.
        divisor: of the transfer sentences one in so many is used.
        embedding_dim: E.
        hidden_dim: H.
        seed: the student's.
    """

    arm: str
    strategy: str
    steps: int
    divisor: int
    embedding_dim: int
    hidden_dim: int
    seed: int

    @property
    def file(self) -> str:
        return f"{self.arm.replace('/', 'over ')}-{self.seed}"


class TaggingStudy(Study):
    """One run of the tagging part of study 2."""

    plan = PLAN
    settings: Settings

    # ---- corpus

    @cached_property
    def corpus(self) -> tagged.TaggedCorpus:
        return tagged.load(self.settings.corpus, self.settings.languages)

    @cached_property
    def splits(self) -> tagged_splits.TaggedSplits:
        s = self.settings
        names = (
            "labels_per_language",
            "validation_share",
            "transfer_per_language",
            "test_per_language",
            "seed",
        )
        return tagged_splits.split(self.corpus, **{name: getattr(s, name) for name in names})

    # ---- teacher

    @cached_property
    def teacher_artifact(self) -> Artifact:
        s, network, parts = self.settings, zoo.locate(self.settings.teacher), self.splits
        plan = TeacherPlan(s.teacher_epochs, s.teacher_lr, s.teacher_batch, s.max_length, s.seed)
        recipe = {
            "plan": vars(plan),
            "frozen_embeddings": s.frozen_embeddings,
            "depth": s.teacher_depth,
            "network": network.digest,
            "labelled": digest([parts.tags, parts.train.digest, parts.validation.digest]),
            "code": code_digest("gdlib.networks.tagger"),
        }
        told = (
            network,
            parts.train,
            parts.validation,
            parts.tags,
            plan,
            s.teacher_depth,
            s.frozen_embeddings,
        )
        return self.store.make(
            "tagger", recipe, lambda folder: together(tagging.fine_tune, *told, folder)
        )

    @cached_property
    def teacher(self) -> tagging.Tagger:
        return tagging.Tagger.load(self.teacher_artifact.path)

    def signals(self, part: str) -> signals.Signals:
        """The teacher's signals for the items of a part (``train``, ``validation``, ``transfer``,
        ``test``); kept.
        """
        sentences, layer = self.splits.parts[part], self.settings.teacher_layer
        layers = () if part == "test" else (layer,)
        recipe = {
            "teacher": self.teacher_artifact.key,
            "sentences": sentences.digest,
            "layers": layers,
            "code": code_digest("gdlib.networks.tagger"),
        }
        artifact = self.store.make(
            "token-signals",
            recipe,
            lambda folder: self.teacher.token_signals(
                sentences, layers, title=f"labelling {part}"
            ).save(folder),
        )
        return signals.load(artifact.path, self.splits.tags, sentences.texts)

    @cached_property
    def encoded(self) -> dict[str, Encoded]:
        """Every part as word pieces."""
        return {name: self.teacher.encode(part) for name, part in self.splits.parts.items()}

    # ---- what students learn from

    @cached_property
    def vocabulary(self) -> students.Vocabulary:
        """The pieces every student knows: those seen in tagged and transfer sentences, never the
        test's.
        """
        tokenizer = self.teacher.tokenizer
        pieces = [row for name in ("train", "transfer") for row in self.encoded[name].pieces]
        return students.Vocabulary.seen(
            pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, self.settings.student_pieces
        )

    @cached_property
    def sources(self) -> dict[str, TaggedSource]:
        """Train and held-out sentences with their gold tags, transfer sentences without."""
        return {name: self._source(name) for name in ("train", "validation", "transfer")}

    def _source(self, name: str) -> TaggedSource:
        encoded, said, part = self.encoded[name], self.signals(name), self.splits.parts[name]
        labels = (
            torch.full((len(said.logits),), -1)
            if name == "transfer"
            else torch.tensor(encoded.labels(part.tags))
        )
        rows = self.vocabulary.rows(encoded.pieces)
        return TaggedSource(
            rows, encoded.places, said.logits, labels, said.states[self.settings.teacher_layer]
        )

    # ---- students

    def trials(self) -> list[Trial]:
        """Every strategy and every share of the transfer sentences with every student seed; the
        other sizes with the first.
        """
        s = self.settings
        size, main, steps = (s.embedding_dim, s.hidden_dim), s.main_strategy, s.student_steps
        names = list(dict.fromkeys((*s.strategies, main)))
        arms = [(name, name, steps, 1, *size, s.student_seeds) for name in names]
        for name in s.same_steps:
            called, longer = schedules.as_long(name, names, steps)
            arms.append((called, name, longer, 1, *size, s.student_seeds))
        arms += [
            (f"{main} /{k}", main, steps, k, *size, s.student_seeds) for k in s.transfer_divisors
        ]
        arms += [
            (f"{main} {one}", main, steps, 1, *sizes(one), s.student_seeds[:1]) for one in s.grid
        ]
        return [Trial(*arm, seed) for *arm, seeds in arms for seed in seeds]

    def new_student(self, embedding_dim: int, hidden_dim: int) -> BiLSTM:
        """A student of a size, as torch's generator draws it."""
        return BiLSTM(
            len(self.vocabulary),
            len(self.splits.tags),
            hidden_dim,
            embedding_dim,
            self.settings.student_dropout,
            "none",
        )

    def transfer(self, divisor: int) -> TaggedSource:
        """One in ``divisor`` of every language's transfer sentences: the first ones, so that a
        smaller set is part of a larger.
        """
        languages, taken, whole = self.splits.transfer.languages, [], self.sources["transfer"]
        for language in self.splits.languages:
            of = [i for i, one in enumerate(languages) if one == language]
            taken += of[: -(-len(of) // divisor)]
        return whole if divisor == 1 else whole.take(taken)

    def distil(self, trial: Trial) -> tuple[BiLSTM, pd.DataFrame]:
        """One trained student, and the trace of its training (:func:`gdlib.learn.schedules.run`)."""
        s, sources = self.settings, self.sources
        seed = int(np.random.SeedSequence([s.seed, trial.seed]).generate_state(1)[0])
        seed_everything(seed)
        student = self.new_student(trial.embedding_dim, trial.hidden_dim)
        if s.embedding == "svd":
            with torch.no_grad():
                student.embedding.weight.copy_(
                    students.svd_embedding(
                        self.teacher.embedding, self.vocabulary, trial.embedding_dim
                    )
                )
        loss = StagedLoss(s.hard_weight, s.representation_weight, s.soft_weight, s.representation)
        patience = (
            s.patience if trial.steps == s.student_steps else 0
        )  # one given more steps takes them
        regime = Regime(
            trial.steps,
            s.student_lr,
            evaluate_every=s.evaluate_every,
            patience=patience,
            seed=seed,
            decay="cosine",
        )
        strategy = schedules.strategy(trial.strategy)
        told = (sources["train"], self.transfer(trial.divisor), sources["validation"])
        return student, tagging.distil(student, strategy, loss, *told, regime, s.student_batch)

    @cached_property
    def results_artifact(self) -> Artifact:
        recipe = {
            "teacher": self.teacher_artifact.key,
            "splits": self.splits.digest,
            "layer": self.settings.teacher_layer,
            "settings": subset(self.settings, ("students",)),
            "code": code_digest(
                "gdlib.networks.tagger", "gdlib.studies.shared.trials", "gdlib.compare.entities"
            ),
        }
        return self.store.make("taggers", recipe, self._train_all)

    def _train_all(self, folder: Path) -> None:
        s, trials = self.settings, self.trials()
        self.sources, self.signals("test")  # made once, before several processes ask for them
        with tqdm(total=len(trials), desc="students", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(
                _train_one, [(s, self.store.root, folder, trial) for trial in trials]
            ):
                bar.update()
        parts = [self.results_of_teacher()]
        for trial in trials:
            kept = load_file(folder / f"checkpoint-{trial.file}.safetensors")
            same = {
                name: getattr(trial, name)
                for name in ("arm", "strategy", "embedding_dim", "hidden_dim")
            }
            numbers = {name: int(kept[name]) for name in ("size", "parameters", "steps")}
            parts.append(
                self._row(kept["counts"].numpy(), student_seed=trial.seed, **same, **numbers)
            )
        TaggedResults.stack(parts).save(folder)

    def results_of_teacher(self) -> TaggedResults:
        """The teacher on the test part, as one row."""
        same = {
            "student_seed": -1,
            "arm": TEACHER,
            "strategy": TEACHER,
            "embedding_dim": 0,
            "hidden_dim": 0,
            "size": 0,
            "steps": 0,
        }
        return self._row(
            self.counts(self.teacher_tags("test")),
            **same,
            parameters=students.parameters(self.teacher.network),
        )

    def _row(self, counts: np.ndarray, **columns: Any) -> TaggedResults:
        s, languages = self.settings, self.splits.test.languages
        run = {"corpus": s.corpus, "labels_per_language": s.labels_per_language, "seed": s.seed}
        f1 = float(np.mean(list(f1_by_language(counts, languages).values())))
        return TaggedResults(
            pd.DataFrame([run | columns | {"f1": f1}]), counts[None], tuple(languages)
        )

    def results(self) -> TaggedResults:
        """Every student and the teacher on the test part."""
        return TaggedResults.load(self.results_artifact.path)

    def trace(self, strategy: str) -> pd.DataFrame:
        """The trace of a strategy's first student."""
        return pd.read_parquet(self.results_artifact / f"trace-{strategy}.parquet")

    def student(self, embedding_dim: int, hidden_dim: int) -> BiLSTM:
        """The main strategy's first student of a size."""
        student = self.new_student(embedding_dim, hidden_dim)
        load_model(
            student, self.results_artifact / f"student-{embedding_dim}x{hidden_dim}.safetensors"
        )
        return student.eval()

    # ---- tags

    def named(self, tags: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[self.splits.tags[tag] for tag in row] for row in tags]

    def teacher_tags(self, part: str) -> list[list[int]]:
        """What the teacher says of a part, a tag a token."""
        return self.encoded[part].tags(self.signals(part).predicted.tolist())

    def student_tags(self, student: BiLSTM, part: str) -> list[list[int]]:
        """What a student says of a part, a tag a token."""
        encoded = self.encoded[part]
        return encoded.tags(
            tagging.predict(student, self.vocabulary.rows(encoded.pieces), encoded.places).tolist()
        )

    def counts(self, said: Sequence[Sequence[int]], part: str = "test") -> np.ndarray:
        """Entity counts of every sentence of a part: right, predicted, gold.

        *Shape:* ``[sentences, 3]``.
        """
        sentences: Sentences = self.splits.parts[part]
        return entity_counts(self.named(sentences.tags), self.named(said))


def sizes(one: str) -> tuple[int, int]:
    """``"64x96"`` as E and H.

    Raises:
        BadSetting: it is no such size.
    """
    parts = one.split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise BadSetting(
            f'size "{one}" in grid: expected ExH such as 64x96 (embedding dimensions, width '
            "of a direction)"
        )
    return int(parts[0]), int(parts[1])


@lru_cache(maxsize=1)
def _study(settings: Settings, root: Path) -> TaggingStudy:
    return TaggingStudy(settings, Store(root))


def _train_one(settings: Settings, root: Path, folder: Path, trial: Trial) -> None:
    """One trial in a process of its own; of the first seed the trace is kept, of the main
    strategy's sizes the weights too.
    """
    study = _study(settings, root)

    def make() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        student, trace = study.distil(trial)
        if trial.seed == settings.student_seeds[0] and trial.divisor == 1:
            if trial.arm in schedules.STRATEGIES:
                trace.to_parquet(folder / f"trace-{trial.arm}.parquet", index=False)
            if trial.strategy == settings.main_strategy:
                save_model(
                    student,
                    folder / f"student-{trial.embedding_dim}x{trial.hidden_dim}.safetensors",
                )
        counts = study.counts(study.student_tags(student, "test"))
        size, steps = len(study.transfer(trial.divisor)), int(trace["step"].max())
        numbers = {"size": size, "parameters": students.parameters(student), "steps": steps}
        return {"counts": torch.from_numpy(counts)} | {
            name: torch.tensor(value) for name, value in numbers.items()
        }, {}

    once(folder / f"checkpoint-{trial.file}.safetensors", make)
