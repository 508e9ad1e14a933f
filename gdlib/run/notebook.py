"""What every notebook does first, in one call: :func:`open_stage`."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import display
from pandas.io.formats.style import Styler

from gdlib.charts.style import use_style
from gdlib.core.products import Products
from gdlib.core.settings import from_notebook, knobs, plain, thread_count
from gdlib.core.store import Store
from gdlib.run import studies


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
        GdlibError: an unknown study, stage or choice, or a wrong value.
    """
    opened = open_study(study, names)
    opened.plan.stage(stage)
    display(settings_table(plain(opened.settings), stage))
    return opened, opened.products(stage)


def open_study(study: str, names: Mapping[str, Any]) -> Any:
    """The study with the settings and the store that a notebook's variables name."""
    start()
    plan = studies.plan_of(study)
    settings = from_notebook(plan.settings, names)
    return studies.class_of(plan)(settings, Store(names["store"]))


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
    styled = table.style.hide(axis="index").apply(lambda _: bold, subset=["value"])
    return styled.format(escape="html")
