"""Where the stages of a run are executed: here one after the other, or as tasks of a cluster."""

import socket
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

from gdlib.core.errors import GdlibError, first_line
from gdlib.run import kernel
from gdlib.run.jobs import Job, StageFailed, perform
from gdlib.run.kernel import kernel_environment
from gdlib.run.live import LiveLine

LOST = (
    "the Ray cluster at {} is lost: its head has ended; start a cluster and give the same command, "
    "which goes on with what is made"
)
Done = Callable[[Job, float | None], None]
"""Called in this process with every finished job and what :func:`perform` gave."""


class LocalEngine:
    """One job after the other in this machine."""

    def run(self, jobs: Sequence[Job], done: Done) -> None:
        """Execute jobs.

        Args:
            jobs: in an order in which each comes after those it needs.
            done: told of every finished job.

        Raises:
            StageFailed: a notebook failed.
            GdlibError: a notebook stopped with one; the same error.
        """
        for job in jobs:
            with LiveLine(f"{job.stage.name} ({job.run})", job.expected) as line:
                seconds = perform(job, line)
            done(job, seconds)


class RayEngine:
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
        """Execute jobs; arguments and errors are those of :meth:`LocalEngine.run`."""
        try:
            import ray
        except ModuleNotFoundError:
            raise GdlibError(
                "the engine ray needs Ray, which is not installed: pip install 'gdlib[ray]'"
            ) from None
        if ray.is_initialized():
            self._run(ray, jobs, done)
            return
        place = {"address": self.address} if self.address else {"include_dashboard": False}
        try:
            connection = ray.init(**place, log_to_driver=False, logging_level="error")
        except (ConnectionError, ValueError) as error:
            where = self.address or "this machine"
            raise GdlibError(f"no Ray cluster at {where}: {first_line(error)}") from None
        with connection:
            self._run(ray, jobs, done)

    def _run(self, ray: Any, jobs: Sequence[Job], done: Done) -> None:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        remote = ray.remote(_perform_remotely)
        tasks: dict[str, Any] = {}
        for job in jobs:
            tasks[job.key] = remote.options(
                name=job.name,
                max_retries=5,
                **resources(job, machines),
                runtime_env={"env_vars": kernel_environment()},
            ).remote(job, *[tasks[key] for key in job.recipe["needs"] if key in tasks])
        waiting = {tasks[job.key]: job for job in jobs}
        # a client (ray://) hears of a lost cluster by its own connection
        is_client, failures = ray.util.client.ray.is_connected(), []
        head = "" if is_client else ray.get_runtime_context().gcs_address
        with LiveLine("", None) as line:
            while waiting:
                line.title = f"{len(waiting)} stages on {len(machines)} machines"
                try:
                    if head and not answers(head):
                        raise ConnectionError
                    ready = ray.wait(list(waiting), timeout=1.0)[0]
                    finished = [(waiting.pop(task), ray.get(task)) for task in ready]
                except ConnectionError:
                    raise GdlibError(LOST.format(self.address or head)) from None
                for job, outcome in finished:
                    if isinstance(outcome, Exception):
                        failures.append(outcome)
                    else:
                        with line.paused():
                            done(job, outcome)
        if failures:
            raise failures[0]


def answers(address: str) -> bool:
    """Whether somebody listens there; without its head a cluster starts nothing, and Ray itself
    ends the process that waits for it, without a word, after a minute.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError:
        return False
    return True


Engine = LocalEngine | RayEngine


def resources(job: Job, machines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What a job asks of a cluster: no more than one of its machines (CPU, GPU) has."""
    gpus = min(job.stage.gpus, max(machine.get("GPU", 0) for machine in machines))
    able = [machine for machine in machines if machine.get("GPU", 0) >= gpus]
    cpus = min(job.stage.cpus, max(machine.get("CPU", 0) for machine in able))
    return {"num_cpus": cpus, "num_gpus": gpus}


def _perform_remotely(job: Job, *needs: Exception | float | None) -> Exception | float | None:
    """The body of a Ray task: errors come back as values, so that Ray tries again only what died;
    the error of a job that this one needs is passed on.
    """
    for need in needs:
        if isinstance(need, Exception):
            return need
    kernel.KERNELS = repeat(0)  # a worker executes few stages: each kernel is a process of its own
    try:
        return perform(job)
    except (StageFailed, GdlibError, OSError) as error:
        return error
