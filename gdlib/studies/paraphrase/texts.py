"""Texts of the study: which are drawn, which stay as they are, what spinners make of the others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from gdlib.core.artifacts import artifact, derived
from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.networks.infilling import Infiller
from gdlib.networks.names import SPINNERS
from gdlib.networks.spinners import SpinPlan
from gdlib.sources import corpora, splits
from gdlib.sources.splits import TEST_SEED
from gdlib.sources.structure import opening
from gdlib.studies.paraphrase.settings import Settings
from gdlib.studies.shared.knobs import by_name
from gdlib.studies.shared.masked import MaskedHeads
from gdlib.studies.shared.settings import HeadSettings, part_of
from gdlib.studies.shared.study import Texts

LEAST = 4  # texts of a part: two of each class


@dataclass(frozen=True)
class Sources:
    """Texts of one part: some stay as they are, others appear only as paraphrases of them."""

    originals: list[str]
    spun: list[str]

    @classmethod
    def halves(cls, texts: list[str]) -> "Sources":
        half = len(texts) // 2
        return cls(texts[:half], texts[half : 2 * half])


class SpunTexts(MaskedHeads):
    """Texts of the domains, with the paraphrases of every spinner."""

    settings: Settings

    # ---- originals

    @derived
    def tested(self) -> dict[str, str]:
        """The domains tested on, that of training first: name (of a folder, its last part) to what
        is loaded.
        """
        corpora = dict.fromkeys((self.settings.corpus, *self.settings.domains))
        last_parts = ((name.rstrip("/").rpartition("/")[2], name) for name in corpora)
        return by_name("corpus and domains", last_parts)

    @property
    def own(self) -> str:
        """The name of the domain of training."""
        return next(iter(self.tested))

    def divided(self, corpus: str) -> splits.Splits:
        """The beginnings of a domain's texts to train on and to test on, as every study divides
        them: none is in both, nor anything that is too like one.
        """
        whole, most = corpora.load(corpus), self.settings.max_words
        parts = {
            name: replace(part, texts=[opening(text, most) for text in part.texts])
            for name, part in whole.parts.items()
        }
        return splits.split(
            replace(whole, parts=parts),
            labels_per_class=1,
            validation_share=0.0,
            transfer_size=10**9,
            test_size=4 * self.settings.test_size,
            seed=self.settings.seed,
        )

    def drawn(
        self, part: str, corpus: str, texts: Sequence[str], number: int, least: int, seed: int
    ) -> list[str]:
        """At most ``number`` texts that are neither too short nor too long and that every spinner
        can change, in an order drawn by the seed.

        Raises:
            BadCorpus: there are less than ``least``.
        """
        shortest, longest = self.settings.min_words, self.settings.max_words
        rules = [SPINNERS[name].changes for name in self.settings.spinners]
        order = np.random.default_rng([seed, len(texts)]).permutation(len(texts))
        of_length = (texts[i] for i in order if shortest <= len(texts[i].split()) <= longest)
        fit = (text for text in of_length if all(changes(text) for changes in rules))
        found = list(islice(fit, number))
        if len(found) < least:
            raise BadCorpus(
                f"corpus {corpus} has {len(found)} {part} of {shortest} words (min_words) or more "
                f"that all spinners can change; expected {least} or more"
            )
        return found

    @derived
    def parts(self) -> dict[str, Sources]:
        """The parts of the training corpus: ``train``, ``held_out`` and, for the student,
        ``transfer``.
        """
        s = self.settings
        held_out = round(s.train_texts * s.validation_share)
        if min(held_out, s.train_texts - held_out) < LEAST:
            raise BadSetting(
                f"train_texts = {s.train_texts} with validation_share = "
                f"{s.validation_share}: expected {LEAST} texts or more in each part"
            )
        whole = self.divided(s.corpus)
        texts, number = whole.labelled.texts + whole.transfer.texts, s.train_texts + s.transfer_size
        part = "texts to train on"
        texts = self.drawn(part, s.corpus, texts, number, s.train_texts, s.seed)
        return {
            "held_out": Sources.halves(texts[:held_out]),
            "train": Sources.halves(texts[held_out : s.train_texts]),
            "transfer": Sources.halves(texts[s.train_texts :]),
        }

    @derived
    def tests(self) -> dict[str, Sources]:
        """The test texts of every domain; the same for every seed."""
        size, found = self.settings.test_size, {}
        for name, corpus in self.tested.items():
            texts, least = self.divided(corpus).test.texts, min(size, LEAST)
            texts = self.drawn("test texts", corpus, texts, size, least, TEST_SEED)
            found[name] = Sources.halves(texts)
        return found

    # ---- paraphrases

    @derived
    def head_settings(self) -> HeadSettings:
        names = ("mlm_corpora", "head_texts", "choose_texts", "head_steps", "head_lr")
        return HeadSettings(**{name: getattr(self.settings, name) for name in names})

    @derived
    def masked_networks(self) -> tuple[tuple[str, str, int], ...]:
        s = self.settings
        return ((s.infiller, s.infiller_body, s.infiller_depth),)

    @derived
    def infiller(self) -> Infiller:
        """The masked language model that fills in words."""
        (name,) = self.networks
        return Infiller(self.masked_teacher(name), self.tokenizer, self.settings.max_length)

    def read_by(self, spinner: str) -> dict[str, object]:
        """What decides a spinner's texts beside the knobs: the network that it reads with."""
        if not SPINNERS[spinner].reads:
            return {}
        (name,) = self.networks
        return {**self.aligned(name), "guessed": self.guessed, "head": self.head_of(name)}

    @artifact(
        "texts",
        *("synonym_every", "filled_share", "filled_top", "filled_nearness", "max_length"),
        given={"read_by": lambda study, spinner, *_: study.read_by(spinner)},
    )
    def spun_texts(self, folder: Path, spinner: str, texts: Texts, seed: int) -> None:
        """Texts in other words, in their order."""
        plan = part_of(self.settings, SpinPlan, seed=seed)
        spun = SPINNERS[spinner].spin(texts, plan, lambda: self.infiller)
        (folder / "spun.json").write_text(json.dumps(spun))

    def spun(self, spinner: str, texts: Sequence[str], seed: int) -> list[str]:
        """Texts in other words, in their order; made once and kept."""
        return self.spun_texts(spinner, Texts(texts), seed).json("spun.json")

    @derived
    def cases(self) -> pd.DataFrame:
        """Every test text: domain, spinner ("" for an original), unit (its source: one number for
        all its paraphrases), text, gold.
        """
        rows, unit = [], 0
        for domain, sources in self.tests.items():
            rows += [(domain, "", *case, 0) for case in enumerate(sources.originals, unit)]
            unit += len(sources.originals)
            for spinner in self.settings.spinners:
                spun = self.spun(spinner, sources.spun, TEST_SEED)
                rows += [(domain, spinner, *case, 1) for case in enumerate(spun, unit)]
            unit += len(sources.spun)
        return pd.DataFrame(rows, columns=["domain", "spinner", "unit", "text", "gold"])
