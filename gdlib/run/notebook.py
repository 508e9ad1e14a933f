"""What every notebook does first: the style, the threads, and a table of the settings in force."""

import os
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from gdlib.charts.style import use_style
from gdlib.core.settings import knobs, thread_count


def start() -> None:
    """Go to the project's folder, so that paths mean the same in JupyterLab and in a run; set style
    and threads.

    Results depend, in their last bits, on the number of threads
    (:func:`gdlib.core.settings.thread_count`).
    """
    import torch

    here = Path.cwd()
    os.chdir(
        next((folder for folder in (here, *here.parents) if (folder / "notebooks").is_dir()), here)
    )
    use_style()
    torch.set_num_threads(thread_count())
    warnings.filterwarnings(
        "ignore", category=FutureWarning
    )  # of libraries; nothing a reader of a notebook can mend


def settings_table(settings: Any, stage: str) -> Styler:
    """The knobs of a stage, their values in force and what they mean; a value that is not the
    default is in bold.
    """
    default = type(settings)()
    rows = [
        {
            "setting": name,
            "value": str(getattr(settings, name)),
            "moved": getattr(settings, name) != getattr(default, name),
            "": meta["help"],
        }
        for name, meta in knobs(settings).items()
        if meta["stage"] == stage or getattr(settings, name) != getattr(default, name)
    ]
    table = pd.DataFrame(rows)
    bold = table.pop("moved").map(lambda moved: "font-weight: bold" if moved else "")
    return (
        table.style.hide(axis="index")
        .apply(lambda column: bold, subset=["value"])
        .format(escape="html")
    )
