"""What the texts of a corpus come in: columns of the same length, of which rows are taken."""

import sys
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Self

import numpy as np

from gdlib.core.settings import digest


class Columns:
    """A frozen dataclass whose fields are columns: lists, or arrays. One that is not known (no
    labels, say) is an empty list.
    """

    @property
    def columns(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def digest(self) -> str:
        """Over all columns."""
        return digest([c.tolist() if isinstance(c, np.ndarray) else c for c in self.columns])

    def keys(self) -> list[Hashable]:
        """What makes two rows the same, for every row."""
        return [normalise(text) for text in self.texts]

    def take(self, rows: Iterable[int]) -> Self:
        """Some rows, in the order given."""
        rows = list(rows)
        return type(self)(*(_taken(column, rows) for column in self.columns))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The rows of some parts, one part after the other; of no part: no rows."""
        columns = zip(*(part.columns for part in parts))
        joined = ([row for column in same for row in column] for same in columns)
        return cls(*joined) if parts else cls(*([] for _ in fields(cls)))


def _taken(column: Any, rows: list[int]) -> Any:
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows] if column else []


@dataclass(frozen=True)
class Part(Columns):
    """Texts and their labels (indices into the corpus's class names); no labels at all where they
    are not known.
    """

    texts: list[str]
    labels: list[int]


@dataclass(frozen=True)
class Sentences(Columns):
    """Sentences of several languages.

    Args:
        tokens: the words of every sentence.
        tags: indices into the corpus's tags, one a token.
        languages: the language of every sentence.
    """

    tokens: list[list[str]]
    tags: list[list[int]]
    languages: list[str]

    @property
    def texts(self) -> list[str]:
        """Every sentence as one text: tokens with a blank between them."""
        return [" ".join(tokens) for tokens in self.tokens]

    def by_language(self) -> dict[str, Self]:
        rows: dict[str, list[int]] = {}
        for row, language in enumerate(self.languages):
            rows.setdefault(language, []).append(row)
        return {language: self.take(members) for language, members in rows.items()}


@dataclass(frozen=True)
class Texts(Columns):
    """Texts, or pairs of texts; ``second`` is empty where they stand alone.

    ``gold``: class indices, or numbers.
    """

    first: list[str]
    second: list[str]
    gold: np.ndarray

    def keys(self) -> list[Hashable]:
        """Of every pair, what makes it the same as another."""
        pairs = zip(self.first, self.second or [""] * len(self.first), strict=True)
        return [(normalise(first), normalise(second)) for first, second in pairs]


def normalise(text: str) -> str:
    """What makes two texts the same: NFKC, without case, punctuation and white space run together
    to one space.

    A text of nothing else than punctuation stays as it is.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_punctuation()).split()) or folded.strip()


@cache
def _punctuation() -> dict[int, str]:
    codes = range(sys.maxunicode + 1)
    return {code: " " for code in codes if unicodedata.category(chr(code)).startswith("P")}
