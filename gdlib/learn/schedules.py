"""One function that trains any student by any strategy of distillation
(:mod:`gdlib.learn.strategies`).

It knows neither texts nor tags: an item is whatever has a label, logits and states, and who calls
brings the batches.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import pandas as pd
import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn

from gdlib.learn.batches import Batch, batches_by_length
from gdlib.learn.loop import Regime, copy_of, fit
from gdlib.learn.losses import StagedLoss, held_out_score
from gdlib.learn.strategies import Stage, Strategy

Groups = list[tuple[str, list[nn.Module]]]
"""The layers of a student by name, top first."""


def draw(
    stage: Stage, labelled: Sequence[int], transfer: Sequence[int], batch: int, seed: int
) -> Callable[[int], tuple[list[int], list[int]]]:
    """Step number to what stands in its batch: indices of labelled rows, and of transfer rows.

    In a stage on ``both`` a quarter of every batch is labelled, so that few labels are not lost
    among many texts.

    Args:
        stage: of a strategy.
        labelled: length of every labelled row (a text, a sentence).
        transfer: length of every transfer row.
        batch: rows per step.
        seed: of the order.
    """
    share = {"labelled": batch, "transfer": 0, "both": max(1, batch // 4)}[stage.items]

    def order(lengths: Sequence[int], size: int) -> Callable[[int], list[int]]:
        return batches_by_length(lengths, size, seed) if size else lambda step: []

    first, second = order(labelled, share), order(transfer, batch - share)
    return lambda step: (first(step), second(step))


class Learner(Protocol):
    """What :func:`run` trains: pieces to logits and projected states, and its layers, top first."""

    def __call__(self, pieces: Tensor) -> tuple[Tensor, Tensor]: ...

    def groups(self) -> Groups: ...


def batch_loss(loss: StagedLoss, network: Learner, batch: Batch) -> Tensor:
    """The loss of one batch: ``pieces [batch, length]``, ``labels``, ``teacher_logits``,
    ``teacher_states``.

    For texts the last three are one per row, ``[batch, ...]``. For tags they are one per piece,
    ``[batch, length, ...]``, and ``items [batch, length]`` (bool) says which pieces have a tag.
    ``teacher_logits`` and ``teacher_states`` may be missing where the loss does not read them.
    """
    item = _items(network, batch)
    return loss(
        item["logits"],
        item["labels"],
        item.get("teacher_logits"),
        item["projected"],
        item.get("teacher_states"),
    )


def _items(network: Learner, batch: Batch) -> Batch:
    """A batch with the network's logits and projected states, of the items alone: all rows, or the
    pieces that have a tag.
    """
    logits, projected = network(batch["pieces"])
    whole = {name: tensor for name, tensor in batch.items() if name not in ("pieces", "items")}
    whole |= {"logits": logits.float(), "projected": projected.float()}
    if "items" not in batch:
        return whole
    return {name: tensor[batch["items"]] for name, tensor in whole.items()}


def stage_score(loss: StagedLoss, network: Learner, batches: Iterable[Batch]) -> float:
    """What a stage is judged by on held-out labelled items, lower is better.

    A stage on states alone: their loss. Any other: the share of errors, then the cross-entropy
    (:func:`gdlib.learn.losses.held_out_score`).

    Args:
        loss: the stage's.
        network: on whatever device.
        batches: as :func:`batch_loss` reads them; every label is known.
    """
    device = next(network.parameters()).device
    parts = [_items(network, send_to_device(batch, device)) for batch in batches]
    whole = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
    if loss.hard_weight or loss.soft_weight:
        return held_out_score(whole["logits"], whole["labels"])
    return loss(
        whole["logits"], whole["labels"], None, whole["projected"], whole["teacher_states"]
    ).item()


class BestWeights:
    """The weights of a network at its lowest score so far.

    Args:
        network: as it is now.
        score: of it, lower is better.
    """

    def __init__(self, network: nn.Module, score: float):
        self.network, self.score, self.weights = network, score, copy_of(network.state_dict())

    def keep_or_restore(self, score: float) -> bool:
        """Keep the network's weights if their score is lower, else give it back the best; whether
        they were kept.
        """
        better = score < self.score
        if better:
            self.score, self.weights = score, copy_of(self.network.state_dict())
        else:
            self.network.load_state_dict(self.weights)
        return better


def run(
    network: nn.Module,
    strategy: Strategy,
    loss: StagedLoss,
    batches: Callable[[Stage, int], Callable[[int], Batch]],
    held_out: Sequence[Batch],
    regime: Regime,
) -> pd.DataFrame:
    """Train a student in place by a strategy and leave it with the best held-out weights of the
    last stage.

    Every phase takes ``regime.steps`` steps at most, with a warm-up and decay of its own, and ends
    earlier where the held-out score has not got better for ``regime.patience`` evaluations: as in
    the papers, a strategy of more phases may take more steps. At a stage's end the best weights are
    put back: of all its layers' phases, and of its beginning, so that it never leaves a student
    worse than it found it.

    Args:
        network: a :class:`Learner`, see :class:`gdlib.networks.recurrent.Projected`.
        strategy: of :data:`gdlib.learn.strategies.STRATEGIES`, or another.
        loss: all three parts with their weights; a stage takes its own of them.
        batches: a stage and a seed to its batches: step number to batch.
        held_out: the held-out part of the labelled items, as batches.
        regime: how long a phase, and how fast.

    Returns:
        The trace, a row per evaluation: ``stage`` (its number), ``losses`` (its name), ``unfrozen``
        (the lowest layer that learns), ``step`` (over all stages), ``score`` (of
        :func:`stage_score`), ``train_loss``, ``kept`` (the weights that the stage ends with). A
        stage's first row is what it began with.
    """
    rows: list[dict[str, Any]] = []
    for number, stage in enumerate(strategy.stages):
        taken = rows[-1]["step"] if rows else 0
        phase = replace(regime, seed=regime.seed + 1000 * number)
        part = loss.only(*stage.losses)
        found = _run_stage(network, stage, strategy.unfreezing, part, batches, held_out, phase)
        rows += [
            {"stage": number, "losses": stage.name, **row, "step": taken + row["step"]}
            for row in found
        ]
    unfreeze(network.groups(), len(network.groups()))
    return pd.DataFrame(rows)


def _run_stage(
    network: nn.Module,
    stage: Stage,
    unfreezing: bool,
    loss: StagedLoss,
    batches: Callable[[Stage, int], Callable[[int], Batch]],
    held_out: Sequence[Batch],
    regime: Regime,
) -> list[dict[str, Any]]:
    """Train by one stage; its rows of the trace, steps counted from its beginning."""

    def score(model: nn.Module) -> float:
        return stage_score(loss, model, held_out)

    groups, taken = network.groups(), 0
    network.eval()
    with torch.inference_mode():
        first = score(network)
    best = BestWeights(network, first)
    rows = [{"unfrozen": "", "step": 0, "score": first, "train_loss": math.nan, "kept": True}]
    for layers in range(1, len(groups) + 1) if unfreezing else [len(groups)]:
        unfreeze(groups, layers)
        phase = replace(regime, seed=regime.seed + layers)
        history = fit(
            network,
            batches(stage, phase.seed),
            lambda model, batch: batch_loss(loss, model, batch),
            score,
            phase,
        )
        better = best.keep_or_restore(history.best)
        if better:
            rows = [row | {"kept": False} for row in rows]
        rows += [
            {
                "unfrozen": groups[layers - 1][0],
                "step": taken + step,
                "score": value,
                "train_loss": train_loss,
                "kept": better and step == history.best_step,
            }
            for step, value, train_loss in zip(history.step, history.held_out, history.train_loss)
        ]
        taken += history.step[-1]
    return rows


def unfreeze(groups: Groups, layers: int) -> None:
    """Let the first so many layers learn, and no others."""
    for place, (_, modules) in enumerate(groups):
        for module in modules:
            module.requires_grad_(place < layers)
