"""Sentences with tags in several languages: silver ones, a folder of languages, or WikiAnn from the
hub.

::

    corpus = load("silver", ["de", "ja"])          # or "path/to/folder", or "hub:unimelb-nlp/wikiann"
    corpus.parts["train"].tokens, corpus.tags

A folder holds one folder a language, named by it, and in that one file a split: ``train``, perhaps
``test`` and ``unlabeled``, as ``.parquet`` with the columns ``tokens`` and ``ner_tags``, or as
CoNLL (``.conll``, ``.bio``, ``.txt``: a token a line, its tag last, an empty line after a
sentence). Tags are BIO: ``B-LOC`` begins an entity, ``I-LOC`` goes on with it, ``O`` is none.
Integers are read with the names that the ``datasets`` library wrote into the parquet file, or those
in ``tags.txt`` (one a line) beside the languages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gdlib.core.code import code_digest
from gdlib.core.errors import BadCorpus, BadDownload, first_line, unknown
from gdlib.core.settings import digest
from gdlib.core.store import texts_digest
from gdlib.sources import silver, tagged_files
from gdlib.sources.corpora import SPLIT_NAMES
from gdlib.sources.download import cached_store
from gdlib.sources.tagged_files import Rows

SPLITS = (
    "train",
    "test",
    "unlabeled",
)  # a validation split that a corpus brings along would be labels for free
CONLL = (".conll", ".bio", ".txt")
OUTSIDE = "O"


@dataclass(frozen=True)
class Card:
    """A tagged corpus that needs no folder."""

    help: str
    source: str
    licence: str


CORPORA = {
    "silver": Card(
        "sentences made from CLDR names, with tags, in twelve languages: no real text",
        "package babel (CLDR)",
        "Unicode-3.0",
    )
}


@dataclass(frozen=True)
class Sentences:
    """Sentences of several languages.

    Args:
        tokens: the words of every sentence.
        tags: indices into the corpus's tags, one a token.
        languages: the language of every sentence.
    """

    tokens: list[list[str]]
    tags: list[list[int]]
    languages: list[str]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def texts(self) -> list[str]:
        """Every sentence as one text: tokens with a blank between them."""
        return [" ".join(tokens) for tokens in self.tokens]

    @property
    def digest(self) -> str:
        """Over tokens, tags and languages."""
        return digest(
            [texts_digest("\x1f".join(tokens) for tokens in self.tokens), self.tags, self.languages]
        )

    def take(self, rows: Iterable[int]) -> "Sentences":
        rows = list(rows)
        return Sentences(
            [self.tokens[i] for i in rows],
            [self.tags[i] for i in rows],
            [self.languages[i] for i in rows],
        )


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
    source: str
    licence: str

    @property
    def silver(self) -> bool:
        """Whether its sentences are made ones; whatever shows them says so."""
        return self.name == "silver"

    @property
    def digest(self) -> str:
        return digest([self.tags, [[name, part.digest] for name, part in self.parts.items()]])


def load(name: str, languages: Sequence[str] = ()) -> TaggedCorpus:
    """The corpus of that name, checked.

    Args:
        name: ``silver``, the path of a folder, or ``hub:NAME`` with a configuration a language.
        languages: the ones to take, in this order; none: all there are.

    Raises:
        UnknownName: neither a known name nor a folder, or a language that it does not have.
        BadCorpus: sentences or tags that cannot be studied as they are; the message says what was
            found and where.
        BadDownload: it cannot be fetched from the hub.
    """
    if name in CORPORA:
        card = CORPORA[name]
        chosen = _chosen(name, languages, silver.LANGUAGES)
        return build(
            name,
            {language: _silver(language) for language in chosen},
            silver.TAGS,
            card.source,
            card.licence,
        )
    if name.startswith("hub:"):
        return _from_hub(name, languages)
    folder = Path(name)
    if not folder.is_dir():
        raise unknown("tagged corpus", name, CORPORA, "or a folder of languages, or hub:NAME")
    return _from_folder(folder, languages)


def build(
    name: str,
    tables: Mapping[str, Mapping[str, Rows]],
    tags: Sequence[str],
    source: str,
    licence: str,
) -> TaggedCorpus:
    """A corpus from the sentences of every language and split, checked; the one door for every
    source.

    Args:
        tables: language to split to its sentences.
        tags: what integer tags mean, in order; where there are none, the tags found in train, ``O``
            first.
    """
    for language, splits in tables.items():
        if "train" not in splits:
            raise BadCorpus(
                f"tagged corpus {name}: {language} has no train split; found: "
                f"{', '.join(splits) or 'nothing'}"
            )
        for split, rows in splits.items():
            _check(f"tagged corpus {name}: {language}/{split}", rows, tags)
    named = {
        language: {
            split: [
                (t, [tag if isinstance(tag, str) else tags[tag] for tag in given])
                for t, given in rows
            ]
            for split, rows in of.items()
        }
        for language, of in tables.items()
    }
    found = sorted(
        {tag for splits in named.values() for _, given in splits["train"] for tag in given}
        - {OUTSIDE}
    )
    kinds = sorted({tag[2:] for tag in found})
    if not kinds:
        raise BadCorpus(f"tagged corpus {name}: train has no entity (every tag is {OUTSIDE})")
    known = (OUTSIDE, *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))
    index = {tag: i for i, tag in enumerate(known)}
    parts: dict[str, Sentences] = {}
    for split in SPLITS:
        lines = [
            (language, *row) for language, splits in named.items() for row in splits.get(split, [])
        ]
        for language, _, given in lines:
            if lacking := set(given) - set(known):
                raise BadCorpus(
                    f'tagged corpus {name}: {language}/{split} has the tag "{min(lacking)}" '
                    f"that train lacks; tags of train: {', '.join(known)}"
                )
        if lines:
            parts[split] = Sentences(
                [t for _, t, _ in lines],
                [[index[tag] for tag in given] for *_, given in lines],
                [language for language, *_ in lines],
            )
    return TaggedCorpus(name, known, tuple(tables), parts, source, licence)


def _check(where: str, rows: Rows, names: Sequence[str]) -> None:
    """Sentences that are there, a tag a token, and valid BIO; the first fault is the message."""
    if not rows:
        raise BadCorpus(f"{where} is empty (no sentence)")
    for number, (tokens, tags) in enumerate(rows, 1):
        if not tokens:
            raise BadCorpus(f"{where}: sentence {number} is empty (no token)")
        if len(tokens) != len(tags):
            raise BadCorpus(
                f"{where}: sentence {number} has {len(tokens)} tokens and {len(tags)} tags"
            )
        before = OUTSIDE
        for place, (token, tag) in enumerate(zip(tokens, tags), 1):
            if not isinstance(token, str) or not token.strip():
                raise BadCorpus(f"{where}: sentence {number} has an empty token at place {place}")
            before = _tag(f"{where}: sentence {number}, place {place}", tag, names, before)


def _tag(where: str, tag: Any, names: Sequence[str], before: str) -> str:
    """The name of a tag, if it may stand after the one before it."""
    if not isinstance(tag, str):
        if not names:
            raise BadCorpus(
                f"{where}: the tag is a number ({tag}), and what it means is not known; put "
                "tags.txt (a tag a line) beside the languages"
            )
        if not 0 <= tag < len(names):
            raise BadCorpus(
                f"{where}: the tag is {tag}; known: 0 to {len(names) - 1} ({', '.join(names)})"
            )
        tag = names[tag]
    prefix, dash, kind = tag.partition("-")
    if tag != OUTSIDE and (prefix not in ("B", "I") or not dash or not kind):
        raise BadCorpus(f'{where}: "{tag}" is no BIO tag; expected {OUTSIDE}, B-KIND or I-KIND')
    if prefix == "I" and before[2:] != kind:
        raise BadCorpus(
            f'{where}: "{tag}" follows "{before}"; expected B-{kind} or I-{kind} before it (BIO)'
        )
    return tag


def _chosen(name: str, asked: Sequence[str], there: Sequence[str]) -> Sequence[str]:
    for language in asked:
        if language not in there:
            raise unknown(f"language of {name}", language, there)
    return asked or there


def _silver(language: str) -> dict[str, Rows]:
    """Made once a language, kept as parquet in the cache; made again when this code or ``babel``
    changes.
    """
    import babel

    recipe = {
        "corpus": "silver",
        "language": language,
        "babel": babel.__version__,
        "code": code_digest("gdlib.sources.silver"),
    }

    def make(work: Path) -> None:
        for split in silver.SENTENCES:
            table = pd.DataFrame(silver.sentences(language, split), columns=["tokens", "ner_tags"])
            table.to_parquet(work / f"{split}.parquet", index=False)

    made = cached_store().make("corpora", recipe, make)
    return {split: tagged_files.parquet(made / f"{split}.parquet")[0] for split in silver.SENTENCES}


# folders


def _from_folder(folder: Path, languages: Sequence[str]) -> TaggedCorpus:
    there = sorted(path.name for path in folder.iterdir() if path.is_dir() and _files(path))
    if not there:
        raise BadCorpus(
            f"folder {folder} has no language: expected folders such as {folder.name}/de "
            "with train.parquet or train.conll"
        )
    names: Sequence[str] = ()
    if (folder / "tags.txt").is_file():
        names = (folder / "tags.txt").read_text("utf-8").split()
    tables: dict[str, dict[str, Rows]] = {}
    for language in _chosen(str(folder), languages, there):
        tables[language] = {}
        for split, path in _files(folder / language).items():
            rows, noted = (
                tagged_files.parquet(path)
                if path.suffix == ".parquet"
                else (tagged_files.conll(path, language), ())
            )
            tables[language][split] = rows
            names = names or noted
    return build(folder.resolve().name, tables, names, "a folder", "as its owner says")


def _files(folder: Path) -> dict[str, Path]:
    """The file of every split of a language."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".parquet", *CONLL))
    found = {SPLIT_NAMES.get(path.stem.lower(), ""): path for path in files}
    return {split: found[split] for split in SPLITS if split in found}


# the hub


def _from_hub(name: str, languages: Sequence[str]) -> TaggedCorpus:
    """A data set of the hub that has a configuration a language, with ``tokens`` and ``ner_tags``."""
    import datasets  # here, not above: it takes seconds, and only this route needs it

    hub_name, tables, names = name.removeprefix("hub:"), {}, ()
    try:
        for language in _chosen(name, languages, datasets.get_dataset_config_names(hub_name)):
            found = datasets.load_dataset(hub_name, language)
            names = names or tuple(
                getattr(
                    getattr(found["train"].features["ner_tags"], "feature", None), "names", None
                )
                or ()
            )
            tables[language] = {
                SPLIT_NAMES[split]: list(zip(data["tokens"], data["ner_tags"]))
                for split, data in found.items()
                if SPLIT_NAMES.get(split) in SPLITS
            }
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
    ) as error:  # the loaders pass on errors of many libraries
        raise BadDownload(
            f'tagged corpus "{name}" cannot be fetched from the hub: {first_line(error)} '
            "(check the network and the name)"
        ) from error
    return build(
        name, tables, names, f"https://huggingface.co/datasets/{hub_name}", "as its page says"
    )


def counts(part: Sentences, tags: Sequence[str]) -> pd.DataFrame:
    """A row a language: language, sentences, tokens (mean), and how many entities of every kind
    there are.
    """
    kinds = [tag[2:] for tag in tags if tag.startswith("B-")]
    rows = []
    for language in dict.fromkeys(part.languages):
        of = [i for i, one in enumerate(part.languages) if one == language]
        begun = np.bincount([tag for i in of for tag in part.tags[i]], minlength=len(tags))
        row = {
            "language": language,
            "sentences": len(of),
            "tokens": float(np.mean([len(part.tokens[i]) for i in of])),
        }
        rows.append(row | {kind: int(begun[tags.index(f"B-{kind}")]) for kind in kinds})
    return pd.DataFrame(rows)
