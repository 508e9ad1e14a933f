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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gdlib.compare.wording import cell, grid, notag, number
from gdlib.core import settings as config
from gdlib.core.errors import GdlibError
from gdlib.core.plans import Plan, Task
from gdlib.core.products import read_index
from gdlib.core.store import Store
from gdlib.run import page
from gdlib.run.provenance import licences, machine, parameters, versions
from gdlib.run.publishing import new_report
from gdlib.run.sections import Made, Table, all_in_numbers, copy_figures, headline, label, section


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
        sections = [section(task, artifact, new) for task, artifact in stages]
        runs.append({"title": label(stages[0][0]), "sections": sections})
    several = len({task.run for task, _ in by_run}) > len(first)
    return {
        "headline": headline(once or by_run[-1:]),
        "compared": [section(task, artifact, new) for task, artifact in once],
        "runs": runs,
        "others": all_in_numbers(plan, by_run) if several else [],
    }


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
        figures += copy_figures(timed["figures"], artifact, f"timed-{task.run}", new)
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


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
