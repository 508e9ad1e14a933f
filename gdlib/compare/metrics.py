"""How well probabilities are calibrated, and how diverse texts are: one function per number."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> pd.DataFrame:
    """Accuracy by confidence, for the calibration figure.

    Args:
        confidence: probability of the predicted class, ``[texts]``, in 0..1.
        correct: whether the prediction is right, ``[texts]``.
        bins: bins of equal width; the last one includes 1.

    Returns:
        One row a non-empty bin: ``low``, ``high`` (its edges), ``texts``, mean ``confidence``,
        ``accuracy``.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    table = pd.DataFrame({"confidence": confidence, "accuracy": np.asarray(correct, dtype=float)})
    of_bins = table.groupby(np.minimum((confidence * bins).astype(int), bins - 1))
    means = of_bins.mean()
    edges = {"low": means.index / bins, "high": (means.index + 1) / bins}
    return means.assign(**edges, texts=of_bins.size()).reset_index(drop=True)


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by texts (Guo et al.
    2017, equation 3).
    """
    table = reliability(confidence, correct, bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float(np.average(gaps, weights=table["texts"]))


def words(text: str) -> list[str]:
    """The lower-cased words of a text, cut at white space: what all diversity measures count."""
    return text.lower().split()


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Share of word n-grams that are different ones (Li et al. 2016).

    Falls with the number of texts: compare equal counts.
    """
    grams = [gram for text in texts for gram in zip(*(words(text)[i:] for i in range(n)))]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[str], sample: int = 200, seed: int = 0) -> float:
    """Mean BLEU-4 (0..100) of a text against the other texts of a random sample (Zhu et al. 2018):
    high means alike.

    Falls or rises with the size of the sample: compare equal ``sample``. With fewer than two texts
    it is NaN.
    """
    from sacrebleu.metrics import BLEU

    if len(texts) < 2:
        return float("nan")
    chosen = np.random.default_rng(seed).permutation(len(texts))[:sample]
    lower = [" ".join(words(texts[i])) for i in chosen]
    bleu = BLEU(tokenize="none", effective_order=True)
    others = [lower[:i] + lower[i + 1 :] for i in range(len(lower))]
    return float(np.mean([bleu.sentence_score(*pair).score for pair in zip(lower, others)]))


def diversity(texts: Sequence[str], sample: int = 1000, seed: int = 0) -> dict[str, float]:
    """All of the above for equal counts of texts: ``distinct_1``, ``distinct_2``, ``distinct_3``,
    ``self_bleu``, ``words``.
    """
    chosen = np.random.default_rng(seed).permutation(len(texts))[:sample]
    part = [texts[i] for i in chosen]
    distinct = {f"distinct_{n}": distinct_n(part, n) for n in (1, 2, 3)}
    length = float(np.mean([len(words(text)) for text in part]))
    return distinct | {"self_bleu": self_bleu(part, seed=seed), "words": length}
