"""How the tables of WordNet in ``gdlib/data`` were made; run again only to change their form.

::

    pack(senses, folder)                   # a table like gdlib.sources.wordnet.senses()
    pack_exceptions(wordnet_dict, folder)  # WordNet 3.0's own folder ``dict``: noun.exc ...
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gdlib.sources.wordnet import EXCEPTIONS, POS, SENSES, SYNSETS

SENSE_KEY = r"^(?P<lemma>.*)%(?P<type>\d):(?P<file>\d\d):(?P<lex_id>\d\d):(?P<head>.*)$"


def pack(table: pd.DataFrame, folder: Path) -> None:
    """Write the two compact tables of senses and synsets."""
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
    words_encodings = {"lemma": "DELTA_BYTE_ARRAY", "synset": "DELTA_BINARY_PACKED"}
    sets_encodings = {"definition": "DELTA_LENGTH_BYTE_ARRAY", "offset": "DELTA_BINARY_PACKED"}
    _write(words, folder / SENSES, words_encodings)
    _write(sets, folder / SYNSETS, sets_encodings)


def pack_exceptions(wordnet_dict: Path, folder: Path) -> None:
    """Write the table of irregular forms: pos, form, lemma."""
    rows = []
    for pos in POS:
        for line in (wordnet_dict / f"{pos}.exc").read_text("utf-8").splitlines():
            form, *lemmas = line.split()
            rows += [(pos, form, lemma) for lemma in dict.fromkeys(lemmas)]
    table = pd.DataFrame(rows, columns=["pos", "form", "lemma"])
    _write(table, folder / EXCEPTIONS, {"form": "DELTA_BYTE_ARRAY", "lemma": "DELTA_BYTE_ARRAY"})


def _write(table: pd.DataFrame, path: Path, encodings: dict[str, str]) -> None:
    dictionary = [name for name in table.columns if name not in encodings and name != "examples"]
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False),
        path,
        compression="zstd",
        compression_level=22,
        use_dictionary=dictionary,
        column_encoding=encodings,
        data_page_size=1 << 24,
        write_statistics=False,
    )
