"""Scraps: transfer texts made from labelled ones by cutting and joining, without a language model.

They cost nothing to write. So they are what a generator has to beat: whatever a student learns from
the teacher's labels of scraps, it did not need a language model for.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice

import numpy as np

from gdlib.sources.parts import normalise

Words = list[list[str]]
IN_VAIN = 400  # draws without a new text after which there are taken to be none


def _word(texts: Words, random: np.random.Generator) -> list[str]:
    return [random.choice(texts[random.integers(len(texts))])]


def _pair(texts: Words, random: np.random.Generator) -> list[str]:
    return _word(texts, random) + _word(texts, random)


def _crop(texts: Words, random: np.random.Generator) -> list[str]:
    words = texts[random.integers(len(texts))]
    length = max(1, round(len(words) * random.uniform(0.5, 1.0)))
    start = random.integers(len(words) - length + 1)
    return words[start : start + length]


def _splice(texts: Words, random: np.random.Generator) -> list[str]:
    first, second = (texts[random.integers(len(texts))] for _ in range(2))
    return first[: -(-len(first) // 2)] + second[len(second) // 2 :]


KINDS: dict[str, Callable[[Words, np.random.Generator], list[str]]] = {
    "word": _word,
    "pair": _pair,
    "crop": _crop,
    "splice": _splice,
}
"""A word; two words of any texts; half of a text or more, uncut within; the first half of a text
and the second half of another. The first three are Tang et al.'s (arXiv 1903.12136) in spirit.
"""


def scraps(texts: Sequence[str], number: int, seed: int) -> list[str]:
    """At most ``number`` different texts, made from the given ones, every kind in turn.

    Args:
        texts: labelled texts to cut up; none of the scraps equals one of them.
        number: how many to make. Few short texts give fewer.
        seed: of the draw. A smaller number gives the beginning of a larger one's.
    """
    return [" ".join(words) for words in islice(_different(texts, seed), number)]


def _different(texts: Sequence[str], seed: int) -> Iterator[list[str]]:
    words = [text.split() for text in texts if text.split()]
    seen = {normalise(text) for text in texts}
    random = np.random.default_rng([seed, len(KINDS)])
    since_new = 0
    for maker in cycle(KINDS.values()):
        if since_new == IN_VAIN or not words:
            return
        made = maker(words, random)
        key = normalise(" ".join(made))
        since_new += 1
        if key and key not in seen:
            seen.add(key)
            since_new = 0
            yield made
