"""What the texts of a corpus come in: columns of the same length, of which rows are taken."""

import unicodedata
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from itertools import chain
from typing import Any, Self

import numpy as np

from gdlib.core.settings import digest


class Columns:
    """A frozen dataclass whose fields are columns, each of them a list with one value per row. A
    column that is not known (there are no labels, say) is an empty list.
    """

    @property
    def columns(self) -> list[list[Any]]:
        return [getattr(self, column.name) for column in fields(self)]

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def digest(self) -> str:
        """Over all columns."""
        return digest(self.columns)

    def keys(self) -> list[Hashable]:
        """For every row, what makes it the same as another row."""
        return [normalise(text) for text in self.texts]

    def take(self, rows: Iterable[int]) -> Self:
        """Some rows, in the order given."""
        rows = list(rows)
        return type(self)(*([column[row] for row in rows if column] for column in self.columns))

    def unseen(self, seen: set[Hashable], size: int | None = None) -> Self:
        """The first rows whose key has not been seen, at most ``size`` of them; their keys are
        added to ``seen``.
        """
        rows: list[int] = []
        for row, key in enumerate(self.keys()):
            if key not in seen and len(rows) != size:
                seen.add(key)
                rows.append(row)
        return self.take(rows)

    @classmethod
    def join(cls, parts: Iterable[Self]) -> Self:
        """The rows of some parts, one part after the other."""
        columns = zip(*(part.columns for part in parts))
        return cls(*(list(chain(*column)) for column in columns))


@dataclass(frozen=True)
class Part(Columns):
    """Texts, or pairs of texts, and their labels.

    Args:
        texts: the texts; of pairs, the first ones.
        labels: indices into the corpus's class names (of some tasks: numbers to predict); empty
            where they are not known.
        second: the second texts of pairs; empty where texts stand alone.
    """

    texts: list[str]
    labels: list[int] | list[float]
    second: list[str] = field(default_factory=list)

    @cached_property
    def gold(self) -> np.ndarray:
        """The labels. *Shape:* ``[texts]``."""
        return np.array(self.labels)

    def keys(self) -> list[Hashable]:
        keys = super().keys()
        return list(zip(keys, map(normalise, self.second))) if self.second else keys


@dataclass(frozen=True)
class Sentences(Columns):
    """Sentences of several languages.

    Args:
        tokens: the words of every sentence.
        tags: indices into the corpus's tags, one per token.
        languages: the language of every sentence.
    """

    tokens: list[list[str]]
    tags: list[list[int]]
    languages: list[str]

    @property
    def texts(self) -> list[str]:
        """Every sentence as one text: its tokens with a blank between them."""
        return [" ".join(tokens) for tokens in self.tokens]

    def in_language(self, language: str) -> Self:
        """The sentences of one language."""
        return self.take(row for row, given in enumerate(self.languages) if given == language)


def normalise(text: str) -> str:
    """What makes two texts the same: NFKC, without case; every run of punctuation and white space
    becomes one space. A text of punctuation alone stays as it is.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_punctuation()).split()) or folded.strip()


class Punctuation(dict[int, str]):
    """Characters to what stands for them, a blank for punctuation; each is worked out when it is
    first met.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = " " if unicodedata.category(character).startswith("P") else character
        return self[code]


@cache
def _punctuation() -> Punctuation:
    return Punctuation()
