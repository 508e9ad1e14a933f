"""Texts from a fine-tuned causal language model: its prompts, and how it is sampled."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gdlib.core import hardware
from gdlib.core.errors import BadSetting
from gdlib.core.processes import keep_memory
from gdlib.learn.packing import packed
from gdlib.networks import fine_tune as recipe
from gdlib.sources.corpora import Part

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedTokenizerBase

DRAWS = 8  # from the whole distribution, before a nucleus is sorted out


class Generator:
    """A fine-tuned causal language model that writes texts of the domain.

    Args:
        network: a transformers causal language model.
        tokenizer: its tokenizer; texts stand between its BOS and EOS tokens.
        labels: class names that prompts are made of if it was conditioned on them, else empty.
    """

    def __init__(
        self, network: nn.Module, tokenizer: "PreTrainedTokenizerBase", labels: Sequence[str] = ()
    ):
        self.network, self.tokenizer, self.labels = network.eval(), tokenizer, tuple(labels)

    @classmethod
    def load(cls, folder: Path) -> "Generator":
        """The generator that :func:`gdlib.networks.generator.fine_tune` left in a folder, in bf16
        where the hardware multiplies bf16.
        """
        dtype = torch.bfloat16 if hardware.has_bf16() else torch.float32
        network, tokenizer, plan = recipe.load("AutoModelForCausalLM", folder, dtype)
        return cls(network, tokenizer, plan["labels"])

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
        keep_memory()
        device = next(self.network.parameters()).device
        random = torch.Generator().manual_seed(seed)
        ids = torch.tensor(prompts, device=device)
        rows = list(range(len(prompts)))
        written: list[list[int]] = [[] for _ in rows]
        ended = [False] * len(rows)
        cache = None
        with packed(self.network):
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
    """Draw one token per row after temperature, top-k and nucleus (top-p) filtering.

    A token is drawn from all of them and accepted if it lies in the nucleus, that is, if the tokens
    likelier than it have less than ``top_p`` of the mass together; else it is drawn again. The
    tokens that come out are distributed as from the nucleus itself, and no vocabulary has to be
    sorted (which took half of the time of sampling). What is refused ``DRAWS`` times is drawn from
    the sorted nucleus.

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
    tokens = torch.empty(len(logits), dtype=torch.long)
    waiting, own = torch.arange(len(logits)), probabilities
    for _ in range(DRAWS):
        drawn = draw_from(own, random)
        tokens[waiting] = drawn.squeeze(-1)
        likelier = mass_above(own, own.gather(-1, drawn))
        waiting = waiting[likelier >= top_p]
        if not len(waiting):
            return tokens
        own = probabilities[waiting]
    ordered, ids = probabilities[waiting].sort(dim=-1, descending=True)
    nucleus = ordered.masked_fill(ordered.cumsum(dim=-1) - ordered >= top_p, 0.0)
    nucleus[:, 0] = ordered[:, 0]  # of a nucleus of nothing the likeliest token is left
    tokens[waiting] = ids.gather(-1, torch.multinomial(nucleus, 1, generator=random)).squeeze(-1)
    return tokens


def mass_above(probabilities: Tensor, least: Tensor) -> Tensor:
    """Each row's sum of the probabilities above one of its own, row by row: a twentieth of the time
    of ``where`` on all. *Shape:* ``[rows, vocabulary]``, ``[rows, 1]`` -> ``[rows]``.
    """
    rows = zip(probabilities, least.squeeze(-1).tolist(), strict=True)
    return torch.stack([F.threshold(row, bound, 0.0).sum() for row, bound in rows])


def draw_from(probabilities: Tensor, random: torch.Generator, block: int = 256) -> Tensor:
    """Draw one token per row: first a block of neighbours by its mass, then a token of the block,
    because sums over blocks take a processor a tenth of the time of running sums over all.

    *Shape:* ``[rows, vocabulary]``, whose rows need not sum to 1 -> ``[rows, 1]``.
    """
    blocks = F.pad(probabilities, (0, -probabilities.shape[-1] % block)).unflatten(-1, (-1, block))
    masses = blocks.sum(dim=-1)
    cumulated = masses.cumsum(dim=-1)
    places = torch.rand(len(masses), 1, generator=random) * cumulated[:, -1:]
    chosen = torch.searchsorted(cumulated, places, right=True).clamp_max(masses.shape[-1] - 1)
    within = blocks.take_along_dim(chosen[..., None], 1).squeeze(1).cumsum(dim=-1)
    left = places - (cumulated - masses).gather(-1, chosen)
    # Rounding must not lead to a token of no mass before the block's first or behind its last.
    left = torch.minimum(left.clamp_min(0.0), within[:, -1:] * (1 - 2**-23))
    return chosen * block + torch.searchsorted(within, left, right=True)


def prompt(tokenizer: "PreTrainedTokenizerBase", label: str | None = None) -> list[int]:
    """BOS (or EOS, for tokenizers without BOS, like GPT-2's), then ``label:`` if there is one."""
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    lead = "" if label is None else f"{label}:"
    return [start, *(tokenizer(lead, add_special_tokens=False)["input_ids"] if lead else [])]


def blank(tokenizer: "PreTrainedTokenizerBase") -> str:
    """What stands before a text so that its first word is cut as it is inside a sentence: a blank,
    unless the tokenizer puts it. A byte-level vocabulary would have to begin with pieces that it
    knows from the middle of words, and so would samples.
    """
    return "" if tokenizer.tokenize("word")[0].startswith("\u2581") else " "


def prompts_for(
    generator: Generator, batch: int, size: int, part: Part, prefix_tokens: int, seed: int
) -> Iterator[tuple[list[int], str, int]]:
    """The prompts of one batch, all of one length: ids, the prefix as text, and the label asked for
    (-1: none).

    A batch asks for one label (batch 0 for the first, and so on), so its prompts need no padding.
    With ``prefix_tokens`` each continues the beginning of a random labelled text that is longer.
    """
    label = batch % len(generator.labels) if generator.labels else -1
    start = generator.prompt(label if label >= 0 else None)
    lead = blank(generator.tokenizer)
    texts = [lead + text for text, gold in zip(part.texts, part.labels) if label in (-1, gold)]
    encoded = (
        generator.tokenizer(texts, add_special_tokens=False)["input_ids"] if prefix_tokens else []
    )
    long_enough = [ids[:prefix_tokens] for ids in encoded if len(ids) > prefix_tokens]
    if prefix_tokens and not long_enough:
        of = f' of "{generator.labels[label]}"' if label >= 0 else ""
        knobs = f"prefix_tokens (of feedback: feedback_tokens) = {prefix_tokens}"
        raise BadSetting(f"{knobs}: no text{of} is that long")
    random = np.random.default_rng([seed, batch])
    for _ in range(size):
        prefix = long_enough[random.integers(len(long_enough))] if prefix_tokens else []
        yield start + prefix, generator.tokenizer.decode(prefix), label
