"""Reports as folders: written aside and put in their place whole, and copied to be kept."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gdlib.core.errors import GdlibError

PUBLISHED = (
    "report.md",
    "timings.md",
    "timings.json",
    "results.json",
    "tables/*.parquet",
    "figures/*.svg",
    "notebooks/*.md",
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
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as aside:
        new, old = Path(aside, "new"), Path(aside, "old")
        new.mkdir()
        yield new
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)


def publish(report: Path, destination: Path, root: Path) -> Path:
    """Copy what of a report is worth keeping (:data:`PUBLISHED`) to ``destination``, such as
    ``reports/quick``, replacing what was there. Links to other files of the project, which lies in
    ``root``, are written anew.

    Raises:
        GdlibError: ``destination`` holds something that is no report.
    """
    with new_report(destination) as new:
        for pattern in PUBLISHED:
            for file in sorted(report.glob(pattern)):
                copy = new / file.relative_to(report)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, copy)
        for copy in new.glob("notebooks/*.md"):
            there, here = (
                os.path.relpath(root, folder / "notebooks") for folder in (report, destination)
            )
            copy.write_text(copy.read_text("utf-8").replace(f"]({there}/", f"]({here}/"), "utf-8")
    return destination
