"""Floor 1. Many small trainings side by side: a process each, one thread each."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import torch

from gdlib.config import thread_count


def in_processes(function: Callable[..., Any], arguments: Sequence[tuple]) -> Iterator[Any]:
    """Call ``function(*one)`` for every element, several at a time; results come as they are ready.

    Small networks gain little from a second thread and nearly double with a second process. Each process computes with
    one thread, so that what comes out does not depend on how many there are (:func:`gdlib.config.thread_count`); with a GPU
    the calls stay in this process, one after the other.
    """
    workers = thread_count()
    if torch.cuda.is_available() or workers == 1:
        yield from (_on_one_thread(function, *one) for one in arguments)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(arguments)) or 1, context, _end_with_parent) as pool:
        for call in as_completed([pool.submit(_on_one_thread, function, *one) for one in arguments]):
            yield call.result()


def _end_with_parent() -> None:
    """In a worker: end when the process that started it is gone, killed or not, instead of waiting for work for ever."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _on_one_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(*arguments)
    finally:
        torch.set_num_threads(before)
