"""Rows that are measured one at a time, and joined into one table: a part is a file with the lines
of a row and a sentence on what they were measured with.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.timing import Lines
from gdlib.core.store import write_atomically


def keep(folder: Path, row: str, about: str, lines: Lines) -> None:
    """Keep the lines of a row, in the place of those of an earlier measurement."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{row}.json", json.dumps({"about": about, "lines": lines}, indent=1))


def joined(folder: Path, about: str, rows: Iterable[str]) -> tuple[Lines, list[str]]:
    """The lines of all rows that were measured with the same, in the order of ``rows``, and the
    rows that were measured with something else (another machine, other threads or versions).
    """
    lines, others = [], []
    for row in rows:
        if not (file := folder / f"{row}.json").is_file():
            continue
        part = json.loads(file.read_text("utf-8"))
        if part["about"] == about:
            lines += part["lines"]
        else:
            others.append(row)
    return lines, others
