"""Study 2, transfer distillation (arXiv 1910.01769, 2004.05686): one run of it.

What it shares with other studies (splits, teacher, samples) is in
:mod:`gdlib.studies.shared.writing`; here are its students.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file

from gdlib.compare.results import Results
from gdlib.core.artifacts import artifact, derived
from gdlib.core.errors import BadSetting
from gdlib.learn.loop import Regime, seed_everything
from gdlib.learn.losses import StagedLoss
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import distillation, students
from gdlib.networks.embeddings import start_embedding
from gdlib.networks.lessons import Source, join
from gdlib.networks.recurrent import BiLSTM
from gdlib.studies.shared.writing import WritingStudy
from gdlib.studies.transfer.settings import PLAN, Arm, Settings, arms, trials

STUDENT = "BiLSTM"


class TransferStudy(WritingStudy):
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
        if layer not in self.settings.teacher_layers:
            raise BadSetting(
                f"teacher_layer = {layer}: not kept; teacher_layers = "
                f"{self.settings.teacher_layers}"
            )
        parts = self.splits
        if name == "generated":
            table = self.samples()
            texts = table["text"][table["fate"] == "kept"].tolist()
        else:
            texts = {"labelled": parts.train, "held_out": parts.validation, "real": parts.transfer}[
                name
            ].texts
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
        pieces = join(
            [source for name, source in self.sources.items() if name != "held_out"]
        ).pieces
        return students.Vocabulary.seen(
            pieces, tokenizer.pad_token_id, tokenizer.unk_token_id, len(tokenizer)
        )

    # ---- students

    def new_student(self, arm: Arm, seed: int) -> BiLSTM:
        """A student at its start: random, or with the SVD of the teacher's embedding."""
        seed_everything(seed)
        s, vocabulary = self.settings, self.vocabulary
        student = BiLSTM(
            len(vocabulary),
            len(self.class_names),
            arm.hidden_dim,
            arm.embedding_dim,
            s.student_dropout,
            arm.pooling,
        )
        start_embedding(student, arm.embedding, self.teacher.embedding, vocabulary)
        return student

    @artifact(
        "students",
        *("hard_weight", "representation_weight", "soft_weight", "representation"),
        *("student_dropout", "student_lr", "student_batch", "evaluate_every", "patience"),
        *("max_length", "seed"),
        needs=("trained_teacher", "vocabulary", "test_texts", "class_names"),
        given={"lessons": lambda study, arm, number: study.lessons_of(arm)},
    )
    def trained_student(self, folder: Path, arm: Arm, number: int) -> None:
        """A BiLSTM by one arm and student seed: its weights, the trace of its training
        (:func:`gdlib.learn.schedules.run`) and its logits of the test texts.
        """
        student, trace = self.distil(arm, number)
        trace.to_parquet(folder / "trace.parquet", index=False)
        save_file(student.state_dict(), folder / "student.safetensors")
        logits = distillation.predict(student, self.rows(self.test_texts))
        steps = int(trace["step"][trace["kept"]].iloc[-1])
        header = {"steps": str(steps), "parameters": str(students.parameters(student))}
        save_file({"logits": logits}, folder / "test.safetensors", header)

    def distil(self, arm: Arm, number: int) -> tuple[BiLSTM, pd.DataFrame]:
        """One trained student, and the trace of its training."""
        s, seed = self.settings, self.seed(number)
        lessons = self.lessons_of(arm)
        parts = (
            lessons[name].in_rows(self.vocabulary) for name in ("labelled", "transfer", "held_out")
        )
        student = self.new_student(arm, seed)
        loss = StagedLoss(s.hard_weight, s.representation_weight, s.soft_weight, s.representation)
        patience = 0 if arm.family == "steps" else s.patience  # an arm given more steps takes them
        regime = Regime(
            arm.steps,
            s.student_lr,
            evaluate_every=s.evaluate_every,
            patience=patience,
            seed=seed,
            decay="cosine",
        )
        strategy = STRATEGIES[arm.strategy]
        trace = distillation.distil_by(strategy, student, loss, *parts, regime, s.student_batch)
        return student, trace

    def results(self) -> Results:
        """Every arm and student seed, the baselines and the teacher, on the test part."""
        self.with_states("labelled", self.settings.teacher_layer)  # a layer that is not kept
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
        tables = [
            pd.read_parquet(self.trained_student(arm, number) / "trace.parquet").assign(
                arm=arm.name, student_seed=number
            )
            for arm, number in trials(self.settings.plain)
        ]
        return pd.concat(tables, ignore_index=True)

    # ---- one student to look at

    def student(self) -> BiLSTM:
        """The student of the main arm and the first student seed."""
        s = self.settings
        main = next(arm for arm in arms(s.plain) if arm.name == s.strategy)
        student = self.new_student(main, 0)
        made = self.trained_student(main, s.student_seeds[0])
        student.load_state_dict(load_file(made / "student.safetensors"))
        return student.eval()

    def student_logits(self, texts: Sequence[str]) -> np.ndarray:
        """What that student answers to some texts. *Shape:* ``[texts, classes]``."""
        return distillation.predict(self.student(), self.rows(texts)).numpy()


def _texts_of(arm: Arm) -> tuple[str, int, int]:
    """What decides the texts of an arm: where they are from, how many, the layer of the states."""
    return arm.text, arm.divisor, arm.teacher_layer
