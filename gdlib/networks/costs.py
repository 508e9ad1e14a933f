"""What a network costs: parameters, bytes, and the time of a text, teacher and students in one run."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gdlib.compare.metrics import latency
from gdlib.learn.loop import pad
from gdlib.networks import students
from gdlib.networks.teacher import Teacher, collate, tokenize

BATCHES = (1, 32)


def costs(
    teacher: Teacher,
    vocabulary: students.Vocabulary,
    networks: Mapping[str, nn.Module],
    texts: Sequence[str],
    repeats: int = 3,
    length: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes and times of the teacher and some students on the same texts.

    A time is that of the forward pass alone, in float32 on one thread, with the texts' own lengths
    unless one is given; cutting a text into pieces is the same work for all and is left out.

    Args:
        teacher: the teacher.
        vocabulary: the students' pieces.
        networks: students by name.
        texts: real texts, a few hundred.
        repeats: rounds over the texts.
        length: of every query, in pieces: a longer text is cut, a shorter one repeated
            (XtremeDistil times queries of 32).

    Returns:
        ``sizes`` (name, parameters, bytes, megaflops a text) and ``times`` (name, batch, p50 and
        p95 in ms a call, ms a text, times faster than the teacher). Only the second varies from run
        to run.
    """
    encoded = tokenize(teacher.tokenizer, texts, teacher.max_length)
    pieces = vocabulary.rows(students.encode(teacher.tokenizer, texts, teacher.max_length))
    if length:
        encoded, pieces = ([(row * length)[:length] for row in rows] for rows in (encoded, pieces))
    pad_id = teacher.tokenizer.pad_token_id
    calls: dict[str, tuple[nn.Module, Callable[[Any], Tensor], Callable[[list[int]], Any]]] = {
        "teacher": (
            teacher.network,
            lambda x: teacher.network(**x).logits,
            lambda rows: collate([encoded[i] for i in rows], pad_id),
        )
    }
    for name, network in networks.items():
        calls[name] = (network, network, lambda rows: pad([pieces[i] for i in rows], students.PAD))
    sizes, times = [], []
    for name, (network, call, inputs) in calls.items():
        network.eval()
        held = sum(p.numel() * p.element_size() for p in network.parameters())
        flops = operations(call, [inputs([i]) for i in range(min(32, len(texts)))])
        sizes.append(
            {
                "name": name,
                "parameters": students.parameters(network),
                "bytes": held,
                "megaflops": flops / 1e6,
            }
        )
        for batch in BATCHES:
            groups = [list(range(i, i + batch)) for i in range(0, len(texts) - batch + 1, batch)]
            with torch.inference_mode():
                took = latency(call, [inputs(rows) for rows in groups], repeats=repeats, cores=1)
            times.append(
                {
                    "name": name,
                    "batch": batch,
                    "p50": took.p50,
                    "p95": took.p95,
                    "ms a text": took.p50 / batch,
                }
            )
    frame = pd.DataFrame(times)
    teacher_time = frame[frame["name"] == "teacher"].set_index("batch")["p50"]
    frame["times faster"] = frame["batch"].map(teacher_time) / frame["p50"]
    return pd.DataFrame(sizes), frame


@torch.inference_mode()
def operations(call: Callable[[Any], Tensor], inputs: Sequence[Any]) -> float:
    """Floating-point operations of one call, mean over the inputs (matrix products and
    convolutions, a multiply-add as two).

    Unlike a time it is the same on every machine, so it can stand in a report that is made again
    byte by byte.
    """
    # The fused attention and LSTM of the CPU are not counted; spelt out as matrix products they
    # are.
    with (
        warnings.catch_warnings(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        warnings.simplefilter("ignore", UserWarning)  # of the switch itself, about Intel GPUs
        with torch.backends.mkldnn.flags(enabled=False):
            for one in inputs:
                call(one)
    return counter.get_total_flops() / len(inputs)
