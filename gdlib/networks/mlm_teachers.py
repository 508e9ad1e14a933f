"""Teachers of masked language modelling: encoders under heads, how a missing head is trained, and
what they say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from gdlib.learn.batches import Batch, ask, batches_by_length
from gdlib.learn.loop import Regime, fit, seed_everything, trainable_state
from gdlib.learn.mixtures import TopPieces, top_pieces
from gdlib.networks.encoders import keep_layers, to_device
from gdlib.networks.masked_lm import TiedHead
from gdlib.networks.mlm_texts import NOWHERE, Guessed, MaskedTexts, numbers
from gdlib.sources import zoo

# of a new head's norm at its start: near the pieces' frequencies, from where it overfits less
HEAD_SCALE = 0.3
EVALUATIONS = 5  # in each phase


class MaskedLM(nn.Module):
    """An encoder under a head tied to its embeddings; logits of the guessed pieces, at the masked
    positions alone, in reading order.

    Args:
        encoder: without a head.
        guessed: its own ids of the guessed pieces. *Shape:* ``[guessed]``.
        log_shares: where the head's bias starts, with the rest of it small. *Shape:* ``[guessed]``.
    """

    def __init__(self, encoder: PreTrainedModel, guessed: Tensor, log_shares: Tensor):
        super().__init__()
        self.encoder = encoder
        self.head = TiedHead(
            encoder.config.hidden_size, encoder.get_input_embeddings().weight.shape[1], len(guessed)
        )
        self.register_buffer("guessed", guessed, persistent=False)
        with torch.no_grad():
            self.head.bias.copy_(log_shares)
            self.head.norm.weight.fill_(HEAD_SCALE)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """*Shape:* all ``[batch, length]`` -> ``[masked positions, guessed]``."""
        return self.logits(self.states(input_ids, attention_mask, positions))

    def states(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """The encoder's last states at the masked positions: ``[masked positions, width]``."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[
            positions != NOWHERE
        ]

    def logits(self, states: Tensor) -> Tensor:
        """*Shape:* ``[..., width]`` -> ``[..., guessed]``."""
        return self.head(states, self.encoder.get_input_embeddings().weight[self.guessed])


class WholeMaskedLM(nn.Module):
    """A network that brings its own head (``BertForMaskedLM``, ``ElectraForMaskedLM`` ...), asked
    in the same way.
    """

    def __init__(self, network: PreTrainedModel, guessed: Tensor):
        super().__init__()
        self.network = network
        self.register_buffer("guessed", guessed, persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """*Shape:* all ``[batch, length]`` -> ``[masked positions, guessed]``."""
        return self.network(input_ids=input_ids, attention_mask=attention_mask).logits[
            positions != NOWHERE
        ][:, self.guessed]


@dataclass(frozen=True)
class MaskedTeacher:
    """A teacher of masked language modelling.

    Args:
        name: as it stands in tables.
        model: :class:`MaskedLM` or :class:`WholeMaskedLM`.
        ids: its own id of every reference id. *Shape:* ``[reference pieces]``.
        pad_id: the reference's padding.
    """

    name: str
    model: nn.Module
    ids: Tensor
    pad_id: int

    def inputs(self, texts: MaskedTexts, rows: Sequence[int]) -> Batch:
        """A batch in its own ids."""
        batch = texts.batch(rows, self.pad_id)
        return batch | {"input_ids": self.ids[batch["input_ids"]]}

    def states(self, texts: MaskedTexts) -> Tensor:
        """The encoder's states at all masked positions, by number.

        *Shape:* ``[positions, width]``, float32, on the CPU.
        """
        return self._ask(texts, self.model.states)

    def keep(self, texts: MaskedTexts, kept: int) -> TopPieces:
        """What it predicts at all masked positions: its ``kept`` likeliest of the guessed pieces."""

        def call(**batch: Tensor) -> Batch:
            logits = self.model(**batch)
            return top_pieces(
                logits, texts.gold[numbers(batch["positions"])].to(logits.device), kept
            )

        tensors = self._ask(texts, call)
        return TopPieces(**tensors, vocabulary=len(self.model.guessed), digest=texts.digest)

    def _ask(self, texts: MaskedTexts, call: Callable[..., Tensor | Batch]) -> Tensor | Batch:
        return ask(
            self.model,
            range(len(texts)),
            lambda rows: self.inputs(texts, rows),
            call,
            length=texts.lengths.__getitem__,
            counts=texts.counts,
            batch=32,
        )


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


def load_teacher(
    network: zoo.Network,
    ids: Tensor,
    pad_id: int,
    guessed: Guessed,
    trained: Path | None = None,
    layers: int = 0,
) -> MaskedTeacher:
    """A teacher: whole, with its own head where the network has one; else with a new head, or with
    what :func:`train_head` left.

    Args:
        layers: keep its lowest so many alone, under a new head; 0: all.
    """
    own = ids[guessed.ids]
    if not layers and zoo.has_masked_head(network):
        model: nn.Module = WholeMaskedLM(zoo.masked(network), own)
    else:
        encoder = zoo.encoder(network)
        if layers:
            keep_layers(encoder, range(min(layers, encoder.config.num_hidden_layers)))
        model = MaskedLM(encoder, own, guessed.log_shares)
        if trained:
            model.load_state_dict(load_file(trained / "trained.safetensors"), strict=False)
    return MaskedTeacher(network.name, to_device(model), ids, pad_id)


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
    states, checks = teacher.states(train), teacher.states(choose)

    def inputs(rows: Sequence[int]) -> Batch:
        return {"states": states[rows], "gold": train.gold[rows]}

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model.logits(batch["states"]).float(), batch["gold"])

    def held_out(model: nn.Module) -> float:
        logits = ask(
            model,
            range(len(checks)),
            lambda rows: {"states": checks[rows]},
            model.logits,
            length=lambda row: 1,
            batch=256,
        )
        return F.cross_entropy(logits, choose.gold).item()

    return _train(teacher.model, [1] * len(states), inputs, loss, held_out, plan, "head", folder)


def _train_body(
    teacher: MaskedTeacher, train: MaskedTexts, choose: MaskedTexts, plan: HeadPlan, folder: Path
) -> pd.DataFrame:
    def inputs(rows: Sequence[int]) -> Batch:
        return teacher.inputs(train, rows)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        logits = model(**batch).float()
        return F.cross_entropy(logits, train.gold[numbers(batch["positions"])].to(logits.device))

    def held_out(model: nn.Module) -> float:
        return -teacher.keep(choose, 1).gold.mean().item()

    return _train(teacher.model, train.lengths, inputs, loss, held_out, plan, "body", folder)


def _train(
    model: nn.Module,
    lengths: Sequence[int],
    inputs: Callable[[list[int]], Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    held_out: Callable[[nn.Module], float],
    plan: HeadPlan,
    phase: str,
    folder: Path,
) -> pd.DataFrame:
    """One phase of the plan; its history: step, train_loss, held_out."""
    how: Phase = getattr(plan, phase)
    order = batches_by_length(lengths, how.batch, plan.seed)
    regime = Regime(
        steps=how.steps,
        lr=how.lr,
        evaluate_every=max(1, how.steps // EVALUATIONS),
        seed=plan.seed,
    )
    history = fit(model, lambda step: inputs(order(step)), loss, held_out, regime, resume=folder)
    return pd.DataFrame(
        {"step": history.step, "train_loss": history.train_loss, "held_out": history.held_out}
    )


def train_layers(encoder: PreTrainedModel) -> None:
    """Let all of an encoder learn but its embedding matrix (the head is tied to it, and texts are
    few) and an unused pooler.
    """
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(not name.startswith("pooler"))
    encoder.get_input_embeddings().weight.requires_grad_(False)
