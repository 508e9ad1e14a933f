"""The DAG of a study: what is up to date, what has to run, what has become of it.

A stage is up to date if nothing that decides its result has moved: its parameters and those of the
stages it needs, the code of its notebook (not prose, not outputs), the code of the study's package
and of the library modules that these import, the files of a corpus or network that is a folder, and
all this for the stages it needs. Killed at any point and started again a run goes
on: with the stage it was in, and inside of that with what the store already holds.
"""

import ast
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdlib.core import settings as config
from gdlib.core.code import bare_code, code_digest, imported_modules
from gdlib.core.errors import GdlibError
from gdlib.core.plans import Plan, Task, expand
from gdlib.core.settings import digest
from gdlib.core.store import MANIFEST, Store, file_digest
from gdlib.run.engines import Engine, LocalEngine
from gdlib.run.jobs import Job, Outcome, finished, numbers_of, publish
from gdlib.run.live import duration, shorter
from gdlib.run.studies import modules_of
from gdlib.run.studies import plan_of as plan_of


def settings_of(plan: Plan, profile: str, overrides: Mapping[str, Any]) -> Any:
    """The settings of a profile with some knobs moved.

    Moving ``corpus`` or ``seed`` ends the profile's sweep over it.
    """
    values = {**config.profile(plan.name, profile), **overrides}
    if "corpus" in overrides and "corpora" not in overrides:
        values["corpora"] = ()
    if "seed" in overrides and "seeds" not in overrides:
        values["seeds"] = ()
    return config.build(plan.settings, values)


def project_root(plan: Plan) -> Path:
    """The folder that holds the study's ``notebooks/``: here or above, else where the library lies."""
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).parents[2]):
        if (folder / "notebooks" / plan.stages[0].notebook).is_file():
            return folder
    raise GdlibError(
        f"no notebooks/{plan.stages[0].notebook} in {Path.cwd()} or above; start gdlib in "
        "the project's folder"
    )


@dataclass(frozen=True)
class Run:
    """A study with settings, on a store: what the command line drives.

    Args:
        plan: the study.
        settings: its settings, sweeps included.
        profile: the profile they started from; names the folder of the executed notebooks.
        root: the project's folder.
        store: the store's folder, absolute or relative to ``root``.
        command: the command line that started it, for the report and for the line that says how to
            go on.
        say: gets the lines for the reader.
    """

    plan: Plan
    settings: Any
    profile: str
    root: Path
    store: str = "runs/store"
    command: str = "gdlib run"
    say: Callable[[str], None] = print

    @property
    def folder(self) -> Path:
        return self.root / "runs" / self.plan.name / self.profile

    def open_store(self) -> Store:
        return Store(self.root / self.store)

    def jobs(self, only: Sequence[str] = (), force: bool = False) -> dict[Task, Job]:
        """The job of every task; with ``only``, of those stages and all that they need.

        ``force``: execute (those) again.
        """
        chosen = (
            self.plan.upstream(*[self.plan.stage(name).name for name in only]) if only else None
        )
        jobs: dict[Task, Job] = {}
        reader = Inputs(self.root)
        for task in expand(self.plan, self.settings):
            notebook = Path("notebooks") / task.stage.notebook
            needs = tuple(jobs[need].key for need in task.needs if need in jobs)
            if chosen is None or task.stage.name in chosen:
                jobs[task] = Job(
                    stage=task.stage.name,
                    run=task.run,
                    root=self.root,
                    notebook=notebook,
                    output=self.folder / task.run / f"{task.stage.name}.ipynb",
                    parameters=task.parameters,
                    store=self.store,
                    recipe={
                        "study": self.plan.name,
                        "stage": task.stage.name,
                        "settings": task.values,
                        **reader.notebook(notebook, self.plan.name),
                        "folders": reader.folders(task.values),
                        "needs": sorted(needs),
                    },
                    products=task.products_recipe,
                    needs=needs,
                    cpus=task.stage.cpus,
                    gpus=task.stage.gpus,
                    again=force and (not only or task.stage.name in only),
                )
        return jobs

    def execute(
        self, engine: Engine | None = None, only: Sequence[str] = (), force: bool = False
    ) -> Path | None:
        """Execute what is not up to date, a line a stage; then write the report.

        Returns:
            The report's page; None if ``only`` some stages were asked for.

        Raises:
            StageFailed, GdlibError: as the engine does.
        """
        jobs = self.jobs(only, force)
        store = self.open_store()
        expected = expectations(jobs.values(), store, self.plan.name)
        waiting = {job.key: job for job in jobs.values()}
        total, start = len(jobs), time.monotonic()

        def done(job: Job, outcome: Outcome) -> None:
            del waiting[job.key]
            left = [expected.get(key) for key in waiting if key in todo]
            rest = (
                f"   [about {duration(sum(filter(None, left)))} left]"
                if left and outcome.executed and None not in left
                else ""
            )
            self.say(
                stage_line(f"[{total - len(waiting):{len(str(total))}}/{total}]", job, outcome)
                + rest
            )

        receipts = {job.key: finished(job, store) for job in jobs.values() if not job.again}
        todo = {job.key for job in jobs.values() if not receipts.get(job.key)}
        for job in jobs.values():
            if receipt := receipts.get(job.key):
                publish(job, receipt)
                done(job, Outcome(False, receipt.seconds, numbers_of(job, store)))
        (engine or LocalEngine()).run(
            [job for job in jobs.values() if job.key in todo], done, expected
        )
        self.say(
            f"{total} stages, {len(todo)} of them executed now, in "
            f"{duration(time.monotonic() - start)}"
        )
        return None if only else self.report()

    def report(self, only: Sequence[str] = ()) -> Path:
        """Write the report from what the store holds; every stage must be up to date.

        ``only``: of these stages.
        """
        store, jobs = self.open_store(), self.jobs()
        missing = [job.name for job in jobs.values() if not finished(job, store)]
        if missing:
            shown = ", ".join(missing[:6]) + (" ..." if len(missing) > 6 else "")
            raise GdlibError(
                f"{len(missing)} of {len(jobs)} stages are not up to date: {shown}; first: "
                f"{self.command}"
            )
        from gdlib.run import report  # draws: takes a second that `gdlib status` need not wait

        wanted = {self.plan.stage(name).name for name in only}
        tasks = [task for task in jobs if not wanted or task.stage.name in wanted]
        page = report.write(
            self.plan,
            tasks,
            store,
            self.folder / "report",
            profile=self.profile,
            command=self.command,
        )
        self.say(f"report: {shorter(page)}")
        return page


def stage_line(count: str, job: Job, outcome: Outcome) -> str:
    """``[2/6] teacher    wordnet-l100-s0   182 s        held-out accuracy 79.1%``"""
    spent = duration(outcome.seconds) if outcome.executed else "up to date"
    return f"{count} {job.stage:<10} {job.run:<18} {spent:<11} {numbers_line(outcome.numbers)}".rstrip()


def numbers_line(numbers: Mapping[str, Any]) -> str:
    """Key numbers as a reader wants them: a share in percent, others with four digits and their
    unit.
    """

    def one(name: str, value: Any, unit: str) -> str:
        if isinstance(value, float) and unit == "share":
            return f"{name} {value:.1%}"
        shown = (
            f"{value:.4g}"
            if isinstance(value, float)
            else f"{value:,}"
            if isinstance(value, int)
            else str(value)
        )
        return f"{name} {shown} {unit}".rstrip()

    return " · ".join(
        one(name, number["value"], number["unit"]) for name, number in numbers.items()
    )


def expectations(jobs: Iterable[Job], store: Store, study: str) -> dict[str, float]:
    """Seconds that each job may take, by its key: what the receipt of the same stage with the most
    equal settings took.
    """
    earlier: dict[str, list[tuple[dict[str, Any], float]]] = {}
    for _, manifest in manifests(store, "stages"):
        if manifest["recipe"]["study"] == study:
            earlier.setdefault(manifest["recipe"]["stage"], []).append(
                (manifest["recipe"]["settings"], manifest["seconds"])
            )
    expected = {}
    for job in jobs:
        ours = job.recipe["settings"].items()
        alike = [
            (sum(theirs.get(name) == value for name, value in ours), seconds)
            for theirs, seconds in earlier.get(job.stage, [])
        ]
        if alike:
            expected[job.key] = max(alike)[1]
    return expected


class Inputs:
    """Digests of what lies outside of the store; every file is read once."""

    def __init__(self, root: Path):
        self.root = root
        self._notebooks: dict[Path, dict[str, str]] = {}
        self._folders: dict[str, str] = {}

    def notebook(self, path: Path, study: str) -> dict[str, str]:
        """Digests of a notebook's code cells, and of the ``gdlib`` modules that decide what they
        do: those that they import, and the package of their study, which they open by name.
        """
        if path not in self._notebooks:
            code, imported = notebook_code(self.root / path)
            modules = sorted({*imported, *modules_of(study)})
            self._notebooks[path] = {"notebook": digest(code), "library": code_digest(*modules)}
        return self._notebooks[path]

    def folders(self, values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        """Digests of the content of every folder (a corpus, a task, a network) that a knob names,
        by the knob's name.
        """
        found: dict[str, dict[str, str]] = {}
        for name, value in values.items():
            for said in (
                (value,)
                if isinstance(value, str)
                else value
                if isinstance(value, list | tuple)
                else ()
            ):
                # a task folder may be followed by the column that is predicted:
                # path/to/sick:relatedness
                for path in (said, said.rpartition(":")[0]) if isinstance(said, str) else ():
                    if path and (self.root / path).is_dir():
                        found.setdefault(name, {})[path] = self._folder(path)
        return found

    def _folder(self, path: str) -> str:
        if path not in self._folders:
            self._folders[path] = folder_digest(self.root / path)
        return self._folders[path]


def notebook_code(path: Path) -> tuple[list[str], list[str]]:
    """The code cells of a notebook without comments and docstrings, and the ``gdlib`` modules they
    import.

    Raises:
        GdlibError: it is not there or no notebook.
    """
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise GdlibError(f"{path} is no readable notebook ({error})") from None
    code, modules = [], set()
    for cell in cells:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            try:
                tree = ast.parse(source)
            except SyntaxError:  # a magic like %matplotlib: taken as it stands
                code.append(source)
            else:
                modules.update(imported_modules(tree))
                code.append(bare_code(tree))
    return code, sorted(modules)


def folder_digest(folder: Path) -> str:
    """Digest of the names and contents of a folder's files; when they were written does not count."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


def manifests(store: Store, kind: str) -> Iterable[tuple[Path, dict[str, Any]]]:
    """Folder and manifest of every artifact of a kind; their files are not checked."""
    for path in sorted((store.root / kind).glob(f"*/{MANIFEST}")):
        try:
            yield path.parent, json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):  # damaged: said and set aside by whoever opens it
            continue
