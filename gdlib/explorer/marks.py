"""What a person thinks of the samples: a table with a ``mark`` ("keep", "drop" or "") and a
``note`` per sample, kept in a JSON file beside the store.
"""

import json
import os
from itertools import chain, count, filterfalse
from pathlib import Path

import numpy as np
import pandas as pd

from gdlib.core.store import write_atomically


def no_marks(size: int) -> pd.DataFrame:
    """The marks of so many samples before anybody has looked."""
    return pd.DataFrame("", index=range(size), columns=["mark", "note"], dtype=object)


def marked(marks: pd.DataFrame, kind: str) -> np.ndarray:
    """Which samples are marked "keep" or "drop", have a "note", or neither ("unmarked").
    *Shape:* ``(texts,)``
    """
    if kind == "unmarked":
        return (marks == "").all(axis=1).to_numpy()
    return (marks["note"] != "" if kind == "note" else marks["mark"] == kind).to_numpy()


def save_marks(path: Path, samples: str, marks: pd.DataFrame) -> None:
    """Write aside and rename, so that a kill leaves the old file or the new one.

    A file that is not about these samples is renamed, never overwritten.

    Args:
        path: the file.
        samples: digest of the samples (:attr:`gdlib.explorer.view.SampleView.digest`).
        marks: what is to be kept of them.
    """
    if load_marks(path, samples, len(marks))[1]:
        suffixes = chain([".stale.json"], (f".stale-{number}.json" for number in count(1)))
        os.rename(path, next(filterfalse(Path.exists, map(path.with_suffix, suffixes))))
    entries = marks[~marked(marks, "unmarked")].rename_axis("row").reset_index()
    content = {"samples": samples, "marks": entries.to_dict("records")}
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False))


def load_marks(path: Path | None, samples: str, size: int) -> tuple[pd.DataFrame, str]:
    """The marks saved for these samples, and what is wrong with the file ("" if nothing; otherwise
    the marks are empty).

    Args:
        path: the file; none, or none there, means no marks yet.
        samples: digest of the samples that are looked at.
        size: number of samples.
    """
    marks = no_marks(size)
    if path is None or not path.exists():
        return marks, ""
    try:
        saved = json.loads(path.read_text("utf-8"))
        if saved["samples"] != samples:
            owner = f"other samples ({saved['samples']}, these are {samples})"
            return marks, f"the marks in {path} belong to {owner}: not applied"
        entries = pd.DataFrame(saved["marks"], columns=["row", "mark", "note"]).set_index("row")
        is_known = entries.index.isin(marks.index) & entries["mark"].isin(("", "keep", "drop"))
        if not is_known.all():
            raise ValueError(f"rows 0 to {size - 1} can be marked keep or drop")
        marks.update(entries)
        return marks, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return marks, f"the marks in {path} cannot be read ({error!r}): not applied"
