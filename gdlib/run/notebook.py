"""What every notebook does first, in one call: :func:`open_stage`."""

import os
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import display
from pandas.io.formats.style import Styler

from gdlib.charts.style import use_style
from gdlib.core.errors import unknown
from gdlib.core.products import Products, styled
from gdlib.core.settings import from_notebook, knobs, plain, thread_count
from gdlib.core.store import Store
from gdlib.run import studies

INJECTED = "# Parameters\n"  # how the cell begins that papermill writes its parameters into


def open_stage(study: str, stage: str, names: Mapping[str, Any]) -> tuple[Any, Products]:
    """Open a study at one of its stages and show the settings in force.

    Args:
        study: name of the study.
        stage: name of the stage that the notebook is.
        names: the notebook's variables (``globals()``): the knobs among them and ``store``, the
            folder of the artifacts.

    Returns:
        The study, and the collector of what the stage shows.

    Raises:
        GdlibError: an unknown study, stage, choice or parameter, or a wrong value.
    """
    opened = open_study(study, names)
    opened.plan.stage(stage)
    display(settings_table(plain(opened.settings), stage))
    return opened, opened.products(stage)


def open_study(study: str, names: Mapping[str, Any]) -> Any:
    """The study with the settings and the store that a notebook's variables name."""
    start()
    plan = studies.plan_of(study)
    check_injected(names, knobs(plan.settings))
    settings = from_notebook(plan.settings, names)
    return studies.class_of(plan)(settings, Store(names["store"]))


def check_injected(names: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse what papermill was given (``-p NAME VALUE``) and nothing reads: a misspelt knob would
    leave the default in force.

    Args:
        names: the notebook's variables; ``In`` among them is the code of the cells executed so far.
        known: the names of the knobs. What a cell before papermill's assigns is known too: the
            notebook's own parameters.

    Raises:
        UnknownName: a parameter that is neither.
    """
    known = dict.fromkeys([*known, "store"])
    for cell in names.get("In", ()):
        assigned = re.findall(r"^(\w+) *[:=]", cell, re.MULTILINE)
        for name in assigned if cell.startswith(INJECTED) else ():
            if name not in known:
                raise unknown("parameter", name, known)
        known.update(dict.fromkeys(assigned))


def start() -> None:
    """Go to the project's folder, so that paths mean the same in JupyterLab and in a run; set the
    style of the figures and the number of threads.

    Results depend, in their last bits, on the number of threads
    (:func:`gdlib.core.settings.thread_count`).
    """
    import torch

    here = Path.cwd()
    projects = [folder for folder in (here, *here.parents) if (folder / "notebooks").is_dir()]
    os.chdir(projects[0] if projects else here)
    use_style()
    pd.set_option("styler.html.mathjax", False)  # a dollar sign in a text is no formula
    torch.set_num_threads(thread_count())
    # Those of libraries: nothing that a reader of a notebook can mend.
    warnings.filterwarnings("ignore", category=FutureWarning)


def settings_table(settings: Any, stage: str) -> Styler:
    """The knobs of a stage, and of others those that were moved: their values in force and what
    they mean; a value that is not the default is in bold.
    """
    default = type(plain(settings))()
    rows = []
    for name, meta in knobs(settings).items():
        value = getattr(settings, name)
        moved = value != getattr(default, name)
        if moved or meta["stage"] == stage:
            bold = "font-weight: bold" if moved else ""
            rows.append((name, str(value), meta["help"], bold))
    table = pd.DataFrame(rows, columns=["setting", "value", "", "bold"])
    bold = table.pop("bold")
    return styled(table).apply(lambda _: bold, subset=["value"])
