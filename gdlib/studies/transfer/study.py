"""Study 2, transfer distillation (arXiv 1910.01769, 2004.05686): one run of it.

What it shares with other studies (splits, teacher, samples) is in
:mod:`gdlib.studies.shared.writing`; here are its students.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from gdlib.compare.results import Results
from gdlib.core.artifacts import artifact, derived
from gdlib.core.errors import BadSetting
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import students
from gdlib.networks.lessons import Source, join
from gdlib.networks.recurrent import BiLSTM
from gdlib.studies.shared.staged import STAGED_KNOBS, StagedStudents
from gdlib.studies.shared.writing import WritingStudy
from gdlib.studies.transfer.settings import PLAN, Arm, Settings, arms, trials

STUDENT = "BiLSTM"


class TransferStudy(StagedStudents, WritingStudy):
    """One run of study 2: what a BiLSTM makes of a teacher's labels, logits and states, by every
    strategy.
    """

    settings: Settings
    plan = PLAN

    # ---- what students learn from

    @derived
    def sources(self) -> dict[str, Source]:
        """Texts with the teacher's logits; generated ones only where an arm asks for them."""
        found = {"labelled": self.labelled, "held_out": self.held_out, "real": self.real}
        if set(self.settings.transfer_texts) & {"generated", "both"}:
            found["generated"] = self.generated
        return found

    def with_states(self, name: str, layer: int) -> Source:
        """One of the sources with the teacher's states of a layer.

        Raises:
            BadSetting: a layer that is not among ``teacher_layers``.
        """
        layers, parts = self.settings.teacher_layers, self.splits
        if layer not in layers:
            raise BadSetting(f"teacher_layer = {layer}: not kept; teacher_layers = {layers}")
        if name == "generated":
            table = self.samples()
            texts = table["text"][table["fate"] == "kept"].tolist()
        else:
            of_source = {"labelled": "train", "held_out": "validation", "real": "transfer"}
            texts = parts.parts[of_source[name]].texts
        return replace(self.sources[name], teacher_states=self.signals(texts).states[layer])

    @derived
    def lessons(self) -> dict[tuple[str, int, int], dict[str, Source]]:
        """What arms learn from and stop by, by transfer text, divisor and teacher layer: the
        labelled, the transfer and the held-out texts. ``as many real``: real texts, cut to the
        number of generated ones.
        """
        found = {}
        for text, divisor, layer in dict.fromkeys(map(_texts_of, arms(self.settings.plain))):
            names = {"both": ("real", "generated"), "as many real": ("real",)}.get(text, (text,))
            whole = join([self.with_states(name, layer) for name in names])
            if text == "as many real":
                whole = whole.head(len(self.sources["generated"]))
            found[text, divisor, layer] = {
                "labelled": self.with_states("labelled", layer),
                "transfer": whole.head(-(-len(whole) // divisor)),
                "held_out": self.with_states("held_out", layer),
            }
        return found

    def lessons_of(self, arm: Arm) -> Mapping[str, Source]:
        return self.lessons[_texts_of(arm)]

    @derived
    def vocabulary(self) -> students.Vocabulary:
        """The pieces of labelled and transfer texts, never the test's; the same for all arms."""
        tokenizer = self.teacher.tokenizer
        sources = [source for name, source in self.sources.items() if name != "held_out"]
        pieces = join(sources).pieces
        return students.Vocabulary.seen(
            pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, len(tokenizer)
        )

    # ---- students

    def new_student(self, arm: Arm, seed: int) -> BiLSTM:
        """A student at its start."""
        shape = (arm.hidden_dim, arm.embedding_dim, arm.embedding, arm.pooling)
        return self.new_bilstm(len(self.class_names), *shape, seed)

    @artifact(
        "students",
        *(*STAGED_KNOBS, "patience", "max_length"),
        needs=("trained_teacher", "vocabulary", "held_out", "test_texts", "class_names"),
        given={
            "piece_vectors": lambda study, arm, _: study.piece_vectors(arm.embedding),
            "lessons": lambda study, arm, _: study.lessons_of(arm),
        },
    )
    def trained_student(self, folder: Path, arm: Arm, number: int) -> None:
        """A BiLSTM by one arm and student seed: its weights, the trace of its training
        (:func:`gdlib.learn.schedules.run`) and its logits of the test texts.
        """
        student, trace = self.distil(arm, number)
        trace.to_parquet(folder / "trace.parquet", index=False)
        self.leave(folder, student, int(trace["step"][trace["kept"]].iloc[-1]))

    def distil(self, arm: Arm, number: int) -> tuple[BiLSTM, pd.DataFrame]:
        """One trained student, and the trace of its training."""
        lessons, seed = self.lessons_of(arm), self.seed(number)
        names = ("labelled", "transfer", "held_out")
        parts = [lessons[name].in_rows(self.vocabulary) for name in names]
        # an arm that is given more steps takes them
        patience = 0 if arm.family == "steps" else self.settings.patience
        student = self.new_student(arm, seed)
        trace = self.train_staged(
            student,
            arm.strategy,
            parts,
            steps=arm.steps,
            patience=patience,
            projection=arm.projection,
            seed=seed,
        )
        return student, trace

    def results(self) -> Results:
        """Every arm and student seed, the baselines and the teacher, on the test part."""
        self.with_states("labelled", self.settings.teacher_layer)  # refused here if it is not kept
        cells, results = trials(self.settings.plain), self.references()
        for (arm, number), made in zip(cells, self.make_all("trained_student", cells, "students")):
            stages = STRATEGIES[arm.strategy].stages
            taught = any(stage.items != "labelled" for stage in stages)
            size = len(self.lessons_of(arm)["transfer"]) if taught else 0
            results.student(made, student=STUDENT, arm=arm.name, student_seed=number, size=size)
        return results.results()

    def traces(self) -> pd.DataFrame:
        """Every look at the held-out score in every training: arm, student_seed, and the columns of
        :func:`gdlib.learn.schedules.run`.
        """
        tables = []
        for arm, number in trials(self.settings.plain):
            trace = pd.read_parquet(self.trained_student(arm, number) / "trace.parquet")
            tables.append(trace.assign(arm=arm.name, student_seed=number))
        return pd.concat(tables, ignore_index=True)


def _texts_of(arm: Arm) -> tuple[str, int, int]:
    """What decides the texts of an arm: where they are from, how many, the layer of the states."""
    return arm.text, arm.divisor, arm.teacher_layer
