"""The generator: a causal language model fine-tuned on the few labelled texts."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.core.errors import BadSetting
from gdlib.learn.batches import Batch, autocast, collate, from_place, passes
from gdlib.learn.loop import History, writes_files
from gdlib.networks import fine_tune as recipe
from gdlib.networks.fine_tune import Plan
from gdlib.networks.sampling import blank, prompt
from gdlib.sources import zoo
from gdlib.sources.corpora import Part

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedTokenizerBase

IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class GeneratorPlan(Plan):
    """How a generator is fine-tuned; training stops when the held-out loss rises, since longer
    training memorises.

    Args:
        method: ``full``, ``lora`` (rank 16 on the attention's and MLP's matrices) or ``last-K``
            (the K last layers).
        conditioned: the label's name stands before the text. The paper fine-tunes on the text
            alone.
        max_tokens: tokens per text, cut beyond.
        labels: the class names that stand before texts; known once it is trained.
    """

    method: str
    conditioned: bool
    max_tokens: int
    labels: tuple[str, ...] = ()


Rows = list[tuple[list[int], int]]
"""Ids of texts, and the length of each one's prompt."""


def encode(
    tokenizer: "PreTrainedTokenizerBase", part: Part, names: Sequence[str], max_tokens: int
) -> Rows:
    """Each text as ``prompt + blank + text + EOS`` and the length of its prompt.

    A text that is cut gets no EOS: it did not end.
    """
    rows = []
    for text, label in zip(part.texts, part.labels):
        start = prompt(tokenizer, names[label] if names else None)
        ids = tokenizer(blank(tokenizer) + text, add_special_tokens=False)["input_ids"]
        ids = [*ids, tokenizer.eos_token_id] if len(ids) < max_tokens else ids[:max_tokens]
        rows.append((start + ids, len(start)))
    return rows


def nll(model: nn.Module, batch: Batch) -> Tensor:
    """Negative log-likelihood of the text's tokens, nats, mean over the tokens of the batch;
    prompts and padding don't count.

    The output layer sees the states that predict a token of the text alone: over a vocabulary, what
    it would make of padding costs a good part of a step.
    """
    targets = batch["targets"][:, 1:]
    is_text = targets != IGNORED
    bare = extract_model_from_parallel(model)
    output = getattr(bare, "get_base_model", lambda: bare)().get_output_embeddings()
    hook = output.register_forward_pre_hook(lambda _, states: (states[0][:, :-1][is_text],))
    try:
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    finally:
        hook.remove()
    return F.cross_entropy(logits.float(), targets[is_text])


def collate_text(rows: Rows, pad_id: int) -> Batch:
    """Padded ids with their targets: what is no text (prompt, padding) is ignored."""
    batch = collate([ids for ids, _ in rows], pad_id)
    ids = batch["input_ids"]
    is_text = from_place(ids, [start for _, start in rows]) & (batch["attention_mask"] == 1)
    return batch | {"targets": ids.masked_fill(~is_text, IGNORED)}


def held_out_nll(model: nn.Module, rows: Rows, pad_id: int) -> float:
    """Nats per token over all texts (every token weighs the same)."""
    total, tokens = 0.0, 0
    batches = passes(model, rows, lambda some: collate_text(some, pad_id), batch=32)
    for _, batch in batches:
        count = int((batch["targets"][:, 1:] != IGNORED).sum())
        total += nll(model, batch).item() * count
        tokens += count
    return total / tokens


def freeze(network: nn.Module, method: str, seed: int) -> nn.Module:
    """Leave trainable what the method trains; ``lora`` returns the network with adapters around it.

    Raises:
        BadSetting: no such method, or more last layers than there are.
    """
    if method == "full":
        return network
    if method == "lora":
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(seed)  # of the adapters
        return get_peft_model(
            network,
            LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
    children = list(network.base_model.children())
    stacks = [module for module in children if isinstance(module, nn.ModuleList)]
    layers = list(stacks[0]) if stacks else []
    name, _, number = method.partition("-")
    if name != "last" or not number.isdigit() or not 0 < int(number) <= len(layers):
        raise BadSetting(
            f'generator_method = "{method}"; expected full, lora, or last-K with K from 1 to '
            f"{len(layers)}"
        )
    network.requires_grad_(False)
    norms = [module for module in children if "norm" in type(module).__name__.lower()]
    for module in [*layers[-int(number) :], *norms]:
        module.requires_grad_(True)
    return network


def fine_tune(
    network: zoo.Network,
    train: Part,
    held_out: Part,
    labels: Sequence[str],
    plan: GeneratorPlan,
    folder: Path,
) -> History:
    """Fine-tune a causal language model on texts and leave it in ``folder`` (``history.json`` holds
    the perplexities).
    """
    tokenizer = zoo.tokenizer(network)
    model = freeze(zoo.causal(network), plan.method, plan.seed)
    names = list(labels) if plan.conditioned else []
    pad_id = tokenizer.pad_token_id
    rows = encode(tokenizer, train, names, plan.max_tokens)
    checks = encode(tokenizer, held_out, names, plan.max_tokens)
    before_file = folder / "checkpoint-before.json"  # survives a kill; not computed twice
    if writes_files() and not before_file.exists():
        device = next(model.parameters()).device
        with torch.inference_mode(), autocast(device, "auto"):
            before_file.write_text(json.dumps(held_out_nll(model.eval(), checks, pad_id)))
    history = recipe.train(
        model,
        rows,
        lambda some: collate_text(some, pad_id),
        nll,
        lambda model: held_out_nll(model, checks, pad_id),
        plan,
        patience=3,
        folder=folder,
        title="generator",
    )
    if not writes_files():
        return history
    perplexities = {
        "perplexity_before": math.exp(json.loads(before_file.read_text())),
        "perplexity_after": math.exp(history.best),
    }
    model = model.merge_and_unload() if plan.method == "lora" else model
    plan = replace(plan, labels=tuple(names))
    recipe.save(model, tokenizer, plan, history, folder, **perplexities)
    return history
