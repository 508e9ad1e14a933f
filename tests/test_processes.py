"""Trainings side by side: the same results as one after the other, one thread each, nothing left
behind by a kill; and one training in several processes.
"""

import math
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gdlib.core.processes import in_processes, together
from gdlib.core.settings import BadSetting
from gdlib.learn.loop import Regime, fit, writes_files


@pytest.mark.parametrize("workers", ["1", "2"])
def test_results_are_those_of_plain_calls_and_each_call_has_one_thread(monkeypatch, workers):
    monkeypatch.setenv("GDLIB_THREADS", workers)
    before = torch.get_num_threads()
    assert sorted(in_processes(math.sqrt, [(4.0,), (9.0,), (16.0,)])) == [2.0, 3.0, 4.0]
    assert list(in_processes(torch.get_num_threads, [(), ()])) == [1, 1]
    assert torch.get_num_threads() == before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_that_was_set_free_is_used_again_without_asking_for_it():
    """Counted by the system: a page that a process touches for the first time is a fault."""
    code = (
        "import resource, sys, torch\n"
        "from gdlib.core.processes import keep_memory\n"
        "if sys.argv[1] == 'keep': keep_memory()\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(5): [torch.ones(4_000_000) for _ in range(12)]\n"
        "before = faults()\n"
        "for _ in range(10): [torch.ones(4_000_000) for _ in range(12)]\n"
        "print(faults() - before)"
    )

    def faults(how):
        command = [sys.executable, "-c", code, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    pages = 10 * 12 * 16_000_000 // resource.getpagesize()
    by_default = faults("leave")
    if by_default < pages / 4:
        pytest.skip(f"this system counts {by_default} faults for {pages} pages that are new")
    assert faults("keep") < pages / 4


def test_workers_find_the_environment_of_the_process_that_asks(monkeypatch):
    """Not that of the process they are forked from, which started with the first of them."""
    monkeypatch.setenv("GDLIB_THREADS", "2")
    for value in ("first", "second"):
        monkeypatch.setenv("GDLIB_ASKED", value)
        assert list(in_processes(os.getenv, [("GDLIB_ASKED",)] * 2)) == [value, value]
    monkeypatch.delenv("GDLIB_ASKED")
    assert list(in_processes(os.getenv, [("GDLIB_ASKED",)] * 2)) == [None, None]


def test_an_error_in_a_worker_reaches_the_caller(monkeypatch):
    monkeypatch.setenv("GDLIB_THREADS", "2")
    with pytest.raises(ValueError, match="math domain error|nonnegative"):
        list(in_processes(math.sqrt, [(-1.0,)]))


def test_workers_end_when_their_parent_is_killed():
    code = (
        "import time; from gdlib.core.processes import in_processes; "
        "list(in_processes(time.sleep, [(600,), (600,)]))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "GDLIB_THREADS": "2"}
    )
    try:
        children: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        # Two workers, and the process that they are forked from.
        while (
            sum("forkserver" in " ".join(child.cmdline()) for child in children) < 3
            and time.monotonic() < deadline
        ):
            time.sleep(0.2)
            children = psutil.Process(parent.pid).children(recursive=True)
        time.sleep(5)  # past the start of the workers, into their work
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert len(children) >= 3
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def train_a_line(folder: Path) -> None:
    """Twelve steps of a linear network, dropout and all randomness apart, on batches of 6; leaves
    its weights and who it was.
    """
    batches = [
        torch.randn(6, 3, generator=torch.Generator().manual_seed(step)) for step in range(12)
    ]
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    regime = Regime(steps=12, lr=0.05, evaluate_every=4, precision="fp32")
    history = fit(
        network,
        lambda step: {"x": batches[step]},
        lambda model, batch: (model(batch["x"]) - batch["x"].sum(-1, keepdim=True)).square().mean(),
        lambda model: float((model.weight - 1).abs().sum()),
        regime,
    )
    if writes_files():
        save_file(
            {"weight": network.weight.detach(), "held_out": torch.tensor(history.held_out)},
            folder / "weights.safetensors",
        )
    (folder / f"rank-{os.environ.get('RANK', 'none')}").touch()


def test_one_training_in_two_processes_gives_the_weights_of_one(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    found = []
    for count in ("1", "2"):
        monkeypatch.setenv("GDLIB_PROCESSES", count)
        (tmp_path / count).mkdir()
        together(train_a_line, tmp_path / count)
        found.append(load_file(tmp_path / count / "weights.safetensors"))
    assert {p.name for p in (tmp_path / "1").glob("rank-*")} == {"rank-none"}
    assert {p.name for p in (tmp_path / "2").glob("rank-*")} == {"rank-0", "rank-1"}
    assert found[0]["held_out"][-1] < found[0]["held_out"][0]
    for name, tensor in found[0].items():  # the mean of two halves' gradients is the whole's
        assert torch.allclose(tensor, found[1][name], atol=1e-5), name


@pytest.mark.parametrize("value", ["-1", "two", "1025", "9" * 5_000])
def test_the_number_of_processes_is_checked(monkeypatch, value):
    monkeypatch.setenv("GDLIB_PROCESSES", value)
    told = (
        f'^GDLIB_PROCESSES is "{value[:40]}"; expected a number from 1 to 1024, or 0: one per GPU$'
    )
    with pytest.raises(BadSetting, match=told):
        together(print)
