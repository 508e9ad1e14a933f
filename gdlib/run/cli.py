"""The command line.

Whatever takes a second to import is imported where it is used: ``--help`` is there at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gdlib import __version__
from gdlib.core.errors import GdlibError, unknown
from gdlib.run.catalogue import SHELVES, on_shelf, shelves_of
from gdlib.run.invocation import EngineName, command_line, run_of

app = typer.Typer(
    name="gdlib",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


StudyOption = Annotated[
    str, typer.Option(help="Which study: gdlib list studies.", show_default=True)
]
ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="Where the settings start from: gdlib list profiles.")
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", "-s", metavar="NAME=VALUE", help="Move a knob: gdlib list knobs. May be repeated."
    ),
]
CorpusOption = Annotated[
    list[str], typer.Option(help="bbc, movies, wordnet, a folder, or hub:NAME. Repeated: a sweep.")
]
SeedOption = Annotated[
    list[int], typer.Option(help="Seed of splits and training. Repeated: a sweep.")
]
StoreOption = Annotated[Path, typer.Option(help="Folder of the artifacts; runs may share it.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    """Small language models as good as big ones when labels are scarce.

    A study is a row of notebooks (stages); a run executes those that are not up to date and writes
    a report.

    [bold]First steps[/bold]

      gdlib run --profile smoke     does everything work? a minute or two
      gdlib run                     the study on one corpus, minutes
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
def run(
    study: StudyOption = "generation",
    profile: ProfileOption = "quick",
    assignments: SetOption = [],
    corpus: CorpusOption = [],
    seed: SeedOption = [],
    store: StoreOption = Path("runs/store"),
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
    GDLIB_THREADS sets the threads a stage computes with (default: the physical cores).

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

    options = {"--corpus": corpus, "--seed": seed, "--set": assignments, "--only": only}
    command = command_line("run", study, profile, options, store, engine, ray_address)
    with _one_line_errors():
        chosen = run_of(study, profile, assignments, corpus, seed, store, command)
        try:
            chosen.execute(
                RayEngine(ray_address) if engine is EngineName.ray else LocalEngine(), only, force
            )
        except StageFailed as error:
            typer.echo(f"{error}\nto go on from here: {command}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            typer.echo(f"\nstopped; to go on from here: {command}", err=True)
            raise typer.Exit(130) from None


@app.command()
def status(
    study: StudyOption = "generation",
    profile: ProfileOption = "quick",
    assignments: SetOption = [],
    corpus: CorpusOption = [],
    seed: SeedOption = [],
    store: StoreOption = Path("runs/store"),
) -> None:
    """Say which stages of a run are up to date and which gdlib run would execute.

    [bold]Examples[/bold]

      gdlib status
      gdlib status --profile full
      gdlib status --set num_samples=4000     what would run again?
    """
    with _one_line_errors():
        from gdlib.run.jobs import finished, numbers_of
        from gdlib.run.live import duration
        from gdlib.run.progress import expectations, numbers_line

        chosen = run_of(study, profile, assignments, corpus, seed, store, "gdlib run")
        artifacts, jobs = chosen.open_store(), list(chosen.jobs().values())
        expected = expectations(jobs, artifacts, chosen.plan.name)
        for job in jobs:
            receipt = finished(job, artifacts)
            if receipt:
                state, rest = (
                    f"up to date ({duration(receipt.seconds)})",
                    numbers_line(numbers_of(job, artifacts)),
                )
            else:
                state, rest = (
                    "to do"
                    + (f" (about {duration(expected[job.key])})" if job.key in expected else ""),
                    "",
                )
            typer.echo(f"{job.stage:<10} {job.run:<18} {state:<20} {rest}".rstrip())


@app.command()
def report(
    study: StudyOption = "generation",
    profile: ProfileOption = "quick",
    assignments: SetOption = [],
    corpus: CorpusOption = [],
    seed: SeedOption = [],
    store: StoreOption = Path("runs/store"),
    only: Annotated[list[str], typer.Option(help="Only this stage. May be repeated.")] = [],
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
    options = {"--corpus": corpus, "--seed": seed, "--set": assignments}
    with _one_line_errors():
        if render:
            from gdlib.run.page import render_folder

            for folder in render:
                typer.echo(f"rendered: {render_folder(folder)}")
            return
        page = run_of(
            study,
            profile,
            assignments,
            corpus,
            seed,
            store,
            command_line("run", study, profile, options, store),
        ).report(only)
        if publish:
            from gdlib.run import publishing

            typer.echo(f"published: {publishing.publish(page.parent, publish)}")


@app.command()
def fetch(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Corpora and networks: gdlib list. None: those of the study's default profile."
        ),
    ] = [],
    study: StudyOption = "generation",
) -> None:
    """Fetch corpora and networks into the cache ahead of a run (which fetches them too).

    The cache is the folder named by GDLIB_CACHE, else ~/.cache/gdlib; everything is checked against
    a pinned sha256.

    [bold]Examples[/bold]

      gdlib fetch
      gdlib fetch bbc movies mpnet-base
      gdlib fetch hub:gpt2
    """
    with _one_line_errors():
        from gdlib.run import studies
        from gdlib.sources import corpora, tagged, zoo

        default = studies.plan_of(study).settings()
        for name in names or [
            getattr(default, knob)
            for knob in ("corpus", "teacher", "generator")
            if hasattr(default, knob)
        ]:
            if name in corpora.CORPORA:
                typer.echo(f"{name}: {sum(map(len, corpora.load(name).parts.values())):,} texts")
            elif name in tagged.CORPORA:
                typer.echo(f"{name}: {sum(map(len, tagged.load(name).parts.values())):,} sentences")
            elif name in zoo.NETWORKS or name.startswith("hub:"):
                typer.echo(f"{name}: {zoo.locate(name).location}")
            else:
                raise unknown(
                    "corpus or network",
                    name,
                    (*corpora.CORPORA, *tagged.CORPORA, *zoo.NETWORKS),
                    "or hub:NAME, a network of the hub",
                )


@app.command("list")
def list_(
    what: Annotated[
        list[str],
        typer.Argument(
            help=(
                f"Any of: {', '.join(SHELVES)}, or a knob that holds names (students, arms). "
                "None: all."
            )
        ),
    ] = [],
    study: StudyOption = "generation",
) -> None:
    """Name what there is to choose from, one line each.

    [bold]Examples[/bold]

      gdlib list
      gdlib list profiles knobs
      gdlib list --study transfer strategies
    """
    with _one_line_errors():
        shelves = shelves_of(study)
        for shelf in what:
            if shelf not in shelves:
                raise unknown("list", shelf, shelves)
        for shelf in what or shelves:
            rows = on_shelf(shelf, study)
            width = max(len(name) for name in rows)
            typer.secho(f"{shelf}: {shelves[shelf]}", bold=True)
            for name, line in rows.items():
                typer.echo(f"  {name:<{width}}  {line}")
            typer.echo()


@app.command()
def clean(
    store: StoreOption = Path("runs/store"),
    unused_days: Annotated[
        float | None,
        typer.Option(
            help="Also delete networks, samples and signals that were made over so many days ago."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete what nothing needs any more from the store: damaged and interrupted artifacts, stages
    of code that has changed.

    It says what, and asks. What is deleted by mistake costs only the time to make it again.

    [bold]Examples[/bold]

      gdlib clean --dry-run
      gdlib clean --unused-days 30
    """
    with _one_line_errors():
        from gdlib.core.store import Store
        from gdlib.run import studies
        from gdlib.run.clean import delete, leftovers
        from gdlib.run.pipeline import project_root

        if not store.is_dir():
            raise GdlibError(
                f"no store at {store}; expected the folder of artifacts of a run (--store)"
            )
        plans = studies.plans()
        found = leftovers(plans, Store(store), project_root(plans[0]), unused_days)
        for leftover in found:
            typer.echo(
                f"{leftover.size / 1e6:9.1f} MB  {leftover.path.relative_to(store)}  "
                f"({leftover.why})"
            )
        total = f"{len(found)} artifacts, {sum(leftover.size for leftover in found) / 1e6:.1f} MB"
        if not found:
            typer.echo("nothing to delete")
        elif dry_run:
            typer.echo(f"would delete {total}")
        elif yes or typer.confirm(f"delete {total}?"):
            delete(found)
            typer.echo(f"deleted {total}")


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except GdlibError as error:
        typer.echo(f"gdlib: {error}", err=True)
        raise typer.Exit(2) from None


def main() -> None:
    """The entry point."""
    app()
