"""Teachers of masked language modelling: encoders under heads, how a missing head is trained, and
what they say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from gdlib.learn.batches import Batch, autocast, batches_by_length, in_batches
from gdlib.learn.loop import Regime, fit, seed_everything, trainable_state
from gdlib.learn.mixtures import Kept, keep
from gdlib.networks.layers import stack_of, to_device
from gdlib.networks.masked_lm import TiedHead
from gdlib.networks.mlm_texts import NOWHERE, Guessed, MaskedTexts
from gdlib.sources import zoo

BODIES = ("frozen", "full")
# of a new head's norm at its start: near the pieces' frequencies, from where it overfits less
HEAD_SCALE = 0.3


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
        found = torch.empty(len(texts.gold), self.model.encoder.config.hidden_size)
        self._each(
            texts, self.model.states, lambda at, said: found.__setitem__(at, said.float().cpu())
        )
        return found

    def keep(self, texts: MaskedTexts, kept: int) -> Kept:
        """What it says at all masked positions: its ``kept`` likeliest of the guessed pieces."""
        found: dict[str, Tensor] = {}

        def take(at: Tensor, logits: Tensor) -> None:
            for name, tensor in keep(logits, texts.gold[at].to(logits.device), kept).items():
                found.setdefault(
                    name, torch.empty(len(texts.gold), *tensor.shape[1:], dtype=tensor.dtype)
                )[at] = tensor.cpu()

        self._each(texts, self.model, take)
        return Kept(**found, vocabulary=len(self.model.guessed), digest=texts.digest)

    @torch.inference_mode()
    def _each(
        self,
        texts: MaskedTexts,
        call: Callable[..., Tensor],
        take: Callable[[Tensor, Tensor], Any],
        size: int = 32,
    ) -> None:
        device = next(self.model.parameters()).device
        for rows in in_batches(texts.lengths, size):
            batch = {name: tensor.to(device) for name, tensor in self.inputs(texts, rows).items()}
            with autocast(device, "auto"):
                said = call(**batch)
            take(batch["positions"][batch["positions"] != NOWHERE].cpu(), said)


@dataclass(frozen=True)
class Phase:
    """Steps, peak learning rate, and the size of a batch: masked positions for the head, texts for
    the body.
    """

    steps: int
    lr: float
    batch: int


@dataclass(frozen=True)
class HeadPlan:
    """How the head of a teacher that has none is trained.

    Args:
        head: alone, on states computed once.
        body: the layers with it afterwards (the embeddings stay); no steps: the body is frozen.
        seed: of the head, the order and dropout.
        looks: looks at the loss on the texts that choose, in each phase.
        layers: the lowest so many layers of the network are used; 0: all.
    """

    head: Phase
    body: Phase
    seed: int
    looks: int = 5
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
            parent, name, stack = stack_of(encoder)
            setattr(parent, name, stack[:layers])
            encoder.config.num_hidden_layers = min(layers, len(stack))
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
        step, train_loss, held_out: the looks of both phases.
    """
    seed_everything(plan.seed)
    model = teacher.model
    model.encoder.requires_grad_(False)
    states, checks = teacher.states(train), teacher.states(choose)

    def of_head(model: nn.Module, batch: Batch) -> Tensor:
        return F.cross_entropy(model.logits(batch["states"]).float(), batch["gold"])

    def held_out_head(model: nn.Module) -> float:
        device = next(model.parameters()).device
        return F.cross_entropy(
            torch.cat([model.logits(part.to(device)).float().cpu() for part in checks.split(256)]),
            choose.gold,
        ).item()

    def of_body(model: nn.Module, batch: Batch) -> Tensor:
        at = batch["positions"][batch["positions"] != NOWHERE]
        return F.cross_entropy(model(**batch).float(), train.gold.to(at.device)[at])

    def run(
        phase: Phase, name: str, batch: Callable[[int], Batch], loss: Any, held_out: Any
    ) -> pd.DataFrame:
        regime = Regime(
            steps=phase.steps,
            lr=phase.lr,
            evaluate_every=max(1, phase.steps // plan.looks),
            seed=plan.seed,
        )
        history = fit(
            model, batch, loss, held_out, regime, resume=folder / f"checkpoint-{name}", quiet=True
        )
        return pd.DataFrame(
            {"step": history.step, "train_loss": history.train_loss, "held_out": history.held_out}
        )

    rows = batches_by_length([1] * len(states), plan.head.batch, plan.seed)
    looks = run(
        plan.head,
        "head",
        lambda step: {"states": states[rows(step)], "gold": train.gold[rows(step)]},
        of_head,
        held_out_head,
    )
    if plan.body.steps:
        train_layers(model.encoder)
        order = batches_by_length(train.lengths, plan.body.batch, plan.seed)
        score = lambda model: -teacher.keep(choose, 1).gold.mean().item()  # noqa: E731
        more = run(
            plan.body, "body", lambda step: teacher.inputs(train, order(step)), of_body, score
        )
        looks = pd.concat([looks, more.assign(step=more["step"] + plan.head.steps)])
    save_file(
        {name: tensor.cpu().contiguous() for name, tensor in trainable_state(model).items()},
        folder / "trained.safetensors",
    )
    return looks


def train_layers(encoder: PreTrainedModel) -> None:
    """Let all of an encoder learn but its embedding matrix (the head is tied to it, and texts are
    few) and an unused pooler.
    """
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(not name.startswith("pooler"))
    encoder.get_input_embeddings().weight.requires_grad_(False)
