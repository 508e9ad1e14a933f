"""Masked texts: what is read, what is hidden, and which pieces can be hidden at all.

Everything is in the ids of one *reference* vocabulary, that of the first teacher; another teacher's
ids are looked up (:mod:`gdlib.networks.alignment`). Masks are drawn once (RoBERTa calls it static),
``maskings`` times per text, so that what the teachers say at the masked positions can be computed
once and kept, and all arms see the same batches.

Hidden and guessed are only the *guessed pieces*, the frequent ones of the texts: a few thousand
instead of 30,522 make the softmax, the distributions that are kept and the number of texts it takes
to learn from small. They are numbered; a distribution is over these numbers. All other pieces are
read, never asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from gdlib.core.errors import BadCorpus
from gdlib.core.settings import digest
from gdlib.learn.batches import Batch, collate, ends, pad, spans
from gdlib.networks.masked_lm import NOT_HIDDEN, mask_pieces
from gdlib.networks.teacher import tokenize
from gdlib.sources import splits
from gdlib.sources.corpora import Corpus
from gdlib.sources.parts import normalise

NOWHERE = -1  # number of a position that is not masked


@dataclass(frozen=True)
class MaskedTexts:
    """Texts, masked; their masked positions are numbered in reading order.

    Args:
        inputs: what a network reads, reference ids with special pieces, a list a text.
        targets: the hidden piece's number among the guessed ones, elsewhere
            :data:`~gdlib.networks.masked_lm.NOT_HIDDEN`.
    """

    inputs: list[list[int]]
    targets: list[list[int]]

    def __len__(self) -> int:
        return len(self.inputs)

    def __add__(self, others: "MaskedTexts") -> "MaskedTexts":
        """These texts, then the others."""
        return MaskedTexts(self.inputs + others.inputs, self.targets + others.targets)

    @cached_property
    def gold(self) -> Tensor:
        """The hidden pieces, by number of their position. *Shape:* ``[positions]``."""
        hidden = [piece for row in self.targets for piece in row if piece != NOT_HIDDEN]
        return torch.tensor(hidden, dtype=torch.long)

    def gold_at(self, positions: Tensor) -> Tensor:
        """The hidden pieces of a batch, on its device. *Shape:* ``[masked positions]``."""
        return self.gold[numbers(positions)].to(positions.device)

    @cached_property
    def counts(self) -> list[int]:
        """The number of masked positions of each text."""
        return [sum(piece != NOT_HIDDEN for piece in row) for row in self.targets]

    @cached_property
    def text_of(self) -> Tensor:
        """The text that each position is in. *Shape:* ``[positions]``."""
        return torch.repeat_interleave(torch.arange(len(self)), torch.tensor(self.counts))

    @cached_property
    def digest(self) -> str:
        return digest([self.inputs, self.targets])

    @cached_property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.inputs]

    @cached_property
    def _ends(self) -> np.ndarray:
        return ends(self.counts)

    def batch(self, rows: Sequence[int], pad_id: int) -> Batch:
        """Some texts, padded.

        *Shape:* ``input_ids``, ``attention_mask``, ``positions`` (or :data:`NOWHERE`) ``[rows,
        longest]``.
        """
        targets = pad([self.targets[i] for i in rows], NOT_HIDDEN)
        positions = torch.full_like(targets, NOWHERE)
        positions[targets != NOT_HIDDEN] = spans(self._ends, rows)
        return collate([self.inputs[i] for i in rows], pad_id) | {"positions": positions}


def numbers(positions: Tensor) -> Tensor:
    """The numbers of the masked positions of a batch, in reading order, on the CPU."""
    return positions[positions != NOWHERE].cpu()


def draw(
    corpora: Sequence[Corpus],
    tested: Sequence[str],
    sizes: Mapping[str, int],
    test_size: int,
    each: int,
    seed: int,
) -> dict[str, list[str]]:
    """Disjoint parts of the corpora's training and unlabelled texts, none of them among the test
    texts.

    Args:
        corpora: where texts come from, at most ``each`` of each; the test part of each
            (:func:`gdlib.sources.splits.draw_test`) is left out.
        tested: further test texts to leave out.
        sizes: of the parts, by name.

    Raises:
        BadCorpus: there are too few.
    """
    pool, tests = dict[str, str](), set(map(normalise, tested))
    for corpus in corpora:
        tests.update(splits.draw_test(corpus, test_size)[0].keys())
        texts = [
            text
            for part in ("train", "unlabeled")
            if part in corpus.parts
            for text in corpus.parts[part].texts
        ]
        for row in splits.shuffled(len(texts), seed, len(texts))[:each]:
            pool[normalise(texts[row])] = texts[row]
    left = [text for key, text in pool.items() if key not in tests]
    if len(left) < sum(sizes.values()):
        wanted = " + ".join(f"{part}_texts {size:,}" for part, size in sizes.items())
        names = ", ".join(corpus.name for corpus in corpora)
        raise BadCorpus(
            f"{names} have {len(left):,} texts to mask, {wanted} asked for; see also corpus_texts"
        )
    order = iter(splits.shuffled(len(left), seed, len(left)))
    return {part: [left[row] for row in islice(order, size)] for part, size in sizes.items()}


@dataclass(frozen=True)
class Guessed:
    """The pieces that may be hidden.

    Args:
        ids: in the reference vocabulary, ascending. *Shape:* ``[guessed]``.
        log_shares: of each among all of them in the texts they come from; 0.1 is added to every
            count. *Shape:* ``[guessed]``.
        share: of all pieces of these texts, how many can be hidden.
    """

    ids: Tensor
    log_shares: Tensor
    share: float

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        return digest([self.ids.tolist(), self.log_shares.tolist()])


def frequent(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, number: int
) -> Guessed:
    """The most frequent pieces of some texts, special ones left out; the smaller id first among
    equals. ``number`` 0: all there are.
    """
    special = torch.tensor(sorted(tokenizer.all_special_ids))
    pieces = [piece for row in tokenize(tokenizer, texts, max_length) for piece in row]
    counts = torch.bincount(torch.tensor(pieces), minlength=len(tokenizer)).float()
    counts[special] = -1
    number = min(number or len(counts), len(counts) - len(special))
    ids = counts.argsort(descending=True, stable=True)[:number].sort().values
    smoothed = counts[ids] + 0.1
    share = float(counts[ids].sum() / counts.clamp(min=0).sum())
    return Guessed(ids, (smoothed / smoothed.sum()).log(), share)


def mask_texts(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    share: float,
    seed: int,
    guessed: Tensor,
    maskings: int = 1,
) -> MaskedTexts:
    """Cut texts into pieces and mask them; ``maskings`` times over, each time with other masks. A
    masking that hides nothing is left out.

    Args:
        guessed: reference ids of the pieces that may be hidden, ascending; ``share`` is of these.

    Raises:
        BadCorpus: nothing is masked at all.
    """
    encoded = tokenize(tokenizer, texts, max_length)
    ids = pad(encoded, tokenizer.pad_token_id)
    inputs, targets = [], []
    for number in range(maskings):
        maskable = torch.isin(ids, guessed)
        hidden, target = mask_pieces(ids, maskable, tokenizer, [seed, number], share)
        target = torch.where(target == NOT_HIDDEN, target, torch.searchsorted(guessed, target))
        for row, length in enumerate(map(len, encoded)):
            if (target[row] != NOT_HIDDEN).any():
                inputs.append(hidden[row, :length].tolist())
                targets.append(target[row, :length].tolist())
    if not inputs:
        raise BadCorpus(
            f"of {len(texts)} texts no piece is masked at mask_share = {share}; expected "
            "more or longer texts"
        )
    return MaskedTexts(inputs, targets)
