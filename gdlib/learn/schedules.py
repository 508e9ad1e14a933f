"""Schedules of distillation as data, and one function that runs any of them on any student.

A *strategy* is a row of *stages*; a stage says which losses it takes and on which items. With
gradual unfreezing every stage begins with the student's top layer alone and lets in one layer more
each time, without freezing one again. Every stage, and with unfreezing every layer's *turn* in it,
is a training of its own. XtremeDistil (arXiv 1910.01769, 2004.05686), its table of strategies::

    D0     labels                                D3.1  states | labels + logits     D4.1  states | logits | labels
    D1     labels + logits, together             D3.2  the same, unfreezing         D4.2  the same, unfreezing
    D2     labels + logits + states, together

It knows neither texts nor tags: an item is whatever has a label, logits and states, and who calls
brings the batches.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Protocol

import pandas as pd
import torch
from torch import Tensor, nn

from gdlib.core.errors import unknown
from gdlib.learn.batches import Batch, batches_by_length
from gdlib.learn.loop import Regime, copy_of, fit
from gdlib.learn.losses import StagedLoss, held_out_score

LAYERS = 3
"""Those of the recurrent student that are let in one by one: readout, BiLSTM, embedding."""
Groups = list[tuple[str, list[nn.Module]]]
"""The layers of a student by name, top first."""


@dataclass(frozen=True)
class Stage:
    """One stage of a strategy.

    Args:
        losses: of ``hard``, ``soft``, ``representation``.
        items: ``labelled``, ``transfer``, or ``both``: labelled and unlabelled items in every
            batch.
        pseudo_labels: the teacher's most likely class stands in for the gold label where there is
            none.
    """

    losses: tuple[str, ...]
    items: str
    pseudo_labels: bool = False

    @property
    def name(self) -> str:
        """As a figure names it: ``labels + logits``."""
        names = {
            "hard": "pseudo-labels" if self.pseudo_labels else "labels",
            "soft": "logits",
            "representation": "states",
        }
        return " + ".join(names[loss] for loss in self.losses)


@dataclass(frozen=True)
class Strategy:
    """A row of stages. ``unfreezing``: gradual, top layer first, in every stage anew."""

    name: str
    stages: tuple[Stage, ...]
    unfreezing: bool = False
    help: str = ""

    @property
    def turns(self) -> int:
        """Trainings one after another, of a student of three layers."""
        return len(self.stages) * (LAYERS if self.unfreezing else 1)


_LABELS, _LOGITS, _STATES = (
    Stage(("hard",), "labelled"),
    Stage(("soft",), "transfer"),
    Stage(("representation",), "transfer"),
)
_LABELS_LOGITS = Stage(("hard", "soft"), "both")

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("D0", (_LABELS,), help="gold labels alone: no teacher"),
        Strategy("D1", (_LABELS_LOGITS,), help="labels and logits together"),
        Strategy(
            "D2",
            (Stage(("hard", "soft", "representation"), "both"),),
            help="labels, logits and states together",
        ),
        Strategy("D3.1", (_STATES, _LABELS_LOGITS), help="states, then labels and logits"),
        Strategy(
            "D3.2",
            (_STATES, _LABELS_LOGITS),
            True,
            help="the same with gradual unfreezing in every stage",
        ),
        Strategy("D4.1", (_STATES, _LOGITS, _LABELS), help="states, then logits, then labels"),
        Strategy(
            "D4.2",
            (_STATES, _LOGITS, _LABELS),
            True,
            help="the same with gradual unfreezing in every stage",
        ),
        Strategy(
            "hard",
            (Stage(("hard",), "both", True),),
            help="gold labels, and the teacher's argmax where there is none",
        ),
    )
}


def strategy(name: str) -> Strategy:
    """A strategy by its name.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    return STRATEGIES[name]


def as_long(name: str, names: Iterable[str], steps: int) -> tuple[str, int]:
    """A strategy given as many steps in all as the longest of some takes: what the arm is called,
    and its steps a turn.

    Args:
        name: of the strategy.
        names: of those that are compared.
        steps: of a turn of theirs.
    """
    longest = max(map(strategy, names), key=lambda one: one.turns)
    return f"{name}, as long as {longest.name}", steps * longest.turns // strategy(name).turns


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
        batch: rows a step.
        seed: of the order.
    """
    if stage.items == "labelled":
        order = batches_by_length(labelled, batch, seed)
        return lambda step: (order(step), [])
    if stage.items == "transfer":
        order = batches_by_length(transfer, batch, seed)
        return lambda step: ([], order(step))
    share = max(1, batch // 4)
    first, second = (
        batches_by_length(labelled, share, seed),
        batches_by_length(transfer, batch - share, seed),
    )
    return lambda step: (first(step), second(step))


class Learner(Protocol):
    """What :func:`run` trains: pieces to logits and projected states, and its layers, top first
    (``recurrent.Projected``).
    """

    def __call__(self, pieces: Tensor) -> tuple[Tensor, Tensor]: ...

    def groups(self) -> Groups: ...


def batch_loss(loss: StagedLoss, network: Learner, batch: Batch) -> Tensor:
    """The loss of one batch: ``pieces [batch, length]``, ``labels``, ``teacher_logits``,
    ``teacher_states``.

    For texts the last three are one a row, ``[batch, ...]``. For tags they are one a piece,
    ``[batch, length, ...]``, and ``items [batch, length]`` (bool) says which pieces have a tag.
    ``teacher_logits`` and ``teacher_states`` may be missing where the loss does not read them.
    """
    logits, projected = network(batch["pieces"])
    logits, projected, *told = _items(
        batch,
        logits,
        projected,
        *(batch.get(k) for k in ("labels", "teacher_logits", "teacher_states")),
    )
    labels, teacher_logits, teacher_states = told
    return loss(logits.float(), labels, teacher_logits, projected.float(), teacher_states)


def _items(batch: Batch, *tensors: Tensor | None) -> list[Tensor | None]:
    """The rows that count: all, or those of the pieces that have a tag."""
    items = batch.get("items")
    return [t if t is None or items is None else t[items] for t in tensors]


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
    parts: list[list[Tensor]] = []
    for batch in batches:
        logits, projected = (out.float().cpu() for out in network(batch["pieces"].to(device)))
        parts.append(_items(batch, logits, projected, batch["labels"], batch.get("teacher_states")))
    logits, projected, labels, states = (
        None if column[0] is None else torch.cat(column) for column in zip(*parts)
    )
    if not loss.hard_weight and not loss.soft_weight:
        return loss(logits, labels, None, projected, states).item()
    return held_out_score(logits, labels)


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

    Every turn takes ``regime.steps`` steps at most, with a warm-up and decay of its own, and ends
    earlier where the held-out score has not got better for ``regime.patience`` looks: as in the
    papers, a strategy of more turns may take more steps. At a stage's end the best weights are put
    back: of all its layers' turns, and of its beginning, so that it never leaves a student worse
    than it found it.

    Args:
        network: a :class:`Learner`, see ``recurrent.Projected``.
        strategy: of :data:`STRATEGIES`, or another.
        loss: all three parts with their weights; a stage takes its own of them.
        batches: a stage and a seed to its batches: step number to batch.
        held_out: the held-out part of the labelled items, as batches.
        regime: how long a turn, and how fast.

    Returns:
        The trace, a row a look: ``stage`` (its number), ``losses`` (its name), ``unfrozen`` (the
        lowest layer that learns), ``step`` (over all stages), ``score`` (of :func:`stage_score`),
        ``train_loss``, ``kept`` (the weights that the stage ends with). A stage's first row is what
        it began with.
    """
    groups = network.groups()
    depth = len(groups) if strategy.unfreezing else 1
    rows: list[dict[str, object]] = []
    taken = 0
    for number, stage in enumerate(strategy.stages):
        part = loss.only(*stage.losses)

        def score(model: nn.Module, part: StagedLoss = part) -> float:
            return stage_score(part, model, held_out)

        network.eval()
        with torch.inference_mode():
            best = score(network)
        kept, first = copy_of(network.state_dict()), len(rows)
        at = first
        columns = {"stage": number, "losses": stage.name}
        rows.append(
            columns | {"unfrozen": "", "step": taken, "score": best, "train_loss": math.nan}
        )
        for layers in range(1, depth + 1) if strategy.unfreezing else [len(groups)]:
            unfreeze(groups, layers)
            seed = regime.seed + 1000 * number + layers
            one = changed(regime, seed=seed)
            history = fit(
                network,
                batches(stage, seed),
                lambda model, b, part=part: batch_loss(part, model, b),
                score,
                one,
                quiet=True,
            )
            for step, value, train_loss in zip(history.step, history.held_out, history.train_loss):
                rows.append(
                    columns
                    | {
                        "unfrozen": groups[layers - 1][0],
                        "step": taken + step,
                        "score": value,
                        "train_loss": train_loss,
                    }
                )
                if value < best:
                    best, at, kept = value, len(rows) - 1, None
            taken += history.step[-1]
            if kept is None:
                kept = copy_of(network.state_dict())
            else:
                network.load_state_dict(kept)
        rows[at]["kept"] = True
    unfreeze(groups, len(groups))
    return pd.DataFrame(rows).assign(kept=lambda table: table["kept"].eq(True))


def unfreeze(groups: Groups, layers: int) -> None:
    """Let the first so many layers learn, and no others."""
    for place, (_, modules) in enumerate(groups):
        for module in modules:
            module.requires_grad_(place < layers)
