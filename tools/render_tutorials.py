"""Execute the tutorials and write them as Markdown with their figures.

::

    python tools/render_tutorials.py

They lie in ``docs/tutorials``, where a visitor on the web can read what each cell shows.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbformat.v4 import new_code_cell

from gdlib.run import kernel
from gdlib.run.executed import as_markdown

ROOT = Path(__file__).parents[1]
PLACE = "docs/tutorials"
NO_REPORT = {"figures": [], "tables": []}
AS_SVG = """%config InlineBackend.figure_formats = ["svg"]
%config InlineBackend.print_figure_kwargs = {"metadata": {"Date": None}}"""


def main() -> None:
    shutil.rmtree(ROOT / PLACE, ignore_errors=True)
    (ROOT / PLACE).mkdir(parents=True)
    for path in sorted(ROOT.glob("notebooks/*/0_tutorial.ipynb")):
        with TemporaryDirectory() as folder:
            notebook, file = nbformat.read(path, 4), Path(folder, "tutorial.ipynb")
            notebook.cells.insert(0, new_code_cell(AS_SVG))
            nbformat.write(notebook, file)
            kernel.execute(file, file, {}, Path(folder))
            executed = nbformat.read(file, 4)
            executed.cells.pop(0)
            here = f"{PLACE}/{path.parent.name}.md"
            original = path.relative_to(ROOT).as_posix()
            text, images = as_markdown(executed, NO_REPORT, original, here)
        (ROOT / here).write_text(text, "utf-8")
        for name, image in images.items():
            (ROOT / PLACE / name).write_text(image, "utf-8")
        print(here)


if __name__ == "__main__":
    main()
