"""Splits for the low-label setting: few labelled texts, a held-out part of them, a transfer set, a
test set.

The parts share no text, where two texts are the same if :func:`~gdlib.sources.parts.normalise`
makes them the same. The test set never depends on the seed. For one seed, a smaller labelled set is
part of a larger one, and so are its training and held-out parts.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.core.settings import digest
from gdlib.sources.corpora import Corpus
from gdlib.sources.duplicates import NearDuplicates, words_of
from gdlib.sources.parts import Part

# The seeds that test parts are drawn by, whatever seed the study has. Each kind of corpus has its
# own, since the published results were drawn by them.
TEST_SEED, SENSES_TEST_SEED, TASKS_TEST_SEED = 20200203, 21060796, 22130108
# Jaccard similarity of word 3-grams from which a text is too like a test text to stand in another
# part. A text of eleven words or more of which one was changed is.
NEAR_TEST = 0.5
TEST_SHARE = 1 / 3  # of a corpus without a test set of its own, at most


# ---- what every splitter is made of


def shuffled(number: int, *seed: int) -> list[int]:
    """The rows 0 to ``number``, in an order drawn by the seed."""
    return np.random.default_rng(seed).permutation(number).tolist()


def drawn(number: int, size: int, *seed: int) -> list[int]:
    """At most ``size`` of the rows 0 to ``number``, drawn by the seed, in ascending order."""
    return sorted(shuffled(number, *seed)[:size])


def divide(number: int, held_out_share: float, knob: str) -> tuple[list[int], list[int]]:
    """The places 0 to ``number``, divided into those to train on and those held out.

    The held-out places are spread evenly, so that the beginning of a longer list is divided alike.

    Raises:
        BadSetting: there would be nothing to train on, or nothing held out though a share of it
            should be; ``knob`` is the name of the number.
    """
    counts = [round(place * held_out_share) for place in range(number + 1)]
    held_out = np.diff(counts) > 0
    places = np.flatnonzero(~held_out).tolist(), np.flatnonzero(held_out).tolist()
    if not places[0] or held_out_share and not places[1]:
        raise BadSetting(
            f"{knob} = {number} with validation_share = {held_out_share} holds out "
            f"{len(places[1])}; expected at least one text to train on and one to choose by"
        )
    return places


# ---- the splits


@dataclass(frozen=True)
class Splits:
    """Disjoint parts of a corpus of texts.

    ``train`` and ``validation`` together are the labelled set. ``transfer`` is real text that the
    teacher labels; its gold labels are there where the corpus has them, else the list is empty.
    Nothing is ever chosen by ``test``. ``dropped`` counts what was left out because it was there
    already, for the part whose source it was (in a tagged corpus: per language).
    """

    labels: tuple[str, ...]
    train: Part
    validation: Part
    transfer: Part
    test: Part
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Part]:
        return {name: getattr(self, name) for name in ("train", "validation", "transfer", "test")}

    @property
    def labelled(self) -> Part:
        """The whole labelled budget: train, then the held-out part."""
        return self.train.join([self.train, self.validation])

    @cached_property
    def digest(self) -> str:
        """Over class names (or tags), texts and labels of every part."""
        return digest([self.labels, [part.digest for part in self.parts.values()]])

    def counts(self) -> pd.DataFrame:
        """A row per split: split, texts, one column per class (NaN where no labels are known),
        words (mean), dropped. A class that is named like one of the other columns is marked.
        """
        columns = {"split", "texts", "words", "dropped"}
        names = [f"{label} (class)" if label in columns else label for label in self.labels]
        rows = []
        for name, part in self.parts.items():
            row = {"split": name, "texts": len(part)}
            for index, label in enumerate(names):
                row[label] = part.labels.count(index) if part.labels else np.nan
            words = pd.Series([len(text.split()) for text in part.texts], dtype=float).mean()
            rows.append(row | {"words": words, "dropped": self.dropped.get(name, 0)})
        return pd.DataFrame(rows)


# ---- texts


def draw_test(corpus: Corpus, test_size: int) -> tuple[Part, set[Hashable]]:
    """The test part, whatever the seed and the number of labels, and the keys of all texts that no
    other part may have.

    It is drawn stratified, at most ``test_size`` texts, from the corpus's own test part; from train
    where it has none, then at most a third of it.
    """
    own = corpus.parts.get("test")
    if own:
        return own.take(_stratified(own.labels, test_size)), set(own.keys())
    pool = corpus.parts["train"].unseen(set())
    test = pool.take(_stratified(pool.labels, min(test_size, int(len(pool) * TEST_SHARE))))
    return test, set(test.keys())


def split(
    corpus: Corpus,
    *,
    labels_per_class: int,
    validation_share: float,
    transfer_size: int,
    test_size: int,
    seed: int,
) -> Splits:
    """Draw the parts, each from what the ones before it left: test, labelled, transfer.

    - test: :func:`draw_test`.
    - Whatever is a near-duplicate of a test text (:data:`NEAR_TEST`) is in no other part.
    - labelled: ``labels_per_class`` texts per class of train; ``validation_share`` of them
      (rounded) is held out. A validation part that the corpus brings along is not used: with few
      labels it would be labels for free.
    - transfer: at most ``transfer_size`` texts of the unlabelled part; of what is left of train
      where there is none.

    Raises:
        BadCorpus: a class has fewer texts than asked for; the message says which.
        BadSetting: nothing would be left to train on, or to choose by if it should.
    """
    places = divide(labels_per_class, validation_share, "labels_per_class")
    test, seen, near_test, pool = _beside_test(corpus, test_size)
    members = _by_class(pool.labels, len(corpus.labels), seed)
    for label, rows in zip(corpus.labels, members, strict=True):
        if len(rows) < labels_per_class:
            raise BadCorpus(
                f'corpus {corpus.name}: class "{label}" has {len(rows)} texts left beside the test '
                f"set, labels_per_class = {labels_per_class} asked for"
            )
    labelled = [[rows[place] for place in chosen for rows in members] for chosen in places]
    train, validation = map(pool.take, labelled)

    unlabelled = corpus.parts.get("unlabeled")
    if unlabelled is not None:
        known = seen.union(train.keys(), validation.keys())
        rest = _unlike(near_test, unlabelled.unseen(known))
    else:
        rest = pool.take(sorted({*range(len(pool))}.difference(*labelled)))
    transfer = rest.take(shuffled(len(rest), seed, len(corpus.labels))[:transfer_size])
    whole = corpus.parts["train"]
    dropped = {"train": len(whole) - len(pool) - (0 if "test" in corpus.parts else len(test))}
    if unlabelled is not None:
        dropped["transfer"] = len(unlabelled) - len(rest)
    return Splits(corpus.labels, train, validation, transfer, test, dropped)


@lru_cache(1)
def _beside_test(
    corpus: Corpus, test_size: int
) -> tuple[Part, set[Hashable], NearDuplicates, Part]:
    """What all splits of a corpus share: the test part, the keys that no other part may have, the
    test texts to compare others with, and the texts of train that are like none of them.
    """
    test, seen = draw_test(corpus, test_size)
    near_test = NearDuplicates(NEAR_TEST, map(words_of, test.texts))
    pool = _unlike(near_test, corpus.parts["train"].unseen(set(seen)))
    return test, seen, near_test, pool


def _unlike(known: NearDuplicates, part: Part) -> Part:
    """The texts of a part that are no near-duplicate of known ones."""
    return part.take(row for row, text in enumerate(part.texts) if not known.has(words_of(text)))


def _by_class(labels: Sequence[int], num_classes: int, seed: int) -> list[list[int]]:
    """The rows of every class, in an order drawn by the seed."""
    classes = [np.flatnonzero(np.array(labels, int) == index) for index in range(num_classes)]
    return [rows[shuffled(len(rows), seed, index)].tolist() for index, rows in enumerate(classes)]


def _stratified(labels: Sequence[int], size: int) -> list[int]:
    """At most ``size`` rows of a test part, in ascending order, every class with its share (largest
    remainders first).
    """
    size = min(size, len(labels))
    members = _by_class(labels, max(labels) + 1, TEST_SEED)
    quota = np.array([len(rows) for rows in members]) * size / len(labels)
    counts = np.floor(quota).astype(int)
    largest = np.argsort(counts - quota, kind="stable")
    counts[largest[: size - counts.sum()]] += 1
    return sorted(row for rows, count in zip(members, counts) for row in rows[:count])
