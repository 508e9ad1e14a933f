"""A project in which study 1 runs on tiny networks, to be disturbed by ``breaking.py``: by the
command line, as people run it, or a stage's notebook in a fork of this process, which has imported
everything already, so that hundreds of trials are cheap.
"""

import itertools
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import pandas as pd
import tiny
import torch
from IPython.display import display

from gdlib.core.errors import GdlibError
from gdlib.core.plans import expand
from gdlib.core.store import file_digest
from gdlib.run import notebook, pipeline, report  # noqa: F401 (what forks need is imported here)
from gdlib.studies.generation import compare, study, views  # noqa: F401

ROOT = Path(__file__).parents[1]
PLAN = pipeline.plan_of("generation")
STAGES = tuple(stage.name for stage in PLAN.stages)
WAIT = 3600  # seconds after which a run is said to hang; on a busy machine it only waits
TIMED = re.compile(r"tim(e|ing)|-compare\.md$")  # names of files with times, which are never alike
os.environ.setdefault("GDLIB_CHECKPOINT_SECONDS", "0")  # trainings are killed between checkpoints
NOT_LASTING = {"locks", "work", "damaged", "stages"}
KNOBS = {
    "students": "KimCNN",
    "teacher_epochs": 4,
    "teacher_least_steps": 60,  # a checkpoint every three steps
    "generator_least_steps": 60,
    "student_steps": 40,
}
REAL = {"students": "KimCNN", "generator_method": "lora", "student_steps": 40}
"""Of runs on the networks and the corpus of ``quick``, with few texts and steps."""


def networks(folder: Path) -> Path:
    """A corpus of three classes and two tiny networks, for all projects."""
    corpus = tiny.corpus(folder / "corpus", classes=3, texts=60, test=40)
    words = " ".join(pd.read_csv(corpus / "train.csv")["text"]).split()
    tiny.encoder(folder / "encoder")
    tiny.causal(folder / "causal", words=tuple(dict.fromkeys(words)))
    return folder


class Project:
    """A folder in which the smoke profile runs.

    Args:
        folder: of this project.
        networks: where corpus, teacher and generator are; None: those of ``quick``.
        logs: for what runs say; not in the project, whose disk may be full.
    """

    def __init__(self, folder: Path, networks: Path | None, logs: Path):
        self.folder, self.logs = folder, logs
        self.runs, self.store = folder / "runs", folder / "runs/store"
        self.report = folder / "runs/generation/smoke/report"
        self.knobs = dict(REAL)
        if networks:
            self.knobs = {"teacher": networks / "encoder", "generator": networks / "causal"}
            self.knobs |= {"corpus": networks / "corpus", **KNOBS}
        folder.mkdir(parents=True)
        logs.mkdir()
        for name in ("notebooks", "gdlib"):
            os.symlink(ROOT / name, folder / name)

    # ---- by the command line

    def start(self, log: str = "log", more: tuple[str, ...] = ()) -> subprocess.Popen:
        """``gdlib run`` in a process group of its own, whose words go to the file ``log``."""
        sets = itertools.chain.from_iterable(("--set", f"{k}={v}") for k, v in self.knobs.items())
        command = "from gdlib.run.cli import main; main()"
        with open(self.logs / log, "w") as file:
            return subprocess.Popen(
                [sys.executable, "-c", command, "run", "--profile", "smoke", *sets, *more],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT), "GDLIB_THREADS": "1"},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def must(self, what: str, more: tuple[str, ...] = ()) -> None:
        """A run to its end; if it ends with an error or a traceback, the harness does."""
        if (status := self.start(more=more).wait(WAIT)) or "Traceback" in self.words():
            raise SystemExit(f"{what}: ended with {status}\n{self.words()}")

    # ---- in a fork

    def fork(self, stage: str) -> multiprocessing.Process:
        """The code of a stage's notebook in a process of its own; it ends with 2 if an error was
        said in a line, with 1 after a traceback.
        """
        made = multiprocessing.get_context("fork").Process(target=self._execute, args=(stage,))
        made.start()
        return made

    def must_fork(self, stage: str, what: str) -> None:
        """The same to its end, without an error."""
        process = self.fork(stage)
        process.join(WAIT)
        if process.exitcode != 0:
            raise SystemExit(f"{what}: ended with {process.exitcode}\n{self.words()}")

    def _execute(self, stage: str) -> None:
        for number, name in ((1, "shown"), (2, "log")):  # what cells show, and what is said
            with open(self.logs / name, "w") as log:
                os.dup2(log.fileno(), number)
        os.chdir(self.folder)
        status = 0
        try:
            self._cells(stage)
        except GdlibError as error:
            print(f"gdlib: {error}", file=sys.stderr, flush=True)
            status = 2
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush()
        os._exit(status)

    def _cells(self, stage: str) -> None:
        given = {name: str(v) if isinstance(v, Path) else v for name, v in self.knobs.items()}
        settings = pipeline.settings_of(PLAN, "smoke", given | {"students": ("KimCNN",)})
        task = next(task for task in expand(PLAN, settings) if task.stage.name == stage)
        names: dict[str, Any] = {"display": display, "__name__": "__main__"}
        cells = nbformat.read(ROOT / "notebooks" / task.stage.notebook, 4).cells
        for cell in cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, stage, "exec"), names)
            if "parameters" in cell.metadata.get("tags", ()):
                names |= task.parameters | {"store": "runs/store"}

    # ---- what there is

    def words(self, log: str = "log") -> str:
        """What the run has said, or says so far."""
        return (self.logs / log).read_text("utf-8", "replace")

    def making(self, kind: str) -> bool:
        """Whether an artifact of that kind is being made."""
        return any(self.store.glob(f"work/{kind}/*"))

    def step(self, kind: str) -> int:
        """The step of the last checkpoint of a training under way; 0 without one."""
        for state in self.store.glob(f"work/{kind}/*/checkpoint/state.json"):
            return int(json.loads(state.read_text())["step"])
        return 0

    def lasting(self) -> dict[str, str]:
        """The digest of every file of the artifacts and of the report that holds no time."""
        found, tables = {}, self.store.glob("table/*/artifact.json")
        timed = {p.parent for p in tables if '"function": "costs"' in p.read_text()}
        for folder in (self.store, self.report):
            for path in folder.rglob("*.*"):
                kind = path.relative_to(folder).parts[0]
                skipped = kind in NOT_LASTING or path.parent in timed
                if path.is_file() and not skipped and not TIMED.search(path.name):
                    digest = manifest(path) if path.name == "artifact.json" else file_digest(path)
                    found[path.relative_to(self.folder).as_posix()] = digest
        return found


def manifest(path: Path) -> str:
    """A manifest without the seconds that the artifact took and the digests of files with times."""
    content = json.loads(path.read_text())
    files = {name: of for name, of in content["files"].items() if not TIMED.search(name)}
    return json.dumps([content["kind"], content["recipe"], files], sort_keys=True)


def copy_of(project: Project, folder: Path) -> Path:
    """What the project has made so far, in another folder."""
    shutil.copytree(project.runs, folder) if project.runs.exists() else folder.mkdir()
    return folder


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def one_line(words: str, pattern: str) -> bool:
    """Whether a run said what went wrong in one line that has the pattern, and how to go on
    perhaps; lines of its progress and bars apart.
    """
    bar = r"\[\d+/| +\.\.\.|.*\d+%\||.*\b0(it|text)|\d+ stages|report:|$"
    lines = [line for line in re.split(r"[\r\n]+|(?=gdlib: )", words) if not re.match(bar, line)]
    said = [line for line in lines if not line.startswith("to go on from here")]
    return len(said) == 1 and bool(re.search(pattern, said[0]))


def still() -> None:
    """Set this process up as the kernel of a notebook is, before it is forked."""
    matplotlib.use("Agg")
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)


def elapsed(start: float) -> str:
    return f"{time.monotonic() - start:.0f} s"
