"""Batches: which rows stand in one, how they are padded, and how a network is asked about all rows.

Texts of like length share a batch, for training (:func:`batches_by_length`) and for asking
(:func:`ask`), because a batch costs as much as its longest row.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn
from tqdm.auto import tqdm

from gdlib.core import hardware
from gdlib.core.processes import keep_memory
from gdlib.learn.packing import packed

Batch = dict[str, Tensor]
PACKED_ABOVE = 4
"""With more passes than this :func:`gdlib.learn.packing.pack` saves more time than it takes."""
Row = TypeVar("Row")


def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Lists of ids to one tensor ``[rows, longest]``, filled up on the right."""
    width = max(map(len, rows), default=0)
    out = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return torch.from_numpy(out)


def collate(rows: Sequence[Sequence[int]], pad_id: int) -> Batch:
    """Pad ids, and mask by length, not by id: a network may use one id for padding and for the end
    of a text.

    *Shape:* ``input_ids`` and ``attention_mask`` ``[rows, longest]``.
    """
    ids = pad(rows, pad_id)
    return {
        "input_ids": ids,
        "attention_mask": (~from_place(ids, [len(row) for row in rows])).long(),
    }


def from_place(ids: Tensor, starts: Sequence[int]) -> Tensor:
    """Which places of each row lie at or after its ``starts``.

    *Shape:* ids ``[rows, length]``, starts ``[rows]`` -> ``[rows, length]``, bool.
    """
    return torch.arange(ids.shape[1]) >= torch.tensor(starts, dtype=torch.long)[:, None]


def batches_by_length(
    lengths: Sequence[int], batch_size: int, seed: int
) -> Callable[[int], list[int]]:
    """Step number to the indices of its batch: every text once an epoch, texts of like length side
    by side.

    Each epoch is shuffled anew; then stretches of 50 batches are sorted by length and cut, and the
    batches shuffled. Padding falls by a factor while the batches stay random. The last, smaller
    batch of an epoch counts as a step.

    Args:
        lengths: word pieces of each text.
        batch_size: texts per batch.
        seed: of the shuffles.
    """
    lengths = np.asarray(lengths)
    per_epoch = math.ceil(len(lengths) / batch_size)
    cache: dict[int, list[np.ndarray]] = {}

    def epoch(number: int) -> list[np.ndarray]:
        random_order = np.random.default_rng([seed, number])
        order = random_order.permutation(len(lengths))
        stretch = 50 * batch_size
        parts = [order[i : i + stretch] for i in range(0, len(order), stretch)]
        parts = [part[np.argsort(lengths[part], kind="stable")] for part in parts]
        batches = [
            part[i : i + batch_size] for part in parts for i in range(0, len(part), batch_size)
        ]
        return [batches[i] for i in random_order.permutation(len(batches))]

    def at(step: int) -> list[int]:
        number, within = divmod(step, per_epoch)
        if number not in cache:
            cache.clear()
            cache[number] = epoch(number)
        return cache[number][within].tolist()

    return at


def in_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Every index once, longest texts first, so that a lack of memory shows at once."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    for i in range(0, len(order), batch_size):
        yield order[i : i + batch_size].tolist()


def ends(counts: Sequence[int]) -> np.ndarray:
    """Where the answers of each row begin and end if row ``i`` has ``counts[i]`` of them: from
    ``ends[i]`` to ``ends[i + 1]``.
    """
    return np.cumsum([0, *counts])


def spans(ends: np.ndarray, rows: Sequence[int]) -> Tensor:
    """The places of the answers of some rows, in the order of these rows; for ``ends`` see
    :func:`ends`.
    """
    parts = [np.arange(ends[row], ends[row + 1]) for row in rows]
    return torch.from_numpy(np.concatenate(parts or [np.empty(0, np.int64)]))


def row_length(row: Any) -> int:
    """Of a row of ids, or of a tuple whose first member is one."""
    return len(row[0] if isinstance(row, tuple) else row)


def passes(
    network: nn.Module,
    rows: Sequence[Row],
    inputs: Callable[[list[Row]], Batch],
    *,
    length: Callable[[Row], int] = row_length,
    batch: int = 64,
) -> Iterator[tuple[list[int], Batch]]:
    """All rows once, those of like length together: the indices of some, and their batch on the
    network's device. For the arguments see :func:`ask`.
    """
    device = next(network.parameters()).device
    for chosen in in_batches([length(row) for row in rows], batch):
        yield chosen, send_to_device(inputs([rows[i] for i in chosen]), device)


@torch.inference_mode()
def ask(
    network: nn.Module,
    rows: Sequence[Row],
    inputs: Callable[[list[Row]], Batch],
    call: Callable[..., Any] | None = None,
    *,
    length: Callable[[Row], int] = row_length,
    counts: Sequence[int] | None = None,
    width: int = 0,
    batch: int = 64,
    precision: str = "auto",
    title: str = "",
) -> Any:
    """What a network answers about all rows, in the order of the rows.

    Args:
        network: its parameters say on which device.
        rows: what to ask about, of any kind.
        inputs: some of the rows as a batch.
        call: what is called with the names and tensors of the batch; the network itself unless
            given. It gives a tensor, or tensors by name, whose first axis is that of the answers:
            one per row, or as many as ``counts`` says, those of the batch's first row first.
        length: of a row.
        counts: number of answers of each row.
        width: of an answer; it is only read where there are no rows at all.
        batch: rows per pass.
        precision: see :func:`autocast`; ``"fp32"`` leaves the caller's.
        title: of the progress bar; none: no bar.

    Returns:
        What ``call`` gives, for all rows, on the CPU; bf16 becomes float32. *Shape:* ``[answers,
        ...]``.
    """
    keep_memory()
    device = next(network.parameters()).device
    starts, answers = ends(counts or [1] * len(rows)), dict[str, Tensor]()
    pays = precision != "fp32" and len(rows) > PACKED_ABOVE * batch
    with (
        packed(network) if pays else contextlib.nullcontext(),
        tqdm(total=len(rows), desc=title, unit="text", mininterval=2.0, disable=not title) as bar,
    ):
        for chosen, moved in passes(network, rows, inputs, length=length, batch=batch):
            with autocast(device, precision):
                given = (call or network)(**moved)
            places = spans(starts, chosen)
            for name, values in (given if isinstance(given, dict) else {"": given}).items():
                values = (values.float() if values.dtype == torch.bfloat16 else values).cpu()
                if name not in answers:
                    answers[name] = values.new_empty(starts[-1], *values.shape[1:])
                answers[name][places] = values
            bar.update(len(chosen))
    return answers.get("", answers) if answers else torch.empty(0, width)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The autocast context of a precision: ``"bf16"``, ``"fp32"``, or ``"auto"``, which is bf16
    where the hardware has it.

    Not accelerate's own, whose state belongs to the whole process, while here a teacher in bf16 and
    a student in fp32 share one.
    """
    if precision == "fp32" or (precision == "auto" and not hardware.has_bf16()):
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
