"""The commands that keep house: what there is, fetching it, cleaning up, writing notebooks' cells.

Whatever takes a second to import is imported where it is used: ``--help`` is there at once.
"""

import shutil
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from gdlib.core.errors import GdlibError, unknown
from gdlib.run.catalogue import shelves
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
    used = [getattr(default, knob, None) for knob in ("corpus", "teacher", "generator")]
    for name in names or filter(None, used):
        if name in cards():
            typer.echo(f"{name}: {tables.fetch_card(name):,} texts")
        elif name in networks() or name.startswith("hub:"):
            typer.echo(f"{name}: {zoo.locate(name).location}")
        else:
            known, hint = (*cards(), *networks()), "or hub:NAME, a network of the hub"
            raise unknown("corpus or network", name, known, hint)


def list_(
    what: Annotated[
        list[str],
        typer.Argument(
            help=(
                "Any of: studies, profiles, corpora, networks, stages, knobs, or a knob that holds "
                "names (students, arms). None: all."
            )
        ),
    ] = [],
    study: StudyOption = "generation",
) -> None:
    """Name what there is to choose from, a line each; knobs by their stage.

    [bold]Examples[/bold]

      gdlib list
      gdlib list profiles knobs
      gdlib list --study transfer strategies
    """
    known = shelves(study)
    for name in what:
        if name not in known:
            raise unknown("list", name, known)
    columns = shutil.get_terminal_size((10_000, 0)).columns  # a pipe gets whole lines
    for name in what or known:
        help, rows = known[name]
        width = max(map(len, rows))
        typer.secho(f"{name}: {help}", bold=True)
        for row, line in rows.items():
            fill = {"initial_indent": "  ", "subsequent_indent": " " * (width + 4)}
            words = f"{row:<{width}}  {line}"
            typer.echo(textwrap.fill(words, columns, break_on_hyphens=False, **fill))
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
    from gdlib.run.clean import delete, leftovers, size
    from gdlib.run.pipeline import project_root

    if not store.is_dir():
        raise GdlibError(
            f"no store at {store}; expected the folder of artifacts of a run (--store)"
        )
    plans = studies.plans()
    found = leftovers(plans, Store(store), project_root(plans[0]), unused_days)
    sizes = [size(path) / 1e6 for path in found]
    for megabytes, (path, why) in zip(sizes, found.items()):
        typer.echo(f"{megabytes:9.1f} MB  {path.relative_to(store)}  ({why})")
    total = f"{len(found)} artifacts, {sum(sizes):.1f} MB"
    if not found:
        typer.echo("nothing to delete")
    elif dry_run:
        typer.echo(f"would delete {total}")
    elif yes or typer.confirm(f"delete {total}?"):
        delete(found, Store(store))
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

    plans = studies.plans()
    changed = [
        path for plan in plans for path in write_parameters(plan, project_root(plan), check=check)
    ]
    for path in changed:
        typer.echo(f"{'not as the knobs say' if check else 'written'}: {path}")
    if check and changed:
        raise typer.Exit(1)
