"""The report of a run: one HTML file that needs nothing else, its Markdown twin, figures, tables,
every number.

It is put together from the ``products`` artifacts of the stages, so it can be written at any time,
and the same artifacts give the same bytes. Timings, which never repeat, go to files of their own
(``timings.html``, ``.md``, ``.json``).

What was found comes first (the stages that are done once a corpus), then the stages of the first
run of every corpus in full, then all runs in numbers, then how it was made: command, parameters,
seeds, versions, licences.
"""

import base64
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from PIL import Image

from gdlib.compare.wording import cell, line, markdown, notag, number, numeric, plain
from gdlib.core import settings as config
from gdlib.core.errors import GdlibError
from gdlib.core.plans import Plan, Task
from gdlib.core.products import read_index
from gdlib.core.store import Artifact, Store
from gdlib.run.provenance import licences, machine, parameters, versions

SHOWN = 40  # rows of a table in the report; the whole table is in tables/
KEPT = (
    "report.html",
    "report.md",
    "timings.md",
    "timings.html",
    "timings.json",
    "results.json",
    "figures",
    "tables",
)


@dataclass(frozen=True)
class Grid:
    """A table as the templates write it: every value a text already."""

    columns: list[str]
    rows: list[list[tuple[str, str]]]
    numeric: frozenset[str] = frozenset()
    caption: str = ""
    anchor: str = ""
    more: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure: its caption, the name of its files, and the SVG as a data URL."""

    anchor: str
    caption: str
    data: str


@dataclass(frozen=True)
class Section:
    """One stage of one run, as the templates write it."""

    anchor: str
    title: str
    help: str
    numbers: Grid
    notes: list[str]
    figures: list[Picture]
    tables: list[Grid]


@dataclass(frozen=True)
class Run:
    """The stages of one run."""

    anchor: str
    title: str
    sections: list[Section] = field(default_factory=list)


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
    found = {task.name: store.find("products", task.products_recipe) for task in tasks}
    made = [(task, artifact) for task in tasks if (artifact := found[task.name])]
    if not made:
        raise GdlibError(
            "no stage of this run has been executed yet, so there is nothing to report; "
            f"run: {command}"
        )
    with _Aside(folder) as new:
        context = _context(plan, tasks, made, new, profile=profile, command=command)
        _render(new, "report.html.j2", "report.html", context)
        _render(new, "report.md.j2", "report.md", context)
        results = {
            "study": plan.name, "profile": profile, "command": command, "parameters": parameters(plan, tasks, profile),
            "versions": versions(), "numbers": {task.name: read_index(artifact)["numbers"] for task, artifact in made},
            "missing": context["missing"],
        }  # fmt: skip
        _json(new / "results.json", results)
        _timings(plan, made, new)
    return folder / "report.html"


def publish(report_folder: str | os.PathLike[str], destination: str | os.PathLike[str]) -> Path:
    """Copy what of a report is worth keeping to ``destination`` (such as ``reports/quick``),
    replacing what was there.

    What is published is kept for ever, so its PNG files are cut down to the 64 colours that a chart
    needs.

    Raises:
        GdlibError: ``report_folder`` holds no report, or ``destination`` holds something that is
            none.
    """
    source, destination = Path(report_folder), Path(destination)
    if not (source / "report.md").is_file():
        raise GdlibError(f'no report in "{source}"; write one first: gdlib report')
    with _Aside(destination) as new:
        for name in KEPT:
            if (source / name).is_dir():
                shutil.copytree(source / name, new / name)
            elif (source / name).exists():
                shutil.copyfile(source / name, new / name)
        for picture in new.glob("figures/*.png"):
            Image.open(picture).convert("RGB").quantize(64).save(picture, optimize=True)
    return destination


class _Aside:
    """A new folder beside the wanted one, put in its place on leaving without error."""

    def __init__(self, folder: Path):
        self.folder, self.new = folder, folder.with_name(f".{folder.name}.new-{os.getpid()}")
        self.old = folder.with_name(f".{folder.name}.old-{os.getpid()}")

    def __enter__(self) -> Path:
        if (
            self.folder.exists()
            and not (self.folder / "report.md").is_file()
            and any(self.folder.iterdir())
        ):
            raise GdlibError(
                f'folder "{self.folder}" holds something that is no report; give an empty '
                "or a new folder"
            )
        shutil.rmtree(self.new, ignore_errors=True)
        self.new.mkdir(parents=True)
        return self.new

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.new)
            return
        if self.folder.exists():
            os.rename(self.folder, self.old)
        os.rename(self.new, self.folder)
        shutil.rmtree(self.old, ignore_errors=True)


def _context(
    plan: Plan,
    tasks: Sequence[Task],
    made: list[tuple[Task, Artifact]],
    new: Path,
    *,
    profile: str,
    command: str,
) -> dict[str, Any]:
    """All that the two templates show.

    Copies the figures and tables that are shown into the new folder.
    """
    whole = [(task, artifact) for task, artifact in made if task.stage.once_a == "corpus"]
    by_run = [(task, artifact) for task, artifact in made if task.stage.once_a == "run"]
    first = {}  # of every corpus the run that is shown in full
    for task, _ in by_run:
        first.setdefault(getattr(task.settings, "corpus", ""), task.run)
    runs = {run: Run(run, "") for run in first.values()}
    for task, artifact in by_run:
        if task.run in runs:
            runs[task.run] = Run(
                task.run, label(task), [*runs[task.run].sections, _section(task, artifact, new)]
            )
    missing = [task.name for task in tasks if task.name not in {one.name for one, _ in made}]
    help_line = config.profiles(plan.name).get(profile, {}).get("help", "")
    about = f"{plan.help} Profile {profile}" + (f" ({help_line})" if help_line else "") + "."
    knobs = [{**row, "value": _literal(row["value"])} for row in parameters(plan, tasks, profile)]
    shown_first = whole or by_run[-1:]
    return {
        "title": plan.title, "about": about, "command": command, "missing": missing, "total": len(tasks),
        "headline": _headline(shown_first), "compared": [_section(task, artifact, new) for task, artifact in whole],
        "runs": list(runs.values()), "others": _others(plan, by_run), "ours": plan.ours,
        "appendix": [
            _grid(pd.DataFrame(knobs), "Parameters"),
            _grid(pd.DataFrame(licences(tasks)), "Networks and corpora: sources and licences"),
            _grid(pd.DataFrame(list(versions().items()), columns=["software", "version"]), "Versions"),
        ],
    }  # fmt: skip


def _literal(value: Any) -> str:
    """A parameter as it would be typed: exact, not rounded."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def label(task: Task) -> str:
    """What a run is called in the report: ``wordnet, 100 labels a class, seed 0``; a comparison by
    its corpus alone.
    """
    settings, labels = task.settings, task.plan.labels
    if task.stage.once_a == "corpus" or not hasattr(settings, labels):
        return task.run
    counted = labels.replace("labels_per_", "labels a ").replace("_", " ")
    return f"{settings.corpus}, {getattr(settings, labels)} {counted}, seed {settings.seed}"


def _section(task: Task, artifact: Artifact, new: Path) -> Section:
    index, stem, tables = read_index(artifact), f"{task.run}-{task.stage.name}", []
    figures = _pictures(index["figures"], artifact, stem, new)
    for name, caption in index["tables"].items():
        _copy(artifact / f"{name}.parquet", new / "tables" / f"{stem}-{name}.parquet")
        tables.append(
            _grid(pd.read_parquet(artifact / f"{name}.parquet"), caption, f"{stem}-{name}")
        )
    once = task.stage.once_a == "corpus"
    rows = (
        []
        if once
        else [
            [("number", name), ("value", number(**one))] for name, one in index["numbers"].items()
        ]
    )
    numbers = Grid(
        ["number", "value"], rows, frozenset({"value"})
    )  # a comparison's stand at the very top
    title = f"{task.run}: {task.stage.name}" if once else task.stage.name
    return Section(stem, title, task.stage.help, numbers, index["notes"], figures, tables)


def _pictures(captions: dict[str, str], artifact: Artifact, stem: str, new: Path) -> list[Picture]:
    """Some figures of an artifact, copied into the new folder as SVG and PNG, and inlined for the
    HTML.
    """
    pictures = []
    for name, caption in captions.items():
        for form in ("svg", "png"):
            _copy(artifact / f"{name}.{form}", new / "figures" / f"{stem}-{name}.{form}")
        encoded = base64.b64encode((artifact / f"{name}.svg").read_bytes()).decode("ascii")
        pictures.append(Picture(f"{stem}-{name}", caption, f"data:image/svg+xml;base64,{encoded}"))
    return pictures


def _grid(table: pd.DataFrame, caption: str = "", anchor: str = "") -> Grid:
    """A table as texts.

    One that is kept in ``tables/`` (it has an anchor) shows its first rows and says where the rest
    is.
    """
    columns = [str(name) for name in table.columns]
    cut = len(table) > SHOWN and bool(anchor)
    shown = (table.head(SHOWN) if cut else table).itertuples(index=False, name=None)
    rows = [list(zip(columns, map(plain, row), strict=True)) for row in shown]
    more = (
        f"The first {SHOWN} of {len(table):,} rows; all are in tables/{anchor}.parquet."
        if cut
        else ""
    )
    right = frozenset(str(name) for name in table.columns if numeric(table[name]))
    return Grid(columns, rows, right, caption, anchor, more)


def _headline(made: list[tuple[Task, Artifact]]) -> Grid:
    """The key numbers of some tasks, a column a task."""
    said = {
        label(task): {name: number(**one) for name, one in read_index(a)["numbers"].items()}
        for task, a in made
    }
    names = dict.fromkeys(name for numbers in said.values() for name in numbers)
    rows = [
        [("number", name), *((run, numbers.get(name, "–")) for run, numbers in said.items())]
        for name in names
    ]
    return Grid(["number", *said], rows)


def _numbers_by_task(made: list[tuple[Task, Artifact]], caption: str) -> Grid:
    """The key numbers of some tasks, a row a task."""
    rows = [
        {
            "run": label(task),
            **{name: number(**one) for name, one in read_index(a)["numbers"].items()},
        }
        for task, a in made
    ]
    table = pd.DataFrame(rows).fillna("–")
    columns = list(table.columns)
    texts = [
        list(zip(columns, row, strict=True)) for row in table.itertuples(index=False, name=None)
    ]
    return (
        Grid(columns, texts, frozenset(columns[1:]), caption) if len(columns) > 1 else Grid([], [])
    )


def _others(plan: Plan, by_run: list[tuple[Task, Artifact]]) -> list[Grid]:
    """Where there are more runs than those shown in full: one table of numbers a stage, all runs in
    it.
    """
    if len({task.run for task, _ in by_run}) == len(
        {getattr(task.settings, "corpus", "") for task, _ in by_run}
    ):
        return []
    stages = [
        [(task, a) for task, a in by_run if task.stage.name == stage.name] for stage in plan.stages
    ]
    grids = [_numbers_by_task(part, f"Stage {part[0][0].stage.name}.") for part in stages if part]
    return [grid for grid in grids if grid.rows]


def _timings(plan: Plan, made: list[tuple[Task, Artifact]], new: Path) -> None:
    taken = {task.name: artifact.json("timings.json") for task, artifact in made}
    host = machine()
    _json(
        new / "timings.json",
        {"machine": host, "timings": {name: of["numbers"] for name, of in taken.items()}},
    )
    rows = [
        (label(task), task.stage.name, name, number(**one))
        for task, _ in made
        for name, one in taken[task.name]["numbers"].items()
    ]
    figures = [
        one
        for task, artifact in made
        for one in _pictures(taken[task.name]["figures"], artifact, f"timed-{task.run}", new)
    ]
    grid = _grid(pd.DataFrame(rows, columns=["run", "stage", "what", "time"]))
    context = {
        "title": f"{plan.title}: timings",
        "machine": host,
        "timings": grid,
        "figures": figures,
    }
    for form in ("html", "md"):
        _render(new, f"timings.{form}.j2", f"timings.{form}", context)


def _render(folder: Path, template: str, name: str, context: dict[str, Any]) -> None:
    (folder / name).write_text(
        _templates(markup=name.endswith(".html")).get_template(template).render(context), "utf-8"
    )


def _templates(*, markup: bool) -> jinja2.Environment:
    """HTML escapes every value by itself; in Markdown the filters ``cell`` and ``notag`` do, where
    a value is written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gdlib"), autoescape=markup, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"cell": cell, "notag": notag, "line": line, "markdown": markdown}
    return environment


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
