"""The command line.

Whatever takes a second to import is imported where it is used: ``--help`` is there at once.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gdlib import __version__
from gdlib.core.errors import GdlibError, first_line
from gdlib.run import housekeeping, opening, taking
from gdlib.run.invocation import on_a_run


class EngineName(StrEnum):
    local = "local"
    ray = "ray"


class Commands(typer.core.TyperGroup):
    """Commands whose mistakes of use are said in one line, and whose help fills its lines."""

    def __init__(self, **given: Any):
        super().__init__(**given)
        for command in (self, *self.commands.values()):  # typer keeps the breaks of a docstring
            command.help = re.sub(r"(?<=\S)\n(?=\S)", " ", command.help or "")

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GdlibError as error:
            typer.echo(f"gdlib: {error}", err=True)
            raise typer.Exit(2) from None
        except BrokenPipeError:
            raise  # click ends quietly where the reader of a pipe has left
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            why = f"{place}{error.strerror or first_line(error)}"
            typer.echo(f"gdlib: {why}; check the folder, its disk and its permissions", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    name="gdlib",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    """How close small language models come to big ones when labels are scarce.

    A study is a row of notebooks (stages); a run executes those that are not up to date and writes
    a report.

    [bold]First steps[/bold]

      gdlib run --profile smoke     does everything work? a minute or two
      gdlib run                     the study on one corpus, minutes
      gdlib open                    its report, in the browser
      gdlib explore                 the generated texts, in JupyterLab
      gdlib status                  what is up to date, what is not
      gdlib list                    what there is to choose from

    [bold]Then[/bold]

      gdlib run --corpus bbc --corpus movies --seed 0 --seed 1
      gdlib run --set temperature=2 --set students=KimCNN
      gdlib run --corpus path/to/folder      your own texts
    """
    if version:
        typer.echo(f"gdlib {__version__}")
        raise typer.Exit


@app.command()
@on_a_run
def run(
    choose: Callable[[], Any],
    engine: Annotated[
        EngineName,
        typer.Option(help="local: one stage after the other; ray: stages as tasks of a cluster."),
    ] = EngineName.local,
    ray_address: Annotated[
        str | None,
        typer.Option(help="A running cluster (auto, ray://head:10001). Without: this machine."),
    ] = None,
    only: Annotated[
        list[str],
        typer.Option(help="Only this stage and what it needs; no report. May be repeated."),
    ] = [],
    force: Annotated[
        bool,
        typer.Option(
            help=(
                "Execute (the --only stages) again though up to date, and make their artifacts "
                "again; those of other stages are used as they are."
            )
        ),
    ] = False,
) -> None:
    """Execute what is not up to date, then write the report.

    Killed, interrupted or failed, the same command goes on where it was. The environment variable
    GDLIB_THREADS sets the threads a stage computes with (default: the physical cores), and
    GDLIB_CHECKPOINT_SECONDS how far apart the checkpoints of a training are at least (default: 30).

    [bold]Examples[/bold]

      gdlib run                       the default profile
      gdlib run --study transfer      another study: gdlib list studies
      gdlib run --profile full        three corpora, five seeds: hours
      gdlib run --only teacher --set teacher=mpnet-base
      gdlib run --corpus ~/reviews --set labels_per_class=50
      gdlib run --profile full --engine ray --ray-address auto

    A cluster's machines must share the project's folder and the store (NFS or the like).
    """
    from gdlib.run.engines import LocalEngine, RayEngine
    from gdlib.run.jobs import StageFailed

    chosen = choose()
    try:
        chosen.execute(
            RayEngine(ray_address) if engine is EngineName.ray else LocalEngine(), only, force
        )
    except StageFailed as error:
        typer.echo(f"{error}\nto go on from here: {chosen.command}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; to go on from here: {chosen.command}", err=True)
        raise typer.Exit(130) from None


@app.command()
@on_a_run
def status(
    choose: Callable[[], Any],
) -> None:
    """Say which stages of a run are up to date, which gdlib run would execute, and the time that
    these took before.

    [bold]Examples[/bold]

      gdlib status
      gdlib status --profile full
      gdlib status --set num_samples=4000     what would run again?
    """
    from gdlib.run.jobs import finished, numbers_of
    from gdlib.run.live import duration, wrapped
    from gdlib.run.progress import numbers_line, rerun_line

    jobs, todo = choose().jobs().values(), []
    for job in jobs:
        state, numbers = "to do", ""
        if receipt := finished(job):
            state = f"up to date ({duration(receipt.seconds)})"
            numbers = numbers_line(numbers_of(job))
        else:
            todo.append(job)
            state += f" (about {duration(job.expected)})" if job.expected else ""
        line = f"{job.stage.name:<10} {job.run:<18} {state:<20} {numbers}".rstrip()
        typer.echo(wrapped(line, 11))
    typer.echo(rerun_line(len(jobs), todo))


@app.command()
@on_a_run
def report(
    choose: Callable[[], Any],
    shown: Annotated[
        list[str], typer.Option("--only", help="Only this stage. May be repeated.")
    ] = [],
    publish: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Copy what is worth keeping of it to this folder too, such as reports/NAME, to be "
                "committed."
            )
        ),
    ] = None,
    render: Annotated[
        list[Path],
        typer.Option(help="Only render the HTML pages of this published report. May be repeated."),
    ] = [],
) -> None:
    """Write the report of a finished run again (gdlib run writes it too).

    [bold]Examples[/bold]

      gdlib report --profile full
      gdlib report --publish reports/quick
      gdlib report --render reports/quick     its pages, from its Markdown
      gdlib report --corpus bbc --corpus movies --only compare
    """
    if render:
        from gdlib.run.page import render_folder

        for folder in render:
            typer.echo(f"rendered: {render_folder(folder)}")
        return
    chosen = choose()
    page = chosen.report(shown)
    if publish:
        from gdlib.run import publishing

        typer.echo(f"published: {publishing.publish(page.parent, publish, chosen.root)}")


app.command("open")(opening.open_)
app.command()(opening.explore)
app.command()(taking.export)
app.command()(taking.predict)
app.command()(housekeeping.fetch)
app.command("list")(housekeeping.list_)
app.command()(housekeeping.clean)
app.command()(housekeeping.notebooks)


def main() -> None:
    """The entry point."""
    app()
