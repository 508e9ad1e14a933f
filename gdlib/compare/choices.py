"""Which of a few candidates is right: how several kinds of evidence about them are weighed.

Arrays alone: the evidence of all candidates of all questions, one question after the other.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
RIDGE = 1e-3  # of the standardised weights, so that evidence that is never wrong has finite ones


def fit_weights(evidence: Sequence[Floats], gold: Sequence[Sequence[bool]]) -> Floats:
    """Weights of a conditional logit (McFadden 1974), none below 0: the candidates of a question
    are right with probabilities in proportion to ``exp(evidence @ weights)``.

    They maximise the likelihood of the right candidates (of any of them, where there are several).
    Likelihood chooses more steadily than the number of right answers where questions are few.

    Args:
        evidence: of each question. *Shape:* ``[candidates, kinds]``.
        gold: which candidates are right. Questions without a right or without a wrong one teach
            nothing and are passed over.

    Returns:
        *Shape:* ``[kinds]``; ones where no question teaches anything.
    """
    teaching = [i for i, right in enumerate(gold) if any(right) and not all(right)]
    if not teaching:
        return np.ones(evidence[0].shape[1])
    rows, right = (np.concatenate([each[i] for i in teaching]) for each in (evidence, gold))
    counts = [len(gold[i]) for i in teaching]
    starts = np.cumsum([0, *counts[:-1]])
    scale = rows.std(axis=0)
    scale[scale == 0] = 1.0
    rows = rows / scale

    def loss(weights: Floats) -> tuple[float, Floats]:
        value = rows @ weights
        chosen = np.where(right, value, -np.inf)
        of_all, of_right = (np.logaddexp.reduceat(each, starts) for each in (value, chosen))
        share = np.exp(value - np.repeat(of_all, counts))
        share_of_right = np.exp(chosen - np.repeat(of_right, counts))
        surprise = (of_all - of_right).sum() / len(counts) + RIDGE * weights @ weights
        return surprise, rows.T @ (share - share_of_right) / len(counts) + 2 * RIDGE * weights

    start = np.ones(rows.shape[1])
    bounds = [(0.0, None)] * len(start)
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x / scale
