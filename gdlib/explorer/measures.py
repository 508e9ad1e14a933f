"""What a view's texts say about each other: the nearest ones, the grid of teacher and student, the
words used too often and too seldom; and texts as a table to take away.
"""

import numpy as np
import pandas as pd

from gdlib.compare.keyness import keyness
from gdlib.explorer.filters import SOURCES
from gdlib.explorer.view import SampleView

BARS = 20  # of a histogram, at most


def neighbours(view: SampleView, row: int) -> dict[str, tuple[int, float]]:
    """The text nearest to one, of each source that has any: its row and the cosine of their
    vectors. None where a text has no vector.
    """
    if view.vectors is None or not view.vectors[row].any():
        return {}
    cosines = view.vectors @ view.vectors[row]
    cosines[row] = -np.inf
    found = {}
    for source in SOURCES:
        rows = np.flatnonzero(view.of(source))
        if len(rows) > (row in rows):
            best = int(rows[cosines[rows].argmax()])
            found[source] = best, float(cosines[best])
    return found


def grid(view: SampleView, rows: np.ndarray) -> np.ndarray:
    """How many of the rows teacher (first axis) and student put into which class. *Shape:*
    ``(classes, classes)``
    """
    teacher, student, count = view.teacher_label[rows], view.student_label[rows], len(view.labels)
    seen = (teacher >= 0) & (student >= 0)
    cells = teacher[seen] * count + student[seen]
    return np.bincount(cells, minlength=count**2).reshape(count, count)


def keywords(view: SampleView, label: str = "", count: int = 12) -> dict[str, pd.DataFrame]:
    """The words that the kept generated texts "over"-use and "under"-use most, against the real
    ones, labelled or not (:func:`gdlib.compare.keyness.keyness`).

    Args:
        view: the texts.
        label: among texts of this class of the teacher's alone.
        count: words of each at most.
    """
    rows, words, counts = view.word_counts
    passes = np.ones(len(view), bool) if not label else (view.frame["label"] == label).to_numpy()
    parts = ((passes & of_kind)[rows] for of_kind in (view.kept, ~view.generated))
    table = keyness(words, *(np.asarray(counts[part].sum(axis=0)).ravel() for part in parts))
    over, under = table[table["z"] > 0], table[table["z"] < 0]
    return {"over": over.head(count), "under": under.tail(count)[::-1]}


def histogram(
    view: SampleView, column: str, rows: np.ndarray, among: np.ndarray
) -> list[tuple[float, float, int, int]]:
    """The bars of a histogram of the "confidence" or the "words" of texts: the lowest and highest
    value that a bar counts, how many of ``rows`` are in it, and how many of ``among``.

    The last bar of words takes in the longest hundredth of all texts, however long they are.
    """
    values = view.frame[column].to_numpy()
    if column == "confidence":
        lows = np.arange(BARS) / BARS
        highs = np.append(np.nextafter(lows[1:], 0), 1.0)  # what stands on an edge is counted once
    else:
        wide = int(np.quantile(values, 0.99)) // BARS + 1
        lows = np.arange(0, min(BARS * wide, values.max() + 1), wide)
        highs = np.append(lows[1:] - 1, values.max())
    bars = lows.searchsorted(values, "right") - 1
    bars[np.isnan(values)] = len(lows)  # no bar: the teacher never saw the text
    counts = [np.bincount(bars[some], minlength=len(lows)) for some in (rows, among)]
    return [*zip(lows.tolist(), highs.tolist(), *(each.tolist() for each in counts))]


def exported(view: SampleView, rows: np.ndarray, marks: pd.DataFrame) -> pd.DataFrame:
    """Some texts, in their order, with what is known of them and a person's marks."""
    renamed = {"label": "teacher_class", "guess": "student_class"}
    frame = view.frame.loc[rows, "row":"distance"].rename(columns=renamed)
    frame.insert(0, "text", [view.texts[row] for row in rows])
    return frame.join(marks).astype({name: object for name in frame.select_dtypes("category")})
