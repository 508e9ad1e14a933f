"""What the notebooks of paraphrase detection show of the texts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from gdlib.networks.gloss_vectors import text_vectors
from gdlib.sources import zoo
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
    similarity (cosine).
    """
    s, rows = study.settings, []
    for domain, sources in study.tests.items():
        for spinner in s.spinners:
            spun = study.spun(spinner, sources.spun, TEST_SEED)
            changed = np.mean([changed_share(*pair) for pair in zip(sources.spun, spun)])
            alike = similarity(zoo.locate(s.encoder), sources.spun, spun, s.max_length)
            rows.append((domain, spinner, len(spun), changed, alike.mean().item()))
    return pd.DataFrame(rows, columns=["domain", "spinner", "texts", "changed", "similarity"])


def similarity(
    network: zoo.Network, originals: Sequence[str], spun: Sequence[str], max_length: int
) -> Tensor:
    """Cosine of an encoder's mean states over each original and its paraphrase.

    *Shape:* ``[texts]``.
    """
    vectors = text_vectors(network, [*originals, *spun], max_length)
    left, right = vectors.chunk(2)
    return (left * right).sum(-1)
