"""Sentences with tags in several languages: silver ones, a folder of languages, or WikiAnn from the
hub.

::

    corpus = load("silver", ["de", "ja"])      # or "path/to/folder", or "hub:unimelb-nlp/wikiann"
    corpus.parts["train"].tokens, corpus.tags

A folder holds one folder a language, named by it, and in that one file a split: ``train``, perhaps
``test`` and ``unlabeled``, as ``.parquet`` with the columns ``tokens`` and ``ner_tags``, or as
CoNLL (``.conll``, ``.bio``, ``.txt``: a token a line, its tag last, an empty line after a
sentence). Tags are BIO: ``B-LOC`` begins an entity, ``I-LOC`` goes on with it, ``O`` is none.
Integers are read with the names that the ``datasets`` library wrote into the parquet file, or those
in ``tags.txt`` (one a line) beside the languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus, unknown
from gdlib.sources import bio, tables
from gdlib.sources.bio import Rows
from gdlib.sources.cards import cards
from gdlib.sources.download import from_the_hub
from gdlib.sources.parts import Sentences

# a validation split that a corpus brings along would be labels for free
SPLITS = ("train", "test", "unlabeled")
FORMATS = (".parquet", ".conll", ".bio", ".txt")


@dataclass(frozen=True)
class TaggedCorpus:
    """A corpus as it came in.

    ``tags`` begins with ``O``; ``parts`` has ``train`` always, ``test`` and ``unlabeled`` where
    given.
    """

    name: str
    tags: tuple[str, ...]
    languages: tuple[str, ...]
    parts: dict[str, Sentences]

    @property
    def silver(self) -> bool:
        """Whether its sentences are made ones; whatever shows them says so."""
        return self.name == "silver"


def load(name: str, languages: Sequence[str] = ()) -> TaggedCorpus:
    """The corpus of that name, checked.

    Args:
        name: of a tagged card, the path of a folder, or ``hub:NAME`` with a configuration a
            language.
        languages: the ones to take, in this order; none: all there are.

    Raises:
        UnknownName: neither a known name nor a folder, or a language that it does not have.
        BadCorpus: sentences or tags that cannot be studied as they are; the message says what was
            found and where.
        BadDownload: it cannot be fetched from the hub.
    """
    known = cards("tagged")
    if name in known:
        sentences = {
            (language, split): _rows(table)
            for language in _chosen(name, languages, known[name].languages)
            for split, table in tables.read_card(name, "tagged", language).items()
        }
        return build(name, sentences)
    if name.startswith("hub:"):
        return _from_hub(name, languages)
    hint = "or a folder of languages, or hub:NAME"
    folder = tables.folder("tagged corpus", "tagged corpora", name, known, hint)
    return _from_folder(folder, languages)


def build(
    name: str, sentences: dict[tuple[str, str], Rows], tag_names: Sequence[str] = ()
) -> TaggedCorpus:
    """A corpus from sentences, checked; the one door for every source.

    Args:
        sentences: those of every language and split.
        tag_names: what integer tags mean, in order.
    """
    where = f"tagged corpus {name}"
    languages = tuple(dict.fromkeys(language for language, _ in sentences))
    for language in languages:
        if (language, "train") not in sentences:
            present = ", ".join(split for other, split in sentences if other == language)
            raise BadCorpus(f"{where}: {language} has no train split; found: {present}")
    named = {
        (language, split): bio.named(f"{where}: {language}/{split}", rows, tag_names)
        for (language, split), rows in sentences.items()
    }
    tags = bio.vocabulary(name, [rows for (_, split), rows in named.items() if split == "train"])
    index = {tag: place for place, tag in enumerate(tags)}
    parts = {split: Sentences([], [], []) for split in SPLITS}
    for (language, split), rows in named.items():
        for tokens, names in rows:
            if lacking := set(names).difference(tags):
                raise BadCorpus(
                    f'{where}: {language}/{split} has the tag "{min(lacking)}" that train lacks; '
                    f"tags of train: {', '.join(tags)}"
                )
            part = parts[split]
            part.tokens.append(tokens)
            part.tags.append([index[tag] for tag in names])
            part.languages.append(language)
    return TaggedCorpus(name, tags, languages, {s: part for s, part in parts.items() if len(part)})


def _chosen(name: str, languages: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    for language in languages:
        if language not in known:
            raise unknown(f"language of {name}", language, known)
    return languages or known


def _rows(table: pd.DataFrame) -> Rows:
    return [(list(row.tokens), list(row.ner_tags)) for row in table.itertuples(index=False)]


def _from_folder(folder: Path, languages: Sequence[str]) -> TaggedCorpus:
    files = {
        path.name: tables.files_by_split(path, FORMATS)
        for path in sorted(folder.iterdir())
        if path.is_dir()
    }
    known = [language for language, splits in files.items() if splits]
    if not known:
        raise BadCorpus(
            f"folder {folder} has no language: expected folders such as {folder.name}/de with "
            "train.parquet or train.conll"
        )
    names: Sequence[str] = ()
    if (folder / "tags.txt").is_file():
        names = (folder / "tags.txt").read_text("utf-8").split()
    sentences: dict[tuple[str, str], Rows] = {}
    for language in _chosen(str(folder), languages, known):
        for split in (split for split in SPLITS if split in files[language]):
            rows = sentences[language, split] = []
            for path in files[language][split]:
                rows += _read(path, language)
                names = names or tables.class_names(path, "ner_tags")
    return build(folder.resolve().name, sentences, names)


def _read(path: Path, language: str) -> Rows:
    if path.suffix.lower() != ".parquet":
        return _read_conll(path, language)
    table = tables.read(path)
    tables.require(str(path), table.columns, "tokens", "ner_tags")
    return _rows(table)


def _read_conll(path: Path, language: str) -> Rows:
    """Tokens first, tags last on a line; the prefix ``de:`` that WikiAnn's own files put before
    every token is taken off.
    """
    rows: Rows = []
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*tables.read_text(path).split("\n"), ""], 1):
        fields = line.rstrip("\r").split("\t" if "\t" in line else None)
        if len(fields) == 1 and fields[0].strip():
            raise BadCorpus(
                f'{path}, line {number}: "{fields[0]}" has no tag; expected a token, white space '
                "and a tag"
            )
        if len(fields) > 1 and fields[0] != "-DOCSTART-":
            tokens.append(fields[0].removeprefix(f"{language}:"))
            tags.append(fields[-1].strip())
        elif tokens:
            rows.append((tokens, tags))
            tokens, tags = [], []
    return rows


def _from_hub(name: str, languages: Sequence[str]) -> TaggedCorpus:
    """A data set of the hub with a configuration for each language: ``tokens``, ``ner_tags``."""
    hub_name, sentences, names = name.removeprefix("hub:"), {}, ()
    with from_the_hub("tagged corpus", name):
        import datasets  # here, not above: it takes seconds, and only this route needs it

        for language in _chosen(name, languages, datasets.get_dataset_config_names(hub_name)):
            loaded = datasets.load_dataset(hub_name, language)
            names = names or tables.feature_names(loaded["train"].features["ner_tags"])
            for split, data in loaded.items():
                if (known := tables.SPLIT_NAMES.get(split)) in SPLITS:
                    sentences[language, known] = list(zip(data["tokens"], data["ner_tags"]))
    return build(name, sentences, names)


def counts(part: Sentences, tags: Sequence[str]) -> pd.DataFrame:
    """A row a language: language, sentences, tokens (mean), and how many entities of every kind
    there are.
    """
    rows = []
    for language, sentences in part.by_language().items():
        used = np.bincount([tag for row in sentences.tags for tag in row], minlength=len(tags))
        rows.append(
            {
                "language": language,
                "sentences": len(sentences),
                "tokens": float(np.mean([len(tokens) for tokens in sentences.tokens])),
            }
            | {tag[2:]: int(used[i]) for i, tag in enumerate(tags) if tag.startswith("B-")}
        )
    return pd.DataFrame(rows)
