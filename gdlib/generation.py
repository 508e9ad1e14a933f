"""Floor 4. Study 1, generation-distillation (arXiv 2002.00733): one run of it.

A :class:`GenerationStudy` is one run of the study: one corpus, one seed. Each method gives the finished thing
(splits, teacher, samples, results) and makes it if it is not in the store, with whatever it needs. So a notebook can
be opened and executed on its own; the pipeline merely executes them in an order in which nothing waits.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_model, save_model
from tqdm.auto import tqdm

from gdlib import corpora, distillation, generator, metrics, samples, signals, splits, students, teacher, zoo
from gdlib.config import digest, subset
from gdlib.distillation import ARMS, MAIN_ARM, Source, StudentPlan
from gdlib.generation_settings import PLAN, Settings
from gdlib.losses import DistillationLoss
from gdlib.processes import in_processes
from gdlib.products import Products
from gdlib.results import Results
from gdlib.store import Artifact, Store, code_digest, texts_digest
from gdlib.students import Student
from gdlib.trials import Trials, run_trial


class GenerationStudy:
    """One run of study 1.

    Args:
        settings: its parameters.
        store: where its artifacts are.
    """

    def __init__(self, settings: Settings, store: Store):
        self.settings, self.store = settings, store

    def products(self, stage: str) -> Products:
        """The collector of what a stage shows."""
        return Products(self.store, PLAN.products_recipe(stage, self.settings))

    # ---- corpus

    @cached_property
    def corpus(self) -> corpora.Corpus:
        return corpora.load(self.settings.corpus)

    @cached_property
    def splits(self) -> splits.Splits:
        """Labelled (train and held-out), transfer and test parts, disjoint."""
        s = self.settings
        return splits.split(
            self.corpus,
            labels_per_class=s.labels_per_class,
            validation_share=s.validation_share,
            transfer_size=s.transfer_size,
            test_size=s.test_size,
            seed=s.seed,
        )

    def _labelled_digest(self) -> str:
        labelled = self.splits.labelled
        return digest([texts_digest(labelled.texts), labelled.labels, list(self.splits.labels)])

    # ---- teacher

    @cached_property
    def teacher_artifact(self) -> Artifact:
        s, network = self.settings, zoo.locate(self.settings.teacher)
        plan = teacher.TeacherPlan(s.teacher_epochs, s.teacher_lr, s.teacher_batch, s.max_length, s.seed)
        recipe = {"plan": vars(plan), "network": network.digest, "labelled": self._labelled_digest(), "code": code_digest("gdlib.teacher")}
        parts = self.splits
        return self.store.make(
            "teacher", recipe, lambda folder: teacher.fine_tune(network, parts.train, parts.validation, parts.labels, plan, folder)
        )

    @cached_property
    def teacher(self) -> teacher.Teacher:
        return teacher.Teacher.load(self.teacher_artifact.path)

    def signals(self, texts: Sequence[str], title: str = "labelling") -> signals.Signals:
        """The teacher's signals for some texts; computed once and kept."""
        layers = self.settings.teacher_layers
        recipe = {
            "teacher": self.teacher_artifact.key,
            "texts": texts_digest(texts),
            "layers": layers,
            "code": code_digest("gdlib.teacher", "gdlib.signals"),
        }
        artifact = self.store.make("signals", recipe, lambda folder: self.teacher.signals(texts, layers, title=title).save(folder))
        return signals.load(artifact.path, self.splits.labels, texts)

    # ---- generator

    @cached_property
    def generator_artifact(self) -> Artifact:
        s, network = self.settings, zoo.locate(self.settings.generator)
        plan = generator.GeneratorPlan(
            s.generator_method, s.generator_conditioned, s.generator_epochs, s.generator_lr, s.generator_batch, s.max_new_tokens, s.seed
        )
        recipe = {"plan": vars(plan), "network": network.digest, "labelled": self._labelled_digest(), "code": code_digest("gdlib.generator")}
        parts = self.splits
        return self.store.make(
            "generator", recipe, lambda folder: generator.fine_tune(network, parts.train, parts.validation, parts.labels, plan, folder)
        )

    @cached_property
    def generator(self) -> generator.Generator:
        return generator.Generator.load(self.generator_artifact.path)

    # ---- samples

    @cached_property
    def raw_samples_artifact(self) -> Artifact:
        s = self.settings
        plan = samples.SamplingPlan(
            s.num_samples, s.sampling_temperature, s.top_p, s.top_k, s.prefix_tokens, s.max_new_tokens, s.sampling_batch, s.seed
        )
        recipe = {"plan": vars(plan), "generator": self.generator_artifact.key, "code": code_digest("gdlib.samples")}
        return self.store.make(
            "raw-samples", recipe, lambda folder: samples.generate(self.generator, self.splits.train, plan, folder / "samples.jsonl")
        )

    @cached_property
    def samples_artifact(self) -> Artifact:
        s = self.settings
        gates = {name: getattr(s, name) for name in ("near_duplicate", "overlap_words", "min_confidence", "balance")}
        recipe = {
            "raw": self.raw_samples_artifact.key,
            "teacher": self.teacher_artifact.key,
            "splits": self.splits.digest,
            "gates": gates,
            "code": code_digest("gdlib.samples", "gdlib.teacher"),
        }
        return self.store.make("samples", recipe, self._filter)

    def _filter(self, folder: Path) -> None:
        s, parts = self.settings, self.splits
        table = samples.read(self.raw_samples_artifact / "samples.jsonl")
        labelled = parts.labelled.texts
        table["fate"] = samples.funnel(
            table, labelled, parts.test.texts, near_duplicate=s.near_duplicate, overlap_words=s.overlap_words
        )
        rows = np.flatnonzero(table["fate"] != "empty")
        table = samples.judged(table, self.signals(table["text"].iloc[rows].tolist(), "labelling samples"), rows)
        table["fate"] = samples.select(table, min_confidence=s.min_confidence, balance=s.balance)
        table["memorised"] = samples.memorised(table["text"].tolist(), labelled, s.overlap_words)
        table.to_parquet(folder / "samples.parquet", index=False)

    def samples(self) -> pd.DataFrame:
        """Every generated text with its fate in the funnel and the teacher's view of it."""
        return pd.read_parquet(self.samples_artifact / "samples.parquet")

    # ---- students

    @cached_property
    def sources(self) -> dict[str, Source]:
        """What students learn from: labelled, generated (the kept ones) and real unlabelled texts, with the teacher's logits."""
        parts, table = self.splits, self.samples()
        kept = table[table["fate"] == "kept"]
        generated = torch.tensor(np.stack(kept["teacher_logits"])) if len(kept) else torch.empty(0, len(parts.labels))
        transfer = parts.transfer.texts
        return {
            "labelled": self._source(parts.train.texts, self.signals(parts.train.texts).logits, parts.train.labels),
            "generated": self._source(kept["text"].tolist(), generated),
            "real": self._source(transfer, self.signals(transfer).logits),
        }

    def _source(self, texts: list[str], logits: torch.Tensor, labels: list[int] | None = None) -> Source:
        pieces = students.encode(self.teacher.tokenizer, texts, self.settings.max_length)
        return Source(pieces, logits, torch.tensor(labels if labels is not None else [-1] * len(texts)))

    @cached_property
    def held_out(self) -> Source:
        """The held-out labelled texts: what stopping and choosing look at."""
        part = self.splits.validation
        return self._source(part.texts, self.signals(part.texts).logits, part.labels)

    @cached_property
    def vocabulary(self) -> students.Vocabulary:
        """The pieces every student of the run knows, the same for all arms, so that arms differ in their data alone.

        Pieces seen in labelled, generated or real unlabelled texts, never the test's; the embeddings take at most half
        of the parameter budget.
        """
        tokenizer = self.teacher.tokenizer
        pieces = distillation.join(list(self.sources.values())).pieces
        at_most = self.settings.student_parameters // 2 // self.settings.embedding_dim
        return students.Vocabulary.seen(pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, at_most)

    @property
    def student_plan(self) -> StudentPlan:
        s = self.settings
        names = {name: getattr(s, name) for name in StudentPlan.__dataclass_fields__ if name != "loss"}
        return StudentPlan(**names, loss=DistillationLoss(s.soft_loss, s.temperature, s.hard_weight, s.soft_weight))

    def distil(self, name: str, arm: distillation.Arm, student_seed: int, data: Source | None = None) -> tuple[Student, int]:
        """One trained student and its best step. ``data`` stands in for the arm's transfer set (the explorer's selection)."""
        plan, classes = self.student_plan, len(self.splits.labels)
        seed = int(np.random.SeedSequence([self.settings.seed, student_seed]).generate_state(1)[0])
        student = distillation.new_student(name, classes, self.vocabulary, self.teacher.embedding, plan, seed)
        data = data or distillation.transfer_set(arm, self.sources)
        loss = distillation.loss_of(arm, plan)
        history = distillation.distil(student, data, self.held_out, self.vocabulary, loss, plan, seed)
        return student, history.best_step

    @cached_property
    def results_artifact(self) -> Artifact:
        recipe = {
            "samples": self.samples_artifact.key,
            "splits": self.splits.digest,
            "settings": subset(self.settings, ("students",)),
            "code": code_digest("gdlib.trials", "gdlib.baselines"),
        }
        return self.store.make("students", recipe, self._train_all)

    def _train_all(self, folder: Path) -> None:
        s, parts = self.settings, self.splits
        columns = {"corpus": s.corpus, "labels_per_class": s.labels_per_class, "seed": s.seed}
        trials = Trials(columns, parts.test, self.signals(parts.test.texts).probabilities.numpy(), folder)
        trials.references(parts, self.teacher.network, self.teacher_artifact.json("history.json")["best_step"])
        jobs = [(n, a, i) for n in s.students for a in distillation.arms(s.arms, s.sample_divisors) for i in s.student_seeds]
        with tqdm(total=len(jobs), desc="students", unit="student", mininterval=2.0) as bar:
            for _ in in_processes(_train_one, [(s, self.store.root, folder, *job) for job in jobs]):
                bar.update()
        for name, arm, seed in jobs:
            size = len(distillation.transfer_set(arm, self.sources)) - len(parts.train)
            trials.student(name, arm.name, seed, size, self.test_rows, partial(self.distil, name, arm, seed))
        trials.results().save(folder)

    @cached_property
    def test_rows(self) -> list[list[int]]:
        """The test texts as students read them."""
        return self.vocabulary.rows(students.encode(self.teacher.tokenizer, self.splits.test.texts, self.settings.max_length))

    def results(self) -> Results:
        """Every arm of every student and student seed, the baselines and the teacher, on the test part."""
        return Results.load(self.results_artifact.path)

    # ---- one student to look at

    def student(self, name: str | None = None) -> Student:
        """The student of the main arm and the first student seed (of the first architecture unless named)."""
        name, plan, classes = name or self.settings.students[0], self.student_plan, len(self.splits.labels)
        student = students.build(name, len(self.vocabulary), classes, plan.student_parameters, plan.embedding_dim, plan.student_dropout)
        load_model(student, self.results_artifact / f"{name}.safetensors")
        return student.eval()

    def student_logits(self, texts: Sequence[str], name: str | None = None) -> np.ndarray:
        """What that student says of some texts. *Shape:* ``[texts, classes]``."""
        rows = self.vocabulary.rows(students.encode(self.teacher.tokenizer, texts, self.settings.max_length))
        return distillation.predict(self.student(name), rows).numpy()

    def train_on(self, indices: Sequence[int]) -> dict[str, Any]:
        """Distil the first student on the labelled texts and a selection of samples, and compare it with the main arm's.

        The selection is made by looking, so it is judged on the held-out labelled texts and never on the test part.

        Args:
            indices: rows of :meth:`samples`.

        Returns:
            ``texts`` used, ``held_out`` texts judged on, ``accuracy`` with the selection, ``baseline_accuracy`` without it.
        """
        table, name, seed = self.samples(), self.settings.students[0], self.settings.student_seeds[0]
        chosen = table.iloc[list(indices)]
        chosen = chosen[chosen["teacher_label"] >= 0]
        selected = self._source(chosen["text"].tolist(), torch.tensor(np.stack(chosen["teacher_logits"])))
        data = distillation.join([self.sources["labelled"], selected])
        student, _ = self.distil(name, ARMS[MAIN_ARM], seed, data)
        held_out, rows = self.held_out.labels.numpy(), self.vocabulary.rows(self.held_out.pieces)
        accuracy, baseline = (
            metrics.accuracy(held_out, distillation.predict(network, rows).argmax(-1).numpy()) for network in (student, self.student(name))
        )
        return {"texts": len(chosen), "held_out": len(held_out), "accuracy": accuracy, "baseline_accuracy": baseline}


@lru_cache(maxsize=1)
def _study(settings: Settings, root: Path) -> GenerationStudy:
    return GenerationStudy(settings, Store(root))


def _train_one(settings: Settings, root: Path, folder: Path, name: str, arm: distillation.Arm, seed: int) -> None:
    """One trial in a process of its own; the weights of the student to look at (main arm, first seed) are kept too."""
    study = _study(settings, root)

    def train() -> tuple[Student, int]:
        student, steps = study.distil(name, arm, seed)
        if arm.name == MAIN_ARM and seed == settings.student_seeds[0]:
            save_model(student, folder / f"{name}.safetensors")
        return student, steps

    run_trial(folder, name, arm.name, seed, study.test_rows, train)
