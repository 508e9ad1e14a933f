"""A student trained on what a person selected, from the explorer."""

from typing import TYPE_CHECKING

from gdlib.core.errors import GdlibError
from gdlib.explorer.html import looks

if TYPE_CHECKING:
    from gdlib.explorer.explorer import Explorer


def train_selection(explorer: "Explorer") -> None:
    """Train a student on the chosen rows: its progress bars below, then the result beside the
    unselected one.

    A message meant for people is shown as it is; any other error with its traceback, below the
    button. JupyterLab runs this outside the kernel's main thread (where its kernels know
    subshells): ``train`` can set no signal handler.
    """
    ui = explorer.ui
    rows = explorer.view.selection(explorer.marks, ui.rule.value, explorer.rows)
    ui.outcome.value = looks.training(len(rows))
    ui.enable(train=False)
    ui.log.clear_output()
    problem = "see the error below"
    with ui.log:
        try:
            explorer.results.append({"chosen": ui.rule.label, **explorer.train(rows)})
            problem = ""
            ui.log.clear_output()
        except (GdlibError, KeyboardInterrupt) as error:
            problem = str(error) or "stopped"
    ui.outcome.value = looks.results(explorer.results, problem)
    ui.refresh_tools()
