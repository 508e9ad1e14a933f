"""LMGC-M: masked language modelling beside the senses (Wahle et al. 2021, arXiv 2106.07967).

    L_LMGC-M = L_WSD + w L_MLM

The paper has w = 1, hides 15% of a pair's pieces, on both sides, and reads both losses from it.
Here senses are read from the whole pair, so that LMGC-M is LMGC with a term more and not another
task, and L_MLM from a copy with hidden pieces: one copy an instance, of a pair drawn anew each
time, since its pairs have the sentence in common. And the head, which the paper's encoder brings
and a sentence encoder does not, is trained first, on the states of the encoder as it is.
"""

from collections.abc import Callable

import numpy as np
import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn

from gdlib.learn.batches import Batch, autocast
from gdlib.learn.loop import seed_everything, trainable
from gdlib.learn.names import PAIR_LOSSES
from gdlib.networks.encoders import to_device
from gdlib.networks.lexical_models import LexicalModel
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.networks.masked_lm import NOT_HIDDEN, OnStates, mask_pieces, piece_loss
from gdlib.networks.mlm_heads import Phase, state_losses, train_on_states
from gdlib.networks.sense_coding import Coder

HEAD_LR, HEAD_BATCH = 3e-3, 64  # of the head alone; hidden pieces per step
Batches = Callable[[int], Batch]


def masked_copies(batch: Batch, coder: Coder, plan: LexicalPlan, step: int) -> Batch:
    """``masked``, the ids with pieces hidden in one pair of each instance, and ``targets``.

    *Shape:* both ``[pairs, length]``, see :func:`gdlib.networks.masked_lm.mask_pieces`.
    """
    seed = [plan.seed, step]
    counts = batch["instance"].unique_consecutive(return_counts=True)[1].numpy()
    chosen = np.cumsum(counts) - 1 - np.random.default_rng(seed).integers(counts)
    copied = torch.zeros(len(batch["instance"]), 1, dtype=torch.bool)
    copied[chosen] = True
    where = coder.maskable(batch) & copied
    ids = batch["input_ids"]
    masked, targets = mask_pieces(ids, where, coder.tokenizer, seed, plan.mask_share)
    return {"masked": masked, "targets": targets}


def lexical_loss(model: nn.Module, batch: Batch, plan: LexicalPlan) -> Tensor:
    """``L_WSD``, plus ``L_MLM`` by its weight where the batch has hidden pieces (``targets``)."""
    of_senses, of_pieces = losses(model, batch, plan)
    return of_senses if of_pieces is None else of_senses + plan.mlm_weight * of_pieces


def losses(model: nn.Module, batch: Batch, plan: LexicalPlan) -> tuple[Tensor, Tensor | None]:
    """``L_WSD`` of the pairs and, where the batch has hidden pieces, ``L_MLM``."""
    logits, pieces = model(**_inputs(batch))
    teacher = batch.get("teacher")
    of_senses = PAIR_LOSSES[plan.pair_loss](
        logits.float(), batch["labels"], batch["instance"], plan.loss, teacher
    )
    return of_senses, None if pieces is None else piece_loss(pieces, batch["targets"])


def warm_up(
    model: LexicalModel,
    train: Batches,
    train_steps: int,
    held_out: Batches,
    held_out_steps: int,
    plan: LexicalPlan,
) -> dict[str, float]:
    """Train the new MLM head alone, on the states of the encoder before any other training, so that
    the encoder is not pulled about by a head that knows nothing.

    It begins at the frequencies of the pieces. For each of its steps there is a batch of hidden
    copies, of one epoch at most, which it then sees over again.

    Args:
        model: under training.
        train: the batches of the training, ``train_steps`` an epoch.
        held_out: those of the held-out part, all in ``held_out_steps``.
        plan: how many steps, and the seed.

    Returns:
        ``mlm_frequency_loss`` and ``mlm_head_loss``, in nats per hidden piece of the held-out
            part: of the pieces' frequencies in training, and of the head when all else begins. If
            the second is not clearly below the first, the head knows nothing yet.
    """
    steps = min(train_steps, max(1, plan.mlm_head_steps))
    states, pieces = _hidden_pieces(to_device(model), train, steps)
    checks = _hidden_pieces(model, held_out, held_out_steps)
    counts = torch.bincount(pieces, minlength=len(model.embedding)) + 0.1
    log_shares = (counts / counts.sum()).log()
    model.mlm_head.start(log_shares)
    head = OnStates(model.mlm_head, model.embedding)
    how = Phase(plan.mlm_head_steps, HEAD_LR, HEAD_BATCH)
    train_on_states(head, (states, pieces), checks, how, plan.seed)
    return {
        "mlm_frequency_loss": -log_shares[checks[1]].mean().item(),
        "mlm_head_loss": state_losses(head, *checks).mean().item(),
    }


@torch.no_grad()
def _hidden_pieces(model: LexicalModel, batches: Batches, steps: int) -> tuple[Tensor, Tensor]:
    """The states of a model at the hidden pieces of some batches, and these pieces, on the CPU.

    *Shape:* ``[pieces, width]``, ``[pieces]``.
    """
    device, states, pieces = model.mlm_head.bias.device, [], []
    for step in range(steps):
        batch = batches(step)
        inputs = send_to_device(_inputs(batch), device)
        only = {name: inputs[name] for name in inputs if name not in ("first", "second")}
        with autocast(device, "auto"):
            states.append(model.hidden_states(**only).float().cpu())
        pieces.append(batch["targets"][batch["targets"] != NOT_HIDDEN])
    return torch.cat(states), torch.cat(pieces)


def gradient_norms(model: LexicalModel, batch: Batch, plan: LexicalPlan) -> dict[str, float]:
    """The norms of the gradients of both losses, each alone and unweighted, in what learns of the
    encoder, at the first step: which of the two leads it.

    Returns:
        ``wsd_gradient``, ``mlm_gradient``.
    """
    seed_everything(plan.seed)
    device = to_device(model).train().mlm_head.bias.device
    learning = trainable(model.classifier.base_model)
    with autocast(device, "auto"):
        both = losses(model, send_to_device(batch, device), plan)
    norms = []
    for loss in both:
        found = torch.autograd.grad(loss, learning, retain_graph=True, allow_unused=True)
        norms.append(torch.stack([g.float().norm() for g in found if g is not None]).norm().item())
    return dict(zip(("wsd_gradient", "mlm_gradient"), norms))


def _inputs(batch: Batch) -> Batch:
    """What the model reads of a batch; pieces are hidden where there are targets."""
    names = ("input_ids", "attention_mask", "token_type_ids", "first", "second", "masked")
    inputs = {name: batch[name] for name in names if name in batch}
    return inputs | ({"hidden": batch["targets"] != NOT_HIDDEN} if "targets" in batch else {})
