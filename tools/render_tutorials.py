"""Execute the tutorials and write them as Markdown with their figures.

::

    python tools/render_tutorials.py

They lie in ``reports/tutorials``, where a visitor on the web can read what each cell shows.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from gdlib.run import kernel
from gdlib.run.executed import as_markdown

ROOT = Path(__file__).parents[1]
PLACE = "reports/tutorials"
NO_REPORT = {"figures": [], "tables": []}


def main() -> None:
    shutil.rmtree(ROOT / PLACE, ignore_errors=True)
    (ROOT / PLACE).mkdir(parents=True)
    for path in sorted(ROOT.glob("notebooks/*/0_tutorial.ipynb")):
        with TemporaryDirectory() as folder:
            executed = Path(folder, "executed.ipynb")
            kernel.execute(path, executed, {}, Path(folder))
            here = f"{PLACE}/{path.parent.name}.md"
            original = path.relative_to(ROOT).as_posix()
            text, images = as_markdown(nbformat.read(executed, 4), NO_REPORT, original, here)
        (ROOT / here).write_text(text, "utf-8")
        for name, image in images.items():
            (ROOT / PLACE / name).write_bytes(image)
        print(here)


if __name__ == "__main__":
    main()
