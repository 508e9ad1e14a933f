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
from gdlib.sources.wordnet import POS, base_forms, candidates, exceptions

LONG = 6  # letters from which an adjective takes "more" and "most"
SPELLING = {  # of "lemma+ending": a pattern, and what is written; the first that fits
    r"(.*(?:s|x|z|ch|sh))\+s": r"\1es",
    r"(.*[^aeiou])y\+s": r"\1ies",
    r"(.*[^aeiou])y\+(ed|er|est)": r"\1i\2",
    r"(.*(?:ee|oe|ye))\+ing": r"\1ing",
    r"(.*)e\+(ing|ed|er|est)": r"\1\2",
    r"(.*)\+(.*)": r"\1\2",
}
VERBS = {r"(.*o)\+s": r"\1es"}  # before these, in verbs


@cache
def synonyms(word: str) -> tuple[str, ...]:
    """What may stand for a lower-case word, in its form and in alphabetical order; nothing where
    the table knows nothing.
    """
    if not (known := reading(word)):
        return ()
    lemma, pos = known
    ending = ending_of(word, lemma, pos)
    for sense in candidates(lemma, pos):
        others = _lemmas().get(sense.synset, set()) - {lemma}
        forms = {inflect(other, pos, ending) for other in others} - {None, word}
        if forms:
            return tuple(sorted(forms))
    return ()


@cache
def reading(word: str) -> tuple[str, str] | None:
    """The lemma and part of speech that a lower-case word has most often in the sense-tagged texts;
    None where the table does not know it.
    """
    readings = [
        (sum(sense.tag_count for sense in senses), lemma == word, -place, lemma, pos)
        for place, pos in enumerate(POS)
        for lemma in base_forms(word, pos)
        if (senses := candidates(lemma, pos))
    ]
    return max(readings)[-2:] if readings else None


def ending_of(word: str, lemma: str, pos: str) -> str | None:
    """The ending that makes a word of its lemma: "", "s", "ing", "ed" (past or participle), "er",
    "est"; None: none of these.
    """
    if word == lemma:
        return ""
    regular = {"noun": (), "verb": ("ing", "s")}.get(pos, ("est", "er"))
    otherwise = {"noun": "s", "verb": "ed"}.get(pos)
    return next((ending for ending in regular if word.endswith(ending)), otherwise)


def inflect(lemma: str, pos: str, ending: str | None) -> str | None:
    """A lemma with an ending of :func:`ending_of`; None where neither rule nor table gives one
    form.
    """
    if not ending:
        return None if ending is None else lemma
    irregular = exceptions("lemma").get((pos, lemma), ())
    listed = [form for form in irregular if form.endswith(ending)]
    if listed or (irregular and pos == "noun"):
        return (listed or irregular)[0]
    past = [form for form in irregular if not form.endswith(("ing", "s"))]
    if ending == "ed" and past:  # of two forms it is not known which is which
        return past[0] if len(past) == 1 else None
    if ending in ("er", "est") and len(lemma) >= LONG:
        return None
    for pattern, written in (SPELLING if pos != "verb" else VERBS | SPELLING).items():
        if match := re.fullmatch(pattern, f"{lemma}+{ending}"):
            return match.expand(written)
    return None


@cache
def _lemmas() -> dict[str, set[str]]:
    """The lemmas of every synset that are one plain word."""
    table = wordnet.senses()
    table = table[table["lemma"].str.fullmatch("[a-z]{2,}")]
    return table.groupby("synset")["lemma"].agg(set).to_dict()
