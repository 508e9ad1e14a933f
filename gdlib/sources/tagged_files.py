"""Files of tagged sentences: parquet with the columns ``tokens`` and ``ner_tags``, and CoNLL
(:mod:`gdlib.sources.tagged`).
"""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from gdlib.core.errors import BadCorpus, first_line
from gdlib.sources.corpora import names_of_feature

Rows = list[tuple[list[str], list[Any]]]
"""The sentences of one language and split: tokens, and tags as names or as integers."""


def parquet(path: Path) -> tuple[Rows, tuple[str, ...]]:
    """The sentences of a file, and the names of its integer tags if it has them."""
    try:
        table = pq.read_table(path)
    except (ArrowInvalid, OSError) as error:
        raise BadCorpus(f"{path} cannot be read as parquet: {first_line(error)}") from error
    for column in ("tokens", "ner_tags"):
        if column not in table.column_names:
            raise BadCorpus(
                f'{path} has no column "{column}"; found: {", ".join(table.column_names)}'
            )
    return list(zip(table["tokens"].to_pylist(), table["ner_tags"].to_pylist())), names_of_feature(
        path, "ner_tags"
    )


def conll(path: Path, language: str) -> Rows:
    """Tokens first, tags last on a line; the prefix ``de:`` that WikiAnn's own files put before
    every token is taken off.
    """
    rows: Rows = []
    tokens: list[str] = []
    tags: list[str] = []
    try:
        lines = path.read_bytes().decode("utf-8").removeprefix("\ufeff").split("\n")
    except UnicodeDecodeError as error:
        raise BadCorpus(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at position "
            f"{error.start}; save it as UTF-8"
        ) from error
    for number, line in enumerate([*lines, ""], 1):
        fields = line.rstrip("\r").split("\t" if "\t" in line else None)
        if len(fields) == 1 and fields[0].strip():
            raise BadCorpus(
                f'{path}, line {number}: "{fields[0]}" has no tag; expected a token, white '
                "space and a tag"
            )
        if len(fields) > 1 and fields[0] != "-DOCSTART-":
            tokens.append(fields[0].removeprefix(f"{language}:"))
            tags.append(fields[-1].strip())
        elif tokens:
            rows.append((tokens, tags))
            tokens, tags = [], []
    return rows
