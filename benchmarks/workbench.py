"""What the rows work on: the networks of one run of study 1, its texts, and its peers."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import transformers
from sklearn.pipeline import Pipeline

from benchmarks.timing import Missing
from gdlib.compare import baselines
from gdlib.core.hardware import has_bf16
from gdlib.core.store import Store
from gdlib.networks import distillation, export
from gdlib.run.predict import Exported
from gdlib.sources import zoo
from gdlib.studies.generation.study import GenerationStudy

Answer = Callable[[Sequence[str]], np.ndarray]
"""Texts to probabilities, ``[texts, classes]``."""
ONNX, INT8, TORCH = "student, ONNX float32", "student, ONNX int8", "student, torch"
TEACHER, TFIDF, MODEL2VEC = "teacher", "TF-IDF + LR", "Model2Vec + LR"
PLAIN = "teacher, transformers pipeline fp32"
BASE = "a base encoder, transformers pipeline fp32"
INSTALL = "not installed; pip install 'gdlib[bench]'"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much work a row is.

    Args:
        batch: texts written side by side.
        new_tokens: of a text at most.
        labelled: texts for the teacher.
        steps: of a student's training.
        answered: texts that are answered one by one, or by 32.
        factors: by which the texts become more.
        grown: texts at factor 1, to label and to write.
        students: trained side by side, most first.
    """

    batch: int = 64
    new_tokens: int = 64
    labelled: int = 1500
    steps: int = 80
    answered: int = 320
    factors: tuple[int, ...] = (1, 4, 16)
    grown: tuple[int, int] = (250, 16)
    students: tuple[int, ...] = (8, 4, 2, 1)


class Workbench:
    """The networks of a run of study 1, trained now if the store has them not.

    Args:
        settings: of the study.
        store: where its artifacts are.
        rounds: how often each contestant is measured.
        sizes: how much work a row is.
        base: an encoder as large as the papers' teachers, for its time alone: its head is as it was
            drawn.
    """

    def __init__(
        self,
        settings: Any,
        store: Store,
        rounds: int = 3,
        sizes: Sizes | None = None,
        base: str = "mpnet-base",
    ):
        self.study, self.rounds, self.sizes = (
            GenerationStudy(settings, store),
            rounds,
            sizes or Sizes(),
        )
        self.scratch = TemporaryDirectory(prefix="gdlib-bench-")
        self.base = base
        self.precision = "bf16" if has_bf16() else "fp32"

    @cached_property
    def texts(self) -> list[str]:
        """Texts of the corpus in random order."""
        texts = self.study.corpus.parts["train"].texts
        return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]

    @cached_property
    def exported(self) -> Path:
        """The folder that ``gdlib export`` would write of the main arm's student."""
        study, folder = self.study, Path(self.scratch.name, "export")
        folder.mkdir()
        reads = study.teacher.tokenizer, study.class_names, study.settings.max_length
        export.write(study.packed(), *reads, folder)
        return folder

    @cached_property
    def tfidf(self) -> Pipeline:
        labelled = self.study.splits.labelled
        return baselines.build("tfidf-lr", labelled.texts, labelled.labels)

    @cached_property
    def static(self) -> Path:
        """Model2Vec's vectors of the pretrained encoder's pieces, made once and kept."""
        from model2vec.distill import distill

        network = self.study.teacher_network
        recipe = {"network": network.digest, "model2vec": metadata.version("model2vec")}
        return self.study.store.make(
            "model2vec", recipe, lambda folder: distill(network.location).save_pretrained(folder)
        ).path

    @cached_property
    def static_model(self) -> tuple[Any, Pipeline]:
        """The vectors, and logistic regression on the means of the labelled texts' vectors."""
        from model2vec import StaticModel

        vectors, labelled = StaticModel.from_pretrained(self.static), self.study.splits.labelled
        return vectors, baselines.linear(vectors.encode(labelled.texts), labelled.labels)

    @cached_property
    def answers(self) -> dict[str, Answer | Missing]:
        """The contestants that classify, from texts to probabilities, ours first."""
        study, student = self.study, self.study.student()
        exported, small = (Exported(self.exported, small=small) for small in (False, True))

        def by_torch(texts: Sequence[str]) -> np.ndarray:
            return distillation.predict(student, study.rows(texts)).softmax(-1).numpy()

        def by_teacher(texts: Sequence[str]) -> np.ndarray:
            return study.teacher.signals(texts, title="").probabilities.numpy()

        def by_static(texts: Sequence[str]) -> np.ndarray:
            vectors, model = self.static_model
            return model.predict_proba(vectors.encode(texts))

        return {
            ONNX: exported.probabilities,
            INT8: small.probabilities,
            TORCH: by_torch,
            TFIDF: self.tfidf.predict_proba,
            MODEL2VEC: unless_missing(by_static, "model2vec", "skeletoken"),
            TEACHER: by_teacher,
            PLAIN: self.piped(),
        }

    def piped(self, base: bool = False) -> Answer:
        """The answers of :meth:`pipeline` in float32."""
        answer, names = self.pipeline(torch.float32, base), self.study.class_names

        def by_pipeline(texts: Sequence[str]) -> np.ndarray:
            return np.array([[scores[name] for name in names] for scores in answer(texts)])

        return by_pipeline

    def plain(self, folder: str | Path, family: str, dtype: torch.dtype, **options: Any) -> Any:
        """A network as transformers itself loads and runs it, for the peers."""
        return getattr(transformers, family).from_pretrained(folder, dtype=dtype, **options).eval()

    def pipeline(
        self, dtype: torch.dtype, base: bool = False
    ) -> Callable[[Sequence[str]], list[dict[str, float]]]:
        """The teacher, or the base encoder, by transformers' pipeline: texts to the probability of
        each class by name.
        """
        teacher = self.study.teacher
        folder, tokenizer = self.study.trained_teacher().path, teacher.tokenizer
        if base:
            encoder = zoo.locate(self.base)
            folder, tokenizer = encoder.location, zoo.tokenizer(encoder)
        labels = dict(enumerate(self.study.class_names))
        network = self.plain(folder, "AutoModelForSequenceClassification", dtype, id2label=labels)
        reads = {"tokenizer": tokenizer, "batch_size": 64, "device": "cpu"}
        made = transformers.pipeline("text-classification", network, top_k=None, **reads)
        how = {"truncation": True, "max_length": teacher.max_length}

        def answer(texts: Sequence[str]) -> list[dict[str, float]]:
            return [{one["label"]: one["score"] for one in row} for row in made(list(texts), **how)]

        return answer


def unless_missing(contestant: Any, *packages: str) -> Any:
    """The contestant, or why it cannot be measured: one of its packages is not installed."""
    return contestant if all(map(find_spec, packages)) else Missing(INSTALL)


def set_threads(count: int) -> None:
    """Let torch, and the tokenizers, which read the variable at each call, use so many threads."""
    torch.set_num_threads(count)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if count > 1 else "false"
