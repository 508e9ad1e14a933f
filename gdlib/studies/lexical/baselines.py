"""Word sense disambiguation without training: at random, the first sense, and Lesk's overlap of
words.

Every method gives, of every instance, a score a candidate; the answer is the candidate with the
largest score, the more frequent sense between equal ones.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from gdlib.sources.lexicon import base_forms
from gdlib.sources.senses import WORD, Instance


def at_random(instances: Sequence[Instance], seed: int) -> list[np.ndarray]:
    """Scores drawn by the seed."""
    random = np.random.default_rng(seed)
    return [random.random(len(one.candidates)) for one in instances]


def first_sense(instances: Sequence[Instance]) -> list[np.ndarray]:
    """WordNet's own order, which is by frequency in its sense-tagged texts."""
    return [-np.arange(len(one.candidates), dtype=float) for one in instances]


def lesk(instances: Sequence[Instance]) -> list[np.ndarray]:
    """How many content words, in any of their forms, sentence and gloss have in common (simplified
    Lesk, Kilgarriff and Rosenzweig 2000).

    The gloss is the definition alone: WordNet's examples would give the embedded test away.
    """
    found = []
    for one in instances:
        words = content(" ".join(one.sides)) - base_forms(one.word.lower(), one.pos)
        found.append(
            np.array(
                [len(words & content(sense.definition)) for sense in one.candidates], dtype=float
            )
        )
    return found


def content(text: str) -> set[str]:
    """The words of a text that are no stop words, with the lemmas that they may be forms of."""
    words = {word.lower() for word in WORD.findall(text)} - ENGLISH_STOP_WORDS
    return {
        form
        for word in words
        if word[0].isalnum()
        for pos in ("noun", "verb")
        for form in base_forms(word, pos)
    }
