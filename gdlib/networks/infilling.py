"""Texts of which some words are hidden, and filled in by a masked language model with others."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from accelerate.utils import send_to_device
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from gdlib.learn.batches import collate, in_batches
from gdlib.networks.mlm_teachers import MaskedTeacher
from gdlib.networks.mlm_texts import NOWHERE
from gdlib.sources.words import content_words, rewrite

STEM = 4  # letters; words that begin with the same ones count as forms of one word


@dataclass(frozen=True)
class Infiller:
    """A masked language model and its tokenizer (WordPiece)."""

    teacher: MaskedTeacher
    tokenizer: PreTrainedTokenizerBase
    max_length: int

    @cached_property
    def guessed(self) -> Tensor:
        """The ids of the pieces that it guesses. *Shape:* ``[guessed]``."""
        return self.teacher.model.guessed.cpu()

    @cached_property
    def pieces(self) -> list[str]:
        """The pieces that it guesses."""
        return self.tokenizer.convert_ids_to_tokens(self.guessed.tolist())

    @cached_property
    def barred(self) -> Tensor:
        """Which of these pieces are no content words, so that they are never filled in.

        *Shape:* ``[guessed]``, bool.
        """
        return torch.tensor([not _is_content_word(piece) for piece in self.pieces])

    @cached_property
    def stems(self) -> np.ndarray:
        """The first letters of these pieces."""
        return np.array([piece[:STEM] for piece in self.pieces])

    @cached_property
    def embedding(self) -> Tensor:
        """The embeddings of all pieces at length 1. *Shape:* ``[pieces, width]``."""
        weight = self.teacher.model.encoder.get_input_embeddings().weight
        return F.normalize(weight.detach().float().cpu(), dim=-1)

    def embedded(self, word: str) -> Tensor:
        """The embedding of a word, the sum over its pieces, at length 1. *Shape:* ``[width]``."""
        own = self.tokenizer(word, add_special_tokens=False)["input_ids"]
        return F.normalize(self.embedding[own].sum(0), dim=0)


def _is_content_word(piece: str) -> bool:
    letters = piece.isascii() and piece.isalpha() and len(piece) > 1
    return letters and piece not in ENGLISH_STOP_WORDS


@dataclass(frozen=True)
class Hidden:
    """A text with words hidden: its pieces, the places of the masks in them, and the words."""

    pieces: list[int]
    masks: list[int]
    words: list[re.Match[str]]


def fill_in(
    texts: Sequence[str], model: Infiller, *, share: float, top: int, nearness: float, seed: int
) -> list[str]:
    """Hide a share of the words, all at once, a mask per word, and let the model fill in others.

    Content words are hidden, and what may be filled in are content words that are pieces it
    guesses, but for those that begin as the hidden one does (itself, and other forms of it). A text
    of no such word stays as it is.

    Args:
        texts: to rewrite.
        model: it fills in.
        share: of the content words, hidden.
        top: a word is drawn from the so many likeliest ones; 1 takes the likeliest.
        nearness: weight, beside the log-probability, of the cosine between a word's embedding and
            that of the hidden one; 0: filled in blindly.
        seed: of the draws.
    """
    random = torch.Generator().manual_seed(seed)
    hidden, spun = hide_words(texts, share, seed, model), list(texts)
    for rows in in_batches([len(text.pieces) for text in hidden], 64):
        batch = [hidden[row] for row in rows]
        words = [word.group() for text in batch for word in text.words]
        if words:
            logits = preferences(words, masked_logits(batch, model), nearness, model)
            new = iter(draw(logits, top, random))
            for row, text in zip(rows, batch):
                changes = [(*word.span(), model.pieces[next(new)]) for word in text.words]
                spun[row] = rewrite(texts[row], changes)
    return spun


def hide_words(texts: Sequence[str], share: float, seed: int, model: Infiller) -> list[Hidden]:
    """The texts with some of their content words hidden, which ones is drawn by the seed."""
    encoded = model.tokenizer(
        list(texts), truncation=True, max_length=model.max_length, return_offsets_mapping=True
    )
    hidden = []
    for row, (text, spans) in enumerate(zip(texts, encoded["offset_mapping"])):
        words = choose_words(text, spans, share, np.random.default_rng([seed, row]))
        ids, mask = encoded["input_ids"][row], model.tokenizer.mask_token_id
        hidden.append(mask_words(ids, spans, words, mask))
    return hidden


def choose_words(
    text: str, spans: Sequence[tuple[int, int]], share: float, random: np.random.Generator
) -> list[re.Match[str]]:
    """A share of the content words of a text, at least one, in their order.

    Only words count at whose first letter a piece begins and that were not cut off.

    Args:
        text: the text.
        spans: where each of its pieces, special ones included, begins and ends in it.
        share: of the words.
        random: draws them.
    """
    begins = {start for start, end in spans if end > start}
    words = [
        word
        for word in content_words(text)
        if word.start() in begins and word.end() <= spans[-2][1]
    ]
    count = min(len(words), max(1, round(share * len(words))))
    return [words[i] for i in sorted(random.permutation(len(words))[:count])]


def mask_words(
    ids: Sequence[int], spans: Sequence[tuple[int, int]], words: list[re.Match[str]], mask: int
) -> Hidden:
    """A text's pieces with those of each word replaced by one mask."""
    starts = {word.start() for word in words}
    inside = {place for word in words for place in range(*word.span())}
    pieces, masks = [], []
    for piece, (start, end) in zip(ids, spans):
        if end > start and start in starts:
            masks.append(len(pieces))
            pieces.append(mask)
        elif end == start or start not in inside:
            pieces.append(piece)
    return Hidden(pieces, masks, words)


@torch.inference_mode()
def masked_logits(batch: Sequence[Hidden], model: Infiller) -> Tensor:
    """The model's logits at all masks of some texts, in their order.

    *Shape:* ``[hidden words, guessed]``, float32 since the words that come of them are data.
    """
    network = model.teacher.model
    inputs = collate([text.pieces for text in batch], model.tokenizer.pad_token_id)
    positions = torch.full_like(inputs["input_ids"], NOWHERE)
    for row, text in enumerate(batch):
        positions[row, text.masks] = 0
    device = next(network.parameters()).device
    return network(**send_to_device(inputs | {"positions": positions}, device)).float().cpu()


def preferences(words: Sequence[str], logits: Tensor, nearness: float, model: Infiller) -> Tensor:
    """Logits that favour pieces near to the hidden word and exclude what may not be filled in.

    Args:
        words: the hidden words.
        logits: of the guessed pieces in the place of each. *Shape:* ``[words, guessed]``.
        nearness: weight of the cosine between the embeddings of piece and hidden word.
        model: whose pieces these are.
    """
    logits = logits.masked_fill(model.barred, -torch.inf)
    for row, word in enumerate(words):
        logits[row] += nearness * (model.embedding[model.guessed] @ model.embedded(word))
        logits[row, model.stems == word.lower()[:STEM]] = -torch.inf
    return logits


def draw(logits: Tensor, top: int, random: torch.Generator) -> list[int]:
    """For each row one of its ``top`` likeliest columns, in proportion to their probabilities."""
    likeliest, columns = logits.topk(top)
    chosen = torch.multinomial(likeliest.softmax(-1), 1, generator=random)
    return columns.gather(1, chosen).squeeze(1).tolist()
