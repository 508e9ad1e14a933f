"""How one stage is executed: its notebook, once, with a receipt of what came of it.

A :class:`Job` is a task made plain (paths, parameters, recipes), so that it runs the same in any
process on any machine that sees the project's folder. :func:`perform` executes its notebook, checks
that the products are there and leaves a *receipt*: an artifact of kind ``stages`` with the executed
notebook. A stage is up to date if its receipt is sound and its products are the very ones that the
receipt names.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from gdlib.core import errors
from gdlib.core.artifacts import AGAIN
from gdlib.core.errors import GdlibError, first_line
from gdlib.core.plans import Stage
from gdlib.core.settings import digest, thread_count
from gdlib.core.store import MANIFEST, Artifact, Store, file_digest, write_atomically
from gdlib.run import kernel
from gdlib.run.live import plain, shorter

NOTEBOOK, RECEIPT = "notebook.ipynb", "receipt.json"


@dataclass(frozen=True)
class Job:
    """A task ready to be executed anywhere; plain values only.

    Args:
        stage, run: what it is (``teacher``, ``wordnet-l100-s0``).
        root: the project's folder: where the notebook runs.
        output: where the executed copy goes.
        parameters: what papermill injects.
        store: the store's folder, relative to ``root`` or absolute.
        recipe: everything that decides whether the receipt is up to date: study, stage, settings,
            digests, and the keys of the jobs that it needs. Its digest is the job's key.
        again: the time (seconds since the epoch) before which what the stage made counts as not
            made: it is executed even if it is up to date, and its artifacts from before that time
            are made again. 0: what is there is used.
        expected: seconds that it may take, where an earlier one tells.
    """

    stage: Stage
    run: str
    root: Path
    output: Path
    parameters: dict[str, Any]
    store: str
    recipe: dict[str, Any]
    again: float = 0
    expected: float | None = None

    @property
    def key(self) -> str:
        return digest(self.recipe)

    @property
    def name(self) -> str:
        return f"{self.run}/{self.stage.name}"

    @property
    def notebook(self) -> Path:
        """Relative to ``root``."""
        return Path("notebooks", self.stage.notebook)

    @property
    def products(self) -> dict[str, Any]:
        """The recipe of what the notebook shows."""
        return {name: self.recipe[name] for name in ("study", "stage", "settings")}

    def open_store(self) -> Store:
        return Store(self.root / self.store)


class StageFailed(Exception):
    """A notebook that stopped with an error that is no mistake of the user's; the message, one
    line, says where and what, and where more is to be read.
    """


def perform(job: Job, stream: TextIO | None = None) -> float | None:
    """Execute a job unless it is up to date; one process at a time does it, the others wait and
    find it done.

    Args:
        job: the job.
        stream: gets what the notebook prints while it runs (its progress bars).

    Returns:
        The seconds that it took; None if it was up to date.

    Raises:
        StageFailed: a cell raised, the kernel died, or the notebook left no products.
        GdlibError: a cell raised it; the same class and message.
    """
    store = job.open_store()
    with store.lock(store.root / job.run / f"{job.stage.name}-{job.key}"):
        if not job.again and (receipt := finished(job)):
            publish(job, receipt)
            return None
        receipt = store.make(
            "stages", job.recipe, lambda folder: _execute(job, folder, stream), again=True
        )
        publish(job, receipt)
        return receipt.seconds


def finished(job: Job) -> Artifact | None:
    """The job's receipt if it is up to date: sound, and its products still the ones it was written
    for.
    """
    store = job.open_store()
    receipt = store.find("stages", job.recipe)
    products = store.find("products", job.products) if receipt else None
    is_current = products and products_of(receipt.path) == file_digest(products / MANIFEST)
    return receipt if is_current else None


def products_of(receipt: Path) -> str:
    """The digest of the products that a receipt was written for; none of a damaged receipt."""
    try:
        return str(json.loads((receipt / RECEIPT).read_text("utf-8"))["products"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def publish(job: Job, receipt: Artifact) -> None:
    """Put the executed notebook where a reader looks for it, if it is not there yet."""
    notebook = (receipt / NOTEBOOK).read_bytes()
    if not job.output.exists() or job.output.read_bytes() != notebook:
        write_atomically(job.output, notebook)
    for left in (_failed_copy(job), _traceback(job)):
        left.unlink(missing_ok=True)


def numbers_of(job: Job) -> dict[str, Any]:
    """The key numbers that a finished job's notebook left."""
    index = job.open_store().folder("products", job.products) / "products.json"
    return json.loads(index.read_text("utf-8"))["numbers"]


def _execute(job: Job, folder: Path, stream: TextIO | None) -> None:
    """Execute the notebook; its executed copy and the receipt go into the folder."""
    output, before = folder / NOTEBOOK, _products_time(job)
    _run_notebook(job, output, stream)
    products = job.open_store().find("products", job.products)
    if products is None or _products_time(job) == before:
        problem = f": {job.notebook} ran to its end but left no products for these settings"
        raise _failure(job, output, problem)
    receipt = {
        "products": file_digest(products / MANIFEST),
        "threads": thread_count(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(folder / RECEIPT, json.dumps(receipt, indent=1))


def _run_notebook(job: Job, output: Path, stream: TextIO | None) -> None:
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    parameters = {**job.parameters, "store": job.store}
    again = {AGAIN: f"{job.stage.name}:{job.again}"} if job.again else {}
    try:
        kernel.execute(job.root / job.notebook, output, parameters, job.root, stream, again)
    except PapermillExecutionError as error:
        what = first_line(RuntimeError(error.evalue)) if error.evalue.strip() else ""
        problem = f" in {job.notebook}, cell [{error.exec_count}]: {error.ename}: {what}"
        failure = _failure(job, output, problem.removesuffix(": "), error)
        kind = getattr(errors, error.ename, None)
        if isinstance(kind, type) and issubclass(kind, GdlibError):
            failure = kind(error.evalue)
        raise failure from None
    except DeadKernelError:
        problem = f": the kernel of {job.notebook} was ended from outside (out of memory?)"
        raise _failure(job, output, problem) from None


def _products_time(job: Job) -> int | None:
    """When the job's products were written, if they are there: those of an earlier run do not
    count as this one's.
    """
    manifest = job.open_store().folder("products", job.products) / MANIFEST
    return manifest.stat().st_mtime_ns if manifest.exists() else None


def _failed_copy(job: Job) -> Path:
    return job.output.with_suffix(".failed.ipynb")


def _traceback(job: Job) -> Path:
    return job.output.with_suffix(".failed.txt")


def _failure(job: Job, executed: Path, problem: str, error: Any = None) -> StageFailed:
    """The error of a stage that failed, in one line; the notebook as far as it was executed, and
    the traceback of a cell's error, are kept where a reader finds them.
    """
    kept = []
    with suppress(OSError):  # on a full disk the line is all there is
        write_atomically(_failed_copy(job), executed.read_bytes())
        kept.append(f"executed so far: {shorter(_failed_copy(job))}")
        if error:
            lines = [error.source.rstrip(), "", *error.traceback, ""]
            write_atomically(_traceback(job), plain("\n".join(lines)))
            kept.append(f"the traceback: {shorter(_traceback(job))}")
    return StageFailed("; ".join([f"{job.stage.name} failed ({job.run}){problem}", *kept]))
