"""Where the stages of a run are executed: here one after the other, or as tasks of a cluster."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gdlib.core.errors import GdlibError
from gdlib.core.settings import thread_count
from gdlib.run.jobs import Job, Outcome, StageFailed, perform
from gdlib.run.kernel import python_path
from gdlib.run.live import LiveLine

Done = Callable[[Job, Outcome], None]
"""Called in this process with every job that is finished and what came of it."""


class Engine:
    """Executes jobs; every job after the ones it needs."""

    def run(self, jobs: Sequence[Job], done: Done) -> None:
        """
        Args:
            jobs: in an order in which each comes after those it needs.
            done: told of every finished job.

        Raises:
            StageFailed: a notebook failed.
            GdlibError: a notebook stopped with one; the same error.
        """
        raise NotImplementedError


class LocalEngine(Engine):
    """One job after the other in this machine."""

    def run(self, jobs: Sequence[Job], done: Done) -> None:
        for job in jobs:
            with LiveLine(f"{job.stage} ({job.run})", job.expected) as line:
                outcome = perform(job, line)
            done(job, outcome)


class RayEngine(Engine):
    """Every job a Ray task that waits for the ones it needs; a job whose machine dies is tried
    again on another.

    The machines must share the project's folder and the store (NFS or the like): Ray carries the
    order, the store the data.

    Args:
        address: of a running cluster (``auto``, ``ray://head:10001``, ``head:6379``); without one,
            this machine alone.
    """

    def __init__(self, address: str | None = None):
        self.address = address

    def run(self, jobs: Sequence[Job], done: Done) -> None:
        ray = _import_ray()
        ours = not ray.is_initialized()
        if ours:
            place = {"address": self.address} if self.address else {"include_dashboard": False}
            try:
                ray.init(**place, log_to_driver=False, logging_level="error")
            except (ConnectionError, ValueError) as error:
                raise GdlibError(
                    f"no Ray cluster at {self.address or 'this machine'}: "
                    f"{str(error).splitlines()[0]}"
                ) from None
        try:
            self._run(ray, jobs, done)
        finally:
            if ours:
                ray.shutdown()

    def _run(self, ray: Any, jobs: Sequence[Job], done: Done) -> None:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        environment = {"PYTHONPATH": python_path(), "GDLIB_THREADS": str(thread_count())}
        remote = ray.remote(_perform_remotely)
        running: dict[Any, Job] = {}
        by_key: dict[str, Any] = {}
        for job in jobs:
            ref = remote.options(
                name=job.name,
                max_retries=5,
                **resources(job, alive),
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


def resources(job: Job, machines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What a job asks of a cluster: no more than one of its machines (CPU, GPU) has."""
    gpus = min(job.gpus, max(machine.get("GPU", 0) for machine in machines))
    able = [machine for machine in machines if machine.get("GPU", 0) >= gpus]
    cpus = min(job.cpus, max(machine.get("CPU", 0) for machine in able))
    return {"num_cpus": cpus, "num_gpus": gpus}


def _perform_remotely(job: Job, *needs: Outcome | Exception | None) -> Outcome | Exception | None:
    """The body of a Ray task: errors come back as values, so that Ray tries again only what died;
    None if a need failed.
    """
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
        raise GdlibError(
            "the engine ray needs Ray, which is not installed: pip install 'gdlib[ray]'"
        ) from None
    return ray
