"""Tags in many languages: a teacher that tags tokens, its signals, and the student's side of it.

A token's tag is read at its *first* word piece; what a network says at its other pieces is neither
taught nor asked. So an
*item* of the losses is a first piece, in the order of sentences and tokens. Sentences longer than
``max_length`` pieces are cut, and counted; a token that was cut off, or that has no piece at all,
is tagged ``O``: cutting never helps a score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase

from gdlib.core.store import texts_digest
from gdlib.learn import schedules
from gdlib.learn.batches import Batch, autocast, collate, in_batches, pad
from gdlib.learn.loop import History, Regime
from gdlib.learn.losses import StagedLoss
from gdlib.networks.recurrent import BiLSTM, Projected
from gdlib.networks.signals import Signals
from gdlib.networks.students import PAD
from gdlib.networks.teacher import Teacher, TeacherPlan, learn
from gdlib.sources import zoo
from gdlib.sources.tagged import Sentences

LOST = -1  # the place of a token without a piece
MARK = "\u2581"  # SentencePiece's mark of the beginning of a word


@dataclass(frozen=True)
class Encoded:
    """Sentences as word pieces, without special tokens.

    Args:
        pieces: ids, of every sentence.
        first: of every token the place of its first piece in its sentence, or -1: cut off, or no
            piece.
        cut: how many sentences were cut.
    """

    pieces: list[list[int]]
    first: list[list[int]]
    cut: int = 0

    @property
    def places(self) -> list[list[int]]:
        """The places of the items of every sentence, in order."""
        return [[place for place in row if place != LOST] for row in self.first]

    def tags(self, said: Sequence[int], outside: int = 0) -> list[list[int]]:
        """A tag an item (in order) as a tag a token: ``outside`` where a token has no item."""
        items = iter(said)
        return [
            [outside if place == LOST else int(next(items)) for place in row] for row in self.first
        ]

    def labels(self, tags: Sequence[Sequence[int]]) -> list[int]:
        """The other way round: of a tag a token, those of the items."""
        return [
            tag
            for row, places in zip(tags, self.first)
            for tag, place in zip(row, places, strict=True)
            if place != LOST
        ]


def encode(
    tokenizer: PreTrainedTokenizerBase, tokens: Sequence[Sequence[str]], max_length: int
) -> Encoded:
    """Tokens to pieces, at most ``max_length`` of them with the two special ones that a teacher
    puts around them.

    A SentencePiece tokenizer may put the mark of a word's beginning before a token as a piece of
    its own: before every character where tokens are characters. Such a bare mark says nothing and
    is taken out, if more of its token follows.
    """
    if not tokens:
        return Encoded([], [])
    encoded = tokenizer(
        [list(row) for row in tokens], is_split_into_words=True, add_special_tokens=False
    )
    mark = tokenizer.convert_tokens_to_ids(MARK)
    most, pieces, first, cut = max_length - 2, [], [], 0
    for number, row in enumerate(tokens):
        all_ids, all_words = encoded["input_ids"][number], [*encoded.word_ids(number), None]
        kept = [
            i
            for i, piece in enumerate(all_ids)
            if piece != mark or all_words[i] != all_words[i + 1] or mark == tokenizer.unk_token_id
        ]
        place_of = {all_words[i]: place for place, i in reversed(list(enumerate(kept[:most])))}
        pieces.append([all_ids[i] for i in kept[:most]])
        first.append([place_of.get(word, LOST) for word in range(len(row))])
        cut += len(kept) > most
    return Encoded(pieces, first, cut)


class Tagger(Teacher):
    """A fine-tuned encoder with a tag a piece; ``labels`` are the tags."""

    family = AutoModelForTokenClassification

    def encode(self, sentences: Sentences) -> Encoded:
        return encode(self.tokenizer, sentences.tokens, self.max_length)

    @torch.inference_mode()
    def token_signals(
        self,
        sentences: Sentences,
        layers: Sequence[int] = (),
        batch: int = 64,
        title: str = "labelling",
    ) -> Signals:
        """Logits, and the state of each of the asked hidden layers, of every item.

        *Shape:* logits ``[items, tags]`` float32; states ``[items, width]`` float16, which is half
        of what they take on disk.
        """
        self.check_layers(layers)
        encoded = self.encode(sentences)
        places = encoded.places
        device, ends = next(self.network.parameters()).device, np.cumsum([0, *map(len, places)])
        logits = torch.empty(ends[-1], len(self.labels))
        states = {
            layer: torch.empty(ends[-1], self.network.config.hidden_size, dtype=torch.float16)
            for layer in layers
        }
        with tqdm(total=len(sentences), desc=title, unit="sentence", mininterval=2.0) as bar:
            for rows in in_batches([len(row) for row in encoded.pieces], batch):
                inputs = collate(
                    [with_ends(self.tokenizer, encoded.pieces[i]) for i in rows],
                    self.tokenizer.pad_token_id,
                )
                with autocast(device, "auto"):
                    out = self.network(
                        **{k: v.to(device) for k, v in inputs.items()},
                        output_hidden_states=bool(layers),
                    )
                said, hidden = (
                    out.logits.float().cpu(),
                    {layer: out.hidden_states[layer].half().cpu() for layer in layers},
                )
                for place, row in enumerate(rows):
                    at = (
                        torch.tensor(places[row], dtype=torch.long) + 1
                    )  # after the first special token
                    logits[ends[row] : ends[row + 1]] = said[place, at]
                    for layer in layers:
                        states[layer][ends[row] : ends[row + 1]] = hidden[layer][place, at]
                bar.update(len(rows))
        return Signals(self.labels, logits, texts_digest(sentences.texts), states, "piece")


def with_ends(tokenizer: PreTrainedTokenizerBase, pieces: Sequence[int]) -> list[int]:
    """Pieces between the encoder's two special tokens."""
    return [tokenizer.cls_token_id, *pieces, tokenizer.sep_token_id]


def fine_tune(
    network: zoo.Network, train: Sentences, held_out: Sentences, tags: Sequence[str], plan: TeacherPlan, depth: int, frozen_embeddings: bool,
    folder: Path,
) -> History:  # fmt: skip
    """Fine-tune an encoder as a tagger of all languages together and leave it in ``folder``; see
    :func:`gdlib.networks.teacher.fine_tune`.

    Args:
        depth: how many of its layers are kept, from the bottom; 0: all.
        frozen_embeddings: leave the word-piece embeddings as they were pretrained: most of a
            multilingual encoder's parameters.
    """
    torch.manual_seed(plan.seed)  # of the new head
    tokenizer, tagger = zoo.tokenizer(network), zoo.tagger(network, tags, depth)
    if frozen_embeddings:
        tagger.get_input_embeddings().requires_grad_(False)
    return learn(
        tagger,
        tokenizer,
        *(_items(tokenizer, part, plan.max_length) for part in (train, held_out)),
        plan,
        folder,
    )


def _items(
    tokenizer: PreTrainedTokenizerBase, part: Sentences, max_length: int
) -> list[tuple[list[int], list[int]]]:
    """Ids with special tokens, and a tag at the first piece of every token, -1 at all other places."""
    encoded, rows = encode(tokenizer, part.tokens, max_length), []
    for pieces, first, tags in zip(encoded.pieces, encoded.first, part.tags):
        gold = [-1] * (len(pieces) + 2)
        for place, tag in zip(first, tags):
            if place != LOST:
                gold[place + 1] = tag
        rows.append((with_ends(tokenizer, pieces), gold))
    return rows


# ---- the student's side


@dataclass(frozen=True)
class TaggedSource:
    """Sentences that a student may learn from.

    Args:
        rows: of every sentence, rows of the student's embedding.
        places: of every sentence, the places of its items.
        teacher_logits: *Shape:* ``[items, tags]``.
        labels: gold tags, or -1 where there is none. *Shape:* ``[items]``.
        teacher_states: of one layer. *Shape:* ``[items, width]``, any float type.
    """

    rows: list[list[int]]
    places: list[list[int]]
    teacher_logits: Tensor
    labels: Tensor
    teacher_states: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.rows]

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.places)])

    def at(self, sentences: Sequence[int]) -> Tensor:
        """The indices of the items of some sentences, in their order."""
        return torch.from_numpy(
            np.concatenate(
                [np.arange(self._ends[i], self._ends[i + 1]) for i in sentences]
                or [np.empty(0, np.int64)]
            )
        )

    def take(self, sentences: Sequence[int]) -> "TaggedSource":
        at = self.at(sentences)
        return TaggedSource(
            [self.rows[i] for i in sentences], [self.places[i] for i in sentences],
            self.teacher_logits[at], self.labels[at], self.teacher_states[at],
        )  # fmt: skip

    def batch(self) -> Batch:
        """All of it as one batch of :func:`gdlib.learn.schedules.batch_loss`: a place a piece,
        ``items`` says which count.
        """
        pieces = pad(self.rows, PAD)
        items = torch.zeros(pieces.shape, dtype=torch.bool)
        for row, places in zip(items, self.places):
            row[places] = True
        told = {
            "labels": self.labels,
            "teacher_logits": self.teacher_logits,
            "teacher_states": self.teacher_states.float(),
        }
        spread = {name: _spread(items, of) for name, of in told.items()}
        return {"pieces": pieces, "items": items, **spread}

    def pseudo_labelled(self) -> "TaggedSource":
        """The teacher's most likely tag where there is no gold one."""
        return replace(
            self, labels=torch.where(self.labels < 0, self.teacher_logits.argmax(-1), self.labels)
        )


def _spread(items: Tensor, flat: Tensor) -> Tensor:
    """*Shape:* items ``[batch, length]`` (bool), flat ``[items, ...]`` -> ``[batch, length, ...]``,
    zero elsewhere.
    """
    out = flat.new_zeros((*items.shape, *flat.shape[1:]))
    out[items] = flat
    return out


def join(one: TaggedSource, other: TaggedSource) -> TaggedSource:
    tensors = (
        torch.cat([getattr(one, n), getattr(other, n)])
        for n in ("teacher_logits", "labels", "teacher_states")
    )
    return TaggedSource(one.rows + other.rows, one.places + other.places, *tensors)


def distil(
    student: BiLSTM, strategy: schedules.Strategy, loss: StagedLoss, labelled: TaggedSource, transfer: TaggedSource,
    held_out: TaggedSource, regime: Regime, batch: int,
) -> pd.DataFrame:  # fmt: skip
    """Train a student in place by a strategy (:func:`gdlib.learn.schedules.run`); its trace."""
    both = join(labelled, transfer)

    def batches(stage: schedules.Stage, seed: int) -> Callable[[int], Batch]:
        told = both.pseudo_labelled() if stage.pseudo_labels else both
        drawn = schedules.draw(stage, labelled.lengths, transfer.lengths, batch, seed)

        def at(step: int) -> Batch:
            first, second = drawn(step)
            return told.take([*first, *(i + len(labelled) for i in second)]).batch()

        return at

    looks = [held_out.take(rows).batch() for rows in in_batches(held_out.lengths, 128)]
    return schedules.run(
        Projected(student, both.teacher_states.shape[1]), strategy, loss, batches, looks, regime
    )


@torch.inference_mode()
def predict(
    student: nn.Module,
    rows: Sequence[Sequence[int]],
    places: Sequence[Sequence[int]],
    batch: int = 128,
) -> np.ndarray:
    """The most likely tag of every item, in order. *Shape:* ``[items]``."""
    device, said = next(student.parameters()).device, {}
    for part in in_batches([len(row) for row in rows], batch):
        tags = student(pad([rows[i] for i in part], PAD).to(device)).argmax(-1).cpu().numpy()
        said |= {i: tags[place, places[i]] for place, i in enumerate(part)}
    return np.concatenate([said[i] for i in range(len(rows))] or [np.empty(0, np.int64)])
