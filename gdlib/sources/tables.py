"""Tables of texts: files of a folder, splits of a data set of the hub, what a card's reader gives.

A folder holds one table a split, named by it: ``train.csv``, ``test.csv``, ``validation.csv``,
``unlabeled.csv`` (or .tsv, .jsonl, .parquet; several files such as ``train-0.parquet`` are read one
after the other). Only ``train`` has to be there.
"""

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from gdlib.core.errors import BadCorpus, first_line, unknown
from gdlib.core.reach import Reach
from gdlib.sources.cards import CARDS
from gdlib.sources.download import cached_store

Tables = dict[str, pd.DataFrame]
SPLITS = ("train", "test", "validation", "unlabeled")
SPLIT_NAMES = {name: name for name in SPLITS} | {  # what a file or a split of the hub may be called
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "unlabelled": "unlabeled",
    "unsupervised": "unlabeled",
}
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl")


def folder(kind: str, plural: str, name: str, known: Iterable[str], hint: str) -> Path:
    """The folder of that name.

    Args:
        kind, plural: what the message calls what is looked for: "corpus", "corpora".
        known: the names that would have been right too.
        hint: what else would be, at the end of the message.

    Raises:
        BadCorpus: it looks like a path, and there is no such folder.
        UnknownName: it does not.
    """
    if Path(name).is_dir():
        return Path(name)
    if "/" in name or "\\" in name or name.startswith("."):
        raise BadCorpus(f"{kind} folder {name} does not exist; known {plural}: {', '.join(known)}")
    raise unknown(kind, name, known, hint)


def files_by_split(folder: Path, formats: Sequence[str] = FORMATS) -> dict[str, list[Path]]:
    """The files of a folder that are named after a split: train, train-0, train-00000-of-00001."""
    files: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        named = re.fullmatch(r"([a-z]+)([-_.]\d.*)?", path.stem.lower())
        if path.suffix.lower() in formats and named and (split := SPLIT_NAMES.get(named[1])):
            files.setdefault(split, []).append(path)
    return files


def read_folder(
    folder: Path, kind: str = "corpus", others: str = "perhaps test, validation, unlabeled"
) -> tuple[Tables, tuple[str, ...]]:
    """The tables of a folder by split, and the class names that came with them; what is in the
    tables is not checked.

    Args:
        kind: what the message calls the folder.
        others: the splits it may have beside ``train``, for the message.

    Raises:
        BadCorpus: no file is named ``train``, or one cannot be read; the message says what was
            found.
    """
    files = files_by_split(folder)
    if "train" not in files:
        present = sorted(path.name for path in folder.iterdir() if path.is_file())
        raise BadCorpus(
            f"{kind} folder {folder} has no train split: found "
            f"{', '.join(present[:8]) or 'no file'}; expected train, and {others}, as "
            f"{', '.join(FORMATS)}"
        )
    tables = {
        split: pd.concat(map(read, paths), ignore_index=True) for split, paths in files.items()
    }
    named = (class_names(path, "label") for paths in files.values() for path in paths)
    return tables, next(filter(None, named), ())


def read(path: Path) -> pd.DataFrame:
    """One file as a table; texts stay as they are written ("NA" and "null" are words).

    Raises:
        BadCorpus: it is empty, damaged, or not in UTF-8; the message says where.
    """
    form = path.suffix.lower()
    if not path.stat().st_size:
        raise BadCorpus(f"{path} is empty")
    try:
        if form == ".parquet":
            return pq.read_table(path).to_pandas()
        if form == ".jsonl":
            lines = enumerate(read_text(path).split("\n"), 1)
            return pd.DataFrame([_json_row(path, *line) for line in lines if line[1].strip()])
        separator = "\t" if form == ".tsv" else ","
        content = io.StringIO(read_text(path))
        return pd.read_csv(content, sep=separator, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ArrowInvalid, OSError) as error:
        raise BadCorpus(f"{path} cannot be read as {form[1:]}: {first_line(error)}") from error


def read_text(path: Path) -> str:
    """A file of text, without a byte order mark.

    Raises:
        BadCorpus: it is not in UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadCorpus(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at position "
            f"{error.start}; save it as UTF-8"
        ) from error


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadCorpus(f"{path}, line {number}: no JSON ({error.msg})") from error
    if not isinstance(row, dict):
        raise BadCorpus(
            f'{path}, line {number}: expected an object like {{"text": ..., "label": ...}}'
        )
    return row


def class_names(path: Path, column: str) -> tuple[str, ...]:
    """The class names that the ``datasets`` library wrote into a parquet file for a column of
    classes, or of lists of them.
    """
    if path.suffix.lower() != ".parquet":
        return ()
    noted = (pq.read_schema(path).metadata or {}).get(b"huggingface")
    feature = json.loads(noted)["info"]["features"].get(column, {}) if noted else {}
    return tuple(feature.get("feature", feature).get("names", ()))


def feature_names(feature: Any) -> tuple[str, ...]:
    """The class names of a feature of ``datasets``, of classes or of lists of them."""
    return tuple(getattr(getattr(feature, "feature", feature), "names", None) or ())


def require(where: str, present: Iterable[Any], *columns: str) -> None:
    """Check that the columns are there.

    Raises:
        BadCorpus: one is not; the message begins with ``where`` and names those that are.
    """
    present = list(map(str, present))
    for column in columns:
        if column not in present:
            raise BadCorpus(
                f'{where} has no column "{column}"; found: {", ".join(present) or "nothing"}'
            )


def refuse_rows(where: str, what: str, faulty: Iterable[bool]) -> None:
    """Refuse a table of which rows are faulty: ``train has 2 empty texts, the first in row 2``."""
    if rows := [row for row, bad in enumerate(faulty, 1) if bad]:
        raise BadCorpus(
            f"{where} has {len(rows)} {what}, the first in row {rows[0]} (the header not counted)"
        )


def read_card(name: str, kind: str, *arguments: Any) -> Tables:
    """What a card's reader of that kind gives, by split (a table alone is ``train``).

    Readers of this library are called once and what they give is kept as parquet in the cache; they
    are called again when the package or their code changes. Of a reader from elsewhere the code is
    not known, so it is called each time.
    """
    card = CARDS[name]
    reader = card.reader(kind)

    def tables() -> Tables:
        given = reader(*arguments)
        return dict(given) if isinstance(given, Mapping) else {"train": given}

    def build(work: Path) -> None:
        for split, table in tables().items():
            table.to_parquet(work / f"{split}.parquet", index=False)

    code = Reach().value(reader).code
    if not code:
        return tables()
    recipe = {"corpus": name, "of": [kind, *arguments], "from": card.origin, "code": code}
    made = cached_store().make("corpora", recipe, build)
    return {path.stem: read(path) for path in sorted(made.path.glob("*.parquet"))}


def fetch_card(name: str) -> int:
    """Bring a card's corpus into the cache, as what it is first; the number of its texts."""
    kind, languages = next(iter(CARDS[name].readers)), CARDS[name].languages
    cells = [(language,) for language in languages] or [()]
    return sum(len(table) for cell in cells for table in read_card(name, kind, *cell).values())
