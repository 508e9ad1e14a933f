"""Texts that are nearly the same, and texts that share a run of words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gdlib.sources.parts import normalise

Words = tuple[str, ...]


def words_of(text: str) -> Words:
    """The words by which texts are compared: without case and punctuation."""
    return tuple(normalise(text).split())


def shingles(words: Words) -> frozenset[Words]:
    """The word 3-grams of a text; a shorter text is one shingle."""
    return frozenset(words[i : i + 3] for i in range(max(1, len(words) - 2)))


class NearDuplicates:
    """Texts that can be asked for near-duplicates: those whose sets of word 3-grams have a Jaccard
    similarity of the threshold or more.

    The answer is exact: an index from each 3-gram to the texts that have it gives the size of every
    overlap that is not empty.

    Args:
        threshold: above 0, at most 1.
        texts: to begin with.
    """

    def __init__(self, threshold: float, texts: Iterable[Words] = ()):
        self.threshold = threshold
        self.texts_with: dict[Words, list[int]] = defaultdict(list)
        self.sizes: list[int] = []
        for words in filter(None, texts):
            self.add(words)

    def add(self, words: Words) -> None:
        own = shingles(words)
        for shingle in own:
            self.texts_with[shingle].append(len(self.sizes))
        self.sizes.append(len(own))

    def has(self, words: Words) -> bool:
        """Whether one of the texts is a near-duplicate of this one."""
        own = shingles(words)
        shared = Counter(text for shingle in own for text in self.texts_with.get(shingle, ()))
        return any(
            common >= self.threshold * (len(own) + self.sizes[text] - common)
            for text, common in shared.items()
        )


def near_groups(texts: Sequence[Words], threshold: float) -> list[int]:
    """Groups of near-duplicates: for each text, the place of the first text of its group.

    A text joins the group whose first text is a near-duplicate of it (of several, the one with
    which it shares most 3-grams); otherwise it is the first of a group of its own. So all texts of
    a group are like its first one, and no chain of small changes joins texts that differ. A text
    without a word is alone. ``threshold``: as in :class:`NearDuplicates`.
    """
    known, firsts, groups = NearDuplicates(threshold), [], list(range(len(texts)))
    for place, words in enumerate(texts):
        if known.has(words):
            shared = Counter(k for each in shingles(words) for k in known.texts_with.get(each, ()))
            near = (firsts[k] for k, _ in shared.most_common())
            groups[place] = next(
                k for k in near if NearDuplicates(threshold, [texts[k]]).has(words)
            )
        elif words:
            known.add(words)
            firsts.append(place)
    return groups


def sharing_runs(texts: Sequence[str], others: Iterable[str], length: int) -> NDArray[np.bool_]:
    """Which texts share a run of ``length`` words with one of the others. *Shape:* ``[texts]``."""
    known = {run for text in others for run in _runs(text, length)}
    return np.array([not known.isdisjoint(_runs(text, length)) for text in texts], dtype=bool)


def _runs(text: str, length: int) -> set[Words]:
    words = words_of(text)
    return {words[i : i + length] for i in range(len(words) - length + 1)}
