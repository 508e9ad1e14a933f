"""Word sense disambiguation without training: at random, the first sense, Lesk's overlap of words;
and how frequent a sense is, as evidence beside any method's own.

Every method gives a score to each candidate of every instance; the answer is the candidate with the
largest score, the more frequent sense between equal ones.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from gdlib.compare.choices import fit_weights
from gdlib.sources.senses import Instance
from gdlib.sources.wordnet import WORD, base_forms

FREQUENCY = " + frequency"
"""What the name of a method ends in whose scores are weighed with how frequent each sense is."""

BASELINES = ("random", "first sense", "Lesk", "similarity", "similarity" + FREQUENCY)
"""Methods without training."""


def at_random(instances: Sequence[Instance], seed: int) -> list[np.ndarray]:
    """Scores drawn by the seed."""
    random = np.random.default_rng(seed)
    return [random.random(len(instance.candidates)) for instance in instances]


def first_sense(instances: Sequence[Instance]) -> list[np.ndarray]:
    """WordNet's own order, which is by frequency in its sense-tagged texts."""
    return [-np.arange(len(instance.candidates), dtype=float) for instance in instances]


def weighed(
    scores: Sequence[np.ndarray], instances: Sequence[Instance], chosen: NDArray[np.bool_]
) -> list[np.ndarray]:
    """Scores with how frequent each sense is beside them, as the chosen instances weigh both
    (:func:`gdlib.compare.choices.fit_weights`).

    A network that has seen a few thousand words in sentences cannot know which senses are frequent;
    the dictionary does: by its count of occurrences in sense-tagged texts, and by the order in
    which it lists the senses.

    Args:
        scores: of the candidates of every instance.
        instances: any.
        chosen: which of the instances the weights are fitted on. *Shape:* ``[instances]``.
    """
    evidence = []
    for own, instance in zip(scores, instances, strict=True):
        tagged = np.log1p([sense.tag_count for sense in instance.candidates])
        rank = -np.log(np.arange(1, len(own) + 1))
        evidence.append(np.column_stack([own, tagged, rank]))
    places = np.flatnonzero(chosen)
    weights = fit_weights([evidence[i] for i in places], [instances[i].gold for i in places])
    return [each @ weights for each in evidence]


def lesk(instances: Sequence[Instance]) -> list[np.ndarray]:
    """How many content words, in any of their forms, sentence and gloss have in common (simplified
    Lesk, Kilgarriff and Rosenzweig 2000).

    The gloss is the definition alone: WordNet's examples would give the embedded test away.
    """
    scores = []
    for instance in instances:
        target = base_forms(instance.word.lower(), instance.pos)
        context = content(" ".join(instance.sides)) - target
        overlaps = [len(context & content(sense.definition)) for sense in instance.candidates]
        scores.append(np.array(overlaps, dtype=float))
    return scores


def content(text: str) -> set[str]:
    """The words of a text that are no stop words, with the lemmas that they may be forms of."""
    words = {word.lower() for word in WORD.findall(text)} - ENGLISH_STOP_WORDS
    lemmas: set[str] = set()
    for word in words:
        if word[0].isalnum():
            lemmas |= {*base_forms(word, "noun"), *base_forms(word, "verb")}
    return lemmas
