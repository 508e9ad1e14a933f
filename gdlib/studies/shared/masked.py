"""Pretrained encoders as masked language models: texts to mask, one vocabulary, heads that are
trained here. Studies that have them share them in one store.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from gdlib.core.artifacts import artifact, derived
from gdlib.core.settings import digest
from gdlib.core.store import Artifact
from gdlib.core.study import Study
from gdlib.learn.loop import seed_everything
from gdlib.networks import mlm_heads, mlm_teachers, mlm_texts
from gdlib.networks.alignment import align
from gdlib.networks.mlm_heads import HeadPlan, Phase
from gdlib.networks.mlm_teachers import MaskedTeacher
from gdlib.networks.mlm_texts import Guessed, MaskedTexts
from gdlib.sources import corpora, zoo
from gdlib.sources.corpora import Corpus
from gdlib.studies.shared.knobs import by_name
from gdlib.studies.shared.settings import HeadSettings, part_of
from gdlib.studies.shared.study import Texts

NO_STEPS = Phase(0, 0.0, 0)


class MaskedHeads(Study):
    """Masks texts, and gives networks that have no masked-language-model head a new one.

    A study says which networks (:attr:`masked_networks`), with which settings, and which parts of
    the texts it needs beside those that heads are trained on.
    """

    @derived
    def head_settings(self) -> HeadSettings:
        """What decides texts, masks and heads; for a study to override whose knobs of these names
        are about something else.
        """
        return part_of(self.settings, HeadSettings)

    @derived
    def masked_networks(self) -> tuple[tuple[str, str, int], ...]:
        """The name of each network, how its body is trained, and how many of its lowest layers are
        used; the first is the reference, whose pieces all others have to share.
        """
        raise NotImplementedError

    @derived
    def part_sizes(self) -> dict[str, int]:
        """The disjoint parts of the texts: name to number of texts."""
        s = self.head_settings
        return {"head": s.head_texts, "choose": s.choose_texts}

    @derived
    def left_out(self) -> Texts:
        """Test texts that must not be masked, beside those of the corpora that are masked."""
        return Texts()

    # ---- texts

    @derived
    def masked_corpora(self) -> list[Corpus]:
        return [corpora.load(name) for name in self.head_settings.mlm_corpora]

    @artifact(
        ("corpus", "texts", "tune"),
        needs=("head_settings", "part_sizes", "masked_corpora", "left_out"),
    )
    def drawn_texts(self, folder: Path) -> None:
        """Texts of every part, from the training and unlabelled parts of the corpora, labels
        unread; none of them is a test text.
        """
        s = self.head_settings
        drawn = mlm_texts.draw(
            self.masked_corpora,
            self.left_out,
            self.part_sizes,
            test_size=s.test_size,
            each=s.corpus_texts,
            seed=s.seed,
        )
        (folder / "texts.json").write_text(json.dumps(drawn))

    @derived
    def texts(self) -> dict[str, list[str]]:
        """The texts by part."""
        return self.drawn_texts().json("texts.json")

    @derived
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The reference's."""
        return zoo.tokenizer(self.networks[self.reference])

    @derived
    def guessed(self) -> Guessed:
        """The pieces that may be hidden: frequent ones of the texts that are learnt from."""
        s, learnt_from = self.head_settings, self.texts["head"] + self.texts.get("student", [])
        return mlm_texts.frequent(self.tokenizer, learnt_from, s.max_length, s.guessed_pieces)

    @derived
    def masked(self) -> dict[str, MaskedTexts]:
        """The parts, masked; that of the students as many times as the settings ask for."""
        s = self.head_settings
        return {
            part: mlm_texts.mask_texts(
                self.tokenizer,
                texts,
                s.max_length,
                s.mask_share,
                10 * s.seed + number,
                self.guessed.ids,
                s.maskings if part == "student" else 1,
            )
            for number, (part, texts) in enumerate(self.texts.items())
        }

    # ---- networks

    @derived
    def networks(self) -> dict[str, zoo.Network]:
        """The networks by name, the reference first."""
        networks = [zoo.locate(name) for name, *_ in self.masked_networks]
        return by_name("networks", ((network.name, network) for network in networks))

    @property
    def reference(self) -> str:
        """The name of the network whose pieces are hidden and guessed."""
        return next(iter(self.networks))

    @derived
    def ids(self) -> dict[str, torch.Tensor]:
        """Each network's ids of the reference's pieces; one with another vocabulary is refused."""
        texts = [text for part in self.texts.values() for text in part]
        return {
            name: align(self.tokenizer, zoo.tokenizer(network), (self.reference, name), texts)
            for name, network in self.networks.items()
        }

    def aligned(self, name: str) -> dict[str, Any]:
        """What of a network decides an artifact: its weights, and its ids of the guessed pieces."""
        return {"network": self.networks[name], "ids": digest(self.ids[name].tolist())}

    # ---- heads

    def head_plan(self, body: str, layers: int) -> HeadPlan:
        """How a new head on so many of the lowest layers (0: all) is trained, and maybe these."""
        s = self.head_settings
        return HeadPlan(
            head=part_of(s, Phase, "head_"),
            body=part_of(s, Phase, "body_") if body == "full" else NO_STEPS,
            seed=s.seed,
            layers=layers,
        )

    @derived
    def head_plans(self) -> dict[str, HeadPlan | None]:
        """How each network's head is trained; None for one that brings its head."""
        return {
            network.name: None
            if not layers and zoo.has_masked_head(network)
            else self.head_plan(body, layers)
            for network, (_, body, layers) in zip(self.networks.values(), self.masked_networks)
        }

    @derived
    def head_parts(self) -> tuple[MaskedTexts, MaskedTexts]:
        """What heads are trained on, and what their training is stopped by."""
        return self.masked["head"], self.masked["choose"]

    @artifact(
        ("teacher", "texts", "tune"),
        needs=("guessed", "head_parts"),
        given={"aligned": lambda study, name, _: study.aligned(name)},
    )
    def trained_head(self, folder: Path, name: str, plan: HeadPlan) -> None:
        """The new head of a network, its layers if they are trained too, and the loss curve."""
        seed_everything(plan.seed)  # the new head is drawn when the network is loaded
        network = self.load_masked(name, None, plan.layers)
        history = mlm_heads.train_head(network, *self.head_parts, plan, folder)
        history.to_parquet(folder / "history.parquet", index=False)

    def plan_of(self, name: str, number: int = 0) -> HeadPlan | None:
        """How one of a network's heads is trained, each by a seed of its own; None if it brings
        its head.
        """
        plan = self.head_plans[name]
        return plan and replace(plan, seed=plan.seed + 1000 * number)

    def head_of(self, name: str, number: int = 0) -> Artifact | None:
        """What was trained for one of a network's heads; None if it brings its head."""
        plan = self.plan_of(name, number)
        return plan and self.trained_head(name, plan)

    def load_masked(self, name: str, trained: Artifact | None, layers: int) -> MaskedTeacher:
        """A network under its own head, under one that was trained, or under a new one."""
        return mlm_teachers.load_teacher(
            self.networks[name],
            self.ids[name],
            self.tokenizer.pad_token_id,
            self.guessed,
            trained.path if trained else None,
            layers,
        )

    def masked_teacher(self, name: str, number: int = 0) -> MaskedTeacher:
        """A network under one of its heads, ready to guess hidden pieces."""
        plan = self.head_plans[name]
        return self.load_masked(name, self.head_of(name, number), plan.layers if plan else 0)
