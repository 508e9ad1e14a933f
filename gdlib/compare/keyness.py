"""Keyness: the words that one body of text uses more, or less, than another."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

PRIOR_WORDS = 500.0  # how many words of both bodies together the prior weighs as much as


def words_in(texts: Sequence[str]) -> tuple[NDArray, csr_matrix]:
    """The words of some texts, in lower case, and how often each text has each of them. *Shape:*
    ``[words]`` and ``[texts, words]``.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    if not any(any(map(str.isalnum, text)) for text in texts):
        return np.empty(0, dtype=object), csr_matrix((len(texts), 0), dtype=int)
    counter = CountVectorizer(token_pattern=r"(?:\w+['\u2019])*\w+")
    counts = counter.fit_transform(texts)
    return counter.get_feature_names_out(), counts


def keyness(words: Sequence[str], own: NDArray, other: NDArray) -> pd.DataFrame:
    """How much more often a body of text has each word than another one.

    The difference of log odds under a Dirichlet prior, by its standard error (Monroe, Colaresi and
    Quinn 2008, "Fightin' Words", equations 16, 20 and 22). The prior is informative: the shares of
    the words in both bodies together, with the weight of :data:`PRIOR_WORDS` words, so that a word
    seen once or twice says little and frequent words do not win by their number.

    Args:
        words: which.
        own: how often the body has each word. *Shape:* ``[words]``
        other: the same of the body it is compared with.

    Returns:
        ``word``, its ``own`` and ``other`` occurrences per 10,000 words, ``log_odds`` (natural) and
        ``z``, the largest ``z`` first; only words that one of the two has. Beyond 1.96 chance alone
        would seldom carry a single word; of thousands of words it carries some.
    """
    seen = (own + other) > 0
    words, own, other = np.asarray(words, dtype=object)[seen], own[seen], other[seen]
    share = (own + other) / max(1, (own + other).sum())
    table = pd.DataFrame({"word": words})
    log_odds, variance = np.zeros(len(words)), np.zeros(len(words))
    for name, counts, sign in (("own", own, 1), ("other", other, -1)):
        table[name] = 1e4 * counts / max(1, counts.sum())
        smoothed = counts + PRIOR_WORDS * share
        # Where there is a single word, the others' share is nothing: no odds.
        log_odds += sign * np.log(smoothed / np.maximum(smoothed.sum() - smoothed, 1e-9))
        variance += 1 / smoothed
    table = table.assign(log_odds=log_odds, z=log_odds / np.sqrt(variance))
    return table.sort_values(["z", "word"], ascending=[False, True], ignore_index=True)
