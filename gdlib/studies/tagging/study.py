"""Study 2, tagging in many languages (arXiv 2004.05686): one run of it, one corpus and one seed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_model, save_model

from gdlib.compare.results import Results
from gdlib.compare.scores import ENTITY_F1
from gdlib.compare.tables import TEACHER
from gdlib.core.artifacts import artifact, derived
from gdlib.learn.loop import Regime, seed_everything
from gdlib.learn.losses import StagedLoss
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import students
from gdlib.networks.distillation import distil_by, predict_tags
from gdlib.networks.embeddings import start_embedding
from gdlib.networks.lessons import Source
from gdlib.networks.recurrent import BiLSTM
from gdlib.studies.tagging.settings import PLAN, Settings
from gdlib.studies.tagging.teaching import TaggedTeaching
from gdlib.studies.tagging.trials import Trial, first_trial, trials_of

LESSONS = ("train", "validation", "transfer")  # the parts that students learn from or are chosen by


class TaggingStudy(TaggedTeaching):
    """One run of the tagging part of study 2."""

    plan = PLAN
    settings: Settings

    # ---- what students learn from

    @derived
    def vocabulary(self) -> students.Vocabulary:
        """The pieces every student knows: those seen in tagged and transfer sentences, never the
        test's.
        """
        tokenizer = self.teacher.tokenizer
        pieces = [row for name in ("train", "transfer") for row in self.encoded[name].pieces]
        return students.Vocabulary.seen(
            pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, self.settings.student_pieces
        )

    @derived
    def sources(self) -> dict[str, Source]:
        """Train and held-out sentences with their gold tags, transfer sentences without."""
        return {name: self._source(name) for name in LESSONS}

    def _source(self, name: str) -> Source:
        encoded, found, part = self.encoded[name], self.signals(name), self.splits.parts[name]
        if name == "transfer":
            labels = torch.full((len(found.logits),), -1)
        else:
            labels = torch.tensor(encoded.labels(part.tags))
        rows = self.vocabulary.rows(encoded.pieces)
        states = found.states[self.settings.teacher_layer]
        return Source(rows, found.logits, labels, states, encoded.places)

    def transfer(self, divisor: int) -> Source:
        """One in ``divisor`` of every language's transfer sentences: the first ones, so that a
        smaller set is part of a larger.
        """
        languages, taken, whole = self.splits.transfer.languages, [], self.sources["transfer"]
        for language in self.splits.languages:
            rows = [i for i, each in enumerate(languages) if each == language]
            taken += rows[: -(-len(rows) // divisor)]
        return whole if divisor == 1 else whole.rows(taken)

    # ---- students

    @artifact(
        "students",
        *("embedding", "student_dropout", "representation", "hard_weight", "soft_weight"),
        *("representation_weight", "student_lr", "student_batch", "evaluate_every", "seed"),
        needs=("trained_tagger", "splits", "vocabulary"),
        given={"lessons": lambda study, trial: [study.labelling(part) for part in LESSONS]},
    )
    def trained_student(self, folder: Path, trial: Trial) -> None:
        """A student: its weights, the trace of its training (:func:`gdlib.learn.schedules.run`),
        and its entity counts of every test sentence.
        """
        s, sources, seed = self.settings, self.sources, self.seed(trial.seed)
        seed_everything(seed)
        student = self.new_student(trial)
        start_embedding(student, s.embedding, self.teacher.embedding, self.vocabulary)
        loss = StagedLoss(s.hard_weight, s.representation_weight, s.soft_weight, s.representation)
        regime = Regime(
            trial.steps,
            s.student_lr,
            evaluate_every=s.evaluate_every,
            patience=trial.patience,
            seed=seed,
            decay="cosine",
        )
        transfer = self.transfer(trial.divisor)
        parts = (sources["train"], transfer, sources["validation"])
        strategy = STRATEGIES[trial.strategy]
        trace = distil_by(strategy, student, loss, *parts, regime, s.student_batch)
        trace.to_parquet(folder / "trace.parquet", index=False)
        save_model(student, folder / "student.safetensors")
        np.save(folder / "counts.npy", self.counts(self.student_tags(student, "test")))
        notes = {
            "size": len(transfer),
            "parameters": students.parameters(student),
            "steps": int(trace["step"].max()),
        }
        (folder / "notes.json").write_text(json.dumps(notes))

    def new_student(self, trial: Trial) -> BiLSTM:
        """A student as torch's generator draws it."""
        return BiLSTM(
            len(self.vocabulary),
            len(self.splits.tags),
            trial.hidden_dim,
            trial.embedding_dim,
            self.settings.student_dropout,
            "none",
        )

    def student(self, size: str = "") -> BiLSTM:
        """The main strategy's first student, of the settings' size or of another of the grid."""
        trial = first_trial(self.settings, self.settings.main_strategy, size)
        student = self.new_student(trial)
        load_model(student, self.trained_student(trial) / "student.safetensors")
        return student.eval()

    def trace(self, strategy: str) -> pd.DataFrame:
        """The trace of a strategy's first student."""
        made = self.trained_student(first_trial(self.settings, strategy))
        return pd.read_parquet(made / "trace.parquet")

    # ---- results

    def results(self) -> Results:
        """Every student and the teacher on the test part."""
        trials = trials_of(self.settings)
        made = self.make_all("trained_student", [(trial,) for trial in trials], "students")
        rows, counts = [self._teacher_row()], [self.counts(self.teacher_tags("test"))]
        for trial, student in zip(trials, made):
            row = {"student_seed": trial.seed, "arm": trial.arm, "strategy": trial.strategy}
            row |= {"embedding_dim": trial.embedding_dim, "hidden_dim": trial.hidden_dim}
            rows.append(row | student.json("notes.json"))
            counts.append(np.load(student / "counts.npy"))
        return self._results(rows, counts)

    def results_of_teacher(self) -> Results:
        """The teacher on the test part, as one row."""
        return self._results([self._teacher_row()], [self.counts(self.teacher_tags("test"))])

    def _teacher_row(self) -> dict[str, Any]:
        row = {"student_seed": -1, "arm": TEACHER, "strategy": TEACHER}
        row |= dict.fromkeys(("embedding_dim", "hidden_dim", "size", "steps"), 0)
        return row | {"parameters": students.parameters(self.teacher.network)}

    def _results(self, rows: list[dict[str, Any]], counts: list[np.ndarray]) -> Results:
        """Rows of models with their F1, from entity counts ``[sentences, 3]`` each."""
        s, outputs = self.settings, np.stack(counts)
        languages = list(self.splits.test.languages)
        items = pd.DataFrame({"language": languages, "gold": outputs[0, :, 2]})
        run = {"corpus": s.corpus, "labels_per_language": s.labels_per_language, "seed": s.seed}
        table = pd.DataFrame([run | row for row in rows])
        return Results(table.assign(f1=ENTITY_F1(outputs, items)), outputs, items)

    def student_tags(self, student: BiLSTM, part: str) -> list[list[int]]:
        """A student's tags of a part, one per token."""
        encoded = self.encoded[part]
        rows = self.vocabulary.rows(encoded.pieces)
        return encoded.tags(predict_tags(student, rows, encoded.places).tolist())
