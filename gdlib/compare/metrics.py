"""What is measured on predictions and on texts: one function per number.

Labels are class indices; ``classes`` is the size of the label set, so that a class that happens to
be missing from a small test set still counts. Probabilities and logits are float arrays, entropies
are in nats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Softmax over the last axis, in float64 and safe for large logits.

    *Shape:* the same as given.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def entropy(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Shannon entropy in nats over the last axis; ``0 log 0`` is 0.

    *Shape:* ``[..., classes]`` to ``[...]``.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    return (p * -np.log(p, where=p > 0, out=np.zeros_like(p))).sum(axis=-1)


def accuracy(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Share of texts whose predicted label is the gold one."""
    return float(np.mean(_same_length(gold, predicted)[0] == predicted))


def agreement(one: ArrayLike, other: ArrayLike) -> float:
    """Share of texts on which two networks say the same (for a student and its teacher: fidelity)."""
    return accuracy(one, other)


def confusion(gold: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts of texts by gold class (rows) and predicted class (columns).

    *Shape:* ``[classes, classes]``.
    """
    gold, predicted = _same_length(gold, predicted)
    return np.bincount(gold * classes + predicted, minlength=classes * classes).reshape(
        classes, classes
    )


def macro_f1(gold: ArrayLike, predicted: ArrayLike, classes: int) -> float:
    """F1 averaged over all classes of the label set; a class that is neither there nor predicted
    counts as 0.
    """
    table = confusion(gold, predicted, classes)
    return float(f1_from_counts(np.diag(table), table.sum(axis=0), table.sum(axis=1)).mean())


def f1_from_counts(
    right: NDArray[Any], predicted: NDArray[Any], gold: NDArray[Any]
) -> NDArray[np.float64]:
    """F1 of each class from counts: ``2 right / (predicted + gold)``, and 0 where a class has
    neither.
    """
    return 2 * right / np.maximum(predicted + gold, 1)


def brier(probabilities: ArrayLike, gold: ArrayLike) -> float:
    """Mean squared distance of ``[texts, classes]`` probabilities from the one-hot gold labels: 0
    is best, 2 is worst.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    return float(((p - np.eye(p.shape[1])[np.asarray(gold)]) ** 2).sum(axis=1).mean())


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
    confidence, correct = _same_length(np.asarray(confidence, dtype=np.float64), correct)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    table = pd.DataFrame(
        {"bin": place, "confidence": confidence, "accuracy": correct.astype(float)}
    ).groupby("bin")
    means = table.mean()
    edges = np.asarray(means.index)
    return pd.DataFrame({
        "low": edges / bins, "high": (edges + 1) / bins, "texts": table.size().to_numpy(),
        "confidence": means["confidence"].to_numpy(), "accuracy": means["accuracy"].to_numpy(),
    })  # fmt: skip


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by texts (Guo et al.
    2017, equation 3).
    """
    table = reliability(confidence, correct, bins)
    return float(
        np.average((table["confidence"] - table["accuracy"]).abs(), weights=table["texts"])
    )


def _same_length(one: ArrayLike, other: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise ValueError(
            f"expected two non-empty lists of one length, given shapes {one.shape} and "
            f"{other.shape}"
        )
    return one, other


def words(text: str) -> list[str]:
    """The lower-cased words of a text, cut at white space: what all diversity measures count."""
    return text.lower().split()


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Share of word n-grams that are different ones (Li et al. 2016).

    Falls with the number of texts: compare equal counts.
    """
    grams = [
        gram for text in texts for gram in zip(*(words(text)[i:] for i in range(n)), strict=False)
    ]
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
    return float(
        np.mean(
            [
                bleu.sentence_score(text, lower[:i] + lower[i + 1 :]).score
                for i, text in enumerate(lower)
            ]
        )
    )


def length_statistics(texts: Sequence[str]) -> dict[str, float]:
    """Words a text: ``mean``, ``sd`` and the quantiles ``p5``, ``median``, ``p95``."""
    counts = np.array([len(words(text)) for text in texts])
    p5, median, p95 = np.quantile(counts, [0.05, 0.5, 0.95])
    return {
        "mean": float(counts.mean()),
        "sd": float(counts.std()),
        "p5": float(p5),
        "median": float(median),
        "p95": float(p95),
    }


def diversity(texts: Sequence[str], sample: int = 1000, seed: int = 0) -> dict[str, float]:
    """All of the above for equal counts of texts: ``distinct_1``, ``distinct_2``, ``distinct_3``,
    ``self_bleu``, ``words``.
    """
    chosen = np.random.default_rng(seed).permutation(len(texts))[:sample]
    part = [texts[i] for i in chosen]
    distinct = {f"distinct_{n}": distinct_n(part, n) for n in (1, 2, 3)}
    return {
        **distinct,
        "self_bleu": self_bleu(part, seed=seed),
        "words": length_statistics(part)["mean"],
    }
