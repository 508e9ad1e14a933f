"""What students take over from their teacher, over splits."""

from collections.abc import Mapping

import cells
import numpy as np
import pandas as pd

from gdlib.compare import stats, tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY, BALANCED, Score
from gdlib.networks.arms import MAIN_ARM
from gdlib.studies.generation.compare import REAL

LABELLED = "distilled on labelled"
FOLLOWED = """\
Where the difference from the teacher's labels on the labelled texts alone comes from: points of
accuracy that a student gains or loses on the test texts which the teacher gets right, and on those
which it gets wrong. The two add up to the difference. A student that learns to do as the teacher
does gains on the first and loses on the second. Means over splits, without intervals."""


def means(of: Results, score: Score = ACCURACY) -> pd.Series:
    """The score of every arm, the mean over splits and student seeds."""
    return pd.Series(of.scores(score)).groupby(of.table["arm"].to_numpy()).mean()


def retention(of: Results) -> tuple[float, float, float]:
    """The share of its teacher's accuracy that the student keeps: the mean over splits, and its
    95% interval by Student's t (NaN with one split).
    """
    table = of.table
    student = table[table["arm"] == MAIN_ARM].groupby("seed")["accuracy"].mean()
    teacher = table[table["arm"] == tables.TEACHER].groupby("seed")["accuracy"].mean()
    shares = (student / teacher).to_numpy()
    return float(shares.mean()), *stats.over_seeds(shares)


def closed(of: Results) -> tuple[float, float]:
    """Of the gap in balanced accuracy between the teacher's labels on the labelled texts and as
    many real texts: how wide it is, and what share of it generated texts close.
    """
    found = means(of, BALANCED)
    gap = found[REAL] - found[LABELLED]
    return float(gap), float((found[MAIN_ARM] - found[LABELLED]) / gap) if gap else float("nan")


def parts(of: Results, arm: str, base: str = LABELLED) -> tuple[float, float]:
    """The difference in accuracy of two arms, on the texts that the teacher of their split gets
    right and on the others; of all texts, so that the two add up to the whole difference. Means
    over the splits that have both arms.
    """
    gold, found = of.items["gold"].to_numpy(), []
    for seed in sorted(cells.splits_with(of, (arm, base))):
        own = cells.of_splits(of, {seed})
        rows = own.table.groupby("arm").indices
        right = {name: (own.outputs[rows[name]] == gold).mean(0) for name in (arm, base)}
        taught = own.outputs[rows[tables.TEACHER][0]] == gold
        gain = right[arm] - right[base]
        found.append((np.where(taught, gain, 0).mean(), np.where(taught, 0, gain).mean()))
    return tuple(np.mean(found, axis=0).tolist())


def followed(results: Mapping[str, Results]) -> pd.DataFrame:
    """A row per corpus of what :data:`FOLLOWED` says, for generated and for real texts."""
    rows = []
    for corpus, of in results.items():
        row = {"corpus": corpus}
        for arm in (MAIN_ARM, REAL):
            if not cells.splits_with(of, (arm, LABELLED)):
                continue
            right, wrong = parts(of, arm)
            row[f"{arm}: where the teacher is right"] = f"{100 * right:+.1f}"
            row[f"{arm}: where it is wrong"] = f"{100 * wrong:+.1f}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")
