"""One training loop for every network: teacher, generator and students.

The loop steps through a fixed number of optimisation steps, looks at a held-out score every so
often, keeps the best weights, stops when they have not got better for a while, and puts the best
back at the end. It is a pure function of
its arguments and the seed: a run that was killed and goes on from its checkpoint ends in the same
weights as one that was not, bit for bit on a CPU with the same number of threads (sums over parts
of a batch round otherwise).
"""

import contextlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from tqdm.auto import tqdm

from gdlib.learn import checkpoint

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Regime:
    """How long and how fast to train.

    Args:
        steps: optimisation steps at most.
        lr: peak learning rate of AdamW.
        warmup: share of the steps over which the rate rises from 0; it then falls to 0.
        weight_decay: AdamW's, on matrices only.
        evaluate_every: steps between two looks at the held-out score.
        patience: looks without a better score after which training stops; 0 never stops early.
        clip: largest norm of the gradient.
        precision: ``"bf16"`` autocasts matrix products, ``"fp32"`` does not, ``"auto"`` takes bf16
            where the hardware has it.
        seed: of everything random inside the loop (dropout).
        decay: how the rate falls, ``"linear"`` or ``"cosine"``.
    """

    steps: int
    lr: float
    warmup: float = 0.1
    weight_decay: float = 0.01
    evaluate_every: int = 50
    patience: int = 0
    clip: float = 1.0
    precision: str = "auto"
    seed: int = 0
    decay: str = "linear"


@dataclass
class History:
    """What happened: one entry a look at the held-out score (lower is better), and where the best
    was.
    """

    step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    best_step: int = 0
    best: float = math.inf
    stopped_early: bool = False

    def looks_since_best(self) -> int:
        return sum(step > self.best_step for step in self.step)


def fit(
    network: nn.Module,
    batches: Callable[[int], Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    held_out: Callable[[nn.Module], float],
    regime: Regime,
    *,
    resume: Path | None = None,
    title: str = "training",
    quiet: bool = False,
) -> History:
    """Train a network in place and leave it with its best held-out weights.

    Args:
        network: its trainable parameters are those with ``requires_grad``; only they are
            checkpointed and put back.
        batches: step number (from 0) to batch; a pure function, so that a resumed run sees the same
            batches.
        loss: of one batch; ``[]``.
        held_out: score of the network on held-out data, lower is better.
        regime: how long and how fast.
        resume: a folder to go on from, and to save to at every look; none: a kill loses the
            training.
        title: what the progress bar says.
        quiet: no progress bar of its own (many short trainings under one bar).

    Returns:
        The history; also ``network`` is on the accelerator's device, in evaluation mode, with the
        best weights.
    """
    seed_everything(regime.seed)
    accelerator = Accelerator()
    optimizer = adamw(network, regime)
    model, optimizer = accelerator.prepare(network, optimizer)
    history, best, start = History(), {}, 0
    if resume and (saved := checkpoint.load(resume)):
        network.load_state_dict(saved.tensors["network"], strict=False)
        checkpoint.restore_optimizer(optimizer, saved)
        start, history, best = saved.step, History(**saved.extra), saved.tensors["best"]
    running: list[Tensor] = []
    bar = tqdm(
        total=regime.steps,
        initial=start,
        desc=title,
        disable=quiet or not accelerator.is_main_process,
        mininterval=2.0,
    )
    model.train()
    for step in range(start, regime.steps):
        with accelerator.split_between_processes(batches(step), apply_padding=True) as share:
            batch = {name: tensor.to(accelerator.device) for name, tensor in share.items()}
        with autocast(accelerator.device, regime.precision):
            value = loss(model, batch)
        accelerator.backward(value)
        accelerator.clip_grad_norm_(trainable(network), regime.clip)
        for group in optimizer.param_groups:
            group["lr"] = regime.lr * rate(step, regime)
        optimizer.step()
        optimizer.zero_grad()
        running.append(value.detach())
        bar.update()
        last = step + 1 == regime.steps
        if (step + 1) % regime.evaluate_every == 0 or last:
            model.eval()
            with torch.inference_mode(), autocast(accelerator.device, regime.precision):
                score = broadcast_object_list([held_out(network)])[
                    0
                ]  # one score for all processes: they stop together
            model.train()
            history.step.append(step + 1)
            history.train_loss.append(float(torch.stack(running).mean()))
            history.held_out.append(score)
            running.clear()
            if score < history.best:
                history.best, history.best_step = score, step + 1
                best = copy_of(trainable_state(network))
            bar.set_postfix(held_out=f"{score:.3f}", best=f"{history.best:.3f}")
            if regime.patience and history.looks_since_best() >= regime.patience:
                history.stopped_early = True
                break
            if resume and accelerator.is_main_process and not last:
                groups = {
                    "network": trainable_state(network),
                    "best": best,
                    **checkpoint.optimizer_tensors(optimizer),
                }
                checkpoint.save(resume, step + 1, groups, asdict(history))
    bar.close()
    network.load_state_dict(best, strict=False)
    network.eval()
    return history


def writes_files() -> bool:
    """Whether this process is the one that leaves files behind (of several that train one network,
    the first).
    """
    return PartialState().is_main_process


def rate(step: int, regime: Regime) -> float:
    """The learning rate's factor: linear warm-up to 1, then linearly or along half a cosine to 0 at
    the last step.
    """
    warmup = max(1, round(regime.warmup * regime.steps))
    if step < warmup:
        return (step + 1) / warmup
    left = max(0.0, (regime.steps - step) / max(1, regime.steps - warmup))
    return left if regime.decay == "linear" else (1 - math.cos(math.pi * left)) / 2


def adamw(network: nn.Module, regime: Regime) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters; weight decay on matrices, not on biases and norms."""
    parameters = trainable(network)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": regime.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=regime.lr, fused=True
    )


def trainable(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


def trainable_state(network: nn.Module) -> dict[str, Tensor]:
    """The trainable parameters and all buffers that are saved, by name."""
    frozen = {
        name for name, p in network.named_parameters(remove_duplicate=False) if not p.requires_grad
    }
    return {name: tensor for name, tensor in network.state_dict().items() if name not in frozen}


def copy_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def has_bf16() -> bool:
    """Whether the hardware multiplies bf16 matrices itself (a GPU, or a processor with AVX512-BF16
    or AMX).
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The autocast context of a precision.

    Not accelerate's own: its state is one a process, while here a teacher in bf16 and a student in
    fp32 share one.
    """
    if precision == "fp32" or (precision == "auto" and not has_bf16()):
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


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
        batch_size: texts a batch.
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
    """Every index once, longest texts first (so that a lack of memory shows at once), for
    labelling.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    for i in range(0, len(order), batch_size):
        yield order[i : i + batch_size].tolist()


def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Lists of ids to one tensor ``[rows, longest]``, filled up on the right."""
    width = max(map(len, rows), default=0)
    out = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return torch.from_numpy(out)
