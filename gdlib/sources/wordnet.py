"""WordNet 3.0 (Princeton), carried as a compact copy in ``gdlib/data`` under its licence,
``WORDNET-LICENSE`` there.

Two tables on disk: what belongs to a synset is stored once, and a sense is a lemma, the number of
its synset and three small integers; everything else (the sense key, the part of speech) follows.
:func:`pack` makes them from a table of senses, :func:`senses` gives that table back, row for row.
"""

from functools import cache
from importlib import resources
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

LICENCE = "WordNet 3.0 licence (Princeton University)"
DATA = Path(str(resources.files("gdlib"))) / "data"
SENSES, SYNSETS = "wordnet-senses.parquet", "wordnet-synsets.parquet"
NUM_SUPERSENSES, MIN_GLOSS_WORDS = 14, 4
SENSE_KEY = r"^(?P<lemma>.*)%(?P<type>\d):(?P<file>\d\d):(?P<lex_id>\d\d):(?P<head>.*)$"


def senses(folder: Path = DATA) -> pd.DataFrame:
    """Every word sense, by lemma: 206,941 rows.

    Columns: sense_key, lemma (lower case, ``_`` for a space), pos (noun, verb, adj, adv), rank (1
    is the most frequent sense of that lemma and pos), synset, definition, examples (list of str),
    lexname ("noun.artifact"), tag_count (occurrences in the sense-tagged texts).
    """
    words = pq.read_table(folder / SENSES).to_pandas()
    sets = _synsets(folder).iloc[words["synset"]].reset_index(drop=True)
    file = sets["file"].map("{:02}".format)
    lex_id = words["lex_id"].map("{:02}".format)
    return pd.DataFrame(
        {
            "sense_key": words["lemma"]
            + "%"
            + sets["type"].astype(str)
            + ":"
            + file
            + ":"
            + lex_id
            + ":"
            + sets["head"],
            "lemma": words["lemma"],
            "pos": sets["pos"],
            "rank": words["rank"].astype("int64"),
            "synset": sets["synset"],
            "definition": sets["definition"],
            "examples": sets["examples"],
            "lexname": sets["lexname"],
            "tag_count": words["tag_count"].astype("int64"),
        }
    )


def synsets(folder: Path = DATA) -> pd.DataFrame:
    """Every synset: 117,659 rows of synset ("noun:00001740"), pos, definition, examples (list of
    str), lexname.
    """
    return _synsets(folder)[["synset", "pos", "definition", "examples", "lexname"]]


def noun_glosses(folder: Path = DATA) -> tuple[list[str], list[str]]:
    """Texts and labels of the corpus ``wordnet``: a noun's definition and its supersense
    ("artifact", "person").

    The 14 largest supersenses, definitions of at least four words: 69,885 texts, by synset.
    """
    nouns = synsets(folder)
    nouns = nouns[nouns["pos"] == "noun"]
    largest = nouns["lexname"].value_counts().index[:NUM_SUPERSENSES]
    nouns = nouns[
        nouns["lexname"].isin(largest)
        & (nouns["definition"].str.split().str.len() >= MIN_GLOSS_WORDS)
    ]
    return nouns["definition"].tolist(), nouns["lexname"].str.removeprefix("noun.").tolist()


def pack(table: pd.DataFrame, folder: Path) -> None:
    """Write the two compact tables from a table of senses like the one that :func:`senses` returns."""
    parts = table["sense_key"].str.extract(SENSE_KEY)
    whole = table.assign(
        type=parts["type"].astype("int8"), file=parts["file"].astype("int8"), head=parts["head"]
    )
    sets = whole.drop_duplicates("synset").sort_values(["type", "synset"], ignore_index=True)
    number = pd.Series(sets.index, index=sets["synset"])
    words = pd.DataFrame(
        {
            "lemma": table["lemma"],
            "synset": table["synset"].map(number).astype("int32"),
            "lex_id": parts["lex_id"].astype("int8"),
            "rank": table["rank"].astype("int8"),
            "tag_count": table["tag_count"].astype("int16"),
        }
    )
    offsets = sets["synset"].str.partition(":")[2].astype("int32")
    sets = sets[["type", "file", "lexname", "head", "definition", "examples"]].assign(
        offset=offsets, pos=sets["pos"]
    )
    _write(words, folder / SENSES, {"lemma": "DELTA_BYTE_ARRAY", "synset": "DELTA_BINARY_PACKED"})
    _write(
        sets,
        folder / SYNSETS,
        {"definition": "DELTA_LENGTH_BYTE_ARRAY", "offset": "DELTA_BINARY_PACKED"},
    )


@cache
def _synsets(folder: Path) -> pd.DataFrame:
    table = pq.read_table(folder / SYNSETS)
    sets = table.drop_columns("examples").to_pandas().assign(examples=table["examples"].to_pylist())
    sets["synset"] = sets["pos"] + ":" + sets["offset"].map("{:08}".format)
    return sets


def _write(table: pd.DataFrame, path: Path, encodings: dict[str, str]) -> None:
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False),
        path,
        compression="zstd",
        compression_level=22,
        use_dictionary=[
            name for name in table.columns if name not in encodings and name != "examples"
        ],
        column_encoding=encodings,
        data_page_size=1 << 24,
        write_statistics=False,
    )
