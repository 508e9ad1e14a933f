"""What a report shows of a stage, ready for the templates: numbers, notes, figures and tables."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from gdlib.core.plans import Plan, Task
from gdlib.core.products import INSET, read_index
from gdlib.core.store import Artifact
from gdlib.core.wording import grid, number, readable

SHOWN = 40  # rows of a table in the report; the whole table is in tables/

Made = list[tuple[Task, Artifact]]
"""Tasks and what they show."""


def label(task: Task) -> str:
    """What a run is called in the report: ``wordnet, 100 labels per class, seed 0``; a comparison
    by its corpus alone.
    """
    settings, labels = task.settings, task.plan.labels
    if task.stage.once_a == "corpus":
        return task.run
    counted = f"{getattr(settings, labels)} {labels.replace('_', ' ')}"
    return f"{settings.corpus}, {counted}, seed {settings.seed}"


def section(task: Task, artifact: Artifact, new: Path) -> dict[str, Any]:
    """A stage in a run; its figures and tables are copied into the folder of the new report."""
    index, stem = read_index(artifact), f"{task.run}-{task.stage.name}"
    once = task.stage.once_a == "corpus"  # its numbers stand at the very top
    return {
        "title": task.run if once else task.stage.name,
        "help": "" if once else f"{task.stage.help[0].upper()}{task.stage.help[1:]}.",
        "numbers": "" if once else headline([(task, artifact)]),
        "abstract": index["abstract"],
        "notes": index["notes"],
        "figures": copy_figures(index, artifact, stem, new),
        "tables": _copy_tables(index["tables"], artifact, stem, new),
    }


def copy_figures(
    index: dict[str, Any], artifact: Artifact, stem: str, new: Path
) -> list[dict[str, str]]:
    """The figures of an artifact, copied as SVG and PNG under names that begin with ``stem``: their
    captions, files and what they show in words, by which somebody knows them who does not see them.
    """
    captions = index["figures"]
    for name in captions:
        for form in ("svg", "png"):
            copy = new / "figures" / f"{stem}-{name}.{form}"
            shutil.copyfile(artifact / f"{name}.{form}", copy)
    return [
        {"caption": caption, "file": f"{stem}-{name}.svg", "words": index["words"][name] or caption}
        for name, caption in captions.items()
    ]


def copy_inset(made: Made, new: Path) -> None:
    """What stands in the report's page alone, of the first artifact that has such a part."""
    for _, artifact in made:
        if (artifact / INSET).is_file():
            shutil.copyfile(artifact / INSET, new / INSET)
            return


def _copy_tables(
    captions: dict[str, str], artifact: Artifact, stem: str, new: Path
) -> list[dict[str, str]]:
    """The tables of an artifact: the first rows to be shown, all of them in a file."""
    tables = []
    for name, caption in captions.items():
        copy = f"tables/{stem}-{name}.parquet"
        shutil.copyfile(artifact / f"{name}.parquet", new / copy)
        table = readable(pd.read_parquet(new / copy))
        cut = len(table) > SHOWN
        more = f"The first {SHOWN} of {len(table):,} rows; all are in {copy}." if cut else ""
        tables.append({"caption": caption, "rows": grid(table.head(SHOWN)), "more": more})
    return tables


def headline(made: Made) -> str:
    """The key numbers of some tasks, a column per task."""
    table = _by_task(made).set_index("run").T
    return grid(table.rename_axis("number").reset_index()) if len(table) else ""


def all_in_numbers(plan: Plan, by_run: Made) -> list[dict[str, str]]:
    """The key numbers of all runs: a table per stage, a row per run."""
    tables = []
    for stage in plan.stages:
        table = _by_task([pair for pair in by_run if pair[0].stage == stage])
        if len(table.columns) > 1:
            rows = grid(table, right=table.columns[1:])
            tables.append({"caption": f"Stage {stage.name}.", "rows": rows})
    return tables


def _by_task(made: Made) -> pd.DataFrame:
    """The key numbers of some tasks as texts, a row per task; column ``run`` says which."""
    rows = []
    for task, artifact in made:
        numbers = read_index(artifact)["numbers"]
        rows.append({"run": label(task)} | {name: number(**numbers[name]) for name in numbers})
    return pd.DataFrame(rows).fillna("–")
