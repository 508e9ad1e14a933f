"""Kernels forked from one process that has imported the big libraries, once for all stages of a
run: a kernel that imports them itself takes some five seconds of a core to start.

Run as a program, this file is that process. It imports nothing of gdlib, so that a kernel has the
code as it is when the kernel starts.
"""

import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from typing import Any

LIBRARIES = (
    "torch",
    "torch._dynamo",  # which the first optimizer of a process imports
    "matplotlib.pyplot",
    "pandas",
    "pydantic.dataclasses",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "ipykernel.kernelapp",
)
PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent ends
READ_LATER = ("GDLIB_", "JPY_", "PYTEST_")  # variables that none of the libraries reads


class ForkServer:
    """A process that forks kernels; it ends with the process that started it, or when nothing
    refers to this object any more.

    Args:
        environment: the variables that the libraries find while they are imported.
    """

    def __init__(self, environment: Mapping[str, str]):
        ours, theirs = socket.socketpair()
        handle = theirs.fileno()
        command = [sys.executable, __file__, str(handle), *LIBRARIES]
        with theirs:
            self.process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[handle],
                start_new_session=True,  # Ctrl-C is for the run, which ends this process
            )
        self.stream = ours.makefile("rw")
        ours.close()

    def ask(self, order: Any) -> Any:
        """The answer to an order.

        Raises:
            OSError: the process is gone.
        """
        self.stream.write(json.dumps(order) + "\n")
        self.stream.flush()
        if not (answer := self.stream.readline()):
            raise BrokenPipeError("the process that forks kernels has ended")
        return json.loads(answer)


class ForkedKernel:
    """A kernel that was forked, with what a kernel manager calls of :class:`subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Any = None, **_: Any):
        read_now = {name: env[name] for name in sorted(env) if not name.startswith(READ_LATER)}
        self.server = _server(json.dumps(read_now))
        order = {
            "arguments": command[2:],
            "folder": os.fspath(cwd or os.getcwd()),
            "environment": dict(env),
        }
        try:
            self.pid = self.server.ask(order)
        except OSError:  # ended from outside since the last kernel
            _server.cache_clear()
            self.server = _server(json.dumps(read_now))
            self.pid = self.server.ask(order)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, once it has ended."""
        if self.returncode is None:
            try:
                self.returncode = self.server.ask(self.pid)
            except OSError:
                self.returncode = 1  # a kernel ends with the process that forked it
        return self.returncode

    wait = poll  # a manager waits for an end that it has seen

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


@lru_cache(maxsize=1)
def _server(environment: str) -> ForkServer:
    return ForkServer(json.loads(environment))


def _serve(connection: socket.socket) -> dict[str, Any]:
    """In the server: answer orders until the run has ended. In a kernel: return its order."""
    with connection.makefile("rw") as stream:
        for line in stream:
            order = json.loads(line)
            if isinstance(order, int):
                ended, status = os.waitpid(order, os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if ended else None
            else:
                with warnings.catch_warnings():
                    # That libraries have threads: theirs are made anew after a fork.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    answer = os.fork()
                if not answer:
                    return order
            stream.write(json.dumps(answer) + "\n")
            stream.flush()
    sys.exit()


def _main() -> None:
    del sys.path[0]  # the folder of this file
    # As a kernel does before it imports matplotlib, so that figures are shown in the notebook.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, no child's end could be asked for
    server, run_has_ended = os.getpid(), select.poll()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        run_has_ended.register(connection, select.POLLRDHUP)
        for name in sys.argv[2:]:
            import_module(name)
            if run_has_ended.poll(0):
                sys.exit()
        gc.freeze()  # what is there now stays; kernels share its memory
        order = _serve(connection)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # ends with the server
    if os.getppid() != server:  # which has ended meanwhile
        sys.exit()
    os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for name, draw_anew in {"numpy": "random.seed", "torch": "seed"}.items():
        if name in sys.modules:  # else every kernel would draw the same
            attrgetter(draw_anew)(sys.modules[name])()
    sys.path.insert(0, order["folder"])  # as `python -m` does
    module, *sys.argv[1:] = order["arguments"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
