"""The tutorials of the reading group: every cell runs, solutions too, and a figure comes out."""

import re
from pathlib import Path

import nbformat
import pytest

from gdlib.run import kernel

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TUTORIALS = sorted(NOTEBOOKS.glob("*/0_tutorial.ipynb"))


def test_each_study_has_its_tutorial():
    assert [path.parent for path in TUTORIALS] == sorted(NOTEBOOKS.glob("[0-9]_*"))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.parent.name)
def test_what_a_tutorial_holds(path):
    """Three questions with a folded answer each, three exercises with folded solutions that check
    themselves, and assertions that the library computes the equations.
    """
    cells = nbformat.read(path, 4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert sum("## Predict, then run" in text for text in texts) == 3
    assert sum(text.startswith("<details><summary>Answer</summary>\n\n") for text in texts) == 3
    assert sum(text.startswith("## Exercise") for text in texts) == 3
    solutions = [cell for cell in cells if "solution" in cell.metadata.get("tags", [])]
    assert [cell.metadata["jupyter"] for cell in solutions] == [{"source_hidden": True}] * 3
    assert all(re.search(r"^assert |assert_close\(", cell.source, re.M) for cell in solutions)
    own = [cell.source for cell in cells if cell.cell_type == "code" and cell not in solutions]
    assert sum("assert_close" in source for source in own) >= 4
    assert any("interact(" in source for source in own)


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.parent.name)
def test_a_tutorial_runs_to_its_end(path, tmp_path):
    kernel.execute(path, tmp_path / "out.ipynb", {}, tmp_path)
    done = nbformat.read(tmp_path / "out.ipynb", 4)
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    # What a slider shows is in the widget's state; a figure stands in the page beside it.
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
