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

from gdlib.core.errors import unknown
from gdlib.sources.cards import CARDS, DATA

SENSES, SYNSETS, EXCEPTIONS = CARDS["wordnet"].carried
POS = ("noun", "verb", "adj", "adv")
WORD = re.compile(r"\w+(?:[-'.]\w+)*|[^\w\s]")
NUM_SUPERSENSES, MIN_GLOSS_WORDS = 14, 4
# WordNet's rules of detachment (its manual page morphy(7)): ending of a form -> ending of the lemma
ENDINGS = {
    "noun": "s-> ses->s xes->x zes->z ches->ch shes->sh men->man ies->y",
    "verb": "s-> ies->y es->e es-> ed->e ed-> ing->e ing->",
    "adj": "er-> est-> er->e est->e",
    "adv": "",
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
    words = pd.read_parquet(DATA / SENSES)
    sets = synsets().iloc[words["synset"]].reset_index(drop=True)
    file, number = (column.map(":{:02}".format) for column in (sets["file"], words["lex_id"]))
    key = words["lemma"] + "%" + sets["type"].astype(str) + file + number + ":" + sets["head"]
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
    sets = pd.read_parquet(DATA / SYNSETS)
    sets["examples"] = sets["examples"].map(list)
    sets["synset"] = sets["pos"] + ":" + sets["offset"].map("{:08}".format)
    return sets


def noun_glosses() -> pd.DataFrame:
    """Text and label of the corpus ``wordnet``: a noun's definition and its supersense
    ("artifact", "person").

    The 14 largest supersenses, definitions of at least four words: 69,885 texts, by synset.
    """
    nouns = synsets()[lambda sets: sets["pos"] == "noun"]
    largest = nouns["lexname"].value_counts().index[:NUM_SUPERSENSES]
    long_enough = nouns["definition"].str.split().str.len() >= MIN_GLOSS_WORDS
    nouns = nouns[nouns["lexname"].isin(largest) & long_enough]
    supersenses = nouns["lexname"].str.removeprefix("noun.")
    return pd.DataFrame({"text": nouns["definition"], "label": supersenses})


def candidates(lemma: str, pos: str) -> tuple[Sense, ...]:
    """The senses of a lemma as one part of speech, the most frequent first; none for a lemma that
    WordNet does not have.

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
    by_lemma: dict[tuple[str, str], tuple[Sense, ...]] = {}
    for row in table[[field.name for field in fields(Sense)]].itertuples(index=False):
        sense = Sense(*row)
        key = (sense.lemma, sense.pos)
        by_lemma[key] = (*by_lemma.get(key, ()), sense)
    return by_lemma


@cache
def _synonyms() -> dict[str, tuple[str, ...]]:
    return senses().groupby("synset")["lemma"].agg(tuple).to_dict()


def gloss(sense: Sense, text: str) -> str:
    """What a dictionary says of a sense.

    ``text``: its ``definition``; also the other words for it (``synonyms``); or these and its
    sentences (``examples``).
    """
    parts = [sense.definition]
    if text != "definition":
        others = [lemma for lemma in _synonyms()[sense.synset] if lemma != sense.lemma]
        parts.append(", ".join(others).replace("_", " "))
    parts += sense.examples if text == "examples" else ()
    return " ; ".join(part for part in parts if part)


@cache
def base_forms(word: str, pos: str) -> frozenset[str]:
    """Every lemma that a lower-case word might be a form of, whether it is one or not: "took" gives
    took and take.
    """
    rules = (rule.split("->") for rule in ENDINGS[pos].split())
    regular = (word.removesuffix(form) + lemma for form, lemma in rules if word.endswith(form))
    return frozenset((word, *exceptions("form").get((pos, word), ()), *regular))


@cache
def exceptions(by: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """WordNet's list of irregular forms: part of speech and ``form`` (or ``lemma``) to the lemmas
    (or forms).
    """
    other = {"form": "lemma", "lemma": "form"}[by]
    table = pd.read_parquet(DATA / EXCEPTIONS)
    return table.groupby(["pos", by])[other].agg(tuple).to_dict()


def examples() -> pd.DataFrame:
    """The sense data ``wordnet``: example sentences that hold one of their own synset's lemmas, in
    any of its forms, that has several senses. A table with the columns of a folder
    (:mod:`gdlib.sources.senses`).

    The first place where the lemma stands is the target. A sentence that two synsets of the lemma
    give as an example is one instance with two right senses.
    """
    rows: dict[tuple[str, str, str], dict] = {}
    table = senses()
    table = table[table.groupby(["lemma", "pos"])["rank"].transform("size") > 1]
    for sense in table.itertuples(index=False):
        for number, sentence in enumerate(sense.examples):
            place = sentence, sense.lemma, sense.pos
            if place in rows:
                keys = rows[place]["sense_keys"]
                keys += [sense.sense_key] * (sense.sense_key not in keys)
            elif hit := find(*place):
                rows[place] = {
                    "id": f"{sense.synset}.{number}.{sense.lemma}",
                    "tokens": hit[0],
                    "target": hit[1],
                    "lemma": sense.lemma,
                    "pos": sense.pos,
                    "sense_keys": [sense.sense_key],
                }
    return pd.DataFrame(rows.values())


def find(sentence: str, lemma: str, pos: str) -> tuple[tuple[str, ...], int] | None:
    """The tokens of a sentence and the place of the first that is a form of the lemma; None where
    there is none.

    The words of a form of a multi-word lemma become one token: "it took place here" gives it,
    took_place, here.
    """
    tokens, parts = WORD.findall(sentence), lemma.split("_")
    for start in range(len(tokens) - len(parts) + 1):
        end = start + len(parts)
        pairs = zip(parts, tokens[start:end])
        if all(part in base_forms(word.lower(), pos) for part, word in pairs):
            return (*tokens[:start], "_".join(tokens[start:end]), *tokens[end:]), start
    return None
