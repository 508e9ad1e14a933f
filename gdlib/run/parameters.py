"""The parameters cells of the notebooks, written from the knobs: name, default, help."""

import json
from pathlib import Path
from typing import Any

from gdlib.core.errors import BadSetting
from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knobs

WIDTH = 100
STORE = 'store = "runs/store"  # where artifacts are kept'


def parameters_cell(plan: Plan, stage: Stage) -> str:
    """The code of a stage's parameters cell: the knobs of that stage with their defaults.

    Raises:
        BadSetting: a knob whose line would be over 100 columns: its help has to be shorter.
    """
    default = plan.settings()
    lines = [
        _assignment(name, getattr(default, name), meta["help"])
        for name, meta in knobs(plan.settings).items()
        if meta["stage"] == stage.name
    ]
    return "\n".join([*lines, STORE])


def _assignment(name: str, value: Any, help: str) -> str:
    line = f"{name} = {_literal(value)}  # {help}"
    if len(line) <= WIDTH:
        return line
    opening = f"{name} = (  # {help}"
    if isinstance(value, tuple) and value and len(opening) <= WIDTH:
        return "\n".join([opening, *(f"    {_literal(item)}," for item in value), ")"])
    raise BadSetting(f"the help of {name} is {len(line) - WIDTH} columns too long for its line")


def _literal(value: Any) -> str:
    """A value as ruff would format it."""
    return repr(value).replace("'", '"')


def write_parameters(plan: Plan, root: Path, *, check: bool = False) -> list[Path]:
    """Write the parameters cells of a study's notebooks.

    Args:
        plan: the study.
        root: the project's folder.
        check: change nothing.

    Returns:
        The notebooks that had another cell.
    """
    changed = []
    for stage in plan.stages:
        path = root / "notebooks" / stage.notebook
        notebook = json.loads(path.read_text("utf-8"))
        source = parameters_cell(plan, stage).splitlines(keepends=True)
        for cell in notebook["cells"]:
            if "parameters" in cell["metadata"].get("tags", []) and cell["source"] != source:
                cell["source"] = source
                changed.append(path)
        if path in changed and not check:
            text = json.dumps(notebook, indent=1, ensure_ascii=False)
            path.write_text(text + "\n", "utf-8")
    return changed
