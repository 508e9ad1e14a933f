"""The generator: a causal language model fine-tuned on the few labelled texts, and sampling from
it.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from gdlib.core.errors import BadSetting
from gdlib.learn.batches import autocast, batches_by_length, collate, has_bf16, in_batches
from gdlib.learn.loop import History, Regime, fit, writes_files
from gdlib.sources import zoo
from gdlib.sources.corpora import Part
from gdlib.sources.formats import quiet

IGNORED = -100


@dataclass(frozen=True)
class GeneratorPlan:
    """How a generator is fine-tuned.

    Args:
        method: ``full``, ``lora`` (rank 16 on the attention's and MLP's matrices) or ``last-K``
            (the K last layers).
        conditioned: the label's name stands before the text. The paper fine-tunes on the text
            alone.
        epochs: passes at most; training stops when the held-out loss rises (longer training
            memorises).
        lr, batch: peak learning rate and texts a step.
        max_tokens: tokens of a text, cut beyond.
        seed: of the order of texts, dropout and adapters.
    """

    method: str
    conditioned: bool
    epochs: int
    lr: float
    batch: int
    max_tokens: int
    seed: int
    looks: int = 2


class Generator:
    """A fine-tuned causal language model that writes texts of the domain.

    Args:
        network: a transformers causal language model.
        tokenizer: its tokenizer; texts stand between its BOS and EOS tokens.
        labels: class names that prompts are made of if it was conditioned on them, else empty.
    """

    def __init__(
        self, network: nn.Module, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str] = ()
    ):
        self.network, self.tokenizer, self.labels = network.eval(), tokenizer, tuple(labels)

    @classmethod
    def load(cls, folder: Path) -> "Generator":
        """The generator that :func:`fine_tune` left in a folder, in bf16 where the hardware
        multiplies bf16.
        """
        dtype = torch.bfloat16 if has_bf16() else torch.float32
        with quiet():
            network = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=dtype
            )
        plan = json.loads((folder / "plan.json").read_text("utf-8"))
        if torch.cuda.is_available():
            network = network.cuda()
        return cls(
            network, AutoTokenizer.from_pretrained(folder, local_files_only=True), plan["labels"]
        )

    def prompt(self, label: int | None = None) -> list[int]:
        """The ids before a text: BOS, and the label's name and a colon if the generator was
        conditioned on it.
        """
        return prompt(
            self.tokenizer, self.labels[label] if self.labels and label is not None else None
        )

    @torch.inference_mode()
    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        top_k: int,
        seed: int,
    ) -> list[tuple[list[int], bool]]:
        """Sample one continuation of each prompt; all prompts have the same length.

        A text that has ended leaves the batch at once, and its rows leave the cache, so that a
        batch costs what its texts are long and not what its longest is.

        Returns:
            For each prompt the new ids without the end token, and whether the end token came in
            time.
        """
        device = next(self.network.parameters()).device
        random = torch.Generator().manual_seed(seed)
        ids = torch.tensor(prompts, device=device)
        rows = list(range(len(prompts)))
        written: list[list[int]] = [[] for _ in rows]
        ended = [False] * len(rows)
        cache = None
        for _ in range(max_new_tokens):
            out = self.network(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = out.past_key_values
            chosen = draw(out.logits[:, -1].float().cpu(), temperature, top_p, top_k, random)
            alive = []
            for place, (row, token) in enumerate(zip(rows, chosen.tolist())):
                if token == self.tokenizer.eos_token_id:
                    ended[row] = True
                else:
                    written[row].append(token)
                    alive.append(place)
            if not alive:
                break
            if len(alive) < len(rows):
                cache.batch_select_indices(torch.tensor(alive, device=device))
                rows, chosen = [rows[place] for place in alive], chosen[alive]
            ids = chosen[:, None].to(device)
        return list(zip(written, ended))


def draw(
    logits: Tensor, temperature: float, top_p: float, top_k: int, random: torch.Generator
) -> Tensor:
    """Draw one token a row after temperature, top-k and nucleus (top-p) filtering.

    *Shape:* logits ``[rows, vocabulary]`` -> ``[rows]``.

    Args:
        temperature: the logits are divided by it; 1 with ``top_p=1, top_k=0`` is ancestral
            sampling.
        top_p: the smallest set of tokens whose probability reaches it is kept (the token that
            crosses it too).
        top_k: only the k most likely are kept; 0 keeps all.
    """
    logits = logits / temperature
    if top_k:
        kth = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < kth, -math.inf)
    probabilities = logits.softmax(dim=-1)
    if top_p < 1:
        ordered, places = probabilities.sort(dim=-1, descending=True)
        beyond = ordered.cumsum(dim=-1) - ordered >= top_p
        probabilities = torch.zeros_like(probabilities).scatter(
            -1, places, ordered.masked_fill(beyond, 0.0)
        )
    return torch.multinomial(probabilities, 1, generator=random).squeeze(-1)


def prompt(tokenizer: PreTrainedTokenizerBase, label: str | None = None) -> list[int]:
    """BOS (or EOS, for tokenizers without one, like GPT-2's), then ``label:`` where there is one."""
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return [start] + (
        tokenizer(f"{label}:", add_special_tokens=False)["input_ids"] if label is not None else []
    )


def blank(tokenizer: PreTrainedTokenizerBase) -> str:
    """What stands before a text so that its first word is cut as it is inside a sentence: a blank,
    unless the tokenizer puts it.

    Without it a byte-level vocabulary has to begin with pieces that it knows from the middle of
    words, and so do samples.
    """
    return "" if tokenizer.tokenize("word")[0].startswith("\u2581") else " "


def encode(
    tokenizer: PreTrainedTokenizerBase, part: Part, names: Sequence[str], max_tokens: int
) -> list[tuple[list[int], int]]:
    """Each text as ``prompt + blank + text + EOS`` and the length of its prompt.

    A text that is cut gets no EOS: it did not end.
    """
    rows = []
    for text, label in zip(part.texts, part.labels):
        start = prompt(tokenizer, names[label] if names else None)
        ids = tokenizer(blank(tokenizer) + text, add_special_tokens=False)["input_ids"]
        rows.append(
            (
                start
                + (ids + [tokenizer.eos_token_id] if len(ids) < max_tokens else ids[:max_tokens]),
                len(start),
            )
        )
    return rows


def nll(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Negative log-likelihood of the text's tokens, nats, mean over the tokens of the batch;
    prompts and padding don't count.
    """
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return F.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), batch["targets"][:, 1:], ignore_index=IGNORED
    )


def collate_text(rows: Sequence[tuple[list[int], int]], pad_id: int) -> dict[str, Tensor]:
    """Padded ids with their targets: what is no text (prompt, padding) is ignored."""
    out = collate([ids for ids, _ in rows], pad_id)
    places = torch.arange(out["input_ids"].shape[1])
    is_prompt = places < torch.tensor([start for _, start in rows])[:, None]
    out["targets"] = out["input_ids"].masked_fill((out["attention_mask"] == 0) | is_prompt, IGNORED)
    return out


def held_out_nll(model: nn.Module, rows: Sequence[tuple[list[int], int]], pad_id: int) -> float:
    """Nats a token over all texts (every token weighs the same)."""
    device, total, tokens = next(model.parameters()).device, 0.0, 0
    for index in in_batches([len(ids) for ids, _ in rows], 32):
        batch = {k: v.to(device) for k, v in collate_text([rows[i] for i in index], pad_id).items()}
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
    name, _, number = method.partition("-")
    base = network.base_model
    layers = next((m for m in base.children() if isinstance(m, nn.ModuleList)), None)
    if (
        name != "last"
        or not number.isdigit()
        or layers is None
        or not 0 < int(number) <= len(layers)
    ):
        most = len(layers) if layers is not None else 0
        raise BadSetting(
            f'generator_method = "{method}"; expected full, lora, or last-K with K from 1 to {most}'
        )
    for parameter in network.parameters():
        parameter.requires_grad = False
    norms = [
        m
        for m in base.children()
        if isinstance(m, nn.Module) and m is not layers and "norm" in type(m).__name__.lower()
    ]
    for module in [*list(layers)[-int(number) :], *norms]:
        for parameter in module.parameters():
            parameter.requires_grad = True
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
    pad_id = (
        tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    )
    rows = encode(tokenizer, train, names, plan.max_tokens)
    held_out_rows = encode(tokenizer, held_out, names, plan.max_tokens)
    order = batches_by_length([len(ids) for ids, _ in rows], plan.batch, plan.seed)
    per_epoch = -(-len(rows) // plan.batch)
    before_file = folder / "checkpoint-before.json"  # survives a kill; not computed twice
    if writes_files() and not before_file.exists():
        device = next(model.parameters()).device
        with torch.inference_mode(), autocast(device, "auto"):
            before_file.write_text(json.dumps(held_out_nll(model.eval(), held_out_rows, pad_id)))
    regime = Regime(
        steps=plan.epochs * per_epoch,
        lr=plan.lr,
        evaluate_every=max(1, per_epoch // plan.looks),
        patience=3,
        seed=plan.seed,
    )
    history = fit(
        model,
        lambda step: collate_text([rows[i] for i in order(step)], pad_id),
        nll,
        lambda m: held_out_nll(m, held_out_rows, pad_id),
        regime,
        resume=folder / "checkpoint",
        title="generator",
    )
    if not writes_files():
        return history
    model = model.merge_and_unload() if plan.method == "lora" else model
    with quiet():
        model.cpu().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "plan.json").write_text(json.dumps(asdict(plan) | {"labels": names}))
    before = json.loads(before_file.read_text())
    perplexities = {
        "perplexity_before": math.exp(before),
        "perplexity_after": math.exp(history.best),
    }
    (folder / "history.json").write_text(json.dumps(asdict(history) | perplexities))
    return history


def prompts_for(
    generator: Generator, batch: int, size: int, part: Part, prefix_tokens: int, seed: int
) -> Iterator[tuple[list[int], str, int]]:
    """The prompts of one batch, all of one length: ids, the prefix as text, and the label asked for
    (-1: none).

    A batch asks for one label (batch 0 for the first, and so on round), so its prompts need no
    padding. With ``prefix_tokens`` each continues the first tokens of a random labelled text that
    is longer than the prefix.
    """
    import numpy as np

    label = batch % len(generator.labels) if generator.labels else -1
    start = generator.prompt(label if label >= 0 else None)
    lead = blank(generator.tokenizer)
    texts = [lead + text for text, gold in zip(part.texts, part.labels) if label in (-1, gold)]
    encoded = (
        generator.tokenizer(texts, add_special_tokens=False)["input_ids"] if prefix_tokens else []
    )
    long_enough = [ids[:prefix_tokens] for ids in encoded if len(ids) > prefix_tokens]
    if prefix_tokens and not long_enough:
        raise BadSetting(f"prefix_tokens = {prefix_tokens}: no labelled text is that long")
    random = np.random.default_rng([seed, batch])
    for _ in range(size):
        prefix = long_enough[random.integers(len(long_enough))] if prefix_tokens else []
        yield start + prefix, generator.tokenizer.decode(prefix), label
