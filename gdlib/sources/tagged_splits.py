"""Splits of tagged sentences for the low-label setting, language by language, by the rules of
:mod:`gdlib.sources.splits`.
"""

from dataclasses import dataclass

import pandas as pd

from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.sources.parts import Sentences
from gdlib.sources.splits import TEST_SEED, TEST_SHARE, Splits, divide, fresh, shuffled
from gdlib.sources.tagged import TaggedCorpus


@dataclass(frozen=True)
class TaggedSplits(Splits):
    """Disjoint parts of a corpus of tagged sentences; ``transfer`` is used without its tags."""

    languages: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        return self.labels

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
            f"{validation_share} holds out {held_out}; expected at least one sentence to train on "
            "and one to choose by"
        )
    pools = {name: part.by_language() for name, part in corpus.parts.items()}
    own_test, none = "test" in pools, Sentences([], [], [])
    seen: set[str] = set()
    tests: dict[str, Sentences] = {}
    for language in corpus.languages:  # all tests first: what is in any of them is in no other part
        pool = pools["test" if own_test else "train"].get(language, none)
        most = len(pool) if own_test else int(len(pool) * TEST_SHARE)
        order = shuffled(len(pool), TEST_SEED)
        rows = fresh(pool.keys(), seen, order, min(test_per_language, most))
        tests[language] = pool.take(rows)
        if own_test:
            seen.update(pool.keys())
    parts: dict[str, list[Sentences]] = {"train": [], "validation": [], "transfer": []}
    dropped = {}
    for language in corpus.languages:
        pool = pools["train"][language]
        in_test = 0 if own_test else len(tests[language])
        dropped[language] = len(pool) - len(set(pool.keys()) - seen) - in_test
        order = shuffled(len(pool), seed, len(pool))
        labelled = pool.take(fresh(pool.keys(), seen, order, labels_per_language))
        if len(labelled) < labels_per_language:
            raise BadCorpus(
                f"tagged corpus {corpus.name}: {language} has {len(labelled)} sentences left "
                f"beside the test set, labels_per_language = {labels_per_language} asked for"
            )
        for name, places in zip(("train", "validation"), divide(len(labelled), validation_share)):
            parts[name].append(labelled.take(places))
        source = pools.get("unlabeled", {}).get(language, pool)
        order = shuffled(len(source), seed, len(source))
        rows = fresh(source.keys(), seen, order, transfer_per_language)
        parts["transfer"].append(source.take(rows))
    joined = {name: Sentences.join(some) for name, some in parts.items()}
    test = Sentences.join(list(tests.values()))
    return TaggedSplits(
        corpus.tags, **joined, test=test, dropped=dropped, languages=corpus.languages
    )
