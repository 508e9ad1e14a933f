"""Splits for the low-label setting: few labelled texts, a held-out part of them, a transfer set, a
test set.

The parts share no text, where two texts are the same if :func:`~gdlib.sources.parts.normalise`
makes them so. The test set never depends on the seed. For one seed, a smaller labelled set is part
of a larger one, and so are its training and held-out parts.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.core.settings import digest
from gdlib.sources.corpora import Corpus
from gdlib.sources.parts import Part

# Of the draws of test parts, whatever seed the study has. Each kind of corpus has its own, since
# the published results were drawn by them.
TEST_SEED, SENSES_TEST_SEED, TASKS_TEST_SEED = 20200203, 21060796, 22130108
TEST_SHARE = 1 / 3  # of a corpus without a test set of its own, at most


# ---- what every splitter is made of


def shuffled(number: int, *seed: int) -> list[int]:
    """The rows 0 to ``number``, in an order drawn by the seed."""
    return np.random.default_rng(seed).permutation(number).tolist()


def drawn(number: int, size: int, *seed: int) -> list[int]:
    """At most ``size`` of the rows 0 to ``number``, drawn by the seed, in ascending order."""
    return sorted(shuffled(number, *seed)[:size])


def fresh(
    keys: Sequence[Hashable],
    seen: set,
    order: Iterable[int] | None = None,
    size: int | None = None,
) -> list[int]:
    """The first rows whose key has not been seen; they have been seen from then on.

    Args:
        keys: what makes two rows the same.
        seen: the keys seen so far; those of the rows returned are added.
        order: of looking at the rows; None: as they stand.
        size: how many to return at most; None: all.
    """
    rows: list[int] = []
    for row in range(len(keys)) if order is None else order:
        if len(rows) == size:
            break
        if keys[row] not in seen:
            seen.add(keys[row])
            rows.append(row)
    return rows


def divide(number: int, held_out_share: float) -> tuple[list[int], list[int]]:
    """The places 0 to ``number``, divided into those to train on and those held out.

    The held-out ones are spread evenly, so that the beginning of a longer list is divided alike.
    """
    counts = [round(place * held_out_share) for place in range(number + 1)]
    places: tuple[list[int], list[int]] = ([], [])
    for place in range(number):
        places[counts[place + 1] > counts[place]].append(place)
    return places


# ---- the splits


@dataclass(frozen=True)
class Splits:
    """Disjoint parts of a corpus of texts.

    ``train`` and ``validation`` together are the labelled set; ``transfer`` is real text that the
    teacher labels (its gold labels are known to us where the corpus has them, else the list is
    empty); ``test`` is never chosen by. ``dropped`` counts, for the part whose source it was (in a
    tagged corpus: by language), what was left out because it was there already.
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
        return type(self.train).join([self.train, self.validation])

    @cached_property
    def digest(self) -> str:
        """Over class names (or tags), texts and labels of every part."""
        return digest([self.labels, [[name, part.digest] for name, part in self.parts.items()]])

    def counts(self) -> pd.DataFrame:
        """A row a split: split, texts, one column a class (NaN where no labels are known), words
        (mean), dropped.
        """
        rows = []
        for name, part in self.parts.items():
            per_class = np.full(len(self.labels), np.nan)
            if part.labels:
                per_class = np.bincount(part.labels, minlength=len(self.labels))
            words = np.mean([len(text.split()) for text in part.texts]) if part.texts else np.nan
            rows.append([name, len(part), *per_class, words, self.dropped.get(name, 0)])
        return pd.DataFrame(rows, columns=["split", "texts", *self.labels, "words", "dropped"])


# ---- texts


def draw_test(corpus: Corpus, test_size: int) -> tuple[Part, set[str]]:
    """The test part, whatever the seed and the number of labels, and the keys of all texts that no
    other part may have.

    It is drawn stratified, at most ``test_size`` texts, from the corpus's own test part; from train
    where it has none, then at most a third of it.
    """
    own, pool = corpus.parts.get("test"), corpus.parts["train"]
    if own:
        return own.take(_stratified(own.labels, test_size)), set(own.keys())
    pool = pool.take(fresh(pool.keys(), set()))
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
    - labelled: ``labels_per_class`` a class of train; of them ``validation_share`` (rounded) is
      held out. A validation part that the corpus brings along is not used: with few labels it would
      be labels for free.
    - transfer: at most ``transfer_size`` texts of the unlabelled part; of what is left of train
      where it has none.

    Raises:
        BadCorpus: a class has fewer texts than asked for; the message says which.
        BadSetting: nothing would be left to train on.
    """
    if round(labels_per_class * validation_share) >= labels_per_class:
        raise BadSetting(
            f"labels_per_class = {labels_per_class} with validation_share = {validation_share} "
            "leaves no text to train on"
        )
    test, unseen = draw_test(corpus, test_size)
    whole = corpus.parts["train"]
    pool = whole.take(fresh(whole.keys(), set(unseen)))
    members = _by_class(pool.labels, len(corpus.labels), seed)
    for label, rows in zip(corpus.labels, members, strict=True):
        if len(rows) < labels_per_class:
            raise BadCorpus(
                f'corpus {corpus.name}: class "{label}" has {len(rows)} texts left beside the test '
                f"set, labels_per_class = {labels_per_class} asked for"
            )
    train, validation = (
        pool.take(rows[place] for place in places for rows in members)
        for places in divide(labels_per_class, validation_share)
    )

    source = corpus.parts.get("unlabeled", pool)
    rest = source.take(fresh(source.keys(), unseen.union(train.keys(), validation.keys())))
    transfer = rest.take(shuffled(len(rest), seed, len(corpus.labels))[:transfer_size])
    own_test = "test" in corpus.parts
    dropped = {"train": len(whole) - len(pool) - (0 if own_test else len(test))}
    if "unlabeled" in corpus.parts:
        dropped["transfer"] = len(source) - len(rest)
    return Splits(corpus.labels, train, validation, transfer, test, dropped)


def _by_class(labels: Sequence[int], num_classes: int, seed: int) -> list[list[int]]:
    """The rows of every class, in an order drawn by the seed."""
    classes = [np.flatnonzero(np.asarray(labels, dtype=int) == c) for c in range(num_classes)]
    return [rows[shuffled(len(rows), seed, c)].tolist() for c, rows in enumerate(classes)]


def _stratified(labels: Sequence[int], size: int) -> list[int]:
    """At most ``size`` rows of a test part, in ascending order, every class with its share (largest
    remainders first).
    """
    size = min(size, len(labels))
    members = _by_class(labels, max(labels) + 1, TEST_SEED)
    quota = np.array([len(rows) for rows in members]) * size / len(labels)
    count = np.floor(quota).astype(int)
    largest = np.argsort(count - quota, kind="stable")
    count[largest[: size - count.sum()]] += 1
    return sorted(row for rows, n in zip(members, count, strict=True) for row in rows[:n])
