"""A notebook executed by papermill, in a fresh kernel of this very Python and this very gdlib."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import gdlib
from gdlib.core.errors import GdlibError
from gdlib.core.registry import plugins
from gdlib.core.settings import thread_count
from gdlib.run.fork_server import ForkedKernel

KERNEL_OPTIONS = (
    # What the kernel itself has to say is left out; what the notebook prints is not concerned.
    "--log-level=CRITICAL",
    # Progress bars as text, that the live line and the executed notebook can show, not as widgets
    # that only a browser can.
    "--IPKernelApp.exec_lines=import tqdm.auto as t, tqdm.std as s; "
    "t.tqdm, t.trange = s.tqdm, s.trange; del t, s",
)

STARTS, START_WITHIN = 3, 300  # tries, and seconds of each: a busy machine takes its time
KERNELS = count()  # that this process has started


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any],
    folder: Path,
    stream: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Execute a notebook and write the executed copy, as far as it came.

    Args:
        notebook: the notebook.
        output: the executed copy.
        parameters: what papermill injects.
        folder: where the notebook runs.
        stream: gets what the notebook prints while it runs (its progress bars).
        environment: variables that the kernel is given besides those of :func:`kernel_environment`.

    Raises:
        PapermillExecutionError: a cell raised an error.
        DeadKernelError: the kernel was ended from outside.
    """
    import papermill

    # It warns of knobs that the parameters cell does not name.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    for left in reversed(range(STARTS)):
        with open(os.devnull, "w") as nowhere, suppress(NotStarted), _starting(last=not left):
            papermill.execute_notebook(
                notebook.absolute(),
                output.absolute(),
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                kernel_manager_class=_manager({**kernel_environment(), **(environment or {})}),
                coalesce_streams=True,
                cwd=folder,
                progress_bar=False,
                start_timeout=START_WITHIN,
                stdout_file=stream or nowhere,
                stderr_file=stream or nowhere,
            )
            return


class NotStarted(Exception):
    """A kernel that has not come up; no cell was executed."""


@contextmanager
def _starting(last: bool) -> Iterator[None]:
    """Kernels of two runs may draw the same free port, and then one does not come up: nbclient says
    so with a bare ``RuntimeError``.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # one of its own for a kernel that died at work
            raise
        if last:
            raise GdlibError(f"no kernel has started in {STARTS} tries: {error}") from None
        raise NotStarted from error


def _manager(environment: Mapping[str, str]) -> type:
    """A kernel manager for this Python, whatever kernels are registered in the system."""
    import asyncio
    from queue import Empty

    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.channels import AsyncZMQSocketChannel
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class Patient(AsyncZMQSocketChannel):
        """Looks for a reply once a second. A plain wait may never end: nbclient writes the state of
        widgets into the socket that it waits for (jupyter/nbclient, issue 312).
        """

        async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
            while timeout is None:
                try:
                    return await super().get_msg(1.0)
                except Empty:
                    continue
            return await super().get_msg(timeout)

    class OwnKernel(AsyncKernelManager):
        def client(self, **options: Any) -> AsyncKernelClient:
            made = super().client(**options)
            made.shell_channel_class = Patient
            return made

        async def shutdown_kernel(self, *given: Any, **named: Any) -> None:
            # Ctrl-C leaves the tasks of the cell that was at work. They would find the kernel dead,
            # and nobody asks for their error: asyncio shows that as a traceback, at the very end.
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
                task.cancel()
            await super().shutdown_kernel(*given, **named)

        async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
            # A process that starts one kernel needs no server; only Linux can fork these libraries.
            if sys.platform != "linux" or not next(KERNELS):
                return await super()._async_launch_kernel(kernel_cmd, **options)
            kernel = ForkedKernel(kernel_cmd, **options)
            self.provisioner.process = kernel
            self.provisioner.pid = self.provisioner.pgid = kernel.pid

        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(
                argv=[*command, *KERNEL_OPTIONS],
                display_name="Python 3",
                language="python",
                env=dict(environment),
            )

    return OwnKernel


def kernel_environment() -> dict[str, str]:
    """What a kernel, here or on another machine, is given besides the environment there, so that a
    run repeats itself.
    """
    threads = str(thread_count())
    ours = str(Path(gdlib.__file__).parents[1])
    theirs = map(os.path.abspath, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    return {
        "GDLIB_PLUGINS": ",".join(plugins()),
        "GDLIB_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([ours, *theirs])),
        "TOKENIZERS_PARALLELISM": "false",
    }
