"""Splits of tagged sentences for the low-label setting, language by language, by the rules of
:mod:`gdlib.sources.splits`.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.core.settings import digest
from gdlib.sources.splits import TEST_SEED, TEST_SHARE, normalise
from gdlib.sources.tagged import Sentences, TaggedCorpus


@dataclass(frozen=True)
class TaggedSplits:
    """Disjoint parts; ``train`` and ``validation`` together are the labelled set, ``transfer`` is
    used without its tags.

    ``dropped`` counts, by language, the sentences left out because they were there already.
    """

    tags: tuple[str, ...]
    languages: tuple[str, ...]
    train: Sentences
    validation: Sentences
    transfer: Sentences
    test: Sentences
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Sentences]:
        return {
            "train": self.train,
            "validation": self.validation,
            "transfer": self.transfer,
            "test": self.test,
        }

    @property
    def digest(self) -> str:
        return digest([self.tags, [[name, part.digest] for name, part in self.parts.items()]])

    def counts(self) -> pd.DataFrame:
        """A row a language: language, sentences in every part, dropped."""
        rows = []
        for language in self.languages:
            sizes = {name: part.languages.count(language) for name, part in self.parts.items()}
            rows.append({"language": language, **sizes, "dropped": self.dropped[language]})
        return pd.DataFrame(rows)


def split(
    corpus: TaggedCorpus,
    *,
    labels_per_language: int,
    validation_share: float,
    transfer_per_language: int,
    test_per_language: int,
    seed: int,
) -> TaggedSplits:
    """Draw the parts of every language, each from what the ones before it left: test, labelled,
    transfer.

    No text is in two parts, nor twice in one, also across languages. The test part is the corpus's
    own where it has one (else at most a third of train) and depends on no seed; for one seed, a
    smaller labelled or transfer part is the beginning of a larger one.

    Raises:
        BadCorpus: a language has fewer sentences than asked for.
        BadSetting: nothing would be left to train on.
    """
    held_out = round(labels_per_language * validation_share)
    if not 0 < held_out < labels_per_language:
        raise BadSetting(
            f"labels_per_language = {labels_per_language} with validation_share = "
            f"{validation_share} holds out {held_out}; "
            "expected at least one sentence to train on and one to choose by"
        )
    seen: set[str] = set()
    parts: dict[str, list[Sentences]] = {"train": [], "validation": [], "transfer": []}
    own_test = "test" in corpus.parts
    pools = {name: _by_language(part) for name, part in corpus.parts.items()}
    tests: dict[str, Sentences] = {}
    for language in corpus.languages:  # all tests first: what is in any of them is in no other part
        pool = pools["test" if own_test else "train"].get(language, Sentences([], [], []))
        order = np.random.default_rng(TEST_SEED).permutation(len(pool))
        most = len(pool) if own_test else int(len(pool) * TEST_SHARE)
        tests[language] = _fresh(pool, order, min(test_per_language, most), seen)
        if own_test:
            seen.update(map(normalise, pool.texts))
    dropped = {}
    for language in corpus.languages:
        pool = pools["train"][language]
        before = set(seen)
        order = np.random.default_rng([seed, len(pool)]).permutation(len(pool))
        labelled = _fresh(pool, order, labels_per_language, seen)
        if len(labelled) < labels_per_language:
            raise BadCorpus(
                f"tagged corpus {corpus.name}: {language} has {len(labelled)} sentences "
                "left beside the test set, "
                f"labels_per_language = {labels_per_language} asked for"
            )
        every = [
            round((i + 1) * validation_share) > round(i * validation_share)
            for i in range(len(labelled))
        ]
        parts["validation"].append(labelled.take(i for i, held in enumerate(every) if held))
        parts["train"].append(labelled.take(i for i, held in enumerate(every) if not held))
        source = pools["unlabeled"].get(language, pool) if "unlabeled" in pools else pool
        if source is not pool:
            order = np.random.default_rng([seed, len(source)]).permutation(len(source))
        parts["transfer"].append(_fresh(source, order, transfer_per_language, seen))
        texts = [normalise(text) for text in pool.texts]
        dropped[language] = (
            len(texts) - len(set(texts) - before) - (0 if own_test else len(tests[language]))
        )
    whole = {name: _join(of) for name, of in (parts | {"test": list(tests.values())}).items()}
    return TaggedSplits(corpus.tags, corpus.languages, **whole, dropped=dropped)


def _by_language(part: Sentences) -> dict[str, Sentences]:
    rows: dict[str, list[int]] = {}
    for i, language in enumerate(part.languages):
        rows.setdefault(language, []).append(i)
    return {language: part.take(of) for language, of in rows.items()}


def _fresh(pool: Sentences, order: np.ndarray, number: int, seen: set[str]) -> Sentences:
    """The first ``number`` sentences, in this order, that have not been seen; they have been seen
    from then on.
    """
    taken = []
    for i in order:
        if len(taken) == number:
            break
        if (text := normalise(" ".join(pool.tokens[i]))) not in seen:
            seen.add(text)
            taken.append(int(i))
    return pool.take(taken)


def _join(parts: list[Sentences]) -> Sentences:
    columns = (
        [row for part in parts for row in getattr(part, name)]
        for name in ("tokens", "tags", "languages")
    )
    return Sentences(*columns)
