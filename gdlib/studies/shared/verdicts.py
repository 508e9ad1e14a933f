"""What is resolved of several differences, in words."""

import numpy as np
import pandas as pd


def in_words(rows: pd.DataFrame, names: str, is_better: pd.Series, words: str) -> str:
    """``better on cola, rte; not resolved on sick``.

    Args:
        rows: differences, whether each is ``resolved``, and what it is about in a column.
        names: that column.
        is_better: of each difference whether it speaks for the left side.
        words: three of them, divided by ``|``: for better, for worse, and for not resolved.
    """
    better, worse, open_ = words.split("|")
    verdicts = np.where(rows["resolved"], np.where(is_better, better, worse), open_)
    groups = {word: rows[names][verdicts == word] for word in (better, worse, open_)}
    return "; ".join(word + ", ".join(group) for word, group in groups.items() if len(group))
