"""What a network costs: parameters, bytes, operations, and the time of a call, all networks in one
run.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gdlib.learn.batches import collate, pad
from gdlib.networks import students
from gdlib.networks.teacher import Teacher, tokenize

BATCHES = (1, 32)


@dataclass(frozen=True)
class Timed:
    """A network whose costs are measured.

    Args:
        network: its parameters are counted.
        call: the forward pass, on what ``inputs`` gives.
        inputs: indices of texts to what is read of them.
    """

    network: nn.Module
    call: Callable[[Any], Any]
    inputs: Callable[[list[int]], Any]


def costs(
    teacher: Teacher,
    vocabulary: students.Vocabulary,
    networks: Mapping[str, nn.Module],
    texts: Sequence[str],
    repeats: int = 3,
    length: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes and times of the teacher and some students on the same texts.

    A time is that of the forward pass alone, with the texts' own lengths unless one is given;
    cutting a text into pieces is the same work for all and is left out.

    Args:
        teacher: the teacher.
        vocabulary: the students' pieces.
        networks: students by name.
        texts: real texts, a few hundred.
        repeats: rounds over the texts.
        length: of every query, in pieces: a longer text is cut, a shorter one repeated
            (XtremeDistil times queries of 32).

    Returns:
        The two tables of :func:`measure`, the second with ``times faster`` than the teacher.
    """
    encoded = tokenize(teacher.tokenizer, texts, teacher.max_length)
    pieces = vocabulary.rows(students.encode(teacher.tokenizer, texts, teacher.max_length))
    if length:
        encoded, pieces = ([(row * length)[:length] for row in rows] for rows in (encoded, pieces))
    pad_id = teacher.tokenizer.pad_token_id
    timed = {
        "teacher": Timed(
            teacher.network,
            lambda batch: teacher.network(**batch),
            lambda rows: collate([encoded[i] for i in rows], pad_id),
        )
    }
    for name, network in networks.items():
        timed[name] = Timed(
            network, network, lambda rows: pad([pieces[i] for i in rows], students.PAD)
        )
    sizes, times = measure(timed, len(texts), repeats=repeats)
    return sizes, times.assign(**{"times faster": times_faster(times, "teacher")})


def measure(
    timed: Mapping[str, Timed], texts: int, *, repeats: int = 3, warmup: int = 5, counted: int = 32
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes and times of some networks on the same texts, in float32 on one thread.

    Args:
        timed: networks by name.
        texts: how many there are.
        repeats: rounds over the texts.
        warmup: calls that do not count.
        counted: of the first so many texts the operations are counted.

    Returns:
        ``sizes`` (name, parameters, bytes, megaflops of one text) and ``times`` (name, batch, p50
        and p95 in ms per call, ms a text). Only the second varies from run to run.
    """
    sizes, times = [], []
    for name, one in timed.items():
        one.network.eval()
        flops = operations(one.call, [one.inputs([i]) for i in range(min(counted, texts))])
        size = {
            "parameters": students.parameters(one.network),
            "bytes": sum(p.numel() * p.element_size() for p in one.network.parameters()),
            "megaflops": flops / 1e6,
        }
        sizes.append({"name": name, **size})
        for batch, taken in by_batch(one.call, one.inputs, texts, repeats=repeats, warmup=warmup):
            row = {"p50": taken.p50, "p95": taken.p95, "ms a text": taken.p50 / batch}
            times.append({"name": name, "batch": batch, **row})
    return pd.DataFrame(sizes), pd.DataFrame(times)


def times_faster(times: pd.DataFrame, reference: str) -> pd.Series:
    """How many times faster than the network of that name, at the same batch size."""
    of_reference = times[times["name"] == reference].set_index("batch")["p50"]
    return times["batch"].map(of_reference) / times["p50"]


@torch.inference_mode()
def operations(call: Callable[[Any], Any], inputs: Sequence[Any]) -> float:
    """Floating-point operations of one call, mean over the inputs (matrix products and
    convolutions, a multiply-add as two).

    Unlike a time it is the same on every machine, so it can stand in a report that is made again
    byte by byte.
    """
    from torch.utils.flop_counter import FlopCounterMode  # which loads half of torch's compiler

    # The fused attention and LSTM of the CPU are not counted; spelt out as matrix products they
    # are.
    with (
        warnings.catch_warnings(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        warnings.simplefilter("ignore", UserWarning)  # of the switch itself, about Intel GPUs
        with torch.backends.mkldnn.flags(enabled=False):
            for batch in inputs:
                call(batch)
    return counter.get_total_flops() / len(inputs)


@dataclass(frozen=True)
class Latency:
    """Time of one call in milliseconds: median and 95th percentile."""

    p50: float
    p95: float


def latency(
    call: Callable[[Any], Any],
    inputs: Sequence[Any],
    *,
    repeats: int = 3,
    warmup: int = 5,
) -> Latency:
    """How long ``call`` takes on one input and one thread, over all inputs ``repeats`` times, after
    ``warmup`` calls that do not count.

    A number of one machine: compare only within one run.
    """
    if not inputs:
        raise ValueError("latency needs at least one input")
    with threads(1):
        for i in range(warmup):
            call(inputs[i % len(inputs)])
        taken = [_milliseconds(call, batch) for _ in range(repeats) for batch in inputs]
    return Latency(*np.quantile(taken, [0.5, 0.95]).tolist())


def by_batch(
    call: Callable[[Any], Any], inputs: Callable[[list[int]], Any], texts: int, **options: int
) -> list[tuple[int, Latency]]:
    """The sizes of batches (:data:`BATCHES`), and the :func:`latency` of a call on all full batches
    of some texts.

    Args:
        call: what is timed.
        inputs: indices of texts to what is called with.
        texts: how many there are.
        options: of :func:`latency`.
    """
    found = []
    for batch in BATCHES:
        starts = range(0, max(texts, batch) - batch + 1, batch)  # few texts are taken again
        batches = [inputs([i % texts for i in range(start, start + batch)]) for start in starts]
        with torch.inference_mode():
            found.append((batch, latency(call, batches, **options)))
    return found


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch with so many threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _milliseconds(call: Callable[[Any], Any], batch: Any) -> float:
    start = time.perf_counter()
    call(batch)
    return (time.perf_counter() - start) * 1000
