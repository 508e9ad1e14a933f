"""Tags in many languages: a teacher that tags tokens, and its signals.

A token's tag is read at its *first* word piece; what a network predicts at the other pieces is
neither learnt nor used. So an *item* of the losses is a first piece, in the order of sentences and
tokens. Sentences longer than ``max_length`` pieces are cut, and counted; a token that was cut off,
or that has no piece at all, is tagged ``O``, because cutting must never help a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gdlib.core.store import texts_digest
from gdlib.learn.batches import Batch
from gdlib.learn.loop import History
from gdlib.networks import fine_tune as recipe
from gdlib.networks.lessons import marked
from gdlib.networks.signals import Signals
from gdlib.networks.teacher import Items, Teacher, TeacherPlan, learn
from gdlib.sources import zoo
from gdlib.sources.tagged import Sentences

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedTokenizerBase

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

    def tags(self, predicted: Sequence[int], outside: int = 0) -> list[list[int]]:
        """A tag an item (in order) as a tag a token: ``outside`` where a token has no item."""
        items = iter(predicted)
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
    tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[Sequence[str]], max_length: int
) -> Encoded:
    """Tokens to pieces, at most ``max_length`` of them with the two special ones that a teacher
    puts around them.

    A SentencePiece tokenizer may put the mark of a word's beginning before a token as a piece of
    its own: before every character where tokens are characters. Such a bare mark says nothing and
    is taken out, if more of its token follows.
    """
    if not tokens:
        return Encoded([], [])
    # What is too long is cut and counted here, so that the tokenizer need not warn of it.
    how = {"is_split_into_words": True, "add_special_tokens": False, "verbose": False}
    encoded = tokenizer([list(row) for row in tokens], **how)
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
    """A fine-tuned encoder with a tag per piece; ``labels`` are the tags."""

    family = "AutoModelForTokenClassification"

    def encode(self, sentences: Sentences) -> Encoded:
        """Sentences as word pieces."""
        return encode(self.tokenizer, sentences.tokens, self.max_length)

    def token_signals(
        self,
        sentences: Sentences,
        layers: Sequence[int] = (),
        batch: int = 64,
        title: str = "labelling",
    ) -> Signals:
        """Logits, and the state of each of the given hidden layers, of every item.

        *Shape:* logits ``[items, tags]`` float32; states ``[items, width]`` float16, which is half
        of what they take on disk.
        """
        self.check(layers)
        encoded = self.encode(sentences)

        def inputs(rows: list[tuple[list[int], list[int]]]) -> Batch:
            batch = self.collate([with_ends(self.tokenizer, pieces) for pieces, _ in rows])
            after_first = [[place + 1 for place in places] for _, places in rows]
            return batch | {"items": marked(after_first, batch["input_ids"])}

        def read(logits: Tensor, states: list[Tensor], inputs: Batch) -> list[Tensor]:
            return [of_pieces[inputs["items"]] for of_pieces in (logits, *states)]

        rows, counts = list(zip(encoded.pieces, encoded.places)), list(map(len, encoded.places))
        how = {"counts": counts, "batch": batch, "title": title}
        logits, *states = self.answers(rows, layers, inputs, read, **how)
        kept = {layer: state.half() for layer, state in zip(layers, states)}
        return Signals(self.labels, logits, texts_digest(sentences.texts), kept)


def with_ends(tokenizer: "PreTrainedTokenizerBase", pieces: Sequence[int]) -> list[int]:
    """Pieces between the encoder's two special tokens."""
    return [tokenizer.cls_token_id, *pieces, tokenizer.sep_token_id]


def fine_tune(
    network: zoo.Network,
    train: Sentences,
    held_out: Sentences,
    tags: Sequence[str],
    plan: TeacherPlan,
    depth: int,
    frozen_embeddings: bool,
    folder: Path,
) -> History:
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
    parts = (_items(tokenizer, part, plan.max_length) for part in (train, held_out))
    return learn(tagger, tokenizer, *parts, plan, folder, patience=4 * recipe.EVALUATIONS)


def _items(tokenizer: "PreTrainedTokenizerBase", part: Sentences, max_length: int) -> Items:
    """Ids with special tokens, and a tag at each token's first piece, -1 at all other places."""
    encoded, rows = encode(tokenizer, part.tokens, max_length), []
    for pieces, first, tags in zip(encoded.pieces, encoded.first, part.tags):
        gold = [-1] * (len(pieces) + 2)
        for place, tag in zip(first, tags):
            if place != LOST:
                gold[place + 1] = tag
        rows.append((with_ends(tokenizer, pieces), gold))
    return rows
