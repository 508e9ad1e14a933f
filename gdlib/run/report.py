"""The report of a run: Markdown and one HTML page rendered from it, figures, tables, every number.

It is put together from the ``products`` artifacts of the stages, so it can be written at any time,
and the same artifacts give the same bytes. Timings, which never repeat, go to files of their own
(``timings.md``, ``.html``, ``.json``).

What was found comes first (the stages that are done once a corpus), then the stages of the first
run of every corpus in full, then all runs in numbers, then how it was made: command, parameters,
seeds, versions, licences.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gdlib.compare.wording import cell, grid, notag, number
from gdlib.core import settings as config
from gdlib.core.errors import GdlibError
from gdlib.core.plans import Plan, Task
from gdlib.core.products import read_index
from gdlib.core.store import Artifact, Store
from gdlib.run import page
from gdlib.run.provenance import licences, machine, parameters, versions
from gdlib.run.publishing import new_report

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


def write(
    plan: Plan,
    tasks: Sequence[Task],
    store: Store,
    folder: str | os.PathLike[str],
    *,
    profile: str,
    command: str,
) -> Path:
    """Write the report of these tasks into ``folder``, replacing an earlier report there in one
    step.

    Args:
        plan: the study.
        tasks: all tasks of the sweep; those whose products are not in the store are named as
            missing.
        store: where the products are.
        folder: becomes the report; it may hold an earlier one, and nothing else.
        profile: the profile that the settings started from.
        command: what was typed, to be shown.

    Returns:
        The path of ``report.html``.

    Raises:
        GdlibError: no stage has been run yet, or the folder holds something that is no report.
    """
    folder = Path(folder)
    products = [(task, store.find("products", task.products_recipe)) for task in tasks]
    made = [(task, artifact) for task, artifact in products if artifact]
    if not made:
        raise GdlibError(
            "no stage of this run has been executed yet, so there is nothing to report; "
            f"run: {command}"
        )
    missing = [task.name for task, artifact in products if not artifact]
    help_line = config.profiles(plan.name).get(profile, {}).get("help", "")
    context = {
        "title": plan.title,
        "about": f"{plan.help} Profile {profile}" + (f" ({help_line})" if help_line else "") + ".",
        "command": command,
        "missing": missing,
        "total": len(tasks),
        "ours": plan.ours,
        "appendix": _appendix(plan, tasks, profile),
    }
    results = {
        "study": plan.name,
        "profile": profile,
        "command": command,
        "parameters": parameters(plan, tasks, profile),
        "versions": versions(),
        "numbers": {task.name: read_index(artifact)["numbers"] for task, artifact in made},
        "missing": missing,
    }
    with new_report(folder) as new:
        _write_template(new / "report.md", context | _stages(plan, made, new))
        _write_json(new / "results.json", results)
        _write_timings(plan, made, new)
        page.render_folder(new)
    return folder / "report.html"


def label(task: Task) -> str:
    """What a run is called in the report: ``wordnet, 100 labels per class, seed 0``; a comparison
    by its corpus alone.
    """
    settings, labels = task.settings, task.plan.labels
    if task.stage.once_a == "corpus" or not hasattr(settings, labels):
        return task.run
    counted = f"{getattr(settings, labels)} {labels.replace('_', ' ')}"
    return f"{settings.corpus}, {counted}, seed {settings.seed}"


# ---- stages


def _stages(plan: Plan, made: Made, new: Path) -> dict[str, Any]:
    """What the template shows of the stages; the figures and tables that it shows are copied into
    the new folder.
    """
    once = [(task, artifact) for task, artifact in made if task.stage.once_a == "corpus"]
    by_run = [(task, artifact) for task, artifact in made if task.stage.once_a == "run"]
    first: dict[str, str] = {}  # of every corpus the run that is shown in full
    for task, _ in by_run:
        first.setdefault(getattr(task.settings, "corpus", ""), task.run)
    runs = []
    for run in first.values():
        stages = [(task, artifact) for task, artifact in by_run if task.run == run]
        sections = [_section(task, artifact, new) for task, artifact in stages]
        runs.append({"title": label(stages[0][0]), "sections": sections})
    several = len({task.run for task, _ in by_run}) > len(first)
    return {
        "headline": _headline(once or by_run[-1:]),
        "compared": [_section(task, artifact, new) for task, artifact in once],
        "runs": runs,
        "others": _all_in_numbers(plan, by_run) if several else [],
    }


def _section(task: Task, artifact: Artifact, new: Path) -> Section:
    index, stem = read_index(artifact), f"{task.run}-{task.stage.name}"
    once = task.stage.once_a == "corpus"  # its numbers stand at the very top
    return Section(
        title=f"{task.run}: {task.stage.name}" if once else task.stage.name,
        help=task.stage.help,
        numbers="" if once else _numbers(index["numbers"]),
        notes=index["notes"],
        figures=_figures(index["figures"], artifact, stem, new),
        tables=_tables(index["tables"], artifact, stem, new),
    )


def _numbers(numbers: dict[str, Any]) -> str:
    rows = [(name, number(**value)) for name, value in numbers.items()]
    return grid(pd.DataFrame(rows, columns=["number", "value"]), right=["value"]) if rows else ""


def _figures(captions: dict[str, str], artifact: Artifact, stem: str, new: Path) -> list[Figure]:
    figures = []
    for name, caption in captions.items():
        for form in ("svg", "png"):
            _copy(artifact / f"{name}.{form}", new / "figures" / f"{stem}-{name}.{form}")
        figures.append(Figure(caption, f"{stem}-{name}.svg"))
    return figures


def _tables(captions: dict[str, str], artifact: Artifact, stem: str, new: Path) -> list[Table]:
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


def _headline(made: Made) -> str:
    """The key numbers of some tasks, a column a task."""
    table = _by_task(made).set_index("run").T
    return grid(table.rename_axis("number").reset_index()) if len(table) else ""


def _all_in_numbers(plan: Plan, by_run: Made) -> list[Table]:
    """The key numbers of all runs: a table a stage, a row a run."""
    tables = []
    for stage in plan.stages:
        table = _by_task([(task, artifact) for task, artifact in by_run if task.stage == stage])
        if len(table.columns) > 1:
            tables.append(Table(f"Stage {stage.name}.", grid(table, right=table.columns[1:])))
    return tables


def _by_task(made: Made) -> pd.DataFrame:
    """The key numbers of some tasks as texts, a row a task; column ``run`` says which."""
    rows = [{"run": label(task)} | _texts(read_index(artifact)) for task, artifact in made]
    return pd.DataFrame(rows).fillna("–")


def _texts(index: dict[str, Any]) -> dict[str, str]:
    return {name: number(**value) for name, value in index["numbers"].items()}


# ---- how it was made


def _appendix(plan: Plan, tasks: Sequence[Task], profile: str) -> list[Table]:
    knobs = pd.DataFrame(parameters(plan, tasks, profile))
    knobs["value"] = knobs["value"].map(_literal)
    software = pd.DataFrame(versions().items(), columns=["software", "version"])
    return [
        Table("Parameters", grid(knobs)),
        Table("Networks and corpora: sources and licences", grid(pd.DataFrame(licences(tasks)))),
        Table("Versions", grid(software)),
    ]


def _literal(value: Any) -> str:
    """A parameter as it would be typed: exact, not rounded."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_timings(plan: Plan, made: Made, new: Path) -> None:
    timings = {task.name: artifact.json("timings.json") for task, artifact in made}
    rows, figures = [], []
    for task, artifact in made:
        timed = timings[task.name]
        times = [(name, number(**value)) for name, value in timed["numbers"].items()]
        rows += [(label(task), task.stage.name, *time) for time in times]
        figures += _figures(timed["figures"], artifact, f"timed-{task.run}", new)
    context = {
        "title": f"{plan.title}: timings",
        "machine": machine(),
        "rows": grid(pd.DataFrame(rows, columns=["run", "stage", "what", "time"])),
        "figures": figures,
    }
    _write_template(new / "timings.md", context)
    numbers = {name: timed["numbers"] for name, timed in timings.items()}
    _write_json(new / "timings.json", {"machine": machine(), "timings": numbers})


# ---- files


def _write_template(path: Path, context: dict[str, Any]) -> None:
    """Fill the template of a Markdown file, in which a value is escaped where it is written: by
    ``cell`` what is text, by ``notag`` what is Markdown of ours.
    """
    templates = page.environment(autoescape=False)
    templates.filters |= {"cell": cell, "notag": notag}
    path.write_text(templates.get_template(f"{path.name}.j2").render(context), "utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
