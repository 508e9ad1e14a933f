"""What the notebooks of paraphrase detection show of the texts."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import product

import numpy as np
import pandas as pd

from gdlib.networks.gloss_vectors import text_vectors
from gdlib.sources.splits import TEST_SEED
from gdlib.sources.words import changed_share, changed_words
from gdlib.studies.paraphrase.study import ParaphraseStudy


def measures(study: ParaphraseStudy, *, similarity: bool = True) -> pd.DataFrame:
    """What each spinner did to the test texts: domain, spinner, texts, changed (share of words),
    similarity (cosine of an encoder's mean states; if asked for).
    """
    s, rows = study.settings, []
    for (domain, sources), spinner in product(study.tests.items(), s.spinners):
        spun = study.spun(spinner, sources.spun, TEST_SEED)
        changed = np.mean([changed_share(*pair) for pair in zip(sources.spun, spun)])
        row = {"domain": domain, "spinner": spinner, "texts": len(spun), "changed": changed}
        if similarity:
            vectors = text_vectors(study.pretrained, [*sources.spun, *spun], s.max_length)
            before, after = vectors.chunk(2)
            row["similarity"] = (before * after).sum(-1).mean().item()
        rows.append(row)
    return pd.DataFrame(rows)


def side_by_side(originals: Sequence[str], spun: Mapping[str, Sequence[str]]) -> str:
    """Originals beside what spinners made of them as an HTML table, changed words marked; every
    text is escaped.
    """
    columns = {"original": list(map(escape, originals))}
    for name, texts in spun.items():
        columns[escape(name)] = list(map(_marked, texts, originals))
    with pd.option_context("display.max_colwidth", None):
        classes = "tex2jax_ignore mathjax_ignore"
        return pd.DataFrame(columns).to_html(escape=False, index=False, classes=classes)


def _marked(text: str, original: str) -> str:
    pairs = zip(map(escape, text.split()), changed_words(original, text), strict=True)
    return " ".join(f"<mark>{word}</mark>" if changed else word for word, changed in pairs)
