"""Texts that are nearly the same, and texts that share a run of words."""

from collections.abc import Iterable, Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from gdlib.sources.parts import normalise

PERMUTATIONS = 128
Words = tuple[str, ...]


def words_of(text: str) -> Words:
    """The words by which texts are compared: without case and punctuation."""
    return tuple(normalise(text).split())


def shingles(words: Words) -> frozenset[Words]:
    """The word 3-grams of a text; a shorter text is one shingle."""
    return frozenset(words[i : i + 3] for i in range(max(1, len(words) - 2)))


def jaccard(a: frozenset, b: frozenset) -> float:
    """``|a & b| / |a | b|``."""
    return len(a & b) / len(a | b)


class NearDuplicates:
    """Texts that can be asked for near-duplicates: MinHash finds candidates, exact Jaccard
    similarity of word 3-grams decides.

    So a text is called a near-duplicate only if it is one; MinHash can miss one close to the
    threshold, and since the candidates are looked up well below it, it seldom does.

    Args:
        threshold: the similarity from which two texts count as one.
        texts: to begin with.
    """

    def __init__(self, threshold: float, texts: Iterable[Words] = ()):
        self.threshold = threshold
        self.index = MinHashLSH(threshold=max(0.1, threshold - 0.2), num_perm=PERMUTATIONS)
        self.shingles: list[frozenset[Words]] = []
        for words in filter(None, texts):
            self.add(words)

    def add(self, words: Words) -> None:
        self.index.insert(len(self.shingles), _sketch(words))
        self.shingles.append(shingles(words))

    def has(self, words: Words) -> bool:
        """Whether one of the texts is a near-duplicate of this one."""
        own, candidates = shingles(words), self.index.query(_sketch(words))
        return any(jaccard(own, self.shingles[i]) >= self.threshold for i in candidates)


def _sketch(words: Words) -> MinHash:
    sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
    joined = (" ".join(shingle) for shingle in sorted(shingles(words)))
    sketch.update_batch([text.encode("utf-8", "surrogatepass") for text in joined])
    return sketch


def sharing_runs(texts: Sequence[str], others: Iterable[str], length: int) -> NDArray[np.bool_]:
    """Which texts share a run of ``length`` words with one of the others. *Shape:* ``[texts]``."""
    known = {run for text in others for run in _runs(text, length)}
    return np.array([not known.isdisjoint(_runs(text, length)) for text in texts], dtype=bool)


def _runs(text: str, length: int) -> set[Words]:
    words = words_of(text)
    return {words[i : i + length] for i in range(len(words) - length + 1)}
