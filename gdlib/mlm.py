"""Floor 3. Masked-language-model distillation: masked texts, teachers and their heads, students and their curves.

Everything is in the ids of one *reference* vocabulary, that of the first teacher; another teacher's ids are looked up
(:mod:`gdlib.alignment`). Masks are drawn once (RoBERTa calls it static), ``maskings`` times a text, so that what the
teachers say at the masked positions can be computed once and kept, and all arms see the same batches.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase

from gdlib import zoo
from gdlib.config import digest
from gdlib.errors import BadCorpus
from gdlib.lexical import keep_layers, to_device
from gdlib.losses import DistillationLoss
from gdlib.masked_lm import NOT_ASKED, TiedHead, mask_pieces
from gdlib.teacher import tokenize
from gdlib.teachers import Kept, Mixture, keep
from gdlib.training import Batch, History, Regime, autocast, batches_by_length, fit, in_batches, pad, seed_everything

NOWHERE = -1  # number of a position that is not masked
HEAD_SCALE = 0.3  # of a new head's norm at its start: near the pieces' frequencies, from where it overfits less (0.25 nats, MiniLM)


@dataclass(frozen=True)
class MaskedTexts:
    """Texts, masked; their masked positions are numbered in reading order.

    Args:
        inputs: what a network reads, reference ids with special pieces, a list a text.
        targets: the hidden piece, elsewhere :data:`~gdlib.masked_lm.NOT_ASKED`.
    """

    inputs: list[list[int]]
    targets: list[list[int]]

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def gold(self) -> Tensor:
        """The hidden pieces, by number of their position. *Shape:* ``[positions]``."""
        return torch.tensor([piece for row in self.targets for piece in row if piece != NOT_ASKED], dtype=torch.long)

    @cached_property
    def text_of(self) -> Tensor:
        """The text that each position is in. *Shape:* ``[positions]``."""
        return torch.repeat_interleave(torch.arange(len(self)), torch.tensor(self._asked, dtype=torch.long))

    @cached_property
    def digest(self) -> str:
        return digest([self.inputs, self.targets])

    @cached_property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.inputs]

    @cached_property
    def _asked(self) -> list[int]:
        return [sum(piece != NOT_ASKED for piece in row) for row in self.targets]

    @cached_property
    def _first(self) -> list[int]:
        return np.cumsum([0, *self._asked]).tolist()

    def batch(self, rows: Sequence[int], pad_id: int) -> Batch:
        """Some texts, padded. *Shape:* ``input_ids``, ``attention_mask``, ``positions`` (or :data:`NOWHERE`) ``[rows, longest]``."""
        ids, targets = pad([self.inputs[i] for i in rows], pad_id), pad([self.targets[i] for i in rows], NOT_ASKED)
        asked = targets != NOT_ASKED
        first = torch.tensor([self._first[i] for i in rows]).unsqueeze(1)
        positions = torch.where(asked, first + asked.cumsum(dim=1) - 1, NOWHERE)
        lengths = torch.tensor([self.lengths[i] for i in rows]).unsqueeze(1)
        return {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1]) < lengths).long(), "positions": positions}


def log_frequencies(texts: MaskedTexts, pieces: int) -> Tensor:
    """Log-shares of all pieces of some texts, hidden or not, the special ones at both ends left out; 0.1 is added to every count.

    *Shape:* ``[pieces]``.
    """
    whole = [t if t != NOT_ASKED else i for rows in zip(texts.inputs, texts.targets) for i, t in list(zip(*rows))[1:-1]]
    counts = torch.bincount(torch.tensor(whole, dtype=torch.long), minlength=pieces).float() + 0.1
    return (counts / counts.sum()).log()


def mask_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, share: float, seed: int, maskings: int = 1
) -> MaskedTexts:
    """Cut texts into pieces and mask them; ``maskings`` times over, each time with other masks. A masking that hides nothing is left out.

    Raises:
        BadCorpus: nothing is masked at all.
    """
    encoded = tokenize(tokenizer, texts, max_length)
    ids, special = pad(encoded, tokenizer.pad_token_id), torch.tensor(sorted(tokenizer.all_special_ids))
    maskable = ~torch.isin(ids, special)
    inputs, targets = [], []
    for number in range(maskings):
        random = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        hidden, target = mask_pieces(ids, maskable, tokenizer.mask_token_id, len(tokenizer), random, share)
        for row, length in enumerate(map(len, encoded)):
            if (target[row] != NOT_ASKED).any():
                inputs.append(hidden[row, :length].tolist())
                targets.append(target[row, :length].tolist())
    if not inputs:
        raise BadCorpus(f"of {len(texts)} texts no piece is masked at mask_share = {share}; expected more or longer texts")
    return MaskedTexts(inputs, targets)


# ---- networks


class MaskedLM(nn.Module):
    """An encoder under a head tied to its embeddings; logits at the masked positions alone, in reading order."""

    def __init__(self, encoder: PreTrainedModel, head: TiedHead | None = None):
        super().__init__()
        pieces, width = encoder.get_input_embeddings().weight.shape
        self.encoder, self.head = encoder, head or TiedHead(encoder.config.hidden_size, width, pieces)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """*Shape:* all ``[batch, length]`` -> ``[masked positions, pieces]``."""
        return self.logits(self.states(input_ids, attention_mask, positions))

    def states(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """The encoder's last states at the masked positions: ``[masked positions, width]``."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[positions != NOWHERE]

    def logits(self, states: Tensor) -> Tensor:
        """*Shape:* ``[..., width]`` -> ``[..., pieces]``."""
        return self.head(states, self.encoder.get_input_embeddings().weight)


class WholeMaskedLM(nn.Module):
    """A network that brings its own head (``BertForMaskedLM``, ``ElectraForMaskedLM`` ...), asked in the same way."""

    def __init__(self, network: PreTrainedModel):
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """*Shape:* all ``[batch, length]`` -> ``[masked positions, pieces]``."""
        return self.network(input_ids=input_ids, attention_mask=attention_mask).logits[positions != NOWHERE]


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

    def states(self, texts: MaskedTexts, title: str) -> Tensor:
        """The encoder's states at all masked positions, by number. *Shape:* ``[positions, width]``, float32, on the CPU."""
        found = torch.empty(len(texts.gold), self.model.encoder.config.hidden_size)
        self._each(texts, self.model.states, f"{self.name}: {title}", lambda at, said: found.__setitem__(at, said.float().cpu()))
        return found

    def keep(self, texts: MaskedTexts, kept: int, title: str = "labelling") -> Kept:
        """What it says at all masked positions: its ``kept`` likeliest pieces. No title, no progress bar."""
        found: dict[str, Tensor] = {}
        ids = self.ids.to(next(self.model.parameters()).device)

        def take(at: Tensor, logits: Tensor) -> None:
            for name, tensor in keep(logits[:, ids], texts.gold[at].to(logits.device), kept).items():
                found.setdefault(name, torch.empty(len(texts.gold), *tensor.shape[1:], dtype=tensor.dtype))[at] = tensor.cpu()

        self._each(texts, self.model, title and f"{self.name}: {title}", take)
        return Kept(**found, vocabulary=len(self.ids), digest=texts.digest)

    @torch.inference_mode()
    def _each(self, texts: MaskedTexts, call: Callable[..., Tensor], title: str, take: Callable[[Tensor, Tensor], Any], size: int = 32) -> None:
        device = next(self.model.parameters()).device
        with tqdm(total=len(texts), desc=title, unit="text", mininterval=2.0, disable=not title) as bar:
            for rows in in_batches(texts.lengths, size):
                batch = {name: tensor.to(device) for name, tensor in self.inputs(texts, rows).items()}
                with autocast(device, "auto"):
                    said = call(**batch)
                take(batch["positions"][batch["positions"] != NOWHERE].cpu(), said)
                bar.update(len(rows))


# ---- teachers' heads


@dataclass(frozen=True)
class HeadPlan:
    """How the head of a teacher that has none is trained.

    Args:
        steps: optimisation steps.
        lr: peak learning rate.
        batch: masked positions a step; with the body trained too, texts.
        body: ``frozen``: the head alone, on states computed once; ``full``: the encoder with it.
        seed: of the head, the order and dropout.
        looks: looks at the loss on the texts that choose.
    """

    steps: int
    lr: float
    batch: int
    body: str
    seed: int
    looks: int = 10


BODIES = ("frozen", "full")


def load_teacher(network: zoo.Network, ids: Tensor, pad_id: int, trained: Path | None = None) -> MaskedTeacher:
    """A teacher: with its own head where the network has one, else with a new one, or with what :func:`train_head` left."""
    if zoo.has_masked_head(network):
        model: nn.Module = WholeMaskedLM(zoo.masked(network))
    else:
        model = MaskedLM(zoo.encoder(network))
        if trained:
            model.load_state_dict(load_file(trained / "trained.safetensors"), strict=False)
    return MaskedTeacher(network.name, to_device(model), ids, pad_id)


def train_head(network: zoo.Network, ids: Tensor, pad_id: int, train: MaskedTexts, choose: MaskedTexts, plan: HeadPlan, folder: Path) -> History:
    """Train a tied head on an encoder and leave what was trained in ``folder``, with the history.

    The head's bias starts at the pieces' (smoothed) log-frequencies, what it adds to that starts small. The weights with the least loss on ``choose`` are kept.
    """
    seed_everything(plan.seed)
    teacher = load_teacher(network, ids, pad_id)
    model = teacher.model
    with torch.no_grad():
        model.head.norm.weight.fill_(HEAD_SCALE)
        model.head.bias[ids.to(model.head.bias.device)] = log_frequencies(train, len(ids)).to(model.head.bias.device)
    if plan.body == "frozen":
        model.encoder.requires_grad_(False)
        states, checks = teacher.states(train, "states"), teacher.states(choose, "states to choose by")
        order = batches_by_length([1] * len(states), plan.batch, plan.seed)

        def batch(step: int) -> Batch:
            rows = order(step)
            return {"states": states[rows], "gold": train.gold[rows]}

        def surprise(model: nn.Module, batch: Batch) -> Tensor:
            return F.cross_entropy(model.logits(batch["states"])[:, ids.to(batch["gold"].device)].float(), batch["gold"])

        def held_out(model: nn.Module) -> float:
            device = next(model.parameters()).device
            parts = [model.logits(part.to(device))[:, ids.to(device)].float().cpu() for part in checks.split(256)]
            return F.cross_entropy(torch.cat(parts), choose.gold).item()
    else:
        order = batches_by_length(train.lengths, plan.batch, plan.seed)

        def batch(step: int) -> Batch:
            return teacher.inputs(train, order(step))

        def surprise(model: nn.Module, batch: Batch) -> Tensor:
            at = batch["positions"][batch["positions"] != NOWHERE]
            return F.cross_entropy(model(**batch)[:, ids.to(at.device)].float(), train.gold.to(at.device)[at])

        def held_out(model: nn.Module) -> float:
            return -teacher.keep(choose, 1, "").gold.mean().item()

    regime = Regime(steps=plan.steps, lr=plan.lr, evaluate_every=max(1, plan.steps // plan.looks), seed=plan.seed)
    history = fit(model, batch, surprise, held_out, regime, resume=folder / "checkpoint", title=f"{network.name}: head")
    state = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    frozen = plan.body == "frozen"
    save_file({name: t.clone() for name, t in state.items() if not frozen or name.startswith("head.")}, folder / "trained.safetensors")
    return history


# ---- students


@dataclass(frozen=True)
class StudentPlan:
    """How a student starts and learns. Names as in the study's settings.

    Args:
        start: ``teacher``: layers of the first teacher (:func:`gdlib.lexical.keep_layers`) and its trained head;
            ``scratch``: a new small BERT.
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


STARTS = {"teacher": "some layers of the first teacher, and its head", "scratch": "a new, narrow BERT"}
PLAIN = DistillationLoss(hard_weight=1.0, soft_weight=0.0)


def new_student(plan: StudentPlan, first: MaskedLM | WholeMaskedLM, tokenizer: PreTrainedTokenizerBase, max_length: int) -> MaskedLM:
    """A student at its start. Of a network that brings its own head the encoder alone is taken over."""
    seed_everything(plan.seed)
    if plan.start == "scratch":
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=plan.hidden, num_hidden_layers=plan.layers, num_attention_heads=max(1, plan.hidden // 32),
            intermediate_size=4 * plan.hidden, max_position_embeddings=max_length, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        return MaskedLM(BertModel(config))
    encoder = first.encoder if isinstance(first, MaskedLM) else first.network.base_model
    keep_layers(encoder, plan.layers)
    return MaskedLM(encoder, first.head if isinstance(first, MaskedLM) else None).requires_grad_(True)


@dataclass
class Curve:
    """A student's way: its held-out loss at every look, text by text. ``seconds`` are of training alone, looks not counted."""

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    losses: list[np.ndarray] = field(default_factory=list)


def train_student(
    student: MaskedLM, texts: MaskedTexts, told: Mixture | None, held_out: MaskedTexts, pad_id: int, plan: StudentPlan
) -> tuple[Curve, History]:
    """Train a student in place; it ends with the weights of its least held-out loss.

    Args:
        student: at its start.
        texts: what it reads.
        told: what the teachers say at the masked positions; None: the hidden pieces are all there is.
        held_out: what the curve is measured on.
        pad_id: of the reference.
        plan: how.

    Returns:
        The curve, whose first look is at step 0, and the loop's history.
    """
    order, loss = batches_by_length(texts.lengths, plan.batch, plan.seed), plan.loss if told else PLAIN
    curve, clock = Curve(), {"trained": 0.0, "since": 0.0}

    def surprise(model: nn.Module, batch: Batch) -> Tensor:
        at = batch["positions"][batch["positions"] != NOWHERE]
        if not len(at):
            return next(model.parameters()).sum() * 0.0
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
    regime = Regime(steps=plan.steps, lr=plan.lr, evaluate_every=plan.evaluate_every, seed=plan.seed)
    history = fit(student, lambda step: texts.batch(order(step), pad_id), surprise, look, regime, quiet=True)
    return curve, history


@torch.inference_mode()
def text_losses(model: nn.Module, texts: MaskedTexts, pad_id: int) -> np.ndarray:
    """Cross-entropy of the hidden pieces, summed a text, in the texts' order; nats. *Shape:* ``[texts]``, float32."""
    device, found = next(model.parameters()).device, torch.empty(len(texts.gold))
    for rows in in_batches(texts.lengths, 64):
        batch = {name: tensor.to(device) for name, tensor in texts.batch(rows, pad_id).items()}
        at = batch["positions"][batch["positions"] != NOWHERE].cpu()
        with autocast(device, "auto"):
            logits = model(**batch).float().cpu()
        found[at] = F.cross_entropy(logits, texts.gold[at], reduction="none")
    return torch.zeros(len(texts)).index_add_(0, texts.text_of, found).numpy()


