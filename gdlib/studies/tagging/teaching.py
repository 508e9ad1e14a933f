"""The beginning of a tagging study: corpus, splits, teacher, and what the teacher puts out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gdlib.compare.scores import entity_counts
from gdlib.core.artifacts import artifact, derived
from gdlib.core.processes import together
from gdlib.core.store import Artifact
from gdlib.core.study import Study
from gdlib.networks import signals, tagger
from gdlib.networks.tagger import Encoded
from gdlib.networks.teacher import TeacherPlan
from gdlib.sources import tagged, tagged_splits, zoo
from gdlib.sources.parts import Sentences
from gdlib.studies.shared.settings import part_of
from gdlib.studies.tagging.settings import Settings


class TaggedTeaching(Study):
    """One corpus and one seed of it, and one teacher of all its languages."""

    settings: Settings

    # ---- corpus

    @derived
    def corpus(self) -> tagged.TaggedCorpus:
        return tagged.load(self.settings.corpus, self.settings.languages)

    @derived
    def splits(self) -> tagged_splits.TaggedSplits:
        """Tagged (train and held-out), transfer and test sentences, disjoint."""
        s = self.settings
        return tagged_splits.split(
            self.corpus,
            labels_per_language=s.labels_per_language,
            validation_share=s.validation_share,
            transfer_per_language=s.transfer_per_language,
            test_per_language=s.test_per_language,
            seed=s.seed,
        )

    @derived
    def labelled(self) -> tuple[Sentences, Sentences, tuple[str, ...]]:
        """All that the teacher knows of the splits: the training and the held-out sentences, and
        the tags.
        """
        return self.splits.train, self.splits.validation, self.splits.tags

    # ---- teacher

    @derived
    def teacher_network(self) -> zoo.Network:
        """The pretrained encoder."""
        return zoo.locate(self.settings.teacher)

    @artifact(
        "teacher",
        *("teacher_epochs", "teacher_lr", "teacher_batch", "max_length", "seed"),
        *("teacher_depth", "frozen_embeddings"),
        needs=("teacher_network", "labelled"),
    )
    def trained_teacher(self, folder: Path) -> None:
        """The encoder fine-tuned on the tagged sentences of all languages together."""
        s = self.settings
        plan = part_of(s, TeacherPlan, "teacher_")
        how = (plan, s.teacher_depth, s.frozen_embeddings, folder)
        together(tagger.fine_tune, self.teacher_network, *self.labelled, *how)

    @derived
    def teacher(self) -> tagger.Tagger:
        return tagger.Tagger.load(self.trained_teacher().path)

    @artifact("teacher", needs=("trained_teacher", "splits"))
    def token_signals(self, folder: Path, part: str, layers: tuple[int, ...]) -> None:
        """The teacher's logits, and states of some layers, for the items of a part (``train``,
        ``validation``, ``transfer``, ``test``).
        """
        sentences = self.splits.parts[part]
        found = self.teacher.token_signals(sentences, layers, title=f"labelling {part}")
        found.save(folder)

    def labelling(self, part: str) -> Artifact:
        """What the teacher puts out for a part: of the test part students need no states."""
        layers = () if part == "test" else (self.settings.teacher_layer,)
        return self.token_signals(part, layers)

    def signals(self, part: str) -> signals.Signals:
        """The teacher's signals for the items of a part."""
        folder, texts = self.labelling(part).path, self.splits.parts[part].texts
        return signals.load(folder, self.splits.tags, texts)

    @derived
    def encoded(self) -> dict[str, Encoded]:
        """Every part as word pieces."""
        return {name: self.teacher.encode(part) for name, part in self.splits.parts.items()}

    # ---- tags

    def named(self, tags: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[self.splits.tags[tag] for tag in row] for row in tags]

    def teacher_tags(self, part: str) -> list[list[int]]:
        """The teacher's tags of a part, one per token."""
        return self.encoded[part].tags(self.signals(part).predicted.tolist())

    def counts(self, predicted: Sequence[Sequence[int]], part: str = "test") -> np.ndarray:
        """Entity counts of every sentence of a part: right, predicted, gold.

        *Shape:* ``[sentences, 3]``.
        """
        return entity_counts(self.named(self.splits.parts[part].tags), self.named(predicted))
