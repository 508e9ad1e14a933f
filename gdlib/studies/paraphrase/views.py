"""What the notebooks of paraphrase detection show of the texts."""

import numpy as np
import pandas as pd

from gdlib.networks.gloss_vectors import text_vectors
from gdlib.sources.splits import TEST_SEED
from gdlib.sources.words import changed_share
from gdlib.studies.paraphrase.study import ParaphraseStudy


def counts(study: ParaphraseStudy) -> pd.DataFrame:
    """Texts of every part: part, domain, originals, paraphrased (by each spinner)."""
    parts = [(name, study.own, sources) for name, sources in study.parts.items()]
    parts += [("test", name, sources) for name, sources in study.tests.items()]
    rows = [
        (part, domain, len(sources.originals), len(sources.spun)) for part, domain, sources in parts
    ]
    return pd.DataFrame(rows, columns=["part", "domain", "originals", "paraphrased"])


def measures(study: ParaphraseStudy) -> pd.DataFrame:
    """What each spinner did to the test texts: domain, spinner, texts, changed (share of words),
    similarity (cosine of an encoder's mean states).
    """
    s, rows = study.settings, []
    for domain, sources in study.tests.items():
        for spinner in s.spinners:
            spun = study.spun(spinner, sources.spun, TEST_SEED)
            changed = np.mean([changed_share(*pair) for pair in zip(sources.spun, spun)])
            vectors = text_vectors(study.pretrained, [*sources.spun, *spun], s.max_length)
            before, after = vectors.chunk(2)
            alike = (before * after).sum(-1).mean().item()
            rows.append((domain, spinner, len(spun), changed, alike))
    return pd.DataFrame(rows, columns=["domain", "spinner", "texts", "changed", "similarity"])
