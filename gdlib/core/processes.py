"""Several processes: many small trainings side by side, or one big one on all GPUs together."""

import ctypes
import multiprocessing
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from typing import Any

from gdlib.core.settings import MOST_THREADS, thread_count, whole_number

LIBRARIES = (
    "torch",
    "torch._dynamo",  # which the first optimizer of a process imports
    "pandas",
    "scipy.stats",
    "sklearn.linear_model",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
)


def in_processes(function: Callable[..., Any], arguments: Sequence[tuple]) -> Iterator[Any]:
    """Call ``function(*one)`` for every element, several at a time; results come as they are ready.

    Small networks gain little from a second thread and nearly double with a second process. Each
    process computes with one thread, so that what comes out does not depend on how many there are
    (:func:`gdlib.core.settings.thread_count`); with a GPU the calls stay in this process, one after
    the other.
    """
    import torch

    workers = thread_count()
    if torch.cuda.is_available() or workers == 1:
        yield from (_on_one_thread(function, *one) for one in arguments)
        return
    workers = min(workers, len(arguments)) or 1
    with ProcessPoolExecutor(workers, _context(), _begin, (dict(os.environ),)) as pool:
        for call in as_completed(
            [pool.submit(_on_one_thread, function, *one) for one in arguments]
        ):
            yield call.result()


def together(function: Callable[..., Any], *arguments: Any) -> None:
    """Call ``function(*arguments)`` in one process a GPU, joined so that
    :func:`gdlib.learn.loop.fit` shares each batch out.

    With one GPU or none it is a plain call. ``GDLIB_PROCESSES`` sets another number, with
    ``ACCELERATE_USE_CPU=1`` also on processors. The function has to be importable by name, and
    leave its result in files.

    Raises:
        BadSetting: ``GDLIB_PROCESSES`` holds no number of processes.
    """
    import torch
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    variable, expected = "GDLIB_PROCESSES", f"a number from 1 to {MOST_THREADS}, or 0: one per GPU"
    given = os.environ.get(variable) or "0"
    count = whole_number(variable, given, expected, 0, MOST_THREADS) or torch.cuda.device_count()
    if count < 2:
        function(*arguments)
        return
    alone = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        run_id="gdlib",
    )
    elastic_launch(alone, function)(*arguments)


@cache
def _context() -> multiprocessing.context.BaseContext:
    """How workers are started: forked from one process that imports, once, those of the big
    libraries that this process has. A worker that imports them itself takes some seconds to start,
    in every pool anew. Where there is no such process (Windows), it does.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in LIBRARIES if name in sys.modules])
    return context


def _begin(environment: dict[str, str]) -> None:
    """In a worker, first: take over the environment of the process that asks (that of the process
    it is forked from may be older), and end when the process that asks is gone, killed or not,
    instead of waiting for work for ever.
    """
    os.environ.clear()
    os.environ.update(environment)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _on_one_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(*arguments)
    finally:
        torch.set_num_threads(before)


@cache
def keep_memory() -> None:
    """Let this process keep up to 1 GiB of memory that it has set free, for its next tensors.

    A step's tensors of some megabytes would else go back to the system when it ends, and be asked
    for and cleared page by page in the next. Those above 32 MiB go back all the same: where their
    sizes differ from step to step, as logits over a vocabulary do, kept ones would leave holes, and
    a training once held twice the memory that it needed. Writing texts takes 1.1 to 1.3 times the
    processor's time without it, trainings and labelling 1.0 to 1.04 times. Other C libraries than
    glibc are left as they are.
    """
    trim_above, map_above = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(map_above, 2**25)
        libc.mallopt(trim_above, 2**30)
