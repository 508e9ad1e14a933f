"""Forgetting, measured where it shows: what an encoder's states still say of the words of a text.

Fine-tuning mends much of what was lost, and few test texts hide small losses. Here each encoder
stands still. A new masked-language-model head is trained on its states alone, the same way for
all, and the loss on texts that no head has seen, in nats per hidden piece, says how much of a
hidden word the states still tell. All encoders guess the same pieces of the same texts.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gdlib.compare.results import Results
from gdlib.core.artifacts import artifact, derived
from gdlib.networks.mlm_heads import HeadPlan
from gdlib.sources.zoo import Network
from gdlib.studies.shared.encoders import LexicalEncoders
from gdlib.studies.shared.masked import MaskedHeads
from gdlib.studies.shared.settings import HeadSettings
from gdlib.studies.understanding.settings import Settings

ALL_LAYERS = 10_000  # of any encoder: a new head stands on them, also where it brings its own


class Forgetting(LexicalEncoders, MaskedHeads):
    """Puts new heads on frozen encoders, and asks them for hidden pieces."""

    settings: Settings

    @derived
    def head_settings(self) -> HeadSettings:
        """What the study has no knob for is as in the study of several teachers."""
        names = ("mlm_corpora", "head_texts", "head_steps", "mask_share", "max_length", "seed")
        return HeadSettings(**{name: getattr(self.settings, name) for name in names})

    @derived
    def part_sizes(self) -> dict[str, int]:
        s = self.head_settings
        measured = self.settings.measured_texts
        return {"head": s.head_texts, "choose": s.choose_texts, "measured": measured}

    @derived
    def networks(self) -> dict[str, Network]:
        """Every encoder of every model seed, named by both."""
        s = self.settings
        return {
            f"{name} {seed}": self.encoder_network(name, seed)
            for seed in s.model_seeds
            for name in s.encoders
        }

    @derived
    def ids(self) -> dict[str, torch.Tensor]:
        """All encoders read the same pieces."""
        return dict.fromkeys(self.networks, torch.arange(len(self.tokenizer)))

    @artifact(
        "tune",
        needs=("masked", "guessed"),
        given={
            "aligned": lambda study, name, _: study.aligned(name),
            "head": lambda study, *cell: study.trained_head(*cell),
        },
    )
    def hidden_losses(self, folder: Path, name: str, plan: HeadPlan) -> None:
        """What a new head on an encoder loses on every text, in nats, summed over its hidden
        pieces. *Shape:* ``[texts]``.
        """
        network = self.load_masked(name, self.trained_head(name, plan), plan.layers)
        texts = self.masked["measured"]
        losses = -network.keep(texts, 1).gold
        sums = torch.zeros(len(texts)).index_add_(0, texts.text_of, losses.float())
        np.save(folder / "losses.npy", sums.numpy())

    def forgotten(self) -> Results:
        """The losses of every encoder (arm) and model seed, whose mean over texts is in nats per
        hidden piece; what is missing is trained now, several at a time.
        """
        s, plan = self.settings, self.head_plan("frozen", ALL_LAYERS)
        self.make_encoders(s.encoders, s.model_seeds)
        arms = [(name, seed) for seed in s.model_seeds for name in s.encoders]
        cells = [(f"{name} {k}", replace(plan, seed=self.seed(k))) for name, k in arms]
        self.make_all("trained_head", cells, "heads")
        made = self.make_all("hidden_losses", cells, "losses")
        texts = self.masked["measured"]
        losses = np.stack([np.load(each / "losses.npy") for each in made])
        table = pd.DataFrame(arms, columns=["arm", "model_seed"]).assign(seed=s.seed)
        items = pd.DataFrame({"text": range(len(texts))})
        return Results(table, losses * (len(texts) / len(texts.gold)), items)

    def forgotten_by_dose(self) -> dict[int, Results]:
        """Of every seed, each on texts of its own, by the number of instances that the encoders
        were trained on.
        """
        s = self.settings
        of_dose = {
            dose: [study.forgotten() for study in self.each_seed(train_instances=dose)]
            for dose in sorted({s.train_instances, *s.doses})
        }
        # Of a seed's texts those in which nothing is hidden are left out: their number differs.
        return {dose: Results.stack_first(of_seeds) for dose, of_seeds in of_dose.items()}
