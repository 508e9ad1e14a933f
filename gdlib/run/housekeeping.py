"""The commands that keep house: what there is, fetching it, cleaning up, writing notebooks' cells.

Whatever takes a second to import is imported where it is used: ``--help`` is there at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from gdlib.core.errors import GdlibError, unknown
from gdlib.run.catalogue import SHELVES, on_shelf, shelves_of
from gdlib.run.invocation import StoreOption, StudyOption


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
    from gdlib.run import studies
    from gdlib.sources import tables, zoo
    from gdlib.sources.cards import cards
    from gdlib.sources.networks import networks

    default = studies.plan_of(study).settings()
    for name in names or [
        getattr(default, knob)
        for knob in ("corpus", "teacher", "generator")
        if hasattr(default, knob)
    ]:
        if name in cards():
            typer.echo(f"{name}: {tables.fetch_card(name):,} texts")
        elif name in networks() or name.startswith("hub:"):
            typer.echo(f"{name}: {zoo.locate(name).location}")
        else:
            raise unknown(
                "corpus or network",
                name,
                (*cards(), *networks()),
                "or hub:NAME, a network of the hub",
            )


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
            f"{leftover.size / 1e6:9.1f} MB  {leftover.path.relative_to(store)}  ({leftover.why})"
        )
    total = f"{len(found)} artifacts, {sum(leftover.size for leftover in found) / 1e6:.1f} MB"
    if not found:
        typer.echo("nothing to delete")
    elif dry_run:
        typer.echo(f"would delete {total}")
    elif yes or typer.confirm(f"delete {total}?"):
        delete(found)
        typer.echo(f"deleted {total}")


def notebooks(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if a cell is not as it should be.")
    ] = False,
) -> None:
    """Write the parameters cells of all notebooks from the knobs: their defaults and their help.

    [bold]Examples[/bold]

      gdlib notebooks
      gdlib notebooks --check
    """
    from gdlib.run import studies
    from gdlib.run.parameters import write_parameters
    from gdlib.run.pipeline import project_root

    changed = []
    for plan in studies.plans():
        changed += write_parameters(plan, project_root(plan), check=check)
    for path in changed:
        typer.echo(f"{'not as the knobs say' if check else 'written'}: {path}")
    if check and changed:
        raise typer.Exit(1)
