"""One function that trains any student by any strategy of distillation
(:mod:`gdlib.learn.strategies`).

It knows neither texts nor tags: an item is whatever has a label, logits and states, and the caller
brings the batches. What is trained is a *learner*: a network from pieces to logits and projected
states, whose ``groups()`` are its layers (:class:`gdlib.networks.recurrent.Projected`).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn

from gdlib.learn.batches import Batch, batches_by_length
from gdlib.learn.loop import Batches, Regime, copy_of, fit
from gdlib.learn.losses import StagedLoss, held_out_score
from gdlib.learn.strategies import Stage, Strategy

Groups = list[tuple[str, list[nn.Module]]]
"""The layers of a student by name, top first."""
COLUMNS = ["stage", "losses", "unfrozen", "step", "score", "train_loss", "kept"]


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
        return batches_by_length(lengths, size, seed) if size else lambda _step: []

    first, second = order(labelled, share), order(transfer, batch - share)
    return lambda step: (first(step), second(step))


def items_of(learner: nn.Module, batch: Batch) -> Batch:
    """What the loss reads of one batch, one row per item: all rows or, of tags, the tagged pieces.

    The batch has ``pieces [batch, length]``, ``labels``, and where the loss reads them
    ``teacher_logits`` and ``teacher_states``. For texts these are one per row, ``[batch, ...]``.
    For tags they are one per piece, ``[batch, length, ...]``, and ``items [batch, length]`` (bool)
    marks the pieces that have a tag.
    """
    logits, projected = learner(batch["pieces"])
    whole = {name: tensor for name, tensor in batch.items() if name not in ("pieces", "items")}
    whole |= {"student_logits": logits.float(), "projected": projected.float()}
    if "items" not in batch:
        return whole
    return {name: tensor[batch["items"]] for name, tensor in whole.items()}


def batch_loss(loss: StagedLoss, learner: nn.Module, batch: Batch) -> Tensor:
    """The loss of one batch (:func:`items_of`)."""
    return loss(**items_of(learner, batch))


def stage_score(loss: StagedLoss, learner: nn.Module, batches: Iterable[Batch]) -> float:
    """What a stage is judged by on held-out labelled items, lower is better.

    A stage on states alone is judged by their loss; any other by the share of errors, then the
    cross-entropy (:func:`gdlib.learn.losses.held_out_score`).

    Args:
        loss: the stage's.
        learner: on whatever device.
        batches: as :func:`items_of` reads them; every label is known.
    """
    device = next(learner.parameters()).device
    parts = [items_of(learner, send_to_device(batch, device)) for batch in batches]
    whole = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
    if loss.hard_weight or loss.soft_weight:
        return held_out_score(whole["student_logits"], whole["labels"])
    return loss(**whole).item()


def run(
    learner: nn.Module,
    strategy: Strategy,
    loss: StagedLoss,
    batches: Callable[[Stage, int], Batches],
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
        learner: with the student in it.
        strategy: of :data:`gdlib.learn.strategies.STRATEGIES`, or another.
        loss: all three parts with their weights; a stage takes its own of them.
        batches: a stage and a seed to its batches.
        held_out: the held-out part of the labelled items, as batches.
        regime: how long a phase, and how fast.

    Returns:
        The trace, a row per evaluation: ``stage`` (its number), ``losses`` (its name), ``unfrozen``
        (the lowest layer that learns), ``step`` (over all stages), ``score`` (of
        :func:`stage_score`), ``train_loss``, ``kept`` (the weights that the stage ends with). A
        stage's first row is what it began with.
    """
    traces: list[pd.DataFrame] = []
    for number, stage in enumerate(strategy.stages):
        layers = len(learner.groups())
        phases = range(1, layers + 1) if strategy.unfreezing else [layers]
        part = loss.only(*stage.losses)
        start = replace(regime, seed=regime.seed + 1000 * number)
        trace = _run_stage(learner, stage, phases, part, batches, held_out, start)
        before = traces[-1]["step"].iloc[-1] if traces else 0
        trace = trace.assign(stage=number, losses=stage.name, step=trace["step"] + before)
        traces.append(trace[COLUMNS])
    unfreeze(learner.groups(), layers)
    return pd.concat(traces, ignore_index=True)


def _run_stage(
    learner: nn.Module,
    stage: Stage,
    phases: Iterable[int],
    loss: StagedLoss,
    batches: Callable[[Stage, int], Batches],
    held_out: Sequence[Batch],
    regime: Regime,
) -> pd.DataFrame:
    """Train by one stage, a phase for each number of layers that learn; its part of the trace,
    steps counted from its beginning.
    """

    def score(model: nn.Module) -> float:
        return stage_score(loss, model, held_out)

    groups = learner.groups()
    learner.eval()
    with torch.inference_mode():
        lowest = score(learner)
    best, best_step, steps = copy_of(learner.state_dict()), 0, 0
    begin = {"step": 0, "score": lowest, "train_loss": math.nan, "unfrozen": ""}
    traces = [pd.DataFrame([begin])]
    for layers in phases:
        unfreeze(groups, layers)
        phase = replace(regime, seed=regime.seed + layers)
        drawn = batches(stage, phase.seed)
        history = fit(learner, drawn, partial(batch_loss, loss), score, phase)
        if history.best < lowest:
            lowest, best_step = history.best, steps + history.best_step
            best = copy_of(learner.state_dict())
        else:
            learner.load_state_dict(best)
        trace = history.table().rename(columns={"held_out": "score"})
        traces.append(trace.assign(unfrozen=groups[layers - 1][0], step=trace["step"] + steps))
        steps += history.step[-1]
    whole = pd.concat(traces, ignore_index=True)
    return whole.assign(kept=whole["step"] == best_step)


def unfreeze(groups: Groups, layers: int) -> None:
    """Let the first so many layers learn, and no others."""
    for place, (_, modules) in enumerate(groups):
        for module in modules:
            module.requires_grad_(place < layers)
