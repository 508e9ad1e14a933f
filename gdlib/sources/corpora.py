"""Labelled texts: embedded corpora, a folder of tables, or a data set of the hub, as one type.

::

    corpus = load("bbc")                     # or "path/to/folder", or "hub:fancyzhx/ag_news"
    corpus.parts["train"].texts, corpus.labels

A folder holds tables named by their split (:mod:`gdlib.sources.tables`) with the columns ``text``
and ``label``.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus
from gdlib.core.settings import digest
from gdlib.sources import tables
from gdlib.sources.cards import cards
from gdlib.sources.download import from_the_hub
from gdlib.sources.parts import Part
from gdlib.sources.tables import FORMATS, SPLIT_NAMES, SPLITS

HUB_TEXTS = (  # DBpedia; Yahoo Answers
    ("title", "content"),
    ("question_title", "question_content", "best_answer"),
)
Label = int | str


@dataclass(frozen=True)
class Corpus:
    """A corpus as it came in. ``parts`` has ``train`` always, ``test``, ``validation`` and
    ``unlabeled`` where given.
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
        BadCorpus: the texts or labels cannot be studied as they are; the message says what was
            found and where.
        BadDownload: an embedded corpus cannot be fetched.
    """
    known = cards("texts")
    if name in known:
        return build(name, tables.read_card(name, "texts"))
    if name.startswith("hub:"):
        return _from_hub(name)
    if Path(name).is_file():
        raise BadCorpus(
            f"corpus {name} is a single file; expected a folder with "
            f"train{{{','.join(FORMATS)}}} and perhaps test.*"
        )
    folder = tables.folder("corpus", "corpora", name, known, "or a folder, or hub:NAME")
    return build(folder.resolve().name, *tables.read_folder(folder))


def build(name: str, splits: tables.Tables, names: Sequence[str] = ()) -> Corpus:
    """A corpus from one table a split, checked; the one door for every source.

    Args:
        splits: split name to a table with the columns ``text`` and ``label`` (none needed in
            ``unlabeled``). A test or validation split whose labels are all -1 (withheld, as in
            GLUE) is left out.
        names: the class names where labels are indices into them; else the labels are the names (or
            numbers).
    """
    if "train" not in splits:
        raise BadCorpus(
            f"corpus {name} has no train split; found: {', '.join(splits) or 'nothing'}"
        )
    used = [
        split
        for split in SPLITS
        if split in splits and (split in ("train", "unlabeled") or not _withheld(splits[split]))
    ]
    for split in used:
        _check(f"corpus {name}: {split}", splits[split], labelled=split != "unlabeled")
    names, known = _classes(map(_plain, splits["train"]["label"]), names)
    parts: dict[str, Part] = {}
    allowed = set(known.values())
    for split in used:
        labels = [] if split == "unlabeled" else list(map(_plain, splits[split]["label"]))
        ids = [known.get(label, -1) for label in labels]
        if lacking := [place for place, label in enumerate(ids) if label not in allowed]:
            label = names[ids[lacking[0]]] if ids[lacking[0]] >= 0 else labels[lacking[0]]
            classes = ", ".join(names[index] for index in sorted(allowed))
            why = f"train lacks; labels of train: {classes}" if parts else "has no name"
            raise BadCorpus(f'corpus {name}: {split} has the label "{label}" that {why}')
        parts[split] = Part(splits[split]["text"].tolist(), ids)
        allowed = set(parts["train"].labels)
        if len(allowed) < 2:
            raise BadCorpus(
                f'corpus {name}: train has one class only ("{names[ids[0]]}"); expected two or more'
            )
    return Corpus(name, names, parts)


def _classes(
    labels: Iterable[Label], names: Sequence[str]
) -> tuple[tuple[str, ...], dict[Label, int]]:
    """The class names in their order, and the index of every label that may stand for one."""
    if names:
        by_name = {_plain(name): index for index, name in enumerate(names)}
        return tuple(names), by_name | {index: index for index in range(len(names))}
    ordered = sorted(set(labels), key=lambda label: (isinstance(label, str), label))
    return tuple(map(str, ordered)), {label: index for index, label in enumerate(ordered)}


def _check(where: str, table: pd.DataFrame, labelled: bool) -> None:
    """Raise for the first fault of a table: columns, rows, texts, labels."""
    tables.require(where, table.columns, "text", *(["label"] if labelled else []))
    if not len(table):
        raise BadCorpus(f"{where} is empty (no row)")
    for number, text in enumerate(table["text"], 1):
        if not isinstance(text, str) and not _absent(text):
            raise BadCorpus(
                f'{where}: column "text" holds {type(text).__name__} in row {number}, expected text'
            )
    empty = (_absent(text) or not text.strip() for text in table["text"])
    tables.refuse_rows(where, "empty texts", empty)
    if labelled:
        tables.refuse_rows(where, "texts without a label", map(_absent, table["label"]))


def _absent(value: Any) -> bool:
    missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    return missing or value == ""


def _withheld(table: pd.DataFrame) -> bool:
    """Whether a split's labels are withheld (all -1, as in the test sets of GLUE)."""
    return "label" in table.columns and len(table) > 0 and set(table["label"].map(str)) == {"-1"}


def _plain(label: Any) -> Label:
    """A label as int or text, whatever a table made of it (1, "1", 1.0 and True agree)."""
    if isinstance(label, (bool, np.bool_, float)) and int(label) == label:
        label = int(label)
    text = str(label).strip()
    return int(text) if re.fullmatch(r"-?(0|[1-9]\d*)", text) else text


def _from_hub(name: str) -> Corpus:
    """A data set of the hub; titles and bodies (:data:`HUB_TEXTS`) are joined where it has no
    column ``text``.
    """
    hub_name, _, config = name.removeprefix("hub:").partition(":")
    with from_the_hub("corpus", name):
        import datasets  # here, not above: it takes seconds, and only this route needs it

        loaded = datasets.load_dataset(hub_name, config or None)
    splits = {
        SPLIT_NAMES[split]: _text_and_label(data.to_pandas())
        for split, data in loaded.items()
        if split in SPLIT_NAMES
    }
    if "train" not in splits:
        raise BadCorpus(f'corpus "{name}" has no train split; found: {", ".join(loaded)}')
    features = loaded["train"].features
    names = tables.feature_names(features.get("label", features.get("topic")))
    return build(name, splits, names)


def _text_and_label(table: pd.DataFrame) -> pd.DataFrame:
    for columns in HUB_TEXTS:
        if "text" not in table.columns and set(columns) <= set(table.columns):
            rows = zip(*(table[column].fillna("").str.strip() for column in columns), strict=True)
            table = table.assign(text=[". ".join(filter(None, row)) for row in rows])
    return table.rename(columns={"topic": "label"}) if "label" not in table.columns else table
