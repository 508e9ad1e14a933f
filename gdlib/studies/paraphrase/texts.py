"""Texts of the study: which are drawn, which stay as they are, what spinners make of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gdlib.core.artifacts import artifact, derived
from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.core.store import Artifact
from gdlib.networks.infilling import Infiller
from gdlib.sources import corpora, splits
from gdlib.sources.splits import TEST_SEED, Part
from gdlib.sources.words import replaceable
from gdlib.studies.paraphrase import spinners
from gdlib.studies.paraphrase.settings import SPINNERS, Settings
from gdlib.studies.paraphrase.spinners import SpinPlan
from gdlib.studies.shared.masked import MaskedHeads
from gdlib.studies.shared.settings import HeadSettings
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
        wanted = tuple(dict.fromkeys((self.settings.corpus, *self.settings.domains)))
        named = {name.rstrip("/").rpartition("/")[2]: name for name in wanted}
        if len(named) < len(wanted):
            raise BadSetting(
                f"domains {', '.join(wanted)}: two of them have the same name; rename one"
            )
        return named

    @property
    def own(self) -> str:
        """The name of the domain of training."""
        return next(iter(self.tested))

    def divided(self, corpus: str) -> splits.Splits:
        """A domain's texts to train on and to test on, as every study divides them: no text is in
        both.
        """
        return splits.split(
            corpora.load(corpus),
            labels_per_class=1,
            validation_share=0.0,
            transfer_size=10**9,
            test_size=4 * self.settings.test_size,
            seed=self.settings.seed,
        )

    def drawn(self, texts: Sequence[str], number: int, seed: int) -> list[str]:
        """At most ``number`` texts that are long enough and that a dictionary can change, in an
        order drawn by the seed.
        """
        found: list[str] = []
        for i in np.random.default_rng([seed, len(texts)]).permutation(len(texts)):
            if len(found) == number:
                break
            if len(texts[i].split()) >= self.settings.min_words and replaceable(texts[i]):
                found.append(texts[i])
        return found

    def check(self, what: str, found: int, least: int) -> None:
        """Raise :class:`BadCorpus` where a corpus has fewer texts than it needs."""
        if found < least:
            raise BadCorpus(
                f"corpus {what} of {self.settings.min_words} words (min_words) or more with words "
                f"to replace; expected {least} or more"
            )

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
        texts = whole.labelled.texts + whole.transfer.texts
        texts = self.drawn(texts, s.train_texts + s.transfer_size, s.seed)
        self.check(f"{s.corpus} has {len(texts)} texts to train on", len(texts), s.train_texts)
        return {
            "held_out": Sources.halves(texts[:held_out]),
            "train": Sources.halves(texts[held_out : s.train_texts]),
            "transfer": Sources.halves(texts[s.train_texts :]),
        }

    @derived
    def tests(self) -> dict[str, Sources]:
        """The test texts of every domain; the same for every seed."""
        size, found = self.settings.test_size, dict[str, Sources]()
        for name, corpus in self.tested.items():
            texts = self.drawn(self.divided(corpus).test.texts, size, TEST_SEED)
            self.check(f"{corpus} has {len(texts)} test texts", len(texts), min(size, LEAST))
            found[name] = Sources.halves(texts)
        return found

    # ---- paraphrases

    @derived
    def head_settings(self) -> HeadSettings:
        s = self.settings
        return HeadSettings(
            mlm_corpora=s.mlm_corpora,
            head_texts=s.head_texts,
            choose_texts=s.choose_texts,
            head_steps=s.head_steps,
            head_lr=s.head_lr,
        )

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
        given={"read_by": lambda study, spinner, texts, seed: study.read_by(spinner)},
    )
    def spun_texts(self, folder: Path, spinner: str, texts: Texts, seed: int) -> None:
        """Texts in other words, in their order."""
        s = self.settings
        plan = SpinPlan(s.synonym_every, s.filled_share, s.filled_top, s.filled_nearness, seed)
        spun = spinners.spin(spinner, texts, plan, lambda: self.infiller)
        pd.DataFrame({"text": spun}).to_parquet(folder / "spun.parquet")

    def spun(self, spinner: str, texts: Sequence[str], seed: int) -> list[str]:
        """Texts in other words, in their order; made once and kept."""
        made: Artifact = self.spun_texts(spinner, Texts(texts), seed)
        return pd.read_parquet(made / "spun.parquet")["text"].tolist()

    def part(self, name: str, spinner: str) -> Part:
        """A part of the training corpus with one spinner's paraphrases, labelled."""
        sources = self.parts[name]
        return Part(
            sources.originals + self.spun(spinner, sources.spun, self.settings.seed),
            [0] * len(sources.originals) + [1] * len(sources.spun),
        )

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
