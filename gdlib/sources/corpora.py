"""Labelled texts: embedded corpora, a folder of tables, or a data set of the hub, as one type.

::

    corpus = load("bbc")                     # or "path/to/folder", or "hub:fancyzhx/ag_news"
    corpus.parts["train"].texts, corpus.labels

A folder holds tables named by their split (:mod:`gdlib.sources.tables`) with the columns ``text``
and ``label``.
"""

import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus
from gdlib.core.settings import digest
from gdlib.sources import tables
from gdlib.sources.cards import cards
from gdlib.sources.parts import Part
from gdlib.sources.tables import FORMATS, SPLITS

SECOND = "second text"  # the column of the second texts of pairs
HUB_TEXTS = (  # DBpedia; Yahoo Answers
    ("title", "content"),
    ("question_title", "question_content", "best_answer"),
)


@dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus as it came in, equal to itself alone. ``parts`` has ``train`` always, ``test``,
    ``validation`` and ``unlabeled`` where given.
    """

    name: str
    labels: tuple[str, ...]
    parts: dict[str, Part]

    @cached_property
    def digest(self) -> str:
        """Over class names, texts and labels: where the files lay does not count."""
        return digest([self.labels, [[name, part.digest] for name, part in self.parts.items()]])


def load(name: str) -> Corpus:
    """The corpus of that name, checked.

    Args:
        name: of a card of texts, the path of a folder, or ``hub:NAME`` (``hub:NAME:CONFIG`` where
            it has several).

    Raises:
        UnknownName: neither a known name nor a path.
        BadCorpus: the texts or labels cannot be studied as they are; the message says what is wrong
            and where.
        BadDownload: an embedded corpus cannot be fetched.
    """
    known = cards("texts")
    if name in known:
        return build(name, tables.read_card(name, "texts"))
    if name.startswith("hub:"):
        splits, names = tables.read_hub("corpus", name, "label", "topic")
        return build(name, {split: _hub_table(table) for split, table in splits.items()}, names)
    if Path(name).is_file():
        raise BadCorpus(
            f"corpus {name} is a single file; expected a folder with "
            f"train{{{','.join(FORMATS)}}} and perhaps test.*"
        )
    folder = tables.folder("corpus", "corpora", name, known, "or a folder, or hub:NAME")
    return build(folder.resolve().name, *tables.read_folder(folder))


def build(
    name: str, splits: tables.Tables, names: Sequence[str] = (), kind: str = "corpus"
) -> Corpus:
    """A corpus from one table per split, checked; the one door for every source.

    Args:
        splits: split name to a table with the columns ``text``, maybe :data:`SECOND`, and ``label``
            (none needed in ``unlabeled``). A test or validation split whose labels are all -1
            (withheld, as in GLUE) is left out.
        names: the class names where labels are indices into them; else the labels are the names (or
            numbers).
        kind: what messages call it.
    """
    where = f"{kind} {name}"
    if "train" not in splits:
        raise BadCorpus(f"{where} has no train split; found: {', '.join(splits) or 'nothing'}")
    labels: dict[str, list[str]] = {}
    for split in filter(splits.__contains__, SPLITS):
        table = splits[split]
        if split == "unlabeled":
            check(f"{where}: {split}", table, "text")
            labels[split] = []
        elif split == "train" or not _withheld(table):
            check(f"{where}: {split}", table, "text", "label")
            labels[split] = [_class_name(label, names) for label in table["label"]]
    in_train = set(labels["train"])
    names = tuple(names or sorted(in_train, key=_place))
    index = {label: place for place, label in enumerate(names)}
    known = [label for label in names if label in in_train]
    for split, given in labels.items():
        allowed, why = in_train, f"train lacks; labels of train: {', '.join(known)}"
        if split == "train":
            allowed, why = index, "has no name"
        if lacking := [label for label in given if label not in allowed]:
            raise BadCorpus(f'{where}: {split} has the label "{lacking[0]}" that {why}')
    if len(known) < 2:
        raise BadCorpus(f'{where}: train has one class only ("{known[0]}"); expected two or more')
    parts = {
        split: to_part(splits[split], [index[label] for label in given])
        for split, given in labels.items()
    }
    return Corpus(name, names, parts)


def to_part(table: pd.DataFrame, labels: list[int] | list[float]) -> Part:
    """The texts of a table (pairs, where it has the column :data:`SECOND`) with these labels."""
    return Part(table["text"].tolist(), labels, table[SECOND].tolist() if SECOND in table else [])


def check(where: str, table: pd.DataFrame, *columns: str) -> None:
    """Raise for the first fault of a table: columns, rows, texts, labels."""
    tables.require(where, table.columns, *columns)
    if not len(table):
        raise BadCorpus(f"{where} is empty (no row)")
    for column in table.columns.intersection(["text", SECOND]):
        _refuse_others(where, table[column], lambda text: isinstance(text, str), "text")
        empty = table[column].isna() | (table[column].astype(str).str.strip() == "")
        tables.refuse_rows(where, "empty texts", empty)
    if "label" in columns:
        _refuse_others(where, table["label"], _is_label, "a name or a finite number")
        missing = table["label"].isna() | (table["label"] == "")
        tables.refuse_rows(where, "texts without a label", missing)


def _refuse_others(
    where: str, column: pd.Series, is_right: Callable[[Any], bool], expected: str
) -> None:
    """Refuse a column with another kind of value, missing ones apart; the first is the message."""
    for row, (value, missing) in enumerate(zip(column, column.isna()), 1):
        if not (missing or is_right(value)):
            kind = value if isinstance(value, float) else type(value).__name__
            kind = "list" if kind == "ndarray" else kind
            raise BadCorpus(
                f'{where}: column "{column.name}" holds {kind} in row {row}, expected {expected}'
            )


def _is_label(value: Any) -> bool:
    """Whether a value can be a class: lists and dicts would be, by their text, without a word."""
    is_number = isinstance(value, (Real, Decimal, np.bool_))
    return abs(value) <= sys.float_info.max if is_number else isinstance(value, str)


def _withheld(table: pd.DataFrame) -> bool:
    """Whether a split's labels are withheld (all -1, as in the test sets of GLUE)."""
    return set(map(str, table.get("label", ()))) == {"-1"}


def _class_name(label: Any, names: Sequence[str]) -> str:
    """A label as text, whatever a table made of it (1, "1", 1.0 and True agree); an index into the
    class names as the name.
    """
    if isinstance(label, (bool, np.bool_, float)) and int(label) == label:
        label = int(label)
    number, text = _place(str(label).strip())
    return names[number] if not text and 0 <= number < len(names) else str(label).strip()


def _place(name: str) -> tuple[float, str]:
    """What class names are ordered by: numbers by their value, before all others."""
    return (int(name), "") if re.fullmatch(r"-?(0|[1-9]\d{0,17})", name) else (math.inf, name)


def _hub_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table of the hub with the columns ``text`` and ``label``, where another column has the
    labels, or titles and bodies (:data:`HUB_TEXTS`) are the texts.
    """
    for columns in HUB_TEXTS:
        if "text" not in table.columns and set(columns) <= set(table.columns):
            rows = zip(*(table[column].fillna("").str.strip() for column in columns))
            table = table.assign(text=[". ".join(filter(None, row)) for row in rows])
    return table if "label" in table.columns else table.rename(columns={"topic": "label"})
