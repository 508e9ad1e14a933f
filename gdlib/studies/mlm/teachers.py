"""Masked-language-model distillation: the texts of a run, its teachers and their predictions."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

from gdlib.core.artifacts import artifact, derived
from gdlib.core.errors import BadSetting
from gdlib.learn import mixtures, predictions
from gdlib.learn.mixtures import Gate, Mixture
from gdlib.learn.names import RULES
from gdlib.learn.predictions import TopPieces
from gdlib.networks.mlm_texts import MaskedTexts
from gdlib.studies.mlm.settings import FREQUENCIES, MORE_TEXTS, SINGLE, TWO_HEADS, Settings
from gdlib.studies.shared.masked import MaskedHeads
from gdlib.studies.shared.study import TeachingStudy, Texts

PARTS = ("head", "choose", "student", "held_out")
Head = tuple[str, int]
"""A network by name, and which of its heads: 0 or, where it teaches under two, also 1."""


def label(head: Head) -> str:
    """A head as it stands in tables."""
    name, number = head
    return f"{name}, head {number + 1}" if number else name


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

    # ---- arms

    def named(self, arms: Sequence[str]) -> list[str]:
        """Arms by name: ``single teachers`` is an arm each; with one teacher there is nothing to
        combine, and a network that brings its head has no other.
        """
        *_, plan = self.head_plans.values()
        left_out = {*(RULES if len(self.networks) == 1 else ()), *(() if plan else [TWO_HEADS])}
        arms = [arm for arm in arms if arm not in left_out]
        return [name for arm in arms for name in (self.networks if arm == SINGLE else [arm])]

    @derived
    def arms(self) -> list[str]:
        return self.named(self.settings.arms)

    def heads_of(self, arm: str) -> list[Head]:
        """The heads whose predictions an arm needs."""
        if arm == TWO_HEADS:
            return [([*self.networks][-1], number) for number in (0, 1)]
        names = self.networks if arm in RULES else [arm] if arm in self.networks else []
        return [(name, 0) for name in names]

    def lessons(self, arm: str, part: str = "student") -> Mixture | None:
        """The targets of an arm's students at masked positions; None: the hidden pieces alone."""
        if arm == FREQUENCIES:
            texts, shares = self.masked[part], self.guessed.log_shares
            targets = {arm: predictions.everywhere(shares, texts.gold, texts.digest)}
        elif heads := self.heads_of(arm):
            targets = self.predictions(part, heads)
        else:
            return None
        gate = self.gate if arm == "gate" else None
        return mixtures.mixture(targets, arm if arm in RULES else "mean", gate)

    def texts_of(self, arm: str) -> MaskedTexts:
        """What an arm's students read."""
        texts = self.masked["student"]
        return texts + self.masked["head"] if arm == MORE_TEXTS else texts

    # ---- what teachers say

    @artifact(
        "teacher",
        "kept_pieces",
        needs=("guessed",),
        given={
            "aligned": lambda study, _, head: study.aligned(head[0]),
            "head": lambda study, _, head: study.head_of(*head),
            "masked": lambda study, part, _: study.masked[part],
        },
    )
    def teacher_predictions(self, folder: Path, part: str, head: Head) -> None:
        """A teacher's likeliest pieces at the masked positions of a part."""
        predictions = self.masked_teacher(*head).keep(self.masked[part], self.settings.kept_pieces)
        predictions.save(folder)

    def heads_for(self, arms: Iterable[str]) -> list[Head]:
        """The heads whose predictions some arms need."""
        return list(dict.fromkeys(head for arm in arms for head in self.heads_of(arm)))

    def ask_teachers(self, arms: Iterable[str] = ()) -> None:
        """Train the heads and label the texts that some arms need (none given: each teacher alone),
        several at a time; else it is done when it is first needed.
        """
        heads = self.heads_for(arms or self.networks)
        plans = [(head[0], plan) for head in heads if (plan := self.plan_of(*head))]
        self.make_all("trained_head", plans, "heads")
        self.make_all("teacher_predictions", product(PARTS[1:], heads), "labelling")

    def predictions(self, part: str, heads: Iterable[Head] = ()) -> dict[str, TopPieces]:
        """What some teachers (all, unless given) predict at the masked positions of a part."""
        vocabulary, texts = len(self.guessed), self.masked[part]
        found = {}
        for head in heads or [(name, 0) for name in self.networks]:
            made = self.teacher_predictions(part, head)
            found[label(head)] = predictions.load(made.path, vocabulary, texts.digest)
        return found

    @derived
    def gate(self) -> Gate:
        """The learnt gate: on the texts that choose, which neither heads nor students are trained
        on.
        """
        return mixtures.learn_gate(mixtures.evidence_of([*self.predictions("choose").values()]))
