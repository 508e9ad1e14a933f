"""Detectors of paraphrases: how each is trained, and what it leaves: logits of every text that it
is asked about.

A detector leaves ``said.npy`` (logits of the asked texts, ``[texts, 2]``) and ``notes.json``
(parameters, best step, seconds of training); an encoder besides ``logits.npz``, of the texts that a
student learns from and is chosen by. The networks themselves are not kept.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from gdlib.compare import baselines
from gdlib.core.store import Artifact
from gdlib.learn.losses import held_out_score
from gdlib.networks import distillation, students
from gdlib.networks.distillation import Source, StudentPlan
from gdlib.networks.students import Vocabulary
from gdlib.networks.teacher import Teacher, TeacherPlan, fine_tune
from gdlib.sources import zoo
from gdlib.sources.corpora import Part

LABELS = ("original", "paraphrase")
Parts = Mapping[str, Part]
"""``train``, ``held_out``, and ``transfer``, whose labels nobody looks at."""


def tfidf(parts: Parts, asked: Sequence[str], folder: Path) -> None:
    """TF-IDF and a logistic regression, on the held-out texts too: it stops on nothing."""
    start = time.perf_counter()
    model = baselines.build(
        "tfidf-lr",
        parts["train"].texts + parts["held_out"].texts,
        parts["train"].labels + parts["held_out"].labels,
    )
    took = time.perf_counter() - start
    _leave(
        folder,
        np.log(baselines.predict(model, asked, len(LABELS))),
        took,
        steps=0,
        parameters=baselines.parameters(model),
    )


def encoder(
    network: zoo.Network, plan: TeacherPlan, parts: Parts, asked: Sequence[str], folder: Path
) -> None:
    """A fine-tuned encoder.

    ``held_out`` in its notes is :func:`gdlib.learn.losses.held_out_score`.
    """
    start, own = time.perf_counter(), folder / "checkpoint-detector"  # goes when all is done: 90 MB
    own.mkdir(exist_ok=True)
    history = fine_tune(network, parts["train"], parts["held_out"], LABELS, plan, own)
    took, trained = time.perf_counter() - start, Teacher.load(own)
    logits = {name: trained.signals(part.texts, title=name).logits for name, part in parts.items()}
    score = held_out_score(logits["held_out"], torch.tensor(parts["held_out"].labels))
    np.savez(folder / "logits.npz", **{name: tensor.numpy() for name, tensor in logits.items()})
    said = trained.signals(asked, title="test texts").logits.numpy()
    _leave(
        folder,
        said,
        took,
        steps=history.best_step,
        parameters=students.parameters(trained.network),
        held_out=score,
    )


def new_student(
    name: str,
    network: zoo.Network,
    plan: StudentPlan,
    max_length: int,
    texts: Sequence[str],
    seed: int,
) -> tuple[students.Student, Vocabulary, list[list[int]]]:
    """A student at its start (the SVD of an encoder's embeddings), its vocabulary, and the texts
    that it learns from in pieces.
    """
    tokenizer = zoo.tokenizer(network)
    pieces = students.encode(tokenizer, texts, max_length)
    most = plan.student_parameters // (2 * plan.embedding_dim)
    vocabulary = Vocabulary.seen(pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, most)
    embedding = zoo.encoder(network).get_input_embeddings().weight.detach()
    return (
        distillation.new_student(name, len(LABELS), vocabulary, embedding, plan, seed),
        vocabulary,
        pieces,
    )


def student(
    name: str,
    network: zoo.Network,
    best: Artifact,
    plan: StudentPlan,
    max_length: int,
    seed: int,
    parts: Parts,
    asked: Sequence[str],
    folder: Path,
) -> None:
    """A small network that learns an encoder's logits (``best``, what :func:`encoder` left): of
    labelled and of unlabelled texts.
    """
    start, told = time.perf_counter(), np.load(best / "logits.npz")
    texts = parts["train"].texts + parts["transfer"].texts
    net, vocabulary, pieces = new_student(name, network, plan, max_length, texts, seed)
    labels = torch.tensor(parts["train"].labels + [-1] * len(parts["transfer"]))
    data = Source(
        pieces, torch.from_numpy(np.concatenate([told["train"], told["transfer"]])), labels
    )

    def encoded(texts: Sequence[str]) -> list[list[int]]:
        return students.encode(zoo.tokenizer(network), texts, max_length)

    held_out = Source(
        encoded(parts["held_out"].texts),
        torch.from_numpy(told["held_out"]),
        torch.tensor(parts["held_out"].labels),
    )
    history = distillation.distil(net, data, held_out, vocabulary, plan.loss, plan, seed)
    took = time.perf_counter() - start
    said = distillation.predict(net, vocabulary.rows(encoded(asked))).numpy()
    _leave(
        folder,
        said,
        took,
        steps=history.best_step,
        parameters=students.parameters(net),
        learnt_from=best.recipe["detector"],
    )


def _leave(folder: Path, said: np.ndarray, seconds: float, **notes: object) -> None:
    np.save(folder / "said.npy", said.astype(np.float32))
    (folder / "notes.json").write_text(json.dumps({"seconds": seconds, **notes}))
