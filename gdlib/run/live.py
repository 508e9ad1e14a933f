"""What a person watches while a stage runs: one line that keeps moving, durations, paths as seen
from here.
"""

import contextlib
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TextIO


class LiveLine:
    """The line of a running stage: time, time expected, the last thing its notebook printed. A
    stream to write to.

    On a terminal it is drawn anew twice a second; elsewhere (a log) it is a line a minute.
    """

    def __init__(self, title: str, expected: float | None, out: TextIO | None = None):
        self.title, self.expected, self.out = title, expected, out or sys.stderr
        self.terminal = self.out.isatty()
        self.last = ""
        self._start = time.monotonic()
        self._drawing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw_until_stopped, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._wipe()

    def write(self, text: str) -> int:
        """Take what the notebook printed; of a progress bar's redrawings the newest counts."""
        lines = [line.strip() for line in re.split(r"[\r\n]+", plain(text)) if line.strip()]
        self.last = lines[-1] if lines else self.last
        return len(text)

    def flush(self) -> None:
        """The thread draws."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is drawn inside, so that lines can be printed."""
        with self._drawing:
            self._wipe()
            yield

    def text(self) -> str:
        spent = duration(time.monotonic() - self._start)
        return "  ".join(
            filter(
                None,
                [
                    self.title,
                    f"{spent} of about {duration(self.expected)}" if self.expected else spent,
                    self.last,
                ],
            )
        )

    def _draw_until_stopped(self) -> None:
        while not self._stop.wait(0.5 if self.terminal else 60):
            with self._drawing:
                if self.terminal:
                    width = shutil.get_terminal_size().columns - 1
                    print("\r\x1b[K" + self.text()[:width], end="", file=self.out, flush=True)
                else:
                    print(f"  ... {self.text()}"[:160], file=self.out, flush=True)

    def _wipe(self) -> None:
        if self.terminal:
            print("\r\x1b[K", end="", file=self.out, flush=True)


def plain(text: str) -> str:
    """Text without the control sequences that colour it on a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def duration(seconds: float) -> str:
    """``42 s``, ``12 min``, ``3.5 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def shorter(path: Path) -> str:
    """A path relative to here if it lies below."""
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)
