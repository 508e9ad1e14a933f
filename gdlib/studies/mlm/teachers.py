"""Masked-language-model distillation: the texts of a run, its teachers and their predictions."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path

from gdlib.core.artifacts import artifact, derived
from gdlib.core.errors import BadSetting
from gdlib.learn import mixtures, predictions
from gdlib.learn.mixtures import Gate
from gdlib.learn.predictions import TopPieces
from gdlib.studies.mlm.settings import Settings
from gdlib.studies.shared.masked import MaskedHeads
from gdlib.studies.shared.study import TeachingStudy, Texts

PARTS = ("head", "choose", "student", "held_out")


class MaskedTeachers(MaskedHeads, TeachingStudy):
    """Texts that are masked and labelled by every teacher."""

    settings: Settings

    # ---- texts

    @derived
    def part_sizes(self) -> dict[str, int]:
        return {part: getattr(self.settings, f"{part}_texts") for part in PARTS}

    @derived
    def left_out(self) -> Texts:
        """The test texts of the corpus to fine-tune on, the same for any number of labels."""
        return Texts(self.splits.test.texts)

    # ---- teachers

    @derived
    def masked_networks(self) -> tuple[tuple[str, str, int], ...]:
        """The teachers, the reference first."""
        s = self.settings
        names = s.mlm_teachers
        if not names or len(set(names)) < len(names):
            raise BadSetting(f"mlm_teachers = {names}: expected one or more, each once")
        for knob in ("teacher_bodies", "teacher_depths"):
            values = getattr(s, knob)
            if len(values) != len(names):
                raise BadSetting(f"{knob} = {values}: expected one per teacher, so {len(names)}")
        return tuple(zip(names, s.teacher_bodies, s.teacher_depths))

    @artifact(
        "teacher",
        "kept_pieces",
        needs=("guessed",),
        given={
            "aligned": lambda study, name, _: study.aligned(name),
            "head": lambda study, name, _: study.head_of(name),
            "masked": lambda study, _, part: study.masked[part],
        },
    )
    def teacher_predictions(self, folder: Path, name: str, part: str) -> None:
        """A teacher's likeliest pieces at the masked positions of a part."""
        predictions = self.masked_teacher(name).keep(self.masked[part], self.settings.kept_pieces)
        predictions.save(folder)

    def ask_teachers(self) -> None:
        """Train the heads and label the texts of all teachers, several at a time; else it is done
        when it is first needed.
        """
        heads = [(name, plan) for name, plan in self.head_plans.items() if plan]
        self.make_all("trained_head", heads, "heads")
        self.make_all("teacher_predictions", product(self.networks, PARTS[1:]), "labelling")

    def predictions(self, part: str, names: Iterable[str] = ()) -> dict[str, TopPieces]:
        """The predictions of the named teachers (of all, unless named) at the masked positions of a
        part.
        """
        vocabulary, texts = len(self.guessed), self.masked[part]
        found = {name: self.teacher_predictions(name, part) for name in names or self.networks}
        return {
            name: predictions.load(made.path, vocabulary, texts.digest)
            for name, made in found.items()
        }

    @derived
    def gate(self) -> Gate:
        """The learnt gate: on the texts that choose, which neither heads nor students are trained
        on.
        """
        return mixtures.learn_gate(mixtures.evidence_of([*self.predictions("choose").values()]))
