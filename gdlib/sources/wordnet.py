"""WordNet 3.0 (Princeton): the senses of a lemma, in order, and the lemmas that a word may be a
form of. A compact copy is carried in ``gdlib/data`` under its licence, ``WORDNET-LICENSE`` there.

Two tables on disk: what belongs to a synset is stored once, and a sense is a lemma, the number of
its synset and three small integers; everything else (the sense key, the part of speech) follows. A
third table has the irregular forms. ``tools/pack_wordnet.py`` made them.
"""

import re
from dataclasses import dataclass, fields
from functools import cache

import pandas as pd
import pyarrow.parquet as pq

from gdlib.core.errors import unknown
from gdlib.sources.cards import DATA, EXCEPTIONS, SENSES, SYNSETS

POS = ("noun", "verb", "adj", "adv")
WORD = re.compile(r"\w+(?:[-'.]\w+)*|[^\w\s]")
NUM_SUPERSENSES, MIN_GLOSS_WORDS = 14, 4
# WordNet's rules of detachment (its manual page morphy(7)): ending of a form, ending of the lemma
ENDINGS = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z")),
        *(("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ),
    "verb": (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", "")),
        *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}


@dataclass(frozen=True)
class Sense:
    """One meaning of a lemma: a line of the dictionary.

    Fields as the columns of :func:`senses`.
    """

    sense_key: str
    lemma: str
    pos: str
    rank: int
    synset: str
    definition: str
    examples: tuple[str, ...]
    tag_count: int


def senses() -> pd.DataFrame:
    """Every word sense, by lemma: 206,941 rows.

    Columns: sense_key, lemma (lower case, ``_`` for a space), pos (noun, verb, adj, adv), rank (1
    is the most frequent sense of that lemma and pos), synset, definition, examples (list of str),
    lexname ("noun.artifact"), tag_count (occurrences in the sense-tagged texts).
    """
    words = pq.read_table(DATA / SENSES).to_pandas()
    sets = synsets().iloc[words["synset"]].reset_index(drop=True)
    numbers = (sets["file"].map("{:02}".format), words["lex_id"].map("{:02}".format))
    key = words["lemma"] + "%" + sets["type"].astype(str)
    for part in (*numbers, sets["head"]):
        key += ":" + part
    columns = ["pos", "synset", "definition", "examples", "lexname"]
    return sets[columns].assign(
        sense_key=key,
        lemma=words["lemma"],
        rank=words["rank"].astype("int64"),
        tag_count=words["tag_count"].astype("int64"),
    )


@cache
def synsets() -> pd.DataFrame:
    """Every synset: 117,659 rows of synset ("noun:00001740"), pos, definition, examples (list of
    str), lexname, and what its sense keys are made of.
    """
    table = pq.read_table(DATA / SYNSETS)
    sets = table.drop_columns("examples").to_pandas().assign(examples=table["examples"].to_pylist())
    sets["synset"] = sets["pos"] + ":" + sets["offset"].map("{:08}".format)
    return sets


def noun_glosses() -> pd.DataFrame:
    """Text and label of the corpus ``wordnet``: a noun's definition and its supersense
    ("artifact", "person").

    The 14 largest supersenses, definitions of at least four words: 69,885 texts, by synset.
    """
    nouns = synsets()
    nouns = nouns[nouns["pos"] == "noun"]
    largest = nouns["lexname"].value_counts().index[:NUM_SUPERSENSES]
    long_enough = nouns["definition"].str.split().str.len() >= MIN_GLOSS_WORDS
    nouns = nouns[nouns["lexname"].isin(largest) & long_enough]
    supersenses = nouns["lexname"].str.removeprefix("noun.")
    return pd.DataFrame({"text": nouns["definition"], "label": supersenses})


def candidates(lemma: str, pos: str) -> tuple[Sense, ...]:
    """The senses of a lemma as one part of speech, the most frequent first; none for a lemma that
    WordNet hasn't.

    Args:
        lemma: in lower case, ``_`` for a space ("take_place").
        pos: of :data:`POS`.

    Raises:
        UnknownName: another part of speech.
    """
    if pos not in POS:
        raise unknown("part of speech", pos, POS)
    return _by_lemma().get((lemma, pos), ())


@cache
def _by_lemma() -> dict[tuple[str, str], tuple[Sense, ...]]:
    table = senses().sort_values("rank", kind="stable")
    table["examples"] = table["examples"].map(tuple)
    by_lemma: dict[tuple[str, str], list[Sense]] = {}
    for row in zip(*(table[field.name].tolist() for field in fields(Sense))):
        sense = Sense(*row)
        by_lemma.setdefault((sense.lemma, sense.pos), []).append(sense)
    return {key: tuple(members) for key, members in by_lemma.items()}


@cache
def base_forms(word: str, pos: str) -> frozenset[str]:
    """Every lemma that a lower-case word might be a form of, whether it is one or not: "took" gives
    took and take.
    """
    rules = (
        word.removesuffix(ending) + lemma for ending, lemma in ENDINGS[pos] if word.endswith(ending)
    )
    return frozenset((word, *exceptions("form", "lemma").get((pos, word), ()), *rules))


@cache
def exceptions(by: str, column: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """WordNet's list of irregular forms, by part of speech and one of its columns ``form`` and
    ``lemma``: what stands in the other.
    """
    listed: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in pq.read_table(DATA / EXCEPTIONS).to_pylist():
        key = (row["pos"], row[by])
        listed[key] = (*listed.get(key, ()), row[column])
    return listed


def examples() -> pd.DataFrame:
    """The sense data ``wordnet``: example sentences that hold one of their own synset's lemmas, in
    any of its forms, that has several senses. A table with the columns of a folder
    (:mod:`gdlib.sources.senses`).

    The first place where the lemma stands is the target. A sentence that two synsets of the lemma
    give as an example is one instance with two right senses.
    """
    columns = ["id", "tokens", "target", "lemma", "pos", "sense_keys"]
    rows: dict[tuple[str, str, str], list] = {}
    table = senses()
    table = table[table.groupby(["lemma", "pos"])["rank"].transform("size") > 1]
    for sense in table.itertuples(index=False):
        for number, sentence in enumerate(sense.examples):
            place = sentence, sense.lemma, sense.pos
            if place in rows:
                keys = rows[place][-1]
                keys += [sense.sense_key] * (sense.sense_key not in keys)
            elif hit := find(*place):
                name = f"{sense.synset}.{number}.{sense.lemma}"
                rows[place] = [name, *hit, sense.lemma, sense.pos, [sense.sense_key]]
    return pd.DataFrame(rows.values(), columns=columns)


def find(sentence: str, lemma: str, pos: str) -> tuple[tuple[str, ...], int] | None:
    """The tokens of a sentence and the place of the first that is a form of the lemma; None where
    there is none.

    The words of a form of a multi-word lemma become one token: "it took place here" gives it,
    took_place, here.
    """
    tokens, parts = WORD.findall(sentence), lemma.split("_")
    for start in range(len(tokens) - len(parts) + 1):
        window = tokens[start : start + len(parts)]
        if all(part in base_forms(word.lower(), pos) for part, word in zip(parts, window)):
            return (*tokens[:start], "_".join(window), *tokens[start + len(parts) :]), start
    return None
