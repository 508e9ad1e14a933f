"""The DAG of a study: what is up to date, what has to run, what has become of it.

A stage is up to date if nothing that decides its result has moved: its parameters and those of the
stages it needs, the code of its notebook (not prose, not outputs), the code of the study's package
and of the library modules that these import, the files of a corpus or network that is a folder, and
all this for the stages it needs. Killed at any point and started again a run goes on: with the
stage it was in, and inside of that with what the store already holds.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdlib.core import settings as config
from gdlib.core.errors import GdlibError
from gdlib.core.plans import Plan, Task, expand
from gdlib.core.store import Store
from gdlib.run.engines import Engine, LocalEngine
from gdlib.run.inputs import folder_digests, notebook_digests
from gdlib.run.jobs import NOTEBOOK, Job, finished, publish
from gdlib.run.live import duration, shorter, wrapped
from gdlib.run.progress import Progress, expected_seconds
from gdlib.run.studies import plan_of as plan_of


def settings_of(plan: Plan, profile: str, overrides: Mapping[str, Any]) -> Any:
    """The settings of a profile with some knobs moved.

    Moving ``corpus`` or ``seed`` ends the profile's sweep over it.
    """
    swept = {"corpus": "corpora", "seed": "seeds"}
    ended = {sweep: () for name, sweep in swept.items() if name in overrides}
    return config.build(plan.settings, config.profile(plan.name, profile) | ended | overrides)


def project_root(plan: Plan) -> Path:
    """The folder that holds the study's ``notebooks/``: here, above, or by the library."""
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

    @property
    def published_command(self) -> str:
        """:attr:`command` without its store.

        Where artifacts are kept does not change them, and a folder of this machine is no reader's.
        """
        return re.sub(r" --store ('[^']*'|\S+)", "", self.command)

    def open_store(self) -> Store:
        return Store(self.root / self.store)

    def jobs(self, only: Sequence[str] = (), force: bool = False) -> dict[Task, Job]:
        """The job of every task.

        Args:
            only: of those stages and all that they need; empty: of all stages.
            force: execute them (of ``only``, just the named ones) again, though up to date, and
                make the artifacts of their stages again.
        """
        named = {self.plan.stage(name).name for name in only}
        chosen = self.plan.upstream(*(named or (stage.name for stage in self.plan.stages)))
        code = {
            name: notebook_digests(self.root, self.plan.stage(name).notebook, self.plan.name)
            for name in chosen
        }
        earlier = [manifest for _, manifest in self.open_store().manifests("stages")]
        now, jobs = time.time(), {}
        for task in expand(self.plan, self.settings):
            name = task.stage.name
            if name not in chosen:
                continue
            shown = task.products_recipe
            needs = sorted(jobs[need].key for need in task.needs)
            folders = folder_digests(self.root, shown["settings"])
            recipe = {**shown, **code[name], "folders": folders, "needs": needs}
            again = force and (not named or name in named)
            jobs[task] = Job(
                stage=task.stage,
                run=task.run,
                root=self.root,
                output=self.folder / task.run / f"{name}.ipynb",
                parameters=task.parameters,
                store=self.store,
                recipe=recipe,
                again=now if again else 0,
                expected=expected_seconds(recipe, earlier),
            )
        return jobs

    def execute(
        self, engine: Engine | None = None, only: Sequence[str] = (), force: bool = False
    ) -> Path | None:
        """Execute what is not up to date, a line per stage; then write the report.

        Returns:
            The report's page; None if ``only`` some stages were asked for.

        Raises:
            StageFailed, GdlibError: as the engine does.
        """
        start = time.monotonic()
        jobs = list(self.jobs(only, force).values())
        progress, waiting = Progress(jobs), []

        def done(job: Job, seconds: float | None) -> None:
            self.say(wrapped(progress.line(job, seconds), 6))

        for job in jobs:
            if not job.again and (receipt := finished(job)):
                publish(job, receipt)
                done(job, None)
            else:
                waiting.append(job)
        (engine or LocalEngine()).run(waiting, done)
        spent = duration(time.monotonic() - start)
        self.say(f"{len(jobs)} stages, {len(waiting)} of them executed now, in {spent}")
        return None if only else self.report()

    def report(self, only: Sequence[str] = ()) -> Path:
        """Write the report from what the store holds; every stage must be up to date.

        ``only``: of these stages.
        """
        from gdlib.run import report  # draws: takes a second that `gdlib status` need not wait

        jobs = self.jobs()
        receipts = {task: finished(job) for task, job in jobs.items()}
        missing = [jobs[task].name for task, receipt in receipts.items() if not receipt]
        if missing:
            shown = ", ".join(missing[:6]) + (" ..." if len(missing) > 6 else "")
            raise GdlibError(
                f"{len(missing)} of {len(jobs)} stages are not up to date: {shown}; first: "
                f"{self.command}"
            )
        wanted = {self.plan.stage(name).name for name in only}
        tasks = [task for task in jobs if not wanted or task.stage.name in wanted]
        folder = self.folder / "report"
        page = report.write(
            self.plan,
            tasks,
            self.open_store(),
            folder,
            profile=self.profile,
            command=self.published_command,
            executed={task: receipts[task] / NOTEBOOK for task in tasks},
            place=folder.relative_to(self.root).as_posix(),
        )
        self.say(f"report: {shorter(page)}")
        return page
