"""Floor 5. How a stage is executed: papermill in a fresh kernel, here one after the other or as tasks of a Ray cluster.

A :class:`Job` is a task made plain (paths, parameters, recipes), so that it runs the same in any process on any machine
that sees the project's folder. :func:`perform` executes its notebook, checks that the products are there and leaves a
*receipt*: an artifact of kind ``stages`` with the executed notebook. A stage is up to date if its receipt is sound and
its products are the very ones that the receipt names.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO

import gdlib
from gdlib import errors
from gdlib.config import digest
from gdlib.errors import BadSetting, GdlibError
from gdlib.store import MANIFEST, Artifact, Store, file_digest, write_atomically

NOTEBOOK, RECEIPT = "notebook.ipynb", "receipt.json"
KERNEL_OPTIONS = (
    "--log-level=CRITICAL",  # what the kernel itself has to say; what the notebook prints is not concerned
    # Progress bars as text, that the live line and the executed notebook can show, not as widgets that only a browser can.
    "--IPKernelApp.exec_lines=import tqdm.auto, tqdm.std; tqdm.auto.tqdm, tqdm.auto.trange = tqdm.std.tqdm, tqdm.std.trange; del tqdm",
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
        recipe: everything that decides whether the receipt is up to date; its digest is the job's key.
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
    """What came of a job: whether it had to be executed, the seconds it took (then), its key numbers."""

    executed: bool
    seconds: float
    numbers: dict[str, Any]


class StageFailed(Exception):
    """A notebook that stopped with an error that is no mistake of the user's; the message says where and what."""


class Engine:
    """Executes jobs; every job after the ones it needs. ``done`` is called in this process, once a finished job."""

    def run(self, jobs: Sequence[Job], done: Callable[[Job, Outcome], None], expected: dict[str, float]) -> None:
        """
        Args:
            jobs: in an order in which each comes after those it needs.
            done: called with every job that is finished and what came of it.
            expected: seconds that a job may take, by its key, where an earlier one tells.

        Raises:
            StageFailed: a notebook failed.
            GdlibError: a notebook stopped with one; the same error.
        """
        raise NotImplementedError


class LocalEngine(Engine):
    """One job after the other in this machine."""

    def run(self, jobs: Sequence[Job], done: Callable[[Job, Outcome], None], expected: dict[str, float]) -> None:
        for job in jobs:
            with LiveLine(f"{job.stage} ({job.run})", expected.get(job.key)) as line:
                outcome = perform(job, line)
            done(job, outcome)


class RayEngine(Engine):
    """Every job a Ray task that waits for the ones it needs; a job whose machine dies is tried again on another.

    The machines must share the project's folder and the store (NFS or the like): Ray carries the order, the store the data.

    Args:
        address: of a running cluster (``auto``, ``ray://head:10001``, ``head:6379``); without one, a cluster of this machine alone.
    """

    def __init__(self, address: str | None = None):
        self.address = address

    def run(self, jobs: Sequence[Job], done: Callable[[Job, Outcome], None], expected: dict[str, float]) -> None:
        ray = _import_ray()
        ours = not ray.is_initialized()
        if ours:
            place = {"address": self.address} if self.address else {"include_dashboard": False}
            try:
                ray.init(**place, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError) as error:
                raise GdlibError(f"no Ray cluster at {self.address or 'this machine'}: {str(error).splitlines()[0]}") from None
        try:
            self._run(ray, jobs, done)
        finally:
            if ours:
                ray.shutdown()

    def _run(self, ray: Any, jobs: Sequence[Job], done: Callable[[Job, Outcome], None]) -> None:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most_cpus, most_gpus = (max(node.get(what, 0) for node in alive) for what in ("CPU", "GPU"))
        environment = {"PYTHONPATH": _python_path(), "GDLIB_THREADS": str(threads())}
        remote = ray.remote(_perform_remotely)
        running: dict[Any, Job] = {}
        by_key: dict[str, Any] = {}
        for job in jobs:
            ref = remote.options(
                name=job.name,
                num_cpus=min(job.cpus, most_cpus),
                num_gpus=min(job.gpus, most_gpus),
                max_retries=5,
                runtime_env={"env_vars": environment},
            ).remote(job, *[by_key[key] for key in job.needs if key in by_key])
            by_key[job.key], running[ref] = ref, job
        failure: Exception | None = None
        with LiveLine(f"{len(running)} stages on {len(alive)} machines", None) as line:
            while running:
                finished, _ = ray.wait(list(running), timeout=1.0)
                for ref in finished:
                    job = running.pop(ref)
                    outcome = ray.get(ref)
                    if isinstance(outcome, Exception):
                        failure = failure or outcome
                    elif outcome is not None:
                        with line.paused():
                            done(job, outcome)
                line.title = f"{len(running)} stages on {len(alive)} machines"
        if failure:
            raise failure


def _perform_remotely(job: Job, *needs: Outcome | Exception | None) -> Outcome | Exception | None:
    """The body of a Ray task: errors come back as values, so that Ray tries again only what died; None if a need failed."""
    if any(not isinstance(need, Outcome) for need in needs):
        return None
    try:
        return perform(job)
    except (StageFailed, GdlibError) as error:
        return error


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError:
        raise GdlibError("the engine ray needs Ray, which is not installed: pip install 'gdlib[ray]'") from None
    return ray


def perform(job: Job, stream: TextIO | None = None) -> Outcome:
    """Execute a job unless it is up to date; one process at a time does it, the others wait and find it done.

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
            receipt = store.make("stages", job.recipe, lambda folder: _execute(job, folder, stream), again=True)
        publish(job, receipt)
        return Outcome(executed, receipt.seconds, numbers_of(job, store))


def finished(job: Job, store: Store) -> Artifact | None:
    """The job's receipt if it is up to date: sound, and its products still the ones it was written for."""
    receipt = store.find("stages", job.recipe)
    products = store.find("products", job.products) if receipt else None
    if receipt and products and receipt.json(RECEIPT)["products"] == file_digest(products / MANIFEST):
        return receipt
    return None


def publish(job: Job, receipt: Artifact) -> None:
    """Put the executed notebook where a reader looks for it; written aside and renamed, only if it is not there yet."""
    executed = (receipt / NOTEBOOK).read_bytes()
    if not job.output.exists() or job.output.read_bytes() != executed:
        write_atomically(job.output, executed)
    _partial(job).unlink(missing_ok=True)


def numbers_of(job: Job, store: Store) -> dict[str, Any]:
    """The key numbers that a finished job's notebook left."""
    return json.loads((store.folder("products", job.products) / "products.json").read_text("utf-8"))["numbers"]


def _written(job: Job) -> int | None:
    """When the job's products were written, if they are there; what an earlier run left is not this one's."""
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
            f"{job.stage} failed ({job.run}): {job.notebook} ran to its end but left no products for these settings\n"
            f"executed copy: {_partial(job)}"
        )
    receipt = {
        "products": file_digest(products / MANIFEST),
        "threads": threads(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(folder / RECEIPT, json.dumps(receipt, indent=1))


def _papermill(job: Job, output: Path, stream: TextIO | None) -> None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    stream = stream or open(os.devnull, "w")
    try:
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
            stdout_file=stream,
            stderr_file=stream,
        )
    except DeadKernelError:
        shutil.copyfile(output, _made(_partial(job)))
        raise StageFailed(
            f"{job.stage} failed ({job.run}): the kernel of {job.notebook} was ended from outside "
            f"(out of memory?)\nexecuted so far: {_partial(job)}"
        ) from None


def _own_kernel() -> type:
    """A kernel manager for this very Python and this very gdlib, whatever kernels are registered in the system."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class OwnKernel(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", *KERNEL_OPTIONS]
            return KernelSpec(argv=command, display_name="Python 3", language="python", env=kernel_environment())

    return OwnKernel


def kernel_environment() -> dict[str, str]:
    """What a kernel is given besides this process's environment: what makes a run the same run again."""
    count = str(threads())
    return {
        "GDLIB_THREADS": count,
        "OMP_NUM_THREADS": count,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": _python_path(),
        "TOKENIZERS_PARALLELISM": "false",
    }


def threads() -> int:
    """Threads that a stage computes with: ``GDLIB_THREADS``, else the physical cores. Another number, other last bits."""
    given = os.environ.get("GDLIB_THREADS")
    if given:
        if not given.isdecimal() or int(given) < 1:
            raise BadSetting(f'GDLIB_THREADS is "{given}"; expected a number of threads, 1 or more')
        return int(given)
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(psutil.cpu_count(logical=False) or allowed, allowed)


def _python_path() -> str:
    ours = str(Path(gdlib.__file__).parent.parent)
    theirs = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ours]
    return os.pathsep.join([ours, *theirs])


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _cell_message(job: Job, error: Any) -> str:
    source = error.source.strip().splitlines()
    trace = _ANSI.sub("", "\n".join(error.traceback)).rstrip().splitlines()
    return "\n".join(
        [
            f"{job.stage} failed ({job.run}) in {job.notebook}, cell [{error.exec_count}]:",
            *[f"    {line}" for line in source[:8]],
            *(["    ..."] if len(source) > 8 else []),
            "the error:",
            *[f"    {line}" for line in trace[-10:]],
            f"executed so far: {_partial(job)}",
        ]
    )


_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class LiveLine:
    """The line of a running stage: time, time expected, the last thing its notebook printed. A stream to write to.

    On a terminal it is drawn anew twice a second; elsewhere (a log) it is a line a minute.
    """

    def __init__(self, title: str, expected: float | None, out: TextIO | None = None):
        self.title, self.expected, self.out = title, expected, out or sys.stderr
        self.terminal = self.out.isatty()
        self.last = ""
        self._start = time.monotonic()
        self._drawing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw_until_stopped, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._wipe()

    def write(self, text: str) -> int:
        """Take what the notebook printed; of a progress bar's redrawings the newest counts."""
        lines = [line.strip() for line in re.split(r"[\r\n]+", _ANSI.sub("", text)) if line.strip()]
        self.last = lines[-1] if lines else self.last
        return len(text)

    def flush(self) -> None:
        """The thread draws."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is drawn inside, so that lines can be printed."""
        with self._drawing:
            self._wipe()
            yield

    def text(self) -> str:
        spent = duration(time.monotonic() - self._start)
        return "  ".join(filter(None, [self.title, f"{spent} of about {duration(self.expected)}" if self.expected else spent, self.last]))

    def _draw_until_stopped(self) -> None:
        while not self._stop.wait(0.5 if self.terminal else 60):
            with self._drawing:
                if self.terminal:
                    width = shutil.get_terminal_size().columns - 1
                    print("\r\x1b[K" + self.text()[:width], end="", file=self.out, flush=True)
                else:
                    print(f"  ... {self.text()}"[:160], file=self.out, flush=True)

    def _wipe(self) -> None:
        if self.terminal:
            print("\r\x1b[K", end="", file=self.out, flush=True)


def duration(seconds: float) -> str:
    """``42 s``, ``12 min``, ``3.5 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
