"""Labelled texts: three embedded corpora, a folder of tables, or a data set of the hub, as one
type.

::

    corpus = load("bbc")                     # or "path/to/folder", or "hub:fancyzhx/ag_news"
    corpus.parts["train"].texts, corpus.labels

A folder holds one table a split, named by it: ``train.csv``, ``test.csv``, ``validation.csv``,
``unlabeled.csv`` (or .tsv, .jsonl, .parquet; several files such as ``train-0.parquet`` are read one
after the other), with the columns ``text`` and ``label``. Only ``train`` has to be there.
"""

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from gdlib.core.code import code_digest
from gdlib.core.errors import BadCorpus, BadDownload, first_line, unknown
from gdlib.core.settings import digest
from gdlib.core.store import texts_digest
from gdlib.sources.download import cached_store
from gdlib.sources.embedded import CORPORA

SPLITS = ("train", "test", "validation", "unlabeled")
ALIASES = {
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "unlabelled": "unlabeled",
    "unsupervised": "unlabeled",
}
SPLIT_NAMES = {
    name: name for name in SPLITS
} | ALIASES  # what a file or a split of the hub may be called
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl")
HUB_TEXTS = (
    ("title", "content"),
    ("question_title", "question_content", "best_answer"),
)  # DBpedia; Yahoo Answers


@dataclass(frozen=True)
class Part:
    """Texts and their labels (indices into the corpus's class names); no labels at all where they
    are not known.
    """

    texts: list[str]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Corpus:
    """A corpus as it came in. ``parts`` has ``train`` always, ``test``, ``validation`` and
    ``unlabeled`` where given.

    ``digest`` is over class names, texts and labels: where the files lay does not count.
    """

    name: str
    labels: tuple[str, ...]
    parts: dict[str, Part]
    source: str
    licence: str
    digest: str


def load(name: str) -> Corpus:
    """The corpus of that name, checked.

    Args:
        name: a name of :data:`CORPORA`, the path of a folder, or ``hub:NAME`` (``hub:NAME:CONFIG``
            where it has several).

    Raises:
        UnknownName: neither a known name nor a path.
        BadCorpus: the texts or labels cannot be studied as they are; the message says what was
            found and where.
        BadDownload: an embedded corpus cannot be fetched.
    """
    if name in CORPORA:
        return _embedded(name)
    if name.startswith("hub:"):
        return _from_hub(name)
    if Path(name).is_dir():
        return _from_folder(Path(name))
    if Path(name).exists():
        raise BadCorpus(
            f"corpus {name} is a single file; expected a folder with "
            f"train{{{','.join(FORMATS)}}} and perhaps test.*"
        )
    if "/" in name or "\\" in name or name.startswith("."):
        raise BadCorpus(f"corpus folder {name} does not exist; known corpora: {', '.join(CORPORA)}")
    raise unknown("corpus", name, CORPORA, "or a folder, or hub:NAME")


def build(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    source: str,
    licence: str,
    names: tuple[str, ...] = (),
) -> Corpus:
    """A corpus from one table a split, checked; the one door for every source.

    Args:
        tables: split name to a table with the columns ``text`` and ``label`` (none needed in
            ``unlabeled``). A test or validation split whose labels are all -1 (withheld, as in
            GLUE) is left out.
        names: the class names where labels are indices into them; else the labels are the names (or
            numbers).
    """
    if "train" not in tables:
        raise BadCorpus(
            f"corpus {name} has no train split; found: {', '.join(tables) or 'nothing'}"
        )
    tables = {
        split: table
        for split, table in tables.items()
        if split in ("train", "unlabeled") or not _hidden(table)
    }
    for split, table in tables.items():
        _check(name, split, table)
    known = {_plain(label): index for index, label in enumerate(names)} | {
        index: index for index in range(len(names))
    }
    if not names:
        ordered = sorted(
            set(tables["train"]["label"].map(_plain)),
            key=lambda label: (isinstance(label, str), label),
        )
        names, known = (
            tuple(map(str, ordered)),
            {label: index for index, label in enumerate(ordered)},
        )
    parts: dict[str, Part] = {}
    for split in (split for split in SPLITS if split in tables):
        labels = (
            []
            if split == "unlabeled"
            else [known.get(_plain(label), label) for label in tables[split]["label"]]
        )
        in_train = set(parts["train"].labels) if parts else set(range(len(names)))
        if lacking := [label for label in labels if label not in in_train]:
            label = names[lacking[0]] if lacking[0] in range(len(names)) else lacking[0]
            whose = f"train lacks; labels of train: {', '.join(names[i] for i in sorted(in_train))}"
            raise BadCorpus(
                f'corpus {name}: {split} has the label "{label}" that '
                f"{whose if parts else 'has no name'}"
            )
        parts[split] = Part(tables[split]["text"].tolist(), labels)
        if split == "train" and len(set(labels)) < 2:
            raise BadCorpus(
                f'corpus {name}: train has one class only ("{names[labels[0]]}"); expected '
                "two or more"
            )
    content = [[split, texts_digest(part.texts), part.labels] for split, part in parts.items()]
    return Corpus(name, names, parts, source, licence, digest([names, content]))


def _check(name: str, split: str, table: pd.DataFrame) -> None:
    where = f"corpus {name}: {split}"
    for column in ("text", "label") if split != "unlabeled" else ("text",):
        if column not in table.columns:
            raise BadCorpus(
                f'{where} has no column "{column}"; found: '
                f"{', '.join(map(str, table.columns)) or 'nothing'}"
            )
    if not len(table):
        raise BadCorpus(f"{where} is empty (no row)")
    for number, text in enumerate(table["text"], 1):
        if not isinstance(text, str) and not _absent(text):
            raise BadCorpus(
                f'{where}: column "text" holds {type(text).__name__} in row {number}, expected text'
            )
    empty = [
        number for number, text in enumerate(table["text"], 1) if _absent(text) or not text.strip()
    ]
    if empty:
        raise BadCorpus(
            f"{where} has {len(empty)} empty texts, the first in row {empty[0]} (the header "
            "not counted)"
        )
    bare = (
        [number for number, label in enumerate(table["label"], 1) if _absent(label)]
        if split != "unlabeled"
        else []
    )
    if bare:
        raise BadCorpus(
            f"{where} has {len(bare)} texts without a label, the first in row {bare[0]} "
            "(the header not counted)"
        )


def _absent(value: Any) -> bool:
    return (
        value is None
        or value is pd.NA
        or value == ""
        or (isinstance(value, float) and math.isnan(value))
    )


def _hidden(table: pd.DataFrame) -> bool:
    """Whether a split's labels are withheld (all -1, as in the test sets of GLUE)."""
    return "label" in table.columns and len(table) > 0 and set(table["label"].map(str)) == {"-1"}


def _plain(label: Any) -> int | str:
    """A label as int or text, whatever a table made of it (1, "1", 1.0 and True agree)."""
    text = (
        str(int(label))
        if isinstance(label, (bool, np.bool_, float)) and int(label) == label
        else str(label).strip()
    )
    return int(text) if re.fullmatch(r"-?(0|[1-9]\d*)", text) else text


# embedded corpora


def _embedded(name: str) -> Corpus:
    """Parsed once, kept as parquet in the cache; made again when the package or this code changes."""
    card = CORPORA[name]
    recipe = {"corpus": name, "from": card.origin, "code": code_digest("gdlib.sources.embedded")}
    made = cached_store().make(
        "corpora", recipe, lambda work: card.read().to_parquet(work / "train.parquet", index=False)
    )
    return build(
        name, {"train": pd.read_parquet(made / "train.parquet")}, card.source, card.licence
    )


# folders


def _from_folder(folder: Path) -> Corpus:
    tables, names = read_folder(folder)
    return build(folder.resolve().name, tables, "a folder", "as its owner says", names)


def read_folder(
    folder: Path, kind: str = "corpus", others: str = "perhaps test, validation, unlabeled"
) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """The tables of a folder by split, and the class names that came with them; what is in the
    tables is not checked.

    Args:
        folder: of files named after their split, in :data:`FORMATS`.
        kind: what the message calls the folder.
        others: the splits it may have beside ``train``, for the message.

    Raises:
        BadCorpus: no file is named ``train``, or one cannot be read; the message says what was
            found.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    tables: dict[str, list[pd.DataFrame]] = {}
    names: tuple[str, ...] = ()
    for path in files:
        named = re.fullmatch(
            r"([a-z]+)([-_.]\d.*)?", path.stem.lower()
        )  # train, train-0, train-00000-of-00001
        if path.suffix.lower() in FORMATS and named and (split := SPLIT_NAMES.get(named[1])):
            tables.setdefault(split, []).append(_read_table(path))
            names = names or names_of_feature(path, "label")
    if "train" not in tables:
        found = ", ".join(path.name for path in files[:8]) or "no file"
        raise BadCorpus(
            f"{kind} folder {folder} has no train split: found {found}; expected train, and "
            f"{others}, as {', '.join(FORMATS)}"
        )
    return {split: pd.concat(parts, ignore_index=True) for split, parts in tables.items()}, names


def _read_table(path: Path) -> pd.DataFrame:
    """One file as a table; texts stay as they are written ("NA" and "null" are words)."""
    if not path.stat().st_size:
        raise BadCorpus(f"{path} is empty")
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path).to_pandas()
        content = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
        if path.suffix.lower() == ".jsonl":
            return pd.DataFrame(
                [
                    _json_row(path, number, line)
                    for number, line in enumerate(content.split("\n"), 1)
                    if line.strip()
                ]
            )
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        return pd.read_csv(io.StringIO(content), sep=separator, dtype=str, keep_default_na=False)
    except UnicodeDecodeError as error:
        raise BadCorpus(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at position "
            f"{error.start}; save it as UTF-8"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ArrowInvalid) as error:
        raise BadCorpus(
            f"{path} cannot be read as {path.suffix[1:]}: {first_line(error)}"
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


def names_of_feature(path: Path, column: str) -> tuple[str, ...]:
    """The class names that the ``datasets`` library wrote into a parquet file for a column of
    classes, or of lists of them.
    """
    if path.suffix.lower() != ".parquet":
        return ()
    noted = (pq.read_schema(path).metadata or {}).get(b"huggingface")
    feature = json.loads(noted)["info"]["features"].get(column, {}) if noted else {}
    return tuple(feature.get("feature", feature).get("names", ()))


# the hub


def _from_hub(name: str) -> Corpus:
    """A data set of the hub; titles and bodies (:data:`HUB_TEXTS`) are joined where it has no
    column ``text``.
    """
    import datasets  # here, not above: it takes seconds, and only this route needs it

    hub_name, _, config = name.removeprefix("hub:").partition(":")
    try:
        found = datasets.load_dataset(hub_name, config or None)
    except Exception as error:  # the loaders pass on errors of many libraries
        raise BadDownload(
            f'corpus "{name}" cannot be fetched from the hub: {first_line(error)} (check '
            "the network and the name)"
        ) from error
    tables = {
        SPLIT_NAMES[split]: _text_and_label(data.to_pandas())
        for split, data in found.items()
        if split in SPLIT_NAMES
    }
    if "train" not in tables:
        raise BadCorpus(f'corpus "{name}" has no train split; found: {", ".join(found)}')
    features = found["train"].features
    label = features.get("label", features.get("topic"))
    return build(
        name,
        tables,
        f"https://huggingface.co/datasets/{hub_name}",
        "as its page says",
        tuple(getattr(label, "names", None) or ()),
    )


def _text_and_label(table: pd.DataFrame) -> pd.DataFrame:
    for columns in HUB_TEXTS:
        if "text" not in table.columns and set(columns) <= set(table.columns):
            rows = zip(*(table[column].fillna("").str.strip() for column in columns), strict=True)
            table = table.assign(text=[". ".join(filter(None, row)) for row in rows])
    return table.rename(columns={"topic": "label"}) if "label" not in table.columns else table
