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


def tables(seen: Collection[str] = ()) -> dict[str, pd.DataFrame]:
    """Pairs of sentences with one lemma, in quotes, by split: sentence1, sentence2, label.

    Only lemmas of the embedded test side are taken (:func:`gdlib.sources.senses.split`), and none
    of ``seen``: no encoder has been trained on them. Half of the lemmas are for testing; no
    sentence is on both sides. Each lemma has as many pairs of one label as of the other, so that
    the lemma alone tells nothing.
    """
    met = set(seen)
    instances = senses.load("wordnet", seed=0).tests[senses.EXAMPLES]
    groups: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in instances:
        if instance.lemma not in met:
            groups[instance.lemma, instance.pos].append(instance)
    lemmas = sorted({lemma for lemma, _ in groups})
    for_test = dict(zip(lemmas, np.random.default_rng(TASKS_TEST_SEED).random(len(lemmas)) < 0.5))
    rows: dict[str, list[tuple[str, str, str]]] = {"train": [], "test": []}
    for place, ((lemma, _), group) in enumerate(sorted(groups.items())):
        rows["test" if for_test[lemma] else "train"] += _pairs(group, place)
    in_test = {normalise(text) for *pair, _ in rows["test"] for text in pair}
    rows["train"] = [
        row for row in rows["train"] if not in_test & {normalise(row[0]), normalise(row[1])}
    ]
    if not rows["train"] or not rows["test"]:
        raise BadCorpus(
            f"task {WORD_IN_CONTEXT}: too few lemmas are left beside the {len(met)} that lexical "
            "training met"
        )
    columns = ["sentence1", "sentence2", "label"]
    return {split: pd.DataFrame(side, columns=columns) for split, side in rows.items()}


def _pairs(group: list[Instance], place: int) -> list[tuple[str, str, str]]:
    """Pairs of the instances of one lemma, as many of one label as of the other."""
    by_label: dict[bool | None, list[tuple[Instance, Instance]]] = defaultdict(list)
    for pair in combinations(group, 2):
        by_label[same_sense(*pair)].append(pair)
    number = min(PAIRS_PER_LEMMA, len(by_label[False]), len(by_label[True]))
    rows = []
    for label in (False, True):
        for row in shuffled(len(by_label[label]), TASKS_TEST_SEED, place)[:number]:
            first, second = by_label[label][row]
            rows.append((quoted(first), quoted(second), LABELS[label]))
    return rows


def same_sense(left: Instance, right: Instance) -> bool | None:
    """Whether two instances of a lemma have the same right senses; None where they share some but
    not all of them.
    """
    left_keys, right_keys = set(left.sense_keys), set(right.sense_keys)
    if left_keys == right_keys:
        return True
    return None if left_keys & right_keys else False


def quoted(instance: Instance) -> str:
    """The sentence with the word in quotes, as in lexical training."""
    left, right = instance.sides
    return " ".join(part for part in (left, f'" {instance.word} "', right) if part)
