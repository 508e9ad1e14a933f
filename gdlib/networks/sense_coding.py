"""Sentences and glosses as pieces: ``[CLS] ... " target " ... [SEP] target : gloss [SEP]`` (Wahle
et al. 2021, LMGC).

Or, with the target not marked, ``[CLS] sentence [SEP] gloss [SEP]``: the plain form of GlossBERT
(Huang et al. 2019, arXiv 1908.07245, Sent-CLS). Their form with "weak supervision" (Sent-CLS-WS) is
the pair of LMGC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from gdlib.learn.batches import Batch, collate, from_place
from gdlib.sources.senses import Instance
from gdlib.sources.wordnet import gloss

LONG_GLOSS = 0.5  # share of the pieces of a pair that a gloss may take at most
Joined = tuple[list[int], int]
"""The pieces of one or two texts with special ones, and at which of them the second begins."""


@dataclass(frozen=True)
class Coded:
    """An instance in pieces, nothing cut yet: the sentence in three parts, and ``target : gloss``
    for every candidate.
    """

    left: list[int]
    target: list[int]
    right: list[int]
    glosses: list[list[int]]
    gold: tuple[bool, ...]


class Coder:
    """Makes pieces, and inputs of a BERT-like encoder, of instances.

    The pieces of a text never change with where they are put: prefix and gloss are cut together,
    the quotes are put around the target's own pieces, and what has to go if a pair is too long are
    the ends of the sentence, never the target.

    Args:
        tokenizer: the encoder's; it says whether the encoder tells the two parts apart by type ids.
        max_length: pieces of a pair at most, special ones included.
        marked: quotes around the target, and its name before each gloss (a lemma always stands
            there).
        gloss_text: what a gloss says, see :func:`gdlib.sources.wordnet.gloss`.
        target: mark the target's pieces in the inputs of pairs (``first``).
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        marked: bool = True,
        gloss_text: str = "definition",
        target: bool = False,
    ):
        self.tokenizer, self.max_length = tokenizer, max_length
        self.gloss_text, self.target = gloss_text, target
        self.cls, self.sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        self.marked = marked
        self.quote = self.pieces(['"'])[0] if marked else []
        self.between = [self.sep] * max(
            1, tokenizer.num_special_tokens_to_add(pair=True) - 2
        )  # RoBERTa and MPNet put two
        self.has_types = "token_type_ids" in tokenizer.model_input_names

    def code(self, instances: Sequence[Instance], prefix: str = "word") -> list[Coded]:
        """The pieces of instances.

        Args:
            instances: any.
            prefix: what stands before a gloss: the ``word`` as in the sentence (LMGC), or the
                ``lemma`` (then a gloss has the same pieces wherever it is asked for, and its vector
                can be kept).
        """
        sides = [instance.sides for instance in instances]
        left, right = (self.pieces([side[i] for side in sides]) for i in (0, 1))
        target = self.pieces([instance.word for instance in instances])
        texts = [self._glosses(instance, prefix) for instance in instances]
        distinct = list(dict.fromkeys(text for row in texts for text in row))
        glosses = dict(zip(distinct, self.pieces(distinct)))
        return [
            Coded(*parts, [glosses[text] for text in row], instance.gold)
            for instance, row, *parts in zip(instances, texts, left, target, right)
        ]

    def _glosses(self, instance: Instance, prefix: str) -> list[str]:
        word = instance.word if prefix == "word" else instance.lemma.replace("_", " ")
        name = f"{word} : " if self.marked or prefix == "lemma" else ""
        return [name + gloss(sense, self.gloss_text) for sense in instance.candidates]

    def context(self, coded: Coded, room: int) -> tuple[list[int], list[bool]]:
        """``... " target " ...`` in at most ``room`` pieces, and which of them are the target's.

        What is over is cut from the far ends; a side that needs less than its half leaves the rest
        to the other.
        """
        quotes = 2 * len(self.quote)
        target = coded.target[: max(1, room - quotes)]
        free = max(0, room - quotes - len(target))
        of_right = min(len(coded.right), max(free // 2, free - len(coded.left)))
        left = coded.left[max(0, len(coded.left) - (free - of_right)) :]
        ids = [*left, *self.quote, *target, *self.quote, *coded.right[:of_right]]
        start = len(left) + len(self.quote)
        return ids, [start <= place < start + len(target) for place in range(len(ids))]

    def joined(self, first: list[int], second: list[int]) -> Joined:
        """``[CLS] first [SEP] second [SEP]``, and at which piece the second part begins."""
        begin = [self.cls, *first, *self.between]
        return [*begin, *second, self.sep], len(begin)

    def pair(self, coded: Coded, candidate: int) -> tuple[list[int], int, list[bool]]:
        """The sentence with one candidate's gloss, as :data:`Joined`, and which of the sentence's
        pieces (after the first) are the target's.
        """
        meaning = coded.glosses[candidate][: int(LONG_GLOSS * self.max_length)]
        room = self.max_length - 2 - len(self.between) - len(meaning)
        context, targets = self.context(coded, room)
        return *self.joined(context, meaning), targets

    def pairs(self, asked: Sequence[tuple[Coded, int]]) -> Batch:
        """Inputs for some (instance, candidate), see :meth:`joined_inputs`; where the target is to
        be marked, ``first`` has its pieces.
        """
        rows = [self.pair(*question) for question in asked]
        inputs = self.joined_inputs([(ids, start) for ids, start, _ in rows])
        if self.target:
            inputs["first"] = torch.zeros_like(inputs["second"])
            for row, (_, _, targets) in zip(inputs["first"], rows):
                row[1 : 1 + len(targets)] = torch.tensor(targets)
        return inputs

    def joined_inputs(self, rows: Sequence[Joined]) -> Batch:
        """What the network reads, and ``second``: which pieces are the second part's.

        *Shape:* each ``[rows, longest]``.
        """
        inputs = self.inputs([ids for ids, _ in rows])
        second = from_place(inputs["input_ids"], [start for _, start in rows])
        inputs["second"] = second & inputs["attention_mask"].bool()
        return inputs | ({"token_type_ids": inputs["second"].long()} if self.has_types else {})

    def inputs(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Ids and attention mask, 1 on every piece (hidden ones too) and 0 on padding.

        *Shape:* each ``[rows, longest]``.
        """
        return collate(rows, self.tokenizer.pad_token_id)

    def maskable(self, inputs: Batch) -> Tensor:
        """Pieces that masked language modelling may hide: neither special nor padding.

        *Shape:* ``[rows, length]``, bool.
        """
        special = torch.tensor(self.tokenizer.all_special_ids)
        return inputs["attention_mask"].bool() & ~torch.isin(inputs["input_ids"], special)

    def pieces(self, texts: list[str]) -> list[list[int]]:
        """Texts in pieces, without special ones."""
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def draw_candidates(gold: Sequence[bool], negatives: int, seed: Sequence[int]) -> list[int]:
    """The candidates to learn from: every right one, and at most ``negatives`` wrong ones (0: all),
    drawn by the seed.
    """
    wrong = [place for place, right in enumerate(gold) if not right]
    if negatives and len(wrong) > negatives:
        wrong = np.random.default_rng(seed).choice(wrong, negatives, replace=False).tolist()
    return sorted([place for place, right in enumerate(gold) if right] + wrong)
