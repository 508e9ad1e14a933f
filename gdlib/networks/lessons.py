"""What students learn from: texts with the teacher's logits and states, and those of an arm."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gdlib.learn.batches import Batch, ends, pad, spans
from gdlib.networks.arms import Arm
from gdlib.networks.students import PAD, Vocabulary


@dataclass(frozen=True)
class Source:
    """Texts a student may learn from. An *item* of the losses is a text or, of sentences with tags,
    the first piece of a token.

    Args:
        pieces: of every text, without special tokens: the teacher's ids, or rows of the student's
            embedding.
        teacher_logits: *Shape:* ``[items, classes]``.
        labels: gold labels, or -1 where there is none. *Shape:* ``[items]``.
        teacher_states: of one layer, where they are wanted, any float type. *Shape:* ``[items,
            width]``.
        places: of every sentence the places of its items; None: every text is one item.
    """

    pieces: list[list[int]]
    teacher_logits: Tensor
    labels: Tensor
    teacher_states: Tensor | None = None
    places: list[list[int]] | None = None

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What there is of every item, by name."""
        names = ("labels", "teacher_logits", "teacher_states")
        tensors = {name: getattr(self, name) for name in names}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    @cached_property
    def digest(self) -> str:
        """Over pieces, places, labels and what the teacher predicts."""
        total = hashlib.sha256(json.dumps([self.pieces, self.places]).encode())
        for tensor in self.tensors.values():
            total.update(tensor.contiguous().numpy().tobytes())
        return total.hexdigest()[:16]

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.pieces]

    @cached_property
    def _ends(self) -> np.ndarray:
        return ends([len(row) for row in self.places])

    def head(self, number: int) -> "Source":
        """The first so many texts."""
        return self.rows(range(len(self))[:number])

    def rows(self, index: Sequence[int]) -> "Source":
        """Some of the texts, in the order given."""
        index = list(index)
        items = index if self.places is None else spans(self._ends, index)
        return Source(
            [self.pieces[i] for i in index],
            places=None if self.places is None else [self.places[i] for i in index],
            **{name: tensor[items] for name, tensor in self.tensors.items()},
        )

    def in_rows(self, vocabulary: Vocabulary) -> "Source":
        """With rows of a student's embedding in place of the teacher's ids."""
        return replace(self, pieces=vocabulary.rows(self.pieces))

    def pseudo_labelled(self) -> "Source":
        """The teacher's most likely class where there is no gold label."""
        likeliest = self.teacher_logits.argmax(-1)
        return replace(self, labels=torch.where(self.labels < 0, likeliest, self.labels))

    def batch(self) -> Batch:
        """All of it as one batch of :func:`gdlib.learn.schedules.batch_loss`. Of tags every target
        has a place per piece, zero between the items, and ``items`` marks those that count.
        """
        pieces, targets = pad(self.pieces, PAD), self.tensors
        if self.teacher_states is not None:
            targets["teacher_states"] = self.teacher_states.float()
        if self.places is not None:
            items = marked(self.places, pieces)
            for name, flat in targets.items():
                targets[name] = flat.new_zeros((*items.shape, *flat.shape[1:]))
                targets[name][items] = flat
            targets["items"] = items
        return {"pieces": pieces, **targets}


def marked(places: Sequence[Sequence[int]], ids: Tensor) -> Tensor:
    """True at the given places of every row. *Shape:* of ``ids``, ``[rows, length]``, bool."""
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for row, chosen in zip(mask, places):
        row[chosen] = True
    return mask


def join(sources: Sequence[Source]) -> Source:
    """Several sources as one; it has states, or places, if all of them have."""
    names = set.intersection(*(set(source.tensors) for source in sources))
    places = [source.places for source in sources]
    return Source(
        [row for source in sources for row in source.pieces],
        places=None if None in places else sum(places, []),
        **{name: torch.cat([source.tensors[name] for source in sources]) for name in names},
    )


def transfer_set(arm: Arm, sources: Mapping[str, Source]) -> tuple[Source, Source | None]:
    """The labelled texts of an arm, and its other texts, if any. Real texts and scraps are cut to
    the number of generated ones, and a second round to what the first leaves of it, so that arms
    differ in one thing at a time.

    For ``hard`` targets the labels of unlabelled texts are filled in with the teacher's argmax.
    """
    generated, real = sources["generated"], sources["real"]
    size = len(generated)
    first = -(-size // arm.divisor)
    most = {"generated": first, "feedback": size - first, "real": size, "scraps": size}
    if "real mix" in arm.sources:
        sources = {**sources, "real mix": real.rows(same_mix(real, generated))}
    others = [sources[name].head(most.get(name, len(sources[name]))) for name in arm.sources[1:]]
    transfer = join(others) if sum(map(len, others)) else None
    if transfer and arm.target == "hard":
        transfer = transfer.pseudo_labelled()
    return sources["labelled"], transfer


def same_mix(texts: Source, like: Source) -> list[int]:
    """The first rows of some texts that have every class, by the teacher's argmax, as often as
    ``like`` has it; of a class of which there are fewer, all.
    """
    wanted = Counter(like.teacher_logits.argmax(-1).tolist())
    rows = []
    for row, label in enumerate(texts.teacher_logits.argmax(-1).tolist()):
        if wanted[label]:
            wanted[label] -= 1
            rows.append(row)
    return rows
