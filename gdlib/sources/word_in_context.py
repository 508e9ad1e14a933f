"""The task word-in-context: is a word meant in the same sense in two sentences (after Pilehvar and
Camacho-Collados 2019)? Made of WordNet's example sentences.
"""

from collections import defaultdict
from collections.abc import Collection
from itertools import combinations

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus
from gdlib.sources import senses
from gdlib.sources.cards import WORD_IN_CONTEXT
from gdlib.sources.parts import normalise
from gdlib.sources.senses import Instance
from gdlib.sources.splits import TASKS_TEST_SEED, shuffled

PAIRS_PER_LEMMA = 4  # of each label, at most
LABELS = ("another sense", "the same sense")
Pair = tuple[str, str, str]


def tables(seen: Collection[str] = ()) -> dict[str, pd.DataFrame]:
    """Pairs of sentences with one lemma, in quotes, by split: sentence1, sentence2, label.

    Only lemmas of the embedded test side are taken (:func:`gdlib.sources.senses.split`), and none
    of ``seen``: no encoder has been trained on them. Half of the lemmas are for testing; no
    sentence is on both sides. Each lemma has as many pairs of one label as of the other, so that
    the lemma alone tells nothing.
    """
    seen = set(seen)
    groups: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in senses.load("wordnet", seed=0).tests[senses.EXAMPLES]:
        if instance.lemma not in seen:
            groups[instance.lemma, instance.pos].append(instance)
    lemmas = sorted({lemma for lemma, _ in groups})
    for_test = dict(zip(lemmas, np.random.default_rng(TASKS_TEST_SEED).random(len(lemmas)) < 0.5))
    train: list[Pair] = []
    test: list[Pair] = []
    for place, ((lemma, _), group) in enumerate(sorted(groups.items())):
        (test if for_test[lemma] else train).extend(_pairs(group, place))
    in_test = {normalise(text) for *texts, _ in test for text in texts}
    train = [pair for pair in train if in_test.isdisjoint(map(normalise, pair[:2]))]
    if not train or not test:
        raise BadCorpus(
            f"task {WORD_IN_CONTEXT}: too few lemmas are left beside the {len(seen)} that lexical "
            "training met"
        )
    columns = ["sentence1", "sentence2", "label"]
    return {
        split: pd.DataFrame(pairs, columns=columns)
        for split, pairs in (("train", train), ("test", test))
    }


def _pairs(group: list[Instance], place: int) -> list[Pair]:
    """Pairs of the instances of one lemma, as many of one label as of the other. Two instances that
    share some but not all of their right senses are no pair.
    """
    by_label: dict[bool, list[tuple[Instance, Instance]]] = {False: [], True: []}
    for first, second in combinations(group, 2):
        keys, others = set(first.sense_keys), set(second.sense_keys)
        if keys == others or not keys & others:
            by_label[keys == others].append((first, second))
    number = min(PAIRS_PER_LEMMA, *map(len, by_label.values()))
    rows = []
    for label, pairs in by_label.items():
        for row in shuffled(len(pairs), TASKS_TEST_SEED, place)[:number]:
            rows.append((*map(quoted, pairs[row]), LABELS[label]))
    return rows


def quoted(instance: Instance) -> str:
    """The sentence with the word in quotes, as in lexical training."""
    left, right = instance.sides
    return " ".join(part for part in (left, f'" {instance.word} "', right) if part)
