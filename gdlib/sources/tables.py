"""Tables of texts: files of a folder, splits of a data set of the hub, what a card's reader gives.

A folder holds one table per split, named by it: ``train.csv``, ``test.csv``, ``validation.csv``,
``unlabeled.csv`` (or .tsv, .jsonl, .parquet; several files such as ``train-0.parquet`` are read one
after the other). Only ``train`` has to be there.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from gdlib.core.errors import BadCorpus, unknown
from gdlib.core.reach import Reach
from gdlib.sources.cards import CARDS
from gdlib.sources.download import cached_store, from_the_hub
from gdlib.sources.files import FORMATS, Readers, class_names, noted_names, read

Tables = dict[str, pd.DataFrame]
NamedTables = tuple[Tables, tuple[str, ...]]
"""Tables by split, and the class names that came with them."""
SPLITS = ("train", "test", "validation", "unlabeled")
SPLIT_NAMES = {  # what a file or a split of the hub may be called
    **{name: name for name in SPLITS},
    **dict.fromkeys(("val", "valid", "dev"), "validation"),
    **dict.fromkeys(("unlabelled", "unsupervised"), "unlabeled"),
}


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


def files_by_split(folder: Path, formats: Readers = FORMATS) -> dict[str, list[Path]]:
    """The files of a folder that are named after a split: train, train-0, train-00000-of-00001.

    Raises:
        BadCorpus: a split has two files that are no parts of one another (train.csv beside
            train.parquet): joined, they would most likely hold every text twice.
    """
    files: dict[str, list[Path]] = {}
    numbers: dict[str, list[str | None]] = {}
    try:
        paths = sorted(filter(Path.is_file, folder.iterdir()))
    except OSError as error:
        raise BadCorpus(f"folder {folder} cannot be read: {error.strerror}") from error
    for path in paths:
        named = re.fullmatch(r"([a-z]+)([-_.]\d.*)?", path.stem.lower())
        split = SPLIT_NAMES.get(named[1]) if named else None
        if split and path.suffix.lower() in formats:
            files.setdefault(split, []).append(path)
            numbers.setdefault(split, []).append(named[2])
    for split, paths in files.items():
        if len(paths) > 1 and (None in numbers[split] or len({*numbers[split]}) < len(paths)):
            present = ", ".join(path.name for path in paths)
            raise BadCorpus(
                f"folder {folder} has {split} more than once: {present}; expected one file, or "
                f"parts with numbers such as {split}-0 and {split}-1"
            )
    return files


def read_files(
    files: Mapping[str, list[Path]], column: str, formats: Readers = FORMATS
) -> NamedTables:
    """The tables of some files by split, and the class names of a column where a file has them."""
    tables = {
        split: pd.concat([read(path, formats) for path in paths], ignore_index=True)
        for split, paths in files.items()
    }
    names = (noted_names(path, column) for path in chain(*files.values()))
    return tables, next(filter(None, names), ())


def read_folder(
    folder: Path, kind: str = "corpus", others: str = "perhaps test, validation, unlabeled"
) -> NamedTables:
    """The tables of a folder by split, and the names of the classes in the column ``label`` where a
    file has them. What is in the tables is not checked.

    Args:
        kind: what the message calls the folder.
        others: the splits it may have beside ``train``, for the message.

    Raises:
        BadCorpus: no file is named ``train``, or one cannot be read; the message says what is
            there.
    """
    files = files_by_split(folder)
    if "train" not in files:
        present = sorted(path.name for path in folder.iterdir() if path.is_file())
        raise BadCorpus(
            f"{kind} folder {folder} has no train split: found "
            f"{', '.join(present[:8]) or 'no file'}; expected train, and {others}, as "
            f"{', '.join(FORMATS)}"
        )
    return read_files(files, "label")


def read_hub(kind: str, name: str, *columns: str) -> NamedTables:
    """The tables of a data set of the hub by split, and the class names of the first of these
    columns that it has.

    Args:
        name: ``hub:NAME`` or ``hub:NAME:CONFIG``.

    Raises:
        BadDownload: it cannot be fetched.
    """
    with from_the_hub(kind, name):
        import datasets  # here, not above: it takes seconds, and only this route needs it

        hub, _, config = name.removeprefix("hub:").partition(":")
        loaded = datasets.load_dataset(hub, config or None)
    tables = {
        SPLIT_NAMES[split]: data.to_pandas()
        for split, data in loaded.items()
        if split in SPLIT_NAMES
    }
    features = next(iter(loaded.values())).features.to_dict()
    return tables, class_names(features, next(filter(features.__contains__, columns), ""))


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
    if rows := [row for row, fault in enumerate(faulty, 1) if fault]:
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

    reach = Reach()
    reach.value(reader)
    if not reach.code:
        return tables()
    recipe = {"corpus": name, "of": [kind, *arguments], "from": card.origin, "code": reach.code}
    made = cached_store().make("corpora", recipe, build)
    return {path.stem: read(path) for path in sorted(made.path.glob("*.parquet"))}


def fetch_card(name: str) -> int:
    """Bring a card's corpus into the cache, as what it is first; the number of its texts."""
    kind, languages = next(iter(CARDS[name].readers)), CARDS[name].languages
    cells = [(language,) for language in languages] or [()]
    return sum(len(table) for cell in cells for table in read_card(name, kind, *cell).values())
