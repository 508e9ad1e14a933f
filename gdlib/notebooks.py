"""Floor 5. What every notebook does first: the style, the threads, and a table of the settings in force."""

import os
import warnings
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from gdlib.config import knobs
from gdlib.drawing import use_style


def start() -> None:
    """Set the figures' style and the number of threads (``GDLIB_THREADS``, else all cores) on which results depend."""
    import torch

    use_style()
    torch.set_num_threads(int(os.environ.get("GDLIB_THREADS", 0)) or os.cpu_count() or 1)
    warnings.filterwarnings("ignore", category=FutureWarning)  # of libraries; nothing a reader of a notebook can mend


def settings_table(settings: Any, stage: str) -> Styler:
    """The knobs of a stage, their values in force and what they mean; a value that is not the default is in bold."""
    default = type(settings)()
    rows = [
        {"setting": name, "value": str(getattr(settings, name)), "moved": getattr(settings, name) != getattr(default, name), "": meta["help"]}
        for name, meta in knobs(settings).items()
        if meta["stage"] == stage or getattr(settings, name) != getattr(default, name)
    ]
    table = pd.DataFrame(rows)
    bold = table.pop("moved").map(lambda moved: "font-weight: bold" if moved else "")
    return table.style.hide(axis="index").apply(lambda column: bold, subset=["value"]).format(escape="html")
