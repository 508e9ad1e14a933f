"""How the head of a masked language model that has none is trained, and perhaps its layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.learn.batches import Batch, ask, batches_by_length
from gdlib.learn.loop import (
    History,
    Loss,
    Regime,
    Score,
    fit,
    seed_everything,
    trainable_state,
)
from gdlib.networks.masked_lm import OnStates
from gdlib.networks.mlm_teachers import MaskedTeacher, train_layers
from gdlib.networks.mlm_texts import MaskedTexts

EVALUATIONS = 5  # in each phase


@dataclass(frozen=True)
class Phase:
    """Steps, peak learning rate, and the size of a batch: masked positions for the head, texts for
    the body.
    """

    steps: int
    lr: float
    batch: int


@dataclass(frozen=True, kw_only=True)
class HeadPlan:
    """How the head of a teacher that has none is trained.

    Args:
        head: alone, on states computed once.
        body: the layers with it afterwards (the embeddings stay); no steps: the body is frozen.
        seed: of the head, the order and dropout.
        layers: the lowest so many layers of the network are used; 0: all.
    """

    head: Phase
    body: Phase
    seed: int
    layers: int = 0


def train_head(
    teacher: MaskedTeacher, train: MaskedTexts, choose: MaskedTexts, plan: HeadPlan, folder: Path
) -> pd.DataFrame:
    """Train the new head of a teacher, then perhaps layers and head, and leave what was trained in
    ``folder``.

    Of each phase the weights with the least loss on ``choose`` are kept.

    Returns:
        step, train_loss, held_out: the evaluations of both phases.
    """
    seed_everything(plan.seed)
    model = teacher.model
    model.encoder.requires_grad_(False)
    history = _train_head_alone(teacher, train, choose, plan, folder / "checkpoint-head")
    if plan.body.steps:
        train_layers(model.encoder)
        more = _train_body(teacher, train, choose, plan, folder / "checkpoint-body")
        history = pd.concat([history, more.assign(step=more["step"] + plan.head.steps)])
    trained = {name: tensor.cpu().contiguous() for name, tensor in trainable_state(model).items()}
    save_file(trained, folder / "trained.safetensors")
    return history


def _train_head_alone(
    teacher: MaskedTeacher, train: MaskedTexts, choose: MaskedTexts, plan: HeadPlan, folder: Path
) -> pd.DataFrame:
    model = OnStates(teacher.model.head, teacher.model.embedding)
    states = (teacher.states(train), train.gold), (teacher.states(choose), choose.gold)
    return train_on_states(model, *states, plan.head, plan.seed, folder).table()


def train_on_states(
    model: OnStates,
    train: tuple[Tensor, Tensor],
    choose: tuple[Tensor, Tensor],
    how: Phase,
    seed: int,
    folder: Path | None = None,
) -> History:
    """Train a head alone; the weights with the least loss on ``choose`` are kept.

    Args:
        model: the head.
        train: states and the pieces that are hidden there. *Shape:* ``[positions, width]``,
            ``[positions]``.
        choose: the same of other texts.
        how: steps, rate, positions per step.
        seed: of the order.
        folder: where a killed training goes on from; none: no checkpoint.
    """
    states, gold = train

    def inputs(rows: Sequence[int]) -> Batch:
        return {"states": states[rows], "gold": gold[rows]}

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch["states"]).float(), batch["gold"])

    def held_out(model: nn.Module) -> float:
        return state_losses(model, *choose).mean().item()

    return _train(model, [1] * len(states), inputs, loss, held_out, how, seed, folder)


def state_losses(model: OnStates, states: Tensor, gold: Tensor) -> Tensor:
    """What a head loses at every position, in nats. *Shape:* as of :func:`train_on_states` ->
    ``[positions]``.
    """

    def losses(states: Tensor, gold: Tensor) -> Tensor:
        return F.cross_entropy(model(states).float(), gold, reduction="none")

    def inputs(rows: Sequence[int]) -> Batch:
        return {"states": states[rows], "gold": gold[rows]}

    every = range(len(states))
    return ask(model, every, inputs, losses, length=lambda _row: 1, batch=256)


def _train_body(
    teacher: MaskedTeacher, train: MaskedTexts, choose: MaskedTexts, plan: HeadPlan, folder: Path
) -> pd.DataFrame:
    def inputs(rows: Sequence[int]) -> Batch:
        return teacher.inputs(train, rows)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model(**batch).float(), train.gold_at(batch["positions"]))

    def held_out(_model: nn.Module) -> float:
        return -teacher.keep(choose, 1).gold.mean().item()

    how = plan.body, plan.seed
    return _train(teacher.model, train.lengths, inputs, loss, held_out, *how, folder).table()


def _train(
    model: nn.Module,
    lengths: Sequence[int],
    inputs: Callable[[list[int]], Batch],
    loss: Loss,
    held_out: Score,
    how: Phase,
    seed: int,
    folder: Path | None,
) -> History:
    """One phase of a plan."""
    order = batches_by_length(lengths, how.batch, seed)
    regime = Regime(
        steps=how.steps,
        lr=how.lr,
        evaluate_every=max(1, how.steps // EVALUATIONS),
        seed=seed,
    )
    return fit(model, lambda step: inputs(order(step)), loss, held_out, regime, resume=folder)
