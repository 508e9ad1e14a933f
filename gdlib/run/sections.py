"""What a report shows of a stage, ready for the templates: numbers, notes, figures and tables."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gdlib.compare.wording import grid, number
from gdlib.core.plans import Plan, Task
from gdlib.core.products import read_index
from gdlib.core.store import Artifact

SHOWN = 40  # rows of a table in the report; the whole table is in tables/

Made = list[tuple[Task, Artifact]]
"""Tasks and what they show."""


@dataclass(frozen=True)
class Table:
    """A table as the templates write it: its rows are Markdown; ``more`` says where the rest is."""

    caption: str
    rows: str
    more: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure: its caption, and its file in ``figures/``."""

    caption: str
    file: str


@dataclass(frozen=True)
class Section:
    """One stage of one run, as the templates write it."""

    title: str
    help: str
    numbers: str
    notes: list[str]
    figures: list[Figure]
    tables: list[Table]


def label(task: Task) -> str:
    """What a run is called in the report: ``wordnet, 100 labels per class, seed 0``; a comparison
    by its corpus alone.
    """
    settings, labels = task.settings, task.plan.labels
    if task.stage.once_a == "corpus" or not hasattr(settings, labels):
        return task.run
    counted = f"{getattr(settings, labels)} {labels.replace('_', ' ')}"
    return f"{settings.corpus}, {counted}, seed {settings.seed}"


def section(task: Task, artifact: Artifact, new: Path) -> Section:
    """A stage in a run; its figures and tables are copied into the folder of the new report."""
    index, stem = read_index(artifact), f"{task.run}-{task.stage.name}"
    once = task.stage.once_a == "corpus"  # its numbers stand at the very top
    return Section(
        title=f"{task.run}: {task.stage.name}" if once else task.stage.name,
        help=task.stage.help,
        numbers="" if once else headline([(task, artifact)]),
        notes=index["notes"],
        figures=copy_figures(index["figures"], artifact, stem, new),
        tables=_copy_tables(index["tables"], artifact, stem, new),
    )


def copy_figures(
    captions: dict[str, str], artifact: Artifact, stem: str, new: Path
) -> list[Figure]:
    """The figures of an artifact, copied as SVG and PNG under names that begin with ``stem``."""
    figures = []
    for name, caption in captions.items():
        for form in ("svg", "png"):
            _copy(artifact / f"{name}.{form}", new / "figures" / f"{stem}-{name}.{form}")
        figures.append(Figure(caption, f"{stem}-{name}.svg"))
    return figures


def _copy_tables(captions: dict[str, str], artifact: Artifact, stem: str, new: Path) -> list[Table]:
    """The tables of an artifact: the first rows to be shown, all of them in a file."""
    tables = []
    for name, caption in captions.items():
        kept = f"tables/{stem}-{name}.parquet"
        _copy(artifact / f"{name}.parquet", new / kept)
        table = pd.read_parquet(new / kept)
        cut = len(table) > SHOWN
        more = f"The first {SHOWN} of {len(table):,} rows; all are in {kept}." if cut else ""
        tables.append(Table(caption, grid(table.head(SHOWN)), more))
    return tables


def headline(made: Made) -> str:
    """The key numbers of some tasks, a column a task."""
    table = _by_task(made).set_index("run").T
    return grid(table.rename_axis("number").reset_index()) if len(table) else ""


def all_in_numbers(plan: Plan, by_run: Made) -> list[Table]:
    """The key numbers of all runs: a table a stage, a row a run."""
    tables = []
    for stage in plan.stages:
        table = _by_task([(task, artifact) for task, artifact in by_run if task.stage == stage])
        if len(table.columns) > 1:
            tables.append(Table(f"Stage {stage.name}.", grid(table, right=table.columns[1:])))
    return tables


def _by_task(made: Made) -> pd.DataFrame:
    """The key numbers of some tasks as texts, a row a task; column ``run`` says which."""
    rows = []
    for task, artifact in made:
        numbers = read_index(artifact)["numbers"]
        rows.append({"run": label(task)} | {name: number(**numbers[name]) for name in numbers})
    return pd.DataFrame(rows).fillna("–")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
