"""Detectors of paraphrases: TF-IDF, fine-tuned encoders, a student that learns from the best one.

A detector leaves ``logits.safetensors`` (logits of the ``test`` texts ``[texts, 2]``; an encoder
besides those of the parts that a student learns from and is chosen by) and ``notes.json``
(parameters, best step). The networks themselves are not kept.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from gdlib.compare import baselines
from gdlib.core.artifacts import artifact, derived
from gdlib.core.store import Artifact
from gdlib.learn.losses import DistillationLoss, held_out_score
from gdlib.networks import distillation, students
from gdlib.networks.distillation import StudentPlan
from gdlib.networks.lessons import Source
from gdlib.networks.lexical_arms import PLAIN
from gdlib.networks.students import Student, Vocabulary
from gdlib.networks.teacher import Teacher, TeacherPlan, fine_tune
from gdlib.sources import zoo
from gdlib.sources.corpora import Part
from gdlib.studies.paraphrase.settings import ENCODER_DETECTORS, TOGETHER
from gdlib.studies.paraphrase.texts import SpunTexts
from gdlib.studies.shared.encoders import LexicalEncoders
from gdlib.studies.shared.settings import EncoderSettings, part_of

LABELS = ("original", "paraphrase")
LOGITS, NOTES = "logits.safetensors", "notes.json"


class Detectors(SpunTexts, LexicalEncoders):
    """Every detector, trained on the paraphrases of every spinner, or of all but one."""

    # ---- what they are made of

    @derived
    def encoder_settings(self) -> EncoderSettings:
        """Those of the lexical encoders; their seeds are :attr:`encoder_seeds`."""
        return part_of(self.settings, EncoderSettings, corpus=self.settings.sense_corpus, seed=0)

    @derived
    def encoder_seeds(self) -> dict[int, int]:
        """The seed of the lexical training by model seed: 0, 1, ... over the seeds of this study
        and its model seeds, another one for each pair of them.
        """
        s = self.settings
        first = s.seed * len(s.model_seeds)
        return {model_seed: first + place for place, model_seed in enumerate(s.model_seeds)}

    @derived
    def compared_encoders(self) -> list[str]:
        """The encoders that detect; where there is none, the plain one, to teach students."""
        return [name for name in ENCODER_DETECTORS if name in self.settings.detectors] or [PLAIN]

    @derived
    def trained_on(self) -> tuple[str, ...]:
        """What detectors are trained on: spinners, or several joined by :data:`TOGETHER`."""
        s = self.settings
        sizes = {"each": 1, "all but one": max(1, len(s.spinners) - 1)}
        names = (each for kind in s.trained_on for each in combinations(s.spinners, sizes[kind]))
        return tuple(dict.fromkeys(map(TOGETHER.join, names)))

    @derived
    def detector_parts(self) -> dict[str, dict[str, Part]]:
        """By what is trained on, the parts of its paraphrases and originals: ``train``,
        ``held_out``, ``transfer`` without labels, and ``test``, which is the same for all.

        Several spinners take turns: each text is rewritten by one of them, so that there are as
        many texts as of one spinner.
        """
        test, found = Part(self.cases["text"].tolist(), self.cases["gold"].tolist()), {}
        for spinner in self.trained_on:
            parts = found[spinner] = {"test": test}
            for name, sources in self.parts.items():
                seed, names = self.settings.seed, spinner.split(TOGETHER)
                turns = zip(*(self.spun(each, sources.spun, seed) for each in names))
                spun = [texts[row % len(names)] for row, texts in enumerate(turns)]
                labels = [0] * len(sources.originals) + [1] * len(spun)
                if name == "transfer":
                    labels = [-1] * len(labels)
                parts[name] = Part(sources.originals + spun, labels)
        return found

    # ---- TF-IDF

    @artifact(
        "train", given={"detector_parts": lambda study, spinner: study.detector_parts[spinner]}
    )
    def tfidf_detector(self, folder: Path, spinner: str) -> None:
        """TF-IDF and a logistic regression, on the held-out texts too: it stops on nothing."""
        parts = self.detector_parts[spinner]
        labelled = Part.join([parts["train"], parts["held_out"]])
        model = baselines.build("tfidf-lr", labelled.texts, labelled.labels)
        logits = np.log(baselines.predict(model, parts["test"].texts, len(LABELS)))
        size = baselines.parameters(model)
        save(folder, {"test": torch.from_numpy(logits)}, steps=0, parameters=size)

    # ---- encoders

    def detecting_network(self, name: str, seed: int) -> zoo.Network:
        """The encoder of that name before it is fine-tuned."""
        return self.encoder_network(name, self.encoder_seeds[seed])

    @artifact(
        "train",
        *("detector_epochs", "detector_least_steps", "detector_lr", "detector_batch"),
        *("max_length", "seed"),
        given={
            "network": lambda study, name, _, seed: study.detecting_network(name, seed),
            "detector_parts": lambda study, _, spinner, *__: study.detector_parts[spinner],
        },
    )
    def encoder_detector(self, folder: Path, name: str, spinner: str, seed: int) -> None:
        """A fine-tuned encoder.

        ``held_out`` in its notes is :func:`gdlib.learn.losses.held_out_score`.
        """
        parts, own = self.detector_parts[spinner], folder / "checkpoint-detector"
        own.mkdir(exist_ok=True)  # it goes when all is done: 90 MB
        plan = part_of(self.settings, TeacherPlan, "detector_", seed=self.seed(seed))
        network = self.detecting_network(name, seed)
        history = fine_tune(network, parts["train"], parts["held_out"], LABELS, plan, own)
        trained = Teacher.load(own)
        logits = {part: trained.signals(parts[part].texts, title=part).logits for part in parts}
        held_out = held_out_score(logits["held_out"], torch.tensor(parts["held_out"].labels))
        size = students.parameters(trained.network)
        save(folder, logits, steps=history.best_step, parameters=size, held_out=held_out)

    def best_encoder(self, spinner: str, seed: int) -> Artifact:
        """Of the encoders that are compared, the one with the best held-out score: the student's
        teacher.
        """
        made = [self.encoder_detector(name, spinner, seed) for name in self.compared_encoders]
        return min(made, key=lambda artifact: artifact.json(NOTES)["held_out"])

    # ---- students

    @property
    def student_plan(self) -> StudentPlan:
        s = self.settings
        return part_of(
            s,
            StudentPlan,
            embedding_dim=64,
            student_dropout=0.3,
            student_batch=64,
            evaluate_every=max(1, s.student_steps // 10),
            patience=0,
            loss=DistillationLoss(s.soft_loss, s.temperature, s.hard_weight, s.soft_weight),
        )

    @derived
    def encoder_tokenizer(self) -> PreTrainedTokenizerBase:
        """That of all encoders, and of the students."""
        return zoo.tokenizer(self.pretrained)

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as students read them, in pieces."""
        return students.encode(self.encoder_tokenizer, texts, self.settings.max_length)

    def new_student(self, spinner: str, seed: int) -> tuple[Student, Vocabulary]:
        """A student at its start (the SVD of the encoder's embeddings), and the pieces that it
        knows: those of the texts that it learns from.
        """
        plan, parts = self.student_plan, self.detector_parts[spinner]
        pieces = self.encoded(parts["train"].texts + parts["transfer"].texts)
        tokenizer = self.encoder_tokenizer
        most = plan.student_parameters // (2 * plan.embedding_dim)
        vocabulary = Vocabulary.seen(pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, most)
        embedding = zoo.encoder(self.pretrained).get_input_embeddings().weight.detach()
        vectors = embedding[list(vocabulary.teacher_ids)]
        student = distillation.new_student(
            self.settings.student, len(LABELS), vocabulary, vectors, plan, seed
        )
        return student, vocabulary

    @artifact(
        "train",
        *("student", "student_parameters", "student_steps", "student_lr", "soft_loss"),
        *("temperature", "hard_weight", "soft_weight", "max_length", "seed"),
        needs=("pretrained",),
        given={
            "teacher": lambda study, spinner, seed: study.best_encoder(spinner, seed),
            "detector_parts": lambda study, spinner, _: study.detector_parts[spinner],
        },
    )
    def student_detector(self, folder: Path, spinner: str, seed: int) -> None:
        """A small network that learns the logits of the best encoder, of labelled and of unlabelled
        texts.
        """
        teacher, parts, seed = self.best_encoder(spinner, seed), {}, self.seed(seed)
        logits, (student, vocabulary) = load_file(teacher / LOGITS), self.new_student(spinner, seed)
        for name, part in self.detector_parts[spinner].items():
            labels = torch.tensor(part.labels)
            parts[name] = Source(self.encoded(part.texts), logits[name], labels)
        texts, plan = (parts[name] for name in ("train", "transfer", "held_out")), self.student_plan
        history = distillation.distil(student, *texts, vocabulary, plan.loss, plan, seed)
        predicted = distillation.predict(student, vocabulary.rows(parts["test"].pieces))
        size, learnt_from = students.parameters(student), teacher.recipe["cell"][0]
        notes = {"steps": history.best_step, "parameters": size, "learnt_from": learnt_from}
        save(folder, {"test": predicted}, **notes)


def save(folder: Path, logits: Mapping[str, Tensor], **notes: object) -> None:
    """Leave what a detector predicts, and numbers about its training."""
    save_file(
        {name: tensor.float().contiguous() for name, tensor in logits.items()}, folder / LOGITS
    )
    (folder / NOTES).write_text(json.dumps(notes))
