"""Trainings side by side: the same results as one after the other, one thread each, nothing left behind by a kill."""

import math
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from gdlib.processes import in_processes


@pytest.mark.parametrize("workers", ["1", "2"])
def test_results_are_those_of_plain_calls_and_each_call_has_one_thread(monkeypatch, workers):
    monkeypatch.setenv("GDLIB_THREADS", workers)
    before = torch.get_num_threads()
    assert sorted(in_processes(math.sqrt, [(4.0,), (9.0,), (16.0,)])) == [2.0, 3.0, 4.0]
    assert list(in_processes(torch.get_num_threads, [(), ()])) == [1, 1]
    assert torch.get_num_threads() == before


def test_an_error_in_a_worker_reaches_the_caller(monkeypatch):
    monkeypatch.setenv("GDLIB_THREADS", "2")
    with pytest.raises(ValueError, match="math domain error|nonnegative"):
        list(in_processes(math.sqrt, [(-1.0,)]))


def test_workers_end_when_their_parent_is_killed():
    code = "import time; from gdlib.processes import in_processes; list(in_processes(time.sleep, [(600,), (600,)]))"
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "GDLIB_THREADS": "2"})
    try:
        workers: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while sum("spawn_main" in " ".join(w.cmdline()) for w in workers) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
            workers = psutil.Process(parent.pid).children(recursive=True)
        time.sleep(5)  # past the start of the workers, into their work
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
