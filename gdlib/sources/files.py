"""Files as tables: CSV, TSV, JSON lines, Parquet, and CoNLL's columns of tokens and tags.

Whatever a file holds comes back as a table or as one line that names the file and, where there is
one, the row or line.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from pyarrow import ArrowException

from gdlib.core.errors import BadCorpus, first_line

Readers = Mapping[str, Callable[[Path], Any]]


def read(path: Path, formats: Readers | None = None) -> Any:
    """One file as a table; :class:`BadCorpus` says where it is empty, damaged, or not in UTF-8.

    Args:
        path: the file; its ending says what it is.
        formats: the reader of every ending; :data:`FORMATS` if not given.
    """
    form, known = path.suffix.lower(), formats or FORMATS
    if form not in known:
        raise BadCorpus(f"{path}: expected a file that ends in {', '.join(known)}")
    try:
        if not path.stat().st_size:
            raise BadCorpus(f"{path} is empty")
        return known[form](path)
    # Of a damaged file pandas and Arrow pass on whatever they stumbled over: errors of the system,
    # of values (text that is not UTF-8), of keys (broken notes of an index), of memory.
    except (ArrowException, OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        raise BadCorpus(f"{path} cannot be read as {form[1:]}: {first_line(error)}") from error


def read_text(path: Path) -> str:
    """A file of text in UTF-8, without a byte order mark; else :class:`BadCorpus` is raised."""
    try:
        return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadCorpus(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at position "
            f"{error.start}; save it as UTF-8"
        ) from error


def _csv(path: Path, separator: str = ",") -> pd.DataFrame:
    """Texts stay as they are written: "NA" and "null" are words.

    The header is read as a row like the others, so that a row with more fields than it is refused;
    pandas would take the first field for the row's name and shift the others.
    """
    content = read_text(path)
    names = pd.read_csv(io.StringIO(content), sep=separator, nrows=0).columns
    as_written = {"sep": separator, "dtype": str, "keep_default_na": False}
    try:
        table = pd.read_csv(io.StringIO(content), header=None, **as_written)
    except pd.errors.ParserError:
        # pandas says a line of its own count; a csv.Error leaves it at that.
        with suppress(csv.Error):
            plain = io.StringIO(content, newline=None)
            for number, row in enumerate(filter(None, csv.reader(plain, delimiter=separator))):
                if len(row) > len(names):
                    raise BadCorpus(
                        f"{path}: row {number} (the header not counted) has {len(row)} fields, "
                        f'the header {len(names)}; a field with "{separator}" needs quotes'
                    ) from None
        raise
    return table[1:].set_axis(names, axis=1).reset_index(drop=True)


def _tsv(path: Path) -> pd.DataFrame:
    return _csv(path, "\t")


def _jsonl(path: Path) -> pd.DataFrame:
    lines = enumerate(read_text(path).split("\n"), 1)
    rows = [_row(f"{path}, line {number}", line) for number, line in lines if line.strip()]
    return pd.DataFrame(rows)


def _row(where: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise BadCorpus(f"{where}: no JSON ({error.msg})") from error
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise BadCorpus(f"{where}: {half} is half a character; expected both halves") from error
    except (RecursionError, ValueError) as error:  # ValueError: thousands of digits
        raise BadCorpus(f"{where}: no row of a table ({first_line(error)})") from error
    if not isinstance(row, dict):
        raise BadCorpus(f'{where}: expected an object like {{"text": ..., "label": ...}}')
    return row


def parquet(path: Path) -> pd.DataFrame:
    """A Parquet file, all of it: reading alone lets texts pass that are no UTF-8."""
    pq.read_table(path).validate(full=True)
    return pd.read_parquet(path)


def conll(path: Path) -> pd.DataFrame:
    """Sentences in CoNLL's form: on a line the token first and its tag last, between them perhaps
    other columns, parted by tabs or by blanks; a line of white space ends a sentence.

    Comments ("# id 7") and ``-DOCSTART-`` are no tokens. "# O" is one: what ends in a tag is no
    comment. WikiAnn's own files put the language before every token (``de:``): it is taken off.
    """
    sentences: list[list[tuple[str, str]]] = [[]]
    for number, line in enumerate(read_text(path).split("\n"), 1):
        line = line.rstrip(" \t\r")  # a line of WNUT17 between sentences is a tab
        fields = line.split("\t") if "\t" in line else [*filter(None, line.split(" "))]
        if not line.strip() or fields[0] == "-DOCSTART-":
            sentences.append([])
        elif line.startswith("# ") and not (len(fields) <= 4 and re.match(TAG, fields[-1])):
            continue
        elif len(fields) == 1:
            raise BadCorpus(
                f'{path}, line {number}: "{fields[0]}" has no tag; expected a token, white space '
                "and a tag"
            )
        else:
            token = fields[0].removeprefix(f"{path.parent.name}:")
            sentences[-1].append((token.strip(), fields[-1].strip()))
    rows = [tuple(zip(*sentence)) for sentence in sentences if sentence]
    return pd.DataFrame(rows, columns=["tokens", "ner_tags"])


TAG = r"(O|[BI]-.+)\Z"
"""A BIO tag: ``B-LOC`` begins an entity, ``I-LOC`` goes on with it, ``O`` is none."""

FORMATS: Readers = {".parquet": parquet, ".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl}
"""Tables of texts, by the ending of their files."""


def class_names(features: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """The names that the ``datasets`` library knows for a column of classes, or of lists of them.

    Args:
        features: as its ``Features.to_dict()`` gives them.
    """
    feature = features.get(column, {})
    return tuple(feature.get("feature", feature).get("names", ()))


def noted_names(path: Path, column: str) -> tuple[str, ...]:
    """The class names of a column that the ``datasets`` library noted in a parquet file."""
    schema = path.suffix.lower() == ".parquet" and read(path, {".parquet": pq.read_schema})
    noted = ((schema and schema.metadata) or {}).get(b"huggingface")
    try:
        names = class_names(json.loads(noted)["info"]["features"], column) if noted else ()
        "".join(names)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise BadCorpus(
            f'{path}: what the library datasets noted in it (its metadata "huggingface") is '
            "broken; write the file again"
        ) from None
    return names
