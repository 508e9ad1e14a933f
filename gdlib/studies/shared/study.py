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
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from gdlib.core.artifacts import artifact, derived
from gdlib.core.processes import together
from gdlib.core.settings import digest
from gdlib.core.store import texts_digest
from gdlib.core.study import Study
from gdlib.networks import generator, signals, students, teacher
from gdlib.networks.lessons import Source
from gdlib.networks.sampling import Generator
from gdlib.sources import corpora, splits, zoo
from gdlib.studies.shared import samples
from gdlib.studies.shared.settings import TeachingSettings, WritingSettings
from gdlib.studies.shared.trials import Trials


class Labelled(NamedTuple):
    """The labelled part of the splits, in train and held-out part."""

    train: corpora.Part
    validation: corpora.Part
    labels: tuple[str, ...]

    @property
    def digest(self) -> str:
        parts = [(texts_digest(part.texts), part.labels) for part in (self.train, self.validation)]
        return digest([parts, list(self.labels)])


class Texts(tuple[str, ...]):
    """Texts as they stand in a recipe: by their digest."""

    @cached_property
    def digest(self) -> str:
        return texts_digest(self)


class TeachingStudy(Study):
    """Corpus, splits, teacher, signals."""

    settings: TeachingSettings

    # ---- corpus

    @derived
    def corpus(self) -> corpora.Corpus:
        return corpora.load(self.settings.corpus)

    @derived
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

    @derived
    def labelled_parts(self) -> Labelled:
        """What teacher and generator are fine-tuned on: all that they know of the splits."""
        parts = self.splits
        return Labelled(parts.train, parts.validation, parts.labels)

    # ---- teacher

    @derived
    def teacher_network(self) -> zoo.Network:
        """The pretrained encoder."""
        return zoo.locate(self.settings.teacher)

    @artifact(
        "teacher",
        *("teacher_epochs", "teacher_lr", "teacher_batch", "max_length", "seed"),
        needs=("teacher_network", "labelled_parts"),
    )
    def trained_teacher(self, folder: Path) -> None:
        """The encoder fine-tuned on the labelled part."""
        s, parts = self.settings, self.labelled_parts
        plan = teacher.TeacherPlan(
            epochs=s.teacher_epochs,
            lr=s.teacher_lr,
            batch=s.teacher_batch,
            max_length=s.max_length,
            seed=s.seed,
        )
        together(teacher.fine_tune, self.teacher_network, *parts, plan, folder)

    @derived
    def teacher(self) -> teacher.Teacher:
        return teacher.Teacher.load(self.trained_teacher().path)

    @artifact("teacher", "teacher_layers", "teacher_pooling", needs=("trained_teacher",))
    def teacher_signals(self, folder: Path, texts: Texts) -> None:
        """The teacher's logits, and states where asked for, on some texts."""
        s = self.settings
        found = self.teacher.signals(texts, s.teacher_layers, pooling=s.teacher_pooling)
        found.save(folder)

    def signals(self, texts: Sequence[str]) -> signals.Signals:
        """The teacher's signals for some texts; computed once and kept."""
        artifact = self.teacher_signals(Texts(texts))
        return signals.load(artifact.path, self.splits.labels, texts)

    @derived
    def class_names(self) -> tuple[str, ...]:
        return self.splits.labels

    def references(self) -> Trials:
        """The baselines and the teacher on the test part, to put students beside."""
        s, parts = self.settings, self.splits
        columns = {"corpus": s.corpus, "labels_per_class": s.labels_per_class, "seed": s.seed}
        probabilities = self.signals(parts.test.texts).probabilities.numpy()
        found = Trials(columns, parts.test, probabilities)
        steps = self.trained_teacher().json("history.json")["best_step"]
        found.references(parts, self.teacher.network, steps)
        return found

    # ---- texts as students read them

    @derived
    def test_texts(self) -> Texts:
        return Texts(self.splits.test.texts)

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as students read them: rows of their vocabulary."""
        pieces = students.encode(self.teacher.tokenizer, texts, self.settings.max_length)
        return self.vocabulary.rows(pieces)

    def source(
        self, texts: list[str], logits: torch.Tensor, labels: list[int] | None = None
    ) -> Source:
        """Texts with the teacher's logits, and gold labels where there are any."""
        pieces = students.encode(self.teacher.tokenizer, texts, self.settings.max_length)
        return Source(
            pieces, logits, torch.tensor(labels if labels is not None else [-1] * len(texts))
        )

    @derived
    def labelled(self) -> Source:
        """The labelled texts that students may learn from."""
        part = self.splits.train
        return self.source(part.texts, self.signals(part.texts).logits, part.labels)

    @derived
    def held_out(self) -> Source:
        """The held-out labelled texts: what stopping and choosing look at."""
        part = self.splits.validation
        return self.source(part.texts, self.signals(part.texts).logits, part.labels)

    @derived
    def real(self) -> Source:
        """The real unlabelled texts."""
        texts = self.splits.transfer.texts
        return self.source(texts, self.signals(texts).logits)


class WritingStudy(TeachingStudy):
    """A generator and its samples besides."""

    settings: WritingSettings

    # ---- generator

    @derived
    def generator_network(self) -> zoo.Network:
        """The pretrained language model."""
        return zoo.locate(self.settings.generator)

    @artifact(
        "generator",
        *("generator_method", "generator_conditioned", "generator_epochs", "generator_lr"),
        *("generator_batch", "max_new_tokens", "seed"),
        needs=("generator_network", "labelled_parts"),
    )
    def trained_generator(self, folder: Path) -> None:
        """The language model fine-tuned on the labelled part."""
        s, parts = self.settings, self.labelled_parts
        plan = generator.GeneratorPlan(
            method=s.generator_method,
            conditioned=s.generator_conditioned,
            epochs=s.generator_epochs,
            lr=s.generator_lr,
            batch=s.generator_batch,
            max_tokens=s.max_new_tokens,
            seed=s.seed,
        )
        together(generator.fine_tune, self.generator_network, *parts, plan, folder)

    @derived
    def generator(self) -> Generator:
        return Generator.load(self.trained_generator().path)

    # ---- samples

    @artifact(
        "samples",
        *("num_samples", "sampling_temperature", "top_p", "top_k", "prefix_tokens"),
        *("max_new_tokens", "sampling_batch", "seed"),
        needs=("trained_generator", "labelled_parts"),
    )
    def raw_samples(self, folder: Path) -> None:
        """Texts as the generator writes them."""
        s = self.settings
        plan = samples.SamplingPlan(
            num_samples=s.num_samples,
            temperature=s.sampling_temperature,
            top_p=s.top_p,
            top_k=s.top_k,
            prefix_tokens=s.prefix_tokens,
            max_new_tokens=s.max_new_tokens,
            batch=s.sampling_batch,
            seed=s.seed,
        )
        file = folder / "samples.jsonl"
        samples.generate(self.generator, self.labelled_parts.train, plan, file)

    @derived
    def written(self) -> Texts:
        """The samples in which something is written, for the teacher to judge."""
        texts = samples.read(self.raw_samples() / "samples.jsonl")["text"]
        return Texts(text for text in texts if not samples.is_empty(text))

    @artifact(
        "samples",
        *("near_duplicate", "overlap_words", "min_confidence", "balance"),
        needs=("raw_samples", "splits"),
        given={"signals": lambda study: study.teacher_signals(study.written)},
    )
    def judged_samples(self, folder: Path) -> None:
        """Every sample with its fate in the funnel and the teacher's view of it."""
        s, parts = self.settings, self.splits
        table = samples.read(self.raw_samples() / "samples.jsonl")
        labelled = parts.labelled.texts
        table["fate"] = samples.funnel(
            table,
            labelled,
            parts.test.texts,
            near_duplicate=s.near_duplicate,
            overlap_words=s.overlap_words,
        )
        rows = np.flatnonzero(table["fate"] != "empty")
        table = samples.judged(table, self.signals(self.written), rows)
        table["fate"] = samples.select(table, min_confidence=s.min_confidence, balance=s.balance)
        table["memorised"] = samples.memorised(table["text"].tolist(), labelled, s.overlap_words)
        table.to_parquet(folder / "samples.parquet", index=False)

    def samples(self) -> pd.DataFrame:
        """Every generated text with its fate in the funnel and the teacher's view of it."""
        return pd.read_parquet(self.judged_samples() / "samples.parquet")

    @derived
    def generated(self) -> Source:
        """The samples that passed the funnel."""
        table = self.samples()
        kept = table[table["fate"] == "kept"]
        if kept.empty:
            return self.source([], torch.empty(0, len(self.splits.labels)))
        return self.source(kept["text"].tolist(), torch.tensor(np.stack(kept["teacher_logits"])))
