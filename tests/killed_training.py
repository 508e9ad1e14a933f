"""A training to be killed from outside: ``python killed_training.py FOLDER SECONDS_A_LOOK``, with
checkpoints in the folder.
"""

import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from gdlib.learn.loop import Regime, fit

REGIME = Regime(steps=24, lr=0.01, evaluate_every=3, precision="fp32", seed=5)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(6, 16), nn.LayerNorm(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
    )


def batches(step: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(step)
    x = torch.randn(8, 6, generator=random)
    return {"x": x, "y": x[:, :3].argmax(-1)}


def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return F.cross_entropy(model(batch["x"]), batch["y"])


def held_out(model: nn.Module) -> float:
    batch = batches(10_000)
    device = next(model.parameters()).device
    return loss(model, {name: tensor.to(device) for name, tensor in batch.items()}).item()


if __name__ == "__main__":
    torch.set_num_threads(1)

    def slow_held_out(model: nn.Module) -> float:
        time.sleep(float(sys.argv[2]))
        return held_out(model)

    fit(network(), batches, loss, slow_held_out, REGIME, resume=Path(sys.argv[1]))
