"""Splits of tagged sentences for the low-label setting, language by language, by the rules of
:mod:`gdlib.sources.splits`.
"""

from dataclasses import dataclass

import pandas as pd

from gdlib.core.errors import BadCorpus
from gdlib.sources.parts import Sentences
from gdlib.sources.splits import TEST_SEED, TEST_SHARE, Splits, divide, shuffled
from gdlib.sources.tagged import TaggedCorpus


@dataclass(frozen=True)
class TaggedSplits(Splits):
    """Disjoint parts of a corpus of tagged sentences; ``transfer`` is used without its tags."""

    languages: tuple[str, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        return self.labels

    def counts(self) -> pd.DataFrame:
        """A row per language: language, sentences in every part, dropped."""
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
    own where it has one (else at most a third of train) and depends on no seed. For one seed, a
    smaller labelled or transfer part is the beginning of a larger one.

    Raises:
        BadCorpus: a language has fewer sentences than asked for.
        BadSetting: nothing would be left to train on, or to choose by.
    """
    places = divide(labels_per_language, validation_share, "labels_per_language")
    whole, own_test = corpus.parts["train"], corpus.parts.get("test")
    seen, tests, dropped = set[str](), [], {}
    for language in corpus.languages:  # all tests first: no other part may have a test text
        pool = (own_test or whole).in_language(language)
        size = len(pool) if own_test else int(len(pool) * TEST_SHARE)
        order = shuffled(len(pool), TEST_SEED)
        tests.append(pool.take(order).unseen(seen, min(test_per_language, size)))
        if own_test:
            seen.update(pool.keys())
    drawn: list[tuple[Sentences, ...]] = []
    for language, test in zip(corpus.languages, tests):
        pool = whole.in_language(language)
        fresh = set(pool.keys()) - seen
        dropped[language] = len(pool) - len(fresh) - (0 if own_test else len(test))
        order = shuffled(len(pool), seed, len(pool))
        labelled = pool.take(order).unseen(seen, labels_per_language)
        if len(labelled) < labels_per_language:
            raise BadCorpus(
                f"tagged corpus {corpus.name}: {language} has {len(labelled)} sentences left "
                f"beside the test set, labels_per_language = {labels_per_language} asked for"
            )
        source = corpus.parts.get("unlabeled", whole).in_language(language) or pool
        order = shuffled(len(source), seed, len(source))
        transfer = source.take(order).unseen(seen, transfer_per_language)
        drawn.append((*map(labelled.take, places), transfer, test))
    return TaggedSplits(corpus.tags, *map(Sentences.join, zip(*drawn)), dropped, corpus.languages)
