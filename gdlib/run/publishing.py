"""Reports as folders: written aside and put in their place whole, and copied to be kept."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdlib.core.errors import GdlibError

PUBLISHED = (
    "report.md",
    "timings.md",
    "timings.json",
    "results.json",
    "tables/*.parquet",
    "figures/*.svg",
)
"""What of a report is worth keeping for ever: the HTML pages are rendered from it, and a PNG file
shows nothing that the SVG file does not.
"""


@contextmanager
def new_report(folder: Path) -> Iterator[Path]:
    """A new folder beside the wanted one, put in its place on leaving without an error.

    Raises:
        GdlibError: the wanted folder holds something that is no report.
    """
    if folder.exists() and not (folder / "report.md").is_file() and any(folder.iterdir()):
        raise GdlibError(
            f'folder "{folder}" holds something that is no report; give an empty or a new folder'
        )
    new, old = (
        folder.with_name(f".{folder.name}.{state}-{os.getpid()}") for state in ("new", "old")
    )
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
    except BaseException:
        shutil.rmtree(new)
        raise
    if folder.exists():
        os.rename(folder, old)
    os.rename(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def publish(report: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Path:
    """Copy what of a report is worth keeping (:data:`PUBLISHED`) to ``destination``, such as
    ``reports/quick``, replacing what was there.

    Raises:
        GdlibError: ``report`` holds no report, or ``destination`` something that is none.
    """
    source, destination = Path(report), Path(destination)
    if not (source / "report.md").is_file():
        raise GdlibError(f'no report in "{source}"; write one first: gdlib report')
    with new_report(destination) as new:
        for pattern in PUBLISHED:
            for file in sorted(source.glob(pattern)):
                copy = new / file.relative_to(source)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, copy)
    return destination
