"""Students of masked language modelling: where they start, how they learn, and their curves."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from gdlib.learn.batches import Batch, autocast, batches_by_length, in_batches
from gdlib.learn.loop import History, Regime, fit, seed_everything
from gdlib.learn.losses import DistillationLoss
from gdlib.learn.mixtures import Mixture
from gdlib.networks.layers import to_device
from gdlib.networks.mlm_teachers import MaskedLM, train_layers
from gdlib.networks.mlm_texts import NOWHERE, Guessed, MaskedTexts

STARTS = {
    "teacher": "the lowest layers of the first teacher, under a head fitted to them",
    "scratch": "a new, narrow BERT",
}
PLAIN = DistillationLoss(hard_weight=1.0, soft_weight=0.0)


@dataclass(frozen=True)
class StudentPlan:
    """How a student starts and learns. Names as in the study's settings.

    Args:
        start: one of :data:`STARTS`. From a teacher the embedding matrix stays as it is; a new one
            is learnt.
        layers: of either.
        hidden: width of one from scratch.
        steps, lr, batch, evaluate_every: as in training.
        loss: hard and soft parts and the temperature.
        seed: of a start from scratch, of the order of texts, and of dropout.
    """

    start: str
    layers: int
    hidden: int
    steps: int
    lr: float
    batch: int
    evaluate_every: int
    loss: DistillationLoss
    seed: int


def new_student(
    plan: StudentPlan,
    start: MaskedLM | None,
    guessed: Guessed,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> MaskedLM:
    """A student at its start: ``start``, layers of a teacher under a head of their own, or from
    scratch.
    """
    seed_everything(plan.seed)
    if plan.start == "scratch":
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=plan.hidden, num_hidden_layers=plan.layers, num_attention_heads=max(1, plan.hidden // 32),
            intermediate_size=4 * plan.hidden, max_position_embeddings=max_length, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        return MaskedLM(BertModel(config, add_pooling_layer=False), guessed.ids, guessed.log_shares)
    start.requires_grad_(True)
    train_layers(start.encoder)
    return start


@dataclass
class Curve:
    """A student's way: its held-out loss at every look, text by text.

    ``seconds`` are of training alone, looks not counted.
    """

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)


def train_student(
    student: MaskedLM,
    texts: MaskedTexts,
    told: Mixture | None,
    held_out: MaskedTexts,
    pad_id: int,
    plan: StudentPlan,
) -> tuple[Curve, History]:
    """Train a student in place; it ends with the weights of its least held-out loss.

    Args:
        student: at its start.
        texts: what it reads.
        told: what the teachers say at the masked positions; None: the hidden pieces are all there
            is.
        held_out: what the curve is measured on.
        pad_id: of the reference.
        plan: how.

    Returns:
        The curve, whose first look is at step 0, and the loop's history.
    """
    order, loss = (
        batches_by_length(texts.lengths, plan.batch, plan.seed),
        plan.loss if told else PLAIN,
    )
    curve, clock = Curve(), {"trained": 0.0, "since": 0.0}

    def surprise(model: nn.Module, batch: Batch) -> Tensor:
        at = batch["positions"][batch["positions"] != NOWHERE]
        teacher_logits = told(at.cpu()).to(at.device) if told else None
        return loss(model(**batch).float(), teacher_logits, texts.gold.to(at.device)[at])

    def look(model: nn.Module) -> float:
        clock["trained"] += time.perf_counter() - clock["since"] if clock["since"] else 0.0
        losses = text_losses(model, held_out, pad_id)
        curve.step.append(min(len(curve.step) * plan.evaluate_every, plan.steps))
        curve.seconds.append(clock["trained"])
        curve.losses.append(losses)
        clock["since"] = time.perf_counter()
        return float(losses.sum() / len(held_out.gold))

    student = to_device(student)
    with torch.inference_mode():
        look(student)
    regime = Regime(
        steps=plan.steps, lr=plan.lr, evaluate_every=plan.evaluate_every, seed=plan.seed
    )
    history = fit(
        student, lambda step: texts.batch(order(step), pad_id), surprise, look, regime, quiet=True
    )
    return curve, history


@torch.inference_mode()
def text_losses(model: nn.Module, texts: MaskedTexts, pad_id: int) -> np.ndarray:
    """Cross-entropy of the hidden pieces, summed a text, in the texts' order; nats.

    *Shape:* ``[texts]``, float32.
    """
    device, found = next(model.parameters()).device, torch.empty(len(texts.gold))
    for rows in in_batches(texts.lengths, 64):
        batch = {name: tensor.to(device) for name, tensor in texts.batch(rows, pad_id).items()}
        at = batch["positions"][batch["positions"] != NOWHERE].cpu()
        with autocast(device, "auto"):
            logits = model(**batch).float().cpu()
        found[at] = F.cross_entropy(logits, texts.gold[at], reduction="none")
    return torch.zeros(len(texts)).index_add_(0, texts.text_of, found).numpy()
