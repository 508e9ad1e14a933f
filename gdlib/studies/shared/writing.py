"""What studies have besides a teacher that let a language model write: a generator, its samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gdlib.compare.maps import directions, nearest, projected
from gdlib.core.artifacts import artifact, derived
from gdlib.core.processes import together
from gdlib.networks import generator
from gdlib.networks.lessons import Source
from gdlib.networks.sampling import Generator
from gdlib.sources import zoo
from gdlib.sources.duplicates import near_groups, sharing_runs, words_of
from gdlib.studies.shared import funnel, samples
from gdlib.studies.shared.samples import SamplingPlan
from gdlib.studies.shared.settings import WritingSettings, part_of
from gdlib.studies.shared.study import TeachingStudy, Texts

SAMPLING = (
    *("num_samples", "sampling_temperature", "top_p", "top_k", "prefix_tokens"),
    *("max_new_tokens", "sampling_batch", "seed"),
)
"""The knobs that say how texts are sampled."""
SAMPLES, MAP, GROUPS = "samples.jsonl", "map.parquet", "groups.parquet"


def written_in(file: Path) -> Texts:
    """The raw samples of a file in which something is written."""
    return Texts(text for text in samples.read(file)["text"] if not funnel.is_empty(text))


class WritingStudy(TeachingStudy):
    """A generator and its samples besides."""

    settings: WritingSettings

    @derived
    def generator_network(self) -> zoo.Network:
        """The pretrained language model."""
        return zoo.locate(self.settings.generator)

    @artifact(
        "generator",
        *("generator_method", "generator_conditioned", "generator_epochs"),
        *("generator_least_steps", "generator_lr", "generator_batch", "max_new_tokens", "seed"),
        needs=("generator_network", "labelled_parts"),
    )
    def trained_generator(self, folder: Path) -> None:
        """The language model fine-tuned on the labelled part."""
        s = self.settings
        at_most = s.max_new_tokens
        plan = part_of(s, generator.GeneratorPlan, "generator_", max_tokens=at_most)
        together(generator.fine_tune, self.generator_network, *self.labelled_parts, plan, folder)

    @derived
    def generator(self) -> Generator:
        return Generator.load(self.trained_generator().path)

    # ---- samples

    @property
    def sampling_plan(self) -> SamplingPlan:
        """How texts are sampled."""
        return part_of(self.settings, SamplingPlan, "sampling_")

    @artifact(
        "samples",
        *SAMPLING,
        needs=("trained_generator", "labelled_parts"),
    )
    def raw_samples(self, folder: Path) -> None:
        """Texts as the generator writes them."""
        train, *_ = self.labelled_parts
        samples.generate(self.generator, train, self.sampling_plan, folder / SAMPLES)

    @derived
    def written(self) -> Texts:
        """The samples in which something is written, for the teacher to judge."""
        return written_in(self.raw_samples() / SAMPLES)

    @artifact(
        "samples",
        *("near_duplicate", "overlap_words", "min_confidence", "balance"),
        needs=("raw_samples", "splits"),
        given={"signals": lambda study: study.teacher_signals(study.written)},
    )
    def judged_samples(self, folder: Path) -> None:
        """Every sample with its fate in the funnel and the teacher's view of it."""
        labelled, raw = self.splits.labelled.texts, samples.read(self.raw_samples() / SAMPLES)
        table = self.through_the_funnel(raw, labelled, self.written)
        table["memorised"] = sharing_runs(table["text"], labelled, self.settings.overlap_words)
        table.to_parquet(folder / "samples.parquet", index=False)

    def through_the_funnel(
        self, raw: pd.DataFrame, known: Sequence[str], written: Texts
    ) -> pd.DataFrame:
        """Raw samples with their fates and the teacher's view.

        Args:
            raw: columns ``text`` and ``ended``.
            known: texts of which no sample may be a near-duplicate.
            written: the samples in which something is written.
        """
        s = self.settings
        alike = {"near_duplicate": s.near_duplicate, "overlap_words": s.overlap_words}
        table = raw.assign(fate=funnel.fates(raw, known, self.splits.test.texts, **alike))
        table = funnel.judged(
            table, self.signals(written), np.flatnonzero(table["fate"] != "empty")
        )
        select = {"min_confidence": s.min_confidence, "balance": s.balance}
        return table.assign(fate=funnel.select(table, **select))

    def samples(self) -> pd.DataFrame:
        """Every generated text with its fate in the funnel and the teacher's view of it."""
        return pd.read_parquet(self.judged_samples() / "samples.parquet")

    @derived
    def generated(self) -> Source:
        """The samples that passed the funnel."""
        return self.kept_of(self.samples())

    def kept_of(self, table: pd.DataFrame) -> Source:
        """Those of some judged samples that passed, with the teacher's logits."""
        kept = table[table["fate"] == "kept"]
        logits = np.array(kept["teacher_logits"].tolist(), dtype=np.float32)
        logits = torch.tensor(logits.reshape(-1, len(self.splits.labels)))
        return self.source(kept["text"].tolist(), logits)

    # ---- generated among real texts, as the explorer shows them

    @derived
    def mapped(self) -> tuple[Texts, Texts, Texts]:
        """What is on the map: the generated, the labelled and the real unlabelled texts; never the
        test's.
        """
        return self.written, Texts(self.splits.train.texts), Texts(self.splits.transfer.texts)

    @property
    def mapped_states(self) -> torch.Tensor:
        """The teacher's mean states of these texts, one part after the other. *Shape:* ``[texts,
        width]``.
        """
        return torch.cat([self.signals(part).means for part in self.mapped])

    @artifact(
        "samples",
        "seed",
        needs=("mapped", "written", "splits"),
        given={"signals": lambda study: [study.teacher_signals(part) for part in study.mapped]},
    )
    def text_map(self, folder: Path) -> None:
        """The places of the texts on a map (``x``, ``y``), and how far each is from the texts of
        the other kind (``distance``: one minus the largest cosine): generated ones from all real
        ones, labelled or not, and real ones from all generated ones.
        """
        vectors, written = directions(self.mapped_states.numpy()), len(self.written)
        distance = np.full(len(vectors), np.nan)
        if 0 < written < len(vectors):
            parts = vectors[:written], vectors[written:]
            cosines = [nearest(part, other)[1] for part, other in (parts, parts[::-1])]
            distance = 1 - np.concatenate(cosines)[:, 0]
        table = pd.DataFrame(projected(vectors, self.settings.seed), columns=["x", "y"])
        table.assign(distance=distance).to_parquet(folder / MAP, index=False)

    @artifact("samples", "near_duplicate", needs=("written",))
    def text_groups(self, folder: Path) -> None:
        """The near-duplicates among the samples in which something is written, whatever the funnel
        made of them: ``group``, the place of the first text of each one's group.
        """
        groups = near_groups([*map(words_of, self.written)], self.settings.near_duplicate)
        pd.DataFrame({"group": groups}, dtype=int).to_parquet(folder / GROUPS, index=False)

    def explored(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Everything that the explorer shows of the texts.

        Returns:
            The samples, then the labelled and the real unlabelled texts, as rows of one table:
            besides the columns of :meth:`samples` their ``source`` ("generated", "labelled" or
            "real"), their class where it is known (``gold``, else -1) and the columns of
            :meth:`text_map` and :meth:`text_groups` (here the row of the group's first text, -1 for
            real texts); and the teacher's mean state of each, at length one (NaN, and zeros, for
            samples in which nothing is written). *Shape:* ``[texts, width]``, float32.
        """
        table, parts, states = self.samples(), self.splits, self.mapped_states
        real = []
        for source, part in (("labelled", parts.train), ("real", parts.transfer)):
            gold = part.labels if source == "labelled" else -1
            texts = pd.DataFrame({"text": part.texts, "source": source, "gold": gold})
            real.append(funnel.judged(texts, self.signals(part.texts), np.arange(len(texts))))
        rows = np.flatnonzero(table["fate"] != "empty")
        table = table.assign(source="generated", gold=-1)
        table.loc[rows, "group"] = rows[pd.read_parquet(self.text_groups() / GROUPS)["group"]]
        whole = pd.concat([table, *real], ignore_index=True).fillna({"group": -1})
        rows = np.concatenate([rows, np.arange(len(table), len(whole))])
        places = pd.read_parquet(self.text_map() / MAP).set_index(rows)
        vectors = np.zeros((len(whole), states.shape[1]), np.float32)
        vectors[rows] = directions(states.numpy())
        return whole.join(places), vectors
