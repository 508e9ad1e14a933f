"""The report of a run: Markdown and one HTML page rendered from it, figures, tables, every number.

It is put together from the ``products`` artifacts of the stages, so it can be written at any time,
and the same artifacts give the same bytes. Timings, which never repeat, go to files of their own
(``timings.md``, ``.html``, ``.json``).

What was found comes first (the stages that are done once per corpus), then the stages of the first
run of every corpus in full, then all runs in numbers, then how it was made: command, parameters,
seeds, versions, licences.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from gdlib.core import settings as config
from gdlib.core.plans import Plan, Task
from gdlib.core.products import read_index
from gdlib.core.store import Store
from gdlib.core.templates import templates
from gdlib.core.wording import cell, grid, linked, notag, number
from gdlib.run import page
from gdlib.run.executed import NOTEBOOKS, as_markdown
from gdlib.run.provenance import licences, machine, parameters, versions
from gdlib.run.publishing import new_report
from gdlib.run.sections import (
    Made,
    all_in_numbers,
    copy_figures,
    copy_inset,
    headline,
    label,
    section,
)


def write(
    plan: Plan,
    tasks: Sequence[Task],
    store: Store,
    folder: Path,
    *,
    profile: str,
    command: str,
    executed: Mapping[Task, Path] | None = None,
    place: str = "",
) -> Path:
    """Write the report of these tasks into ``folder``, replacing an earlier report there in one
    step.

    Args:
        plan: the study.
        tasks: all tasks of the sweep, each of them finished.
        store: where their products are.
        folder: becomes the report; it may hold an earlier one, and nothing else.
        profile: the profile that the settings started from.
        command: what was typed, to be shown.
        executed: the executed notebooks of tasks, to be shown as Markdown in ``notebooks/``.
        place: the folder's path in the project, for the links in these.

    Returns:
        The path of ``report.html``.

    Raises:
        GdlibError: the folder holds something that is no report.
    """
    made = [(task, store.find("products", task.products_recipe)) for task in tasks]
    knobs, software = parameters(plan, tasks, profile), versions()
    help = config.profiles(plan.name)[profile]["help"]
    typed = pd.DataFrame(knobs)
    typed["value"] = typed["value"].map(_literal)
    appendix = {
        "Parameters": typed,
        "Networks and corpora: sources and licences": licences(tasks),
        "Versions": pd.DataFrame(software.items(), columns=["software", "version"]),
    }
    context = {
        "title": plan.title,
        "about": f"{plan.help} Profile {profile} ({help}).",
        "command": command,
        "ours": plan.ours,
        "appendix": {caption: grid(table) for caption, table in appendix.items()},
    }
    results = {
        "study": plan.name,
        "profile": profile,
        "command": command,
        "parameters": knobs,
        "versions": software,
        "numbers": {task.name: read_index(artifact)["numbers"] for task, artifact in made},
    }
    with new_report(folder) as new:
        for part in ("figures", "tables"):
            (new / part).mkdir()
        shown = _stages(plan, made, new)
        context["executed"] = _write_notebooks(made, executed or {}, new, place)
        _write_template(new / "report.md", context | shown)
        _write_json(new / "results.json", results)
        _write_timings(plan, made, new)
        copy_inset(made, new)
        page.render_folder(new)
    return folder / "report.html"


def _stages(plan: Plan, made: Made, new: Path) -> dict[str, Any]:
    """What the template shows of the stages; the figures and tables that it shows are copied into
    the new folder.
    """
    once = [pair for pair in made if pair[0].stage.once_a == "corpus"]
    by_run = [pair for pair in made if pair[0].stage.once_a == "run"]
    first: dict[str, str] = {}  # of every corpus the run that is shown in full
    for task, _ in by_run:
        first.setdefault(task.settings.corpus, task.run)
    runs = [[pair for pair in by_run if pair[0].run == run] for run in first.values()]
    several = len({task.run for task, _ in by_run}) > len(first)
    return {
        "headline": headline(once or by_run[-1:]),
        "compared": [section(*pair, new) for pair in once],
        "runs": {label(run[0][0]): [section(*pair, new) for pair in run] for run in runs},
        "others": all_in_numbers(plan, by_run) if several else [],
    }


def _write_notebooks(
    made: Made, executed: Mapping[Task, Path], new: Path, place: str
) -> list[tuple[str, str]]:
    """The executed notebooks as Markdown: what each is called, and its file."""
    files = []
    for task, artifact in made:
        if task not in executed:
            continue
        (new / NOTEBOOKS).mkdir(exist_ok=True)
        file = f"{NOTEBOOKS}/{task.run}-{task.stage.name}.md"
        notebook = nbformat.read(executed[task], 4)
        original = f"notebooks/{task.stage.notebook}"
        shown = section(task, artifact, new)
        timed = artifact.json("timings.json")
        shown["figures"] += copy_figures(timed, artifact, f"timed-{task.run}", new)
        text, _ = as_markdown(notebook, shown, original, f"{place}/{file}")
        (new / file).write_text(text, "utf-8")
        files.append((f"{label(task)}: {task.stage.name}", file))
    return files


def _literal(value: Any) -> str:
    """A parameter as it would be typed: exact, not rounded."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_timings(plan: Plan, made: Made, new: Path) -> None:
    rows, figures, timings = [], [], {}
    for task, artifact in made:
        timed = artifact.json("timings.json")
        timings[task.name] = timed["numbers"]
        times = [(name, number(**value)) for name, value in timed["numbers"].items()]
        rows += [(label(task), task.stage.name, *time) for time in times]
        figures += copy_figures(timed, artifact, f"timed-{task.run}", new)
    context = {
        "title": f"{plan.title}: timings",
        "machine": machine(),
        "rows": grid(pd.DataFrame(rows, columns=["run", "stage", "what", "time"])),
        "figures": figures,
    }
    _write_template(new / "timings.md", context)
    _write_json(new / "timings.json", {"machine": machine(), "timings": timings})


def _write_template(path: Path, context: dict[str, Any]) -> None:
    """Fill the template of a Markdown file, in which a value is escaped where it is written: by
    ``cell`` what is text, by ``notag`` or ``linked`` what is Markdown of ours.
    """
    environment = templates(autoescape=False)
    environment.filters |= {"cell": cell, "notag": notag, "linked": linked}
    path.write_text(environment.get_template(f"{path.name}.j2").render(context), "utf-8")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
