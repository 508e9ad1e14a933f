"""The words of a text that can be replaced, and how a text is rewritten with others."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from gdlib.sources.synonyms import synonyms

WORD = re.compile(r"(?<![\w'’])[^\W\d_]+(?:['’][^\W\d_]+)*(?!\w)")
SENTENCE_START = re.compile(r"(^|[.!?:]['\"”’)]*)\s*['\"“‘(]*$")


def words_of(text: str) -> list[re.Match[str]]:
    """The words that may be replaced: of letters alone, two or more, and no name (a capital
    inside of a sentence, or several capitals).
    """
    words = []
    for match in WORD.finditer(text):
        word = match.group()
        if len(word) > 1 and word.isalpha() and word[1:].islower():
            if word[0].islower() or SENTENCE_START.search(text[: match.start()]):
                words.append(match)
    return words


def content_words(text: str) -> list[re.Match[str]]:
    """Those of them that are no stop words."""
    return [word for word in words_of(text) if word.group().lower() not in ENGLISH_STOP_WORDS]


def replaceable(text: str) -> list[tuple[re.Match[str], tuple[str, ...]]]:
    """The content words of a text that have synonyms, and these."""
    pairs = [(word, synonyms(word.group().lower())) for word in content_words(text)]
    return [(word, others) for word, others in pairs if others]


def rewrite(text: str, changes: Sequence[tuple[int, int, str]]) -> str:
    """A text with stretches (start, end) replaced, in the case of what stood there."""
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + (new.capitalize() if text[start].isupper() else new) + text[end:]
    return text


def with_synonyms(texts: Sequence[str], every: int, seed: int) -> list[str]:
    """Texts in which every so manieth replaceable word, from a place drawn at random, is one of its
    synonyms (:mod:`gdlib.sources.synonyms`): at least one word per text.
    """
    changed = []
    for row, text in enumerate(texts):
        random, places = np.random.default_rng([seed, row]), replaceable(text)
        first = int(random.integers(min(every, max(1, len(places)))))
        chosen = places[first::every]
        changes = [(*word.span(), str(random.choice(others))) for word, others in chosen]
        changed.append(rewrite(text, changes))
    return changed


def changed_words(original: str, spun: str) -> list[bool]:
    """Of every word of ``spun``, cut at white space: whether it is another than before, or stands
    in another order.

    Those that stay are the matching blocks of :class:`difflib.SequenceMatcher`.
    """
    before, after = original.split(), spun.split()
    changed = [True] * len(after)
    for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        changed[block.b : block.b + block.size] = [False] * block.size
    return changed


def changed_share(original: str, spun: str) -> float:
    """Share of both texts' words that do not stand in both, in the same order; 0 of no words."""
    changed = changed_words(original, spun)
    words = len(original.split()) + len(changed)
    return 1 - 2 * changed.count(False) / words if words else 0.0
