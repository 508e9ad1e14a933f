"""Synonyms from WordNet, put into the form of the word that they stand for.

The table has lemmas and senses but no grammar, so what is done is what can be done without a
tagger: a word counts as the lemma and part of speech that the sense-tagged texts have most often,
its meaning is the most frequent sense that other lemmas share, and its ending goes over to them by
rule and by WordNet's list of irregular forms. Not done: choosing the sense that the sentence means,
"a" or "an", expressions of several words, names, comparatives of long adjectives, and irregular
verbs whose past and participle differ ("took", "taken": the table does not say which is which).
"""

import re
from functools import cache

from gdlib.sources import wordnet
from gdlib.sources.lexicon import POS, base_forms, candidates, exceptions

LONG = 6  # letters from which an adjective takes "more" and "most"
CONSONANT_Y, HISSING = re.compile(r"[^aeiou]y$"), re.compile(r"(s|x|z|ch|sh)$")


@cache
def synonyms(word: str) -> tuple[str, ...]:
    """What may stand for a lower-case word, in its form and in alphabetical order; nothing where
    the table knows nothing.
    """
    readings = [
        (sum(sense.tag_count for sense in senses), lemma == word, -place, lemma, pos)
        for place, pos in enumerate(POS)
        for lemma in base_forms(word, pos)
        if (senses := candidates(lemma, pos))
    ]
    if not readings:
        return ()
    *_, lemma, pos = max(readings)
    ending = ending_of(word, lemma, pos)
    for sense in candidates(lemma, pos):
        others = (
            inflect(other, pos, ending)
            for other in _lemmas().get(sense.synset, ())
            if other != lemma
        )
        if found := sorted({other for other in others if other and other != word}):
            return tuple(found)
    return ()


def ending_of(word: str, lemma: str, pos: str) -> str | None:
    """The ending that makes a word of its lemma: "", "s", "ing", "ed" (past or participle), "er",
    "est"; None: none of these.
    """
    if word == lemma:
        return ""
    if pos == "noun":
        return "s"
    if pos == "verb":
        return "ing" if word.endswith("ing") else "s" if word.endswith("s") else "ed"
    return next((ending for ending in ("est", "er") if word.endswith(ending)), None)


def inflect(lemma: str, pos: str, ending: str | None) -> str | None:
    """A lemma with an ending of :func:`ending_of`; None where neither rule nor table gives one
    form.
    """
    if ending is None:
        return None
    if not ending:
        return lemma
    irregular = exceptions("lemma", "form").get((pos, lemma), ())
    if listed := [form for form in irregular if form.endswith(ending)] or (
        list(irregular) if pos == "noun" else []
    ):
        return listed[0]
    if ending == "ed" and (past := [form for form in irregular if not form.endswith(("ing", "s"))]):
        return past[0] if len(past) == 1 else None
    if ending in ("er", "est") and len(lemma) >= LONG:
        return None
    if ending == "s" and (HISSING.search(lemma) or (pos == "verb" and lemma.endswith("o"))):
        return lemma + "es"
    if CONSONANT_Y.search(lemma) and ending != "ing":
        return lemma[:-1] + "i" + (ending if ending != "s" else "es")
    if lemma.endswith("e") and ending != "s":
        return (
            lemma if lemma.endswith(("ee", "oe", "ye")) and ending == "ing" else lemma[:-1]
        ) + ending
    return lemma + ending


@cache
def _lemmas() -> dict[str, tuple[str, ...]]:
    """The lemmas of every synset that are one plain word."""
    table = wordnet.senses()
    table = table[table["lemma"].str.fullmatch("[a-z]{2,}")]
    return {synset: tuple(lemmas) for synset, lemmas in table.groupby("synset")["lemma"]}
