"""WordNet as a dictionary: the senses of a lemma, in order, and the lemmas that a word may be a
form of.
"""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gdlib.core.errors import unknown
from gdlib.sources import wordnet

POS = ("noun", "verb", "adj", "adv")
EXCEPTIONS = "wordnet-exceptions.parquet"
# WordNet's rules of detachment (its manual page morphy(7)): ending of a form, ending of the lemma
ENDINGS = {
    "noun": (
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "verb": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}


@dataclass(frozen=True)
class Sense:
    """One meaning of a lemma: a line of the dictionary.

    Fields as the columns of :func:`gdlib.sources.wordnet.senses`.
    """

    sense_key: str
    lemma: str
    pos: str
    rank: int
    synset: str
    definition: str
    examples: tuple[str, ...]
    lexname: str
    tag_count: int


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
    return _senses().get((lemma, pos), ())


@cache
def base_forms(word: str, pos: str) -> frozenset[str]:
    """Every lemma that a lower-case word might be a form of, whether it is one or not: "took" gives
    took and take.
    """
    rules = (
        word.removesuffix(ending) + lemma for ending, lemma in ENDINGS[pos] if word.endswith(ending)
    )
    return frozenset((word, *exceptions("form", "lemma").get((pos, word), ()), *rules))


def pack_exceptions(wordnet_folder: Path, folder: Path) -> None:
    """Write the table of irregular forms from WordNet 3.0's own files (``noun.exc`` ... in its
    ``dict`` folder): pos, form, lemma.
    """
    rows = [
        (pos, form, lemma)
        for pos in POS
        for line in (wordnet_folder / f"{pos}.exc").read_text("utf-8").splitlines()
        for form, *lemmas in [line.split()]
        for lemma in dict.fromkeys(lemmas)
    ]
    table = pa.table(dict(zip(("pos", "form", "lemma"), zip(*rows))))
    encodings = {"form": "DELTA_BYTE_ARRAY", "lemma": "DELTA_BYTE_ARRAY"}
    pq.write_table(
        table, folder / EXCEPTIONS, compression="zstd", compression_level=22, use_dictionary=["pos"],
        column_encoding=encodings, write_statistics=False,
    )  # fmt: skip


@cache
def _senses() -> dict[tuple[str, str], tuple[Sense, ...]]:
    table = wordnet.senses().sort_values("rank", kind="stable")
    table["examples"] = table["examples"].map(tuple)
    found: dict[tuple[str, str], list[Sense]] = {}
    for row in zip(*(table[field.name].tolist() for field in fields(Sense))):
        found.setdefault(row[1:3], []).append(Sense(*row))
    return {key: tuple(senses) for key, senses in found.items()}


@cache
def exceptions(by: str, of: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """WordNet's list of irregular forms, by part of speech and one of its columns ``form`` and
    ``lemma``: what stands in the other.
    """
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in pq.read_table(wordnet.DATA / EXCEPTIONS).to_pylist():
        key = (row["pos"], row[by])
        found[key] = (*found.get(key, ()), row[of])
    return found
