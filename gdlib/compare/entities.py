"""Entity F1: an entity is right if its kind, its beginning and its end are (conlleval; read by
``seqeval``).

F1 is counted a language, over all its entities (micro), and averaged over languages, as in
XtremeDistil (arXiv 2004.05686). Everything is kept as counts a sentence, so that sentences can be
resampled.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from seqeval.metrics.sequence_labeling import get_entities

from gdlib.compare.metrics import f1_from_counts

Tags = Sequence[Sequence[str]]


def entity_counts(gold: Tags, predicted: Tags) -> NDArray[np.int16]:
    """Of every sentence: entities found *right*, *predicted* and *gold*. *Shape:* ``[sentences,
    3]``.

    A predicted ``I-`` without a beginning before it begins an entity, as conlleval has it.

    Raises:
        ValueError: a sentence whose tags are not as many as the gold ones.
    """
    rows = []
    for number, (true, said) in enumerate(zip(gold, predicted, strict=True)):
        if len(true) != len(said):
            raise ValueError(f"sentence {number}: {len(true)} gold tags and {len(said)} predicted")
        true_entities, said_entities = set(get_entities(list(true))), set(get_entities(list(said)))
        rows.append((len(true_entities & said_entities), len(said_entities), len(true_entities)))
    return np.array(rows, dtype=np.int16).reshape(-1, 3)


def by_language(counts: NDArray[np.integer], languages: Sequence[str]) -> NDArray[np.float32]:
    """Counts of sentences spread over their languages, as :mod:`gdlib.compare.stats` resamples
    them.

    *Shape:* ``[seeds, sentences, 3]`` -> ``[sentences, seeds, 3, languages]``, the languages in the
    order they first occur.
    """
    order = list(dict.fromkeys(languages))
    of = np.eye(len(order), dtype=np.float32)[
        [order.index(language) for language in languages]
    ]  # [sentences, languages]
    return np.moveaxis(counts, 0, 1)[..., None] * of[:, None, None, :]


def f1_by_language(counts: NDArray[np.integer], languages: Sequence[str]) -> dict[str, float]:
    """F1 of every language from counts ``[sentences, 3]``."""
    sums = by_language(counts[None], languages).sum(axis=(0, 1))
    return dict(zip(dict.fromkeys(languages), f1_from_counts(*sums.astype(np.float64)).tolist()))
