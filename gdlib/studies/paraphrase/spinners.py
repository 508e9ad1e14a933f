"""Spinners: programs that put other words into a text, so that it passes for another one.

Two kinds, as data (:data:`SPINNERS`): a dictionary's synonyms, and a masked language model that
fills in words it cannot see. Both leave names, numbers, punctuation and the order of words as they
are, so that what they did can be counted word by word. Each is a function of its texts, its plan
and the seed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase

from gdlib.core.errors import BadSetting, unknown
from gdlib.learn.batches import autocast, collate, in_batches
from gdlib.networks.gloss_vectors import VectorModel
from gdlib.networks.layers import to_device
from gdlib.networks.mlm_teachers import MaskedTeacher, WholeMaskedLM
from gdlib.networks.mlm_texts import NOWHERE
from gdlib.networks.teacher import tokenize
from gdlib.sources import zoo
from gdlib.sources.synonyms import synonyms

WORD = re.compile(r"(?<![\w'’])[^\W\d_]+(?:['’][^\W\d_]+)*(?!\w)")
STEM = 4  # letters; words that begin with the same ones count as forms of one word
SENTENCE_END = re.compile(r"(^|[.!?:]['\"”’)]*)\s*['\"“‘(]*$")


@dataclass(frozen=True)
class SpinPlan:
    """How texts are spun.

    Args:
        synonym_every: of the content words that have a synonym every so manieth is replaced, from a
            place drawn at random.
        filled_share: share of the words that are hidden and filled in.
        filled_top: a filled-in word is drawn from the so many likeliest ones; 1 takes the
            likeliest.
        filled_nearness: weight, beside the log-probability, of the cosine between a word's
            embedding and that of the hidden one;
            0: filled in blindly.
        seed: of every draw.
    """

    synonym_every: int
    filled_share: float
    filled_top: int
    filled_nearness: float
    seed: int


@dataclass(frozen=True)
class Infiller:
    """A masked language model and its tokenizer (WordPiece)."""

    teacher: MaskedTeacher
    tokenizer: PreTrainedTokenizerBase
    max_length: int


@dataclass(frozen=True)
class Spinner:
    """A spinner: ``spin(texts, plan, infiller)`` gives the texts in other words; ``reads``: with
    the network that ``infiller()`` gives.
    """

    spin: Callable[[Sequence[str], SpinPlan, Callable[[], Infiller]], list[str]]
    reads: bool
    help: str


def words_of(text: str) -> list[re.Match[str]]:
    """The words that a spinner may touch: of letters alone, two or more, no name (a capital inside
    of a sentence, or several).
    """

    def plain(word: re.Match[str]) -> bool:
        said = word.group()
        lower = said[1:].islower() and (
            said[0].islower() or SENTENCE_END.search(text[: word.start()]) is not None
        )
        return len(said) > 1 and said.isalpha() and lower

    return [word for word in WORD.finditer(text) if plain(word)]


def replaceable(text: str) -> list[tuple[re.Match[str], tuple[str, ...]]]:
    """The content words of a text that have synonyms, and these."""
    words = ((word, word.group().lower()) for word in words_of(text))
    return [
        (word, found)
        for word, lower in words
        if lower not in ENGLISH_STOP_WORDS and (found := synonyms(lower))
    ]


def rewrite(text: str, changes: Sequence[tuple[int, int, str]]) -> str:
    """A text with stretches (start, end) replaced, in the case of what stood there."""
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + (new.capitalize() if text[start].isupper() else new) + text[end:]
    return text


def by_dictionary(texts: Sequence[str], plan: SpinPlan, infiller: object = None) -> list[str]:
    """Every so manieth replaceable word becomes one of its synonyms
    (:mod:`gdlib.sources.synonyms`), at least one word a text.
    """
    spun = []
    for row, text in enumerate(texts):
        random, places = np.random.default_rng([plan.seed, row]), replaceable(text)
        first = int(random.integers(min(plan.synonym_every, max(1, len(places)))))
        chosen = places[first :: plan.synonym_every]
        spun.append(
            rewrite(text, [(*word.span(), str(random.choice(found))) for word, found in chosen])
        )
    return spun


@torch.inference_mode()
def by_infilling(
    texts: Sequence[str], plan: SpinPlan, infiller: Callable[[], Infiller]
) -> list[str]:
    """A share of the words is hidden, all at once, a mask a word; a masked language model fills in
    others.

    Content words are hidden, and what may be filled in are content words that are pieces it
    guesses, but for those that begin as the hidden one does (itself, and other forms of it). A text
    of no such word stays as it is.
    """
    lm = infiller()
    encoded = lm.tokenizer(
        list(texts), truncation=True, max_length=lm.max_length, return_offsets_mapping=True
    )
    hidden = [_hide(text, ids, spans, lm.tokenizer.mask_token_id, plan, row)
              for row, (text, ids, spans) in enumerate(zip(texts, encoded["input_ids"], encoded["offset_mapping"]))]  # fmt: skip
    model, guessed = lm.teacher.model, lm.teacher.model.guessed.cpu()
    pieces = lm.tokenizer.convert_ids_to_tokens(guessed.tolist())
    barred = torch.tensor(
        [
            not (piece.isascii() and piece.isalpha() and len(piece) > 1)
            or piece in ENGLISH_STOP_WORDS
            for piece in pieces
        ]
    )
    alike: dict[str, list[int]] = {}  # pieces by their beginning
    for number, piece in enumerate(pieces):
        alike.setdefault(piece[:STEM], []).append(number)
    network = model.network if isinstance(model, WholeMaskedLM) else model.encoder
    embedding = F.normalize(network.get_input_embeddings().weight.detach().float().cpu(), dim=-1)
    random, spun, device = (
        torch.Generator().manual_seed(plan.seed),
        list(texts),
        next(model.parameters()).device,
    )
    for rows in in_batches([len(ids) for ids, *_ in hidden], 64):
        words = [(row, word) for row in rows for word in hidden[row][2]]
        if not words:
            continue
        batch = collate([hidden[row][0] for row in rows], lm.tokenizer.pad_token_id)
        masks = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
        for place, row in enumerate(rows):
            masks[place, hidden[row][1]] = True
        batch = {
            name: t.to(device)
            for name, t in (batch | {"positions": torch.where(masks, 0, NOWHERE)}).items()
        }
        logits = (
            model(**batch).float().cpu().masked_fill(barred, -torch.inf)
        )  # in float32: the words are data
        for place, (_, word) in enumerate(words):
            own = lm.tokenizer(word.group(), add_special_tokens=False)["input_ids"]
            logits[place] += plan.filled_nearness * (
                embedding[guessed] @ F.normalize(embedding[own].sum(0), dim=0)
            )
            logits[place, alike.get(word.group().lower()[:STEM], [])] = -torch.inf
        likely, ids = logits.topk(plan.filled_top)
        chosen = (
            ids.gather(1, torch.multinomial(likely.softmax(-1), 1, generator=random))
            .squeeze(1)
            .tolist()
        )
        for row in rows:
            spun[row] = rewrite(
                texts[row],
                [(*word.span(), pieces[i]) for (at, word), i in zip(words, chosen) if at == row],
            )
    return spun


def _hide(
    text: str, ids: list[int], spans: list[tuple[int, int]], mask: int, plan: SpinPlan, row: int
) -> tuple[list[int], list[int], list[re.Match[str]]]:
    """A text's pieces with those of each chosen word replaced by one mask, where these masks are,
    and the chosen words in their order.
    """
    begins = {
        start for start, end in spans if end > start
    }  # a word may begin inside of a piece, or be cut off
    words = [word for word in words_of(text) if word.group().lower() not in ENGLISH_STOP_WORDS]
    words = [word for word in words if word.start() in begins and word.end() <= spans[-2][1]]
    count = min(len(words), max(1, round(plan.filled_share * len(words))))
    chosen = [
        words[i]
        for i in sorted(np.random.default_rng([plan.seed, row]).permutation(len(words))[:count])
    ]
    starts, inside = (
        {word.start() for word in chosen},
        {i for word in chosen for i in range(*word.span())},
    )
    pieces, masks = [], []
    for piece, (start, end) in zip(ids, spans):
        if end > start and start in starts:
            masks.append(len(pieces))
            pieces.append(mask)
        elif end == start or start not in inside:
            pieces.append(piece)
    return pieces, masks, chosen


SPINNERS: dict[str, Spinner] = {
    "dictionary": Spinner(by_dictionary, False, "synonyms of WordNet, at a given frequency"),
    "masked-lm": Spinner(
        by_infilling, True, "words hidden and filled in by a masked language model"
    ),
}


def spin(
    name: str, texts: Sequence[str], plan: SpinPlan, infiller: Callable[[], Infiller]
) -> list[str]:
    """The texts in other words, in their order.

    Raises:
        UnknownName: no such spinner.
        BadSetting: a plan that changes nothing.
    """
    if name not in SPINNERS:
        raise unknown("spinner", name, SPINNERS)
    if plan.synonym_every < 1 or not 0 < plan.filled_share <= 1 or plan.filled_top < 1:
        raise BadSetting(
            f"synonym_every = {plan.synonym_every}, filled_share = {plan.filled_share}, "
            f"filled_top = {plan.filled_top}; "
            "expected 1 or more, a share above 0 up to 1, and 1 or more"
        )
    return SPINNERS[name].spin(texts, plan, infiller)


# ---- what was changed


def changed_share(original: str, spun: str) -> float:
    """Share of the words, cut at white space, that are others than before."""
    pairs = list(zip(original.split(), spun.split(), strict=True))
    return sum(a != b for a, b in pairs) / max(1, len(pairs))


@torch.inference_mode()
def similarity(
    network: zoo.Network, originals: Sequence[str], spun: Sequence[str], max_length: int
) -> Tensor:
    """Cosine of an encoder's mean states over each original and its paraphrase.

    *Shape:* ``[texts]``.
    """
    model, tokenizer = to_device(VectorModel(zoo.encoder(network))), zoo.tokenizer(network)
    device = next(model.parameters()).device
    encoded, vectors = (
        tokenize(tokenizer, [*originals, *spun], max_length),
        torch.empty(2 * len(originals), model.encoder.config.hidden_size),
    )
    for rows in in_batches([len(ids) for ids in encoded], 64):
        batch = {
            name: t.to(device)
            for name, t in collate([encoded[i] for i in rows], tokenizer.pad_token_id).items()
        }
        with autocast(device, "auto"):
            vectors[rows] = (
                model.vectors(**batch, pooled=batch["attention_mask"].bool()).float().cpu()
            )
    one, other = vectors.chunk(2)
    return (one * other).sum(-1)
