"""Study 2, tagging in many languages (arXiv 2004.05686): one run of it, one corpus and one seed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_model

from gdlib.compare.results import Results
from gdlib.compare.scores import ENTITY_F1
from gdlib.compare.tables import TEACHER
from gdlib.core.artifacts import artifact, derived
from gdlib.networks import students
from gdlib.networks.distillation import predict_tags
from gdlib.networks.lessons import Source
from gdlib.networks.recurrent import BiLSTM
from gdlib.studies.shared.staged import STAGED_KNOBS, StagedStudents
from gdlib.studies.shared.starts import STARTED
from gdlib.studies.tagging.settings import PLAN, Settings
from gdlib.studies.tagging.teaching import TaggedTeaching
from gdlib.studies.tagging.trials import Trial, first_trial, trials_of

LESSONS = ("train", "validation", "transfer")  # the parts that students learn from or are chosen by


class TaggingStudy(StagedStudents, TaggedTeaching):
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
        encoded, found = self.encoded[name], self.signals(name)
        if name == "transfer":
            labels = torch.full((len(found.logits),), -1)
        else:
            labels = torch.tensor(encoded.labels(self.splits.parts[name].tags))
        rows = self.vocabulary.rows(encoded.pieces)
        states = found.states[self.settings.teacher_layer]
        return Source(rows, found.logits, labels, states, encoded.places)

    def transfer(self, divisor: int) -> Source:
        """One in ``divisor`` of every language's transfer sentences: the first ones, so that a
        smaller set is part of a larger.
        """
        whole = self.sources["transfer"]
        if divisor == 1:
            return whole
        languages = pd.Series(self.splits.transfer.languages)
        rows = [languages.index[languages == language] for language in self.splits.languages]
        return whole.rows([row for own in rows for row in own[: -(-len(own) // divisor)]])

    # ---- students

    def new_student(self, trial: Trial, seed: int) -> BiLSTM:
        """A student at its start."""
        shape = (trial.hidden_dim, trial.embedding_dim, self.settings.embedding)
        return self.new_bilstm(len(self.splits.tags), *shape, "none", seed)

    @artifact(
        "students",
        *(*STAGED_KNOBS, "embedding", "projection"),
        needs=("trained_teacher", "splits", "vocabulary"),
        given=STARTED | {"lessons": lambda study, _: [study.labelling(part) for part in LESSONS]},
    )
    def trained_student(self, folder: Path, trial: Trial) -> None:
        """A student: its weights, the trace of its training (:func:`gdlib.learn.schedules.run`),
        and its entity counts of every test sentence.
        """
        sources, transfer = self.sources, self.transfer(trial.divisor)
        parts, seed = (sources["train"], transfer, sources["validation"]), self.seed(trial.seed)
        student = self.new_student(trial, seed)
        trace = self.train_staged(
            student,
            trial.strategy,
            parts,
            steps=trial.steps,
            patience=trial.patience,
            projection=self.settings.projection,
            seed=seed,
        )
        trace.to_parquet(folder / "trace.parquet", index=False)
        save_model(student, folder / "student.safetensors")
        np.save(folder / "counts.npy", self.counts(self.student_tags(student, "test")))
        parameters, steps = students.parameters(student), int(trace["step"].max())
        notes = {"size": len(transfer), "parameters": parameters, "steps": steps}
        (folder / "notes.json").write_text(json.dumps(notes))

    def trace(self, strategy: str) -> pd.DataFrame:
        """The trace of a strategy's first student."""
        made = self.trained_student(first_trial(self.settings, strategy))
        return pd.read_parquet(made / "trace.parquet")

    def student_tags(self, student: BiLSTM, part: str) -> list[list[int]]:
        """A student's tags of a part, one per token."""
        encoded = self.encoded[part]
        rows = self.vocabulary.rows(encoded.pieces)
        return encoded.tags(predict_tags(student, rows, encoded.places).tolist())

    # ---- results

    def results(self) -> Results:
        """Every student and the teacher on the test part, with the F1 of each."""
        s, trials = self.settings, trials_of(self.settings)
        made = self.make_all("trained_student", [(trial,) for trial in trials], "students")
        teacher = {"student_seed": -1, "arm": TEACHER, "strategy": TEACHER}
        teacher |= dict.fromkeys(("embedding_dim", "hidden_dim", "size", "steps"), 0)
        teacher["parameters"] = students.parameters(self.teacher.network)
        rows, counts = [teacher], [self.counts(self.teacher_tags("test"))]
        for trial, student in zip(trials, made):
            row = {"student_seed": trial.seed, "arm": trial.arm, "strategy": trial.strategy}
            row |= {"embedding_dim": trial.embedding_dim, "hidden_dim": trial.hidden_dim}
            rows.append(row | student.json("notes.json"))
            counts.append(np.load(student / "counts.npy"))
        outputs = np.stack(counts)
        languages = list(self.splits.test.languages)
        items = pd.DataFrame({"language": languages, "gold": outputs[0, :, 2]})
        run = {"corpus": s.corpus, "labels_per_language": s.labels_per_language, "seed": s.seed}
        table = pd.DataFrame([run | row for row in rows])
        return Results(table.assign(f1=ENTITY_F1(outputs, items)), outputs, items)
