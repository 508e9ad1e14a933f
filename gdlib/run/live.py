"""What a person watches while a stage runs: a line that keeps moving, or a line a minute."""

import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

LOG_SECONDS = 60


class LiveLine:
    """The line of a running stage: time, time expected, the last thing its notebook printed. A
    stream to write to.

    On a terminal it is drawn anew twice a second; elsewhere (a log) it is a line a minute.

    Args:
        title: what runs.
        expected: seconds that it may take, where an earlier run tells.
        out: where it is shown; the standard error stream if not given.
    """

    def __init__(self, title: str, expected: float | None, out: TextIO | None = None):
        self.title, self.expected, self.last = title, expected, ""
        self._out = out or sys.stderr
        self._start = time.monotonic()
        self._console = Console(file=self._out, highlight=False)
        self._live = Live(
            get_renderable=lambda: Text(self.text(), no_wrap=True, overflow="ellipsis"),
            console=self._console,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._stop = threading.Event()
        self._log = threading.Thread(target=self._log_until_stopped, daemon=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._log.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._live.stop()

    def write(self, text: str) -> int:
        """Take what the notebook printed; of a progress bar's redrawings the newest counts."""
        lines = [line.strip() for line in re.split(r"[\r\n]+", plain(text)) if line.strip()]
        self.last = lines[-1] if lines else self.last
        return len(text)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is drawn inside, so that lines can be printed."""
        self._live.stop()
        yield
        if self._console.is_terminal:
            self._live.start()

    def flush(self) -> None:
        """Nothing to do: it is drawn at its own pace."""

    def text(self) -> str:
        spent = duration(time.monotonic() - self._start)
        times = f"{spent} of about {duration(self.expected)}" if self.expected else spent
        return "  ".join(filter(None, [self.title, times, self.last]))

    def _log_until_stopped(self) -> None:
        while not self._stop.wait(LOG_SECONDS):
            print(f"  ... {self.text()}"[:160], file=self._out, flush=True)


def plain(text: str) -> str:
    """Text without the control sequences that colour it on a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def wrapped(line: str, indent: int) -> str:
    """The line of a stage as several that fit the terminal, each but the first indented, broken
    between its columns and between its numbers; a pipe gets it whole.
    """
    columns = shutil.get_terminal_size((10_000, 0)).columns
    held = re.sub(r"(?<=\S) (?=[^\s·])", "\xa0", line)
    how = {"subsequent_indent": " " * indent, "break_on_hyphens": False}
    return textwrap.fill(held, columns, **how).replace("\xa0", " ")


def duration(seconds: float) -> str:
    """``42 s``, ``12 min``, ``3.5 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def shorter(path: Path) -> str:
    """A path relative to here if it lies below."""
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)
