"""The corpora that need no folder: what they are, whose they are, who reads them.

One more corpus is one more card, in ``gdlib/data/sources.toml`` or from outside; nothing else has
to know of it::

    CARDS["mine"] = Card("letters: kind, unkind", "my drawer", "CC0", {"texts": read})

where ``read()`` gives a table with the columns ``text`` and ``label``. For the processes of a run
the card has to stand in a module that ``GDLIB_PLUGINS`` names (:mod:`gdlib.core.registry`).
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic.dataclasses import dataclass

from gdlib.core.registry import load_plugins
from gdlib.core.store import file_digest
from gdlib.sources.download import Package

DATA = Path(str(resources.files("gdlib"))) / "data"
LISTED = tomllib.loads((DATA / "sources.toml").read_text("utf-8"))
WORD_IN_CONTEXT = "word-in-context"


@dataclass(frozen=True)
class Card:
    """A corpus before it is fetched.

    Args:
        help: one line that says what it is.
        source: where its texts come from.
        licence: of these texts.
        readers: for each kind of corpus that it can serve as, the function that reads it (or
            ``"module:function"``, to be imported when needed). A reader gives a table, or tables by
            split, with the columns of a folder of that kind:

            - ``texts()``: text, label (:mod:`gdlib.sources.corpora`)
            - ``tagged(language)``: tokens, ner_tags (:mod:`gdlib.sources.tagged`)
            - ``senses()``: id, tokens, target, ... (:mod:`gdlib.sources.senses`)
            - ``task(seen)``: sentence1, sentence2, label (:mod:`gdlib.sources.tasks`)
        size: how much of it there is, in words.
        package: the file of the registry that it is in.
        carried: the files in ``gdlib/data`` that it is read from.
        made_with: the distributions whose version decides what a reader gives.
        languages: those of a tagged corpus.
    """

    help: str
    source: str
    licence: str
    readers: Mapping[str, str | Callable[..., Any]]
    size: str = ""
    package: Package | None = None
    carried: Sequence[str] = ()
    made_with: Sequence[str] = ()
    languages: Sequence[str] = ()

    @property
    def line(self) -> str:
        """What ``gdlib list`` shows of it."""
        size = f"{self.size}; " if self.size else ""
        return f"{self.help} [{size}{self.source}; licence: {self.licence}]"

    @property
    def origin(self) -> list[str]:
        """What it is read from, as far as that can change."""
        return [
            *([self.package.sha256] if self.package else ()),
            *(file_digest(DATA / file) for file in self.carried),
            *(f"{name} {metadata.version(name)}" for name in self.made_with),
        ]

    def reader(self, kind: str) -> Callable[..., Any]:
        reader = self.readers[kind]
        return resolve_name(reader) if isinstance(reader, str) else reader


CARDS = {name: Card(**values) for name, values in LISTED["corpora"].items()}


def cards(*kinds: str) -> dict[str, Card]:
    """The cards that have a reader of one of these kinds, by name; of no kind: all cards."""
    load_plugins()
    wanted = set(kinds)
    return {name: card for name, card in CARDS.items() if not kinds or wanted & set(card.readers)}
