"""Kernels forked from a process that has the libraries: one for all kernels of an environment, and
nothing of one kernel in the next.
"""

import json
import os
import signal
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from conftest import ended, until

from gdlib.run import fork_server, kernel
from gdlib.run.fork_server import ForkedKernel

SEEN = """
import json, os, random, sys
start = {"ours": [name for name in sys.modules if name.startswith("gdlib")]}
start |= {"torch": "torch" in sys.modules, "path": sys.path, "folder": os.getcwd()}
import numpy as np
import matplotlib
start |= {"server": os.getppid(), "draws": [random.random(), float(np.random.rand())]}
start |= {"hash": hash("a"), "backend": matplotlib.get_backend(), "left": "left" in globals()}
start |= {name: os.environ.get(name) for name in ("GDLIB_AGAIN", "OMP_NUM_THREADS")}
if start["torch"]:
    start["draws"].append(float(sys.modules["torch"].rand(1)))
left = np.left = start["left"] = hasattr(np, "left")
print(json.dumps(start))
"""


def seen(folder: Path, **environment: str) -> SimpleNamespace:
    """What a kernel finds when it starts."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SEEN)])
    nbformat.write(notebook, folder / "seen.ipynb")
    kernel.execute(folder / "seen.ipynb", folder / "out.ipynb", {}, folder, None, environment)
    (cell,) = nbformat.read(folder / "out.ipynb", 4).cells
    return SimpleNamespace(**json.loads(cell.outputs[0].text))


@pytest.mark.slow
def test_kernels_of_one_environment_have_one_server_and_nothing_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "KERNELS", count())
    alone, first = seen(tmp_path), seen(tmp_path)
    second = seen(tmp_path, GDLIB_AGAIN="teacher:7")
    assert alone.server == os.getpid() and not alone.torch, "one kernel needs no server"
    assert {**vars(alone), "server": 0, "torch": True, "draws": []} == {
        **vars(first), "server": 0, "draws": [],
    }  # fmt: skip
    assert first.server == second.server != os.getpid()
    for one in (first, second):
        assert one.torch and one.ours == [], "gdlib is imported by the kernel itself"
        assert not one.left and one.folder == str(tmp_path)
        assert "inline" in one.backend, "figures are shown in the notebook"
    assert len({*first.draws, *second.draws}) == 6
    assert first.hash == second.hash, "PYTHONHASHSEED"
    assert (first.GDLIB_AGAIN, second.GDLIB_AGAIN) == (None, "teacher:7")
    monkeypatch.setattr(fork_server, "LIBRARIES", ())  # no need to wait for them again
    os.kill(first.server, signal.SIGKILL)  # as when memory runs out
    until(lambda: ended(first.server))
    third = seen(tmp_path)
    assert third.server != first.server and third.hash == first.hash
    monkeypatch.setenv("GDLIB_THREADS", "3")  # which a library reads while it is imported
    fourth = seen(tmp_path)
    assert fourth.server != third.server and fourth.OMP_NUM_THREADS == "3"
    until(lambda: ended(third.server))


@pytest.mark.slow
def test_a_forked_process_says_how_it_ended_and_ends_with_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "LIBRARIES", ())
    (tmp_path / "tidy.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "idle.py").write_text("import time\ntime.sleep(300)\n")

    def forked(name: str) -> ForkedKernel:
        return ForkedKernel(["python", "-m", name], kernel.kernel_environment(), tmp_path)

    tidy, idle = forked("tidy"), forked("idle")
    # A group of its own, which Ctrl-C in a terminal does not reach.
    until(lambda: os.getpgid(idle.pid) == idle.pid)
    until(lambda: tidy.poll() is not None)
    assert (tidy.poll(), tidy.wait(), idle.poll()) == (3, 3, None)
    idle.send_signal(signal.SIGTERM)
    until(lambda: idle.poll() is not None)
    assert idle.wait() == -signal.SIGTERM
    left = forked("idle")
    left.server.process.kill()
    left.server.process.wait()
    until(lambda: ended(left.pid))
    assert left.poll() == 1 and left.wait() == 1


def test_a_kernel_that_does_not_come_up_is_started_again(monkeypatch, tmp_path):
    """Two runs may draw the same port; a kernel that died at work is not started again."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    from gdlib.core.errors import GdlibError
    from gdlib.run import kernel

    raised: list[Exception] = []

    def execute(*_: object, **__: object) -> None:
        calls.append(0)
        if raised:
            raise raised.pop()

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    late, calls = RuntimeError("Kernel didn't respond in 300 seconds"), []
    given = tmp_path / "a.ipynb", tmp_path / "b.ipynb", {}, tmp_path
    raised[:] = [late] * 2
    kernel.execute(*given)
    assert len(calls) == 3 and not raised
    raised[:] = [late] * 3
    with pytest.raises(GdlibError, match="^no kernel has started in 3 tries: Kernel didn't res"):
        kernel.execute(*given)
    calls.clear()
    raised[:] = [DeadKernelError("Kernel died")]
    with pytest.raises(DeadKernelError):
        kernel.execute(*given)
    assert len(calls) == 1
