"""Checkpoints of a training under way: safetensors and JSON, written aside and renamed, no pickle.

A checkpoint is a folder with ``state.json``, which names the one weights file it belongs to and its
sha256. The JSON is renamed into place last, so that a kill at any moment leaves the former
checkpoint or the new one, never a mixture.
"""

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gdlib.core.settings import whole_number
from gdlib.core.store import file_digest, write_atomically

STATE = "state.json"
OPTIMIZER = "optimizer "


def pause() -> int:
    """Seconds between two checkpoints at least: ``GDLIB_CHECKPOINT_SECONDS``, else 30.

    A checkpoint is four times as large as the network (its weights, the best ones, and two moments
    of each), so that a short training with one at each look would spend half of its time on them.
    """
    variable = "GDLIB_CHECKPOINT_SECONDS"
    expected = "whole seconds, 0 for a checkpoint at every look"
    return whole_number(variable, os.environ.get(variable, "30"), expected, 0, 10**8)


@dataclass(frozen=True)
class Checkpoint:
    """What was saved: the step it was saved after, tensors by group and name, and the caller's own
    JSON.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    extra: dict[str, Any]


def save(
    folder: Path, step: int, groups: dict[str, dict[str, Tensor]], extra: dict[str, Any]
) -> None:
    """Save tensors by group, the states of torch's random number generators, and some JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = {**groups, "random": {"cpu": torch.get_rng_state()}}
    if torch.cuda.is_available():
        groups["random"]["cuda"] = torch.cuda.get_rng_state()
    flat = {
        f"{group}/{name}": t.detach().cpu().contiguous().clone()
        for group, named in groups.items()
        for name, t in named.items()
    }
    weights = folder / f"step-{step}.safetensors"
    save_file(flat, weights)
    state = {
        "step": step,
        "weights": weights.name,
        "sha256": file_digest(weights),
        "extra": extra,
    }
    write_atomically(folder / STATE, json.dumps(state))
    for old in folder.glob("step-*.safetensors"):
        if old != weights:
            old.unlink()


def load(folder: Path) -> Checkpoint | None:
    """The checkpoint, and torch's random number generators set to where they were; None if there is
    no sound one.
    """
    try:
        state = json.loads((folder / STATE).read_text("utf-8"))
        weights = folder / state["weights"]
        if file_digest(weights) != state["sha256"]:
            return None
    except (OSError, ValueError, KeyError):  # missing, or cut short by a full disk or a power cut
        return None
    tensors: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in load_file(weights).items():
        group, _, rest = name.partition("/")
        tensors[group][rest] = tensor
    torch.set_rng_state(tensors["random"]["cpu"])
    if "cuda" in tensors["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random"]["cuda"])
    return Checkpoint(state["step"], tensors, state["extra"])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    """The moments and counters of an optimiser, a group for each of its parameters."""
    slots = optimizer.state_dict()["state"]
    return {f"{OPTIMIZER}{index}": named for index, named in slots.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: Checkpoint) -> None:
    """Put the moments and counters back.

    The learning rate is not among them: it follows from the step.
    """
    slots = {
        int(group.removeprefix(OPTIMIZER)): named
        for group, named in saved.tensors.items()
        if group.startswith(OPTIMIZER)
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})
