"""The commands that show what a run has made: its report in a browser, its samples in
JupyterLab.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gdlib.core.errors import GdlibError
from gdlib.run.invocation import on_a_run

EXPLORER = "notebooks/explore_samples.ipynb"


@on_a_run
def open_(choose: Callable[[], Any]) -> None:
    """Open the report of a finished run in the browser, and say where it is.

    [bold]Examples[/bold]

      gdlib open
      gdlib open --study transfer --profile full
    """
    run = choose()
    page = run.folder / "report" / "report.html"
    if not page.is_file():
        raise GdlibError(f"no report at {page}; first: {run.command}")
    typer.echo(page)
    typer.launch(page.as_uri())


@on_a_run
def explore(
    choose: Callable[[], Any],
    only_write: Annotated[
        bool, typer.Option("--only-write", help="Write the notebook and don't start JupyterLab.")
    ] = False,
) -> None:
    """Open the generated samples of a run in JupyterLab: filter, compare, mark, train on them.

    The notebook is a copy of notebooks/explore_samples.ipynb that knows the settings of the run; of
    a sweep it shows the first corpus and seed.

    [bold]Examples[/bold]

      gdlib explore
      gdlib explore --corpus bbc --seed 1
    """
    run = choose()
    copy = explorer_notebook(run)
    typer.echo(copy)
    if not only_write:
        os.chdir(run.root)
        # In the place of this process: who ends it, by whatever signal, ends the server, and
        # kernels end with their server.
        os.execv(sys.executable, [sys.executable, "-m", "jupyter", "lab", str(copy)])


def finished_students(run: Any) -> Any:
    """The task of the stage in which students were trained; of a sweep, that of its first run.

    Raises:
        GdlibError: not a run of study 1, or the stage is not up to date.
    """
    from gdlib.run.jobs import finished

    if run.plan.name != "generation":
        raise GdlibError(f"study {run.plan.name}: expected a run of the study generation")
    jobs = run.jobs(["students"]).items()
    task, job = next(pair for pair in jobs if pair[0].stage.name == "students")
    if not finished(job):
        raise GdlibError(f"{job.name} is not up to date; first: {run.command}")
    return task


def explorer_notebook(run: Any) -> Path:
    """A copy of the explorer's notebook with the settings of a run, in the run's folder.

    Raises:
        GdlibError: the run has no students yet, whose view of the samples is shown.
    """
    import nbformat
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    from gdlib.core.store import Store
    from gdlib.studies.generation.settings import KEPT

    task = finished_students(run)
    settings = {"corpus": task.settings.corpus, "seed": task.settings.seed, **task.parameters}
    left = Store(run.root / run.store).find("products", task.products_recipe)
    is_there = left is not None and (left / KEPT).is_file()
    settings["kept"] = f"{run.store}/products/{left.path.name}" if is_there else ""
    original = load_notebook_node(str(run.root / EXPLORER))
    notebook = parameterize_notebook(original, settings | {"store": run.store})
    copy = run.folder / task.run / Path(EXPLORER).name
    copy.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, copy)
    return copy
