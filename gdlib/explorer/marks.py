"""What a person thinks of the samples, kept in a JSON file beside the store."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gdlib.core.errors import unknown
from gdlib.core.store import write_atomically

VERDICTS = ("keep", "drop")
MARKS = (*VERDICTS, "note", "unmarked")


@dataclass
class Marks:
    """Verdicts and notes by row, with the digest of the samples that they belong to.

    Args:
        samples: digest of the samples (:attr:`gdlib.explorer.view.SampleView.digest`).
        verdicts: row to "keep" or "drop".
        notes: row to what was written about it.
    """

    samples: str
    verdicts: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)

    def set(self, row: int, verdict: str | None) -> None:
        """Mark a row "keep" or "drop"; ``None`` takes its mark away (the note stays)."""
        if verdict is None:
            self.verdicts.pop(row, None)
        elif verdict in VERDICTS:
            self.verdicts[row] = verdict
        else:
            raise unknown("mark", verdict, VERDICTS)

    def note(self, row: int, text: str) -> None:
        """Set the note of a row; an empty one takes it away."""
        if text.strip():
            self.notes[row] = text.strip()
        else:
            self.notes.pop(row, None)

    def mask(self, kind: str, size: int) -> np.ndarray:
        """Which of ``size`` rows are marked so, by one of :data:`MARKS`."""
        if kind not in MARKS:
            raise unknown("mark filter", kind, MARKS)
        if kind == "unmarked":
            return ~np.any([self.mask(other, size) for other in MARKS[:-1]], axis=0)
        verdicts = [row for row, verdict in self.verdicts.items() if verdict == kind]
        return np.isin(np.arange(size), list(self.notes) if kind == "note" else verdicts)

    def summary(self) -> str:
        """The counts in words."""
        verdicts = list(self.verdicts.values())
        keep, drop = verdicts.count("keep"), verdicts.count("drop")
        return f"{keep:,} marked keep, {drop:,} marked drop, {len(self.notes):,} with a note"

    def save(self, path: Path) -> None:
        """Write aside and rename, so that a kill leaves the old file or the new one.

        A file that is not about these samples is renamed, never overwritten.
        """
        if load_marks(path, self.samples)[1]:
            stale, number = path.with_suffix(".stale.json"), 1
            while stale.exists():
                stale, number = path.with_suffix(f".stale-{number}.json"), number + 1
            os.rename(path, stale)
        marks = [
            {"row": row, "mark": self.verdicts.get(row, ""), "note": self.notes.get(row, "")}
            for row in sorted(self.verdicts.keys() | self.notes.keys())
        ]
        content = {"samples": self.samples, "marks": marks}
        write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False))


def load_marks(path: Path | None, samples: str, size: int | None = None) -> tuple[Marks, str]:
    """The marks saved for these samples, and what is wrong with the file ("" if nothing; otherwise
    the marks are empty).

    Args:
        path: the file; none, or none there, means no marks yet.
        samples: digest of the samples that are looked at.
        size: number of samples, so that a row beyond them is noticed.
    """
    marks = Marks(samples)
    if path is None or not path.exists():
        return marks, ""
    try:
        saved = json.loads(path.read_text("utf-8"))
        if saved["samples"] != samples:
            owner = f"other samples ({saved['samples']}, these are {samples})"
            return marks, f"the marks in {path} belong to {owner}: not applied"
        for entry in saved["marks"]:
            row = int(entry["row"])
            if not 0 <= row < (size or np.inf):
                raise ValueError(f"row {row} of {size}")
            marks.set(row, entry["mark"] or None)
            marks.note(row, entry["note"])
        return marks, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Marks(samples), f"the marks in {path} cannot be read ({error!r}): not applied"
