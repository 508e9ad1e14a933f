"""Splits for the low-label setting: few labelled texts, a held-out part of them, a transfer set, a
test set.

The parts share no text, where two texts are the same if :func:`normalise` makes them so. The test
set never depends on the seed. For one seed, a smaller labelled set is part of a larger one, and so
are its training and held-out parts.
"""

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.core.settings import digest
from gdlib.core.store import texts_digest
from gdlib.sources.corpora import Corpus, Part

TEST_SEED = 20200203  # of the test set's draw, whatever seed the study has
TEST_SHARE = 1 / 3  # of a corpus without a test set of its own, at most

__all__ = ["Part", "Splits", "normalise", "split"]


@dataclass(frozen=True)
class Splits:
    """Disjoint parts of a corpus.

    ``train`` and ``validation`` together are the labelled set; ``transfer`` is real text that the
    teacher labels (its gold labels are known to us where the corpus has them, else the list is
    empty); ``test`` is never chosen by. ``dropped`` counts, for the part whose source it was, the
    texts left out because they were there already.
    """

    labels: tuple[str, ...]
    train: Part
    validation: Part
    transfer: Part
    test: Part
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Part]:
        return {
            "train": self.train,
            "validation": self.validation,
            "transfer": self.transfer,
            "test": self.test,
        }

    @property
    def labelled(self) -> Part:
        """The whole labelled budget: train, then the held-out part."""
        return Part(
            self.train.texts + self.validation.texts, self.train.labels + self.validation.labels
        )

    @property
    def digest(self) -> str:
        """Over class names, texts and labels of every part."""
        return digest(
            [
                self.labels,
                [
                    [name, texts_digest(part.texts), part.labels]
                    for name, part in self.parts.items()
                ],
            ]
        )

    def counts(self) -> pd.DataFrame:
        """A row a split: split, texts, one column a class (NaN where no labels are known), words
        (mean), dropped.
        """
        rows = []
        for name, part in self.parts.items():
            of_class = (
                np.bincount(part.labels, minlength=len(self.labels))
                if part.labels
                else [np.nan] * len(self.labels)
            )
            words = np.mean([len(text.split()) for text in part.texts]) if part.texts else np.nan
            rows.append([name, len(part), *of_class, words, self.dropped.get(name, 0)])
        return pd.DataFrame(rows, columns=["split", "texts", *self.labels, "words", "dropped"])


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

    - test: at most ``test_size`` texts, stratified, of the corpus's own test part; of train where
      it has none, then at most a third of it.
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
            f"labels_per_class = {labels_per_class} with validation_share = "
            f"{validation_share} leaves no text to train on"
        )
    pool = _distinct(corpus.parts["train"], taken=set())
    own_test = corpus.parts.get("test")
    if own_test:
        test = _take(own_test, _stratified(own_test.labels, test_size, TEST_SEED))
    else:
        test = _take(
            pool, _stratified(pool.labels, min(test_size, int(len(pool) * TEST_SHARE)), TEST_SEED)
        )
    unseen = set(map(normalise, (own_test or test).texts))
    pool_left = _distinct(pool, unseen)
    order = _by_class(pool_left.labels, len(corpus.labels), seed)
    for label, members in zip(corpus.labels, order, strict=True):
        if len(members) < labels_per_class:
            raise BadCorpus(
                f'corpus {corpus.name}: class "{label}" has {len(members)} texts left '
                "beside the test set, "
                f"labels_per_class = {labels_per_class} asked for"
            )
    held_out = [
        round((i + 1) * validation_share) > round(i * validation_share)
        for i in range(labels_per_class)
    ]
    train = _take(
        pool_left,
        [members[i] for i in range(labels_per_class) if not held_out[i] for members in order],
    )
    validation = _take(
        pool_left, [members[i] for i in range(labels_per_class) if held_out[i] for members in order]
    )

    source = corpus.parts.get("unlabeled", pool_left)
    taken = unseen.union(map(normalise, train.texts), map(normalise, validation.texts))
    rest = _distinct(source, taken)
    shuffled = np.random.default_rng([seed, len(corpus.labels)]).permutation(len(rest))
    transfer = _take(rest, shuffled[:transfer_size].tolist())
    dropped = {
        "train": len(corpus.parts["train"]) - len(pool_left) - (0 if own_test else len(test))
    }
    if "unlabeled" in corpus.parts:
        dropped["transfer"] = len(source) - len(rest)
    return Splits(corpus.labels, train, validation, transfer, test, dropped)


def normalise(text: str) -> str:
    """What makes two texts the same: NFKC, without case, punctuation and white space run together
    to one space.

    A text of nothing else than punctuation stays as it is.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_punctuation()).split()) or folded.strip()


@cache
def _punctuation() -> dict[int, str]:
    return {
        i: " " for i in range(sys.maxunicode + 1) if unicodedata.category(chr(i)).startswith("P")
    }


def _distinct(part: Part, taken: Iterable[str]) -> Part:
    """The texts that are not among the taken (normalised) ones, each once; the first of equal ones
    counts.
    """
    seen = set(taken)
    kept = []
    for index, text in enumerate(part.texts):
        key = normalise(text)
        if key not in seen:
            seen.add(key)
            kept.append(index)
    return _take(part, kept)


def _take(part: Part, indices: Sequence[int]) -> Part:
    return Part(
        [part.texts[i] for i in indices], [part.labels[i] for i in indices] if part.labels else []
    )


def _by_class(labels: Sequence[int], num_classes: int, seed: int) -> list[list[int]]:
    """The indices of every class, in an order drawn by the seed."""
    known = np.asarray(labels, dtype=np.int64)
    return [
        np.random.default_rng([seed, c]).permutation(np.flatnonzero(known == c)).tolist()
        for c in range(num_classes)
    ]


def _stratified(labels: Sequence[int], size: int, seed: int) -> list[int]:
    """At most ``size`` indices, in ascending order, every class with its share (largest remainders
    first).
    """
    size = min(size, len(labels))
    members = _by_class(labels, max(labels) + 1, seed)
    quota = np.array([len(m) for m in members]) * size / len(labels)
    count = np.floor(quota).astype(int)
    largest = np.argsort(count - quota, kind="stable")
    count[largest[: size - count.sum()]] += 1
    return sorted(index for m, n in zip(members, count, strict=True) for index in m[:n])
