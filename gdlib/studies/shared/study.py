"""What every study begins with: a corpus, its splits, a teacher and its signals; for some, a
generator's samples.

A study is one run: one corpus, one seed. Each method gives the finished thing and makes it if it is
not in the store, with whatever it needs; so a notebook can be opened and executed on its own, and
the pipeline merely executes them in an order in which nothing waits. Recipes say what made an
artifact and not which study asked for it: two studies with the same settings share one teacher and
one set of samples.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from gdlib.core.code import code_digest
from gdlib.core.plans import Plan
from gdlib.core.processes import together
from gdlib.core.products import Products
from gdlib.core.settings import digest, replace
from gdlib.core.store import Artifact, Store, texts_digest
from gdlib.networks import generator, signals, students, teacher
from gdlib.networks.distillation import Source
from gdlib.sources import corpora, splits, zoo
from gdlib.studies.shared import samples
from gdlib.studies.shared.settings import TeachingSettings, WritingSettings


class Study:
    """Settings, a store, and what a stage shows.

    Args:
        settings: the parameters.
        store: where artifacts are.
    """

    plan: Plan

    def __init__(self, settings: Any, store: Store):
        self.settings, self.store = settings, store

    def products(self, stage: str) -> Products:
        """The collector of what a stage shows."""
        return Products(self.store, self.plan.products_recipe(stage, self.settings))

    def results(self) -> Any:
        """What was found, of a kind that has a ``stack``: every study has its own."""
        raise NotImplementedError

    def each_seed(self, **changes: Any) -> list[Self]:
        """This study with every seed of ``settings.seeds``.

        Args:
            changes: of other settings (another number of labels, say).
        """
        s = self.settings
        return [
            type(self)(replace(s, seed=seed, **changes), self.store)
            for seed in s.seeds or (s.seed,)
        ]

    def over_seeds(self, **changes: Any) -> Any:
        """The results of :meth:`each_seed`, stacked; the test part is the same for all."""
        found = [one.results() for one in self.each_seed(**changes)]
        return found[0].stack(found)


class TeachingStudy(Study):
    """Corpus, splits, teacher, signals."""

    settings: TeachingSettings

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
        plan = teacher.TeacherPlan(
            s.teacher_epochs, s.teacher_lr, s.teacher_batch, s.max_length, s.seed
        )
        recipe = {
            "plan": vars(plan),
            "network": network.digest,
            "labelled": self._labelled_digest(),
            "code": code_digest("gdlib.networks.teacher"),
        }
        parts = self.splits
        return self.store.make(
            "teacher",
            recipe,
            lambda folder: together(
                teacher.fine_tune,
                network,
                parts.train,
                parts.validation,
                parts.labels,
                plan,
                folder,
            ),
        )

    @cached_property
    def teacher(self) -> teacher.Teacher:
        return teacher.Teacher.load(self.teacher_artifact.path)

    def signals(self, texts: Sequence[str], title: str = "labelling") -> signals.Signals:
        """The teacher's signals for some texts; computed once and kept."""
        layers, pooling = self.settings.teacher_layers, self.settings.teacher_pooling
        recipe = {
            "teacher": self.teacher_artifact.key,
            "texts": texts_digest(texts),
            "layers": layers,
            "pooling": pooling,
            "code": code_digest("gdlib.networks.teacher", "gdlib.networks.signals"),
        }
        artifact = self.store.make(
            "signals",
            recipe,
            lambda folder: self.teacher.signals(texts, layers, title=title, pooling=pooling).save(
                folder
            ),
        )
        return signals.load(artifact.path, self.splits.labels, texts)

    # ---- texts as students read them

    def source(
        self, texts: list[str], logits: torch.Tensor, labels: list[int] | None = None
    ) -> Source:
        """Texts with the teacher's logits, and gold labels where there are any."""
        pieces = students.encode(self.teacher.tokenizer, texts, self.settings.max_length)
        return Source(
            pieces, logits, torch.tensor(labels if labels is not None else [-1] * len(texts))
        )

    @cached_property
    def labelled(self) -> Source:
        """The labelled texts that students may learn from."""
        part = self.splits.train
        return self.source(part.texts, self.signals(part.texts).logits, part.labels)

    @cached_property
    def held_out(self) -> Source:
        """The held-out labelled texts: what stopping and choosing look at."""
        part = self.splits.validation
        return self.source(part.texts, self.signals(part.texts).logits, part.labels)

    @cached_property
    def real(self) -> Source:
        """The real unlabelled texts."""
        texts = self.splits.transfer.texts
        return self.source(texts, self.signals(texts).logits)


class WritingStudy(TeachingStudy):
    """A generator and its samples besides."""

    settings: WritingSettings

    # ---- generator

    @cached_property
    def generator_artifact(self) -> Artifact:
        s, network = self.settings, zoo.locate(self.settings.generator)
        plan = generator.GeneratorPlan(
            s.generator_method,
            s.generator_conditioned,
            s.generator_epochs,
            s.generator_lr,
            s.generator_batch,
            s.max_new_tokens,
            s.seed,
        )
        recipe = {
            "plan": vars(plan),
            "network": network.digest,
            "labelled": self._labelled_digest(),
            "code": code_digest("gdlib.networks.generator"),
        }
        parts = self.splits
        return self.store.make(
            "generator",
            recipe,
            lambda folder: together(
                generator.fine_tune,
                network,
                parts.train,
                parts.validation,
                parts.labels,
                plan,
                folder,
            ),
        )

    @cached_property
    def generator(self) -> generator.Generator:
        return generator.Generator.load(self.generator_artifact.path)

    # ---- samples

    @cached_property
    def raw_samples_artifact(self) -> Artifact:
        s = self.settings
        plan = samples.SamplingPlan(
            s.num_samples,
            s.sampling_temperature,
            s.top_p,
            s.top_k,
            s.prefix_tokens,
            s.max_new_tokens,
            s.sampling_batch,
            s.seed,
        )
        recipe = {
            "plan": vars(plan),
            "generator": self.generator_artifact.key,
            "code": code_digest("gdlib.studies.shared.samples"),
        }
        return self.store.make(
            "raw-samples",
            recipe,
            lambda folder: samples.generate(
                self.generator, self.splits.train, plan, folder / "samples.jsonl"
            ),
        )

    @cached_property
    def samples_artifact(self) -> Artifact:
        s = self.settings
        gates = {
            name: getattr(s, name)
            for name in ("near_duplicate", "overlap_words", "min_confidence", "balance")
        }
        recipe = {
            "raw": self.raw_samples_artifact.key,
            "teacher": self.teacher_artifact.key,
            "splits": self.splits.digest,
            "gates": gates,
            "code": code_digest("gdlib.studies.shared.samples", "gdlib.networks.teacher"),
        }
        return self.store.make("samples", recipe, self._filter)

    def _filter(self, folder: Path) -> None:
        s, parts = self.settings, self.splits
        table = samples.read(self.raw_samples_artifact / "samples.jsonl")
        labelled = parts.labelled.texts
        table["fate"] = samples.funnel(
            table,
            labelled,
            parts.test.texts,
            near_duplicate=s.near_duplicate,
            overlap_words=s.overlap_words,
        )
        rows = np.flatnonzero(table["fate"] != "empty")
        table = samples.judged(
            table, self.signals(table["text"].iloc[rows].tolist(), "labelling samples"), rows
        )
        table["fate"] = samples.select(table, min_confidence=s.min_confidence, balance=s.balance)
        table["memorised"] = samples.memorised(table["text"].tolist(), labelled, s.overlap_words)
        table.to_parquet(folder / "samples.parquet", index=False)

    def samples(self) -> pd.DataFrame:
        """Every generated text with its fate in the funnel and the teacher's view of it."""
        return pd.read_parquet(self.samples_artifact / "samples.parquet")

    @cached_property
    def generated(self) -> Source:
        """The samples that passed the funnel."""
        table = self.samples()
        kept = table[table["fate"] == "kept"]
        logits = (
            torch.tensor(np.stack(kept["teacher_logits"]))
            if len(kept)
            else torch.empty(0, len(self.splits.labels))
        )
        return self.source(kept["text"].tolist(), logits)
