"""Sentences with tags in several languages: silver ones, a folder of languages, or WikiAnn from the
hub.

::

    corpus = load("silver", ["de", "ja"])      # or "path/to/folder", or "hub:unimelb-nlp/wikiann"
    corpus.parts["train"].tokens, corpus.tags

A folder holds one folder per language, named by it, and in that one file per split: ``train``,
perhaps ``test`` and ``unlabeled``, as ``.parquet`` with the columns ``tokens`` and ``ner_tags``, or
as CoNLL (``.conll``, ``.bio``, ``.txt``: a token per line, its tag last, an empty line after a
sentence). Tags are BIO: ``B-LOC`` begins an entity, ``I-LOC`` goes on with it, ``O`` is none.
Integers are read with the names that the ``datasets`` library wrote into the parquet file, or those
in ``tags.txt`` (one per line) beside the languages.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.core.errors import BadCorpus, unknown
from gdlib.sources import tables
from gdlib.sources.cards import cards
from gdlib.sources.download import from_the_hub
from gdlib.sources.files import TAG, conll, parquet, read_text
from gdlib.sources.parts import Sentences

OUTSIDE = "O"
# a validation split that a corpus brings along would be labels for free
SPLITS = ("train", "test", "unlabeled")
Rows = list[tuple[list[str], list[Any]]]
"""The sentences of one language and split: tokens, and tags as names or as integers."""
Loaded = Iterator[tuple[str, tables.Tables, Sequence[str]]]
"""Languages, with their tables by split and what integer tags mean."""


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
        name: of a tagged card, the path of a folder, or ``hub:NAME`` with a configuration per
            language.
        languages: the ones to take, in this order; none: all there are.

    Raises:
        UnknownName: neither a known name nor a folder, or a language that it does not have.
        BadCorpus: sentences or tags that cannot be studied as they are; the message says what is
            wrong and where.
        BadDownload: it cannot be fetched from the hub.
    """
    known = cards("tagged")
    if name in known:
        chosen = _chosen(name, languages, known[name].languages)
        loaded = ((each, tables.read_card(name, "tagged", each), ()) for each in chosen)
    elif name.startswith("hub:"):
        loaded = _from_hub(name, languages)
    else:
        hint = "or a folder of languages, or hub:NAME"
        folder = tables.folder("tagged corpus", "tagged corpora", name, known, hint)
        name, loaded = folder.resolve().name, _from_folder(folder, languages)
    sentences: dict[tuple[str, str], Rows] = {}
    tag_names: Sequence[str] = ()
    for language, splits, names in loaded:
        tag_names = tag_names or names
        for split in filter(splits.__contains__, SPLITS):
            where, table = f"tagged corpus {name}: {language}/{split}", splits[split]
            tables.require(where, table.columns, "tokens", "ner_tags")
            rows = list(zip(table["tokens"], table["ner_tags"]))
            lists = (list, tuple, np.ndarray)
            no_lists = (not all(isinstance(part, lists) for part in row) for row in rows)
            tables.refuse_rows(where, "sentences whose tokens or tags are no list", no_lists)
            sentences[language, split] = [(list(tokens), list(tags)) for tokens, tags in rows]
    return build(name, sentences, tag_names)


def build(
    name: str, sentences: Mapping[tuple[str, str], Rows], tag_names: Sequence[str] = ()
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
        (language, split): _checked(f"{where}: {language}/{split}", rows, tag_names)
        for (language, split), rows in sentences.items()
    }
    in_train = (rows for (_, split), rows in named.items() if split == "train")
    used = {tag for rows in in_train for _, tags in rows for tag in tags}
    kinds = sorted({tag[2:] for tag in used - {OUTSIDE}})
    if not kinds:
        raise BadCorpus(f"{where}: train has no entity (every tag is {OUTSIDE})")
    known = (OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))
    parts = {split: Sentences([], [], []) for split in SPLITS}
    for (language, split), rows in named.items():
        for tokens, tags in rows:
            if lacking := set(tags).difference(known):
                raise BadCorpus(
                    f'{where}: {language}/{split} has the tag "{min(lacking)}" that train lacks; '
                    f"tags of train: {', '.join(known)}"
                )
            parts[split].tokens.append(tokens)
            parts[split].tags.append(list(map(known.index, tags)))
            parts[split].languages.append(language)
    return TaggedCorpus(name, known, languages, {s: part for s, part in parts.items() if len(part)})


def _checked(where: str, rows: Rows, tag_names: Sequence[str]) -> Rows:
    """Sentences with the names of their tags; the first fault is the message."""
    if not rows:
        raise BadCorpus(f"{where} is empty (no sentence)")
    checked: Rows = []
    for number, (tokens, tags) in enumerate(rows, 1):
        here = f"{where}: sentence {number}"
        if not tokens:
            raise BadCorpus(f"{here} is empty (no token)")
        if len(tokens) != len(tags):
            raise BadCorpus(f"{here} has {len(tokens)} tokens and {len(tags)} tags")
        names = [OUTSIDE]  # what stands before the first token
        for place, (token, tag) in enumerate(zip(tokens, tags), 1):
            if not isinstance(token, str):
                raise BadCorpus(f"{here} has {token} for a token at place {place}; expected text")
            if not token.strip():
                raise BadCorpus(f"{here} has an empty token at place {place}")
            names.append(_tag_name(f"{here}, place {place}", tag, tag_names, before=names[-1]))
        checked.append((tokens, names[1:]))
    return checked


def _tag_name(where: str, tag: Any, tag_names: Sequence[str], before: str) -> str:
    """The name of a tag, if it may stand after the one before it."""
    if not isinstance(tag, str):
        if not isinstance(tag, (int, np.integer)):
            raise BadCorpus(
                f"{where}: the tag is {tag}; expected a name such as B-LOC, or a whole number"
            )
        if not tag_names:
            raise BadCorpus(
                f"{where}: the tag is a number ({tag}), and what it means is not known; put "
                "tags.txt (a tag a line) beside the languages"
            )
        if not 0 <= tag < len(tag_names):
            raise BadCorpus(
                f"{where}: the tag is {tag}; known: 0 to {len(tag_names) - 1} "
                f"({', '.join(tag_names)})"
            )
        tag = tag_names[tag]
    if not re.match(TAG, tag):
        raise BadCorpus(f'{where}: "{tag}" is no BIO tag; expected {OUTSIDE}, B-KIND or I-KIND')
    if tag.startswith("I-") and before[2:] != tag[2:]:
        raise BadCorpus(
            f'{where}: "{tag}" follows "{before}"; expected B-{tag[2:]} or {tag} before it (BIO)'
        )
    return tag


def _chosen(name: str, languages: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    for language in languages:
        if language not in known:
            raise unknown(f"language of {name}", language, known)
    return languages or known


def _from_hub(name: str, languages: Sequence[str]) -> Loaded:
    """A data set of the hub with a configuration for each language: ``tokens``, ``ner_tags``."""
    with from_the_hub("tagged corpus", name):
        import datasets  # here, not above: it takes seconds, and only this route needs it

        known = datasets.get_dataset_config_names(name.removeprefix("hub:"))
    for language in _chosen(name, languages, known):
        yield language, *tables.read_hub("tagged corpus", f"{name}:{language}", "ner_tags")


def _from_folder(folder: Path, languages: Sequence[str]) -> Loaded:
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
    file = folder / "tags.txt"
    tag_names = read_text(file).split() if file.is_file() else ()
    for language in _chosen(str(folder), languages, known):
        paths = {split: files[language][split] for split in SPLITS if split in files[language]}
        splits, names = tables.read_files(paths, "ner_tags", FORMATS)
        yield language, splits, tag_names or names


FORMATS = {".parquet": parquet, ".conll": conll, ".bio": conll, ".txt": conll}


def counts(part: Sentences, tags: Sequence[str]) -> pd.DataFrame:
    """A row per language: language, sentences, tokens (mean), and how many entities of every kind
    there are.
    """
    rows = []
    for language in dict.fromkeys(part.languages):
        sentences = part.in_language(language).tags
        used = [tags[tag] for row in sentences for tag in row]
        sizes = {"sentences": len(sentences), "tokens": len(used) / len(sentences)}
        entities = {tag[2:]: used.count(tag) for tag in tags if tag.startswith("B-")}
        rows.append({"language": language, **sizes, **entities})
    return pd.DataFrame(rows)
