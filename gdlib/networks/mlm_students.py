"""Students of masked language modelling: where they start, how they learn, and their curves."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from gdlib.learn.batches import Batch, ask, batches_by_length
from gdlib.learn.loop import History, Regime, fit, seed_everything
from gdlib.learn.losses import GOLD_ONLY, DistillationLoss
from gdlib.learn.mixtures import Mixture
from gdlib.networks.encoders import to_device
from gdlib.networks.mlm_teachers import MaskedLM, train_layers
from gdlib.networks.mlm_texts import Guessed, MaskedTexts, numbers


@dataclass(frozen=True, kw_only=True)
class StudentPlan:
    """How a student starts and learns. Names as in the study's settings.

    Args:
        start: of :data:`gdlib.networks.names.STARTS`. From a teacher the embedding matrix stays as
            it is; a new one is learnt.
        layers: of either.
        hidden: width of one from scratch.
        steps, lr, decay, batch, evaluate_every: as in training.
        loss: hard and soft parts and the temperature.
        seed: of a start from scratch, of the order of texts, and of dropout.
    """

    start: str
    layers: int
    hidden: int
    steps: int
    lr: float
    decay: str
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
            vocab_size=len(tokenizer),
            hidden_size=plan.hidden,
            num_hidden_layers=plan.layers,
            num_attention_heads=max(1, plan.hidden // 32),
            intermediate_size=4 * plan.hidden,
            max_position_embeddings=max_length,
            pad_token_id=tokenizer.pad_token_id,
        )
        return MaskedLM(BertModel(config, add_pooling_layer=False), guessed.ids, guessed.log_shares)
    start.requires_grad_(True)
    train_layers(start.encoder)
    return start


@dataclass
class Curve:
    """A student's held-out loss at every evaluation, text by text.

    ``seconds`` are of training alone, evaluations not counted.
    """

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)


def train_student(
    student: MaskedLM,
    texts: MaskedTexts,
    targets: Mixture | None,
    held_out: MaskedTexts,
    pad_id: int,
    plan: StudentPlan,
) -> tuple[Curve, History]:
    """Train a student in place; it ends with the weights of its least held-out loss.

    Args:
        student: at its start.
        texts: what it reads.
        targets: what the teachers predict at the masked positions; None: the hidden pieces are all
            there is.
        held_out: what the curve is measured on.
        pad_id: of the reference.
        plan: how.

    Returns:
        The curve, whose first evaluation is at step 0, and the loop's history.
    """
    order = batches_by_length(texts.lengths, plan.batch, plan.seed)
    mixed = plan.loss if targets else GOLD_ONLY
    curve, trained, since = Curve(), 0.0, None

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        logits, at = model(**batch).float(), numbers(batch["positions"])
        teacher_logits = targets(at).to(logits.device) if targets else None
        return mixed(logits, teacher_logits, texts.gold_at(batch["positions"]))

    def evaluate(model: nn.Module) -> float:
        nonlocal trained, since
        trained += time.perf_counter() - since if since else 0.0
        losses = text_losses(model, held_out, pad_id)
        curve.step.append(min(len(curve.step) * plan.evaluate_every, plan.steps))
        curve.seconds.append(trained)
        curve.losses.append(losses)
        since = time.perf_counter()
        return float(losses.sum() / len(held_out.gold))

    evaluate(to_device(student))
    regime = Regime(
        steps=plan.steps,
        lr=plan.lr,
        evaluate_every=plan.evaluate_every,
        seed=plan.seed,
        decay=plan.decay,
    )
    history = fit(student, lambda step: texts.batch(order(step), pad_id), loss, evaluate, regime)
    return curve, history


def text_losses(model: nn.Module, texts: MaskedTexts, pad_id: int) -> np.ndarray:
    """Cross-entropy of the hidden pieces, summed over each text, in the texts' order; nats.

    *Shape:* ``[texts]``, float32.
    """

    def call(**batch: Tensor) -> Tensor:
        logits = model(**batch).float()
        return F.cross_entropy(logits, texts.gold_at(batch["positions"]), reduction="none")

    losses = ask(
        model,
        range(len(texts)),
        lambda rows: texts.batch(rows, pad_id),
        call,
        length=texts.lengths.__getitem__,
        counts=texts.counts,
    )
    return torch.zeros(len(texts)).index_add_(0, texts.text_of, losses).numpy()
