"""How one stage is executed: its notebook, by papermill, in a fresh kernel of this very Python.

A :class:`Job` is a task made plain (paths, parameters, recipes), so that it runs the same in any
process on any machine that sees the project's folder. :func:`perform` executes its notebook, checks
that the products are there and leaves a
*receipt*: an artifact of kind ``stages`` with the executed notebook. A stage is up to date if its
receipt is sound and its products are the very ones that the receipt names.
"""

import json
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import gdlib
from gdlib.core import errors
from gdlib.core.errors import GdlibError
from gdlib.core.settings import digest, thread_count
from gdlib.core.store import MANIFEST, Artifact, Store, file_digest, write_atomically
from gdlib.run.live import plain, shorter

NOTEBOOK, RECEIPT = "notebook.ipynb", "receipt.json"
KERNEL_OPTIONS = (
    # what the kernel itself has to say; what the notebook prints is not concerned
    "--log-level=CRITICAL",
    # Progress bars as text, that the live line and the executed notebook can show, not as widgets
    # that only a browser can.
    (
        "--IPKernelApp.exec_lines=import tqdm.auto as t, tqdm.std as s; t.tqdm, t.trange = "
        "s.tqdm, s.trange; del t, s"
    ),
)


@dataclass(frozen=True)
class Job:
    """A task ready to be executed anywhere; plain values only.

    Args:
        stage, run: what it is (``teacher``, ``wordnet-l100-s0``).
        root: the project's folder: where the notebook runs.
        notebook: the notebook, relative to ``root``.
        output: where the executed copy goes.
        parameters: what papermill injects.
        store: the store's folder, relative to ``root`` or absolute.
        recipe: everything that decides whether the receipt is up to date; its digest is the job's
            key.
        products: recipe of the products that the notebook leaves.
        needs: keys of the jobs that go before.
        cpus, gpus: what it asks of a cluster.
        again: execute it even if it is up to date.
    """

    stage: str
    run: str
    root: Path
    notebook: Path
    output: Path
    parameters: dict[str, Any]
    store: str
    recipe: dict[str, Any]
    products: dict[str, Any]
    needs: tuple[str, ...]
    cpus: float = 1
    gpus: float = 0
    again: bool = False

    @property
    def key(self) -> str:
        return digest(self.recipe)

    @property
    def name(self) -> str:
        return f"{self.run}/{self.stage}"

    def open_store(self) -> Store:
        return Store(self.root / self.store)


@dataclass(frozen=True)
class Outcome:
    """What came of a job: whether it had to be executed, the seconds it took (then), its key
    numbers.
    """

    executed: bool
    seconds: float
    numbers: dict[str, Any]


class StageFailed(Exception):
    """A notebook that stopped with an error that is no mistake of the user's; the message says
    where and what.
    """


def perform(job: Job, stream: TextIO | None = None) -> Outcome:
    """Execute a job unless it is up to date; one process at a time does it, the others wait and
    find it done.

    Args:
        job: the job.
        stream: gets what the notebook prints while it runs (its progress bars).

    Raises:
        StageFailed: a cell raised, the kernel died, or the notebook left no products.
        GdlibError: a cell raised it; the same class and message.
    """
    store = job.open_store()
    with store.lock(store.root / job.run / f"{job.stage}-{job.key}"):
        receipt = None if job.again else finished(job, store)
        executed = receipt is None
        if receipt is None:
            receipt = store.make(
                "stages", job.recipe, lambda folder: _execute(job, folder, stream), again=True
            )
        publish(job, receipt)
        return Outcome(executed, receipt.seconds, numbers_of(job, store))


def finished(job: Job, store: Store) -> Artifact | None:
    """The job's receipt if it is up to date: sound, and its products still the ones it was written
    for.
    """
    receipt = store.find("stages", job.recipe)
    products = store.find("products", job.products) if receipt else None
    if (
        receipt
        and products
        and receipt.json(RECEIPT)["products"] == file_digest(products / MANIFEST)
    ):
        return receipt
    return None


def publish(job: Job, receipt: Artifact) -> None:
    """Put the executed notebook where a reader looks for it; written aside and renamed, only if it
    is not there yet.
    """
    executed = (receipt / NOTEBOOK).read_bytes()
    if not job.output.exists() or job.output.read_bytes() != executed:
        write_atomically(job.output, executed)
    _partial(job).unlink(missing_ok=True)


def numbers_of(job: Job, store: Store) -> dict[str, Any]:
    """The key numbers that a finished job's notebook left."""
    return json.loads(
        (store.folder("products", job.products) / "products.json").read_text("utf-8")
    )["numbers"]


def _written(job: Job) -> int | None:
    """When the job's products were written, if they are there; what an earlier run left is not this
    one's.
    """
    manifest = job.open_store().folder("products", job.products) / MANIFEST
    return manifest.stat().st_mtime_ns if manifest.exists() else None


def _partial(job: Job) -> Path:
    return job.output.with_suffix(".failed.ipynb")


def _execute(job: Job, folder: Path, stream: TextIO | None) -> None:
    from papermill.exceptions import PapermillExecutionError

    output = (folder / NOTEBOOK).absolute()
    store, before = job.open_store(), _written(job)
    try:
        _papermill(job, output, stream)
    except PapermillExecutionError as error:
        shutil.copyfile(output, _made(_partial(job)))
        kind = getattr(errors, error.ename, None)
        if isinstance(kind, type) and issubclass(kind, GdlibError):
            raise kind(error.evalue) from None
        raise StageFailed(_cell_message(job, error)) from None
    products = store.find("products", job.products)
    if products is None or _written(job) == before:
        shutil.copyfile(output, _made(_partial(job)))
        raise StageFailed(
            f"{job.stage} failed ({job.run}): {job.notebook} ran to its end but left no "
            "products for these settings\n"
            f"executed copy: {shorter(_partial(job))}"
        )
    receipt = {
        "products": file_digest(products / MANIFEST),
        "threads": thread_count(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(folder / RECEIPT, json.dumps(receipt, indent=1))


def _papermill(job: Job, output: Path, stream: TextIO | None) -> None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    logging.getLogger("papermill").setLevel(
        logging.ERROR
    )  # it warns of knobs that the parameters cell does not name
    try:
        with open(os.devnull, "w") as nowhere:
            papermill.execute_notebook(
                (job.root / job.notebook).absolute(),
                output,
                parameters={**job.parameters, "store": job.store},
                kernel_name="python3",
                language="python",
                kernel_manager_class=_own_kernel(),
                coalesce_streams=True,
                cwd=job.root,
                progress_bar=False,
                stdout_file=stream or nowhere,
                stderr_file=stream or nowhere,
            )
    except DeadKernelError:
        shutil.copyfile(output, _made(_partial(job)))
        raise StageFailed(
            f"{job.stage} failed ({job.run}): the kernel of {job.notebook} was ended from outside "
            f"(out of memory?)\nexecuted so far: {shorter(_partial(job))}"
        ) from None


def _own_kernel() -> type:
    """A kernel manager for this very Python and this very gdlib, whatever kernels are registered in
    the system.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class OwnKernel(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            command = [
                sys.executable,
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
                *KERNEL_OPTIONS,
            ]
            return KernelSpec(
                argv=command, display_name="Python 3", language="python", env=kernel_environment()
            )

    return OwnKernel


def kernel_environment() -> dict[str, str]:
    """What a kernel is given besides this process's environment: what makes a run the same run
    again.
    """
    count = str(thread_count())
    return {
        "GDLIB_THREADS": count,
        "OMP_NUM_THREADS": count,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": python_path(),
        "TOKENIZERS_PARALLELISM": "false",
    }


def python_path() -> str:
    """A PYTHONPATH with which another process imports this very gdlib."""
    ours = str(Path(gdlib.__file__).parent.parent)
    theirs = [
        path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ours
    ]
    return os.pathsep.join([ours, *theirs])


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _cell_message(job: Job, error: Any) -> str:
    source = error.source.strip().splitlines()
    trace = plain("\n".join(error.traceback)).rstrip().splitlines()
    return "\n".join(
        [
            f"{job.stage} failed ({job.run}) in {job.notebook}, cell [{error.exec_count}]:",
            *[f"    {line}" for line in source[:8]],
            *(["    ..."] if len(source) > 8 else []),
            "the error:",
            *[f"    {line}" for line in trace[-10:]],
            f"executed so far: {shorter(_partial(job))}",
        ]
    )
