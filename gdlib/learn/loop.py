"""One training loop for every network: teacher, generator and students.

The loop takes a fixed number of optimisation steps, evaluates on held-out data every so often,
keeps the best weights, stops when they have not got better for a while, and puts the best back at
the end. It is a pure function of its arguments and the seed: a run that was killed and goes on from
its checkpoint ends in the same weights as one that was not, bit for bit on a CPU with the same
number of threads (sums over parts of a batch round otherwise).
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import broadcast_object_list, send_to_device
from torch import Tensor, nn
from tqdm.auto import tqdm

from gdlib.core.errors import BadSetting
from gdlib.core.processes import keep_memory
from gdlib.learn import checkpoint
from gdlib.learn.batches import Batch, autocast

Batches = Callable[[int], Batch]
"""Step number (from 0) to batch."""
Loss = Callable[[nn.Module, Batch], Tensor]
"""A network and a batch to a scalar."""
Score = Callable[[nn.Module], float]
"""A network to a number on held-out data, lower is better."""


@dataclass(frozen=True)
class Regime:
    """How long and how fast to train.

    Args:
        steps: optimisation steps at most.
        lr: peak learning rate of AdamW.
        warmup: share of the steps over which the rate rises from 0.
        weight_decay: AdamW's, on matrices only.
        evaluate_every: steps between two evaluations on held-out data.
        patience: evaluations without a better score after which training stops; 0 never stops
            early.
        clip: largest norm of the gradient.
        precision: ``"bf16"`` autocasts matrix products, ``"fp32"`` does not, ``"auto"`` takes bf16
            where the hardware has it.
        seed: of everything random inside the loop (dropout).
        decay: how the rate then falls to 0, ``"linear"`` or ``"cosine"``; ``"constant"``: it stays.
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
    """What happened: one entry per evaluation on held-out data (lower is better), and which was the
    best.
    """

    step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    best_step: int = 0
    best: float = math.inf

    def add(self, step: int, train_loss: float, held_out: float) -> bool:
        """Add an evaluation; whether it is better than all before."""
        if not math.isfinite(held_out):
            what = f"the training diverged: its held-out score is {held_out} after {step} steps"
            raise BadSetting(f"{what}; try a smaller learning rate")
        self.step.append(step)
        self.train_loss.append(train_loss)
        self.held_out.append(held_out)
        better = held_out < self.best
        if better:
            self.best_step, self.best = step, held_out
        return better

    def evaluations_since_best(self) -> int:
        return sum(step > self.best_step for step in self.step)

    def table(self) -> pd.DataFrame:
        """A row per evaluation: step, train_loss, held_out."""
        return pd.DataFrame({n: getattr(self, n) for n in ("step", "train_loss", "held_out")})


def fit(
    network: nn.Module,
    batches: Batches,
    loss: Loss,
    held_out: Score,
    regime: Regime,
    *,
    resume: Path | None = None,
    evaluate_first: bool = False,
    title: str = "",
) -> History:
    """Train a network in place and leave it with its best held-out weights.

    Args:
        network: its trainable parameters are those with ``requires_grad``; only they are
            checkpointed and put back.
        batches: a pure function, so that a resumed run sees the same batches.
        loss: of one batch; ``[]``.
        held_out: what the weights are chosen by.
        regime: how long and how fast.
        resume: a folder to go on from, and to save to at evaluations, if the last time is some
            seconds ago (:func:`gdlib.learn.checkpoint.pause`); none: a kill loses the training.
        evaluate_first: also before the first step, so that the weights stay if no later ones are
            better. The history then begins with step 0, without a training loss (nan).
        title: of the progress bar; none: no bar (many short trainings under one bar).

    Returns:
        The history; also ``network`` is on the accelerator's device, in evaluation mode, with the
        best weights.

    Raises:
        BadSetting: the training diverged: a held-out score is no finite number.
    """
    keep_memory()
    seed_everything(regime.seed)
    accelerator = Accelerator()
    optimizer = adamw(network, regime)
    model, optimizer = accelerator.prepare(network, optimizer)
    history, best, start = History(), dict[str, Tensor](), 0
    running: list[Tensor] = []
    saved_at, pause = time.monotonic(), checkpoint.pause()

    def evaluate(step: int) -> None:
        nonlocal best
        model.eval()
        with torch.inference_mode(), autocast(accelerator.device, regime.precision):
            # one score for all processes: they stop together
            score = broadcast_object_list([held_out(network)])[0]
        model.train()
        train_loss = float(torch.stack(running).mean()) if running else math.nan
        running.clear()
        if history.add(step, train_loss, score):
            best = copy_of(trainable_state(network))

    if resume and (saved := checkpoint.load(resume)):
        network.load_state_dict(saved.tensors["network"], strict=False)
        checkpoint.restore_optimizer(optimizer, saved)
        start, history, best = saved.step, History(**saved.extra), saved.tensors["best"]
    elif evaluate_first:
        evaluate(0)
    no_bar = not title or not accelerator.is_main_process
    bar = tqdm(total=regime.steps, initial=start, desc=title, disable=no_bar, mininterval=2.0)
    model.train()
    for step in range(start, regime.steps):
        with accelerator.split_between_processes(batches(step), apply_padding=True) as share:
            batch = send_to_device(share, accelerator.device)
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
        if (step + 1) % regime.evaluate_every and not last:
            continue
        evaluate(step + 1)
        bar.set_postfix(held_out=f"{history.held_out[-1]:.3f}", best=f"{history.best:.3f}")
        if regime.patience and history.evaluations_since_best() >= regime.patience:
            break
        is_due = time.monotonic() - saved_at >= pause
        if resume and is_due and accelerator.is_main_process and not last:
            groups = {"network": trainable_state(network), "best": best}
            groups |= checkpoint.optimizer_tensors(optimizer)
            checkpoint.save(resume, step + 1, groups, asdict(history))
            saved_at = time.monotonic()
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
    the last step, or constant.
    """
    warmup = max(1, round(regime.warmup * regime.steps))
    if step < warmup or regime.decay == "constant":
        return min(1.0, (step + 1) / warmup)
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
    """The tensors as they are now, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
